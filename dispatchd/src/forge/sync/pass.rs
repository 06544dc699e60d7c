//! One sync of one repository, from the probe to the cursor.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoKey;
use dispatch_shared::protocol::events::Progress;
use dispatch_shared::protocol::repos::SyncResult;
use tokio::sync::{Semaphore, broadcast};
use tokio::time::Instant;

use super::sweep::{self, Sweeps};
use crate::core::command::{Command, Synced};
use crate::core::record::{CardKey, Repo};
use crate::core::seen::{SeenRepo, SyncCursor};
use crate::core::throttle::Priority;
use crate::edges::{Edges, Forge, ForgeError, Forges as _};
use crate::forge::Forges;
use crate::ledger::{Door, Fault};

/// Repositories read at the same time. GitHub allows 100 requests at once for everything that an account does.
const AT_ONCE: usize = 32;
/// How often a name is read again though nothing failed: redirects hide a rename.
const NAME_EVERY: Duration = Duration::from_secs(3_600);
/// More pages than any repository has; a forge that never ends is broken.
const MOST_PAGES: usize = 100_000;

/// How a sync went.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    pub(super) result: SyncResult,
    /// The forge wants silence until then.
    pub(super) quiet_until: Option<Timestamp>,
}

impl Passed {
    pub(super) fn broken(repo: &Repo, error: &dyn std::fmt::Display) -> Self {
        let error = format!("the sync of {} broke off: {error}", repo.name);
        let result = SyncResult { repo: repo.name.clone(), synced: 0, requests: 0, error: Some(error) };
        Self { result, quiet_until: None }
    }
}

/// Why a sync ended early.
enum Stop {
    Forge(ForgeError),
    Ledger(Fault),
}

pub(super) struct Pass {
    pub(super) ledger: Door,
    pub(super) progress: broadcast::Sender<Progress>,
    pub(super) edges: Edges,
    forges: Arc<Forges>,
    names_read: Mutex<HashMap<RepoKey, Instant>>,
    sweeps: Sweeps,
    slots: Semaphore,
}

impl Pass {
    pub(super) fn new(ledger: Door, forges: Arc<Forges>, edges: Edges, sweep: Duration) -> Self {
        Self {
            ledger,
            progress: broadcast::channel(256).0,
            edges,
            forges,
            names_read: Mutex::default(),
            sweeps: Sweeps::new(sweep),
            slots: Semaphore::new(AT_ONCE),
        }
    }

    /// Reads `repo` and tells the ledger, also of a failure.
    pub(super) async fn run(&self, repo: &Repo) -> Passed {
        let _slot = self.slots.acquire().await;
        let mut result = SyncResult { repo: repo.name.clone(), synced: 0, requests: 0, error: None };
        let mut told = false;
        let ended = self.read(repo, &mut result, &mut told).await;
        if told {
            self.tell(repo, result.synced as u64, None, true);
        }
        let mut quiet_until = None;
        match ended {
            Ok(()) => {}
            Err(Stop::Ledger(fault)) => {
                tracing::warn!(repo = %repo.name, %fault, "sync not kept");
                result.error = Some(format!("what was read of {} was not kept: {fault}", repo.name));
            }
            Err(Stop::Forge(error)) => {
                tracing::warn!(repo = %repo.name, %error, "sync failed");
                if let ForgeError::RateLimited { until, .. } = &error {
                    quiet_until = Some(*until);
                }
                result.error = Some(error.to_string());
                let failed = Command::SyncFailed { repo: repo.key.clone(), error: error.to_string() };
                if let Err(fault) = self.ledger.submit(failed).await {
                    tracing::warn!(repo = %repo.name, %fault, "failed sync not kept");
                }
            }
        }
        Passed { result, quiet_until }
    }

    async fn read(&self, repo: &Repo, result: &mut SyncResult, told: &mut bool) -> Result<(), Stop> {
        let sweep = self.sweeps.due(&repo.key);
        // Without a cursor everything is read.
        let from_start = Repo { cursor: SyncCursor::default(), ..repo.clone() };
        let repo = if sweep { &from_start } else { repo };
        let forge = self.forges.for_repo_at(repo, Priority::Scheduled).map_err(Stop::Forge)?;
        let mut seen = self.name(repo, forge.as_ref(), result).await.map_err(Stop::Forge)?;
        let began = self.edges.clock.now();
        let mut numbers: Vec<u64> = Vec::new();
        let mut page: Option<String> = None;
        for _ in 0..MOST_PAGES {
            // Before the request: what the answer shows is at least as new as this.
            let read_at = Some(self.edges.clock.now());
            let got = forge.changes(repo, page.as_deref()).await.map_err(Stop::Forge)?;
            result.requests += got.requests;
            let count = got.issues.len();
            let last = got.next.is_none();
            numbers.extend(got.issues.iter().map(|i| i.number));
            let mut gone = got.gone;
            if sweep && last {
                let world = self.ledger.snapshot();
                let more = sweep::gone(forge.as_ref(), &world, repo, &numbers).await;
                gone.extend(more.map_err(Stop::Forge)?);
            }
            let mut cursor = got.cursor.filter(|_| last);
            if let Some(cursor) = &mut cursor
                && self.written_since(repo, &numbers, began)
            {
                // What was read of those cards may be older than the write and is not judged; without a validator they
                // are read again, so that a person's change in between is not overlooked for good.
                cursor.etag = None;
            }
            let synced = Synced {
                repo: Some(repo.key.clone()),
                seen: seen.take(),
                read_at,
                issues: got.issues,
                pulls: got.pulls,
                gone,
                cursor,
            };
            self.ledger.submit(Command::Synced(synced)).await.map_err(Stop::Ledger)?;
            result.synced += count;
            if last {
                if sweep {
                    self.sweeps.done(&repo.key);
                }
                return Ok(());
            }
            *told = true;
            let (done, total) = got.progress.map_or((result.synced as u64, None), |(d, t)| (d, Some(t)));
            self.tell(repo, done, total, false);
            page = got.next;
        }
        Err(Stop::Forge(ForgeError::Unreachable(format!("the pages of {} do not end", repo.name))))
    }

    fn written_since(&self, repo: &Repo, numbers: &[u64], began: Timestamp) -> bool {
        let world = self.ledger.snapshot();
        let wrote = |number: &u64| {
            let key = CardKey { repo: repo.key.clone(), number: *number };
            world.cards.get(&key).and_then(|card| card.wrote_at).is_some_and(|at| at >= began)
        };
        numbers.iter().any(wrote)
    }

    /// What the repository is called now, where that is worth a request: after a failure, and now and then.
    async fn name(
        &self,
        repo: &Repo,
        forge: &dyn Forge,
        result: &mut SyncResult,
    ) -> Result<Option<SeenRepo>, ForgeError> {
        let now = Instant::now();
        let fresh = {
            let mut read = self.names_read.lock().unwrap_or_else(PoisonError::into_inner);
            // Tracking has read it, or an earlier life of the daemon.
            let at = *read.entry(repo.key.clone()).or_insert(now);
            now.duration_since(at) < NAME_EVERY
        };
        if fresh && repo.sync_error.is_none() {
            return Ok(None);
        }
        let seen = forge.repository(repo).await?;
        result.requests += 1;
        self.names_read.lock().unwrap_or_else(PoisonError::into_inner).insert(repo.key.clone(), now);
        Ok(Some(seen))
    }

    fn tell(&self, repo: &Repo, done: u64, total: Option<u64>, finished: bool) {
        let what = format!("sync {}", repo.name);
        // Nobody may be listening.
        let _ = self.progress.send(Progress { what, done, total, finished });
    }
}
