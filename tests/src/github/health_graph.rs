//! How pull requests are, as GraphQL tells it.

use dispatchd::core::link::closing;
use serde_json::{Value, json};

use super::Shared;
use super::graphql::{Pick, Query, connection};
use super::health::{Answered, Book, GraphFault, Pull, Review, Run, Status, Thread, merge};
use super::page::{Asked, Said, complaint, not_found, said};
use super::routes::time;
use super::state::{Item, Repo, State};

/// Points an hour.
const POINTS: u64 = 5_000;

fn actor(login: Option<&str>) -> Value {
    login.map_or(Value::Null, |login| json!({ "__typename": "User", "login": login }))
}

fn run_node(run: &Run) -> Value {
    let actions = run.app == "github-actions";
    let workflow = json!({ "__typename": "Workflow", "name": "CI" });
    let of = json!({ "__typename": "WorkflowRun", "event": "pull_request", "workflow": workflow });
    json!({
        "__typename": "CheckRun",
        "id": format!("CR_{}", run.id),
        "databaseId": run.id,
        "name": run.name,
        "status": if run.conclusion.is_some() { "COMPLETED" } else { "IN_PROGRESS" },
        "conclusion": run.conclusion,
        "startedAt": time(run.started),
        "title": null,
        "summary": run.summary,
        "checkSuite": {
            "__typename": "CheckSuite",
            "app": { "__typename": "App", "slug": run.app },
            "workflowRun": if actions { of } else { Value::Null },
        },
    })
}

fn thread_node(thread: &Thread) -> Value {
    let comment = |(id, author, body): &(u64, String, String)| {
        json!({
            "__typename": "PullRequestReviewComment",
            "fullDatabaseId": id.to_string(),
            "body": body,
            "author": actor(Some(author)),
        })
    };
    json!({
        "__typename": "PullRequestReviewThread",
        "id": format!("PRRT_{}", thread.id),
        "isResolved": thread.resolved,
        "isOutdated": false,
        "path": thread.path,
        "line": thread.line,
        "comments": connection("PullRequestReviewCommentConnection", thread.comments.iter().map(comment).collect()),
    })
}

/// The newest opinion of each.
fn opinions(pull: &Pull) -> Vec<&Review> {
    let mut newest: Vec<&Review> = Vec::new();
    for review in pull.reviews.iter().filter(|r| r.state != "COMMENTED") {
        newest.retain(|r| r.author != review.author);
        newest.push(review);
    }
    newest
}

fn decision(pull: &Pull) -> Option<&'static str> {
    let opinions = opinions(pull);
    let any = |state: &str| opinions.iter().any(|r| r.state == state);
    match (any("CHANGES_REQUESTED"), any("APPROVED")) {
        (true, _) => Some("CHANGES_REQUESTED"),
        (false, true) => Some("APPROVED"),
        (false, false) => None,
    }
}

