//! One read: part after part, until all are read, the forge fails, or it has cost enough.
//!
//! A part that the token may not read (403, 404, 409) gets a note in words and is emptied; the others go on. What the
//! forge confirms as unchanged (304) stays as it is and costs nothing.

use dispatch_shared::protocol::actions::WorkflowRun;
use reqwest::StatusCode;
use serde::de::DeserializeOwned;

use super::wire;
use crate::core::automation::cadence::{Urgency, is_spent};
use crate::core::automation::{Facts, OTHERS_KEPT, Part, WORKFLOWS_KEPT, rates};
use crate::core::record::Repo;
use crate::edges::{AutomationRead, ForgeError};
use crate::forge::github::GithubForge;
use crate::forge::github::call::Call;
use crate::forge::github::link::escape;

/// The page of runs once the newest are known; the first one is full.
const FEW: usize = 30;
const FULL: usize = 100;
/// Pages of runs at most, to find the one where those that are known begin.
const MOST_PAGES: usize = 3;
/// Runs that are not over and not among the newest, looked at one by one.
const MOST_LOOKS: usize = 5;
/// Workflows whose jobs are read in one go.
const MOST_JOBS: usize = 10;
/// Environments whose newest deployment's state is read.
const MOST_ENVIRONMENTS: usize = 5;
const PACKAGE_TYPES: [&str; 6] = ["container", "npm", "maven", "nuget", "rubygems", "docker"];

/// Why a read ends early.
pub(super) enum Stop {
    /// The forge said no to this, or failed.
    Forge(ForgeError),
    /// It has cost enough: the rest comes with the next read.
    Spent,
}

impl From<ForgeError> for Stop {
    fn from(error: ForgeError) -> Self {
        Stop::Forge(error)
    }
}

/// See the module.
pub(super) struct Reading<'a> {
    forge: &'a GithubForge,
    pub(super) repo: &'a Repo,
    urgency: Urgency,
    pub(super) facts: Facts,
    requests: u64,
    points: u64,
    items: u64,
}

/// How many of `new` are not in `old`.
fn fresh<T: PartialEq>(old: &[T], new: &[T]) -> u64 {
    new.iter().filter(|n| !old.contains(n)).count() as u64
}

impl<'a> Reading<'a> {
    pub(super) fn new(forge: &'a GithubForge, repo: &'a Repo, facts: Facts, urgency: Urgency) -> Self {
        Self { forge, repo, urgency, facts, requests: 0, points: 0, items: 0 }
    }

    pub(super) async fn all(mut self, parts: &[Part]) -> AutomationRead {
        let stopped = match self.parts(parts).await {
            Ok(()) | Err(Stop::Spent) => None,
            Err(Stop::Forge(error)) => Some(error),
        };
        self.sweep();
        let Self { facts, requests, points, items, .. } = self;
        AutomationRead { facts, requests, points, items, stopped }
    }

    /// Forgets validators of addresses that are asked for no more: of an older name, and of runs that are over.
    fn sweep(&mut self) {
        let home = self.path("/");
        let (runs, facts) = (self.path("/actions/runs/"), &mut self.facts);
        let open = |key: &str| {
            let run =
                key.split_once(&runs).map(|(_, rest)| rest.split(['/', '?']).next().unwrap_or_default());
            run.is_none_or(|id| facts.runs.iter().any(|r| r.id == id && rates::is_running(r)))
        };
        let kept = |key: &String| (!key.contains(":/repos/") || key.contains(&home)) && open(key);
        facts.etags.retain(|key, _| kept(key));
    }

    async fn parts(&mut self, parts: &[Part]) -> Result<(), Stop> {
        let mut wanted = parts.to_vec();
        for part in Part::ALL {
            if !wanted.contains(&part) {
                continue;
            }
            let head = self.facts.commit.as_ref().map(|c| c.sha.clone());
            self.part(part).await?;
            // A push may have changed what starts a workflow; a run may be of one that is new.
            let pushed = part == Part::Commit && self.facts.commit.as_ref().map(|c| c.sha.clone()) != head;
            if (pushed || part == Part::Runs && self.misses_workflow()) && !wanted.contains(&Part::Workflows)
            {
                wanted.push(Part::Workflows);
            }
        }
        if wanted.contains(&Part::Runs) && !self.facts.notes.contains_key(&Part::Runs) {
            self.jobs().await?;
        }
        Ok(())
    }

