//! `/api/issues/groom`, `/api/groomer/…`, `/api/issues/actions/decompose` and `/api/issues/{id}/children`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IssueRef;
use crate::Timestamp;
use crate::id::{IssueId, RepoName};

/// What a groomer decides about an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroomAction {
    /// It can be worked on: the card becomes ready.
    PromoteToReady,
    /// It is hard: it goes to the lane for escalations and stays in its column.
    Escalate,
    /// It is not to be worked on yet: backlog.
    MarkNotReady,
    /// Its author has to say more.
    MarkNeedsInfo,
    /// Something else has to happen first.
    MarkBlocked,
}

impl GroomAction {
    /// All of them.
    pub const ALL: [GroomAction; 5] = [
        GroomAction::PromoteToReady,
        GroomAction::Escalate,
        GroomAction::MarkNotReady,
        GroomAction::MarkNeedsInfo,
        GroomAction::MarkBlocked,
    ];

    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            GroomAction::PromoteToReady => "promote_to_ready",
            GroomAction::Escalate => "escalate",
            GroomAction::MarkNotReady => "mark_not_ready",
            GroomAction::MarkNeedsInfo => "mark_needs_info",
            GroomAction::MarkBlocked => "mark_blocked",
        }
    }
}

/// `POST /api/issues/groom`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroomRequest {
    /// Which card.
    #[serde(flatten)]
    pub issue: IssueRef,
    /// What was decided.
    pub action: GroomAction,
    /// What the groomer found, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grooming_summary: Option<String>,
    /// For `mark_not_ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_ready_reason: Option<String>,
    /// For `mark_needs_info`: the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_info_reason: Option<String>,
    /// For `mark_blocked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<String>,
    /// Who groomed; else the request's actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
}

/// Answer of `POST /api/issues/groom`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroomAnswer {
    /// Always true.
    pub success: bool,
    /// The opaque id.
    pub issue_id: IssueId,
    /// What was done.
    pub action: GroomAction,
    /// The labels after it.
    pub labels: Vec<String>,
    /// The full status label after it, or null.
    pub status: Option<String>,
    /// The lane after it.
    pub lane: String,
    /// When it was groomed.
    pub groomed_at: Option<Timestamp>,
    /// Whether a comment is being written; not if the last one is younger than 24 hours.
    pub commented: bool,
}

/// `POST /api/groomer/run`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GroomerRunRequest {
    /// Change nothing, only say what would be done; true if absent, unless configured otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Only this repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_full_name: Option<String>,
    /// Exactly this issue of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue_number: Option<u64>,
    /// Also one that was groomed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}

/// How a run of the hosted groomer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroomerStatus {
    /// Decided and applied.
    Completed,
    /// Decided, nothing changed.
    DryRunCompleted,
    /// No usable answer, or the issue changed meanwhile.
    Failed,
    /// Nothing to groom.
    Idle,
}

/// What the hosted groomer decided, after validation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroomerOutput {
    /// Labels to add; only allowed ones.
    pub labels: Vec<String>,
    /// Labels that the model named and that are not allowed.
    #[serde(default)]
    pub rejected_labels: Vec<String>,
    /// The lane, as configured; null if it says none.
    pub lane: Option<String>,
    /// How sure the lane is.
    pub confidence: super::lanes::Confidence,
    /// What it found, for people.
    pub summary: String,
    /// `ready`, `escalate`, `not_ready`, `needs_info` or `blocked`.
    pub actionability: String,
    /// The action that follows from it.
    pub action: GroomAction,
    /// Why, or the question.
    #[serde(default)]
    pub reason: Option<String>,
}

/// One run of the hosted groomer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroomerRun {
    /// Grows by one; 0 for one that is not kept (idle).
    pub id: u64,
    /// How it ended.
    pub status: GroomerStatus,
    /// Whether it was to change nothing.
    pub dry_run: bool,
    /// The issue.
    pub issue_id: Option<IssueId>,
    /// `owner/name`.
    pub repo_full_name: Option<RepoName>,
    /// The issue's number.
    pub issue_number: Option<u64>,
    /// The model asked.
    pub model: Option<String>,
    /// What it decided.
    pub output: Option<GroomerOutput>,
    /// Why it failed or found nothing, in words.
    pub error: Option<String>,
    /// Tokens in and out, if the endpoint said.
    pub tokens: Option<(u64, u64)>,
    /// Who asked for it.
    pub actor: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// `POST /api/issues/actions/decompose`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DecomposeRequest {
    /// `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// Which card; `repo` stands for `repoFullName`.
    #[serde(flatten)]
    pub issue: IssueRef,
    /// Whether it is split into others; true if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decomposed: Option<bool>,
    /// The addresses of those others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_up_urls: Option<Vec<String>>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
    /// Who asks, if it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// Answer of `POST /api/issues/actions/decompose`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecomposeAnswer {
    /// Always true.
    pub success: bool,
    /// The opaque id.
    pub issue_id: IssueId,
    /// Whether it is split now.
    pub decomposed: bool,
    /// The others.
    pub follow_up_urls: Vec<String>,
    /// Why.
    pub decomposed_note: Option<String>,
    /// Whether all children that Dispatch knows are closed.
    pub children_closed: bool,
}

/// One child to be: a title alone, or with text and labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ChildItem {
    /// The title.
    Title(String),
    /// More than that.
    Whole {
        /// One line.
        title: String,
        /// Markdown.
        #[serde(default)]
        body: String,
        /// Labels beside those inherited from the parent.
        #[serde(default)]
        labels: Vec<String>,
    },
}

/// `POST /api/issues/{id}/children`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ChildrenRequest {
    /// The children; none are the open items of the parent's check-list.
    pub items: Vec<ChildItem>,
    /// Change nothing, only say what would be done; true if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// A child, made or to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Child {
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// `planned`, `pending` (the forge is being told), or `there already`.
    pub state: String,
    /// Its number, once it is there.
    pub number: Option<u64>,
    /// Its address, once it is there.
    pub url: Option<String>,
}

/// Answer of `POST /api/issues/{id}/children`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChildrenAnswer {
    /// Always true.
    pub success: bool,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The parent.
    pub issue_id: IssueId,
    /// The children asked for.
    pub children: Vec<Child>,
}
