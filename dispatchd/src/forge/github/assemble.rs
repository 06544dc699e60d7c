//! One pull request's health, put together from the answers about it.

use std::collections::{BTreeSet, HashMap};

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::protocol::followup::FeedbackItem;

use super::graph::{self, CheckRun, Context, Page, Pull};
use super::query;
use crate::core::fix::health::{Check, Health, Remark, Thread};
use crate::core::fix::signal;

/// The most that is kept of one remark, in bytes.
const TEXT: usize = 4_000;
/// The app whose check runs are jobs with a log.
const ACTIONS: &str = "github-actions";

/// A text, bounded.
pub(super) fn cut(text: &str) -> String {
    if text.len() <= TEXT {
        return text.to_owned();
    }
    let end = (0..=TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// The state word of either API.
pub(super) fn state(word: &str) -> PullState {
    match word.to_ascii_uppercase().as_str() {
        "MERGED" => PullState::Merged,
        "CLOSED" => PullState::Closed,
        _ => PullState::Open,
    }
}

/// A check run, however it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Ran {
    /// What tells two check runs apart that are not one the repetition of the other.
    pub(super) kind: (String, String, String),
    /// The node, for GraphQL.
    pub(super) node: String,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) ended: bool,
    pub(super) conclusion: Option<String>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) job: Option<u64>,
    pub(super) text: Option<String>,
}

/// Checks and statuses of a commit.
#[derive(Clone, Debug, Default)]
pub(super) struct Checks {
    pub(super) runs: Vec<Ran>,
    /// Id, name, state, what it says.
    pub(super) statuses: Vec<(String, String, String, Option<String>)>,
}

/// One pull request as far as it was read.
pub(super) struct Found {
    pub(super) pull: Pull,
    home: Option<u64>,
    checks: Checks,
    threads: Vec<graph::Thread>,
    pub(super) more_contexts: Option<String>,
    pub(super) more_threads: Option<String>,
    /// Fields that could not be read.
    pub(super) blind: BTreeSet<String>,
    reviews: Option<Vec<Remark>>,
    said: HashMap<String, Vec<Remark>>,
}

impl Found {
    pub(super) fn new(mut pull: Pull, home: Option<u64>, blind: BTreeSet<String>) -> Self {
        let contexts = pull.status_check_rollup.take().and_then(|r| r.contexts);
        let threads = pull.review_threads.take();
        let mut found = Self {
            pull,
            home,
            checks: Checks::default(),
            threads: Vec::new(),
            more_contexts: None,
            more_threads: None,
            blind,
            reviews: None,
            said: HashMap::new(),
        };
        if let Some(page) = contexts {
            found.contexts(page);
        }
        match threads {
            Some(page) => found.threads(page),
            None => drop(found.blind.insert("reviewThreads".to_owned())),
        }
        found
    }

    pub(super) fn contexts(&mut self, page: Page<Context>) {
        for context in page.nodes.into_iter().flatten().flatten() {
            match context {
                Context::CheckRun(run) => self.checks.runs.push(ran(run)),
                Context::Status(s) => {
                    self.checks.statuses.push((s.id, s.context, s.state, s.description));
                }
                Context::Other => {}
            }
        }
        self.more_contexts = page.page_info.next();
    }

    pub(super) fn threads(&mut self, page: Page<graph::Thread>) {
        let nodes = page.nodes.into_iter().flatten().flatten();
        self.threads.extend(nodes.filter(|t| !t.is_resolved));
        self.more_threads = page.page_info.next();
    }

    /// No more pages will be read: what is left of them was not seen.
    pub(super) fn unread(&mut self) {
        if self.more_contexts.is_some() {
            self.blind.insert("statusCheckRollup".to_owned());
        }
        if self.more_threads.is_some() {
            self.blind.insert("reviewThreads".to_owned());
        }
    }

    /// The checks as REST shows them.
    pub(super) fn by_rest(&mut self, checks: Checks) {
        self.checks = checks;
        self.blind.remove("statusCheckRollup");
    }

    fn asks_for_changes(&self) -> bool {
        self.pull.review_decision.as_deref() == Some("CHANGES_REQUESTED")
    }

    /// What more to ask.
    pub(super) fn wants(&self, details: &mut query::Details) {
        details.threads.extend(self.threads.iter().map(|t| t.id.clone()));
        if self.asks_for_changes() {
            details.pulls.push(self.pull.id.clone());
        }
        let red = |r: &&Ran| r.job.is_none() && r.conclusion.as_deref().is_some_and(signal::failed);
        details.checks.extend(self.checks.runs.iter().filter(red).map(|r| r.node.clone()));
    }

    /// Takes what was said of it.
    pub(super) fn hear(&mut self, said: &mut Said) {
        for thread in &self.threads {
            if let Some(remarks) = said.threads.remove(&thread.id) {
                self.said.insert(thread.id.clone(), remarks);
            }
        }
        if let Some(reviews) = said.pulls.remove(&self.pull.id) {
            self.reviews = Some(reviews);
        }
        for run in &mut self.checks.runs {
            if let Some(text) = said.checks.remove(&run.node) {
                run.text = Some(text);
            }
        }
    }

