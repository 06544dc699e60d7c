//! Everything that can be asked of the core, what it answers, and how it refuses.

use std::path::PathBuf;

use dispatch_shared::Timestamp;
use dispatch_shared::claim::{Attempt, Checkpoint};
use dispatch_shared::id::{AgentName, AgentRunId, ClaimId, IntentId, RepoKey, RunId};
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::grooming::GroomerRun;
use dispatch_shared::protocol::tasks::ReportRequest;
use dispatch_shared::run::{EndClass, RuntimeKind, Usage};
use dispatch_shared::task::TaskType;

use super::automation::{self, Stats};
use super::clerk::Paper;
use super::dispatch::Dispatch;
use super::grooming::{Decompose, Groom, MakeChildren, SetLane};
use super::record::{CardKey, Checked, ForgeKind, Mark, Source, Stray};
use super::seen::{SeenIssue, SeenPull, SeenRepo, SyncCursor};
use super::standing::Trouble;
use super::waits::SeenBlocker;
use super::work::Work;

/// Asks for a change. Commands are applied one after the other, each whole or not at all.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "commands are applied one by one, and the large one, a sync, is the one that comes most often"
)]
pub enum Command {
    /// Track a repository. Reply: [`Reply::Repo`].
    Track(Track),
    /// Stop tracking: history stays, live claims are revoked.
    Untrack {
        /// Which.
        repo: RepoKey,
        /// Who.
        actor: String,
    },
    /// Change a repository's switches.
    PatchRepo {
        /// Which.
        repo: RepoKey,
        /// Switch the runner.
        runner_enabled: Option<bool>,
        /// The WIP limit.
        wip_limit: Option<u32>,
        /// The lanes (ids or aliases) out of which work is handed out; empty is every claimable one.
        lanes: Option<Vec<String>>,
        /// Who.
        actor: String,
    },
    /// What a sync read. Reply: [`Reply::SyncRun`] if it is complete.
    Synced(Synced),
    /// Which issues the forge lists as the blockers of a card.
    Blockers {
        /// Which card.
        card: CardKey,
        /// The list, or why there is none.
        seen: Result<Vec<SeenBlocker>, String>,
    },
    /// A sync that failed: nothing it read before counts as gone. Reply: [`Reply::SyncRun`].
    SyncFailed {
        /// Which.
        repo: RepoKey,
        /// One sentence.
        error: String,
        /// What that says of the repository.
        trouble: Trouble,
        /// What it took all the same.
        stats: Option<Stats>,
    },
    /// About a forge's automation.
    Automation(automation::Ask),
    /// Select and claim the next task. Reply: [`Reply::Claimed`] or [`Reply::Idle`].
    Take(Take),
    /// Claim one card by name. Reply: [`Reply::Claimed`].
    Claim {
        /// Which.
        card: CardKey,
        /// For whom.
        agent: AgentName,
        /// Take it from whoever holds it.
        force: bool,
        /// Who asked.
        actor: String,
    },
    /// Give a claim back.
    Unclaim {
        /// Which card.
        card: CardKey,
        /// Whose claim; `None` is the operator's release of anybody's.
        agent: Option<AgentName>,
        /// The claim meant.
        claim: Option<ClaimId>,
        /// Who asked.
        actor: String,
    },
    /// Move a card to another column.
    Move {
        /// Which.
        card: CardKey,
        /// Where to.
        to: Status,
        /// The claim that the caller saw.
        claim: Option<ClaimId>,
        /// Who.
        actor: String,
    },
    /// Renew leases: one claim, or all of the agent's. Reply: [`Reply::Renewed`].
    Renew {
        /// Whose.
        agent: AgentName,
        /// The claim meant.
        claim: Option<ClaimId>,
        /// How far it is.
        checkpoint: Option<Checkpoint>,
    },
    /// What came of a task. Reply: [`Reply::Reported`].
    Report(Box<Report>),
    /// The built-in runner tells how its run goes.
    Run {
        /// Which.
        run: RunId,
        /// The fence: another attempt than the run's is refused.
        attempt: Attempt,
        /// What happened.
        step: RunStep,
    },
    /// End a run.
    Kill {
        /// Which.
        run: RunId,
        /// The attempt that the caller saw.
        attempt: Option<Attempt>,
        /// Skip the grace.
        now: bool,
        /// Who.
        actor: String,
    },
    /// Make the card of an ended run ready again, with failures counted from the start; a run by hand is started again.
    Retry {
        /// Which.
        run: RunId,
        /// Who.
        actor: String,
    },
    /// Answer the question of a blocked run: the card becomes ready, the answer goes into the next prompt; a run by hand
    /// is started again.
    Answer {
        /// Which.
        run: RunId,
        /// What to tell the agent.
        text: String,
        /// Who.
        actor: String,
    },
    /// Start a run by hand. Reply: [`Reply::Dispatched`].
    Dispatch(Box<Dispatch>),
    /// Let the next run that waits go ahead. Reply: [`Reply::Dispatched`], or [`Reply::Idle`] if none may.
    Proceed,
    /// About resumable work and what agents did.
    Work(Box<Work>),
    /// About the labels and the text of one card.
    Paper(Box<Paper>),
    /// A paused program may run again.
    ResumePool {
        /// Which.
        program: String,
        /// Who.
        actor: String,
    },
    /// What became of an intent.
    Intent {
        /// Which.
        id: IntentId,
        /// What.
        result: IntentResult,
    },
    /// Set an issue's lane.
    SetLane(SetLane),
    /// Carry out what a groomer decided. Reply: [`Reply::Groomed`].
    Groom(Box<Groom>),
    /// Keep a run of the hosted groomer that changed nothing. Reply: [`Reply::Groomed`].
    GroomerRun {
        /// The run.
        run: Box<GroomerRun>,
        /// Whether it was a failed attempt at its issue.
        counts: bool,
    },
    /// Say that an issue is split into others.
    Decompose(Decompose),
    /// Have the forge make children of an issue.
    MakeChildren(MakeChildren),
    /// Something about the PR-fix queue.
    Fix(Box<super::fix::ask::FixCommand>),
    /// Hand out nothing, or go on.
    Freeze {
        /// Whether to stop handing out.
        frozen: bool,
        /// Who.
        actor: String,
    },
    /// Somebody changed what lies outside the state (credentials): only the audit is told.
    Noted {
        /// The audit's word for it.
        action: &'static str,
        /// In words; no credential among them.
        notes: String,
        /// Who.
        actor: String,
    },
    /// Put right what contradicts, as far as the operator wants that. Reply: [`Reply::Reconciled`].
    Reconcile {
        /// Who.
        actor: String,
    },
    /// What is wrong with the forge's credentials now, all of it: whose, and in words.
    Troubled(std::collections::BTreeMap<String, String>),
    /// Why no run starts for want of disk, or that there is room again.
    Cramped(Option<String>),
    /// What is wrong with engines and images now, all of it: whose, and in words.
    Ailing(std::collections::BTreeMap<String, String>),
    /// What engines hold that belongs to no run, all of it that these engines hold; what others hold stays as it was.
    Strays {
        /// The engines that were asked.
        asked: Vec<RuntimeKind>,
        /// What they hold. When it was first seen is not asked of the sender.
        found: Vec<Stray>,
    },
    /// Time has passed: leases may have run out, pauses may be over. Reply: [`Reply::NextTick`].
    Tick {
        /// Leases that ran out before this are given this much longer (a suspend, a clock jump).
        grace_until: Option<Timestamp>,
    },
}