fn pull_node(book: &mut Book, repo: &Repo, item: &Item) -> Option<Value> {
    let part = item.pull.as_ref()?;
    let full = repo.full_name();
    let number = item.number;
    let pull = book.pulls.entry((repo.id, number)).or_default();
    let (mergeable, merge_state) = merge(pull);
    let label = |l: &String| json!({ "__typename": "Label", "name": l });
    let closed = |n: u64| {
        json!({
            "__typename": "Issue",
            "number": n,
            "repository": { "__typename": "Repository", "databaseId": repo.id },
        })
    };
    let closes = closing(item.body.as_deref().unwrap_or_default(), &full);
    let closes = closes.into_iter().filter(|n| repo.items.contains_key(n)).map(closed).collect();
    let review = |r: &&Review| {
        json!({
            "__typename": "PullRequestReview",
            "fullDatabaseId": r.id.to_string(),
            "state": r.state,
            "body": r.body,
            "author": actor(Some(&r.author)),
        })
    };
    let reviews = opinions(pull).iter().map(review).collect();
    let threads = pull.threads.iter().map(thread_node).collect();
    let decision = decision(pull);
    let commit = book.commits.get(&(repo.id, part.sha.clone()));
    let rollup = commit.filter(|c| !c.runs.is_empty() || !c.statuses.is_empty()).map(|commit| {
        let status = |s: &Status| {
            json!({
                "__typename": "StatusContext",
                "id": format!("SC_{}", s.id),
                "context": s.context,
                "state": s.state.to_uppercase(),
                "description": null,
            })
        };
        let contexts = commit.runs.iter().map(run_node).chain(commit.statuses.iter().map(status)).collect();
        json!({
            "__typename": "StatusCheckRollup",
            "contexts": connection("StatusCheckRollupContextConnection", contexts),
        })
    });
    Some(json!({
        "__typename": "PullRequest",
        "id": format!("PR_{}_{number}", repo.id),
        "number": number,
        "state": match (part.merged, item.open) { (Some(_), _) => "MERGED", (None, true) => "OPEN", _ => "CLOSED" },
        "isDraft": part.draft,
        "isCrossRepository": part.from_fork,
        "headRefOid": part.sha,
        "updatedAt": time(item.updated),
        "reviewDecision": decision,
        "mergeable": mergeable,
        "mergeStateStatus": merge_state,
        "author": actor(item.author.as_deref()),
        "labels": connection("LabelConnection", item.labels.iter().map(label).collect()),
        "closingIssuesReferences": connection("IssueConnection", closes),
        "latestOpinionatedReviews": connection("PullRequestReviewConnection", reviews),
        "reviewThreads": connection("PullRequestReviewThreadConnection", threads),
        "statusCheckRollup": rollup,
    }))
}

/// What is being answered.
struct Answer<'a> {
    state: &'a mut State,
    query: Query,
    errors: Vec<Value>,
    pulls: usize,
}

impl Answer<'_> {
    fn error(&mut self, kind: &str, message: &str, path: Value) {
        let mut error = json!({ "message": message, "path": path });
        if !kind.is_empty() {
            error["type"] = json!(kind);
        }
        self.errors.push(error);
    }

    fn root(&mut self, cost: u64) -> Result<Value, String> {
        let mut data = serde_json::Map::new();
        for pick in self.query.picks.clone() {
            let Pick::Field { alias, name, args, picks } = pick else {
                return Err("fragments on Query are not answered here".to_owned());
            };
            let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let value = match name.as_str() {
                "rateLimit" => {
                    let left = POINTS.saturating_sub(self.state.book.used);
                    let limit = json!({
                        "__typename": "RateLimit", "cost": cost, "limit": POINTS, "remaining": left,
                        "used": self.state.book.used, "resetAt": time(self.state.reset),
                    });
                    self.query.select(&limit, &picks)?
                }
                "repository" => {
                    let full = format!("{}/{}", text("owner"), text("name"));
                    self.repository(&alias, &full, &picks)?
                }
                "node" => {
                    let node = self.node(&text("id"));
                    self.query.select(&node, &picks)?
                }
                "nodes" => {
                    let ids = args.get("ids").and_then(Value::as_array).cloned().unwrap_or_default();
                    if ids.len() > 100 {
                        return Err("You may not provide more than 100 node ids".to_owned());
                    }
                    let nodes: Vec<Value> =
                        ids.iter().map(|id| self.node(id.as_str().unwrap_or_default())).collect();
                    self.query.select(&Value::Array(nodes), &picks)?
                }
                other => return Err(format!("Field '{other}' doesn't exist on type 'Query'")),
            };
            data.insert(alias, value);
        }
        Ok(Value::Object(data))
    }

    fn repository(&mut self, alias: &str, full: &str, picks: &[Pick]) -> Result<Value, String> {
        let folded = full.to_lowercase();
        let found = self
            .state
            .repos
            .iter()
            .position(|r| r.full_name().to_lowercase() == folded || r.former.contains(&folded));
        let Some(at) = found else {
            let message = format!("Could not resolve to a Repository with the name '{full}'.");
            self.error("NOT_FOUND", &message, json!([alias]));
            return Ok(Value::Null);
        };
        let mut found = serde_json::Map::new();
        for pick in picks {
            let Pick::Field { alias: inner, name, args, picks } = pick else {
                return Err("fragments on Repository are not answered here".to_owned());
            };
            let id = self.state.repos[at].id;
            let value = match name.as_str() {
                "databaseId" => json!(id),
                "pullRequest" => {
                    let number = args.get("number").and_then(Value::as_u64).ok_or("number is required")?;
                    let path = json!([alias, inner]);
                    let fault = self.state.book.fault(id, number);
                    let State { book, repos, .. } = &mut *self.state;
                    let item = repos[at].items.get(&number);
                    match item.and_then(|i| pull_node(book, &repos[at], i)) {
                        None => {
                            let message =
                                format!("Could not resolve to a PullRequest with the number of {number}.");
                            self.error("NOT_FOUND", &message, path);
                            Value::Null
                        }
                        Some(_) if fault == Some(GraphFault::Broken) => {
                            self.error("", "Something went wrong while executing your query.", path);
                            Value::Null
                        }
                        Some(mut node) => {
                            if fault == Some(GraphFault::ChecksForbidden) {
                                node["statusCheckRollup"] = Value::Null;
                                let message = "Resource not accessible by personal access token";
                                let path = json!([alias, inner, "statusCheckRollup"]);
                                self.error("FORBIDDEN", message, path);
                            }
                            self.pulls += 1;
                            self.query.select(&node, picks)?
                        }
                    }
                }
                other => return Err(format!("Field '{other}' doesn't exist on type 'Repository'")),
            };
            found.insert(inner.clone(), value);
        }
        Ok(Value::Object(found))
    }

    fn node(&mut self, id: &str) -> Value {
        let State { book, repos, .. } = &mut *self.state;
        let mut parts = id.split('_');
        let kind = parts.next().unwrap_or_default();
        let number: u64 = parts.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        match kind {
            "PR" => {
                let pr = parts.next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
                let repo = repos.iter().find(|r| r.id == number);
                repo.and_then(|r| pull_node(book, r, r.items.get(&pr)?)).unwrap_or_default()
            }
            "PRRT" => {
                let mut all = book.pulls.values().flat_map(|p| &p.threads);
                all.find(|t| t.id == number).map(thread_node).unwrap_or_default()
            }
            "CR" => {
                let mut all = book.commits.values().flat_map(|c| &c.runs);
                all.find(|r| r.id == number).map(run_node).unwrap_or_default()
            }
            _ => Value::Null,
        }
    }
}

