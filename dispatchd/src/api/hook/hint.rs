//! What a delivery gives reason to read again. The payload names it and is not believed beyond that.

use serde_json::Value;

use crate::core::hint::Hint;
use crate::core::record::Repo;
use crate::core::world::World;

/// Events whose repository is of no matter: what an App may has changed.
pub const ACCESS: [&str; 2] = ["installation", "installation_repositories"];

/// Events that tell of workflows, branches, releases and the like: the repository's automation is read soon.
pub const AUTOMATION: [&str; 9] = [
    "workflow_run",
    "workflow_job",
    "check_suite",
    "push",
    "release",
    "deployment",
    "deployment_status",
    "package",
    "registry_package",
];

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path)?.as_str().filter(|t| !t.is_empty())
}

fn number(value: &Value, path: &str) -> Option<u64> {
    value.pointer(path)?.as_u64()
}

/// What the delivery `event` about `repo` gives reason to read; `None` for an event that says nothing of what is kept here.
#[must_use]
pub fn hints(world: &World, repo: &Repo, event: &str, payload: &Value) -> Option<Vec<Hint>> {
    let action = text(payload, "/action").unwrap_or_default();
    Some(match event {
        "issues" => number(payload, "/issue/number").map(|n| vec![Hint::Issue(n)]).unwrap_or_default(),
        // Of one issue or the other it is told in its own repository, where the blocked one alone changes.
        "issue_dependencies" if action.starts_with("blocked_by") => {
            number(payload, "/blocked_issue/number").map(|n| vec![Hint::Issue(n)]).unwrap_or_default()
        }
        "issue_dependencies" => Vec::new(),
        "issue_comment" => {
            let of_pull = payload.pointer("/issue/pull_request").is_some();
            let which = |n| if of_pull { Vec::new() } else { vec![Hint::Issue(n)] };
            number(payload, "/issue/number").map(which).unwrap_or_default()
        }
        "pull_request" => {
            number(payload, "/pull_request/number").map(|n| vec![Hint::Pull(n)]).unwrap_or_default()
        }
        // Of these only the pull request's health is of interest, which `touches` tells.
        "pull_request_review"
        | "pull_request_review_comment"
        | "pull_request_review_thread"
        | "check_run"
        | "check_suite"
        | "workflow_run"
        | "workflow_job"
        | "status" => Vec::new(),
        "push" => {
            let branch = text(payload, "/ref").and_then(|r| r.strip_prefix("refs/heads/"));
            let from = |branch: &str| {
                let pulls = world.pulls_of(&repo.key).filter(|p| p.seen.head_branch == branch && open(p));
                pulls.map(|p| Hint::Pull(p.seen.number)).collect()
            };
            branch.map(from).unwrap_or_default()
        }
        // A new label is on no card yet.
        "label" if matches!(action, "edited" | "deleted") => vec![Hint::Everything],
        "label" => Vec::new(),
        "repository" => vec![Hint::Repository],
        _ => return None,
    })
}

fn open(pull: &crate::core::record::Pull) -> bool {
    pull.seen.state == dispatch_shared::followup::PullState::Open
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_event_is_about_something_and_unknown_ones_about_nothing() {
        let (world, repo) = (World::default(), Repo::unknown("acme/api".parse().unwrap()));
        let hints = |event: &str, payload: Value| hints(&world, &repo, event, &payload);
        assert_eq!(
            hints("issues", json!({"action": "deleted", "issue": {"number": 4}})),
            Some(vec![Hint::Issue(4)])
        );
        let pull = json!({"action": "synchronize", "pull_request": {"number": 4}});
        assert_eq!(hints("pull_request", pull.clone()), Some(vec![Hint::Pull(4)]));
        assert_eq!(hints("pull_request_review_thread", pull), Some(vec![]));
        assert_eq!(hints("label", json!({"action": "created"})), Some(vec![]));
        assert_eq!(hints("label", json!({"action": "edited"})), Some(vec![Hint::Everything]));
        assert_eq!(hints("repository", json!({"action": "renamed"})), Some(vec![Hint::Repository]));
        assert_eq!(
            hints("push", json!({"ref": "refs/heads/x"})),
            Some(vec![]),
            "a branch of no pull request"
        );
        let blocked = json!({"action": "blocked_by_added", "blocked_issue": {"number": 4}});
        assert_eq!(hints("issue_dependencies", blocked), Some(vec![Hint::Issue(4)]));
        let blocking = json!({"action": "blocking_added", "blocked_issue": {"number": 4}});
        assert_eq!(
            hints("issue_dependencies", blocking),
            Some(vec![]),
            "told in the other repository as well"
        );
        assert_eq!(hints("star", json!({"action": "created"})), None);
        assert_eq!(hints("issues", json!([1])), Some(vec![]), "nonsense names nothing");
    }
}