    /// Whether a recent run is of a workflow that is not known, and that was not looked for just now.
    fn misses_workflow(&self) -> bool {
        let now = self.forge.client.edges.clock.now();
        let looked = self.facts.read.get(&Part::Workflows).is_some_and(|at| now.since(*at).as_secs() < 300);
        let known = |r: &WorkflowRun| self.facts.workflows.iter().any(|w| w.id == r.workflow_id);
        !looked && self.facts.runs.iter().take(FEW).any(|r| !known(r))
    }

    async fn part(&mut self, part: Part) -> Result<(), Stop> {
        let read = match part {
            Part::Commit => self.commit().await,
            Part::Runs => self.runs().await,
            Part::Workflows => self.workflows().await,
            Part::Releases => self.releases().await,
            Part::Artifacts => self.artifacts().await,
            Part::Deployments => self.deployments().await,
            Part::Packages => self.packages().await,
        };
        match read {
            Ok(()) => drop(self.facts.notes.remove(&part)),
            Err(Stop::Forge(ForgeError::NotFound(said) | ForgeError::Refused(said))) => {
                self.refused(part, said)
            }
            Err(stop) => return Err(stop),
        }
        let now = self.forge.client.edges.clock.now();
        self.facts.read.insert(part, now);
        Ok(())
    }

    /// What may not be read is not shown as if it were still so.
    fn refused(&mut self, part: Part, said: String) {
        let facts = &mut self.facts;
        match part {
            Part::Commit => facts.commit = None,
            Part::Runs => facts.runs.clear(),
            Part::Workflows => facts.workflows.clear(),
            Part::Releases => facts.releases.clear(),
            Part::Artifacts => facts.artifacts.clear(),
            Part::Deployments => facts.deployments.clear(),
            Part::Packages => facts.packages.clear(),
        }
        let own = format!("{}:", part.word());
        facts.etags.retain(|key, _| !key.starts_with(&own));
        facts.notes.insert(part, said);
    }

    pub(super) fn path(&self, tail: &str) -> String {
        format!("/repos/{}{tail}", self.repo.name)
    }

    /// Forgets the validator of an address.
    pub(super) fn forget(&mut self, part: Part, path: &str) {
        self.facts.etags.remove(&format!("{}:{path}", part.word()));
    }

    /// What lies at `path`; `None` if it has not changed since it was read last.
    pub(super) async fn get<T: DeserializeOwned>(
        &mut self,
        part: Part,
        path: &str,
        what: &str,
    ) -> Result<Option<T>, Stop> {
        if is_spent(self.urgency, self.points) {
            return Err(Stop::Spent);
        }
        let client = &self.forge.client;
        let key = format!("{}:{path}", part.word());
        let url = client.url(path)?;
        let scope = client.scope(self.repo, &url, what).await?;
        let known = self.facts.etags.get(&key).and_then(|e| e.strip_prefix(&scope)?.strip_prefix(' '));
        let known = known.map(ToOwned::to_owned);
        let call = Call { etag: known.as_deref(), ..Call::get(url, what) };
        self.requests += 1;
        let call = if path.starts_with("/repos/") {
            call.of(self.repo)
        } else {
            Call { repo: Some(&self.repo.name), ..call }
        };
        let answer = match client.call(call).await {
            Ok(answer) => answer,
            Err(error) => {
                self.points += 1;
                return Err(error.into());
            }
        };
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        self.points += 1;
        let got = answer.json(what)?;
        match answer.etag() {
            Some(etag) => drop(self.facts.etags.insert(key, format!("{scope} {etag}"))),
            None => drop(self.facts.etags.remove(&key)),
        }
        Ok(Some(got))
    }

    async fn commit(&mut self) -> Result<(), Stop> {
        let branch = self.repo.default_branch.clone();
        let what = format!("reading the head of {branch} in {}", self.repo.name);
        let path = self.path(&format!("/commits?sha={}&per_page=1", escape(&branch)));
        if let Some(list) = self.get::<Vec<wire::Commit>>(Part::Commit, &path, &what).await? {
            let commit = list.into_iter().next().map(|c| c.seen(&branch));
            self.items += u64::from(commit != self.facts.commit);
            self.facts.commit = commit;
        }
        Ok(())
    }