/// Track a repository.
#[derive(Clone, Debug)]
pub struct Track {
    /// What the forge said of it.
    pub seen: SeenRepo,
    /// Which forge.
    pub forge: ForgeKind,
    /// The working copy, for local.
    pub path: Option<PathBuf>,
    /// Who has it tracked.
    pub source: Source,
    /// Only the demo starts with it on.
    pub runner_enabled: bool,
    /// Who.
    pub actor: String,
}

/// What a sync read. Pages may come one by one; only the last one carries the cursor.
#[derive(Clone, Debug, Default)]
pub struct Synced {
    /// Which repository; must be tracked.
    pub repo: Option<RepoKey>,
    /// What the repository is called now, if that was read.
    pub seen: Option<SeenRepo>,
    /// When reading began: labels written by us since are newer than what was read.
    pub read_at: Option<Timestamp>,
    /// Issues, new or changed.
    pub issues: Vec<SeenIssue>,
    /// Pull requests, new or changed.
    pub pulls: Vec<SeenPull>,
    /// Issues that are not there any more: their files were deleted.
    pub gone: Vec<u64>,
    /// Issues that the forge says are not there (404, 410, transferred), while the repository is.
    pub denied: Vec<u64>,
    /// How far the read has come, so that one that breaks off goes on from there. Says nothing of freshness.
    pub resume: Option<SyncCursor>,
    /// Set when the sync is complete: the repository is fresh as of now.
    pub cursor: Option<SyncCursor>,
    /// What the whole of it took; kept as a sync run when it is complete.
    pub stats: Option<Stats>,
}

