//! PR-fix items: pull requests that need work again, one item for each, with everything that decides who gets it when.
//!
//! - here: the record as it lies in the store; [`index`]: its place in the world.
//! - [`rules`]: what happens to one item, as pure functions on it; [`pick`]: which item is next for whom.
//! - [`health`]: what was seen of a pull request; [`signal`]: from that to the reasons for an item; [`look`]: which pull
//!   requests are looked at when; [`excerpt`]: what of a failed job's log is read.
//! - [`ask`]: what can be asked.

pub mod ask;
pub mod excerpt;
pub mod health;
pub mod index;
pub mod look;
pub mod pick;
pub mod reported;
pub mod rules;
pub mod signal;
pub mod task;
pub mod view;

use dispatch_shared::Timestamp;
use dispatch_shared::claim::Attempt;
use dispatch_shared::followup::{FixStatus, FixType};
use dispatch_shared::id::{AgentName, ClaimId, RepoKey};
use dispatch_shared::protocol::followup::{FeedbackItem, FixEntry};
use serde::{Deserialize, Serialize};

use super::record::CardKey;

/// The lane of items for the best models where no lane with the role `escalation` is configured.
pub const ESCALATED: &str = "ESCALATED";

/// Names an item: repository and pull request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FixKey {
    /// The repository.
    pub repo: RepoKey,
    /// The pull request's number.
    pub pr: u64,
}

impl FixKey {
    /// The id on the wire.
    #[must_use]
    pub fn id(&self) -> String {
        format!("fix-{}-{}", self.repo, self.pr)
    }

    /// Takes the id apart again; `None` if it is none.
    #[must_use]
    pub fn read(id: &str) -> Option<Self> {
        let (repo, pr) = id.strip_prefix("fix-")?.rsplit_once('-')?;
        (!repo.is_empty()).then_some(())?;
        Some(Self { repo: RepoKey::new(repo), pr: pr.parse().ok()? })
    }

    /// The pull request as the subject of a claim, where no issue is linked: on every forge issues and pull requests
    /// share one row of numbers.
    #[must_use]
    pub fn subject(&self) -> CardKey {
        CardKey { repo: self.repo.clone(), number: self.pr }
    }
}

/// Something that speaks for work on a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Where it comes from, `{eventType}:{repo}#{pr}:{sourceId}`; never empty.
    pub keys: Vec<String>,
    /// Its kind.
    pub fix_type: FixType,
    /// In words.
    pub reason: String,
    /// What was said.
    #[serde(default)]
    pub feedback: Vec<FeedbackItem>,
    /// The commit that it is about, if it is about one: after a push it says nothing any more.
    #[serde(default)]
    pub head: Option<String>,
}

/// What was last observed of a pull request's health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// When it was looked at.
    pub at: Timestamp,
    /// The commit at its head.
    pub head: String,
    /// What speaks for work, in words; empty if nothing does.
    pub reasons: Vec<String>,
    /// The evidence keys of that.
    #[serde(default)]
    pub keys: Vec<String>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// Its name.
    pub key: FixKey,
    /// The linked issue, as named or found.
    pub issue: Option<u64>,
    /// The branch.
    pub branch: Option<String>,
    /// Where a person reads it.
    pub url: Option<String>,
    /// One line.
    pub title: Option<String>,
    /// Login of the pull request's author.
    pub author: Option<String>,
    /// The lane asked for, as configured; `None` is that of the linked card.
    pub lane: Option<String>,
    /// Where it stands.
    pub status: FixStatus,
    /// The most urgent kind.
    pub fix_type: FixType,
    /// In words.
    pub reason: String,
    /// What was said, oldest first, bounded.
    pub feedback: Vec<FeedbackItem>,
    /// Every evidence key that was seen, oldest first, bounded.
    pub evidence: Vec<String>,
    /// The head as last known.
    pub head: Option<String>,
    /// The heads that a push has to move away from: those known when this generation was queued.
    pub base_heads: Vec<String>,
    /// The fence.
    pub generation: u64,
    /// Attempts that were answered, over all generations, since an operator last requeued it.
    pub attempts: u32,
    /// The highest attempt handed out on the pull request itself.
    pub attempt: Attempt,
    /// Since when it waits.
    pub queued_at: Timestamp,
    /// The last change.
    pub updated_at: Timestamp,
    /// The live hand-out.
    pub claim: Option<ClaimId>,
    /// Who had this generation.
    pub handed: Vec<AgentName>,
    /// Hand-outs of this generation that ran out without an answer.
    pub unanswered: u32,
    /// What came in during a hand-out, for the next.
    pub kept: Vec<News>,
    /// Said to be fixed while the forge could not be asked; since then.
    pub unverified: Option<Timestamp>,
    /// Whether blocking it put the label on the linked card.
    pub flagged: bool,
    /// What was last observed.
    #[serde(default)]
    pub observed: Option<Observed>,
    /// What made it wait that no look has seen yet, by evidence key: a remark that only a webhook told, or what somebody
    /// enqueued. Looks cannot tell that such a thing is gone.
    #[serde(default)]
    pub unseen: Vec<String>,
    /// Its life, oldest first, bounded.
    pub history: Vec<FixEntry>,
}

/// A webhook delivery that was taken in; the numbers only grow, and the row is written over by the one that comes
/// [`DELIVERIES_KEPT`] later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Which, counted from 1.
    pub n: u64,
    /// The forge's id of it.
    pub id: String,
    /// When.
    pub at: Timestamp,
}

/// How many deliveries are remembered.
pub const DELIVERIES_KEPT: u64 = 8_192;

/// The operator's choices about follow-ups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixPolicy {
    /// Attempts before a person is asked.
    pub max_attempts: u32,
    /// How often a hand-out of one generation may come back unanswered.
    pub max_unanswered: u32,
    /// Logins whose pull requests count.
    pub bot_identities: Vec<String>,
    /// First parts of branches (`saffron` for `saffron/…`) whose pull requests count.
    pub branch_owners: Vec<String>,
}

impl Default for FixPolicy {
    fn default() -> Self {
        Self { max_attempts: 5, max_unanswered: 3, bot_identities: Vec::new(), branch_owners: Vec::new() }
    }
}