    /// What comes of it.
    pub(super) fn health(mut self) -> Health {
        if self.asks_for_changes() && self.reviews.is_none() {
            self.blind.insert("reviews".to_owned());
        }
        let mut threads = Vec::new();
        for thread in &self.threads {
            let mut said = self.said.remove(&thread.id).unwrap_or_default();
            if said.is_empty() {
                self.blind.insert("reviewThreads".to_owned());
            }
            for remark in &mut said {
                remark.item.path.clone_from(&thread.path);
                remark.item.line = thread.line;
            }
            threads.push(Thread { id: thread.id.clone(), said });
        }
        let closes = self.pull.closing_issues_references.map(|list| {
            let mine = |c: &graph::Closed| c.repository.and_then(|r| r.database_id) == self.home;
            list.there().filter(mine).map(|c| c.number).collect()
        });
        let mut health = Health {
            pr: self.pull.number,
            state: Some(state(&self.pull.state)),
            draft: self.pull.is_draft,
            from_fork: self.pull.is_cross_repository,
            author: self.pull.author.map(|a| a.login).unwrap_or_default(),
            labels: self.pull.labels.into_iter().flat_map(graph::List::there).map(|l| l.name).collect(),
            head_sha: self.pull.head_ref_oid,
            updated_at: Some(self.pull.updated_at),
            closes,
            review_decision: self.pull.review_decision,
            reviews: self.reviews.unwrap_or_default(),
            threads,
            mergeable: self.pull.mergeable,
            merge_state: self.pull.merge_state_status,
            blind: self.blind.into_iter().collect(),
            ..Health::default()
        };
        self.checks.into_health(&mut health);
        health
    }
}

fn ran(run: CheckRun) -> Ran {
    let (app, workflow) = run.check_suite.map_or((None, None), |s| (s.app, s.workflow_run));
    let slug = app.map(|a| a.slug).unwrap_or_default();
    let (event, workflow) = workflow.map_or((None, None), |w| (w.event, w.workflow));
    Ran {
        job: run.database_id.filter(|_| slug == ACTIONS),
        kind: (slug, event.unwrap_or_default(), workflow.map(|w| w.name).unwrap_or_default()),
        id: run.database_id.map_or_else(|| run.id.clone(), |id| id.to_string()),
        node: run.id,
        name: run.name,
        ended: run.status == "COMPLETED",
        conclusion: run.conclusion,
        started_at: run.started_at,
        text: None,
    }
}

impl Checks {
    /// Of check runs that repeat one another the newest counts.
    pub(super) fn into_health(self, health: &mut Health) {
        let mut newest: Vec<Ran> = Vec::new();
        for run in self.runs {
            let same = |r: &Ran| r.kind == run.kind && r.name == run.name;
            match newest.iter_mut().find(|r| same(r)) {
                Some(there) if there.started_at < run.started_at => *there = run,
                Some(_) => {}
                None => newest.push(run),
            }
        }
        for run in newest {
            match run.conclusion.filter(|_| run.ended) {
                None => health.pending += 1,
                Some(conclusion) => health.checks.push(Check {
                    id: run.id,
                    name: run.name,
                    conclusion,
                    text: run.text,
                    job: run.job,
                }),
            }
        }
        for (id, name, state, text) in self.statuses {
            if matches!(state.to_ascii_uppercase().as_str(), "PENDING" | "EXPECTED") {
                health.pending += 1;
            } else {
                health.statuses.push(Check { id, name, conclusion: state, text, job: None });
            }
        }
    }
}

/// What was said, by node.
#[derive(Debug, Default)]
pub(super) struct Said {
    threads: HashMap<String, Vec<Remark>>,
    pulls: HashMap<String, Vec<Remark>>,
    checks: HashMap<String, String>,
}

impl Said {
    pub(super) fn of(details: graph::Details) -> Self {
        let mut said = Self::default();
        for thread in details.threads.into_iter().flatten() {
            let Some(id) = thread.id else { continue };
            let comments = [thread.first, thread.newest].into_iter().flatten().flat_map(graph::List::there);
            let mut remarks: Vec<Remark> = Vec::new();
            for comment in comments {
                let of = comment.full_database_id.map(graph::Number::text).unwrap_or_else(|| id.clone());
                if remarks.iter().all(|r| r.id != of) {
                    remarks.push(remark(of, comment.author, &comment.body));
                }
            }
            said.threads.insert(id, remarks);
        }
        for pull in details.pulls.into_iter().flatten() {
            let (Some(id), Some(reviews)) = (pull.id, pull.latest_opinionated_reviews) else { continue };
            let asks = reviews.there().filter(|r| r.state == "CHANGES_REQUESTED");
            let remarks = asks.filter_map(|r| Some(remark(r.full_database_id?.text(), r.author, &r.body)));
            said.pulls.insert(id, remarks.collect());
        }
        for check in details.checks.into_iter().flatten() {
            let Some(id) = check.id else { continue };
            let text: Vec<String> = [check.title, check.summary].into_iter().flatten().collect();
            said.checks.insert(id, cut(&text.join("\n")));
        }
        said
    }
}

fn remark(id: String, author: Option<graph::Actor>, body: &str) -> Remark {
    let author = author.map(|a| a.login);
    Remark { id, item: FeedbackItem { author, ..FeedbackItem::text(cut(body)) } }
}
