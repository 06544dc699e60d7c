//! What a forge's automation shows: workflows, their runs and jobs, releases, packages, artifacts, deployments.
//!
//! Everything here is the forge's own word as last read; ids are strings, for a script must not round them. Enums of the
//! forge stay words, because they grow.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::RepoName;

/// The commit at the head of the default branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Commit {
    /// Its hash.
    pub sha: String,
    /// The branch whose head it is.
    pub branch: String,
    /// The first line of its message.
    pub title: String,
    /// The author's login, else name; empty if neither is known.
    pub author: String,
    /// When it was committed.
    pub committed_at: Option<Timestamp>,
    /// Where a person reads it.
    pub url: String,
}

/// One event that starts a workflow, and what narrows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Trigger {
    /// `push`, `pull_request`, `schedule`, `workflow_dispatch`…
    pub event: String,
    /// Activity types.
    pub types: Vec<String>,
    /// Only these branches.
    pub branches: Vec<String>,
    /// Not these branches.
    pub branches_ignore: Vec<String>,
    /// Only these tags.
    pub tags: Vec<String>,
    /// Not these tags.
    pub tags_ignore: Vec<String>,
    /// Only if these paths change.
    pub paths: Vec<String>,
    /// Not if only these paths change.
    pub paths_ignore: Vec<String>,
    /// The workflows whose runs start it (`workflow_run`).
    pub workflows: Vec<String>,
    /// The times of a `schedule`, in UTC.
    pub cron: Vec<String>,
    /// What `workflow_dispatch` asks for.
    pub inputs: Vec<DispatchInput>,
}

/// One input of `workflow_dispatch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DispatchInput {
    /// Its name.
    pub name: String,
    /// `string`, `boolean`, `choice`, `number`, `environment`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it must be given.
    pub required: bool,
    /// What it is if it is not given.
    #[serde(rename = "default")]
    pub preset: Option<String>,
    /// In words.
    pub description: Option<String>,
    /// The values of a `choice`.
    pub options: Vec<String>,
}

/// A run of a workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkflowRun {
    /// The forge's id.
    pub id: String,
    /// The workflow's id.
    pub workflow_id: String,
    /// The workflow's name, or what the run calls itself.
    pub name: String,
    /// What it is about: a commit's or pull request's title.
    pub title: String,
    /// Counts the runs of the workflow.
    pub run_number: u64,
    /// Grows with every re-run.
    pub run_attempt: u64,
    /// What started it.
    pub event: String,
    /// `queued`, `in_progress`, `completed`, `waiting`…
    pub status: String,
    /// `success`, `failure`, `cancelled`…; null until it is over.
    pub conclusion: Option<String>,
    /// The branch or tag; null if it is gone.
    pub branch: Option<String>,
    /// The commit.
    pub head_sha: String,
    /// Who started this attempt; empty for a deleted account.
    pub actor: String,
    /// Where a person reads it.
    pub url: String,
    /// When its first attempt was made.
    pub created_at: Option<Timestamp>,
    /// When this attempt began.
    pub started_at: Option<Timestamp>,
    /// The last change.
    pub updated_at: Option<Timestamp>,
    /// From the beginning of this attempt to its end, in seconds; null until it is over.
    pub duration_seconds: Option<u64>,
}

/// A job of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Job {
    /// The forge's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// As a run's.
    pub status: String,
    /// As a run's.
    pub conclusion: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub completed_at: Option<Timestamp>,
    /// In seconds; null until it is over.
    pub duration_seconds: Option<u64>,
    /// The first step that failed.
    pub failed_step: Option<String>,
    /// Where a person reads it.
    pub url: String,
}

/// A workflow with what its runs come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Workflow {
    /// The forge's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `owner/name`.
    pub repo_full_name: Option<RepoName>,
    /// `active`, `disabled_manually`, `disabled_inactivity`…
    pub state: String,
    /// Its file in the repository.
    pub path: String,
    /// Where a person reads it.
    pub url: String,
    /// The picture of its state.
    pub badge_url: String,
    /// What starts it, as its file on the default branch says.
    pub triggers: Vec<Trigger>,
    /// Why `triggers` is empty, if its file could not be read.
    pub triggers_note: Option<String>,
    /// Whether it can be started by hand.
    pub dispatchable: bool,
    /// Of the newest run; null if none is known.
    pub latest_run: Option<WorkflowRun>,
    /// Newest first.
    pub recent_runs: Vec<WorkflowRun>,
    /// The jobs of the latest run, as far as they have been read.
    pub jobs: Vec<Job>,
    /// Whether its newest verdict outside pull requests is a failure.
    pub failing: bool,
    /// Runs that are not over.
    pub running: usize,
    /// Successes among the runs that came to a verdict, 0 to 1; null if none did.
    pub success_rate: Option<f64>,
    /// Of the runs that came to a verdict, in seconds; null if none did.
    pub mean_duration_seconds: Option<f64>,
    /// How many runs came to a verdict and count for the two.
    pub runs_counted: usize,
    /// How far back runs count, in days.
    pub window_days: u32,
}

/// A release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Release {
    /// The forge's id.
    pub id: String,
    /// The tag.
    pub tag: String,
    /// Its title; the tag if it has none.
    pub name: String,
    /// Nobody but its authors sees it.
    pub draft: bool,
    /// Not for everybody yet.
    pub prerelease: bool,
    /// Login; empty for a deleted account.
    pub author: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it was published.
    pub published_at: Option<Timestamp>,
    /// Where a person reads it.
    pub url: String,
    /// The names of its files.
    pub assets: Vec<String>,
}

/// A package that belongs to the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Package {
    /// The forge's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `container`, `npm`, `maven`, `rubygems`, `nuget`, `docker`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `public` or `private`.
    pub visibility: String,
    /// How many versions there are.
    pub versions: u64,
    /// The last change.
    pub updated_at: Option<Timestamp>,
    /// Where a person reads it.
    pub url: String,
}

/// A file that a run left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Artifact {
    /// The forge's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// It can be fetched no more.
    pub expired: bool,
    /// The run that left it.
    pub run_id: Option<String>,
    /// When it was left.
    pub created_at: Option<Timestamp>,
    /// When it goes.
    pub expires_at: Option<Timestamp>,
}

/// A deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Deployment {
    /// The forge's id.
    pub id: String,
    /// Where to.
    pub environment: String,
    /// The branch, tag or commit asked for.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The commit.
    pub sha: String,
    /// Login; empty for a deleted account.
    pub creator: String,
    /// `success`, `failure`, `in_progress`…; read for the newest of each environment alone, null for the others.
    pub state: Option<String>,
    /// When it was asked for.
    pub created_at: Option<Timestamp>,
    /// The last change.
    pub updated_at: Option<Timestamp>,
}

/// One read of a repository from its forge, with what it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncRun {
    /// Its id.
    pub sync_run_id: String,
    /// `issues` or `automation`.
    pub kind: String,
    /// `owner/name`.
    pub repo_full_name: Option<RepoName>,
    /// `completed` or `failed`.
    pub status: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was over and kept.
    pub finished_at: Timestamp,
    /// Requests made.
    pub requests: u64,
    /// Those of them that counted against the forge's limit: unchanged answers are free.
    pub points: u64,
    /// Issues and pull requests, or things of the automation, that came as new or changed.
    pub items: u64,
    /// Why it failed.
    pub error: Option<String>,
}

/// Words about what could not be read, by what it is: `workflows`, `packages`…
pub type Notes = BTreeMap<String, String>;
