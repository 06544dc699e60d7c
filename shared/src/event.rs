//! Events: everything that happens has a number and says what it changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{IssueId, RepoName, RunId};

/// The number of an event; grows by one with each, never resets within one store.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// What an event tells of. The state itself is read from the snapshot that the event belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A card appeared or changed: the issue, its claim, its pull request.
    Issue(IssueId),
    /// A card left the board.
    IssueGone(IssueId),
    /// A run started or changed.
    Run(RunId),
    /// A repository appeared or changed.
    Repo(RepoName),
    /// A repository is not tracked any more.
    RepoGone(RepoName),
    /// Frozen, thawed, slots, pools.
    Control,
    /// An audit row was written, by its number.
    Audit(u64),
}
