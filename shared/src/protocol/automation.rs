//! `/api/automation/sync`, `…/workflows`, `…/events`, `…/runs/{id}`, `/api/sync/scheduled` and `/api/labels/ensure`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent_runs::AgentRun;
use super::repos::Repo;
use crate::Timestamp;
use crate::id::RepoName;

/// What workflows, releases and packages would show and nobody reads yet, in words.
pub const NOT_READ: &str = "workflow runs, releases and packages are not read from the forge yet; look there, or wait for a newer dispatchd";

/// `GET /api/automation/repos/{owner}/{repo}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoDetail {
    /// As in the list.
    #[serde(flatten)]
    pub repo: Repo,
    /// Always empty as yet.
    pub workflows: Vec<Workflow>,
    /// Always empty as yet.
    pub releases: Vec<serde_json::Value>,
    /// Always empty as yet.
    pub packages: Vec<serde_json::Value>,
    /// Always empty as yet.
    pub failing_runs: Vec<serde_json::Value>,
    /// Always empty as yet.
    pub running_runs: Vec<serde_json::Value>,
    /// The last sync that was asked for.
    pub last_sync_run: Option<AgentRun>,
    /// The newest of what happened to it.
    pub recent_events: Vec<AutomationEvent>,
    /// What is not there, in words.
    pub note: String,
}

/// A workflow of a forge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workflow {
    /// The forge's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `owner/name`.
    pub repo_full_name: RepoName,
    /// Active or disabled.
    pub state: String,
}

/// One entry of `GET /api/automation/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutomationEvent {
    /// The audit row's id.
    pub id: String,
    /// What happened: the audit's action.
    #[serde(rename = "type")]
    pub kind: String,
    /// `owner/name`.
    pub repo_full_name: Option<RepoName>,
    /// The issue's number.
    pub issue_number: Option<u64>,
    /// Who.
    pub actor: String,
    /// What else there is to say.
    pub message: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// Query of `GET /api/automation/events`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AutomationEventsQuery {
    /// Only this kind.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Only this repository.
    pub repo: Option<String>,
    /// At most so many, newest first; 50 if absent.
    pub limit: Option<usize>,
}

/// `POST /api/automation/sync`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AutomationSyncRequest {
    /// One repository, else all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
}

/// Answer of `POST /api/automation/sync`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutomationSyncAnswer {
    /// Repositories that were read.
    pub synced: usize,
    /// Repositories that could not be.
    pub failed: usize,
    /// Each of them.
    pub results: Vec<AutomationSynced>,
}

/// One repository of [`AutomationSyncAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutomationSynced {
    /// `owner/name`.
    pub repo: RepoName,
    /// What became of it.
    pub result: AutomationResult,
}

/// What became of one repository's sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutomationResult {
    /// Whether it was read.
    pub success: bool,
    /// The agent run that tells of it.
    pub sync_run_id: String,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Query of `POST /api/automation/runs/{id}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunActionQuery {
    /// `rerun` or `dispatch`.
    pub action: Option<String>,
    /// `owner/name`.
    pub repo_full_name: Option<String>,
}

/// Answer of `POST /api/automation/runs/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunActionAnswer {
    /// Whether it was done.
    pub success: bool,
    /// Which run.
    pub run_id: String,
    /// What was asked.
    pub action: String,
    /// `owner/name`.
    pub repo_full_name: Option<String>,
    /// Why not, in words.
    pub message: String,
}

/// Answer of `POST /api/sync/scheduled`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledAnswer {
    /// Whether every repository could be read.
    pub success: bool,
    /// What was read.
    pub issues: ScheduledIssues,
}

/// Inside [`ScheduledAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledIssues {
    /// How many repositories.
    pub repos: usize,
    /// How many issues in all.
    pub synced_count: usize,
    /// Per repository.
    pub results: Vec<ScheduledResult>,
}

/// One repository of [`ScheduledIssues`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledResult {
    /// `owner/name`.
    pub repo: RepoName,
    /// Issues read.
    pub synced: usize,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// `POST /api/labels/ensure`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EnsureLabelsRequest {
    /// `owner/name`.
    pub repo_full_name: String,
    /// Only say what is missing; true if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// Answer of `POST /api/labels/ensure`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnsureLabelsAnswer {
    /// Always true.
    pub success: bool,
    /// `owner/name`.
    pub repo_full_name: RepoName,
    /// Whether nothing was made.
    pub dry_run: bool,
    /// Wanted and there.
    pub existing: Vec<String>,
    /// Wanted and not there before.
    pub missing: Vec<String>,
    /// Made now.
    pub created: Vec<String>,
}
