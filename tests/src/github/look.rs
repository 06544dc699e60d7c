//! What a test may look at.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::FakeGithub;
use super::bare;
use super::state::Item;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` and the like.
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The status answered; 0 if there was no answer.
    pub status: u16,
    /// Bytes of the body answered, as far as they were known before it was sent.
    pub bytes: u64,
    pub(super) turn: u64,
}

impl Request {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// What it cost of the hour's points of the REST API.
    #[must_use]
    pub fn points(&self) -> u64 {
        let free = self.path.ends_with("/rate_limit") || self.path.ends_with("/graphql");
        u64::from(!free && self.status != 304 && !self.path.contains(".git/"))
    }

    /// Whether it would have changed something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.method != "GET" && self.path != "/graphql" && !self.path.contains("/git-upload-pack")
    }
}

/// A request to the REST API and what was answered, as they went over the wire.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Exchange {
    /// `GET` and the like.
    pub method: String,
    /// Path below the API and query, as sent.
    pub path: String,
    /// The body sent; `None` if there was none.
    pub request: Option<serde_json::Value>,
    /// The status answered.
    pub status: u16,
    /// The body answered; `None` if there was none.
    pub answer: Option<serde_json::Value>,
}

/// A pull request as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullView {
    /// Its number.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The branch it comes from.
    pub head: String,
    /// The branch it goes to.
    pub base: String,
    /// The commit at its head.
    pub sha: String,
    /// Open.
    pub open: bool,
    /// Merged.
    pub merged: bool,
}

/// An issue as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueView {
    /// One line.
    pub title: String,
    /// Open.
    pub open: bool,
    /// Sorted.
    pub labels: Vec<String>,
}

impl FakeGithub {
    /// All issues of the repository with this id, whatever it is called now.
    #[must_use]
    pub fn issues_of(&self, id: u64) -> BTreeMap<u64, IssueView> {
        let state = self.shared.state();
        let repo = state.repos.iter().find(|r| r.id == id);
        let view = |item: &Item| {
            let mut labels = item.labels.clone();
            labels.sort();
            IssueView { title: item.title.clone(), open: item.open, labels }
        };
        let issues = repo.into_iter().flat_map(|r| r.items.values()).filter(|i| i.pull.is_none());
        issues.map(|i| (i.number, view(i))).collect()
    }

    /// What the repository with this id is called now.
    #[must_use]
    pub fn name_of(&self, id: u64) -> Option<String> {
        self.shared.state().repos.iter().find(|r| r.id == id).map(super::state::Repo::full_name)
    }

    fn look<T>(&self, repo: &str, number: u64, look: impl FnOnce(&Item) -> T) -> T {
        let mut state = self.shared.state();
        let item = state.known(repo).items.get(&number);
        look(item.expect("the test looks at an issue that is there"))
    }

    /// The labels of an issue or pull request, sorted.
    #[must_use]
    pub fn labels(&self, repo: &str, number: u64) -> Vec<String> {
        let mut labels = self.look(repo, number, |i| i.labels.clone());
        labels.sort();
        labels
    }

    /// The labels that a repository has.
    #[must_use]
    pub fn repo_labels(&self, repo: &str) -> Vec<String> {
        self.shared.state().known(repo).labels.clone()
    }

    /// Whether an issue is open.
    #[must_use]
    pub fn is_open(&self, repo: &str, number: u64) -> bool {
        self.look(repo, number, |i| i.open)
    }

    /// The comments of an issue, oldest first.
    #[must_use]
    pub fn comments(&self, repo: &str, number: u64) -> Vec<String> {
        self.look(repo, number, |i| i.comments.iter().map(|c| c.body.clone()).collect())
    }

    /// The numbers of all issues that are no pull requests.
    #[must_use]
    pub fn issues(&self, repo: &str) -> Vec<u64> {
        let mut state = self.shared.state();
        state.known(repo).items.values().filter(|i| i.pull.is_none()).map(|i| i.number).collect()
    }

    /// All pull requests, oldest first.
    #[must_use]
    pub fn pulls(&self, repo: &str) -> Vec<PullView> {
        let mut state = self.shared.state();
        let view = |item: &Item| {
            let pull = item.pull.as_ref()?;
            Some(PullView {
                number: item.number,
                title: item.title.clone(),
                body: item.body.clone().unwrap_or_default(),
                head: pull.head.clone(),
                base: pull.base.clone(),
                sha: pull.sha.clone(),
                open: item.open,
                merged: pull.merged.is_some(),
            })
        };
        state.known(repo).items.values().filter_map(view).collect()
    }

    /// Where the bare repository lies.
    #[must_use]
    pub fn bare_path(&self, repo: &str) -> PathBuf {
        let id = self.shared.state().known(repo).id;
        self.shared.bare(id)
    }

    /// The commit at the head of a branch.
    #[must_use]
    pub fn head(&self, repo: &str, branch: &str) -> Option<String> {
        bare::head(&self.bare_path(repo), branch)
    }

    /// Every request so far, git's included.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().log.clone()
    }

    /// Keeps every exchange over the REST API from now on, but for what a fault answers.
    pub fn record(&self) {
        self.shared.state().exchanges.get_or_insert_default();
    }

    /// What was kept since [`FakeGithub::record`].
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.state().exchanges.clone().unwrap_or_default()
    }

    /// The requests so far, which are then forgotten.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.state().log)
    }
}
