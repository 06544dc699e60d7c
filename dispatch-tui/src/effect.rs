//! What `update` wants done outside of the model. The runtime carries it out and answers with a message.

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::{ClaimId, IssueId, RepoName, RunId};
use dispatch_shared::issue::Status;

/// Where a log is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// So many bytes before the end, then on.
    Tail(u64),
    /// This byte, then on.
    Byte(u64),
}

/// One wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Leave.
    Quit,
    /// Give the terminal back to the shell until it brings us to the front again.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Take or free the mouse.
    Mouse(bool),
    /// Put text into the terminal's clipboard.
    Copy(String),
    /// Ask for the whole state again, now.
    Resync,
    /// One card with its body, and why it is or is not next.
    LoadCard(IssueId),
    /// The queue.
    LoadQueue,
    /// Move a card; `claim` guards against a change of hands.
    Move {
        issue: IssueId,
        to: Status,
        claim: Option<ClaimId>,
    },
    /// Claim a card for an agent.
    Claim {
        issue: IssueId,
        agent: String,
        force: bool,
    },
    /// End a claim.
    Release {
        issue: IssueId,
        agent: String,
        claim: ClaimId,
    },
    Retry(RunId),
    Kill {
        run: RunId,
        attempt: Attempt,
        now: bool,
    },
    Answer {
        run: RunId,
        text: String,
    },
    /// Let a paused pool go on.
    Resume(String),
    Freeze(bool),
    Sync(Option<RepoName>),
    /// Read a log and follow it; replaces the one that is being followed.
    FollowLog {
        run: RunId,
        from: From,
    },
    /// Read the bytes `from..to` of a log once.
    OlderLog {
        run: RunId,
        from: u64,
        to: u64,
    },
    /// Stop following.
    CloseLog,
    /// A run's diff.
    LoadDiff(RunId),
}
