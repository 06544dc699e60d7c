//! Actions, releases, packages, artifacts and deployments: what the fake knows of them, what people do to them, and the
//! answers.

use std::path::Path;
use std::process::Command;

use dispatch_shared::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::page::{Asked, Said, complaint, not_found, paged, said};
use super::routes::time;
use super::shape::{self, account};
use super::state::{Repo, now};
use super::{FakeGithub, Shared, bare};

/// What a repository has of it.
#[derive(Default)]
pub(super) struct Actions {
    disabled: bool,
    packages_forbidden: bool,
    workflows: Vec<Workflow>,
    runs: Vec<Run>,
    releases: Vec<Value>,
    packages: Vec<Value>,
    artifacts: Vec<Value>,
    deployments: Vec<(Value, Vec<Value>)>,
    dispatched: Vec<Value>,
}

struct Workflow {
    id: u64,
    name: String,
    file: String,
    yaml: String,
    made: Timestamp,
}

struct Run {
    id: u64,
    workflow: u64,
    number: u64,
    attempt: u64,
    event: String,
    branch: String,
    sha: String,
    status: String,
    conclusion: Option<String>,
    created: Timestamp,
    started: Timestamp,
    updated: Timestamp,
}

/// A run that a test adds.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    /// What started it.
    pub event: &'a str,
    /// The branch.
    pub branch: &'a str,
    /// `None` is a run that goes on.
    pub conclusion: Option<&'a str>,
    /// When it was made.
    pub at: Timestamp,
    /// How long it took.
    pub seconds: u64,
}

impl NewRun<'_> {
    /// A push to main that came to this a minute ago, after half a minute.
    #[must_use]
    pub fn pushed(conclusion: Option<&str>) -> NewRun<'_> {
        NewRun { event: "push", branch: "main", conclusion, at: Timestamp(now().0 - 60_000), seconds: 30 }
    }
}

impl Actions {
    fn next(&self) -> u64 {
        let others =
            self.releases.len() + self.packages.len() + self.artifacts.len() + self.deployments.len();
        70_000 + (self.workflows.len() + self.runs.len() + others) as u64
    }

    fn add(&mut self, workflow: u64, new: &NewRun<'_>, sha: String) -> u64 {
        let id = 9_007_199_254_740_993 + self.runs.len() as u64;
        let number = self.runs.iter().filter(|r| r.workflow == workflow).count() as u64 + 1;
        let after = if new.conclusion.is_some() { new.seconds } else { 0 };
        self.runs.push(Run {
            id,
            workflow,
            number,
            attempt: 1,
            event: new.event.to_owned(),
            branch: new.branch.to_owned(),
            sha,
            status: if new.conclusion.is_some() { "completed" } else { "in_progress" }.to_owned(),
            conclusion: new.conclusion.map(str::to_owned),
            created: new.at,
            started: new.at,
            updated: new.at + std::time::Duration::from_secs(after),
        });
        id
    }
}

impl FakeGithub {
    fn actions<T>(&self, repo: &str, act: impl FnOnce(&mut Actions) -> T) -> T {
        act(&mut self.shared.state().known(repo).actions)
    }

    /// Pushes a workflow's file to main. Returns its id.
    pub fn add_workflow(&self, repo: &str, name: &str, file: &str, yaml: &str) -> u64 {
        self.push(repo, "main", &format!(".github/workflows/{file}"), yaml);
        self.actions(repo, |actions| {
            let id = actions.next();
            let (name, file, yaml) = (name.to_owned(), file.to_owned(), yaml.to_owned());
            actions.workflows.push(Workflow { id, name, file, yaml, made: now() });
            id
        })
    }

    /// Pushes another text for a workflow's file.
    pub fn rewrite_workflow(&self, repo: &str, file: &str, yaml: &str) {
        self.push(repo, "main", &format!(".github/workflows/{file}"), yaml);
        self.actions(repo, |actions| {
            let workflow = actions.workflows.iter_mut().find(|w| w.file == file);
            workflow.expect("the test named a workflow that it added").yaml = yaml.to_owned();
        });
    }

    /// Adds a run. Returns its id, which no double can hold.
    pub fn add_run(&self, repo: &str, workflow: u64, new: &NewRun<'_>) -> u64 {
        let sha = self.head(repo, new.branch).unwrap_or_else(|| "e".repeat(40));
        self.actions(repo, |actions| actions.add(workflow, new, sha))
    }

