//! What was seen of a pull request: plain data, before any judgement. Whatever looks at a forge fills it in, as far as it
//! can see, and says what it could not see.

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::protocol::followup::FeedbackItem;
use serde::{Deserialize, Serialize};

/// What was seen of a pull request. Enums of the forge are kept as it spells them: they grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Its number.
    pub pr: u64,
    /// Open, closed or merged; open if not known.
    pub state: Option<PullState>,
    /// Not ready for review.
    pub draft: bool,
    /// From another repository.
    pub from_fork: bool,
    /// Login of its author; empty if not known.
    pub author: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// The commit at its head.
    pub head_sha: String,
    /// When the forge last changed it.
    pub updated_at: Option<Timestamp>,
    /// The issues of the same repository that the forge says it closes; `None` if that was not seen.
    pub closes: Option<Vec<u64>>,
    /// `CHANGES_REQUESTED`, `APPROVED`, …
    pub review_decision: Option<String>,
    /// Reviews that ask for changes: id, author, text.
    pub reviews: Vec<Remark>,
    /// Review threads that are not resolved.
    pub threads: Vec<Thread>,
    /// Check runs that have ended.
    pub checks: Vec<Check>,
    /// Commit statuses; the conclusion is their state.
    pub statuses: Vec<Check>,
    /// Checks and statuses that have not ended.
    pub pending: u64,
    /// `MERGEABLE`, `CONFLICTING`, `UNKNOWN`.
    pub mergeable: Option<String>,
    /// `CLEAN`, `DIRTY`, `BEHIND`, …
    pub merge_state: Option<String>,
    /// What could not be seen this time: nothing is gone because of that.
    pub blind: Vec<String>,
}

impl Health {
    /// Whether the forge has not yet found out if it can be merged: asking again soon may tell.
    #[must_use]
    pub fn merge_unknown(&self) -> bool {
        let unknown = |v: &Option<String>| v.as_deref().is_some_and(|v| v.eq_ignore_ascii_case("UNKNOWN"));
        unknown(&self.mergeable) || (self.mergeable.is_none() && unknown(&self.merge_state))
    }
}

/// Something that a person or a bot said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remark {
    /// The forge's id of it.
    pub id: String,
    /// What, where, by whom.
    pub item: FeedbackItem,
}

/// A review thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// The forge's id of it.
    pub id: String,
    /// What was said in it as far as it was read: the first remark and the newest ones, oldest first.
    pub said: Vec<Remark>,
}

/// A check or a status that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// The forge's id of it.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// How it ended, as the forge spells it.
    pub conclusion: String,
    /// A bounded excerpt of its log, or its summary.
    pub text: Option<String>,
    /// The job that it is the result of, where the forge keeps a log of it.
    pub job: Option<u64>,
}

/// What is kept of a look: what clients are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The commit that it is about.
    pub head: String,
    /// As the forge spells it.
    pub review_decision: Option<String>,
    /// As the forge spells it; whether it can be merged where that alone is known.
    pub merge_state: Option<String>,
    /// Checks and statuses that ended well, or did not matter.
    pub passed: u64,
    /// Those that want work.
    pub failed: u64,
    /// Those that have not ended.
    pub pending: u64,
    /// Review threads that are not resolved.
    pub unresolved: u64,
    /// What speaks for work, in words.
    pub reasons: Vec<String>,
    /// What could not be seen.
    #[serde(default)]
    pub blind: Vec<String>,
    /// When it was first seen to be so: a look that finds the same changes nothing.
    pub since: Timestamp,
}
