//! How pull requests are: checks, statuses, reviews, threads, jobs and their logs, over GraphQL and over REST.

use std::collections::BTreeMap;

use axum::body::Body;
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use dispatch_shared::Timestamp;
use dispatchd::core::link::closing;

use super::Shared;
use super::graphql::{Pick, Query, connection};
use super::page::{Asked, Said, complaint, not_found, paged, said};
use super::routes::time;
use super::shape::{self, account};
use super::state::{Item, Repo, State};

/// Points an hour.
const POINTS: u64 = 5_000;

pub(super) struct Run {
    pub(super) id: u64,
    pub(super) name: String,
    /// `None` runs still.
    pub(super) conclusion: Option<String>,
    pub(super) started: Timestamp,
    pub(super) app: String,
    pub(super) summary: Option<String>,
}

pub(super) struct Status {
    pub(super) id: u64,
    pub(super) context: String,
    pub(super) state: String,
    pub(super) at: Timestamp,
}

#[derive(Default)]
pub(super) struct Commit {
    pub(super) runs: Vec<Run>,
    pub(super) statuses: Vec<Status>,
}

pub(super) struct Review {
    pub(super) id: u64,
    pub(super) author: String,
    pub(super) state: String,
    pub(super) body: String,
    pub(super) at: Timestamp,
}

pub(super) struct Thread {
    pub(super) id: u64,
    pub(super) path: String,
    pub(super) line: u64,
    pub(super) resolved: bool,
    /// Id, author, text.
    pub(super) comments: Vec<(u64, String, String)>,
}

#[derive(Default)]
pub(super) struct Pull {
    pub(super) reviews: Vec<Review>,
    pub(super) threads: Vec<Thread>,
    pub(super) conflict: bool,
    pub(super) merge_state: Option<String>,
    /// Looks that do not learn yet whether it can be merged.
    pub(super) unknown: usize,
}

pub(super) struct Job {
    pub(super) repo: u64,
    pub(super) step: String,
    pub(super) started: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) log: String,
}

/// How a part of a GraphQL answer fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphFault {
    /// The pull request is null, and an error says that something went wrong.
    Broken,
    /// Its checks are null: the token may not see them.
    ChecksForbidden,
}

/// A query as it was answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The query.
    pub query: String,
    /// Its variables.
    pub variables: Value,
    /// The whole answer.
    pub answer: Value,
    /// Its points.
    pub cost: u64,
    /// How many pull requests it showed.
    pub pulls: usize,
}

#[derive(Default)]
pub(super) struct Book {
    pub(super) pulls: BTreeMap<(u64, u64), Pull>,
    pub(super) commits: BTreeMap<(u64, String), Commit>,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) last_id: u64,
    pub(super) used: u64,
    pub(super) answered: Vec<Answered>,
    /// The status with which GraphQL is refused altogether.
    pub(super) refused: Option<u16>,
    /// Repository, pull request, how, how often yet.
    pub(super) faults: Vec<(u64, u64, GraphFault, usize)>,
}

impl Book {
    pub(super) fn id(&mut self) -> u64 {
        self.last_id += 1;
        70_000 + self.last_id
    }

    fn fault(&mut self, repo: u64, pr: u64) -> Option<GraphFault> {
        let planned = self.faults.iter_mut().find(|f| (f.0, f.1) == (repo, pr) && f.3 > 0)?;
        planned.3 -= 1;
        Some(planned.2)
    }
}

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