    /// Ends a run.
    pub fn finish_run(&self, repo: &str, run: u64, conclusion: &str) {
        self.actions(repo, |actions| {
            let run = actions.runs.iter_mut().find(|r| r.id == run).expect("the test named a run");
            run.status = "completed".to_owned();
            run.conclusion = Some(conclusion.to_owned());
            run.updated = now();
        });
    }

    /// Publishes a release.
    pub fn release(&self, repo: &str, tag: &str, prerelease: bool) {
        let origin = self.shared.origin.clone();
        self.actions(repo, |actions| {
            let id = actions.next();
            let at = time(Timestamp(now().0 + actions.releases.len() as i64 * 1_000));
            let url = format!("{origin}/repos/{repo}/releases/{id}");
            let asset = json!({
                "url": format!("{url}/assets/1"), "browser_download_url": url, "id": 1, "node_id": "A_1",
                "name": "dispatch.tar.gz", "label": null, "state": "uploaded", "content_type": "application/gzip",
                "size": 10, "digest": null, "download_count": 0, "created_at": at, "updated_at": at,
                "uploader": null,
            });
            actions.releases.push(json!({
                "id": id, "node_id": format!("RE_{id}"), "tag_name": tag, "target_commitish": "main",
                "name": null, "body": null, "draft": false, "prerelease": prerelease, "created_at": at,
                "published_at": at, "author": account(Some("olive")), "url": url, "assets_url": url,
                "upload_url": url, "tarball_url": null, "zipball_url": null,
                "html_url": format!("{origin}/{repo}/releases/tag/{tag}"), "assets": [asset],
            }));
        });
    }

    /// Adds a package of the owner that belongs to the repository.
    pub fn add_package(&self, repo: &str, kind: &str, name: &str) {
        let origin = self.shared.origin.clone();
        let mut state = self.shared.state();
        let repo = state.known(repo);
        let id = repo.actions.next();
        let at = time(now());
        repo.actions.packages.push(json!({
            "id": id, "name": name, "package_type": kind, "version_count": 3, "visibility": "private",
            "url": format!("{origin}/orgs/{}/packages/{kind}/{name}", repo.owner),
            "html_url": format!("{origin}/orgs/{}/packages/{kind}/package/{name}", repo.owner),
            "owner": account(Some(&repo.owner)), "repository": shape::small_repo(&origin, repo),
            "created_at": at, "updated_at": at,
        }));
    }

    /// Adds an artifact of a run.
    pub fn add_artifact(&self, repo: &str, run: u64, name: &str) {
        let origin = self.shared.origin.clone();
        self.actions(repo, |actions| {
            let id = actions.next();
            let url = format!("{origin}/repos/{repo}/actions/artifacts/{id}");
            actions.artifacts.push(json!({
                "id": id, "node_id": format!("AR_{id}"), "name": name, "size_in_bytes": 4_096, "url": url,
                "archive_download_url": format!("{url}/zip"), "expired": false, "created_at": time(now()),
                "expires_at": time(Timestamp(now().0 + 86_400_000)), "updated_at": time(now()),
                "workflow_run": { "id": run, "head_branch": "main" },
            }));
        });
    }

    /// Deploys main; `state` is what its newest status says.
    pub fn deploy(&self, repo: &str, environment: &str, state: &str) {
        let sha = self.head(repo, "main").unwrap_or_default();
        let origin = self.shared.origin.clone();
        self.actions(repo, |actions| {
            let id = actions.next();
            let url = format!("{origin}/repos/{repo}/deployments/{id}");
            let at = time(now());
            let deployment = json!({
                "url": url, "id": id, "node_id": format!("DE_{id}"), "sha": sha, "ref": "main", "task": "deploy",
                "payload": {}, "environment": environment, "description": null, "creator": account(Some("olive")),
                "created_at": at, "updated_at": at, "statuses_url": format!("{url}/statuses"),
                "repository_url": format!("{origin}/repos/{repo}"),
            });
            let status = json!({
                "url": format!("{url}/statuses/1"), "id": 1, "node_id": "DES_1", "state": state,
                "creator": account(Some("olive")), "description": "", "target_url": format!("{url}/log"), "created_at": at,
                "updated_at": at, "deployment_url": url, "repository_url": format!("{origin}/repos/{repo}"),
            });
            actions.deployments.push((deployment, vec![status]));
        });
    }

    /// Switches Actions off: all of it is 404.
    pub fn disable_actions(&self, repo: &str) {
        self.actions(repo, |actions| actions.disabled = true);
    }

