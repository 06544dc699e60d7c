//! What a forge's automation is known to be: facts as last read, what happened, and how often to look again.
//!
//! - [`cadence`]: how soon a repository is read again, which parts of it, and how much a read may cost.
//! - [`rates`]: which runs fail, which run, what counts for a workflow's success rate and mean duration.
//! - [`triggers`]: what starts a workflow, as its file says. [`feed`]: what happened between two reads.
//! - [`index`]: all of it in memory; [`view`]: as the wire shows it.
//!
//! The facts are the forge's and may be thrown away: the next read brings them back. Each list in them is bounded.

pub mod cadence;
pub mod feed;
pub mod index;
pub mod rates;
pub mod triggers;
pub mod view;

use std::collections::BTreeMap;

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoKey;
use dispatch_shared::protocol::actions::{
    Artifact, Commit, Deployment, Job, Package, Release, Trigger, WorkflowRun,
};
use serde::{Deserialize, Serialize};

/// Runs kept of a repository, the newest.
pub const RUNS_KEPT: usize = 100;
/// Workflows kept of a repository.
pub const WORKFLOWS_KEPT: usize = 100;
/// Releases, packages, artifacts and deployments kept of a repository, of each.
pub const OTHERS_KEPT: usize = 30;

/// What is read apart, for each may be forbidden by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The head of the default branch.
    Commit,
    /// Workflows and their files.
    Workflows,
    /// Runs, and the jobs of the latest of each workflow.
    Runs,
    /// Releases.
    Releases,
    /// Packages.
    Packages,
    /// Artifacts.
    Artifacts,
    /// Deployments.
    Deployments,
}

impl Part {
    /// All, in the order in which they are read.
    pub const ALL: [Part; 7] = [
        Part::Commit,
        Part::Runs,
        Part::Workflows,
        Part::Releases,
        Part::Artifacts,
        Part::Deployments,
        Part::Packages,
    ];

    /// The word in notes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Part::Commit => "commit",
            Part::Workflows => "workflows",
            Part::Runs => "runs",
            Part::Releases => "releases",
            Part::Packages => "packages",
            Part::Artifacts => "artifacts",
            Part::Deployments => "deployments",
        }
    }
}

/// A workflow as last read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Workflow {
    /// The forge's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `active`, `disabled_manually`…
    pub state: String,
    /// Its file in the repository.
    pub path: String,
    /// Where a person reads it.
    pub url: String,
    /// The picture of its state.
    pub badge_url: String,
    /// The content of the file that `triggers` was read from, by git's hash.
    pub blob: Option<String>,
    /// What starts it.
    pub triggers: Vec<Trigger>,
    /// Why nobody knows what starts it.
    pub triggers_note: Option<String>,
    /// What of which run `jobs` was read from.
    pub jobs_of: Option<String>,
    /// The jobs of its latest run.
    pub jobs: Vec<Job>,
}

impl Workflow {
    /// Whether it can be started by hand, as far as its file is known.
    #[must_use]
    pub fn is_dispatchable(&self) -> bool {
        self.triggers.iter().any(|t| t.event == "workflow_dispatch")
    }
}

/// A repository's automation as last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Whose.
    pub repo: RepoKey,
    /// The head of the default branch.
    #[serde(default)]
    pub commit: Option<Commit>,
    /// Its workflows.
    #[serde(default)]
    pub workflows: Vec<Workflow>,
    /// The newest runs, newest first.
    #[serde(default)]
    pub runs: Vec<WorkflowRun>,
    /// Newest first.
    #[serde(default)]
    pub releases: Vec<Release>,
    /// Those of the owner that belong to it.
    #[serde(default)]
    pub packages: Vec<Package>,
    /// Newest first.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// Newest first.
    #[serde(default)]
    pub deployments: Vec<Deployment>,
    /// Why a part cannot be read.
    #[serde(default)]
    pub notes: BTreeMap<Part, String>,
    /// When each part was read last, whatever came of it.
    #[serde(default)]
    pub read: BTreeMap<Part, Timestamp>,
    /// Validators by address, each with what it is valid for.
    #[serde(default)]
    pub etags: BTreeMap<String, String>,
    /// When it was read last, whatever came of it.
    #[serde(default)]
    pub read_at: Option<Timestamp>,
    /// Why the last read broke off.
    #[serde(default)]
    pub error: Option<String>,
    /// How many reads in a row broke off.
    #[serde(default)]
    pub failures: u32,
}

