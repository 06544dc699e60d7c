//! `GET /api/audit` and `/api/agent-runs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{IssueId, RepoName};

/// One row: who did what to which card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// Grows by one.
    pub id: u64,
    /// Who.
    pub actor: String,
    /// `claim_issue`, `move_issue`, `report_task`…
    pub action: String,
    /// `owner/name`.
    pub repo_full_name: Option<RepoName>,
    /// The number.
    pub issue_number: Option<u64>,
    /// The opaque id.
    pub issue_id: Option<IssueId>,
    /// Labels before; null if labels were not touched.
    pub before_labels: Option<Vec<String>>,
    /// Labels after.
    pub after_labels: Option<Vec<String>>,
    /// Whether it was done.
    pub success: bool,
    /// Why not.
    pub error_message: Option<String>,
    /// What else a person should know.
    pub notes: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// Query of the audit.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AuditQuery {
    /// At most so many, newest first; 50 if absent.
    pub limit: Option<usize>,
    /// `owner/name`.
    pub repo: Option<String>,
    /// The issue's id or number.
    pub issue: Option<String>,
    /// Who.
    pub actor: Option<String>,
    /// What.
    pub action: Option<String>,
}
