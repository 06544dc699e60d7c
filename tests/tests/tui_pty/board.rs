//! The operator's way through the board: see what asks, answer it, read the log, move a card and take it back, lose the
//! daemon and get it back, leave the terminal as it was.

use color_eyre::eyre::{Result, ensure, eyre};
use dispatch_shared::issue::Status;
use dispatch_tests::daemon::{Place, wait_until};

use crate::scene::{ESC, SEND, SOON, board, card, daemon, go, repository, signal};

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_way_through_the_board() -> Result<()> {
    let (place, daemon) = daemon(true).await?;
    let mut board = board(&place, &[])?;
    board.wait_for("live", SOON)?;

    // What asks is seen, in bold red, and answered where it is seen.
    board.wait_for("? #2", SOON)?;
    let style = board.style("? #2").ok_or_else(|| eyre!("#2 vanished"))?;
    ensure!(style.bold() && style.fgcolor() == vt100::Color::Idx(1), "what asks is bold red");
    go(&mut board, 2)?;
    board.wait_for("asks: Should a stranger be greeted", SOON)?;
    board.send("a")?;
    board.wait_for("Answer r-", SOON)?;
    board.paste("Greet them.\nBy name.")?;
    board.send(SEND)?;
    wait_until("#2 to be in review after the answer", SOON, async || {
        card(&daemon, 2).await.ok().filter(|c| c.column == Status::InReview)
    })
    .await;

    // Its log is read; leaving it leads back to the board.
    go(&mut board, 2)?;
    board.send("o")?;
    board.wait_for("The question was answered", SOON)?;
    board.wait_for("end of the log", SOON)?;
    board.send("/")?;
    board.wait_for("Search", SOON)?;
    board.send("ANSWERED\r")?;
    board.wait_for("`ANSWERED` is not in the lines", SOON)?;
    board.send(ESC)?;
    board.wait_for("REVIEW", SOON)?;

    // Nothing is handed out while a card is moved and taken back.
    board.send("F")?;
    board.wait_for("FROZEN", SOON)?;
    go(&mut board, 5)?;
    board.send("L")?;
    board.wait_for("#5 moved to Ready; z undoes", SOON)?;
    ensure!(card(&daemon, 5).await?.column == Status::Ready, "the daemon has it in Ready");
    board.send("z")?;
    board.wait_for("#5 moved to Backlog", SOON)?;
    ensure!(card(&daemon, 5).await?.column == Status::Backlog, "the daemon has it back in Backlog");

    // A lost daemon is a state of the header, and what is shown stays.
    daemon.kill();
    board.wait_for("retrying", SOON)?;
    board.send("m")?;
    board.wait_for("the daemon cannot be reached now", SOON)?;
    let daemon = place.start().await;
    board.wait_until("the board live again", SOON, |s| {
        s.contents().contains("  live") && !s.contents().contains("retrying")
    })?;
    ensure!(board.text().contains("FROZEN"), "the freeze outlived the daemon");

    // A smaller window is drawn anew.
    board.resize((80, 24))?;
    board.wait_until("the narrow tabs", SOON, |s| s.contents().contains("7 Activity 8 Overview"))?;

    // The terminal is left as it was.
    board.send("q")?;
    ensure!(board.wait_for_end(SOON)? == 0, "leaving is success");
    let modes =
        board.look(|s| (s.alternate_screen(), s.hide_cursor(), s.bracketed_paste(), s.mouse_protocol_mode()));
    assert_eq!(modes, (false, false, false, vt100::MouseProtocolMode::None));
    daemon.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_colour_there_is_none_and_term_restores_the_terminal() -> Result<()> {
    let (place, _daemon) = daemon(false).await?;
    let mut board = board(&place, &[("NO_COLOR", "1")])?;
    board.wait_for("live", SOON)?;
    board.wait_for("#5", SOON)?;
    let coloured = board.look(|screen| {
        let (rows, columns) = screen.size();
        let cells = (0..rows.get()).flat_map(|r| (0..columns.get()).map(move |c| (r, c)));
        let plain = vt100::Color::Default;
        cells.filter_map(|(r, c)| screen.cell(r, c)).any(|c| c.fgcolor() != plain || c.bgcolor() != plain)
    });
    ensure!(!coloured, "NO_COLOR is honoured:\n{}", board.text());
    signal(&board, rustix::process::Signal::TERM)?;
    board.wait_for_end(SOON)?;
    ensure!(board.look(|s| !s.alternate_screen() && !s.hide_cursor()), "the terminal is given back");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_without_a_daemon_waits_for_one() -> Result<()> {
    let place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    place.configure("");
    let daemon = place.start().await;
    let mut board = board(&place, &[])?;
    board.wait_for("No repository is tracked yet", SOON)?;
    daemon.stop().await;
    board.wait_for("retrying", SOON)?;
    let _daemon = place.start().await;
    board.wait_until("the board live again", SOON, |s| s.contents().contains("  live"))?;
    board.send("\x03")?;
    ensure!(board.wait_for_end(SOON)? == 0, "leaving is success");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_views_tell_of_a_real_daemon_and_change_it() -> Result<()> {
    let place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    place.configure("[runner]\nruntime = \"host\"\nagent = \"demo\"\nmax_parallel = 2\n");
    let repo = repository(&place)?;
    let daemon = place.start().await;
    let mut board = board(&place, &[])?;
    board.wait_for("live", SOON)?;

    // A repository is tracked by its path, and opened.
    board.send("6")?;
    board.wait_for("+ tracks one", SOON)?;
    board.send("+")?;
    board.wait_for("Track a directory", SOON)?;
    board.send(&format!("{}\r", repo.display()))?;
    board.wait_for("local/hello", SOON)?;
    board.wait_for("synced", SOON)?;
    board.send("\r")?;
    board.wait_for("[Workflows]", SOON)?;
    board.send("hj")?;
    board.wait_for("Enter switches it on", SOON)?;
    board.send("j\r")?;
    board.wait_for("in review before no more", SOON)?;
    board.send("\x157\r")?;
    wait_until("the limit to be kept", SOON, async || {
        daemon.client.repos().await.ok()?.into_iter().find(|r| r.wip_limit == 7)
    })
    .await;
    board.wait_for("7, 0 now", SOON)?;

    // What is next and what is not, with the reason, as the daemon has it.
    board.send("4")?;
    board.wait_for("Next for any agent", SOON)?;
    board.wait_for("✓ status/ready", SOON)?;
    board.send("F")?;
    board.wait_for("Withheld", SOON)?;
    board.wait_for("the queue is frozen", SOON)?;
    board.send("F")?;
    board.wait_for("Next for any agent", SOON)?;

    // Deeds come in live; the agents' lanes and the numbers are there.
    board.send("7")?;
    board.wait_for("add_tracked_repo", SOON)?;
    let take = dispatch_shared::protocol::tasks::TakeRequest::default();
    let query = dispatch_shared::protocol::tasks::NextTaskQuery::default();
    daemon.client.take("kai", &query, &take).await?;
    board.wait_for("claim_issue", SOON)?;
    board.wait_for("ready to in-progress", SOON)?;
    board.send("5")?;
    board.wait_for("Lanes", SOON)?;
    board.wait_for("1/1 held", SOON)?;
    board.send("8")?;
    board.wait_for("Throughput", SOON)?;
    board.wait_for("Stale in progress", SOON)?;

    board.send("q")?;
    ensure!(board.wait_for_end(SOON)? == 0, "leaving is success");
    daemon.stop().await;
    Ok(())
}
