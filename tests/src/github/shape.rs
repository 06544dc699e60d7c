//! What GitHub writes of people, repositories, labels and Apps besides what matters here: addresses, counters, and the rest
//! that its description of the API requires.

use serde_json::{Value, json};

use super::state::Repo;

/// Where accounts are said to live; nobody goes there.
const HOME: &str = "https://api.github.example";

/// Adds to `to` what it does not have of `more`.
pub(super) fn fill(to: &mut Value, more: Value) {
    let (Some(to), Value::Object(more)) = (to.as_object_mut(), more) else { return };
    for (name, value) in more {
        to.entry(name).or_insert(value);
    }
}

/// A person or an organization (`kind` is `User`, `Organization` or `Bot`).
pub(super) fn account_of(login: &str, id: u64, kind: &str) -> Value {
    let url = format!("{HOME}/users/{login}");
    json!({
        "login": login,
        "id": id,
        "node_id": format!("U_{login}"),
        "type": kind,
        "site_admin": false,
        "avatar_url": format!("{url}.png"),
        "gravatar_id": "",
        "html_url": format!("https://github.example/{login}"),
        "followers_url": format!("{url}/followers"),
        "following_url": format!("{url}/following{{/other_user}}"),
        "gists_url": format!("{url}/gists{{/gist_id}}"),
        "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{url}/subscriptions"),
        "organizations_url": format!("{url}/orgs"),
        "repos_url": format!("{url}/repos"),
        "events_url": format!("{url}/events{{/privacy}}"),
        "received_events_url": format!("{url}/received_events"),
        "url": url,
    })
}

/// A person; null is a deleted account.
pub(super) fn account(login: Option<&str>) -> Value {
    login.map_or(Value::Null, |login| account_of(login, 11, "User"))
}

/// Whose token it is, as `GET /user` tells a stranger.
pub(super) fn bot() -> Value {
    let mut user = account_of("dispatch-bot", 7, "User");
    fill(
        &mut user,
        json!({
            "name": null, "company": null, "blog": "", "location": null, "email": null, "hireable": null, "bio": null,
            "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        }),
    );
    user
}

/// A label of a repository.
pub(super) fn label(origin: &str, full: &str, name: &str) -> Value {
    let id = name.bytes().fold(7_u64, |hash, byte| (hash * 31 + u64::from(byte)) % 1_000_000_007);
    let escaped = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    json!({
        "id": id,
        "node_id": format!("LA_{id}"),
        "url": format!("{origin}/repos/{full}/labels/{escaped}"),
        "name": name,
        "description": null,
        "color": "ededed",
        "default": false,
    })
}

/// An App that makes checks.
pub(super) fn app(slug: &str) -> Value {
    json!({
        "id": 1,
        "slug": slug,
        "node_id": "A_1",
        "owner": account_of(slug, 12, "Organization"),
        "name": slug,
        "description": null,
        "external_url": "https://github.example/apps",
        "html_url": format!("https://github.example/apps/{slug}"),
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "permissions": { "checks": "write", "metadata": "read" },
        "events": [],
    })
}

/// Addresses below a repository.
const BELOW: [(&str, &str); 37] = [
    ("archive_url", "{archive_format}{/ref}"),
    ("assignees_url", "assignees{/user}"),
    ("blobs_url", "git/blobs{/sha}"),
    ("branches_url", "branches{/branch}"),
    ("collaborators_url", "collaborators{/collaborator}"),
    ("comments_url", "comments{/number}"),
    ("commits_url", "commits{/sha}"),
    ("compare_url", "compare/{base}...{head}"),
    ("contents_url", "contents/{+path}"),
    ("contributors_url", "contributors"),
    ("deployments_url", "deployments"),
    ("downloads_url", "downloads"),
    ("events_url", "events"),
    ("forks_url", "forks"),
    ("git_commits_url", "git/commits{/sha}"),
    ("git_refs_url", "git/refs{/sha}"),
    ("git_tags_url", "git/tags{/sha}"),
    ("hooks_url", "hooks"),
    ("issue_comment_url", "issues/comments{/number}"),
    ("issue_events_url", "issues/events{/number}"),
    ("issues_url", "issues{/number}"),
    ("keys_url", "keys{/key_id}"),
    ("labels_url", "labels{/name}"),
    ("languages_url", "languages"),
    ("merges_url", "merges"),
    ("milestones_url", "milestones{/number}"),
    ("notifications_url", "notifications{?since,all,participating}"),
    ("pulls_url", "pulls{/number}"),
    ("releases_url", "releases{/id}"),
    ("stargazers_url", "stargazers"),
    ("statuses_url", "statuses/{sha}"),
    ("subscribers_url", "subscribers"),
    ("subscription_url", "subscription"),
    ("tags_url", "tags"),
    ("teams_url", "teams"),
    ("trees_url", "git/trees{/sha}"),
    ("url", ""),
];

/// A repository as it stands inside other things.
pub(super) fn small_repo(origin: &str, repo: &Repo) -> Value {
    let full = repo.full_name();
    let url = format!("{origin}/repos/{full}");
    let mut small = json!({
        "id": repo.id,
        "node_id": format!("R_{}", repo.id),
        "name": repo.name,
        "full_name": full,
        "owner": account_of(&repo.owner, 21, "Organization"),
        "private": true,
        "fork": false,
        "description": null,
        "html_url": format!("{origin}/{full}"),
    });
    for (name, tail) in BELOW {
        small[name] = Value::String(format!("{url}/{tail}").trim_end_matches('/').to_owned());
    }
    small
}

/// A repository by itself.
pub(super) fn whole_repo(origin: &str, of: &Repo) -> Value {
    let mut whole = repo(origin, of);
    fill(&mut whole, json!({ "network_count": 0, "subscribers_count": 0 }));
    whole
}

/// What is the same of all jobs, and their addresses.
pub(super) fn job(origin: &str, full: &str, id: u64, run: u64) -> Value {
    let url = format!("{origin}/repos/{full}/actions/jobs/{id}");
    json!({
        "id": id, "node_id": format!("J_{id}"), "run_id": run, "url": url,
        "run_url": format!("{origin}/repos/{full}/actions/runs/{run}"),
        "html_url": format!("{origin}/{full}/actions/runs/{run}/job/{id}"),
        "check_run_url": format!("{origin}/repos/{full}/check-runs/{id}"),
        "labels": ["ubuntu-latest"], "runner_id": 1, "runner_name": "r", "runner_group_id": 1,
        "runner_group_name": "g", "workflow_name": "CI", "head_branch": "main",
    })
}

/// A repository that a pull request comes from or goes to.
pub(super) fn repo(origin: &str, repo: &Repo) -> Value {
    let mut whole = small_repo(origin, repo);
    let html = format!("{origin}/{}", repo.full_name());
    fill(
        &mut whole,
        json!({
            "archived": repo.archived, "disabled": false, "default_branch": "main", "clone_url": format!("{html}.git"),
            "git_url": format!("git:{}.git", repo.full_name()), "ssh_url": format!("git@127.0.0.1:{}.git", repo.full_name()),
            "svn_url": html, "mirror_url": null, "homepage": null, "language": null, "license": null,
            "has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false, "has_discussions": false,
            "has_downloads": false, "visibility": "private", "size": 1, "topics": [],
            "forks": 0, "forks_count": 0, "open_issues": 0, "open_issues_count": 0, "watchers": 0, "watchers_count": 0,
            "stargazers_count": 0,
            "pushed_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "permissions": { "admin": false, "maintain": false, "push": true, "triage": true, "pull": true },
        }),
    );
    whole
}
