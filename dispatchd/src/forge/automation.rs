//! Reads the automation of tracked repositories into the ledger: each at its own pace, sooner where something runs, one
//! read of a repository at a time. What is due says [`cadence`]; nothing is read of a repository that nobody tracks, nor
//! before its issues have been read once.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoKey;
use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Forges;
use super::pace::jitter;
use crate::core::automation::cadence::{self, Urgency};
use crate::core::automation::{Ask, Facts, Stats};
use crate::core::command::{Command, Reply};
use crate::core::record::{ForgeKind, Repo};
use crate::core::throttle::Priority;
use crate::core::world::World;
use crate::edges::{AutomationRead, Edges, ForgeError, Forges as _};
use crate::ledger::Door;

/// Repositories read at the same time: what is read here is never urgent.
const AT_ONCE: usize = 4;
/// From a hint to the read, so that a burst of them is one read.
const HINTED: Duration = Duration::from_secs(2);
/// Hints that wait.
const HINTS: usize = 1_024;
/// How long a repository is left alone whose read panicked.
const PANICKED: Duration = Duration::from_secs(3_600);

struct Inner {
    ledger: Door,
    forges: Arc<Forges>,
    edges: Edges,
    turns: Mutex<HashMap<RepoKey, Arc<tokio::sync::Mutex<()>>>>,
    slots: Semaphore,
    hints: mpsc::Sender<RepoKey>,
    hinted: tokio::sync::Mutex<mpsc::Receiver<RepoKey>>,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct AutomationReader {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for AutomationReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AutomationReader")
    }
}

impl AutomationReader {
    /// A reader that does nothing by itself until [`AutomationReader::run`].
    #[must_use]
    pub fn new(ledger: Door, forges: Arc<Forges>, edges: Edges) -> Self {
        let (hints, hinted) = mpsc::channel(HINTS);
        let (turns, slots) = (Mutex::default(), Semaphore::new(AT_ONCE));
        let hinted = tokio::sync::Mutex::new(hinted);
        Self { inner: Arc::new(Inner { ledger, forges, edges, turns, slots, hints, hinted }) }
    }

    /// Says that something may have changed there: it is read soon.
    pub fn hint(&self, key: &RepoKey) {
        // Where nobody listens, or so many wait, one more changes nothing.
        let _ = self.inner.hints.try_send(key.clone());
    }

    /// Reads one repository now, after a read that is under way; every part of it if somebody asked. Nothing
    /// is done if it is not tracked, or its forge has no automation.
    pub async fn read(&self, key: &RepoKey, urgency: Urgency) -> Read {
        let turn = {
            let mut turns = self.inner.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(key.clone()).or_default().clone()
        };
        let _turn = turn.lock().await;
        let _slot = self.inner.slots.acquire().await;
        let world = self.inner.ledger.snapshot();
        let Some(repo) = world.repos.get(key).filter(|r| is_read(r)) else { return Read::default() };
        let began = self.inner.edges.clock.now();
        let known = world.automation.facts(key).map_or_else(|| Facts::new(key.clone()), |f| (**f).clone());
        let AutomationRead { mut facts, requests, points, items, stopped } =
            self.ask(repo, known, began, urgency).await;
        let quiet_until = match &stopped {
            Some(ForgeError::RateLimited { until, .. }) => Some(*until),
            _ => None,
        };
        // That more urgent requests go first is no failure of a read that nobody waits for: the rest comes later.
        let gave_way = quiet_until.is_some() && urgency == Urgency::Background;
        if gave_way && requests <= 1 {
            return Read { sync_run: None, quiet_until };
        }
        facts.read_at = Some(self.inner.edges.clock.now());
        facts.error = stopped.as_ref().filter(|_| !gave_way).map(ToString::to_string);
        facts.failures = if facts.error.is_some() { facts.failures.saturating_add(1) } else { 0 };
        if let Some(error) = &facts.error {
            tracing::warn!(repo = %repo.name, %error, "its automation could not be read");
        }
        let stats = Stats { began, requests, points, items };
        let told = Command::Automation(Ask::Read { facts: Box::new(facts), stats });
        let sync_run = match self.inner.ledger.submit(told).await {
            Ok((Reply::SyncRun(id), _)) => Some(id),
            Ok(_) => None,
            Err(fault) => {
                tracing::warn!(repo = %repo.name, %fault, "what was read of its automation was not kept");
                None
            }
        };
        Read { sync_run, quiet_until }
    }

