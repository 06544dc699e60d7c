//! Claims: a lease and a fence.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::claim::{Attempt, Checkpoint};
use dispatch_shared::id::{AgentName, ClaimId, RunId};
use dispatch_shared::task::{Outcome, TaskType};
use serde::{Deserialize, Serialize};

use super::CardKey;

/// Where a claim stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimState {
    /// Live.
    Held,
    /// Ended by a report.
    Finished(Outcome),
    /// Given back, and by whom.
    Released(String),
    /// The lease ran out.
    Expired,
    /// Taken away, and why.
    Revoked(String),
}

/// Which PR-fix item a claim is about, at which generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOut {
    /// The pull request's number, in the claim's repository.
    pub pr: u64,
    /// The item's generation when it was handed out.
    pub generation: u64,
}

/// A claim with its lease and its fence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Its id.
    pub id: ClaimId,
    /// The card.
    pub card: CardKey,
    /// Who holds it.
    pub agent: AgentName,
    /// What kind of work.
    pub kind: TaskType,
    /// The fence.
    pub attempt: Attempt,
    /// Since when.
    pub claimed_at: Timestamp,
    /// Until when, unless renewed.
    pub expires_at: Timestamp,
    /// By how much a renewal reaches beyond now.
    pub lease: Duration,
    /// Where it stands.
    pub state: ClaimState,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How far the worker says it is.
    pub checkpoint: Option<Checkpoint>,
    /// The built-in runner's run.
    pub run: Option<RunId>,
    /// The taker's key, so that a lost answer can be asked for again.
    pub idempotency_key: Option<String>,
    /// The issue's updated_at when it was taken, to tell `issueChanged`.
    pub issue_seen: Timestamp,
    /// The hand-out of a PR-fix item that this claim is.
    #[serde(default)]
    pub fix: Option<HandOut>,
    /// The linked pull request's head when it was taken, to tell whether `pr_updated` moved it.
    pub head_seen: Option<String>,
    /// Why the card stood where it stood when it was taken.
    #[serde(default)]
    pub ranking: Option<String>,
    /// How long was worked on its card before it.
    #[serde(default)]
    pub before: Duration,
    /// What its worker told of its progress.
    #[serde(default)]
    pub notes: crate::core::work::Notes,
}

/// Who takes what, for how long: what every claim begins with.
#[derive(Clone, Debug)]
pub struct Taking {
    /// Its id.
    pub id: ClaimId,
    /// The card.
    pub card: CardKey,
    /// Who takes it.
    pub agent: AgentName,
    /// What kind of work.
    pub kind: TaskType,
    /// The fence.
    pub attempt: Attempt,
    /// How long it is held unless renewed.
    pub lease: Duration,
}

impl Claim {
    /// A claim that is held from `now` on, without anything told yet.
    #[must_use]
    pub fn taken(taking: Taking, now: Timestamp) -> Self {
        let Taking { id, card, agent, kind, attempt, lease } = taking;
        Self {
            id,
            card,
            agent,
            kind,
            attempt,
            lease,
            claimed_at: now,
            expires_at: now + lease,
            state: ClaimState::Held,
            ended_at: None,
            checkpoint: None,
            run: None,
            idempotency_key: None,
            issue_seen: now,
            fix: None,
            head_seen: None,
            ranking: None,
            before: Duration::ZERO,
            notes: crate::core::work::Notes::default(),
        }
    }

    /// Whether it is live.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state == ClaimState::Held
    }
}
