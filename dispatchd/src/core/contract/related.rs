//! What else touches a task, from what the world knows: so that a worker does nothing twice and breaks nothing that others
//! are at.

use dispatch_shared::followup::PullState;
use dispatch_shared::issue::IssueState;
use dispatch_shared::protocol::tasks::{Related, RelatedKind};

use crate::core::link;
use crate::core::record::{Card, CardKey, Pull};
use crate::core::world::World;

/// The most that are named.
const MOST: usize = 20;
/// The most numbers that are read from a text.
const NAMED: usize = 40;

struct Found<'a> {
    world: &'a World,
    subject: &'a CardKey,
    list: Vec<Related>,
}

/// What touches the task about `subject` (an issue, or a pull request without one), whose text is `body`: pull requests for
/// the same issue, what it waits for, what it is a part of, what its text names, and open pull requests for that. `own` is
/// the pull request that the task itself is about.
#[must_use]
pub fn related(world: &World, subject: &CardKey, body: &str, own: Option<u64>) -> Vec<Related> {
    let mut found = Found { world, subject, list: Vec::new() };
    let card = world.cards.get(subject);
    let linked = card.and_then(|c| c.linked_pull);
    let mut same: Vec<_> = world.pulls_for(subject).filter(|p| Some(p.seen.number) != own).collect();
    same.sort_by_key(|p| std::cmp::Reverse(p.seen.number));
    for pull in same {
        let continued = linked == Some(pull.seen.number) && own.is_none() && !pull.seen.from_fork;
        let on = if continued && pull.seen.state == PullState::Open { ", on your branch" } else { "" };
        found.pull(pull, &format!("for the same issue{on}"));
    }
    let waits: Vec<u64> = card.map(|c| c.blocked_by.clone()).unwrap_or_default();
    for number in &waits {
        found.number(*number, "which comes before this");
    }
    for parent in world.grooming.parents(subject) {
        if parent.repo == subject.repo {
            found.number(parent.number, "of which this is a part");
        }
    }
    let children = card.and_then(|c| c.grooming.umbrella.as_ref()).map(|u| u.children.clone());
    for child in children.into_iter().flatten().filter(|c| c.repo == subject.repo) {
        found.number(child.number, "a part of this");
    }
    let name = world.repos.get(&subject.repo).map(|r| r.name.to_string()).unwrap_or_default();
    let named: Vec<u64> = link::mentioned(body, &name).into_iter().take(NAMED).collect();
    for number in &named {
        found.number(*number, "named in the text");
    }
    for number in waits.iter().chain(&named) {
        let key = CardKey { repo: subject.repo.clone(), number: *number };
        let open = world.pulls_for(&key).filter(|p| p.seen.state == PullState::Open);
        for pull in open.filter(|p| Some(p.seen.number) != own) {
            found.pull(pull, &format!("for #{number}"));
        }
    }
    found.list
}

impl Found<'_> {
    fn add(&mut self, related: Related) {
        let known = self.list.iter().any(|r| r.number == related.number);
        if !known && self.list.len() < MOST && related.number != self.subject.number {
            self.list.push(related);
        }
    }

    fn number(&mut self, number: u64, why: &str) {
        let repo = &self.subject.repo;
        if let Some(card) = self.world.cards.get(&CardKey { repo: repo.clone(), number }) {
            self.add(issue(card, why));
        } else if let Some(pull) = self.world.pulls.get(&(repo.clone(), number)).cloned() {
            self.pull(&pull, why);
        }
    }

    fn pull(&mut self, pull: &Pull, why: &str) {
        let seen = &pull.seen;
        let state = match seen.state {
            PullState::Open if seen.draft => "an open draft",
            PullState::Open => "open",
            PullState::Merged => "merged",
            PullState::Closed => "closed unmerged",
        };
        self.add(Related {
            kind: RelatedKind::PullRequest,
            number: seen.number,
            title: seen.title.clone(),
            url: seen.url.clone(),
            why: format!("{state}, {why}"),
        });
    }
}

fn issue(card: &Card, why: &str) -> Related {
    let state = match card.state {
        IssueState::Closed => "closed".to_owned(),
        IssueState::Open => format!("open, {}", card.status),
    };
    Related {
        kind: RelatedKind::Issue,
        number: card.key.number,
        title: card.title.clone(),
        url: card.url.clone(),
        why: format!("{state}, {why}"),
    }
}
