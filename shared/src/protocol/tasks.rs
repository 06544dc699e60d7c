//! `/api/agents/{agent}/next-task` and `…/tasks/report`.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::claims::Claim;
use crate::Timestamp;
use crate::id::{AgentName, ClaimId, IssueId, RepoName};
use crate::run::Usage;
use crate::task::{Forbid, Outcome, TaskType};

/// Query of `GET` and `POST …/next-task`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NextTaskQuery {
    /// Only this lane.
    pub lane: Option<String>,
    /// `groom` for groomers.
    pub mode: Option<String>,
    /// Hold the request until there is work: `30s`, `2m`, or plain seconds.
    pub wait: Option<String>,
    /// Return the caller's own live work.
    #[serde(deserialize_with = "super::flag")]
    pub resume: Option<bool>,
    /// Also what is about updates of dependencies.
    #[serde(rename = "includeRenovate", deserialize_with = "super::flag")]
    pub include_renovate: Option<bool>,
    /// False hands out issues that are split into children, too.
    #[serde(deserialize_with = "super::flag")]
    pub exclude_decomposed: Option<bool>,
    /// Looking: the caller's own live work counts.
    #[serde(rename = "includeClaimed", deserialize_with = "super::flag")]
    pub include_claimed: Option<bool>,
}

/// Body of `POST …/next-task`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TakeRequest {
    /// Replays the live claim if the answer was lost; 1 to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// The issue inside a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskIssue {
    /// The opaque id.
    pub id: IssueId,
    /// `owner/name`.
    pub repo_full_name: RepoName,
    /// The number.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Where a person reads it.
    pub url: String,
    /// Markdown. Untrusted input.
    pub body: String,
    /// All labels.
    pub labels: Vec<String>,
}

/// The pull request inside a follow-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskPull {
    /// `owner/name`.
    pub repo_full_name: RepoName,
    /// The number.
    pub number: u64,
    /// Where a person reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Names a PR-fix item at one generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PrFixItem {
    /// The opaque id.
    pub id: String,
    /// The fence: 1 or more. Always there in a task; a report without it settles nothing by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// Where to report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportTo {
    /// Always `POST`.
    pub method: String,
    /// The path.
    pub path: String,
}

/// What something related is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelatedKind {
    /// An issue.
    Issue,
    /// A pull request.
    PullRequest,
}

/// Something else that touches a task, as far as Dispatch knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Related {
    /// What it is.
    pub kind: RelatedKind,
    /// Its number in the task's repository.
    pub number: u64,
    /// One line. Untrusted input.
    pub title: String,
    /// Where a person reads it.
    pub url: String,
    /// How it touches the task, in words.
    pub why: String,
}

/// How many cards are withheld for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Withheld {
    /// In words: `claimed`, `flagged`, `other lane`.
    pub why: String,
    /// How many.
    pub count: usize,
}

/// A task, or word that there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = by_type)]
pub struct Task {
    /// Idle, implement, followup-pr or groom.
    #[serde(rename = "type")]
    pub kind: TaskType,
    /// False for idle: stop before a model starts.
    pub should_run: bool,
    /// Idle: why, with counts of what is withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Idle: the same counts for a program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Withheld>,
    /// Who asked.
    pub agent_name: AgentName,
    /// The lane of the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// The issue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<TaskIssue>,
    /// The pull request of a follow-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<TaskPull>,
    /// The PR-fix item of a follow-up; name it in the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr_fix_item: Option<PrFixItem>,
    /// Why the pull request needs work, in words.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What was said about the pull request. Untrusted input.
    #[serde(default)]
    pub feedback_items: Vec<super::followup::FeedbackItem>,
    /// The commit at the pull request's head when the task was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_sha: Option<String>,
    /// What is asked, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instructions: String,
    /// When to stop, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stop_after: String,
    /// Sentences.
    #[serde(default)]
    pub forbidden_actions: Vec<String>,
    /// The same as codes.
    #[serde(default)]
    pub forbids: Vec<Forbid>,
    /// What is explicitly fine.
    #[serde(default)]
    pub allowed_actions: Vec<String>,
    /// Check-list items and the acceptance section of the issue.
    #[serde(default)]
    pub acceptance_criteria: Vec<String>,
    /// Open pull requests and issues that touch the task; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
    /// What an operator answered to the question that was asked about the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Names the task across calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Where to report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_to: Option<ReportTo>,
    /// The branch name to use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The branch to start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_branch: Option<String>,
    /// After a take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Why this one, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranking_reason: Option<String>,
}

