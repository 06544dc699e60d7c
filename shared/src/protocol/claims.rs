//! Claims on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IssueRef;
use crate::Timestamp;
use crate::claim::{Attempt, Checkpoint};
use crate::id::{AgentName, ClaimId};

/// A live claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Name it in every later call.
    pub id: ClaimId,
    /// Who holds it.
    pub agent_name: AgentName,
    /// The fence.
    pub attempt: Attempt,
    /// Since when.
    pub claimed_at: Timestamp,
    /// Renew before then.
    pub lease_expires_at: Timestamp,
    /// How often to renew.
    pub renew_every_seconds: u64,
    /// How far the worker says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// Whether the built-in runner holds it.
    #[serde(default)]
    pub runner: bool,
}

/// `POST /api/issues/claim` and `…/unclaim`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimRequest {
    /// Which card.
    #[serde(flatten)]
    pub issue: IssueRef,
    /// Who claims.
    pub agent_name: String,
    /// Take it from whoever holds it (maintainers only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// For unclaim: the claim meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<ClaimId>,
}

/// Answer of `POST /api/issues/claim`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimAnswer {
    /// Always true.
    pub success: bool,
    /// The labels after the change.
    pub labels: Vec<String>,
    /// The claim.
    pub claim: Claim,
}

/// `POST /api/agents/{agent}/heartbeat`: an optional body names one claim, else all of the agent's are renewed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HeartbeatRequest {
    /// The claim meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<ClaimId>,
}

/// Answer of a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatAnswer {
    /// `ok`, `warning` or `error`.
    pub status: String,
    /// Who.
    pub agent_name: AgentName,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was done.
    pub finished_at: Timestamp,
    /// One sentence.
    pub summary: String,
    /// What a person should look at.
    pub warnings: Vec<String>,
    /// What failed.
    pub errors: Vec<String>,
    /// The issues whose leases were renewed.
    pub touched_issue_urls: Vec<String>,
}
