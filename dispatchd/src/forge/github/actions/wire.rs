//! GitHub's JSON as plain observations. Names, branches, accounts and times can be null; words can be new.

use dispatch_shared::Timestamp;
use dispatch_shared::protocol::actions as seen;
use serde::Deserialize;

use crate::core::automation::Workflow as Known;
use crate::forge::github::wire::{Account, login};

fn seconds(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<u64> {
    Some(to?.since(from?).as_secs())
}

#[derive(Debug, Deserialize)]
pub(super) struct Commit {
    sha: String,
    #[serde(default)]
    html_url: String,
    commit: Option<CommitText>,
    author: Option<Account>,
}

#[derive(Debug, Deserialize)]
struct CommitText {
    #[serde(default)]
    message: String,
    author: Option<Person>,
    committer: Option<Person>,
}

#[derive(Debug, Deserialize)]
struct Person {
    name: Option<String>,
    date: Option<Timestamp>,
}

impl Commit {
    pub(super) fn seen(self, branch: &str) -> seen::Commit {
        let text = self.commit;
        let account = login(self.author);
        let (title, name, at) = match text {
            None => (String::new(), None, None),
            Some(text) => {
                let at = text.committer.and_then(|c| c.date).or(text.author.as_ref().and_then(|a| a.date));
                let title = text.message.lines().next().unwrap_or_default().chars().take(200).collect();
                (title, text.author.and_then(|a| a.name), at)
            }
        };
        seen::Commit {
            sha: self.sha,
            branch: branch.to_owned(),
            title,
            author: if account.is_empty() { name.unwrap_or_default() } else { account },
            committed_at: at,
            url: self.html_url,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Workflows {
    pub(super) workflows: Vec<Workflow>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Workflow {
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    badge_url: String,
}

impl Workflow {
    pub(super) fn seen(self) -> Known {
        Known {
            id: self.id.to_string(),
            name: self.name,
            state: self.state,
            path: self.path,
            url: self.html_url,
            badge_url: self.badge_url,
            ..Known::default()
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Runs {
    pub(super) workflow_runs: Vec<Run>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Run {
    id: u64,
    name: Option<String>,
    #[serde(default)]
    path: String,
    display_title: Option<String>,
    workflow_id: u64,
    #[serde(default)]
    run_number: u64,
    run_attempt: Option<u64>,
    #[serde(default)]
    event: String,
    status: Option<String>,
    conclusion: Option<String>,
    head_branch: Option<String>,
    #[serde(default)]
    head_sha: String,
    actor: Option<Account>,
    triggering_actor: Option<Account>,
    #[serde(default)]
    html_url: String,
    created_at: Option<Timestamp>,
    run_started_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
}

impl Run {
    pub(super) fn seen(self) -> seen::WorkflowRun {
        let started_at = self.run_started_at.or(self.created_at);
        let over = self.conclusion.is_some();
        let file = self.path.rsplit('/').next().unwrap_or_default().to_owned();
        let by = login(self.triggering_actor);
        seen::WorkflowRun {
            id: self.id.to_string(),
            workflow_id: self.workflow_id.to_string(),
            name: self.name.filter(|n| !n.is_empty()).unwrap_or(file),
            title: self.display_title.unwrap_or_default(),
            run_number: self.run_number,
            run_attempt: self.run_attempt.unwrap_or(1),
            event: self.event,
            status: self.status.unwrap_or_default(),
            conclusion: self.conclusion,
            branch: self.head_branch,
            head_sha: self.head_sha,
            actor: if by.is_empty() { login(self.actor) } else { by },
            url: self.html_url,
            created_at: self.created_at,
            started_at,
            updated_at: self.updated_at,
            duration_seconds: if over { seconds(started_at, self.updated_at) } else { None },
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Jobs {
    pub(super) jobs: Vec<Job>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Job {
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: String,
    conclusion: Option<String>,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    html_url: Option<String>,
    #[serde(default)]
    steps: Option<Vec<Step>>,
}

#[derive(Debug, Deserialize)]
struct Step {
    #[serde(default)]
    name: String,
    conclusion: Option<String>,
}

impl Job {
    pub(super) fn seen(self) -> seen::Job {
        let failed = |s: &Step| matches!(s.conclusion.as_deref(), Some("failure" | "timed_out"));
        seen::Job {
            id: self.id.to_string(),
            name: self.name,
            status: self.status,
            conclusion: self.conclusion,
            started_at: self.started_at,
            completed_at: self.completed_at,
            duration_seconds: seconds(self.started_at, self.completed_at),
            failed_step: self.steps.into_iter().flatten().find(failed).map(|s| s.name),
            url: self.html_url.unwrap_or_default(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Release {
    id: u64,
    tag_name: String,
    name: Option<String>,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    prerelease: bool,
    author: Option<Account>,
    created_at: Option<Timestamp>,
    published_at: Option<Timestamp>,
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    assets: Vec<Named>,
}

/// Anything of which only the name matters.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    #[serde(default)]
    name: String,
}

impl Release {
    pub(super) fn seen(self) -> seen::Release {
        seen::Release {
            id: self.id.to_string(),
            name: self.name.filter(|n| !n.is_empty()).unwrap_or_else(|| self.tag_name.clone()),
            tag: self.tag_name,
            draft: self.draft,
            prerelease: self.prerelease,
            author: login(self.author),
            created_at: self.created_at,
            published_at: self.published_at,
            url: self.html_url,
            assets: self.assets.into_iter().map(|a| a.name).take(30).collect(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    id: u64,
    name: String,
    #[serde(default)]
    package_type: String,
    #[serde(default)]
    visibility: String,
    #[serde(default)]
    version_count: u64,
    updated_at: Option<Timestamp>,
    #[serde(default)]
    html_url: String,
    repository: Option<Home>,
}

#[derive(Debug, Deserialize)]
struct Home {
    id: u64,
}

impl Package {
    /// The repository that it belongs to, as a key.
    pub(super) fn home(&self) -> Option<String> {
        self.repository.as_ref().map(|r| format!("gh{}", r.id))
    }

    pub(super) fn seen(self) -> seen::Package {
        seen::Package {
            id: self.id.to_string(),
            name: self.name,
            kind: self.package_type,
            visibility: self.visibility,
            versions: self.version_count,
            updated_at: self.updated_at,
            url: self.html_url,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Artifacts {
    pub(super) artifacts: Vec<Artifact>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Artifact {
    id: u64,
    name: String,
    #[serde(default)]
    size_in_bytes: u64,
    #[serde(default)]
    expired: bool,
    created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    workflow_run: Option<ArtifactRun>,
}

#[derive(Debug, Deserialize)]
struct ArtifactRun {
    id: Option<u64>,
}

impl Artifact {
    pub(super) fn seen(self) -> seen::Artifact {
        seen::Artifact {
            id: self.id.to_string(),
            name: self.name,
            size: self.size_in_bytes,
            expired: self.expired,
            run_id: self.workflow_run.and_then(|r| r.id).map(|id| id.to_string()),
            created_at: self.created_at,
            expires_at: self.expires_at,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Deployment {
    id: u64,
    #[serde(default)]
    environment: String,
    #[serde(default, rename = "ref")]
    git_ref: String,
    #[serde(default)]
    sha: String,
    creator: Option<Account>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
}

impl Deployment {
    pub(super) fn seen(self) -> seen::Deployment {
        seen::Deployment {
            id: self.id.to_string(),
            environment: self.environment,
            git_ref: self.git_ref,
            sha: self.sha,
            creator: login(self.creator),
            state: None,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct DeploymentStatus {
    pub(super) state: String,
}

/// What lies at a path of the repository.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Listing {
    Directory(Vec<Entry>),
    /// A file, or a link.
    Other(serde::de::IgnoredAny),
}

/// An entry of a directory.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) sha: String,
    #[serde(default)]
    pub(super) size: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Blob {
    pub(super) content: String,
    #[serde(default)]
    pub(super) encoding: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_nulls() {
        let run: Run = serde_json::from_str(
            r#"{"id":9007199254740993,"name":null,"path":".github/workflows/ci.yml","workflow_id":7,"run_number":3,
                "event":"push","status":null,"conclusion":null,"head_branch":null,"head_sha":"a","actor":null,
                "created_at":"2026-11-20T10:00:00Z","updated_at":"2026-11-20T10:05:00Z","pull_requests":null}"#,
        )
        .unwrap();
        let run = run.seen();
        assert_eq!((run.id.as_str(), run.name.as_str()), ("9007199254740993", "ci.yml"));
        assert_eq!((run.duration_seconds, run.branch, run.run_attempt), (None, None, 1));
        let job: Job = serde_json::from_str(
            r#"{"id":1,"name":"test","status":"completed","conclusion":"failure","started_at":"2026-11-20T10:00:00Z",
                "completed_at":"2026-11-20T10:00:42Z","html_url":null,
                "steps":[{"name":"a","conclusion":"success"},{"name":"b","conclusion":"failure"}]}"#,
        )
        .unwrap();
        let job = job.seen();
        assert_eq!((job.duration_seconds, job.failed_step.as_deref()), (Some(42), Some("b")));
        let commit: Commit = serde_json::from_str(
            r#"{"sha":"abc","html_url":"u","author":null,"commit":{"message":"One\n\ntwo","author":{"name":"Olive",
                "date":"2026-11-20T10:00:00Z"},"committer":null}}"#,
        )
        .unwrap();
        let commit = commit.seen("main");
        assert_eq!((commit.title.as_str(), commit.author.as_str()), ("One", "Olive"));
        assert!(commit.committed_at.is_some());
    }
}
