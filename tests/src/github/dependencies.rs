//! Which issues block which: GitHub's own dependencies, as far as they are read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::FakeGithub;
use super::issues::issue_json;
use super::page::{Asked, Said, not_found, paged};
use super::state::State;

/// An issue anywhere: its repository's id, and its number.
type Place = (u64, u64);

/// See the module.
#[derive(Default)]
pub(super) struct Dependencies {
    /// Each blocked issue and one of its blockers, in the order in which they were said.
    pairs: Vec<(Place, Place)>,
    /// A server from before there were dependencies.
    none: bool,
}

impl State {
    fn is_open(&self, place: Place) -> Option<bool> {
        let repo = self.repos.iter().find(|r| r.id == place.0)?;
        repo.items.get(&place.1).map(|item| item.open)
    }

    /// The `issue_dependencies_summary` of a repository's issues that have to do with any other.
    pub(super) fn summaries(&self, repo: u64) -> Option<BTreeMap<u64, Value>> {
        if self.dependencies.none {
            return None;
        }
        let mut counts: BTreeMap<u64, [u64; 4]> = BTreeMap::new();
        for (blocked, blocker) in &self.dependencies.pairs {
            for (at, other, first) in [(blocked, blocker, 0), (blocker, blocked, 2)] {
                if at.0 == repo {
                    let of = counts.entry(at.1).or_default();
                    of[first] += u64::from(self.is_open(*other) == Some(true));
                    of[first + 1] += 1;
                }
            }
        }
        Some(counts.into_iter().map(|(number, counts)| (number, summary(counts))).collect())
    }

    pub(super) fn list_blockers(&mut self, asked: &Asked, full: &str, number: u64) -> Said {
        let repo = self.known(full);
        let id = repo.id;
        if !repo.items.contains_key(&number) || self.dependencies.none {
            return not_found();
        }
        let of = |pair: &&(Place, Place)| pair.0 == (id, number);
        let places: Vec<Place> = self.dependencies.pairs.iter().filter(of).map(|pair| pair.1).collect();
        let row = |place: &Place| {
            let repo = self.repos.iter().find(|r| r.id == place.0)?;
            let summaries = self.summaries(repo.id);
            Some(issue_json(asked, &repo.full_name(), repo.items.get(&place.1)?, summaries.as_ref()))
        };
        let rows = places.iter().filter_map(row).collect();
        paged(asked, id, &format!("/issues/{number}/dependencies/blocked_by"), rows)
    }
}

pub(super) fn summary([blocked_by, total_blocked_by, blocking, total_blocking]: [u64; 4]) -> Value {
    json!({
        "blocked_by": blocked_by,
        "total_blocked_by": total_blocked_by,
        "blocking": blocking,
        "total_blocking": total_blocking,
    })
}

impl FakeGithub {
    fn place(&self, repo: &str, number: u64) -> Place {
        (self.shared.state().known(repo).id, number)
    }

    /// Says that `number` of `repo` is blocked by `other` of `elsewhere`. As on GitHub, this changes the blocked issue's time.
    pub fn block(&self, repo: &str, number: u64, elsewhere: &str, other: u64) {
        let pair = (self.place(repo, number), self.place(elsewhere, other));
        self.shared.state().dependencies.pairs.push(pair);
        self.change(repo, number, |_| ());
    }

    /// Takes that back, in silence: the blocked issue's time stays.
    pub fn unblock(&self, repo: &str, number: u64, elsewhere: &str, other: u64) {
        let pair = (self.place(repo, number), self.place(elsewhere, other));
        self.shared.state().dependencies.pairs.retain(|p| *p != pair);
    }

    /// Becomes a server that knows of no dependencies.
    pub fn without_dependencies(&self) {
        self.shared.state().dependencies.none = true;
    }
}
