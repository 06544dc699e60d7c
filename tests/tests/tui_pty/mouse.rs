//! The mouse, in the bytes that a terminal sends.

use color_eyre::eyre::{Result, ensure, eyre};
use dispatch_shared::issue::Status;
use dispatch_tests::daemon::wait_until;

use crate::scene::{SOON, board, card, daemon};

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_dragged_to_another_column_and_the_daemon_has_it_there() -> Result<()> {
    let (place, daemon) = daemon(false).await?;
    daemon.client.freeze(true).await?;
    let mut board = board(&place, &[])?;
    board.wait_for("#5", SOON)?;
    board.wait_for("FROZEN", SOON)?;
    ensure!(
        board.look(|s| s.mouse_protocol_mode()) == vt100::MouseProtocolMode::ButtonMotion,
        "buttons and drags, and not every motion"
    );
    let spot = |needle: &str| board.place(needle).ok_or_else(|| eyre!("no `{needle}`:\n{}", board.text()));
    let (from, to) = (spot("#5")?, spot("Review ")?);
    // Where it may not go, the ghost says why, and nothing is moved.
    let done = spot("Done ")?;
    board.press(0, from)?;
    board.drag((done.0 + 2, done.1 + 4))?;
    board.wait_for("the issue is open", SOON)?;
    board.release((done.0 + 2, done.1 + 4))?;
    ensure!(card(&daemon, 5).await?.column == Status::Backlog, "nothing was moved");
    board.press(0, from)?;
    board.drag((to.0 + 2, to.1 + 4))?;
    board.wait_for("to Review", SOON)?;
    board.release((to.0 + 2, to.1 + 4))?;
    wait_until("#5 to be in review", SOON, async || {
        card(&daemon, 5).await.ok().filter(|c| c.column == Status::InReview)
    })
    .await;
    board.wait_for("#5 moved to Review; z undoes", SOON)?;

    // The right button offers the verbs; a double click opens; tabs and hints are buttons.
    let at = board.place("#4").ok_or_else(|| eyre!("no #4"))?;
    board.press(2, at)?;
    board.wait_for("What to do", SOON)?;
    board.send("\x1b")?;
    board.wait_until("the menu to close", SOON, |s| !s.contents().contains("What to do"))?;
    board.press(0, at)?;
    board.release(at)?;
    board.press(0, at)?;
    board.release(at)?;
    board.wait_for("Handed out?", SOON)?;
    board.send("\x1b")?;
    board.wait_for("3 Runs", SOON)?;
    let tab = board.place("3 Runs").ok_or_else(|| eyre!("no tab"))?;
    board.press(0, tab)?;
    board.wait_for("[3 Runs", SOON)?;
    let help = board.place("? help").ok_or_else(|| eyre!("no hint"))?;
    board.press(0, help)?;
    board.wait_for("Help: every key", SOON)?;
    board.send("\x1b")?;
    board.wait_until("the help to close", SOON, |s| !s.contents().contains("Help: every key"))?;

    // Freed, the mouse is the terminal's own again.
    board.send("M")?;
    board.wait_until("the mouse to be free", SOON, |s| {
        s.mouse_protocol_mode() == vt100::MouseProtocolMode::None
    })?;
    Ok(())
}
