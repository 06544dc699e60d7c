//! What is known of looking at pull requests: which there are, when each was looked at, and what was said to have happened
//! since. Lies in memory alone: after a start everything is looked at once, which costs a few points.

use std::collections::{BTreeMap, HashMap, HashSet};

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::RepoKey;
use imbl::ordmap::DiffItem;

use crate::core::fix::FixKey;
use crate::core::fix::health::Health;
use crate::core::fix::look::{self, Memory, Points, Stance};
use crate::core::record::Pull;
use crate::core::world::World;

/// What is due within this time of something that is due goes along with it: a query has room for many.
const ALONG: std::time::Duration = std::time::Duration::from_secs(1);

/// See the module.
#[derive(Default)]
pub(super) struct Plan {
    /// The open pull requests.
    open: HashSet<FixKey>,
    memories: HashMap<FixKey, Memory>,
    /// What the last look showed of the pull request itself: a sync that shows the same is no news.
    shown: HashMap<FixKey, (Timestamp, String)>,
    hinted: HashSet<FixKey>,
    points: Option<Points>,
    quiet_until: Option<Timestamp>,
}

impl Plan {
    /// Takes in what has changed from `old` to `new`: pull requests that came or went, those that a sync saw change, and
    /// cards that a pull request belongs to now.
    pub(super) fn reconcile(&mut self, old: Option<&World>, new: &World) {
        let Some(old) = old else {
            for pull in new.pulls.values() {
                self.pull(pull);
            }
            return;
        };
        if !old.pulls.ptr_eq(&new.pulls) {
            for change in old.pulls.diff(&new.pulls) {
                match change {
                    DiffItem::Add(_, pull) | DiffItem::Update { new: (_, pull), .. } => self.pull(pull),
                    DiffItem::Remove(_, pull) => self.forget(&key_of(pull)),
                }
            }
        }
        if !old.cards.ptr_eq(&new.cards) {
            for change in old.cards.diff(&new.cards) {
                let card = match change {
                    DiffItem::Add(_, card) => card,
                    DiffItem::Update { old: (_, was), new: (_, card) }
                        if was.linked_pull != card.linked_pull =>
                    {
                        card
                    }
                    _ => continue,
                };
                if let Some(pr) = card.linked_pull {
                    self.reconsider(&FixKey { repo: card.key.repo.clone(), pr });
                }
            }
        }
    }

    fn pull(&mut self, pull: &Pull) {
        let key = key_of(pull);
        if pull.seen.state != PullState::Open {
            self.forget(&key);
            return;
        }
        let news = self
            .shown
            .get(&key)
            .is_some_and(|(at, head)| pull.seen.updated_at > *at || pull.seen.head_sha != *head);
        self.open.insert(key.clone());
        if news {
            self.hinted.insert(key);
        } else {
            self.reconsider(&key);
        }
    }

    fn forget(&mut self, key: &FixKey) {
        self.open.remove(key);
        self.memories.remove(key);
        self.shown.remove(key);
        self.hinted.remove(key);
    }

    /// There may be a reason to look now where there was none.
    fn reconsider(&mut self, key: &FixKey) {
        if self.memories.get(key).is_some_and(|m| m.stance == Stance::Ignored) {
            self.memories.remove(key);
        }
    }

    /// Somebody says that something happened at a pull request.
    pub(super) fn hint(&mut self, key: FixKey) {
        if self.open.contains(&key) {
            self.reconsider(&key);
            self.hinted.insert(key);
        }
    }

    /// Somebody says that something happened in a repository.
    pub(super) fn hint_repo(&mut self, repo: &RepoKey) {
        let keys: Vec<FixKey> = self.open.iter().filter(|k| k.repo == *repo).cloned().collect();
        keys.into_iter().for_each(|key| self.hint(key));
    }

    fn next_of(&self, key: &FixKey, now: Timestamp) -> Option<Timestamp> {
        look::next(self.memories.get(key), self.hinted.contains(key), self.points, now)
    }

    /// Until when nothing at all is looked at.
    fn silence(&self, now: Timestamp) -> Option<Timestamp> {
        let spent = self.points.filter(|p| p.are_spent(now)).map(|p| p.reset_at);
        spent.max(self.quiet_until.filter(|until| *until > now))
    }

    /// Takes what is to be looked at now; whether any of it was hinted at. What is not worth a look is put off.
    pub(super) fn take_due(&mut self, world: &World, now: Timestamp) -> (Vec<FixKey>, bool) {
        if self.silence(now).is_some() {
            return (Vec::new(), false);
        }
        let mut soon: BTreeMap<Timestamp, Vec<FixKey>> = BTreeMap::new();
        for key in &self.open {
            if let Some(at) = self.next_of(key, now).filter(|at| *at <= now + ALONG) {
                soon.entry(at).or_default().push(key.clone());
            }
        }
        if soon.first_key_value().is_none_or(|(at, _)| *at > now) {
            return (Vec::new(), false);
        }
        let mut due: Vec<FixKey> = Vec::new();
        for key in soon.into_values().flatten() {
            if world.pulls.get(&(key.repo.clone(), key.pr)).is_some_and(|p| look::is_wanted(world, p)) {
                due.push(key);
            } else {
                self.hinted.remove(&key);
                self.memories.insert(key, Memory::ignored(now));
            }
        }
        let mut hinted = false;
        for key in &due {
            // What is hinted at from now on may have come too late for this look.
            hinted |= self.hinted.remove(key);
        }
        due.sort();
        (due, hinted)
    }