/// Select and claim.
#[derive(Clone, Debug)]
pub struct Take {
    /// For whom.
    pub agent: AgentName,
    /// Only this lane (an id or an alias).
    pub lane: Option<String>,
    /// Implement, or groom.
    pub kind: TaskType,
    /// Only these repositories; `None` is all.
    pub repos: Option<Vec<RepoKey>>,
    /// Return the agent's own live work first.
    pub resume: bool,
    /// Replays the live claim if the answer was lost.
    pub idempotency_key: Option<String>,
    /// Set by the built-in runner: a run is made with the claim.
    pub runner: bool,
    /// How many slots the agent may fill at once.
    pub slots: usize,
    /// Rules that do not count this time.
    pub lifted: super::rank::Lifted,
}

/// A report with what the forge said of the pull request it names.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who reports.
    pub agent: AgentName,
    /// The card, if the report names one.
    pub card: Option<CardKey>,
    /// As it came.
    pub request: ReportRequest,
    /// What was found on the forge.
    pub evidence: Evidence,
}

/// What the forge said when a report was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The outcome names no pull request.
    NotNeeded,
    /// It is there.
    Pull(Box<SeenPull>),
    /// Looked for and not there; the sentence says what was seen.
    Absent(String),
    /// The forge could not be asked; to be verified later.
    Unreachable(String),
}

/// How a run goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum RunStep {
    /// Workspace and prompt are being made.
    Preparing,
    /// The program was started, or its container was found again after a restart.
    Started {
        /// How.
        runtime: RuntimeKind,
        /// The container's name, or `pid N`.
        container: String,
    },
    /// Output came; at most one a few seconds. Renews nothing.
    Output {
        /// One line.
        last_event: String,
        /// So far.
        usage: Usage,
    },
    /// The program is over and the repository's checks run. What it did is absent where a daemon before this one had told.
    Verifying(Option<Box<Worked>>),
    /// The program goes on once more, for the checks failed; or begins anew, for its conversation could not be taken up.
    Again {
        /// What the checks said; `None` if it begins anew.
        checked: Option<Checked>,
        /// Where the logs stand.
        log: Mark,
    },
    /// Push, pull request, read-back.
    Publishing,
    /// It is over. Settles claim and card.
    Ended(Box<RunEnd>),
}

/// What a program did until it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Worked {
    /// Over all rounds of the run.
    pub usage: Usage,
    /// How often it asked its model, over all rounds.
    pub turns: u64,
    /// The program's own id of its conversation, and what that used in all where the program counts so.
    pub session: Option<(String, Option<Usage>)>,
    /// The model, as far as it told.
    pub model: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i32>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEnd {
    /// The class.
    pub class: EndClass,
    /// One sentence for a person.
    pub reason: Option<String>,
    /// The program's exit code.
    pub exit_code: Option<i32>,
    /// The content of `BLOCKED.md`.
    pub question: Option<String>,
    /// In all.
    pub usage: Usage,
    /// Not to be tried again before, if that is known.
    pub retry_at: Option<Timestamp>,
    /// The program's own id of its conversation, and what that used in all where the program counts so.
    pub session: Option<(String, Option<Usage>)>,
    /// The pull request as read back from the forge after publishing.
    pub pull: Option<Box<SeenPull>>,
    /// What the repository's checks said last.
    pub checked: Option<Checked>,
}

