//! The daemon goes and comes back while it is looked at.

use color_eyre::eyre::{Result, ensure};
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::issues::MoveRequest;

use crate::scene::{SOON, board, card, daemon};

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_board_was_cut_off_is_on_it_afterwards() -> Result<()> {
    let (place, mut daemon) = daemon(false).await?;
    daemon.client.freeze(true).await?;
    let mut board = board(&place, &[])?;
    board.wait_for("#5", SOON)?;
    for (to, heading) in [(Status::Ready, "ready "), (Status::Backlog, "backlog "), (Status::Ready, "ready ")]
    {
        // Killed in the middle of it all, while keys are pressed.
        board.send("jjkk")?;
        daemon.kill();
        board.wait_for("stale", SOON)?;
        ensure!(board.text().contains("#5"), "what is shown stays");
        daemon = place.start().await;
        let issue = card(&daemon, 5).await?.issue_id;
        let status = Some(to.word().to_owned());
        let request = MoveRequest { issue: IssueRef::id(&issue), status, ..MoveRequest::default() };
        daemon.client.move_issue(&request).await?;
        board.wait_until(&format!("#5 under {heading}and live"), SOON, |s| {
            let text = s.contents();
            let column = text.lines().skip(2).find_map(|l| l.to_lowercase().find(heading));
            // Marks are one column each, and more bytes.
            let card = text.lines().find_map(|l| l.find("#5 ").map(|at| l[..at].chars().count()));
            text.contains("  live") && column.zip(card).is_some_and(|(a, b)| b >= a && b < a + 12)
        })?;
    }
    Ok(())
}