    /// When something is due next.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let first = self.open.iter().filter_map(|key| self.next_of(key, now)).min();
        let resumes = self.points.map(|p| p.reset_at).filter(|at| *at > now && !self.open.is_empty());
        match self.silence(now) {
            Some(until) => Some(until),
            None => first.or(resumes),
        }
    }

    /// A look that began at `at` showed this.
    pub(super) fn seen(
        &mut self,
        key: &FixKey,
        at: Timestamp,
        health: &Health,
        wanting: bool,
        changed: bool,
    ) {
        let memory = Memory::seen(self.memories.get(key), at, health, wanting, changed);
        self.memories.insert(key.clone(), memory);
        if let Some(updated) = health.updated_at {
            self.shown.insert(key.clone(), (updated, health.head_sha.clone()));
        }
    }

    /// A look that began at `at` failed.
    pub(super) fn failed(&mut self, key: &FixKey, at: Timestamp) {
        let memory = Memory::failed(self.memories.get(key), at);
        self.memories.insert(key.clone(), memory);
    }

    /// What the forge said of its points.
    pub(super) fn learn(&mut self, points: Option<Points>) {
        self.points = points.or(self.points);
    }

    /// The forge wants silence.
    pub(super) fn quiet(&mut self, until: Timestamp) {
        self.quiet_until = self.quiet_until.max(Some(until));
    }
}

fn key_of(pull: &Pull) -> FixKey {
    FixKey { repo: pull.repo.clone(), pr: pull.seen.number }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::change::Change;
    use crate::core::record::{ForgeKind, Repo};
    use crate::core::seen::SeenPull;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn pull(number: u64, at: Timestamp, state: PullState) -> Pull {
        let seen = SeenPull {
            number,
            title: String::new(),
            url: String::new(),
            state,
            draft: false,
            head_branch: format!("fix/issue-{number}"),
            head_sha: "a".into(),
            from_fork: false,
            base_branch: "main".into(),
            author: String::new(),
            labels: Vec::new(),
            closes: Vec::new(),
            created_at: NOW,
            updated_at: at,
        };
        Pull::new(RepoKey::new("gh1"), seen)
    }

    fn world(pulls: &[Pull]) -> World {
        let mut world = World::default();
        let repo = Repo::unknown("acme/api".parse().unwrap());
        let repo = Repo { key: RepoKey::new("gh1"), tracked: true, forge: ForgeKind::Github, ..repo };
        world.apply(&Change::Repo(repo));
        pulls.iter().for_each(|p| world.apply(&Change::Pull(p.clone())));
        world
    }

    fn key(pr: u64) -> FixKey {
        FixKey { repo: RepoKey::new("gh1"), pr }
    }

    fn seen(plan: &mut Plan, pr: u64, at: Timestamp) {
        let health = Health { updated_at: Some(NOW), head_sha: "a".into(), ..Health::default() };
        plan.seen(&key(pr), at, &health, false, false);
    }

    #[test]
    fn what_is_open_is_looked_at_once_and_then_when_something_happens() {
        let mut plan = Plan::default();
        let first = world(&[pull(1, NOW, PullState::Open), pull(2, NOW, PullState::Merged)]);
        plan.reconcile(None, &first);
        assert_eq!(plan.take_due(&first, NOW), (vec![key(1)], false));
        seen(&mut plan, 1, NOW);
        assert_eq!(plan.take_due(&first, NOW), (vec![], false));
        assert_eq!(plan.next(NOW), Some(NOW + Duration::from_secs(300)));
        // Our own look came back by a commit: no news.
        let mut same = first.clone();
        same.apply(&Change::Pull(Pull { closing: Some(vec![]), ..pull(1, NOW, PullState::Open) }));
        plan.reconcile(Some(&first), &same);
        assert_eq!(plan.next(NOW), Some(NOW + Duration::from_secs(300)));
        // A sync saw it change.
        let later = NOW + Duration::from_secs(10);
        let mut changed = same.clone();
        changed.apply(&Change::Pull(pull(1, later, PullState::Open)));
        plan.reconcile(Some(&same), &changed);
        assert_eq!(plan.take_due(&changed, later), (vec![key(1)], true));
        seen(&mut plan, 1, later);
        plan.hint(key(1));
        plan.hint(key(9));
        assert_eq!(plan.next(later), Some(later + Duration::from_secs(2)), "a burst of hints is one look");
        let mut merged = changed.clone();
        merged.apply(&Change::Pull(pull(1, later, PullState::Merged)));
        plan.reconcile(Some(&changed), &merged);
        assert_eq!(plan.next(later), None, "nothing is open");
    }

    #[test]
    fn silence_is_kept_and_points_are_waited_for() {
        let mut plan = Plan::default();
        let world = world(&[pull(1, NOW, PullState::Open)]);
        plan.reconcile(None, &world);
        let soon = NOW + Duration::from_secs(60);
        plan.quiet(soon);
        assert_eq!((plan.take_due(&world, NOW).0, plan.next(NOW)), (vec![], Some(soon)));
        let hour = NOW + Duration::from_secs(3_600);
        plan.learn(Some(Points { limit: 5_000, remaining: 0, reset_at: hour }));
        assert_eq!((plan.take_due(&world, soon).0, plan.next(soon)), (vec![], Some(hour)));
        assert_eq!(plan.take_due(&world, hour).0, [key(1)]);
    }
}
