//! From nothing to a board with cards, without leaving it.

use std::path::Path;

use color_eyre::eyre::{Result, ensure};
use dispatch_tests::daemon::Place;
use dispatch_tests::pty::Pty;

use crate::scene::{SOON, board, repository};

#[tokio::test(flavor = "multi_thread")]
async fn a_local_repository_is_tracked_from_the_empty_board() -> Result<()> {
    let place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    place.configure("");
    let repo = repository(&place)?;
    let daemon = place.start().await;
    let mut board = board(&place, &[])?;
    board.wait_for("No repository is tracked yet", SOON)?;
    board.send("\r")?;
    board.wait_for("Track a directory", SOON)?;
    // What is not there is said, and stays to be corrected.
    board.send("/nowhere/at/all\r")?;
    board.wait_for("there is no directory /nowhere/at/all", SOON)?;
    board.send("\x15")?;
    board.send(&format!("{}\r", repo.display()))?;
    board.wait_for("#5", SOON)?;
    ensure!(daemon.client.repos().await?.len() == 1);
    // On GitHub a token is asked for first, and what is typed is not shown.
    let fresh = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    fresh.configure("");
    let _other = fresh.start().await;
    let mut board = crate::scene::board(&fresh, &[])?;
    board.wait_for("No repository is tracked yet", SOON)?;
    board.send("\racme/api\r")?;
    board.wait_for("GitHub's token, to track acme/api", SOON)?;
    board.send("ghp_secret")?;
    board.wait_for("**********", SOON)?;
    ensure!(!board.raw().windows(4).any(|w| w == b"ghp_"), "the token never reached the screen");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_without_a_daemon_offers_to_start_one_and_says_why_it_cannot() -> Result<()> {
    let dir = tempfile::Builder::new().prefix("df").tempdir_in("/tmp")?;
    let socket = dir.path().join("v1.sock").display().to_string();
    let home = dir.path().display().to_string();
    let env = [("DISPATCH_SOCKET", socket.as_str()), ("HOME", home.as_str())];
    let program = Path::new(env!("CARGO_BIN_EXE_test-dispatch"));
    let mut board = Pty::spawn(program, &["--no-spawn"], &env, (100, 30))?;
    board.wait_for("No daemon answers at", SOON)?;
    board.send("\r")?;
    // The thin program of the tests has no daemon beside it.
    board.wait_for("and there is no", SOON)?;
    board.send("q")?;
    ensure!(board.wait_for_end(SOON)? == 0);
    Ok(())
}
