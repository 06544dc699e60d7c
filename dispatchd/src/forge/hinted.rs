//! Reads what hints are about: that issue, that pull request, and nothing else. Hints that come close together are gathered,
//! so that a burst becomes few requests; one repository is read once at a time, and not without a pause.
//!
//! What is read goes to the ledger as every sync's does. A read that fails, or finds nothing, is left to the sync: a single
//! answer "not there" makes nothing gone.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatch_shared::id::RepoKey;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Forges;
use super::sync::Syncer;
use crate::core::command::{Command, Synced};
use crate::core::hint::{Hint, Hints, Reads};
use crate::core::record::Repo;
use crate::core::seen::SyncCursor;
use crate::core::throttle::Priority;
use crate::edges::{Edges, Forge, ForgeError, Forges as _};
use crate::ledger::Door;

/// How long the first hint waits for others.
const GATHER: Duration = Duration::from_millis(250);
/// How long a repository that was just read is left alone.
const PAUSE: Duration = Duration::from_secs(2);
/// More pages than any repository has.
const MOST_PAGES: usize = 10_000;

/// See the module.
pub struct Hinted {
    ledger: Door,
    forges: Arc<Forges>,
    edges: Edges,
    syncer: Arc<Syncer>,
    waiting: Mutex<HashMap<RepoKey, (Hints, Instant)>>,
    wake: Notify,
}

impl Hinted {
    /// Does nothing until [`Hinted::run`]; hints before that wait.
    #[must_use]
    pub fn new(ledger: Door, forges: Arc<Forges>, edges: Edges, syncer: Arc<Syncer>) -> Self {
        Self { ledger, forges, edges, syncer, waiting: Mutex::default(), wake: Notify::new() }
    }

    /// Takes a hint; returns at once.
    pub fn hint(&self, repo: &RepoKey, hint: Hint) {
        let mut waiting = self.waiting();
        waiting
            .entry(repo.clone())
            .or_insert_with(|| (Hints::default(), Instant::now() + GATHER))
            .0
            .add(hint);
        drop(waiting);
        self.wake.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<RepoKey, (Hints, Instant)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is hinted at until `shutdown`. Run it once.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut busy: HashSet<RepoKey> = HashSet::new();
        let mut rest: HashMap<RepoKey, Instant> = HashMap::new();
        let mut tasks: JoinSet<RepoKey> = JoinSet::new();
        loop {
            let now = Instant::now();
            rest.retain(|_, until| *until > now);
            let (ready, next) = self.ready(&busy, &rest, now);
            for (key, hints) in ready {
                busy.insert(key.clone());
                let this = self.clone();
                tasks.spawn(async move {
                    this.look(&key, hints.reads()).await;
                    key
                });
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(ended) = tasks.join_next() => if let Ok(key) = ended {
                    busy.remove(&key);
                    rest.insert(key, Instant::now() + PAUSE);
                },
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(next.unwrap_or(now)), if next.is_some() => {}
            }
        }
    }

    /// What is read now, and when to look again.
    fn ready(
        &self,
        busy: &HashSet<RepoKey>,
        rest: &HashMap<RepoKey, Instant>,
        now: Instant,
    ) -> (Vec<(RepoKey, Hints)>, Option<Instant>) {
        let mut waiting = self.waiting();
        let due = |key: &RepoKey, gathered: Instant| rest.get(key).map_or(gathered, |r| gathered.max(*r));
        let keys: Vec<RepoKey> = waiting
            .iter()
            .filter(|(key, (_, at))| !busy.contains(*key) && due(key, *at) <= now)
            .map(|(key, _)| key.clone())
            .collect();
        let ready = keys.into_iter().filter_map(|key| waiting.remove(&key).map(|(hints, _)| (key, hints)));
        let ready = ready.collect();
        let next =
            waiting.iter().filter(|(key, _)| !busy.contains(*key)).map(|(key, (_, at))| due(key, *at)).min();
        (ready, next)
    }

    async fn look(&self, key: &RepoKey, reads: Reads) {
        let Some(repo) = self.ledger.snapshot().repos.get(key).filter(|r| r.tracked).cloned() else { return };
        tracing::debug!(repo = %repo.name, ?reads, "hinted");
        if reads.sync {
            self.syncer.hint(key);
        }
        if let Err(error) = self.read(&repo, &reads).await {
            tracing::info!(repo = %repo.name, %error, "what was hinted at could not be read; the sync looks");
            self.syncer.hint(key);
        }
    }

    async fn read(&self, repo: &Repo, reads: &Reads) -> Result<(), String> {
        let said = |e: ForgeError| e.to_string();
        let forge = self.forges.for_repo_at(repo, Priority::Hinted).map_err(said)?;
        let mut synced = Synced {
            repo: Some(repo.key.clone()),
            read_at: Some(self.edges.clock.now()),
            ..Synced::default()
        };
        if reads.repository {
            synced.seen = Some(forge.repository(repo).await.map_err(said)?);
        }
        for number in &reads.issues {
            synced.issues.push(forge.issue(repo, *number).await.map_err(said)?);
        }
        for number in &reads.pulls {
            synced.pulls.push(forge.pull(repo, *number).await.map_err(said)?);
        }
        if synced.seen.is_some() || !synced.issues.is_empty() || !synced.pulls.is_empty() {
            self.ledger.submit(Command::Synced(synced)).await.map_err(|e| e.to_string())?;
        }
        if reads.everything {
            self.read_all(repo, forge.as_ref()).await?;
        }
        Ok(())
    }

    /// Every page from the first on; the cursor stays where it is.
    async fn read_all(&self, repo: &Repo, forge: &dyn Forge) -> Result<(), String> {
        let repo = Repo { cursor: SyncCursor::default(), ..repo.clone() };
        let mut page: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let read_at = Some(self.edges.clock.now());
            let got = forge.changes(&repo, page.as_deref()).await.map_err(|e| e.to_string())?;
            let synced = Synced {
                repo: Some(repo.key.clone()),
                read_at,
                issues: got.issues,
                pulls: got.pulls,
                ..Synced::default()
            };
            self.ledger.submit(Command::Synced(synced)).await.map_err(|e| e.to_string())?;
            page = got.next;
            if page.is_none() {
                return Ok(());
            }
        }
        Err("its pages do not end".to_owned())
    }
}