    /// The token may not read packages.
    pub fn forbid_packages(&self, repo: &str) {
        self.actions(repo, |actions| actions.packages_forbidden = true);
    }

    /// Which attempt a run is at.
    #[must_use]
    pub fn run_attempt(&self, repo: &str, run: u64) -> u64 {
        let attempt = |actions: &mut Actions| actions.runs.iter().find(|r| r.id == run).map(|r| r.attempt);
        self.actions(repo, attempt).expect("the test named a run")
    }

    /// The bodies of the workflow dispatches that were taken.
    #[must_use]
    pub fn dispatched(&self, repo: &str) -> Vec<Value> {
        self.actions(repo, |actions| actions.dispatched.clone())
    }
}

fn blob_sha(text: &str) -> String {
    Sha256::digest(text).iter().take(20).map(|b| format!("{b:02x}")).collect()
}

/// The packages of an owner.
pub(super) fn packages(shared: &Shared, asked: &Asked, owner: &str) -> Said {
    let Some(kind) = asked.query("package_type") else {
        return complaint(400, "package_type is required");
    };
    let state = shared.state();
    let own = || state.repos.iter().filter(|r| r.owner.eq_ignore_ascii_case(owner));
    if own().any(|r| r.actions.packages_forbidden) {
        return complaint(403, "You need at least read:packages scope to list packages.");
    }
    let rows = own().flat_map(|r| r.actions.packages.clone()).filter(|p| p["package_type"] == kind);
    said(200, rows.collect())
}

/// Everything below a repository that is answered here; `None` is for others.
pub(super) fn answer(shared: &Shared, asked: &Asked, full: &str, rest: &[&str]) -> Option<Said> {
    let mut state = shared.state();
    let repo = state.known(full);
    let bare = shared.bare(repo.id);
    if matches!(rest, ["actions", ..]) && repo.actions.disabled {
        return Some(not_found());
    }
    Some(match (asked.method.as_str(), rest) {
        ("GET", ["commits"]) => commits(asked, repo, &bare),
        ("GET", ["contents", ".github", "workflows"]) => contents(asked, repo),
        ("GET", ["git", "blobs", sha]) => blob(asked, repo, sha),
        ("GET", ["actions", "workflows"]) => {
            let rows = repo.actions.workflows.iter().map(|w| workflow_json(asked, full, w)).collect();
            counted(asked, repo.id, "/actions/workflows", "workflows", rows)
        }
        ("POST", ["actions", "workflows", named, "dispatches"]) => dispatch(asked, repo, &bare, named),
        ("GET", ["actions", "runs"]) => {
            let mut runs: Vec<&Run> = repo.actions.runs.iter().collect();
            runs.sort_by_key(|r| std::cmp::Reverse((r.created, r.id)));
            let rows = runs.into_iter().map(|r| run_json(asked, repo, r)).collect();
            counted(asked, repo.id, "/actions/runs", "workflow_runs", rows)
        }
        ("GET", ["actions", "runs", id]) => match find(repo, id) {
            Some(at) => said(200, run_json(asked, repo, &repo.actions.runs[at])),
            None => not_found(),
        },
        ("GET", ["actions", "runs", id, "jobs"]) => match find(repo, id) {
            Some(at) => {
                let rows = jobs_json(asked, repo, &repo.actions.runs[at]);
                counted(asked, repo.id, &format!("/actions/runs/{id}/jobs"), "jobs", rows)
            }
            None => not_found(),
        },
        ("POST", ["actions", "runs", id, how @ ("rerun" | "rerun-failed-jobs")]) => match find(repo, id) {
            Some(at) => rerun(&mut repo.actions.runs[at], how),
            None => not_found(),
        },
        ("GET", ["releases"]) => newest(asked, repo, "/releases", |a| a.releases.clone()),
        ("GET", ["actions", "artifacts"]) => {
            let rows = repo.actions.artifacts.iter().rev().cloned().collect();
            counted(asked, repo.id, "/actions/artifacts", "artifacts", rows)
        }
        ("GET", ["deployments"]) => newest(asked, repo, "/deployments", |a| {
            a.deployments.iter().map(|(deployment, _)| deployment.clone()).collect()
        }),
        ("GET", ["deployments", id, "statuses"]) => {
            let found = repo.actions.deployments.iter().find(|(d, _)| d["id"].as_u64() == id.parse().ok());
            found.map_or_else(not_found, |(_, statuses)| said(200, statuses.clone().into()))
        }
        _ => return None,
    })
}

