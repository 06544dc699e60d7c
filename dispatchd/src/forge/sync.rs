//! Reads what changed on the forges into the ledger.
//!
//! Every repository has its own pace and its own failures: one that is slow or broken delays no other. Pages are handed
//! to the ledger as they come and only the last one carries the cursor, so that a sync that breaks off is read again and
//! never makes an issue look gone.

mod look;
mod pass;
mod schedule;
mod sweep;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatch_shared::id::RepoKey;
use dispatch_shared::protocol::events::Progress;
use dispatch_shared::protocol::repos::{SyncAnswer, SyncResult};
use futures_util::future::{BoxFuture, FutureExt, Shared, join_all};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use self::pass::{Pass, Passed};
use super::Forges;
use crate::core::record::Repo;
use crate::core::throttle::Priority;
use crate::edges::Edges;
use crate::ledger::Door;

/// How often, and how far failures slow it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncSettings {
    /// From the end of one sync of a repository to its next, while something goes on there; a quiet one rests for up to ten
    /// times as long.
    pub every: Duration,
    /// The longest pause after failures.
    pub most: Duration,
    /// How often everything is read again, to find what was deleted or transferred.
    pub sweep: Duration,
}

impl Default for SyncSettings {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(60),
            most: Duration::from_secs(30 * 60),
            sweep: Duration::from_secs(12 * 3_600),
        }
    }
}

type Underway = Shared<BoxFuture<'static, Passed>>;

struct Inner {
    pass: Pass,
    settings: SyncSettings,
    underway: Mutex<HashMap<RepoKey, Underway>>,
    hints: mpsc::UnboundedSender<RepoKey>,
    hinted: tokio::sync::Mutex<mpsc::UnboundedReceiver<RepoKey>>,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Syncer {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Syncer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syncer").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl Syncer {
    /// A driver that does nothing by itself until [`Syncer::run`].
    #[must_use]
    pub fn new(ledger: Door, forges: Arc<Forges>, edges: Edges, settings: SyncSettings) -> Self {
        let (hints, hinted) = mpsc::unbounded_channel();
        let inner = Inner {
            pass: Pass::new(ledger, forges, edges, settings.sweep),
            settings,
            underway: Mutex::default(),
            hints,
            hinted: tokio::sync::Mutex::new(hinted),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What long work tells while it is under way: reads, and whatever else has the same edges.
    #[must_use]
    pub fn progress(&self) -> broadcast::Receiver<Progress> {
        self.inner.pass.edges.working.listen()
    }

    /// Reads one repository now, or joins the read that is under way. Goes on when the caller does not wait any more.
    /// `None` if the repository is not tracked.
    pub async fn sync_repo(&self, key: &RepoKey) -> Option<SyncResult> {
        Some(self.pass(self.tracked(key)?, Priority::Hinted).await.result)
    }

    /// Reads every tracked repository now, all at once.
    pub async fn sync_all(&self) -> SyncAnswer {
        let repos: Vec<Arc<Repo>> = self.inner.pass.ledger.snapshot().tracked().cloned().collect();
        let passed = join_all(repos.into_iter().map(|repo| self.pass(repo, Priority::Hinted))).await;
        let results: Vec<SyncResult> = passed.into_iter().map(|p| p.result).collect();
        SyncAnswer { synced_count: results.iter().map(|r| r.synced).sum(), results }
    }

    /// Says that something may have changed there: the background loop reads it as soon as it can.
    pub fn hint(&self, key: &RepoKey) {
        // Without a listener there is nobody to wake, and the next start reads everything anyhow.
        let _ = self.inner.hints.send(key.clone());
    }

    /// Keeps reading until `shutdown`. A second call waits for the first to end.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut hints = self.inner.hinted.lock().await;
        schedule::run(self, &mut hints, shutdown).await;
    }

    fn tracked(&self, key: &RepoKey) -> Option<Arc<Repo>> {
        self.inner.pass.ledger.snapshot().repos.get(key).filter(|r| r.tracked).cloned()
    }

    fn pass(&self, repo: Arc<Repo>, priority: Priority) -> Underway {
        let mut underway = self.inner.underway();
        if let Some(there) = underway.get(&repo.key) {
            return there.clone();
        }
        // A task of its own: a caller that hangs up must not break it off for those who joined. It can take itself off
        // the list only after it was put there, for the list is locked until then.
        let (inner, of) = (self.inner.clone(), repo.clone());
        let task = tokio::spawn(async move {
            let passed = inner.pass.run(&of, priority).await;
            inner.underway().remove(&of.key);
            passed
        });
        let (inner, of) = (self.inner.clone(), repo.clone());
        let shared = async move {
            task.await.unwrap_or_else(|error| {
                inner.underway().remove(&of.key);
                Passed::broken(&of, &error)
            })
        };
        let shared = shared.boxed().shared();
        underway.insert(repo.key.clone(), shared.clone());
        shared
    }
}

impl Inner {
    fn underway(&self) -> MutexGuard<'_, HashMap<RepoKey, Underway>> {
        self.underway.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
