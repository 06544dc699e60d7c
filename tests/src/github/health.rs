//! How pull requests are: checks, statuses, reviews, threads, jobs and their logs: what is known, and how REST tells it.

use std::collections::BTreeMap;

use axum::body::Body;
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use dispatch_shared::Timestamp;

use super::Shared;
use super::page::{Asked, Said, not_found, paged, said};
use super::routes::time;
use super::shape::{self, account};
use super::state::State;

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

    pub(super) fn fault(&mut self, repo: u64, pr: u64) -> Option<GraphFault> {
        let planned = self.faults.iter_mut().find(|f| (f.0, f.1) == (repo, pr) && f.3 > 0)?;
        planned.3 -= 1;
        Some(planned.2)
    }
}

/// Whether it can be merged, and the state of that, as GraphQL spells them; counts as a look.
pub(super) fn merge(pull: &mut Pull) -> (&'static str, String) {
    if pull.unknown > 0 {
        pull.unknown -= 1;
        return ("UNKNOWN", "UNKNOWN".to_owned());
    }
    if pull.conflict {
        return ("CONFLICTING", "DIRTY".to_owned());
    }
    ("MERGEABLE", pull.merge_state.clone().unwrap_or_else(|| "CLEAN".to_owned()))
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
