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

/// The issue numbers that `text` closes when merged (`Fixes #4`, `closes: #7`), in order of appearance: GitHub's nine
/// keywords, same repository only.
#[must_use]
pub fn closing_references(text: &str) -> Vec<u64> {
    const WORDS: [&str; 9] =
        ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];
    let mut found = Vec::new();
    let mut armed = false;
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| matches!(c, ':' | ',' | '.' | ';' | '(' | ')' | '*' | '_'));
        if armed && let Some(n) = bare.strip_prefix('#').and_then(|n| n.parse().ok()) {
            if !found.contains(&n) {
                found.push(n);
            }
            armed = false;
            continue;
        }
        armed = WORDS.contains(&bare.to_ascii_lowercase().as_str());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_references_are_found_as_github_finds_them() {
        assert_eq!(closing_references("Fixes #4\n\nAlso closes: #7, and fixes #4."), [4, 7]);
        assert_eq!(closing_references("Refs #4. See #5, prefix #6"), [] as [u64; 0]);
        assert_eq!(closing_references("(Resolved #12)"), [12]);
    }
}
