//! `GET /api/agents/{agent}/queue`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{IssueId, RepoName};

/// Query of the queue.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueQuery {
    /// Only this lane.
    pub lane: Option<String>,
    /// Claimed and in-progress ones too.
    #[serde(deserialize_with = "super::flag")]
    pub include_claimed: Option<bool>,
    /// Also what is ready and not handed out, last, each with the reason in `withheld`.
    #[serde(deserialize_with = "super::flag")]
    pub include_withheld: Option<bool>,
    /// Also what is about updates of dependencies.
    #[serde(deserialize_with = "super::flag")]
    pub include_renovate: Option<bool>,
    /// False lists issues that are split into children, too.
    #[serde(rename = "exclude_decomposed", deserialize_with = "super::flag")]
    pub exclude_decomposed: Option<bool>,
}

/// One entry: PR-fix items first, then issues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum QueueEntry {
    /// A pull request that needs work again.
    Fix(Box<super::followup::QueueFix>),
    /// An issue.
    Issue(Box<QueueIssue>),
}

/// One issue, in the order in which they would be handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueIssue {
    /// Always `issue`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The opaque id.
    pub issue_id: IssueId,
    /// `owner/name`.
    pub repo_full_name: RepoName,
    /// The number.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Where a person reads it.
    pub url: String,
    /// All labels.
    pub labels: Vec<String>,
    /// The full label or null.
    pub priority: Option<String>,
    /// The full label or null.
    pub status: Option<String>,
    /// The lane.
    pub lane: String,
    /// Whether the card carries the asking agent's label.
    pub agent_match: bool,
    /// Whether this agent may claim it now.
    pub claimable: bool,
    /// Why it stands where it stands.
    pub ranking_reason: String,
    /// Why it is not handed out, though it is ready; absent if it is handed out or worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
    /// Whether it was split into children.
    pub decomposed: bool,
    /// Health of the linked pull request, if there is one and it is known.
    pub linked_pr_health: Option<super::issues::LinkedPull>,
}