/// What became of trying to carry out an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntentResult {
    /// Done.
    Done {
        /// The issue as read back.
        live: Box<SeenIssue>,
        /// What of it somebody else had done already.
        same: Vec<String>,
    },
    /// A person changed the status, or closed or reopened the issue, since; nothing was written.
    Superseded {
        /// The issue as it was looked at.
        live: Box<SeenIssue>,
        /// Labels that had been taken away since the change was decided; those that are there were put back.
        took: Vec<String>,
    },
    /// A child issue is there.
    Created {
        /// The child.
        child: Box<SeenIssue>,
        /// Why its parent's text does not name it.
        unlinked: Option<String>,
    },
    /// The forge said no (403, 404, 422).
    Refused {
        /// What it said.
        why: String,
        /// The issue as it was looked at afterwards, if something may have been written before the refusal.
        live: Option<Box<SeenIssue>>,
        /// What of it somebody else had done already.
        same: Vec<String>,
    },
    /// Not now: try again not before the time given.
    Later {
        /// When.
        due: Timestamp,
        /// Why.
        error: String,
        /// Labels that this try is known to have put there.
        wrote: Vec<String>,
        /// Whether it may have written anything.
        touched: bool,
        /// What somebody else had done already.
        same: Vec<String>,
    },
}

impl IntentResult {
    /// Refused before anything was written.
    #[must_use]
    pub fn refused(why: impl Into<String>) -> Self {
        IntentResult::Refused { why: why.into(), live: None, same: Vec::new() }
    }
}

/// What a command answers, once it is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Done.
    Done,
    /// The repository.
    Repo(RepoKey),
    /// A claim was made, or the live one is returned again.
    Claimed {
        /// The claim.
        claim: ClaimId,
        /// The runner's run.
        run: Option<RunId>,
        /// It was there already: nothing changed.
        repeated: bool,
    },
    /// A run was started by hand, or goes ahead.
    Dispatched {
        /// The run.
        run: RunId,
        /// What it waits for, in words; `None` if it goes ahead.
        waits_for: Option<String>,
    },
    /// Nothing to hand out.
    Idle,
    /// It was taken in before: nothing changed.
    Repeated,
    /// The claims that were renewed.
    Renewed(Vec<ClaimId>),
    /// A report was accepted; the answer as JSON, and whether it is the stored one.
    Reported {
        /// The answer.
        answer: String,
        /// A repeat.
        duplicate: bool,
    },
    /// A groomer's decision was taken.
    Groomed {
        /// Whether a comment is being written.
        commented: bool,
        /// The number of the run that was kept.
        run: Option<u64>,
    },
    /// A read of a forge was kept, under this number.
    SyncRun(u64),
    /// What an agent did was recorded.
    AgentRun(AgentRunId),
    /// How many cards were put right.
    Reconciled(usize),
    /// When to tick next; `None` if nothing is due.
    NextTick(Option<Timestamp>),
}

/// Why a command was refused. Nothing was changed. What a person reads is the sentence inside; the API maps the kind to
/// a status and a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// No such lane.
    #[error("{0}")]
    UnknownLane(String),
    /// No such thing.
    #[error("{0}")]
    NotFound(String),
    /// The issue is closed.
    #[error("{0}")]
    Closed(String),
    /// Somebody else holds it.
    #[error("{0}")]
    Held(String),
    /// The claim or attempt named is not the live one.
    #[error("{0}")]
    Stale(String),
    /// The claim was taken away by a person.
    #[error("{0}")]
    Revoked(String),
    /// Not possible from the present state.
    #[error("{0}")]
    Illegal(String),
    /// The idempotency key was used with another payload.
    #[error("{0}")]
    KeyReused(String),
    /// It is there already.
    #[error("{0}")]
    Exists(String),
    /// The forge does not show what the report says.
    #[error("{0}")]
    NotVerified(String),
}