fn find(repo: &Repo, id: &str) -> Option<usize> {
    repo.actions.runs.iter().position(|r| r.id.to_string() == id)
}

fn newest(asked: &Asked, repo: &Repo, tail: &str, rows: impl FnOnce(&Actions) -> Vec<Value>) -> Said {
    let mut rows = rows(&repo.actions);
    rows.reverse();
    paged(asked, repo.id, tail, rows)
}

/// A page inside an object with the number of all.
fn counted(asked: &Asked, id: u64, tail: &str, name: &str, rows: Vec<Value>) -> Said {
    let count = rows.len();
    let page = paged(asked, id, tail, rows);
    Said { body: json!({ "total_count": count, name: page.body }), ..page }
}

fn commits(asked: &Asked, repo: &Repo, bare: &Path) -> Said {
    let branch = asked.query("sha").unwrap_or("main");
    let Some(sha) = bare::head(bare, branch) else { return not_found() };
    let out = Command::new("git")
        .env("GIT_DIR", bare)
        .args(["log", "-1", "--format=%ct%n%an%n%s", &sha])
        .output()
        .expect("git is installed");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut lines = text.lines();
    let at = lines.next().and_then(|s| s.parse::<i64>().ok()).unwrap_or_default();
    let person = json!({
        "name": lines.next().unwrap_or_default(), "email": "olive@example.com", "date": time(Timestamp(at * 1_000)),
    });
    let url = format!("{}/repos/{}/commits/{sha}", asked.origin, repo.full_name());
    let commit = json!({
        "sha": sha, "node_id": "C_1", "url": url, "comments_url": format!("{url}/comments"),
        "html_url": format!("{}/{}/commit/{sha}", asked.origin, repo.full_name()),
        "commit": {
            "url": url, "message": format!("{}\n\nMore words.", lines.next().unwrap_or_default()),
            "author": person, "committer": person, "comment_count": 0, "tree": { "sha": sha, "url": url },
        },
        "author": account(Some("olive")), "committer": account(Some("olive")), "parents": [],
    });
    said(200, json!([commit]))
}

fn contents(asked: &Asked, repo: &Repo) -> Said {
    if repo.actions.workflows.is_empty() {
        return not_found();
    }
    let entry = |w: &Workflow| {
        let path = format!(".github/workflows/{}", w.file);
        let url = format!("{}/repos/{}/contents/{path}", asked.origin, repo.full_name());
        json!({
            "type": "file", "size": w.yaml.len(), "name": w.file, "path": path, "sha": blob_sha(&w.yaml), "url": url,
            "git_url": url, "html_url": url, "download_url": url,
            "_links": { "self": url, "git": url, "html": url },
        })
    };
    said(200, repo.actions.workflows.iter().map(entry).collect())
}

fn blob(asked: &Asked, repo: &Repo, sha: &str) -> Said {
    use base64::Engine as _;
    let Some(found) = repo.actions.workflows.iter().find(|w| blob_sha(&w.yaml) == sha) else {
        return not_found();
    };
    let packed = base64::engine::general_purpose::STANDARD.encode(&found.yaml);
    let lines: Vec<&str> =
        (0..packed.len()).step_by(60).map(|at| &packed[at..(at + 60).min(packed.len())]).collect();
    let body = json!({
        "content": lines.join("\n") + "\n", "encoding": "base64", "sha": sha, "size": found.yaml.len(),
        "url": format!("{}/repos/{}/git/blobs/{sha}", asked.origin, repo.full_name()), "node_id": "B_1",
    });
    said(200, body)
}

fn workflow_json(asked: &Asked, full: &str, workflow: &Workflow) -> Value {
    let (origin, file, id) = (&asked.origin, &workflow.file, workflow.id);
    json!({
        "id": id, "node_id": format!("W_{id}"), "name": workflow.name,
        "path": format!(".github/workflows/{file}"), "state": "active",
        "created_at": time(workflow.made), "updated_at": time(workflow.made),
        "url": format!("{origin}/repos/{full}/actions/workflows/{id}"),
        "html_url": format!("{origin}/{full}/blob/main/.github/workflows/{file}"),
        "badge_url": format!("{origin}/{full}/workflows/{}/badge.svg", workflow.name),
    })
}

