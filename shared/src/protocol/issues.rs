//! `/api/issues…`: cards, moving them, and why one is or is not next.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IssueRef;
use super::claims::Claim;
use crate::Timestamp;
use crate::followup::PullState;
use crate::id::{IssueId, RepoName};
use crate::issue::{Flag, IssueState};

/// Query of `GET /api/issues`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IssuesQuery {
    /// `owner/name`.
    pub repo: Option<String>,
    /// Agent label.
    pub agent: Option<String>,
    /// Owner label.
    pub owner: Option<String>,
    /// `p1` or `priority/p1`.
    pub priority: Option<String>,
    /// Type label.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `ready` or `status/ready`.
    pub status: Option<String>,
    /// Lane id or alias.
    pub lane: Option<String>,
    /// Words that must all be in title or number.
    pub q: Option<String>,
    /// A repository, whole or by its last part, or the label `project/…`.
    pub project: Option<String>,
    /// Only cards that were split into children, or only the others.
    #[serde(deserialize_with = "super::flag")]
    pub decomposed: Option<bool>,
    /// Closed ones of any age too.
    #[serde(deserialize_with = "super::flag")]
    pub include_closed: Option<bool>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// The repository inside an issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryRef {
    /// Before the slash.
    pub owner: String,
    /// After the slash.
    pub name: String,
    /// Both.
    pub full_name: String,
}

/// The pull request linked to an issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkedPull {
    /// Its number.
    pub number: u64,
    /// Where a person reads it.
    pub url: String,
    /// Open, closed or merged.
    pub state: PullState,
    /// A draft is not ready for review.
    pub is_draft: bool,
    /// The commit at its head.
    pub head_sha: String,
    /// `CHANGES_REQUESTED`, `APPROVED`, … as the forge spells it; null if nobody has to decide or it is not known.
    pub review_decision: Option<String>,
    /// `CLEAN`, `DIRTY`, `BEHIND`, … as the forge spells it; null if not known.
    pub merge_state: Option<String>,
    /// Checks and statuses of the head.
    pub checks: CheckCounts,
    /// Review threads that are not resolved.
    pub unresolved_threads: u64,
    /// Whether something speaks for work.
    pub needs_followup: bool,
    /// What, in words.
    pub followup_reasons: Vec<String>,
    /// Since when it is known to be so; null if nobody has looked yet.
    pub checked_at: Option<Timestamp>,
    /// What could not be seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_seen: Vec<String>,
}

/// How many checks and statuses ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckCounts {
    /// Well, or it did not matter.
    pub passed: u64,
    /// So that they want work.
    pub failed: u64,
    /// Not yet.
    pub pending: u64,
}

/// One card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issue {
    /// The same as `issueId`.
    pub id: IssueId,
    /// The opaque id.
    pub issue_id: IssueId,
    /// The forge's number.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Where a person reads it.
    pub url: String,
    /// Open or closed.
    pub state: IssueState,
    /// Markdown; null in board snapshots and events, where it would only cost.
    pub body: Option<String>,
    /// All labels, as the forge spells them.
    pub labels: Vec<String>,
    /// Logins.
    pub assignees: Vec<String>,
    /// The full label, `status/ready`, or null.
    pub status: Option<String>,
    /// The column the card stands in: the bare word (a card without a status label stands in `backlog`).
    pub column: crate::issue::Status,
    /// What keeps it from being handed out.
    pub flags: Vec<Flag>,
    /// The full label, `priority/p1`, or null.
    pub priority: Option<String>,
    /// From the label `type/…`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The lane it is worked in.
    pub lane: String,
    /// The same.
    pub current_lane: String,
    /// From the label `agent/…`.
    pub agent: Option<String>,
    /// From the label `owner/…`.
    pub owner: Option<String>,
    /// Where it lives.
    pub repository: RepositoryRef,
    /// `owner/name`.
    pub repo_full_name: RepoName,
    /// Whether it was split into child issues.
    pub decomposed: bool,
    /// Why.
    pub decomposed_note: Option<String>,
    /// The children.
    pub follow_up_urls: Vec<String>,
    /// When a groomer last looked.
    pub groomed_at: Option<Timestamp>,
    /// The linked pull request's number.
    pub linked_pr_number: Option<u64>,
    /// The linked pull request's address.
    pub linked_pr_url: Option<String>,
    /// The linked pull request.
    pub linked_pr: Option<LinkedPull>,
    /// Other pull requests that belong to it, newest first; the linked one is the newest that is open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_prs: Vec<LinkedPull>,
    /// The live claim.
    pub claim: Option<Claim>,
    /// Failed attempts since the last success, reopening or retry.
    pub failures: u32,
    /// A label write that waits for the forge (`pending`) or that the forge refused (the reason).
    pub write: Option<WriteState>,
    /// The newest run's id, if the built-in runner worked on it.
    pub last_run: Option<crate::id::RunId>,
    /// How long was worked on it in all: the time of its claims, and of the built-in runner's runs; a live one counts up to its
    /// last sign of life.
    #[serde(default)]
    pub time_spent_seconds: u64,
    /// When the card came into its column, as far as Dispatch knows.
    pub since: Timestamp,
    /// On the forge.
    pub created_at: Timestamp,
    /// On the forge.
    pub updated_at: Timestamp,
    /// On the forge.
    pub closed_at: Option<Timestamp>,
}

/// What became of the newest write to the forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum WriteState {
    /// Stored, not yet carried out.
    Pending,
    /// The forge said no.
    Refused {
        /// What it said.
        reason: String,
    },
}

/// `POST /api/issues/move`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MoveRequest {
    /// Which card.
    #[serde(flatten)]
    pub issue: IssueRef,
    /// What the client believes the labels are; informative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_labels: Option<Vec<String>>,
    /// The labels wanted; only the status among them moves the card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_labels: Option<Vec<String>>,
    /// Or the column itself, full or bare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Fails with 409 if the card's claim is not this one any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<crate::id::ClaimId>,
}

/// Answer of label-changing routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelsAnswer {
    /// Always true.
    pub success: bool,
    /// The labels after the change.
    pub labels: Vec<String>,
    /// The full status label after the change, or null.
    pub status: Option<String>,
    /// What a caller should know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_note: Option<String>,
}

/// `GET /api/issues/state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssueStateAnswer {
    /// The opaque id.
    pub issue_id: IssueId,
    /// `owner/name`.
    pub repo_full_name: RepoName,
    /// The number.
    pub number: u64,
    /// Open or closed.
    pub state: IssueState,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// All labels.
    pub labels: Vec<String>,
}

/// One rule of `GET /api/issues/{id}/why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhyRule {
    /// A few words: `status/ready`, `unclaimed`.
    pub rule: String,
    /// Whether it is so.
    pub holds: bool,
    /// In words.
    pub why: String,
}

/// `GET /api/issues/{id}/why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// Which card.
    pub issue_id: IssueId,
    /// Whether it may be handed out now.
    pub eligible: bool,
    /// The check-list.
    pub rules: Vec<WhyRule>,
}
