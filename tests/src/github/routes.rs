//! Which request is answered by what.

use dispatch_shared::Timestamp;
use serde_json::json;

use super::health_graph;
use super::page::{Asked, Said, complaint, not_found, said};
use super::state::{LIMIT, Repo};
use super::{Shared, actions, shape};

/// Answers everything below the API.
pub(super) fn answer(shared: &Shared, asked: &Asked) -> Said {
    let segments: Vec<&str> = asked.segments.iter().map(String::as_str).collect();
    let method = asked.method.as_str();
    match (method, segments.as_slice()) {
        ("GET", ["rate_limit"]) => limits(shared),
        ("GET", ["user"]) => said(200, shape::bot()),
        ("POST", ["graphql"]) => health_graph::graphql(shared, asked),
        (_, ["repos", owner, name, rest @ ..]) => {
            let full = format!("{owner}/{name}");
            if let Some(id) = moved(shared, &full) {
                return redirect(asked, id, rest);
            }
            below(shared, asked, &full, rest)
        }
        ("GET", ["orgs" | "users", owner, "packages"]) => actions::packages(shared, asked, owner),
        (_, ["repositories", id, rest @ ..]) => {
            let name = shared.state().repos.iter().find(|r| r.id.to_string() == *id).map(Repo::full_name);
            name.map_or_else(not_found, |full| below(shared, asked, &full, rest))
        }
        _ => not_found(),
    }
}

fn below(shared: &Shared, asked: &Asked, full: &str, rest: &[&str]) -> Said {
    if shared.state().repo(full).is_none() {
        return not_found();
    }
    if let ["issues", number, tail @ ..] = rest {
        let there = number.parse().ok().and_then(|n| shared.state().known(full).transferred.get(&n).copied());
        if let Some((id, number)) = there {
            let number = number.to_string();
            let path: Vec<&str> = ["issues", &number].into_iter().chain(tail.iter().copied()).collect();
            return redirect(asked, id, &path);
        }
    }
    match (asked.method.as_str(), rest) {
        ("GET", []) => repository(shared, asked, full),
        ("GET", ["issues"]) => shared.state().list_issues(asked, full),
        ("POST", ["issues"]) => shared.state().post_issue(asked, full),
        ("PATCH", ["issues", n]) => numbered(n, |n| shared.state().patch_issue(asked, full, n)),
        ("GET", ["issues", n]) => numbered(n, |n| shared.state().one_issue(asked, full, n)),
        ("GET", ["issues", n, "labels"]) => numbered(n, |n| shared.state().list_labels(asked, full, n)),
        ("POST", ["issues", n, "labels"]) => numbered(n, |n| shared.state().post_labels(asked, full, n)),
        ("DELETE", ["issues", n, "labels"]) => numbered(n, |n| shared.state().delete_labels(full, n)),
        ("DELETE", ["issues", n, "labels", label]) => {
            numbered(n, |n| shared.state().delete_label(asked, full, n, label))
        }
        ("GET", ["issues", n, "comments"]) => numbered(n, |n| shared.state().list_comments(asked, full, n)),
        ("POST", ["issues", n, "comments"]) => numbered(n, |n| shared.state().post_comment(asked, full, n)),
        ("GET", ["issues", n, "dependencies", "blocked_by"]) => {
            numbered(n, |n| shared.state().list_blockers(asked, full, n))
        }
        ("GET", ["labels"]) => shared.state().list_repo_labels(asked, full),
        ("POST", ["labels"]) => shared.state().post_repo_label(asked, full),
        ("POST", ["git", "refs"]) => complaint(422, "Invalid request."),
        ("POST", ["actions", "runs", "0", "rerun"]) => not_found(),
        ("GET", ["pulls"]) => shared.state().list_pulls(asked, full),
        ("GET", ["pulls", n]) => numbered(n, |n| shared.state().looked_pull(asked, full, n)),
        ("GET", ["pulls", n, "reviews"]) => numbered(n, |n| shared.state().list_reviews(asked, full, n)),
        ("GET", ["commits", sha, "check-runs"]) => shared.state().list_check_runs(asked, full, sha),
        ("GET", ["commits", sha, "status"]) => shared.state().combined_status(asked, full, sha),
        ("GET", ["actions", "jobs", n]) => numbered(n, |n| shared.state().one_job(asked, full, n)),
        ("GET", ["actions", "jobs", n, "logs"]) => numbered(n, |n| shared.state().job_log(asked, full, n)),
        ("POST", ["pulls"]) => shared.post_pull(asked, full),
        ("PUT", ["pulls", _, "merge"]) => complaint(405, "Pull Request is not mergeable"),
        (method, _) => actions::answer(shared, asked, full, rest).unwrap_or_else(|| match method {
            "GET" => not_found(),
            _ => complaint(403, "Resource not accessible by personal access token"),
        }),
    }
}

/// To where a renamed repository or a transferred issue is now.
fn redirect(asked: &Asked, id: u64, rest: &[&str]) -> Said {
    let tail: String = rest.iter().map(|s| format!("/{s}")).collect();
    let query = asked.query.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    let base = format!("{}/repositories/{id}{tail}", asked.origin);
    let to = reqwest::Url::parse_with_params(&base, query).map_or(base, String::from);
    let mut answer = complaint(if asked.method == "GET" { 301 } else { 307 }, "Moved Permanently");
    answer.headers.push(("location", to));
    answer
}

fn numbered(text: &str, answer: impl FnOnce(u64) -> Said) -> Said {
    text.parse().map_or_else(|_| not_found(), answer)
}

/// The id of the repository that once had this name.
fn moved(shared: &Shared, full: &str) -> Option<u64> {
    let mut state = shared.state();
    if state.repo(full).is_some() {
        return None;
    }
    let folded = full.to_lowercase();
    state.repos.iter().find(|r| r.former.contains(&folded)).map(|r| r.id)
}

fn repository(shared: &Shared, asked: &Asked, full: &str) -> Said {
    let mut state = shared.state();
    let repo = state.known(full);
    said(200, shape::whole_repo(&asked.origin, repo))
}

fn limits(shared: &Shared) -> Said {
    let state = shared.state();
    let core = json!({
        "limit": LIMIT,
        "remaining": state.remaining,
        "used": LIMIT - state.remaining.min(LIMIT),
        "reset": state.reset.0 / 1_000,
    });
    said(200, json!({ "resources": { "core": core, "search": core }, "rate": core }))
}

/// A time as GitHub writes it.
pub(super) fn time(at: Timestamp) -> String {
    at.to_string().replace(".000Z", "Z")
}
