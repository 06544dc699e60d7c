//! Claims: who works on what, since when, until when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A number per subject that only grows: store epoch × 2^32 + counter, so that a restored backup cannot reissue one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Attempt(pub u64);

impl Attempt {
    /// The next attempt in the store epoch `epoch`.
    #[must_use]
    pub fn next(self, epoch: u32) -> Attempt {
        let floor = u64::from(epoch) << 32;
        Attempt(self.0.max(floor) + 1)
    }

    /// The counter without the epoch: what a person reads.
    #[must_use]
    pub fn ordinal(self) -> u64 {
        self.0 & 0xffff_ffff
    }
}

/// How far a worker says it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Checkpoint {
    /// The claim is taken.
    Claimed,
    /// The repository is checked out.
    RepoPrepared,
    /// A branch exists.
    BranchCreated,
    /// Files are changed.
    ChangesMade,
    /// The checks run.
    TestsRunning,
    /// A pull request is open.
    PrOpened,
    /// The worker is done.
    Done,
    /// A person is needed.
    Blocked,
}

/// The state of a piece of work as `agent-work` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkState {
    /// Held, nothing reported yet.
    Claimed,
    /// Held, a checkpoint was reported.
    InProgress,
    /// Ended with a question.
    Blocked,
    /// Ended by a report.
    Done,
    /// Given back.
    Released,
    /// The lease ran out.
    Stale,
}
