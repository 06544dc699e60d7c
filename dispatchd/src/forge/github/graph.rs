//! GraphQL's answers about pull requests as plain data. Everything may be null: what the token may not see, what failed
//! over there, whose account was deleted.

use std::collections::HashMap;

use dispatch_shared::Timestamp;
use serde::Deserialize;

/// An answer: data and errors, which both may be there.
#[derive(Debug, Deserialize)]
pub(super) struct Reply<T> {
    pub(super) data: Option<T>,
    #[serde(default)]
    pub(super) errors: Vec<Complaint>,
}

/// Something that went wrong over there.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Complaint {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) path: Vec<serde_json::Value>,
}

impl Complaint {
    /// Whether it is about what stands at `path` or below it.
    pub(super) fn is_below(&self, path: &[&str]) -> bool {
        path.len() <= self.path.len() && path.iter().zip(&self.path).all(|(want, have)| have == want)
    }

    /// The field after `depth` steps.
    pub(super) fn field(&self, depth: usize) -> Option<&str> {
        self.path.get(depth).and_then(serde_json::Value::as_str)
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RateLimit {
    pub(super) cost: u64,
    pub(super) limit: u64,
    pub(super) remaining: u64,
    pub(super) reset_at: Timestamp,
}

/// The repositories under their aliases, beside the budget.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pulls {
    pub(super) rate_limit: Option<RateLimit>,
    #[serde(flatten)]
    pub(super) repositories: HashMap<String, Option<Repository>>,
}

/// The pull requests under their aliases, beside the repository's number.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repository {
    pub(super) database_id: Option<u64>,
    #[serde(flatten)]
    pub(super) pulls: HashMap<String, Option<Pull>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Home {
    #[serde(rename = "databaseId")]
    pub(super) database_id: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Actor {
    pub(super) login: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct List<T> {
    pub(super) nodes: Option<Vec<Option<T>>>,
}

impl<T> List<T> {
    pub(super) fn there(self) -> impl Iterator<Item = T> {
        self.nodes.into_iter().flatten().flatten()
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    pub(super) page_info: PageInfo,
    pub(super) nodes: Option<Vec<Option<T>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

impl PageInfo {
    /// From where to read on.
    pub(super) fn next(self) -> Option<String> {
        self.end_cursor.filter(|_| self.has_next_page)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pull {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) state: String,
    #[serde(default)]
    pub(super) is_draft: bool,
    #[serde(default)]
    pub(super) is_cross_repository: bool,
    pub(super) head_ref_oid: String,
    pub(super) updated_at: Timestamp,
    pub(super) review_decision: Option<String>,
    pub(super) mergeable: Option<String>,
    pub(super) merge_state_status: Option<String>,
    pub(super) author: Option<Actor>,
    pub(super) labels: Option<List<Label>>,
    pub(super) closing_issues_references: Option<List<Closed>>,
    pub(super) review_threads: Option<Page<Thread>>,
    pub(super) status_check_rollup: Option<Rollup>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Closed {
    pub(super) number: u64,
    pub(super) repository: Option<Home>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thread {
    pub(super) id: String,
    pub(super) is_resolved: bool,
    pub(super) path: Option<String>,
    pub(super) line: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Rollup {
    pub(super) contexts: Option<Page<Context>>,
}

/// A check run or a status; a kind that is new counts as nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "__typename")]
pub(super) enum Context {
    CheckRun(CheckRun),
    #[serde(rename = "StatusContext")]
    Status(Status),
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CheckRun {
    pub(super) id: String,
    pub(super) database_id: Option<u64>,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) check_suite: Option<Suite>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Suite {
    pub(super) app: Option<App>,
    pub(super) workflow_run: Option<WorkflowRun>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct App {
    pub(super) slug: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct WorkflowRun {
    pub(super) event: Option<String>,
    pub(super) workflow: Option<Workflow>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Workflow {
    pub(super) name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Status {
    pub(super) id: String,
    pub(super) context: String,
    pub(super) state: String,
    pub(super) description: Option<String>,
}

/// What was asked of the unhealthy ones.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Details {
    pub(super) rate_limit: Option<RateLimit>,
    #[serde(default)]
    pub(super) threads: Vec<Option<ThreadDetails>>,
    #[serde(default)]
    pub(super) pulls: Vec<Option<PullDetails>>,
    #[serde(default)]
    pub(super) checks: Vec<Option<CheckDetails>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ThreadDetails {
    pub(super) id: Option<String>,
    pub(super) first: Option<List<Comment>>,
    pub(super) newest: Option<List<Comment>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Comment {
    pub(super) full_database_id: Option<Number>,
    #[serde(default)]
    pub(super) body: String,
    pub(super) author: Option<Actor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PullDetails {
    pub(super) id: Option<String>,
    pub(super) latest_opinionated_reviews: Option<List<Review>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Review {
    pub(super) full_database_id: Option<Number>,
    pub(super) state: String,
    #[serde(default)]
    pub(super) body: String,
    pub(super) author: Option<Actor>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckDetails {
    pub(super) id: Option<String>,
    pub(super) title: Option<String>,
    pub(super) summary: Option<String>,
}

/// A number that GitHub writes as a string, for it may be large.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Text(String),
    Whole(u64),
}

impl Number {
    pub(super) fn text(self) -> String {
        match self {
            Number::Text(text) => text,
            Number::Whole(number) => number.to_string(),
        }
    }
}

/// The next page of one connection of one pull request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct More {
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) node: Option<MorePull>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MorePull {
    pub(super) head_ref_oid: Option<String>,
    pub(super) review_threads: Option<Page<Thread>>,
    pub(super) status_check_rollup: Option<Rollup>,
}
