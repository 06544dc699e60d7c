//! `/api/issues/status`, `…/label`, `…/comment` and the like: what changes one card besides moving and claiming it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IssueRef;
use crate::id::{ClaimId, IssueId, RepoName};

/// `POST /api/issues/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusRequest {
    /// Which card.
    #[serde(flatten)]
    pub issue: IssueRef,
    /// A column, full or bare, or `blocked`.
    pub status: String,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
    /// Who, for the audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// For `blocked`: what it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<String>,
    /// The claim meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<ClaimId>,
}

/// Answer of `POST /api/issues/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusAnswer {
    /// Always true.
    pub success: bool,
    /// The full label after the change: `status/in-review`, `status/blocked`.
    pub status: String,
    /// The labels after the change.
    pub labels: Vec<String>,
}

/// Query of `GET /api/issues/claimed`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimedQuery {
    /// Whose; everybody's if absent.
    pub agent_name: Option<String>,
    /// `in-progress` (default) or `ready`.
    pub status: Option<String>,
}

/// One entry of `GET /api/issues/claimed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedIssue {
    /// The opaque id.
    pub issue_id: IssueId,
    /// The number.
    pub number: u64,
    /// `owner/name`.
    pub repo_full_name: RepoName,
    /// The lane.
    pub current_lane: String,
    /// All labels.
    pub labels: Vec<String>,
    /// Whether an open pull request is linked.
    pub has_open_pr: bool,
}

/// `POST /api/issues/label` and `…/unlabel`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelRequest {
    /// Which card.
    #[serde(flatten)]
    pub issue: IssueRef,
    /// The label, as the forge is to spell it.
    pub label: String,
}

/// `POST /api/issues/comment`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CommentRequest {
    /// Which card.
    #[serde(flatten)]
    pub issue: IssueRef,
    /// Markdown. More than 65,536 characters are cut with a mark.
    pub body: String,
}

/// Answer of `POST /api/issues/comment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommentAnswer {
    /// Always true: it is stored, and the forge gets it in the background.
    pub success: bool,
    /// The opaque id.
    pub issue_id: IssueId,
}

/// Answer of `POST /api/issues/reconcile`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileAnswer {
    /// Whether every repository could be read.
    pub success: bool,
    /// Repositories read.
    pub repos_processed: usize,
    /// Issues whose labels or column were put right.
    pub issues_reconciled: usize,
    /// Issues found closed.
    pub issues_closed: usize,
    /// Issues whose labels differ from before, by what was read or by what was put right.
    pub labels_changed: usize,
    /// What failed, in words.
    pub errors: Vec<String>,
    /// What contradicts and was not put right, with what would be done.
    #[serde(default)]
    pub findings: Vec<String>,
}