fn run_json(asked: &Asked, repo: &Repo, run: &Run) -> Value {
    let full = repo.full_name();
    let (id, url) = (run.id, format!("{}/repos/{full}/actions/runs/{}", asked.origin, run.id));
    let workflow = repo.actions.workflows.iter().find(|w| w.id == run.workflow);
    let home = shape::small_repo(&asked.origin, repo);
    json!({
        "id": id, "node_id": format!("WFR_{id}"), "name": workflow.map(|w| w.name.clone()),
        "path": workflow.map_or(String::new(), |w| format!(".github/workflows/{}", w.file)),
        "display_title": format!("Run {}", run.number), "run_number": run.number, "run_attempt": run.attempt,
        "event": run.event, "status": run.status, "conclusion": run.conclusion, "workflow_id": run.workflow,
        "head_branch": run.branch, "head_sha": run.sha, "pull_requests": [], "check_suite_id": 1,
        "check_suite_node_id": "CS_1", "url": url, "html_url": format!("{}/{full}/actions/runs/{id}", asked.origin),
        "created_at": time(run.created), "updated_at": time(run.updated), "run_started_at": time(run.started),
        "actor": account(Some("olive")), "triggering_actor": account(Some("kai")),
        "jobs_url": format!("{url}/jobs"), "logs_url": format!("{url}/logs"), "check_suite_url": url,
        "artifacts_url": format!("{url}/artifacts"), "cancel_url": format!("{url}/cancel"),
        "rerun_url": format!("{url}/rerun"), "previous_attempt_url": null, "workflow_url": url,
        "head_commit": null, "repository": home, "head_repository": home,
    })
}

/// Two jobs: the first one does well, the second ends as the run does.
fn jobs_json(asked: &Asked, repo: &Repo, run: &Run) -> Vec<Value> {
    let job = |n: u64, name: &str, status: &str, conclusion: Option<&str>| {
        let id = run.id * 10 + n;
        let over = conclusion.map(|_| time(run.updated));
        let step = json!({
            "name": format!("{name} it"), "status": status, "conclusion": conclusion, "number": 1,
            "started_at": time(run.started), "completed_at": over,
        });
        let mut job = json!({
            "run_attempt": run.attempt, "head_sha": run.sha, "status": status, "conclusion": conclusion,
            "created_at": time(run.created), "started_at": time(run.started), "completed_at": over, "name": name,
            "steps": [step], "head_branch": run.branch,
        });
        shape::fill(&mut job, shape::job(&asked.origin, &repo.full_name(), id, run.id));
        job
    };
    let last = run.conclusion.as_deref();
    vec![job(1, "build", "completed", Some("success")), job(2, "test", &run.status, last)]
}

fn rerun(run: &mut Run, how: &str) -> Said {
    if run.status != "completed" {
        return complaint(403, "This workflow is already running");
    }
    if how == "rerun-failed-jobs" && run.conclusion.as_deref() != Some("failure") {
        return complaint(403, "This workflow run has no failed jobs");
    }
    run.attempt += 1;
    run.status = "queued".to_owned();
    run.conclusion = None;
    run.started = now();
    run.updated = now();
    said(201, json!({}))
}

fn dispatch(asked: &Asked, repo: &mut Repo, bare: &Path, named: &str) -> Said {
    let found = repo.actions.workflows.iter().find(|w| w.id.to_string() == named || w.file == named);
    let Some((id, yaml)) = found.map(|w| (w.id, w.yaml.clone())) else { return not_found() };
    let Some(git_ref) = asked.text("ref") else {
        return complaint(422, "Invalid request.\n\n\"ref\" wasn't supplied.");
    };
    let Some(sha) = bare::head(bare, git_ref) else {
        return complaint(422, &format!("No ref found for: {git_ref}"));
    };
    if !yaml.contains("workflow_dispatch") {
        return complaint(422, "Workflow does not have 'workflow_dispatch' trigger");
    }
    let inputs = asked.body.get("inputs").and_then(Value::as_object).cloned().unwrap_or_default();
    let unexpected: Vec<&String> = inputs.keys().filter(|name| !yaml.contains(&format!("{name}:"))).collect();
    if !unexpected.is_empty() {
        return complaint(422, &format!("Unexpected inputs provided: {unexpected:?}"));
    }
    let new = NewRun { event: "workflow_dispatch", branch: git_ref, conclusion: None, at: now(), seconds: 0 };
    repo.actions.add(id, &new, sha);
    repo.actions.dispatched.push(asked.body.clone());
    said(204, Value::Null)
}