    async fn runs(&mut self) -> Result<(), Stop> {
        let what = format!("listing the workflow runs of {}", self.repo.name);
        let count = if self.facts.runs.is_empty() { FULL } else { FEW };
        let list = format!("/actions/runs?per_page={count}&exclude_pull_requests=true");
        let mut read: Vec<WorkflowRun> = Vec::new();
        for page in 1..=MOST_PAGES {
            let path = self.path(&if page == 1 { list.clone() } else { format!("{list}&page={page}") });
            let Some(got) = self.get::<wire::Runs>(Part::Runs, &path, &what).await? else { break };
            if page > 1 {
                // Only the first page stands for the list.
                self.forget(Part::Runs, &path);
            }
            let got: Vec<_> = got.workflow_runs.into_iter().map(wire::Run::seen).collect();
            let full = got.len() == count;
            let joined = got.iter().any(|r| self.facts.run(&r.id).is_some());
            read.extend(got);
            if !full || joined || count == FULL {
                break;
            }
        }
        let old = |r: &&WorkflowRun| rates::is_running(r) && read.iter().all(|new| new.id != r.id);
        let open: Vec<String> =
            self.facts.runs.iter().skip(FEW).filter(old).map(|r| r.id.clone()).take(MOST_LOOKS).collect();
        for id in open {
            let path = self.path(&format!("/actions/runs/{id}?exclude_pull_requests=true"));
            match self.get::<wire::Run>(Part::Runs, &path, &what).await {
                Ok(Some(run)) => {
                    let run = run.seen();
                    if !rates::is_running(&run) {
                        self.forget(Part::Runs, &path);
                    }
                    read.push(run);
                }
                Ok(None) => {}
                Err(Stop::Forge(ForgeError::NotFound(_))) => {
                    self.forget(Part::Runs, &path);
                    self.facts.runs.retain(|r| r.id != id);
                }
                Err(stop) => return Err(stop),
            }
        }
        self.items += fresh(&self.facts.runs, &read);
        self.facts.take_runs(read);
        Ok(())
    }

    async fn workflows(&mut self) -> Result<(), Stop> {
        let what = format!("listing the workflows of {}", self.repo.name);
        let path = self.path("/actions/workflows?per_page=100");
        if let Some(got) = self.get::<wire::Workflows>(Part::Workflows, &path, &what).await? {
            let mut list = Vec::new();
            for seen in got.workflows.into_iter().map(wire::Workflow::seen).take(WORKFLOWS_KEPT) {
                let mut seen = seen;
                if let Some(old) = self.facts.workflows.iter().find(|w| w.id == seen.id) {
                    seen.jobs_of.clone_from(&old.jobs_of);
                    seen.jobs.clone_from(&old.jobs);
                    if old.path == seen.path {
                        seen.blob.clone_from(&old.blob);
                        seen.triggers.clone_from(&old.triggers);
                        seen.triggers_note.clone_from(&old.triggers_note);
                    }
                }
                list.push(seen);
            }
            list.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
            self.items += fresh(&self.facts.workflows, &list);
            self.facts.workflows = list;
        }
        self.files().await
    }

    /// The jobs of each workflow's latest run, those that ended or moved last first.
    async fn jobs(&mut self) -> Result<(), Stop> {
        let latest = |id: &str| self.facts.runs.iter().find(|r| r.workflow_id == id);
        let mut wanted: Vec<(WorkflowRun, String, String)> = Vec::new();
        for workflow in &self.facts.workflows {
            let Some(run) = latest(&workflow.id) else { continue };
            let at = run.updated_at.map_or(0, |t| t.0);
            let of = format!("{}/{}/{at}/{}", run.id, run.run_attempt, run.status);
            if rates::is_running(run) || workflow.jobs_of.as_ref() != Some(&of) {
                wanted.push((run.clone(), workflow.id.clone(), of));
            }
        }
        wanted.sort_by_key(|(run, ..)| std::cmp::Reverse(run.updated_at));
        for (run, workflow, of) in wanted.into_iter().take(MOST_JOBS) {
            let what = format!("reading the jobs of run {} in {}", run.id, self.repo.name);
            let path = self.path(&format!("/actions/runs/{}/jobs?filter=latest&per_page=100", run.id));
            let got = match self.get::<wire::Jobs>(Part::Runs, &path, &what).await {
                Ok(got) => got,
                // It was deleted meanwhile, or its jobs are not for this token.
                Err(Stop::Forge(ForgeError::NotFound(_) | ForgeError::Refused(_))) => {
                    Some(wire::Jobs { jobs: Vec::new() })
                }
                Err(stop) => return Err(stop),
            };
            if !rates::is_running(&run) {
                self.forget(Part::Runs, &path);
            }
            let Some(workflow) = self.facts.workflows.iter_mut().find(|w| w.id == workflow) else { continue };
            if let Some(got) = got {
                let jobs: Vec<_> = got.jobs.into_iter().map(wire::Job::seen).collect();
                self.items += fresh(&workflow.jobs, &jobs);
                workflow.jobs = jobs;
            }
            workflow.jobs_of = Some(of);
        }
        Ok(())
    }