    async fn ask(&self, repo: &Repo, facts: Facts, now: Timestamp, urgency: Urgency) -> AutomationRead {
        let parts = cadence::due(&facts, now, urgency);
        let broken = |facts, error: ForgeError| AutomationRead {
            facts,
            requests: 0,
            points: 0,
            items: 0,
            stopped: Some(error),
        };
        // In the background these are the least urgent of all.
        let priority = match urgency {
            Urgency::Background => Priority::Health,
            Urgency::Asked => Priority::Interactive,
        };
        match self.inner.forges.for_repo_at(repo, priority) {
            Err(error) => broken(facts, error),
            Ok(forge) => match forge.automation() {
                Some(automation) => automation.read(repo, facts, &parts, urgency).await,
                None => {
                    let said = format!("the forge of {} has no automation", repo.name);
                    broken(facts, ForgeError::NotFound(said))
                }
            },
        }
    }

    /// Keeps reading until `shutdown`. A second call waits for the first to end.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut hints = self.inner.hinted.lock().await;
        let mut commits = self.inner.ledger.commits();
        let mut plan = Plan::default();
        let mut tasks: JoinSet<(RepoKey, Read)> = JoinSet::new();
        loop {
            let world = self.inner.ledger.snapshot();
            let now = (self.inner.edges.clock.now(), Instant::now());
            plan.reconcile(&world, now);
            for key in plan.start(now.1) {
                let reader = self.clone();
                tasks.spawn(async move {
                    let read = AssertUnwindSafe(reader.read(&key, Urgency::Background)).catch_unwind();
                    let read = read.await.unwrap_or_else(|_| {
                        tracing::error!(repo = %key, "reading its automation panicked");
                        let now = reader.inner.edges.clock.now();
                        Read { sync_run: None, quiet_until: Some(now + PANICKED) }
                    });
                    (key, read)
                });
            }
            let next = plan.next();
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(ended) = tasks.join_next() => if let Ok((key, read)) = ended {
                    let quiet = read.quiet_until.map(|until| until.since(self.inner.edges.clock.now()));
                    plan.ended(key, quiet, Instant::now());
                },
                Some(key) = hints.recv() => plan.hint(key, Instant::now()),
                changed = commits.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }
}

/// What became of a read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Read {
    /// The number of the sync run that tells of it; `None` if nothing was kept.
    pub sync_run: Option<u64>,
    /// The forge wants silence until then, or more urgent requests go first.
    pub quiet_until: Option<Timestamp>,
}

/// Whether there is anything to read of it, and somebody tracks it.
fn is_read(repo: &Repo) -> bool {
    repo.tracked && repo.forge == ForgeKind::Github
}

/// When each repository is read next.
#[derive(Default)]
struct Plan {
    due: HashMap<RepoKey, Instant>,
    underway: HashSet<RepoKey>,
    /// Hinted at while a read was under way, which may have come too early.
    again: HashSet<RepoKey>,
    /// Not before then.
    quiet: HashMap<RepoKey, Instant>,
}

impl Plan {
    /// Plans what is not planned yet: by what is known of it, on the clock of the facts.
    fn reconcile(&mut self, world: &World, (now, instant): (Timestamp, Instant)) {
        let wanted = |key: &RepoKey| world.repos.get(key).is_some_and(|r| is_read(r));
        self.due.retain(|key, _| wanted(key));
        self.again.retain(wanted);
        self.quiet.retain(|key, _| wanted(key));
        for repo in world.tracked().filter(|r| is_read(r) && r.last_synced_at.is_some()) {
            if self.due.contains_key(&repo.key) || self.underway.contains(&repo.key) {
                continue;
            }
            let at = if self.again.remove(&repo.key) {
                instant + HINTED
            } else {
                let facts = world.automation.facts(&repo.key);
                let pause = cadence::pause(facts.map(AsRef::as_ref), now);
                let waited = facts.and_then(|f| f.read_at).map_or(pause, |at| now.since(at));
                match pause.saturating_sub(waited) {
                    Duration::ZERO => instant,
                    left => instant + jitter(left),
                }
            };
            let at = self.quiet.remove(&repo.key).map_or(at, |quiet| at.max(quiet));
            self.due.insert(repo.key.clone(), at);
        }
    }

