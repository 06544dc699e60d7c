//! What reviewers and checks do to pull requests, and what a test may ask of that.

use std::time::Duration;

use dispatch_shared::Timestamp;

use super::FakeGithub;
use super::health::{Answered, Commit, GraphFault, Job, Pull, Review, Run, Status, Thread};
use super::state::now;

/// The points that looks at pull requests have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Points {
    /// Queries answered.
    pub queries: usize,
    /// Points in all.
    pub cost: u64,
    /// Pull requests shown in all.
    pub pulls: usize,
}

impl Points {
    /// Points for each hundred pull requests shown.
    #[must_use]
    pub fn per_hundred(&self) -> f64 {
        self.cost as f64 * 100.0 / self.pulls.max(1) as f64
    }
}

impl FakeGithub {
    fn pull_book<T>(&self, repo: &str, pr: u64, edit: impl FnOnce(&mut Pull) -> T) -> T {
        let mut state = self.shared.state();
        let id = state.known(repo).id;
        edit(state.book.pulls.entry((id, pr)).or_default())
    }

    fn commit_book<T>(&self, repo: &str, pr: u64, edit: impl FnOnce(&mut Commit, u64) -> T) -> T {
        let mut state = self.shared.state();
        let known = state.known(repo);
        let pull = known.items.get(&pr).and_then(|i| i.pull.as_ref());
        let key = (known.id, pull.expect("the test named a pull request").sha.clone());
        let id = state.book.id();
        edit(state.book.commits.entry(key).or_default(), id)
    }

    /// A check of GitHub Actions runs on the head of a pull request, or has ended (`FAILURE`, `SUCCESS`, …); one of the same
    /// name is replaced. The pull request's `updated_at` stays. Returns its id, which is that of its job.
    pub fn check(&self, repo: &str, pr: u64, name: &str, conclusion: Option<&str>) -> u64 {
        self.check_of("github-actions", repo, pr, name, conclusion, None)
    }

    /// The same for a check of any app, with a summary.
    pub fn check_of(
        &self,
        app: &str,
        repo: &str,
        pr: u64,
        name: &str,
        conclusion: Option<&str>,
        summary: Option<&str>,
    ) -> u64 {
        self.commit_book(repo, pr, |commit, id| {
            commit.runs.retain(|r| r.name != name || r.app != app);
            commit.runs.push(Run {
                id,
                name: name.to_owned(),
                conclusion: conclusion.map(str::to_owned),
                started: now(),
                app: app.to_owned(),
                summary: summary.map(str::to_owned),
            });
            id
        })
    }

    /// A status of the head of a pull request (`success`, `failure`, `error`, `pending`).
    pub fn status(&self, repo: &str, pr: u64, context: &str, to: &str) {
        self.commit_book(repo, pr, |commit, id| {
            commit.statuses.retain(|s| s.context != context);
            commit.statuses.push(Status { id, context: context.to_owned(), state: to.to_owned(), at: now() });
        });
    }

    /// Somebody reviews: `APPROVED`, `CHANGES_REQUESTED` or `COMMENTED`.
    pub fn review(&self, repo: &str, pr: u64, author: &str, verdict: &str, body: &str) -> u64 {
        let id = self.shared.state().book.id();
        let (author, verdict, body) = (author.to_owned(), verdict.to_owned(), body.to_owned());
        self.pull_book(repo, pr, |pull| {
            pull.reviews.push(Review { id, author, state: verdict, body, at: now() });
        });
        self.touch(repo, pr);
        id
    }

    /// Somebody opens a review thread. Returns its id.
    pub fn thread(&self, repo: &str, pr: u64, author: &str, path: &str, line: u64, text: &str) -> u64 {
        let id = self.shared.state().book.id();
        let comments = vec![(id + 900_000, author.to_owned(), text.to_owned())];
        let path = path.to_owned();
        self.pull_book(repo, pr, |pull| {
            pull.threads.push(Thread { id, path, line, resolved: false, comments });
        });
        self.touch(repo, pr);
        id
    }

    /// Somebody answers in a thread.
    pub fn reply(&self, repo: &str, pr: u64, thread: u64, author: &str, text: &str) {
        let id = self.shared.state().book.id() + 900_000;
        self.pull_book(repo, pr, |pull| {
            let there = pull.threads.iter_mut().find(|t| t.id == thread);
            let there = there.expect("the test named a thread that it opened");
            there.comments.push((id, author.to_owned(), text.to_owned()));
        });
        self.touch(repo, pr);
    }

    /// Somebody resolves a thread.
    pub fn resolve(&self, repo: &str, pr: u64, thread: u64) {
        self.pull_book(repo, pr, |pull| {
            let there = pull.threads.iter_mut().find(|t| t.id == thread);
            there.expect("the test named a thread that it opened").resolved = true;
        });
        self.touch(repo, pr);
    }

    /// Whether the pull request conflicts with its base.
    pub fn conflict(&self, repo: &str, pr: u64, conflicts: bool) {
        self.pull_book(repo, pr, |pull| pull.conflict = conflicts);
    }

    /// The state of its merge, as GraphQL spells it: `BEHIND`, `BLOCKED`, …
    pub fn merge_state(&self, repo: &str, pr: u64, word: &str) {
        self.pull_book(repo, pr, |pull| pull.merge_state = Some(word.to_owned()));
    }

    /// The next so many looks do not learn whether it can be merged.
    pub fn merge_unknown(&self, repo: &str, pr: u64, looks: usize) {
        self.pull_book(repo, pr, |pull| pull.unknown = looks);
    }

    /// Makes a pull request a draft, or ready.
    pub fn draft(&self, repo: &str, pr: u64, draft: bool) {
        self.change(repo, pr, |item| {
            if let Some(pull) = &mut item.pull {
                pull.draft = draft;
            }
        });
    }

    /// Keeps a log of a failed job, whose step `step` lasted from `started` for a minute. The id is that of the check.
    pub fn job_log(&self, repo: &str, job: u64, step: &str, started: Timestamp, log: &str) {
        let mut state = self.shared.state();
        let repo = state.known(repo).id;
        let (step, log) = (step.to_owned(), log.to_owned());
        let ended = started + Duration::from_secs(60);
        state.book.jobs.insert(job, Job { repo, step, started, ended, log });
    }

    /// The next `times` looks at a pull request by GraphQL fail like this.
    pub fn fail_look(&self, repo: &str, pr: u64, fault: GraphFault, times: usize) {
        let mut state = self.shared.state();
        let repo = state.known(repo).id;
        state.book.faults.push((repo, pr, fault, times));
    }

    /// Refuses GraphQL with this status, or serves it.
    pub fn refuse_graphql(&self, status: Option<u16>) {
        self.shared.state().book.refused = status;
    }

    /// Leaves so many points.
    pub fn set_points(&self, left: u64) {
        self.shared.state().book.used = 5_000_u64.saturating_sub(left);
    }

    /// What was asked by GraphQL, and answered.
    #[must_use]
    pub fn queries(&self) -> Vec<Answered> {
        self.shared.state().book.answered.clone()
    }

    /// What that has cost since the last time this was asked.
    pub fn take_points(&self) -> Points {
        let answered = std::mem::take(&mut self.shared.state().book.answered);
        answered.iter().fold(Points::default(), |sum, one| Points {
            queries: sum.queries + 1,
            cost: sum.cost + one.cost,
            pulls: sum.pulls + one.pulls,
        })
    }

    fn touch(&self, repo: &str, pr: u64) {
        self.change(repo, pr, |_| ());
    }
}