    async fn releases(&mut self) -> Result<(), Stop> {
        let what = format!("listing the releases of {}", self.repo.name);
        let path = self.path(&format!("/releases?per_page={OTHERS_KEPT}"));
        if let Some(list) = self.get::<Vec<wire::Release>>(Part::Releases, &path, &what).await? {
            let list: Vec<_> = list.into_iter().map(wire::Release::seen).take(OTHERS_KEPT).collect();
            self.items += fresh(&self.facts.releases, &list);
            self.facts.releases = list;
        }
        Ok(())
    }

    async fn artifacts(&mut self) -> Result<(), Stop> {
        let what = format!("listing the artifacts of {}", self.repo.name);
        let path = self.path(&format!("/actions/artifacts?per_page={OTHERS_KEPT}"));
        if let Some(list) = self.get::<wire::Artifacts>(Part::Artifacts, &path, &what).await? {
            let list = list.artifacts.into_iter().map(wire::Artifact::seen);
            let list: Vec<_> = list.take(OTHERS_KEPT).collect();
            self.items += fresh(&self.facts.artifacts, &list);
            self.facts.artifacts = list;
        }
        Ok(())
    }

    async fn deployments(&mut self) -> Result<(), Stop> {
        let what = format!("listing the deployments of {}", self.repo.name);
        let path = self.path(&format!("/deployments?per_page={OTHERS_KEPT}"));
        if let Some(list) = self.get::<Vec<wire::Deployment>>(Part::Deployments, &path, &what).await? {
            let mut list: Vec<_> = list.into_iter().map(wire::Deployment::seen).take(OTHERS_KEPT).collect();
            for new in &mut list {
                let old = self.facts.deployments.iter().find(|old| old.id == new.id);
                new.state = old.and_then(|old| old.state.clone());
            }
            self.items += fresh(&self.facts.deployments, &list);
            self.facts.deployments = list;
        }
        let mut environments: Vec<String> = Vec::new();
        let mut newest: Vec<String> = Vec::new();
        for deployment in &self.facts.deployments {
            if !environments.contains(&deployment.environment) && newest.len() < MOST_ENVIRONMENTS {
                environments.push(deployment.environment.clone());
                newest.push(deployment.id.clone());
            }
        }
        let tail = |id: &str| format!("/deployments/{id}/statuses?per_page=1");
        let kept: Vec<String> = newest.iter().map(|id| self.path(&tail(id))).collect();
        let gone = |key: &String| key.contains("/statuses?") && !kept.iter().any(|path| key.ends_with(path));
        self.facts.etags.retain(|key, _| !gone(key));
        for (id, path) in newest.iter().zip(&kept) {
            let Some(list) = self.get::<Vec<wire::DeploymentStatus>>(Part::Deployments, path, &what).await?
            else {
                continue;
            };
            if let Some(deployment) = self.facts.deployments.iter_mut().find(|d| d.id == *id) {
                deployment.state = list.into_iter().next().map(|s| s.state);
            }
        }
        Ok(())
    }

    /// There is no list of a repository's packages: the owner's are read, type by type.
    async fn packages(&mut self) -> Result<(), Stop> {
        let owner = escape(self.repo.name.owner());
        let what = format!("listing the packages of {}", self.repo.name.owner());
        let mut list = Vec::new();
        let mut place = "orgs";
        for kind in PACKAGE_TYPES {
            let path = |place: &str| format!("/{place}/{owner}/packages?package_type={kind}&per_page=100");
            let got = match self.get::<Vec<wire::Package>>(Part::Packages, &path(place), &what).await {
                Err(Stop::Forge(ForgeError::NotFound(_))) if place == "orgs" => {
                    place = "users";
                    self.get::<Vec<wire::Package>>(Part::Packages, &path(place), &what).await?
                }
                other => other?,
            };
            match got {
                None => list.extend(self.facts.packages.iter().filter(|p| p.kind == kind).cloned()),
                Some(got) => {
                    let home = Some(self.repo.key.to_string());
                    list.extend(got.into_iter().filter(|p| p.home() == home).map(wire::Package::seen));
                }
            }
        }
        list.truncate(OTHERS_KEPT);
        self.items += fresh(&self.facts.packages, &list);
        self.facts.packages = list;
        Ok(())
    }
}
