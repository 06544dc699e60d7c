//! `/api/automation/sync`, `…/workflows`, `…/events`, `…/runs/{id}`, `/api/sync/scheduled` and `/api/labels/ensure`. What a
//! forge's automation consists of is in [`actions`](super::actions).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actions::{Artifact, Commit, Deployment, Notes, Package, Release, SyncRun, Workflow, WorkflowRun};
use super::repos::Repo;
use crate::Timestamp;
use crate::id::RepoName;

/// `GET /api/automation/repos/{owner}/{repo}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoDetail {
    /// As in the list.
    #[serde(flatten)]
    pub repo: Repo,
    /// The head of the default branch.
    #[serde(default)]
    pub latest_commit: Option<Commit>,
    /// By name.
    pub workflows: Vec<Workflow>,
    /// Newest first.
    pub releases: Vec<Release>,
    /// The newest prerelease's tag, if it is newer than the latest release.
    #[serde(default)]
    pub latest_prerelease: Option<String>,
    /// Those of its owner that belong to it.
    pub packages: Vec<Package>,
    /// The newest verdict of each workflow that fails, newest first.
    pub failing_runs: Vec<WorkflowRun>,
    /// Runs that are not over, newest first.
    pub running_runs: Vec<WorkflowRun>,
    /// The newest runs of all workflows, newest first.
    #[serde(default)]
    pub recent_runs: Vec<WorkflowRun>,
    /// Newest first.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// Newest first.
    #[serde(default)]
    pub deployments: Vec<Deployment>,
    /// The last read from its forge.
    pub last_sync_run: Option<SyncRun>,
    /// The newest reads, newest first.
    #[serde(default)]
    pub sync_runs: Vec<SyncRun>,
    /// The newest of what happened to it.
    pub recent_events: Vec<AutomationEvent>,
    /// When its automation was last read.
    #[serde(default)]
    pub automation_read_at: Option<Timestamp>,
    /// What could not be read, and why, by what it is.
    #[serde(default)]
    pub notes: Notes,
    /// The same in one sentence; empty if there is nothing to say.
    pub note: String,
}

/// One entry of `GET /api/automation/events`: something that happened on a forge, as the sync saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutomationEvent {
    /// Its id.
    pub id: String,
    /// `push`, `release`, `run_started`, `run_succeeded`, `run_failed`, `run_ended`, `pr_opened`, `pr_merged`, `pr_closed`,
    /// `issue_opened`, `issue_closed`, `issue_reopened`, `sync_completed`, `sync_failed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `owner/name`.
    pub repo_full_name: Option<RepoName>,
    /// The issue's or pull request's number.
    pub issue_number: Option<u64>,
    /// Who; empty if nobody knows.
    pub actor: String,
    /// What happened, in words.
    pub message: Option<String>,
    /// Where a person reads it.
    #[serde(default)]
    pub url: Option<String>,
    /// When it happened.
    pub created_at: Timestamp,
}

/// Query of `GET /api/automation/events`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AutomationEventsQuery {
    /// Only these kinds, separated by commas; `run`, `pr`, `issue` and `sync` mean all that begin so.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only this repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// At most so many, newest first; 50 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Query of `GET /api/automation/workflows` and `…/{id}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorkflowsQuery {
    /// Only this repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// Only runs on this branch or tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// At most so many recent runs of each; 10 if absent, 30 for one workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<usize>,
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
    /// The sync run of its issues; empty if it was not kept.
    pub sync_run_id: String,
    /// What the read of its issues took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_run: Option<SyncRun>,
    /// What the read of its automation took; absent where the forge has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automation: Option<SyncRun>,
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

/// Body of `POST /api/automation/runs/{id}?action=dispatch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunActionRequest {
    /// The branch or tag to run on; the run's own if absent, else the default branch.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<String>,
    /// The workflow's inputs by name: texts, numbers, true or false.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub inputs: serde_json::Map<String, serde_json::Value>,
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
    /// What was done, in words.
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
