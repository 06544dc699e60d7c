//! Pull request follow-ups: why a pull request needs work again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a pull request needs work, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PullState {
    /// Open.
    Open,
    /// Closed without a merge.
    Closed,
    /// Merged.
    Merged,
}

impl FixType {
    /// Reads the word in any case, with `-` or `_`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match fold(text).as_str() {
            "MERGE_CONFLICT" => Some(FixType::MergeConflict),
            "CI_FAILURE" => Some(FixType::CiFailure),
            "REVIEW_FEEDBACK" => Some(FixType::ReviewFeedback),
            "OTHER" => Some(FixType::Other),
            _ => None,
        }
    }

    /// In words, for a person.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            FixType::MergeConflict => "merge conflict",
            FixType::CiFailure => "failed checks",
            FixType::ReviewFeedback => "review feedback",
            FixType::Other => "other",
        }
    }
}

impl FixStatus {
    /// Reads the word in any case.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match fold(text).as_str() {
            "QUEUED" => Some(FixStatus::Queued),
            "FIXED" => Some(FixStatus::Fixed),
            "BLOCKED" => Some(FixStatus::Blocked),
            "STALE" => Some(FixStatus::Stale),
            "IGNORED" => Some(FixStatus::Ignored),
            _ => None,
        }
    }

    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            FixStatus::Queued => "QUEUED",
            FixStatus::Fixed => "FIXED",
            FixStatus::Blocked => "BLOCKED",
            FixStatus::Stale => "STALE",
            FixStatus::Ignored => "IGNORED",
        }
    }
}

/// The lane of a PR-fix item as it is answered: never a lane's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FixLane {
    /// For any agent.
    Normal,
    /// For the best models: the lane with the role `escalation`.
    Escalated,
    /// For a person.
    NeedsHuman,
}

impl FixLane {
    /// Reads the tier in any case, with `-` or `_`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match fold(text).as_str() {
            "NORMAL" => Some(FixLane::Normal),
            "ESCALATED" => Some(FixLane::Escalated),
            "NEEDS_HUMAN" => Some(FixLane::NeedsHuman),
            _ => None,
        }
    }
}

fn fold(text: &str) -> String {
    text.trim().to_ascii_uppercase().replace('-', "_")
}