impl Facts {
    /// Nothing is known.
    #[must_use]
    pub fn new(repo: RepoKey) -> Self {
        Self {
            repo,
            commit: None,
            workflows: Vec::new(),
            runs: Vec::new(),
            releases: Vec::new(),
            packages: Vec::new(),
            artifacts: Vec::new(),
            deployments: Vec::new(),
            notes: BTreeMap::new(),
            read: BTreeMap::new(),
            etags: BTreeMap::new(),
            read_at: None,
            error: None,
            failures: 0,
        }
    }

    /// A run by its id.
    #[must_use]
    pub fn run(&self, id: &str) -> Option<&WorkflowRun> {
        self.runs.iter().find(|r| r.id == id)
    }

    /// A workflow by its id, its file's path or its file's name.
    #[must_use]
    pub fn workflow(&self, named: &str) -> Option<&Workflow> {
        let file = |w: &Workflow| w.path == named || w.path.rsplit('/').next() == Some(named);
        self.workflows.iter().find(|w| w.id == named).or_else(|| self.workflows.iter().find(|w| file(w)))
    }

    /// Takes runs that were read: each replaces what was known of it, and the newest are kept.
    pub fn take_runs(&mut self, read: Vec<WorkflowRun>) {
        self.runs.retain(|old| read.iter().all(|new| new.id != old.id));
        self.runs.extend(read);
        self.runs.sort_by(|a, b| (b.created_at, order(&b.id)).cmp(&(a.created_at, order(&a.id))));
        self.runs.truncate(RUNS_KEPT);
    }
}

/// Ids are numbers in words: a longer one is a later one.
fn order(id: &str) -> (usize, &str) {
    (id.len(), id)
}

/// What a read took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// When it began.
    pub began: Timestamp,
    /// Requests made.
    pub requests: u64,
    /// Those that counted against the forge's limit.
    pub points: u64,
    /// Things that came as new or changed.
    pub items: u64,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncKind {
    /// Issues and pull requests.
    Issues,
    /// Automation.
    Automation,
}

/// One read of a repository from its forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRun {
    /// Its number among all.
    pub id: u64,
    /// Its number among those of the repository, from 1.
    pub n: u64,
    /// Which repository.
    pub repo: RepoKey,
    /// What of it.
    pub kind: SyncKind,
    /// When it was over.
    pub finished_at: Timestamp,
    /// What it took.
    pub stats: Stats,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
}

/// What is told about automation.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A read is over, well or not. Reply: [`SyncRun`](super::command::Reply::SyncRun).
    Read {
        /// All that is known now.
        facts: Box<Facts>,
        /// What it took.
        stats: Stats,
    },
    /// Somebody had the forge do something: only the audit is told.
    Asked {
        /// Where.
        repo: RepoKey,
        /// The audit's word for it.
        action: &'static str,
        /// What, in words.
        notes: String,
        /// Why it was not done.
        error: Option<String>,
        /// Who.
        actor: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_runs_are_kept_and_read_anew() {
        let run = |id: u64, at: i64, status: &str| WorkflowRun {
            id: id.to_string(),
            created_at: Some(Timestamp(at)),
            status: status.into(),
            ..WorkflowRun::default()
        };
        let mut facts = Facts::new(RepoKey::new("gh1"));
        facts.take_runs((0..150).map(|n| run(n, 1_000 + n as i64, "queued")).collect());
        assert_eq!((facts.runs.len(), facts.runs[0].id.as_str()), (RUNS_KEPT, "149"));
        facts.take_runs(vec![run(149, 1_149, "completed"), run(150, 1_149, "queued")]);
        let newest: Vec<_> = facts.runs[..3].iter().map(|r| (r.id.as_str(), r.status.as_str())).collect();
        assert_eq!(newest, [("150", "queued"), ("149", "completed"), ("148", "queued")]);
        assert!(facts.run("50").is_none() && facts.run("51").is_some(), "100 are kept");
    }

    #[test]
    fn a_workflow_is_named_by_id_path_or_file() {
        let mut facts = Facts::new(RepoKey::new("gh1"));
        let path = ".github/workflows/ci.yml".to_owned();
        facts.workflows.push(Workflow { id: "7".into(), path, ..Workflow::default() });
        for name in ["7", "ci.yml", ".github/workflows/ci.yml"] {
            assert!(facts.workflow(name).is_some(), "{name}");
        }
        assert!(facts.workflow("workflows").is_none() && facts.workflow("i.yml").is_none());
    }
}