    fn ended(&mut self, key: RepoKey, quiet: Option<Duration>, now: Instant) {
        self.underway.remove(&key);
        if let Some(quiet) = quiet {
            self.quiet.insert(key, now + quiet + jitter(Duration::from_secs(1)));
        }
    }

    fn hint(&mut self, key: RepoKey, now: Instant) {
        if self.underway.contains(&key) {
            self.again.insert(key);
        } else if let Some(due) = self.due.get_mut(&key) {
            *due = (*due).min(now + HINTED);
        }
    }

    fn start(&mut self, now: Instant) -> Vec<RepoKey> {
        let ready = self.due.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone());
        let ready: Vec<RepoKey> = ready.collect();
        for key in &ready {
            self.due.remove(key);
            self.underway.insert(key.clone());
        }
        ready
    }

    fn next(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::change::Change;
    use crate::forge::stub::repo;

    fn world(synced: bool) -> World {
        let mut world = World::default();
        let mut github = repo("gh1", ForgeKind::Github);
        github.last_synced_at = synced.then_some(Timestamp(1));
        world.apply(&Change::Repo(github));
        world.apply(&Change::Repo(repo("lo1", ForgeKind::Local)));
        world
    }

    #[test]
    fn only_tracked_repositories_of_github_are_read_and_after_their_issues() {
        let (mut plan, now) = (Plan::default(), (Timestamp(10_000_000), Instant::now()));
        plan.reconcile(&world(false), now);
        assert_eq!(plan.next(), None, "its issues come first");
        plan.reconcile(&world(true), now);
        assert_eq!(plan.start(now.1), [RepoKey::new("gh1")]);
        plan.reconcile(&world(true), now);
        assert_eq!(plan.start(now.1), [], "once at a time");
        plan.underway.clear();
        let mut untracked = world(true);
        let gone = Repo { tracked: false, ..repo("gh1", ForgeKind::Github) };
        untracked.apply(&Change::Repo(gone));
        plan.reconcile(&untracked, now);
        assert_eq!(plan.next(), None);
    }

    #[test]
    fn what_was_read_rests_also_over_a_restart_and_a_hint_wakes_it() {
        let (mut plan, now) = (Plan::default(), (Timestamp(10_000_000), Instant::now()));
        let mut world = world(true);
        let mut facts = Facts::new(RepoKey::new("gh1"));
        facts.read_at = Some(now.0 - Duration::from_secs(60));
        world.apply(&Change::Facts(Box::new(facts)));
        plan.reconcile(&world, now);
        let left = plan.next().map(|at| (at - now.1).as_secs());
        assert!(
            left.is_some_and(|s| (3_100..=3_900).contains(&s)),
            "a quiet one rests for an hour: {left:?}"
        );
        plan.hint(RepoKey::new("gh1"), now.1);
        assert_eq!(plan.next(), Some(now.1 + HINTED));
        plan.start(now.1 + HINTED);
        plan.hint(RepoKey::new("gh1"), now.1);
        plan.ended(RepoKey::new("gh1"), None, now.1);
        plan.reconcile(&world, now);
        assert_eq!(plan.next(), Some(now.1 + HINTED), "a hint during a read reads again");
        plan.start(now.1 + HINTED);
        plan.ended(RepoKey::new("gh1"), Some(Duration::from_secs(7_200)), now.1);
        plan.reconcile(&world, now);
        assert!(plan.next() >= Some(now.1 + Duration::from_secs(7_200)), "silence is obeyed");
    }
}
