//! Work that can be resumed: what a claim remembers of its worker's progress, how that reads on the wire, and the
//! commands about it.
//!
//! There is one lease record, the [`Claim`]; what `agent-work` calls work is the same record seen from its worker's side.

use dispatch_shared::Timestamp;
use dispatch_shared::claim::{Checkpoint, WorkState};
use dispatch_shared::id::{AgentName, AgentRunId, ClaimId, IssueId};
use dispatch_shared::task::Outcome;
use serde::{Deserialize, Serialize};

use super::command::Evidence;
use super::record::{CardKey, Claim, ClaimState};

/// What a worker told of its progress. Belongs to one claim; the next claim on the card starts without.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// The last renewal.
    pub renewed_at: Option<Timestamp>,
    /// The last checkpoint that was no block.
    pub reached: Option<Checkpoint>,
    /// What it said last.
    pub summary: Option<String>,
    /// What it waits for.
    pub blocker: Option<String>,
    /// The branch it works on.
    pub branch: Option<String>,
    /// What it calls its own run.
    pub run: Option<String>,
}

/// What is asked about work.
#[derive(Clone, Debug)]
pub enum Work {
    /// Begin: claim the card, or go on with what is held. Reply: [`Claimed`](super::command::Reply::Claimed).
    Start {
        /// Who.
        agent: AgentName,
        /// Which card; none is the agent's newest claim, else the next task.
        card: Option<CardKey>,
        /// What the worker calls its run.
        run: Option<String>,
        /// The branch.
        branch: Option<String>,
        /// How many claims the agent may hold at once.
        slots: usize,
        /// Who asked.
        actor: String,
    },
    /// How far it is; renews. Reply: [`Renewed`](super::command::Reply::Renewed) with the one claim.
    Checkpoint {
        /// Which claim.
        of: Which,
        /// How far.
        checkpoint: Checkpoint,
        /// What the worker says.
        summary: Option<String>,
        /// What it waits for; needed for a block.
        blocker: Option<String>,
        /// The branch.
        branch: Option<String>,
    },
    /// It is over. Reply: [`Renewed`](super::command::Reply::Renewed) with the one claim, now ended.
    Finish {
        /// Which claim.
        of: Which,
        /// Done, blocked or released.
        state: WorkState,
        /// What the worker says.
        summary: Option<String>,
        /// The pull request that was looked for on the forge.
        evidence: Evidence,
    },
    /// The worker lives: renews like [`Renew`](super::command::Command::Renew) and records an agent run.
    Beat {
        /// Who.
        agent: AgentName,
        /// The claim meant; none means all of the agent's.
        claim: Option<ClaimId>,
    },
    /// An operator takes work away. Reply: [`Renewed`](super::command::Reply::Renewed) with the claims that ended.
    Release {
        /// Which.
        claims: Vec<ClaimId>,
        /// Why.
        reason: String,
        /// Who.
        actor: String,
    },
    /// Something to be remembered in the list of agent runs. Reply:
    /// [`AgentRun`](super::command::Reply::AgentRun).
    Record(AgentRun),
}

/// A claim of an agent: named, by its card, or the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    /// Whose.
    pub agent: AgentName,
    /// The claim itself.
    pub claim: Option<ClaimId>,
    /// Or its card.
    pub card: Option<CardKey>,
}

/// One thing that an agent did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRun {
    /// Given when it is recorded.
    pub id: AgentRunId,
    /// Who; free text, for not everything that runs has an agent's name.
    pub agent: String,
    /// `heartbeat`, `implement`, `sync`…
    pub kind: String,
    /// `completed`, `failed`, `ok`…
    pub status: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// One paragraph.
    pub summary: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// What came of it.
    pub outcome: Option<String>,
    /// The issues it touched.
    pub urls: Vec<String>,
    /// The issue it was about.
    pub issue: Option<IssueId>,
    /// When it was recorded.
    pub created_at: Timestamp,
}

impl AgentRun {
    /// A run of `agent` that begins and is recorded at `now`; the rest is empty.
    #[must_use]
    pub fn new(agent: &str, kind: &str, status: &str, now: Timestamp) -> Self {
        Self {
            id: AgentRunId(0),
            agent: agent.to_owned(),
            kind: kind.to_owned(),
            status: status.to_owned(),
            started_at: now,
            finished_at: None,
            summary: None,
            error: None,
            outcome: None,
            urls: Vec::new(),
            issue: None,
            created_at: now,
        }
    }
}

/// Where a piece of work stands.
#[must_use]
pub fn state(claim: &Claim) -> WorkState {
    match &claim.state {
        ClaimState::Held if claim.checkpoint == Some(Checkpoint::Blocked) => WorkState::Blocked,
        ClaimState::Held if claim.checkpoint.is_none_or(|c| c == Checkpoint::Claimed) => WorkState::Claimed,
        ClaimState::Held => WorkState::InProgress,
        ClaimState::Finished(Outcome::Blocked) => WorkState::Blocked,
        ClaimState::Finished(_) => WorkState::Done,
        ClaimState::Released(_) | ClaimState::Revoked(_) => WorkState::Released,
        ClaimState::Expired => WorkState::Stale,
    }
}

