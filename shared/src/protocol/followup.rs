//! `/api/pr-fix-queue/…`, `/api/pr-followup/…`: pull requests that need work again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::claims::Claim;
use crate::Timestamp;
use crate::followup::{FixLane, FixStatus, FixType};
use crate::id::{ClaimId, RepoName};

/// One remark that a fix has to deal with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FeedbackItem {
    /// Login of whoever said it.
    pub author: Option<String>,
    /// The file that it is about.
    pub path: Option<String>,
    /// The line in that file.
    pub line: Option<u64>,
    /// What was said; of a failing check a bounded excerpt of its log.
    pub text: String,
}

impl FeedbackItem {
    /// A remark about nothing in particular.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// As one string: `path:line: text`.
    #[must_use]
    pub fn line_of_text(&self) -> String {
        match (&self.path, self.line) {
            (Some(path), Some(line)) => format!("{path}:{line}: {}", self.text),
            (Some(path), None) => format!("{path}: {}", self.text),
            (None, _) => self.text.clone(),
        }
    }
}

/// One step in an item's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FixEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// `enqueue`, `evidence`, `hand_out`, `return`, `mark`, `requeue`, `report`, `observe`.
    pub action: String,
    /// The status after it.
    pub status: FixStatus,
    /// The generation after it.
    pub generation: u64,
    /// In words.
    pub note: Option<String>,
}

/// An item of the PR-fix queue: what every mutation answers, bare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FixItem {
    /// The opaque id.
    pub id: String,
    /// `owner/name`.
    pub repo: RepoName,
    /// The pull request's number.
    pub pr: u64,
    /// The linked issue's number.
    pub issue: Option<u64>,
    /// The branch that the pull request comes from, if known.
    pub branch: Option<String>,
    /// Where a person reads it, if known.
    pub url: Option<String>,
    /// One line, if known.
    pub title: Option<String>,
    /// `NORMAL`, `ESCALATED` or `NEEDS_HUMAN`.
    pub lane: FixLane,
    /// The configured lane that it is worked in.
    pub lane_id: String,
    /// Where it stands.
    pub status: FixStatus,
    /// The most urgent of its reasons.
    pub fix_type: FixType,
    /// In words.
    pub reason: String,
    /// The 12 newest remarks, each once, oldest first.
    pub feedback: Vec<String>,
    /// The same with author, path and line.
    pub feedback_items: Vec<FeedbackItem>,
    /// The 40 newest, each once: `{eventType}:{repo}#{pr}:{sourceId}`.
    pub evidence_keys: Vec<String>,
    /// The commit at the pull request's head, if known.
    pub head_sha: Option<String>,
    /// Login of the pull request's author, if known.
    pub author: Option<String>,
    /// Starts at 1 and grows only for a fresh attempt.
    pub generation: u64,
    /// Attempts that were answered, over all generations.
    pub attempts: u32,
    /// Since when it waits.
    pub queued_at: Timestamp,
    /// The last change.
    pub updated_at: Timestamp,
    /// The live hand-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Its life, oldest first, bounded.
    pub history: Vec<FixEntry>,
}

/// A row of `GET /api/pr-fix-queue/history`, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FixHistoryRow {
    /// The item.
    pub item_id: String,
    /// `owner/name`.
    pub repo: RepoName,
    /// The pull request's number.
    pub pr: u64,
    /// The step.
    #[serde(flatten)]
    pub entry: FixEntry,
}

/// A PR-fix entry of `GET /api/agents/{agent}/queue`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueFix {
    /// Always `pr-review-fix`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The item.
    #[serde(flatten)]
    pub item: FixItem,
    /// What its worker does next.
    pub next_action: String,
    /// Why it stands where it stands.
    pub ranking_reason: String,
}

/// One remark or several, bare or structured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Remarks {
    /// One sentence.
    One(String),
    /// Several.
    Many(Vec<Remark>),
}

/// A sentence, or one with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Remark {
    /// Bare.
    Text(String),
    /// With author, path and line.
    Item(FeedbackItem),
}

/// `POST /api/pr-fix-queue/enqueue`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EnqueueRequest {
    /// The opaque id; empty counts as absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// The pull request's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pr: Option<u64>,
    /// A tier or a lane's id; needs-human blocks at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// The reason's kind; `OTHER` if absent.
    #[serde(rename = "type", alias = "fixType", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Remarks>,
    /// The same with author, path and line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback_items: Option<Vec<FeedbackItem>>,
    /// Where it comes from; what is known already never requeues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_key: Option<String>,
    /// Several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_keys: Option<Vec<String>>,
    /// The linked issue's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<u64>,
    /// The branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The pull request's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The commit that the evidence is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_sha: Option<String>,
    /// Login of the pull request's author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// `POST /api/pr-fix-queue/mark`, `…/requeue` and `…/ack`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MarkRequest {
    /// The opaque id; empty counts as absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// The pull request's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pr: Option<u64>,
    /// For mark: the status, in either case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// For requeue: another lane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// In words.
    #[serde(alias = "reason", skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The generation that the caller saw; a stale one is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The claim meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<ClaimId>,
    /// Who; else the header `x-agent-name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
}

/// Query of `GET /api/pr-fix-queue/queued` and `…/history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FixQuery {
    /// A tier or a lane's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// Blocked ones too.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "super::flag")]
    pub include_blocked: Option<bool>,
    /// By urgency before age.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "super::flag")]
    pub prioritize_by_type: Option<bool>,
    /// Leaves out what this agent has had already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// The pull request's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pr: Option<u64>,
    /// The most rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Answer of `POST /api/pr-followup/sync`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FollowupSyncAnswer {
    /// Whether every repository could be read.
    pub success: bool,
    /// Repositories looked at.
    pub repos: usize,
    /// Open pull requests of ours that were looked at.
    pub checked: usize,
    /// Items that wait afterwards.
    pub queued: usize,
    /// Items that the sync found merged or closed.
    pub stale: usize,
    /// Pull requests left out, and why.
    pub ignored: Vec<IgnoredPull>,
    /// What could not be seen of some pull request: the forge does not tell, or the token may not ask.
    pub unavailable: Vec<String>,
    /// One sentence for each repository and pull request that could not be read.
    pub errors: Vec<String>,
}

/// A pull request that no signal is read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IgnoredPull {
    /// `owner/name`.
    pub repo: RepoName,
    /// The number.
    pub pr: u64,
    /// In words.
    pub why: String,
}

/// Answer of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookAnswer {
    /// Always true.
    pub ok: bool,
    /// The delivery was seen before: nothing happened.
    pub duplicate: bool,
    /// What came of it: `ignored`, `hinted` or `enqueued`.
    pub effect: String,
    /// Why it is ignored, or what is done, in words.
    #[serde(default)]
    pub reason: Option<String>,
}
