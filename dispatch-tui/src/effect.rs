//! What `update` wants done outside of the model. The runtime carries it out and answers with a message.

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::{ClaimId, IssueId, RepoName, RunId};
use dispatch_shared::issue::Status;

use crate::model::activity::Ask;
use crate::model::log::Kind;
use crate::model::options::Options;

/// Where a log is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// So many bytes before the end, then on.
    Tail(u64),
    /// This byte, then on.
    Byte(u64),
}

/// Text that is not to be seen in any output.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub(crate) String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
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
    /// Let the operator's editor have the text, and the terminal meanwhile.
    Edit(String),
    /// Keep something from one board to the next.
    Keep(Keep),
    /// Dress the board in the look that is chosen now.
    Dress,
    /// Tell the operator, who looks elsewhere, that something needs them.
    Notify {
        title: String,
        body: String,
    },
    /// Start the daemon that stands beside this program.
    StartDaemon,
    /// Track a directory or `owner/name`, with a token for GitHub if one was asked for.
    Track {
        what: String,
        token: Option<Hidden>,
    },
    /// Make the labels that are missing.
    EnsureLabels(RepoName),
    /// Ask for the whole state again, now.
    Resync,
    /// One card with its body, and why it is or is not next.
    LoadCard(IssueId),
    /// The queue.
    LoadQueue,
    /// Why one card is or is not next.
    LoadWhy(IssueId),
    /// Agents and stale cards.
    LoadOverview,
    /// Rows of the audit.
    LoadAudit(Ask),
    /// So many of the newest things that happened on the forges.
    LoadFeed(usize),
    /// So many of the newest runs.
    LoadRuns(usize),
    /// All that is known of a repository.
    LoadRepo(RepoName),
    /// Run a forge's run again.
    Rerun {
        repo: RepoName,
        run: String,
    },
    /// Start a forge's workflow.
    StartWorkflow {
        repo: RepoName,
        workflow: String,
        git_ref: Option<String>,
        inputs: Vec<(String, String)>,
    },
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
        /// Its lease had run out, so that this can be taken back.
        lapsed: bool,
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
    /// Change something by hand; whether that takes an earlier change back.
    Write {
        write: Write,
        undoes: bool,
    },
    Sync(Option<RepoName>),
    /// Read a log and follow it; replaces the one that is being followed.
    FollowLog {
        run: RunId,
        kind: Kind,
        from: From,
    },
    /// Read the bytes `from..to` of a log once.
    ReadLog {
        run: RunId,
        kind: Kind,
        from: u64,
        to: u64,
    },
    /// Look for text in a log, backwards from the byte `before`.
    FindLog {
        run: RunId,
        kind: Kind,
        needle: String,
        before: u64,
    },
    /// Stop following.
    CloseLog,
    /// A run's diff.
    LoadDiff(RunId),
}

/// What is kept on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// A filter under a name; none forgets it.
    Filter {
        name: String,
        filter: Option<String>,
    },
    Options(Options),
}

/// A change by hand, told so that it can be said and taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// The labels taken off, and the one put on.
    Priority {
        issue: IssueId,
        off: Vec<String>,
        on: Option<String>,
    },
    Label {
        issue: IssueId,
        label: String,
        there: bool,
    },
    Lane {
        issue: IssueId,
        from: String,
        to: String,
    },
    Comment {
        issue: IssueId,
        body: String,
    },
    /// The card is split into others.
    Note {
        issue: IssueId,
        note: String,
    },
    Block {
        issue: IssueId,
        reason: String,
    },
    ResetReady(IssueId),
    Refresh(IssueId),
    /// The failed workflows on this commit run again.
    Rerun {
        issue: IssueId,
        repo: RepoName,
        sha: String,
    },
    Start {
        issue: IssueId,
        repo: RepoName,
        number: u64,
        program: Option<String>,
        task: String,
    },
    Freeze(bool),
    Runner {
        repo: RepoName,
        on: bool,
    },
    WipLimit {
        repo: RepoName,
        from: u32,
        to: u32,
    },
    /// The lanes that a repository hands out from; none is all.
    Lanes {
        repo: RepoName,
        from: Vec<String>,
        to: Vec<String>,
    },
    Untrack(RepoName),
}

/// One of several things done at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Call(Effect),
    Shift { issue: IssueId, from: Status, to: Status },
    Hide(String),
}