/// What to do after a checkpoint.
#[must_use]
pub fn next_action(checkpoint: Checkpoint) -> &'static str {
    match checkpoint {
        Checkpoint::Claimed => "prepare_repo",
        Checkpoint::RepoPrepared => "create_branch",
        Checkpoint::BranchCreated => "continue_changes",
        Checkpoint::ChangesMade => "run_validation",
        Checkpoint::TestsRunning => "open_pr",
        Checkpoint::PrOpened => "check_pr_status",
        Checkpoint::Done | Checkpoint::Blocked => "finish_or_block",
    }
}

/// How far resumable work is, as `active-work` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Claimed, perhaps checked out.
    IssueClaimed,
    /// A branch is there.
    BranchCreated,
    /// Files are changed, perhaps checked.
    ChangesMade,
    /// A pull request is there.
    PrOpened,
    /// Somebody or something wants the pull request changed.
    FeedbackReceived,
    /// Nothing is left to do but to say so.
    WorkComplete,
}

impl Stage {
    /// The stage of work whose last checkpoint is `reached`; `feedback` says that follow-up signals stand.
    #[must_use]
    pub fn of(reached: Option<Checkpoint>, feedback: bool) -> Self {
        if feedback {
            return Stage::FeedbackReceived;
        }
        match reached {
            None | Some(Checkpoint::Claimed | Checkpoint::RepoPrepared | Checkpoint::Blocked) => {
                Stage::IssueClaimed
            }
            Some(Checkpoint::BranchCreated) => Stage::BranchCreated,
            Some(Checkpoint::ChangesMade | Checkpoint::TestsRunning) => Stage::ChangesMade,
            Some(Checkpoint::PrOpened) => Stage::PrOpened,
            Some(Checkpoint::Done) => Stage::WorkComplete,
        }
    }

    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Stage::IssueClaimed => "issue_claimed",
            Stage::BranchCreated => "branch_created",
            Stage::ChangesMade => "changes_made",
            Stage::PrOpened => "pr_opened",
            Stage::FeedbackReceived => "feedback_received",
            Stage::WorkComplete => "work_complete",
        }
    }

    /// What to do next.
    #[must_use]
    pub fn next_action(self) -> &'static str {
        match self {
            Stage::IssueClaimed => "inspect_issue",
            Stage::BranchCreated => "continue_changes",
            Stage::ChangesMade => "open_pr",
            Stage::PrOpened => "check_pr_status",
            Stage::FeedbackReceived => "address_pr_feedback",
            Stage::WorkComplete => "finish_or_block",
        }
    }
}

/// When a task began, as its worker says: a full ISO-8601 time with a zone, not in the future, at most 24 hours old. What
/// is anything else does not count, and `now` does.
#[must_use]
pub fn started_at(said: Option<&str>, now: Timestamp) -> Timestamp {
    const OLDEST: std::time::Duration = std::time::Duration::from_secs(86_400);
    said.and_then(|text| Timestamp::parse(text).ok())
        .filter(|at| *at <= now && now.since(*at) <= OLDEST)
        .unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_read_in_lower_case_with_what_comes_next() {
        use Checkpoint as C;
        for (reached, word, next) in [
            (None, "issue_claimed", "inspect_issue"),
            (Some(C::Claimed), "issue_claimed", "inspect_issue"),
            (Some(C::RepoPrepared), "issue_claimed", "inspect_issue"),
            (Some(C::BranchCreated), "branch_created", "continue_changes"),
            (Some(C::ChangesMade), "changes_made", "open_pr"),
            (Some(C::TestsRunning), "changes_made", "open_pr"),
            (Some(C::PrOpened), "pr_opened", "check_pr_status"),
            (Some(C::Done), "work_complete", "finish_or_block"),
        ] {
            let stage = Stage::of(reached, false);
            assert_eq!((stage.word(), stage.next_action()), (word, next), "{reached:?}");
        }
        let stage = Stage::of(Some(C::PrOpened), true);
        assert_eq!((stage.word(), stage.next_action()), ("feedback_received", "address_pr_feedback"));
    }

    #[test]
    fn the_start_is_believed_within_a_day() {
        let now = Timestamp::parse("2026-11-20T10:00:00Z").unwrap();
        let at = |text: &str| started_at(Some(text), now);
        assert_eq!(at("2026-11-20T10:30:00+01:00"), Timestamp::parse("2026-11-20T09:30:00Z").unwrap());
        assert_eq!(at("2026-11-19T10:00:00Z"), Timestamp::parse("2026-11-19T10:00:00Z").unwrap());
        for no in
            ["2026-11-19T09:59:59Z", "2026-11-20T10:00:01Z", "2026-11-20T09:00:00", "2026-11-20", "", "soon"]
        {
            assert_eq!(at(no), now, "{no:?}");
        }
        assert_eq!(started_at(None, now), now);
    }
}
