//! `GET` and `POST /api/agent-runs`, and `GET /api/overview`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activity::AuditRow;
use super::issues::Issue;
use crate::Timestamp;
use crate::id::{AgentName, AgentRunId, IssueId};

/// One thing that an agent did: a heartbeat, a task, or what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentRun {
    /// Grows by one.
    pub id: AgentRunId,
    /// Who.
    pub agent_name: String,
    /// Free text: `heartbeat`, `implement`…
    pub run_type: String,
    /// Free text: `completed`, `failed`, `ok`, `warning`…
    pub status: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// One paragraph.
    pub summary: Option<String>,
    /// What went wrong.
    pub error_message: Option<String>,
    /// What came of it.
    pub outcome: Option<String>,
    /// The issues it touched.
    pub touched_issue_urls: Vec<String>,
    /// The issue it was about.
    pub issue_id: Option<IssueId>,
    /// When it was recorded.
    pub created_at: Timestamp,
}

/// `POST /api/agent-runs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentRunRequest {
    /// Who; needed.
    pub agent_name: String,
    /// What kind; needed.
    pub run_type: String,
    /// How it went; needed.
    pub status: String,
    /// When it began; now if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// One paragraph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The issues it touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub touched_issue_urls: Option<Vec<String>>,
    /// The issue it was about; empty counts as absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue_id: Option<String>,
}

/// Query of `GET /api/agent-runs`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AgentRunsQuery {
    /// At most so many, newest first; 50 if absent.
    pub limit: Option<usize>,
    /// Only this agent's.
    pub agent: Option<String>,
}

/// What one agent is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentOverview {
    /// Who.
    pub agent_name: Option<AgentName>,
    /// Live claims.
    pub held: usize,
    /// How many it may take at once.
    #[serde(default)]
    pub slots: usize,
    /// Cards with its label, by column.
    pub by_status: BTreeMap<String, usize>,
    /// The newest thing it did.
    pub last_seen_at: Option<Timestamp>,
}

/// `GET /api/overview`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Open cards, and those closed not long ago, by column (`in-progress`).
    pub by_status: BTreeMap<String, usize>,
    /// Agents by name.
    pub agents: Vec<AgentOverview>,
    /// In progress without a renewal or a push for 24 hours.
    pub stale_in_progress: Vec<Issue>,
    /// The newest agent runs.
    pub recent_runs: Vec<AgentRun>,
    /// The newest audit rows.
    pub recent_audit: Vec<AuditRow>,
}