/// Whether it can be merged, and the state of that, as GraphQL spells them; counts as a look.
fn merge(pull: &mut Pull) -> (&'static str, String) {
    if pull.unknown > 0 {
        pull.unknown -= 1;
        return ("UNKNOWN", "UNKNOWN".to_owned());
    }
    if pull.conflict {
        return ("CONFLICTING", "DIRTY".to_owned());
    }
    ("MERGEABLE", pull.merge_state.clone().unwrap_or_else(|| "CLEAN".to_owned()))
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

impl State {
    /// A pull request by itself tells whether it can be merged.
    pub(super) fn looked_pull(&mut self, asked: &Asked, full: &str, number: u64) -> Said {
        let mut answer = self.one_pull(asked, full, number);
        if answer.status == 200 {
            let id = self.known(full).id;
            let (mergeable, merge_state) = merge(self.book.pulls.entry((id, number)).or_default());
            answer.body["mergeable"] = match mergeable {
                "UNKNOWN" => Value::Null,
                word => json!(word == "MERGEABLE"),
            };
            answer.body["mergeable_state"] = json!(merge_state.to_lowercase());
        }
        answer
    }

    pub(super) fn list_check_runs(&mut self, asked: &Asked, full: &str, sha: &str) -> Said {
        let id = self.known(full).id;
        let run = |r: &Run| {
            json!({
                "id": r.id,
                "node_id": format!("CR_{}", r.id),
                "head_sha": sha,
                "external_id": "",
                "url": format!("{}/repos/{full}/check-runs/{}", asked.origin, r.id),
                "html_url": format!("{}/{full}/runs/{}", asked.origin, r.id),
                "details_url": null,
                "check_suite": null,
                "pull_requests": [],
                "name": r.name,
                "status": if r.conclusion.is_some() { "completed" } else { "in_progress" },
                "conclusion": r.conclusion.as_ref().map(|c| c.to_lowercase()),
                "started_at": time(r.started),
                "completed_at": r.conclusion.as_ref().map(|_| time(r.started)),
                "output": { "title": null, "summary": r.summary, "text": null, "annotations_count": 0, "annotations_url": format!("{}/repos/{full}/check-runs/{}/annotations", asked.origin, r.id) },
                "app": shape::app(&r.app),
            })
        };
        let runs = self.book.commits.get(&(id, sha.to_owned())).map(|c| c.runs.iter().map(run).collect());
        wrapped(
            asked,
            id,
            &format!("/commits/{sha}/check-runs"),
            "check_runs",
            runs.unwrap_or_default(),
            json!({}),
        )
    }

    pub(super) fn combined_status(&mut self, asked: &Asked, full: &str, sha: &str) -> Said {
        let id = self.known(full).id;
        let status = |s: &Status| {
            json!({
                "id": s.id,
                "node_id": format!("SC_{}", s.id),
                "url": format!("{}/repos/{full}/statuses/{sha}", asked.origin),
                "avatar_url": null,
                "context": s.context,
                "state": s.state.to_lowercase(),
                "description": null,
                "target_url": null,
                "created_at": time(s.at),
                "updated_at": time(s.at),
            })
        };
        let all =
            self.book.commits.get(&(id, sha.to_owned())).map(|c| c.statuses.iter().map(status).collect());
        let url = format!("{}/repos/{full}/commits/{sha}", asked.origin);
        let more = json!({
            "state": "pending", "sha": sha, "repository": shape::small_repo(&asked.origin, self.known(full)),
            "commit_url": url, "url": format!("{url}/status"),
        });
        wrapped(asked, id, &format!("/commits/{sha}/status"), "statuses", all.unwrap_or_default(), more)
    }

    pub(super) fn list_reviews(&mut self, asked: &Asked, full: &str, number: u64) -> Said {
        let repo = self.known(full);
        let id = repo.id;
        let sha = repo.items.get(&number).and_then(|i| i.pull.as_ref()).map(|p| p.sha.clone());
        let review = |r: &Review| {
            let html = format!("{}/{full}/pull/{number}#pullrequestreview-{}", asked.origin, r.id);
            let pull = format!("{}/repos/{full}/pulls/{number}", asked.origin);
            json!({
                "id": r.id,
                "_links": { "html": { "href": html }, "pull_request": { "href": pull } },
                "html_url": html,
                "pull_request_url": pull,
                "commit_id": sha,
                "author_association": "MEMBER",
                "node_id": format!("PRR_{}", r.id),
                "user": account(Some(&r.author)),
                "body": r.body,
                "state": r.state,
                "submitted_at": time(r.at),
            })
        };
        let all = self.book.pulls.get(&(id, number)).map(|p| p.reviews.iter().map(review).collect());
        paged(asked, id, &format!("/pulls/{number}/reviews"), all.unwrap_or_default())
    }

    pub(super) fn one_job(&mut self, asked: &Asked, full: &str, id: u64) -> Said {
        let repo = self.known(full).id;
        let Some(job) = self.book.jobs.get(&id).filter(|j| j.repo == repo) else { return not_found() };
        let step = |name: &str, conclusion: &str, from: Timestamp, to: Timestamp| {
            json!({ "name": name, "status": "completed", "conclusion": conclusion, "number": 1,
                "started_at": time(from), "completed_at": time(to) })
        };
        let before = Timestamp(job.started.0 - 10_000);
        let steps = [
            step("Set up job", "success", before, before),
            step(&job.step, "failure", job.started, job.ended),
        ];
        let of = |c: &Commit| c.runs.iter().any(|r| r.id == id);
        let sha = self.book.commits.iter().find(|((r, _), c)| *r == repo && of(c)).map(|((_, sha), _)| sha);
        let mut answer = json!({
            "run_attempt": 1, "status": "completed", "conclusion": "failure", "name": "test", "steps": steps,
            "head_sha": sha, "created_at": time(before), "started_at": time(before), "completed_at": time(job.ended),
        });
        shape::fill(&mut answer, shape::job(&asked.origin, full, id, 1));
        said(200, answer)
    }

    /// To the file, on another host.
    pub(super) fn job_log(&mut self, asked: &Asked, full: &str, id: u64) -> Said {
        let repo = self.known(full).id;
        if self.book.jobs.get(&id).is_none_or(|j| j.repo != repo) {
            return not_found();
        }
        let elsewhere = asked.origin.replace("127.0.0.1", "localhost");
        let mut answer = said(302, Value::Null);
        answer.headers.push(("location", format!("{elsewhere}/_files/{id}?sig=SIGNED")));
        answer
    }
}

/// Lists that lie in an object.
fn wrapped(asked: &Asked, repo: u64, tail: &str, field: &str, rows: Vec<Value>, more: Value) -> Said {
    let total = rows.len();
    let mut answer = paged(asked, repo, tail, rows);
    let mut body = more;
    body["total_count"] = json!(total);
    body[field] = std::mem::take(&mut answer.body);
    answer.body = body;
    answer
}

/// A file on the other host: it knows no token, and refuses whoever brings one.
pub(super) fn file(shared: &Shared, path: &str, headers: &HeaderMap) -> Response<Body> {
    let id: Option<u64> = path.strip_prefix("/_files/").and_then(|n| n.parse().ok());
    let state = shared.state();
    let (status, text) = match id.and_then(|id| state.book.jobs.get(&id)) {
        _ if headers.contains_key("authorization") => {
            (StatusCode::BAD_REQUEST, "InvalidAuthenticationInfo".into())
        }
        None => (StatusCode::NOT_FOUND, "BlobNotFound".into()),
        Some(job) => (StatusCode::OK, job.log.clone()),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
