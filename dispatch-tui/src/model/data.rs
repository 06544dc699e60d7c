//! What the daemon said: cards, runs, repositories, problems. Snapshots replace it, changes amend it; text is made
//! safe on the way in.

use std::collections::BTreeMap;

use dispatch_shared::Timestamp;
use dispatch_shared::event::Seq;
use dispatch_shared::id::{IssueId, RepoName, RunId};
use dispatch_shared::issue::Flag;
use dispatch_shared::protocol::control::{Control, Problem, ProblemKind};
use dispatch_shared::protocol::events::{Change, Lane, Progress, Snapshot};
use dispatch_shared::protocol::issues::{Issue, WriteState};
use dispatch_shared::protocol::repos::Repo;
use dispatch_shared::protocol::runs::Run;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::text;
use super::working::Working;

/// The daemon's state as far as it is known here.
#[derive(Debug, Default)]
pub(crate) struct Data {
    /// Whether a snapshot came at all.
    pub(crate) seen: bool,
    pub(crate) seq: Seq,
    pub(crate) issues: BTreeMap<IssueId, Issue>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    pub(crate) repos: BTreeMap<RepoName, Repo>,
    pub(crate) control: Option<Control>,
    pub(crate) problems: Vec<Problem>,
    /// Lanes in their configured order.
    pub(crate) lanes: Vec<Lane>,
    pub(crate) progress: Vec<Working>,
}

fn clean(text: &mut String) {
    if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
        *text = text::line(text);
    }
}

fn clean_some(text: &mut Option<String>) {
    if let Some(text) = text {
        clean(text);
    }
}

/// Makes a card safe to show.
pub(crate) fn clean_issue(mut issue: Issue) -> Issue {
    clean(&mut issue.title);
    issue.labels.iter_mut().for_each(clean);
    issue.assignees.iter_mut().for_each(clean);
    clean(&mut issue.lane);
    clean(&mut issue.url);
    for field in [&mut issue.priority, &mut issue.kind, &mut issue.agent, &mut issue.linked_pr_url] {
        clean_some(field);
    }
    if let Some(WriteState::Refused { reason }) = &mut issue.write {
        clean(reason);
    }
    issue
}

/// Makes a run safe to show.
pub(crate) fn clean_run(mut run: Run) -> Run {
    clean(&mut run.title);
    clean(&mut run.program);
    clean(&mut run.state);
    for field in [&mut run.reason, &mut run.last_event, &mut run.branch, &mut run.container] {
        clean_some(field);
    }
    if let Some(question) = &mut run.question {
        *question = text::block(question);
    }
    clean_some(&mut run.pull_request_url);
    run
}

