//! What a forge said: plain observations, before any judgement.

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::{RepoKey, RepoName};
use dispatch_shared::issue::IssueState;
use serde::{Deserialize, Serialize};

use super::standing::Standing;

/// A repository's own facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRepo {
    /// The forge's identity; survives a rename.
    pub key: RepoKey,
    /// As the forge spells it now.
    pub name: RepoName,
    /// The base of new branches.
    pub default_branch: String,
    /// Whether work can be done there.
    #[serde(default)]
    pub standing: Standing,
}

/// An issue as it was read. Pull requests are never among these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenIssue {
    /// Its number.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Markdown; empty if the forge says null.
    pub body: String,
    /// Where a person reads it.
    pub url: String,
    /// Open or closed.
    pub state: IssueState,
    /// As the forge spells them.
    pub labels: Vec<String>,
    /// Logins.
    pub assignees: Vec<String>,
    /// Login; empty for a deleted account.
    pub author: String,
    /// On the forge.
    pub created_at: Timestamp,
    /// On the forge.
    pub updated_at: Timestamp,
    /// On the forge.
    pub closed_at: Option<Timestamp>,
    /// How many open issues the forge itself counts as its blockers; `None` where it keeps no such thing.
    #[serde(default)]
    pub open_blockers: Option<u64>,
}

/// A pull request as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenPull {
    /// Its number.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Where a person reads it.
    pub url: String,
    /// Open, closed or merged.
    pub state: PullState,
    /// Not ready for review.
    pub draft: bool,
    /// The branch it comes from.
    pub head_branch: String,
    /// The commit at its head.
    pub head_sha: String,
    /// Comes from another repository than it goes to.
    pub from_fork: bool,
    /// The branch it goes to.
    pub base_branch: String,
    /// Login; empty for a deleted account.
    pub author: String,
    /// As the forge spells them.
    pub labels: Vec<String>,
    /// The issues that it closes when merged: numbers in the same repository, from closing references.
    pub closes: Vec<u64>,
    /// On the forge.
    pub created_at: Timestamp,
    /// On the forge.
    pub updated_at: Timestamp,
}

/// How far a repository has been read; kept in the store, given back to the forge at the next sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncCursor {
    /// Everything updated before this has been read.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// The validator of the conditional probe, verbatim, with what it is valid for.
    #[serde(default)]
    pub etag: Option<String>,
    /// The same as `since` for the list of pull requests.
    #[serde(default)]
    pub pulls_since: Option<Timestamp>,
    /// Pull requests have changed that are not read yet.
    #[serde(default)]
    pub pulls_due: bool,
    /// When everything was last read, to find what is gone.
    #[serde(default)]
    pub swept_at: Option<Timestamp>,
    /// When the repository itself was last looked at.
    #[serde(default)]
    pub looked_at: Option<Timestamp>,
}
