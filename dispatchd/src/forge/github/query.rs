//! The GraphQL queries about pull requests, as text. What they cost is counted by connections: each that is asked for on
//! each node costs a hundredth of a point, whatever it holds. So many are asked for what nearly all have, in one query, and
//! what only the unhealthy ones have is asked for apart.

use crate::core::record::Repo;

/// What every query tells of the budget.
const POINTS: &str = "rateLimit { cost limit remaining resetAt }";

/// One page of checks and statuses.
const CONTEXTS: &str = "fragment Contexts on StatusCheckRollupContextConnection {
  pageInfo { hasNextPage endCursor }
  nodes {
    __typename
    ... on CheckRun {
      id databaseId name status conclusion startedAt
      checkSuite { app { slug } workflowRun { event workflow { name } } }
    }
    ... on StatusContext { id context state description }
  }
}
";

/// One page of review threads.
const THREADS: &str = "fragment Threads on PullRequestReviewThreadConnection {
  pageInfo { hasNextPage endCursor }
  nodes { id isResolved isOutdated path line }
}
";

const PULL: &str = "fragment Pull on PullRequest {
  id number state isDraft isCrossRepository headRefOid updatedAt reviewDecision mergeable mergeStateStatus
  author { login }
  labels(first: 50) { nodes { name } }
  closingIssuesReferences(first: 20) { nodes { number repository { databaseId } } }
  reviewThreads(first: 100) { ...Threads }
  statusCheckRollup { contexts(first: 100) { ...Contexts } }
}
";

const REMARK: &str = "fragment Remark on PullRequestReviewComment { fullDatabaseId body author { login } }\n";

/// Many pull requests: the repositories by the aliases `r0`, `r1`, …, in each its pull requests by `p<number>`.
pub(super) fn pulls(asked: &[(&Repo, Vec<u64>)]) -> String {
    let mut query = format!("query PullHealth {{\n  {POINTS}\n");
    for (i, (repo, numbers)) in asked.iter().enumerate() {
        let (owner, name) = (text(repo.name.owner()), text(repo.name.name()));
        query.push_str(&format!("  r{i}: repository(owner: {owner}, name: {name}) {{\n    databaseId\n"));
        for number in numbers {
            query.push_str(&format!("    p{number}: pullRequest(number: {number}) {{ ...Pull }}\n"));
        }
        query.push_str("  }\n");
    }
    format!("{query}}}\n{PULL}{THREADS}{CONTEXTS}")
}

/// What to ask of the unhealthy ones: node ids.
#[derive(Debug, Default)]
pub(super) struct Details {
    /// Threads whose remarks to read.
    pub(super) threads: Vec<String>,
    /// Pull requests whose reviews to read.
    pub(super) pulls: Vec<String>,
    /// Check runs whose summary to read.
    pub(super) checks: Vec<String>,
}

/// The most ids that one list may hold.
pub(super) const MOST_IDS: usize = 100;

impl Details {
    /// The next query and its variables: at most [`MOST_IDS`] of each kind, which are taken off; `None` once nothing is left.
    pub(super) fn next(&mut self) -> Option<(String, serde_json::Value)> {
        let take = |ids: &mut Vec<String>| ids.drain(..ids.len().min(MOST_IDS)).collect::<Vec<_>>();
        let (threads, pulls, checks) =
            (take(&mut self.threads), take(&mut self.pulls), take(&mut self.checks));
        let mut parts: Vec<(&str, &Vec<String>, &str)> = Vec::new();
        if !threads.is_empty() {
            let fields = "... on PullRequestReviewThread { id first: comments(first: 1) { nodes { ...Remark } } newest: \
                          comments(last: 5) { nodes { ...Remark } } }";
            parts.push(("threads", &threads, fields));
        }
        if !pulls.is_empty() {
            let fields = "... on PullRequest { id latestOpinionatedReviews(first: 20) { nodes { fullDatabaseId state body \
                          author { login } } } }";
            parts.push(("pulls", &pulls, fields));
        }
        if !checks.is_empty() {
            parts.push(("checks", &checks, "... on CheckRun { id title summary }"));
        }
        if parts.is_empty() {
            return None;
        }
        let head: Vec<String> = parts.iter().map(|(name, ..)| format!("${name}: [ID!]!")).collect();
        let body: String = parts
            .iter()
            .map(|(name, _, fields)| format!("  {name}: nodes(ids: ${name}) {{ {fields} }}\n"))
            .collect();
        let remark = if threads.is_empty() { "" } else { REMARK };
        let query = format!("query PullDetails({}) {{\n  {POINTS}\n{body}}}\n{remark}", head.join(", "));
        let variables = parts.iter().map(|(name, ids, _)| ((*name).to_owned(), serde_json::json!(ids)));
        Some((query, serde_json::Value::Object(variables.collect())))
    }
}

/// The checks of one pull request from a cursor on; variables `id` and `after`.
pub(super) fn more_contexts() -> String {
    format!(
        "query MoreContexts($id: ID!, $after: String!) {{\n  {POINTS}\n  node(id: $id) {{ ... on PullRequest {{ headRefOid \
         statusCheckRollup {{ contexts(first: 100, after: $after) {{ ...Contexts }} }} }} }}\n}}\n{CONTEXTS}"
    )
}

/// The review threads of one pull request from a cursor on; variables `id` and `after`.
pub(super) fn more_threads() -> String {
    format!(
        "query MoreThreads($id: ID!, $after: String!) {{\n  {POINTS}\n  node(id: $id) {{ ... on PullRequest {{ headRefOid \
         reviewThreads(first: 100, after: $after) {{ ...Threads }} }} }}\n}}\n{THREADS}"
    )
}

/// A string literal: GraphQL escapes as JSON does.
fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}
