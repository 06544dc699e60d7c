//! What can be asked of the PR-fix queue.

use dispatch_shared::Timestamp;
use dispatch_shared::followup::FixStatus;
use dispatch_shared::id::{AgentName, ClaimId, RepoKey};

use super::health::Health;
use super::{FixKey, News};
use crate::core::command::Evidence;

/// One command on an item.
#[derive(Clone, Debug)]
pub enum FixCommand {
    /// Put news to an item, or make one.
    Enqueue(Enqueue),
    /// Say where it stands.
    Mark {
        /// Which.
        key: FixKey,
        /// What the caller goes by.
        by: By,
        /// Where to.
        status: FixStatus,
        /// In words.
        note: Option<String>,
        /// For fixed: what the forge shows of the pull request.
        evidence: Evidence,
    },
    /// A fresh attempt, by a person's word.
    Requeue {
        /// Which.
        key: FixKey,
        /// What the caller goes by.
        by: By,
        /// Another lane.
        lane: Option<String>,
        /// In words.
        note: Option<String>,
    },
    /// Hand it to an agent by name. Reply: [`Reply::Claimed`](crate::core::command::Reply::Claimed).
    Ack {
        /// Which.
        key: FixKey,
        /// To whom.
        agent: AgentName,
        /// The generation that the caller saw.
        generation: Option<u64>,
    },
    /// What was observed of a pull request.
    Observe {
        /// Where.
        repo: RepoKey,
        /// What.
        health: Box<Health>,
        /// When the look began.
        at: Timestamp,
    },
    /// A webhook delivery: its news, once. Reply: [`Reply::Repeated`](crate::core::command::Reply::Repeated) if it was seen
    /// before.
    Deliver {
        /// The forge's id of it.
        id: String,
        /// What it says, for items.
        news: Vec<Enqueue>,
    },
}

/// Who changes an item, and what they saw of it.
#[derive(Clone, Debug)]
pub struct By {
    /// For the audit.
    pub actor: String,
    /// The agent, if it is one: another's hand-out it may not settle.
    pub agent: Option<AgentName>,
    /// The generation that was seen.
    pub generation: Option<u64>,
    /// The claim meant.
    pub claim: Option<ClaimId>,
}

/// News for an item.
#[derive(Clone, Debug)]
pub struct Enqueue {
    /// Which.
    pub key: FixKey,
    /// What speaks for it.
    pub news: News,
    /// A tier or a lane's id.
    pub lane: Option<String>,
    /// The linked issue, if the caller knows.
    pub issue: Option<u64>,
    /// The branch, if the caller knows.
    pub branch: Option<String>,
    /// The address, if the caller knows.
    pub url: Option<String>,
    /// The title, if the caller knows.
    pub title: Option<String>,
    /// The author, if the caller knows.
    pub author: Option<String>,
    /// For the audit.
    pub actor: String,
    /// Whether the pull request was read just now.
    pub fresh: bool,
    /// Found by Dispatch itself: pull requests that a person has to look at are left alone.
    pub automatic: bool,
}
