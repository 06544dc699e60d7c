//! `/api/control…`, `/api/problems` and `/api/orphans…`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::claim::Attempt;
use crate::id::{IssueId, RepoName, RunId};
use crate::run::{RuntimeKind, Usage};

/// A pool that is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PausedPool {
    /// The program.
    pub program: String,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// A budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spending {
    /// `day`, or `program claude`.
    pub name: String,
    /// What was used; `estimated` says that its dollars are reckoned.
    pub used: Usage,
    /// US dollars that may be spent; null is no limit.
    pub limit_usd: Option<f64>,
    /// US dollars that are left.
    pub left_usd: Option<f64>,
    /// Tokens that may be used; null is no limit.
    pub limit_tokens: Option<u64>,
    /// Tokens that are left.
    pub left_tokens: Option<u64>,
    /// How much is gone of the limit that is nearer, in percent.
    pub percent: u64,
    /// Runs whose tokens have no known price: their dollars are missing.
    pub unpriced_runs: usize,
    /// When it begins anew.
    pub resets_at: Option<Timestamp>,
}

/// What some runs used together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageRow {
    /// `day`, `program`, `lane`, `agent` or `issue`.
    pub by: String,
    /// Which: `2026-11-20`, `claude`, `local`, `dispatch`, `acme/api#7`.
    pub name: String,
    /// How many runs.
    pub runs: usize,
    /// What they used.
    pub usage: Usage,
}

/// A program that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    /// `claude`, or `claude:opus`.
    pub program: String,
    /// Until when.
    pub until: Timestamp,
    /// Why, in words.
    pub reason: String,
}

/// `GET /api/control`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Control {
    /// Nothing is handed out.
    pub frozen: bool,
    /// Runs that live.
    pub running: usize,
    /// Runs that may live.
    pub slots: usize,
    /// Cards that are ready and eligible.
    pub ready: usize,
    /// Intents that wait for the forge.
    pub writes_pending: usize,
    /// Paused programs.
    pub paused_pools: Vec<PausedPool>,
    /// Budgets of the day and of programs, used and left.
    #[serde(default)]
    pub budgets: Vec<Spending>,
    /// Programs of which the built-in runner starts no run now, and why: a pause, a pace, a budget.
    #[serde(default)]
    pub waits: Vec<Wait>,
    /// What the runs used: of each of the last seven days, and today by program, lane, agent and issue.
    #[serde(default)]
    pub usage: Vec<UsageRow>,
    /// What the runs of the day used.
    #[serde(default)]
    pub today: Usage,
    /// US dollars spent today, as the budgets' time zone counts days.
    pub cost_today_usd: f64,
    /// Requests left at GitHub, if known.
    pub rate_limit: Option<RateLimit>,
    /// The same for every resource, and why the sync is slowed.
    #[serde(default)]
    pub budget: Budget,
    /// How fresh the board is.
    #[serde(default)]
    pub sync: Freshness,
    /// The runtime in use, or why there is none.
    pub runtime: String,
}

/// What is left at GitHub, resource by resource, and what that means for the sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Each resource whose hour has begun: `core` (REST) and `graphql`.
    pub resources: Vec<ResourceLimit>,
    /// Why reads in the background wait; null if they do not.
    #[serde(default)]
    pub slowed: Option<Slowed>,
}

/// How fresh the tracked repositories are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Freshness {
    /// Tracked repositories.
    pub repos: usize,
    /// Those whose last sync failed.
    pub failing: usize,
    /// Those that were never read.
    pub unread: usize,
    /// The last success of the one that was read longest ago.
    pub oldest_synced_at: Option<Timestamp>,
    /// Which one that is.
    pub oldest: Option<RepoName>,
}

/// What is left of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceLimit {
    /// `core` or `graphql`.
    pub resource: String,
    /// Points per hour.
    pub limit: u64,
    /// Points left.
    pub remaining: u64,
    /// When it is full again.
    pub reset_at: Timestamp,
}

/// Why the sync is slow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slowed {
    /// Until when.
    pub until: Timestamp,
    /// A phrase.
    pub reason: String,
}

/// What is left at the forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests per hour.
    pub limit: u64,
    /// Requests left.
    pub remaining: u64,
    /// When it is full again.
    pub reset_at: Timestamp,
}

/// What wants a person, most urgent kind first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// An agent asks something.
    Question,
    /// A run failed and nobody retries it.
    Failed,
    /// The forge refused a write.
    WriteRefused,
    /// A lease ran out.
    LeaseExpired,
    /// A pull request waits for review.
    Review,
    /// An engine or an image that runs need is not there, or does not answer.
    Engine,
    /// A repository cannot be synced.
    Sync,
    /// A pool is paused.
    Pool,
    /// A budget is nearly or fully used.
    Budget,
    /// A container of ours that we do not know.
    Orphan,
    /// A report that could not be verified.
    Unverified,
}

/// `GET /api/problems`: most urgent first, oldest first within a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Stays the same while the problem lasts.
    pub id: String,
    /// What kind.
    pub kind: ProblemKind,
    /// Since when.
    pub since: Timestamp,
    /// `acme/api#390`, a repository, a program.
    pub subject: String,
    /// One sentence.
    pub text: String,
    /// What solves it: `answer`, `retry`, `move`, `browser`, `sync`, `resume`, `check`.
    pub action: String,
    /// The card, if there is one.
    pub issue_id: Option<IssueId>,
    /// The run, if there is one.
    pub run_id: Option<RunId>,
    /// The repository, if there is one.
    pub repo_full_name: Option<RepoName>,
}

/// `GET /api/orphans`: what an engine holds under this daemon's label although it knows no run for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// What it is called there.
    pub name: String,
    /// Which engine.
    pub runtime: RuntimeKind,
    /// The run that its label names.
    pub run_id: RunId,
    /// The attempt that its label names.
    pub attempt: Attempt,
    /// Whether its program still runs.
    pub running: bool,
    /// When it was first seen.
    pub since: Timestamp,
}

/// `POST /api/orphans/stop`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StopOrphansRequest {
    /// Which; empty is all of them.
    pub names: Vec<String>,
}

/// What came of `POST /api/orphans/stop`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StopOrphansAnswer {
    /// Those that were ended and removed.
    pub stopped: Vec<Orphan>,
    /// A sentence for each that was not.
    pub errors: Vec<String>,
}