/// Makes every text in an answer safe to show: each is one line afterwards.
///
/// # Errors
/// If it cannot be read any more afterwards, which only a text in place of a name could bring about.
pub(crate) fn clean_all<T: Serialize + DeserializeOwned>(answer: &T) -> Result<T, String> {
    fn walk(value: &mut Value) {
        match value {
            Value::String(text) => clean(text),
            Value::Array(items) => items.iter_mut().for_each(walk),
            Value::Object(fields) => fields.values_mut().for_each(walk),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(answer).map_err(|e| e.to_string())?;
    walk(&mut value);
    serde_json::from_value(value).map_err(|e| text::line(&e.to_string()))
}

fn clean_control(mut control: Control) -> Control {
    for pool in &mut control.paused_pools {
        clean(&mut pool.program);
        clean(&mut pool.reason);
    }
    for wait in &mut control.waits {
        clean(&mut wait.program);
        clean(&mut wait.reason);
    }
    control.usage.iter_mut().for_each(|row| clean(&mut row.name));
    control.budgets.iter_mut().for_each(|budget| clean(&mut budget.name));
    if let Some(slowed) = &mut control.budget.slowed {
        clean(&mut slowed.reason);
    }
    clean(&mut control.runtime);
    control
}

fn clean_lane(mut lane: Lane) -> Lane {
    clean(&mut lane.id);
    clean(&mut lane.title);
    for field in [&mut lane.role, &mut lane.description, &mut lane.default_agent] {
        clean_some(field);
    }
    lane
}

fn clean_problem(mut problem: Problem) -> Problem {
    clean(&mut problem.subject);
    clean(&mut problem.text);
    problem
}

fn clean_repo(mut repo: Repo) -> Repo {
    clean_some(&mut repo.sync_error);
    clean_some(&mut repo.path);
    clean(&mut repo.default_branch);
    clean(&mut repo.standing);
    clean_some(&mut repo.latest_release);
    repo.lanes.iter_mut().for_each(clean);
    repo
}

impl Data {
    /// Takes a snapshot in place of everything.
    pub(crate) fn replace(&mut self, snapshot: Snapshot) {
        *self = Data {
            seen: true,
            seq: snapshot.seq,
            issues: snapshot.issues.into_iter().map(|i| (i.issue_id.clone(), clean_issue(i))).collect(),
            runs: snapshot.runs.into_iter().map(|r| (r.id, clean_run(r))).collect(),
            repos: snapshot.repos.into_iter().map(|r| (r.full_name.clone(), clean_repo(r))).collect(),
            control: Some(clean_control(snapshot.control)),
            problems: snapshot.problems.into_iter().map(clean_problem).collect(),
            lanes: snapshot.lanes.into_iter().map(clean_lane).collect(),
            progress: std::mem::take(&mut self.progress),
        };
    }

    /// Takes a change; the same one twice does no harm.
    pub(crate) fn amend(&mut self, change: Change) {
        self.seq = self.seq.max(change.seq);
        for issue in change.issues {
            self.issues.insert(issue.issue_id.clone(), clean_issue(issue));
        }
        for id in &change.gone {
            self.issues.remove(id);
        }
        for run in change.runs {
            self.runs.insert(run.id, clean_run(run));
        }
        for repo in change.repos {
            self.repos.insert(repo.full_name.clone(), clean_repo(repo));
        }
        for name in &change.repos_gone {
            self.repos.remove(name);
        }
        if let Some(control) = change.control {
            self.control = Some(clean_control(control));
        }
        if let Some(problems) = change.problems {
            self.problems = problems.into_iter().map(clean_problem).collect();
        }
    }

    /// Takes word of long work.
    pub(crate) fn note(&mut self, mut progress: Progress, now: Timestamp) {
        clean(&mut progress.what);
        let at = self.progress.iter().position(|w| w.progress.what == progress.what);
        match (at, progress.finished) {
            (Some(at), true) => drop(self.progress.remove(at)),
            (Some(at), false) => self.progress[at].go_on(progress, now),
            (None, true) => {}
            (None, false) => self.progress.push(Working::new(progress, now)),
        }
    }

    /// The long work that a run waits for: the clone of its repository, or its image.
    pub(crate) fn work_of(&self, run: &Run) -> Option<&Working> {
        let repo = run.repo_full_name.to_string();
        let run_id = run.id.to_string();
        let is_its = |what: &str| {
            what == format!("clone {repo}")
                || what.starts_with("pull ")
                || what.ends_with(&format!(" {run_id}"))
        };
        let prepares = !run.ended && matches!(run.state.as_str(), "queued" | "preparing");
        self.progress.iter().filter(|_| prepares).find(|w| is_its(&w.progress.what))
    }

    /// The run that a card shows: the newest known one.
    pub(crate) fn run_of(&self, issue: &Issue) -> Option<&Run> {
        self.runs.get(&issue.last_run?)
    }

    /// The question that waits on this card, if there is one.
    pub(crate) fn question_of(&self, issue: &Issue) -> Option<&Run> {
        self.run_of(issue).filter(|r| r.ended && r.state == "blocked" && asks(issue))
    }

    /// The problem of the given kind on this card.
    pub(crate) fn problem_of(&self, issue: &IssueId, kind: ProblemKind) -> Option<&Problem> {
        self.problems.iter().find(|p| p.kind == kind && p.issue_id.as_ref() == Some(issue))
    }

    /// How many runs live.
    pub(crate) fn live_runs(&self) -> usize {
        self.runs.values().filter(|r| !r.ended).count()
    }
}

/// Whether the card waits for a person.
pub(crate) fn asks(issue: &Issue) -> bool {
    issue.flags.iter().any(|f| matches!(f, Flag::NeedsHuman | Flag::NeedsInfo))
}
