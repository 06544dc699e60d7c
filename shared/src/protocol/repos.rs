//! `/api/automation/repos…` and `/api/sync…`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::RepoName;

/// A tracked repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Repo {
    /// `owner/name`.
    pub full_name: RepoName,
    /// After the slash.
    pub name: String,
    /// Before the slash.
    pub owner: String,
    /// `github` or `local`.
    pub forge: String,
    /// The working copy, for `local`.
    pub path: Option<String>,
    /// The base of new branches.
    pub default_branch: String,
    /// `env` or `user`.
    pub source: String,
    /// Whether it is on the board.
    pub enabled: bool,
    /// Whether the built-in runner may take its issues.
    pub runner_enabled: bool,
    /// No more implement tasks while so many cards are in review; 0 is no limit.
    pub wip_limit: u32,
    /// The lanes out of which its issues are handed out; empty is every claimable one.
    #[serde(default)]
    pub lanes: Vec<String>,
    /// Open pull requests known.
    #[serde(rename = "openPRCount")]
    pub open_pr_count: usize,
    /// The commit at the head of the default branch; null until it is read.
    #[serde(default)]
    pub latest_commit_sha: Option<String>,
    /// Workflows whose newest verdict outside pull requests is a failure.
    #[serde(default)]
    pub failing_count: usize,
    /// Workflow runs that are not over.
    #[serde(default)]
    pub running_count: usize,
    /// The tag of the newest release that is neither draft nor prerelease.
    #[serde(default)]
    pub latest_release: Option<String>,
    /// Cards in each column, in board order.
    pub columns: [usize; 5],
    /// The last sync that succeeded.
    pub last_synced_at: Option<Timestamp>,
    /// Why the last sync failed; null if it did not.
    pub sync_error: Option<String>,
    /// Consecutive failures.
    pub sync_failures: u32,
    /// What can be done there: `active`, `archived`, `disabled`, or `lost` (deleted, or access to it is gone). Only an active
    /// one hands work out.
    #[serde(default)]
    pub standing: String,
}

/// `POST /api/automation/repos`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AddRepoRequest {
    /// `owner/name`; for `local` may be absent: the directory's name under `local/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// `github` (default) or `local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forge: Option<String>,
    /// For `local`: the git repository on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// `PATCH /api/automation/repos/{owner}/{repo}`: absent fields stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PatchRepoRequest {
    /// Switch the built-in runner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner_enabled: Option<bool>,
    /// Cards in review before no more is handed out; 0 is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wip_limit: Option<u32>,
    /// The lanes (ids or aliases) out of which its issues are handed out; an empty list is every claimable one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<Vec<String>>,
}

/// `POST /api/sync`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncRequest {
    /// One repository, else all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_full_name: Option<String>,
}

/// One repository's part of a sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncResult {
    /// `owner/name`.
    pub repo: RepoName,
    /// Issues seen.
    pub synced: usize,
    /// Requests made to the forge.
    pub requests: usize,
    /// The sync run that tells of it; absent if nothing was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_run_id: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Answer of `POST /api/sync`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncAnswer {
    /// Issues that are in sync now, those that had not changed included.
    pub synced_count: usize,
    /// Per repository.
    pub results: Vec<SyncResult>,
}
