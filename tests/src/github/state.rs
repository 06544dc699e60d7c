//! What the fake knows.

use std::collections::BTreeMap;

use dispatch_shared::Timestamp;
use dispatchd::edges::{Clock, SystemClock};

use super::app::Access;
use super::fault::Planned;
use super::look::{Exchange, Request};

/// Requests an hour.
pub(super) const LIMIT: u64 = 5_000;

pub(super) struct Comment {
    pub(super) id: u64,
    /// `None` is a deleted account.
    pub(super) author: Option<String>,
    /// What the author is to the repository.
    pub(super) association: &'static str,
    pub(super) body: String,
    pub(super) at: Timestamp,
}

/// What makes an item a pull request.
pub(super) struct PullPart {
    pub(super) head: String,
    pub(super) base: String,
    pub(super) from_fork: bool,
    pub(super) draft: bool,
    pub(super) merged: Option<Timestamp>,
    /// The head as last seen; follows the branch while the pull request is open.
    pub(super) sha: String,
    /// The base when it was opened.
    pub(super) onto: String,
}

/// An issue or a pull request: they share their numbers.
pub(super) struct Item {
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    /// `None` is a deleted account.
    pub(super) author: Option<String>,
    pub(super) labels: Vec<String>,
    pub(super) open: bool,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) closed: Option<Timestamp>,
    /// Orders what changed within one second.
    pub(super) turn: u64,
    pub(super) comments: Vec<Comment>,
    pub(super) pull: Option<PullPart>,
}

pub(super) struct Repo {
    pub(super) id: u64,
    pub(super) owner: String,
    pub(super) name: String,
    /// Case-folded names that redirect here.
    pub(super) former: Vec<String>,
    pub(super) archived: bool,
    /// All labels of the repository, as first spelled.
    pub(super) labels: Vec<String>,
    pub(super) items: BTreeMap<u64, Item>,
    /// Issues that live elsewhere now: number here, repository and number there.
    pub(super) transferred: BTreeMap<u64, (u64, u64)>,
    pub(super) actions: super::actions::Actions,
}

impl Repo {
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    pub(super) fn next_number(&self) -> u64 {
        let (here, away) = (self.items.last_key_value(), self.transferred.last_key_value());
        here.map(|(n, _)| *n).max(away.map(|(n, _)| *n)).map_or(1, |n| n + 1)
    }
}

pub(super) struct State {
    pub(super) tokens: Vec<String>,
    pub(super) access: Access,
    pub(super) repos: Vec<Repo>,
    pub(super) log: Vec<Request>,
    /// Kept only if a test wants them.
    pub(super) exchanges: Option<Vec<Exchange>>,
    pub(super) faults: Vec<Planned>,
    pub(super) remaining: u64,
    pub(super) reset: Timestamp,
    pub(super) turn: u64,
    /// Repositories made so far.
    pub(super) made: u64,
    /// How pull requests are.
    pub(super) book: super::health::Book,
    /// Which issues block which.
    pub(super) dependencies: super::dependencies::Dependencies,
}

/// GitHub's clock: whole seconds.
pub(super) fn now() -> Timestamp {
    Timestamp(SystemClock.now().0.div_euclid(1_000) * 1_000)
}

impl State {
    pub(super) fn new(token: &str) -> Self {
        Self {
            tokens: vec![token.to_owned()],
            access: Access::default(),
            repos: Vec::new(),
            log: Vec::new(),
            exchanges: None,
            faults: Vec::new(),
            remaining: LIMIT,
            reset: Timestamp(now().0 + 3_600_000),
            turn: 0,
            made: 0,
            book: super::health::Book::default(),
            dependencies: Default::default(),
        }
    }

    pub(super) fn repo(&mut self, full_name: &str) -> Option<&mut Repo> {
        let (owner, name) = full_name.split_once('/')?;
        self.repos
            .iter_mut()
            .find(|r| r.owner.eq_ignore_ascii_case(owner) && r.name.eq_ignore_ascii_case(name))
    }

    /// The repository that a test names; it must be there.
    pub(super) fn known(&mut self, full_name: &str) -> &mut Repo {
        self.repo(full_name).expect("the test named a repository that it added")
    }

    /// Changes an item and its `updated_at`.
    pub(super) fn edit<T>(
        &mut self,
        full_name: &str,
        number: u64,
        edit: impl FnOnce(&mut Item) -> T,
    ) -> Option<T> {
        self.turn += 1;
        let turn = self.turn;
        let item = self.repo(full_name)?.items.get_mut(&number)?;
        let done = edit(item);
        item.updated = now().max(item.updated);
        item.turn = turn;
        Some(done)
    }

    pub(super) fn add(&mut self, full_name: &str, item: impl FnOnce(u64) -> Item) -> u64 {
        self.turn += 1;
        let turn = self.turn;
        let repo = self.known(full_name);
        let number = repo.next_number();
        let mut item = item(number);
        item.turn = turn;
        let labels = std::mem::take(&mut item.labels);
        repo.items.insert(number, item);
        self.add_labels(full_name, number, &labels);
        number
    }

    /// Adds labels as GitHub does: case does not matter, unknown ones are made, others stay.
    pub(super) fn add_labels(&mut self, full_name: &str, number: u64, labels: &[String]) {
        let Some(repo) = self.repo(full_name) else { return };
        let Some(item) = repo.items.get_mut(&number) else { return };
        for label in labels {
            let spelled = match repo.labels.iter().find(|l| l.eq_ignore_ascii_case(label)) {
                Some(there) => there.clone(),
                None => {
                    repo.labels.push(label.clone());
                    label.clone()
                }
            };
            if !item.labels.contains(&spelled) {
                item.labels.push(spelled);
            }
        }
    }
}

impl Item {
    pub(super) fn new(number: u64, title: &str, body: Option<&str>, labels: &[&str], at: Timestamp) -> Self {
        Self {
            number,
            title: title.to_owned(),
            body: body.map(str::to_owned),
            author: Some("olive".to_owned()),
            labels: labels.iter().map(|l| (*l).to_owned()).collect(),
            open: true,
            created: at,
            updated: at,
            closed: None,
            turn: 0,
            comments: Vec::new(),
            pull: None,
        }
    }

    pub(super) fn close(&mut self) {
        self.open = false;
        self.closed = Some(now());
    }
}