/// What each type of task holds for certain.
fn by_type(schema: &mut Schema) {
    let work = ["instructions", "stopAfter", "forbiddenActions", "forbids", "reportTo"];
    let holds = |kind: &str, runs: bool, fields: &[&str]| {
        json!({
            "if": {"properties": {"type": {"const": kind}}},
            "then": {"properties": {"shouldRun": {"const": runs}}, "required": fields}
        })
    };
    let with = |more: &[&'static str]| [&work[..], more].concat();
    let rules = json!([
        holds("idle", false, &["reason"]),
        holds("implement", true, &with(&["issue", "branch", "baseBranch"])),
        holds("followup-pr", true, &with(&["pullRequest", "reasons"])),
        holds("groom", true, &with(&["issue"])),
    ]);
    schema.insert("allOf".to_owned(), rules);
    schema.insert("dependentRequired".to_owned(), json!({"claim": ["taskId"]}));
}

/// `POST /api/agents/{agent}/tasks/report`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportRequest {
    /// What kind of task it was.
    pub task_type: TaskType,
    /// What came of it.
    pub outcome: Outcome,
    /// `owner/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_full_name: Option<String>,
    /// The issue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue_number: Option<u64>,
    /// The issue by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue_id: Option<String>,
    /// The pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request_number: Option<u64>,
    /// The pull request's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request_url: Option<String>,
    /// One paragraph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What went wrong, or the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why nothing was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// Full ISO-8601 with zone, not in the future, at most 24 h old, else the report time counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The claim meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<ClaimId>,
    /// The PR-fix item of a follow-up, as the task named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr_fix_item: Option<PrFixItem>,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

impl ReportRequest {
    /// A report that says only this much; the rest is set on top.
    #[must_use]
    pub fn new(task_type: TaskType, outcome: Outcome) -> Self {
        Self {
            task_type,
            outcome,
            repo_full_name: None,
            issue_number: None,
            issue_id: None,
            pull_request_number: None,
            pull_request_url: None,
            summary: None,
            error: None,
            evidence: None,
            started_at: None,
            idempotency_key: None,
            claim_id: None,
            pr_fix_item: None,
            usage: None,
        }
    }
}

/// What became of a PR-fix item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrFixResolution {
    /// Whether an item belonged to the report.
    pub matched: bool,
    /// `none`, `blocked`, `fixed`, `deferred` or `skipped`.
    pub action: String,
    /// The item.
    pub item_id: Option<String>,
    /// In words.
    pub reason: String,
}

/// The report as kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What kind of task it was.
    pub task_type: TaskType,
    /// What came of it.
    pub outcome: Outcome,
    /// The issue.
    pub issue_id: Option<IssueId>,
    /// The pull request that it settled on.
    pub pull_request_number: Option<u64>,
    /// One paragraph.
    pub summary: Option<String>,
    /// `completed`, `failed` or `blocked`.
    pub status: String,
    /// When it was accepted.
    pub at: Timestamp,
    /// Whether the issue changed while it was worked on.
    #[serde(default)]
    pub issue_changed: bool,
}

/// Answer of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportAnswer {
    /// Always true.
    pub ok: bool,
    /// Who.
    pub agent_name: AgentName,
    /// As kept.
    pub report: Report,
    /// The activity row it made.
    pub agent_run_id: String,
    /// For follow-ups.
    pub pr_fix_resolution: PrFixResolution,
    /// The stored answer of an earlier report with the same key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<bool>,
}
