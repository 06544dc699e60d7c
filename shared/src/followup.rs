//! Pull request follow-ups: why a pull request needs work again.

use serde::{Deserialize, Serialize};

/// Why a pull request needs work, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FixType {
    /// It conflicts with its base.
    MergeConflict,
    /// A check failed.
    CiFailure,
    /// A reviewer asked for changes.
    ReviewFeedback,
    /// Anything else.
    Other,
}

/// Where a PR-fix item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FixStatus {
    /// Waits for a worker.
    Queued,
    /// Settled by a push.
    Fixed,
    /// Waits for a person.
    Blocked,
    /// The pull request is merged, closed or gone.
    Stale,
    /// A person said to leave it.
    Ignored,
}

/// The state of a pull request, as the forge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullState {
    /// Open.
    Open,
    /// Closed without a merge.
    Closed,
    /// Merged.
    Merged,
}
