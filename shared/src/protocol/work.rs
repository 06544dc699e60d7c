//! `/api/agent-work…` and what an agent asks of its own work.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IssueRef;
use crate::Timestamp;
use crate::claim::{Attempt, Checkpoint, WorkState};
use crate::id::{AgentName, ClaimId, IssueId, RepoName};

/// `POST /api/agent-work/start`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StartRequest {
    /// Which issue; none means the agent's newest claim, else the next task.
    #[serde(flatten)]
    pub issue: IssueRef,
    /// Who starts.
    pub agent_name: String,
    /// What the worker calls its own run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The branch it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// `POST /api/agent-work/checkpoint`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckpointRequest {
    /// Which issue; none means the agent's newest claim.
    #[serde(flatten)]
    pub issue: IssueRef,
    /// Whose work.
    pub agent_name: String,
    /// How far it is; needed.
    pub checkpoint: Option<Checkpoint>,
    /// One paragraph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What it waits for; needed for `BLOCKED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocker_reason: Option<String>,
    /// The branch it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The claim meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<ClaimId>,
}

/// `POST /api/agent-work/finish`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FinishRequest {
    /// Which issue; none means the agent's newest claim.
    #[serde(flatten)]
    pub issue: IssueRef,
    /// Whose work.
    pub agent_name: String,
    /// `DONE`, `BLOCKED` or `RELEASED`; needed.
    pub state: Option<WorkState>,
    /// One paragraph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The claim meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<ClaimId>,
}

/// A piece of work: a claim, as those see it who resume it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// The claim's id.
    pub id: ClaimId,
    /// The same: one lease record stands behind both.
    pub lease_id: ClaimId,
    /// Who works.
    pub agent_name: AgentName,
    /// Where it stands.
    pub state: WorkState,
    /// How far it is.
    pub checkpoint: Checkpoint,
    /// What to do next, one word with underscores.
    pub next_action: String,
    /// The last renewal, or the claim itself.
    pub last_heartbeat_at: Timestamp,
    /// Until when, unless renewed.
    pub lease_expires_at: Timestamp,
    /// The opaque id.
    pub issue_id: IssueId,
    /// `owner/name`; null if the repository is not known any more.
    pub repo_full_name: Option<RepoName>,
    /// The number.
    pub issue_number: u64,
    /// The issue's title.
    pub title: Option<String>,
    /// The issue's address.
    pub issue_url: Option<String>,
    /// The lane.
    pub lane: Option<String>,
    /// The linked pull request's address.
    pub pr_url: Option<String>,
    /// The branch, as the worker said.
    pub branch: Option<String>,
    /// What the worker calls its run.
    pub run_id: Option<String>,
    /// What the worker said last.
    pub summary: Option<String>,
    /// What it waits for.
    pub blocker_reason: Option<String>,
    /// The fence.
    pub attempt: Attempt,
    /// Since when.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Query of `GET /api/agent-work`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WorkQuery {
    /// Only this agent's.
    pub agent: Option<String>,
    /// Leases that ran out too; true if absent.
    pub include_stale: Option<String>,
}

/// `GET /api/agent-work`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkList {
    /// What is held now.
    pub active_work: Vec<Work>,
    /// Leases that ran out and whose issue nobody has taken since.
    pub stale_leases: Vec<Work>,
}

/// `POST /api/agent-work`: an operator's hand on somebody's work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkActionRequest {
    /// `release` or `reassign`.
    pub action: String,
    /// Release: whose. Reassign: to whom.
    pub agent_name: String,
    /// Which issue.
    #[serde(flatten)]
    pub issue: IssueRef,
    /// Or which work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_id: Option<ClaimId>,
    /// Or which lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<ClaimId>,
    /// Or everything that the agent holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_all: Option<bool>,
    /// Why; kept in the audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer of `POST /api/agent-work`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkActionAnswer {
    /// Always true.
    pub success: bool,
    /// Why, as it was given.
    pub reason: String,
    /// How many leases ended.
    pub released_leases: usize,
    /// How many issues are free now.
    pub released_work: usize,
    /// Reassign: the new work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Work>,
}

/// Answer of `POST /api/agent-work/sweep`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SweepAnswer {
    /// Always true.
    pub success: bool,
    /// How many leases were found to have run out.
    pub swept: usize,
    /// Which.
    pub stale_leases: Vec<Work>,
}

/// `GET /api/agents/{agent}/active-work`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveWork {
    /// Whether there is any.
    pub has_active_work: bool,
    /// The newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<WorkContext>,
}

/// What a worker needs in order to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkContext {
    /// The opaque id.
    pub issue_id: IssueId,
    /// `owner/name`.
    pub repo_full_name: RepoName,
    /// The number.
    pub issue_number: u64,
    /// Who works.
    pub agent_name: AgentName,
    /// How far it is, in lower case: `issue_claimed`, `branch_created`…
    pub checkpoint: String,
    /// The branch, as the worker said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The linked pull request's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr_url: Option<String>,
    /// What to do next.
    pub next_action: String,
    /// The claim.
    pub lease_id: ClaimId,
    /// Until when, unless renewed.
    pub lease_expires_at: Timestamp,
    /// The lane.
    pub lane: String,
    /// The full label or null.
    pub status: Option<String>,
    /// All labels.
    pub labels: Vec<String>,
}

/// One entry of `GET /api/agents/{agent}/in-progress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InProgress {
    /// `owner/name`.
    pub repo_full_name: RepoName,
    /// The number.
    pub issue_number: u64,
    /// The opaque id.
    pub issue_id: IssueId,
}

/// The counts of one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaneCounts {
    /// What the agent could take.
    pub queued: usize,
    /// What it works on.
    pub in_progress: usize,
}

/// `GET /api/agents/{agent}/work-summary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkSummary {
    /// Who.
    pub agent_name: AgentName,
    /// By configured lane.
    pub issues: BTreeMap<String, LaneCounts>,
    /// Cards in lanes that are not configured, by lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_lanes: Option<BTreeMap<String, usize>>,
    /// PR-fix items that wait.
    pub pr_fixes: usize,
}
