//! The keys of the table, each used once, with what it did asked of the daemon.

use color_eyre::eyre::{Result, ensure};
use dispatch_shared::issue::Status;
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::daemon::wait_until;
use dispatch_tests::scene::Scene;

use crate::scene::{ESC, SOON, board, card, daemon, go};

#[tokio::test(flavor = "multi_thread")]
async fn verbs_about_a_card_do_what_they_say() -> Result<()> {
    let (place, daemon) = daemon(false).await?;
    let mut board = board(&place, &[])?;
    board.wait_for("#5", SOON)?;

    go(&mut board, 5)?;
    board.send("c")?;
    board.wait_for("Claim #5 for the agent named", SOON)?;
    board.send("kai\r")?;
    wait_until("kai to hold #5", SOON, async || {
        let claim = card(&daemon, 5).await.ok()?.claim?;
        (claim.agent_name.as_str() == "kai").then_some(())
    })
    .await;
    board.wait_for("lease to", SOON)?;
    go(&mut board, 5)?;
    board.send("u")?;
    board.wait_for("Take #5 away from kai?", SOON)?;
    board.send("n")?;
    board.wait_for("left as it is", SOON)?;
    ensure!(card(&daemon, 5).await?.claim.is_some(), "no is no");
    board.send("u")?;
    board.wait_for("Take #5 away from kai?", SOON)?;
    board.send("y")?;
    wait_until("#5 to be free", SOON, async || card(&daemon, 5).await.ok()?.claim.is_none().then_some(()))
        .await;

    // By menu and by shifting, there and back.
    board.wait_for("taken away from kai", SOON)?;
    go(&mut board, 5)?;
    let from = card(&daemon, 5).await?.column;
    board.send("m")?;
    board.wait_for("Move #5 to", SOON)?;
    board.send("\r")?;
    let moved = wait_until("#5 to be elsewhere", SOON, async || {
        card(&daemon, 5).await.ok().map(|c| c.column).filter(|c| *c != from)
    })
    .await;
    board.wait_for("#5 moved to", SOON)?;
    board.send("z")?;
    wait_until("#5 to be back", SOON, async || {
        card(&daemon, 5).await.ok().map(|c| c.column).filter(|c| *c == from && *c != moved)
    })
    .await;

    board.send("S")?;
    board.wait_for("synced", SOON)?;
    board.send("F")?;
    wait_until("the freeze", SOON, async || daemon.client.control().await.ok()?.frozen.then_some(())).await;
    board.wait_for("FROZEN", SOON)?;
    board.send("F")?;
    wait_until("the thaw", SOON, async || (!daemon.client.control().await.ok()?.frozen).then_some(())).await;

    // What only changes the screen.
    for (keys, seen) in [
        ("y", "Markdown link"),
        ("y", "copied local/hello#5"),
        ("b", "copied "),
        ("\r", "Handed out?"),
        (ESC, "[1 Board]"),
        ("2", "[2 Problems"),
        ("3", "[3 Runs"),
        ("4", "[4 Queue"),
        ("6", "[6 Repos"),
        ("-", "[4 Queue"),
        ("1", "[1 Board]"),
        ("?", "Help: every key"),
        (ESC, "[1 Board]"),
        (".", "What to do"),
        (ESC, "[1 Board]"),
        ("/alphabet\r", "#5"),
        (ESC, "#1"),
        ("\x12", "live"),
        ("\x0c", "live"),
    ] {
        board.send(keys)?;
        board.wait_for(seen, SOON)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_killed_and_tried_again_from_the_board() -> Result<()> {
    let scene = Scene::new(
        env!("CARGO_BIN_EXE_test-dispatchd"),
        RuntimeKind::Host,
        "echo working\nexec sleep 600",
        "",
    );
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await?;
    let run = scene.running(&daemon.client).await;
    let mut board = board(&scene.place, &[])?;
    board.wait_for("#1", SOON)?;
    board.send("o")?;
    board.wait_for("working", SOON)?;
    board.send("x")?;
    board.wait_for(&format!("Kill {}", run.id), SOON)?;
    board.send("y")?;
    let over = scene.over(&daemon.client).await;
    ensure!(over.state == "killed", "{}", over.state);
    board.wait_for("killed: it was killed by operator", SOON)?;
    board.send(ESC)?;
    ensure!(scene.card(&daemon.client).await.column != Status::InProgress, "it is nobody's work any more");
    Ok(())
}
