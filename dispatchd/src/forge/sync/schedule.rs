//! The background loop: which repository is read when. Wakes for what is due, a hint, a change of the list of
//! repositories or a shutdown, and for nothing else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::id::RepoKey;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pass::{Pass, Passed};
use super::{SyncSettings, Syncer};
use crate::core::cadence;
use crate::core::throttle::Priority;
use crate::core::world::World;
use crate::forge::pace::{backoff, jitter};

/// When each repository is read next.
#[derive(Default)]
struct Plan {
    due: HashMap<RepoKey, Instant>,
    failures: HashMap<RepoKey, u32>,
    underway: HashSet<RepoKey>,
    /// Hinted at while a read was under way, which may have come too early.
    again: HashSet<RepoKey>,
    /// Due because of a hint.
    hinted: HashSet<RepoKey>,
}

impl Plan {
    /// Takes the list of tracked repositories: new ones are due at once.
    fn reconcile(&mut self, tracked: &HashSet<RepoKey>, now: Instant) {
        self.due.retain(|key, _| tracked.contains(key));
        self.failures.retain(|key, _| tracked.contains(key));
        self.hinted.retain(|key| tracked.contains(key));
        for key in tracked {
            if !self.underway.contains(key) {
                self.due.entry(key.clone()).or_insert(now);
            }
        }
    }

    fn hint(&mut self, key: RepoKey, now: Instant) {
        if self.underway.contains(&key) {
            self.again.insert(key);
        } else if let Some(due) = self.due.get_mut(&key) {
            *due = now;
            self.hinted.insert(key);
        }
    }

    /// How urgent the read of a repository is that is about to begin.
    fn priority(&mut self, key: &RepoKey) -> Priority {
        if self.hinted.remove(key) { Priority::Hinted } else { Priority::Scheduled }
    }

    fn start(&mut self, now: Instant) -> Vec<RepoKey> {
        let ready: Vec<RepoKey> =
            self.due.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        for key in &ready {
            self.due.remove(key);
            self.underway.insert(key.clone());
        }
        ready
    }

    /// Takes back a repository that was read; it is due again after `pause`.
    fn ended(&mut self, key: RepoKey, pause: Duration, now: Instant) {
        self.underway.remove(&key);
        let again = self.again.remove(&key);
        let pause = if again { Duration::ZERO } else { pause };
        if again {
            self.hinted.insert(key.clone());
        }
        self.due.insert(key, now + pause);
    }

    fn next(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }
}

/// How long to leave a repository alone after its `failures`th failure in a row (0: it went well, and it rests for `rest`).
fn pause(settings: &SyncSettings, rest: Duration, failures: u32, quiet: Option<Duration>) -> Duration {
    let usual = match failures {
        0 => rest,
        n => backoff(settings.every, settings.most.max(settings.every), n),
    };
    // Never before the forge wants to hear from us, so the jitter may only lengthen that.
    let usual = jitter(usual);
    quiet.map_or(usual, |q| usual.max(q + jitter(Duration::from_secs(1))))
}

/// How long a repository rests that was read well.
fn rest(pass: &Pass, settings: &SyncSettings, key: &RepoKey) -> Duration {
    let world = pass.ledger.snapshot();
    let changed = world.repos.get(key).and_then(|r| r.cursor.since);
    cadence::pause(settings.every, changed, cadence::busy(&world, key), pass.edges.clock.now())
}

/// Runs until `shutdown`. What is being read then goes on in its own task and finds the ledger closed.
pub(super) async fn run(
    syncer: &Syncer,
    hints: &mut UnboundedReceiver<RepoKey>,
    shutdown: CancellationToken,
) {
    let (pass, settings) = (&syncer.inner.pass, &syncer.inner.settings);
    let mut commits = pass.ledger.commits();
    let mut plan = Plan::default();
    let mut tasks: JoinSet<(RepoKey, Option<Passed>)> = JoinSet::new();
    let mut seen = None;
    loop {
        let world = pass.ledger.snapshot();
        if seen.as_ref().is_none_or(|old: &Arc<World>| !old.repos.ptr_eq(&world.repos)) {
            let tracked = world.tracked().map(|r| r.key.clone()).collect();
            plan.reconcile(&tracked, Instant::now());
            seen = Some(world);
        }
        for key in plan.start(Instant::now()) {
            let (syncer, priority) = (syncer.clone(), plan.priority(&key));
            tasks.spawn(async move {
                let passed = match syncer.tracked(&key) {
                    Some(repo) => Some(syncer.pass(repo, priority).await),
                    None => None,
                };
                (key, passed)
            });
        }
        let next = plan.next();
        tokio::select! {
            () = shutdown.cancelled() => return,
            Some(ended) = tasks.join_next() => {
                // A task here only waits for another one, it cannot fail.
                let Ok((key, passed)) = ended else { continue };
                let Some(passed) = passed else {
                    plan.underway.remove(&key);
                    continue;
                };
                let failures = plan.failures.entry(key.clone()).or_insert(0);
                *failures = if passed.result.error.is_some() { failures.saturating_add(1) } else { 0 };
                let quiet = passed.quiet_until.map(|until| until.since(pass.edges.clock.now()));
                let pause = pause(settings, rest(pass, settings, &key), *failures, quiet);
                plan.ended(key, pause, Instant::now());
            }
            Some(key) = hints.recv() => plan.hint(key, Instant::now()),
            changed = commits.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: SyncSettings = SyncSettings {
        every: Duration::from_secs(60),
        most: Duration::from_secs(1_800),
        sweep: Duration::from_secs(43_200),
    };

    #[test]
    fn failures_slow_down_and_limits_are_obeyed() {
        let seconds = |failures, quiet: Option<u64>| {
            pause(&SETTINGS, SETTINGS.every, failures, quiet.map(Duration::from_secs)).as_secs_f64()
        };
        assert!((54.0..=66.1).contains(&seconds(0, None)));
        assert!((108.0..=132.1).contains(&seconds(2, None)));
        assert!((1_620.0..=1_981.0).contains(&seconds(30, None)));
        assert!(seconds(1, Some(900)) >= 900.0);
    }

    #[test]
    fn a_hint_during_a_read_reads_again() {
        let (key, now) = (RepoKey::new("gh1"), Instant::now());
        let one = std::slice::from_ref(&key);
        let minute = Duration::from_secs(60);
        let mut plan = Plan::default();
        plan.reconcile(&one.iter().cloned().collect(), now);
        assert_eq!(plan.start(now), one);
        assert_eq!(plan.start(now), [], "once at a time");
        assert_eq!(plan.priority(&key), Priority::Scheduled);
        plan.hint(key.clone(), now);
        plan.ended(key.clone(), minute, now);
        assert_eq!(plan.start(now), one);
        assert_eq!(plan.priority(&key), Priority::Hinted);
        plan.ended(key.clone(), minute, now);
        assert_eq!(plan.start(now), []);
        assert_eq!(plan.next(), Some(now + minute));
        plan.hint(key.clone(), now);
        assert_eq!(plan.start(now), one, "a hint does not wait");
        plan.ended(key, minute, now);
        plan.reconcile(&HashSet::new(), now);
        assert_eq!(plan.next(), None, "an untracked one is left alone");
    }
}
