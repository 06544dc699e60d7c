//! What a run shows of itself: log, events, diff, phases; and a log that is far larger than memory should be.

use std::io::{Seek as _, SeekFrom, Write as _};

use color_eyre::eyre::{Result, ensure};
use dispatch_shared::issue::Status;
use dispatch_tests::daemon::wait_until;

use crate::scene::{ESC, SOON, board, card, daemon, go, resident};

#[tokio::test(flavor = "multi_thread")]
async fn the_panes_of_a_run_and_a_log_of_a_gigabyte() -> Result<()> {
    let (place, daemon) = daemon(true).await?;
    let done = wait_until("#4 to be in review", SOON, async || {
        card(&daemon, 4).await.ok().filter(|c| c.column == Status::InReview)
    })
    .await;
    daemon.client.freeze(true).await?;
    let run = wait_until("its run to be over", SOON, async || {
        let run = daemon.client.run(done.last_run?).await.ok()?;
        run.ended.then_some(run)
    })
    .await;
    let mut board = board(&place, &[])?;
    board.wait_for("live", SOON)?;
    go(&mut board, 4)?;
    board.send("o")?;
    board.wait_for("[o Log]", SOON)?;
    board.wait_for("end of the log", SOON)?;
    board.send("e")?;
    board.wait_for("[e Events]", SOON)?;
    board.wait_for("end of the log", SOON)?;
    board.send("d")?;
    board.wait_for("diff --git", SOON)?;
    board.wait_for("file 1 of", SOON)?;
    board.send("P")?;
    board.wait_for("publishing", SOON)?;
    board.wait_for("succeeded", SOON)?;
    board.send(ESC)?;
    board.wait_until("the board", SOON, |s| !s.contents().contains("[P Phases]"))?;

    // The log grows to a gigabyte, most of it a hole in the file.
    let path = place.state().join("runs").join(run.id.to_string()).join("raw.log");
    let mut log = std::fs::OpenOptions::new().read(true).write(true).open(&path)?;
    log.seek(SeekFrom::End(0))?;
    log.write_all(b"\na needle in the hay\n")?;
    log.set_len(1 << 30)?;
    log.seek(SeekFrom::End(0))?;
    for n in 0..2_000 {
        writeln!(log, "line {n} of the tail")?;
    }
    writeln!(log, "the very last line")?;
    let before = resident(&board)?;
    board.send("o")?;
    board.wait_for("the very last line", SOON)?;
    board.send("\x1b[5~\x1b[5~\x1b[5~")?;
    board.wait_for("99%", SOON)?;
    board.send("g")?;
    board.wait_for("at 0B of", SOON)?;
    board.send("G")?;
    board.wait_for("the very last line", SOON)?;
    let after = resident(&board)?;
    ensure!(after < before + 60_000, "{before} kB before, {after} kB after reading a log of a gigabyte");
    Ok(())
}