/// `POST /graphql`.
pub(super) fn graphql(shared: &Shared, asked: &Asked) -> Said {
    let mut state = shared.state();
    if let Some(status) = state.book.refused {
        return match status {
            404 => not_found(),
            other => complaint(other, "Resource not accessible by personal access token"),
        };
    }
    let Some(text) = asked.text("query").map(str::to_owned) else {
        return complaint(400, "A query attribute must be specified and must be a string.");
    };
    let variables = asked.body.get("variables").cloned().unwrap_or_default();
    let invalid = |message: String| said(200, json!({ "errors": [{ "message": message }] }));
    let query = match Query::parse(&text, &variables) {
        Ok(query) => query,
        Err(message) => return invalid(message),
    };
    let cost = query.cost();
    if state.book.used + cost > POINTS {
        let message = "API rate limit exceeded for user ID 7.";
        return points(
            &state,
            said(200, json!({ "errors": [{ "type": "RATE_LIMITED", "message": message }] })),
        );
    }
    state.book.used += cost;
    let mut answer = Answer { state: &mut state, query, errors: Vec::new(), pulls: 0 };
    let data = match answer.root(cost) {
        Ok(data) => data,
        Err(message) => return invalid(message),
    };
    let (errors, pulls) = (answer.errors, answer.pulls);
    let mut body = json!({ "data": data });
    if !errors.is_empty() {
        body["errors"] = json!(errors);
    }
    state.book.answered.push(Answered { query: text, variables, answer: body.clone(), cost, pulls });
    points(&state, said(200, body))
}

fn points(state: &State, mut answer: Said) -> Said {
    let left = POINTS.saturating_sub(state.book.used);
    answer.headers.push(("x-ratelimit-limit", POINTS.to_string()));
    answer.headers.push(("x-ratelimit-remaining", left.to_string()));
    answer.headers.push(("x-ratelimit-resource", "graphql".to_owned()));
    answer
}
