//! One sync of one repository, from the probe to the cursor.

use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::protocol::events::Progress;
use dispatch_shared::protocol::repos::SyncResult;
use tokio::sync::Semaphore;

use super::look;
use super::sweep::{self, Sweeps};
use crate::core::automation::Stats;
use crate::core::command::{Command, Reply, Synced};
use crate::core::record::{Access, CardKey, Repo};
use crate::core::seen::SyncCursor;
use crate::core::standing::Trouble;
use crate::core::throttle::Priority;
use crate::edges::{Edges, Forge, ForgeError, Forges as _};
use crate::forge::Forges;
use crate::ledger::{Door, Fault};

/// Repositories read at the same time. GitHub allows 100 requests at once for everything that an account does.
const AT_ONCE: usize = 32;
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
        let result = SyncResult {
            repo: repo.name.clone(),
            synced: 0,
            requests: 0,
            sync_run_id: None,
            error: Some(error),
        };
        Self { result, quiet_until: None }
    }
}

/// What a sync took, beside what its result counts.
struct Tally {
    began: Timestamp,
    unchanged: u64,
    items: u64,
}

impl Tally {
    fn stats(&self, result: &SyncResult) -> Stats {
        let requests = result.requests as u64;
        let points = requests.saturating_sub(self.unchanged);
        Stats { began: self.began, requests, points, items: self.items }
    }
}

fn sync_run_id(reply: &Reply) -> Option<String> {
    match reply {
        Reply::SyncRun(id) => Some(format!("s-{id}")),
        _ => None,
    }
}

/// Why a sync ended early.
pub(super) enum Stop {
    /// The forge, and what that says of the repository.
    Forge(ForgeError, Trouble),
    Ledger(Fault),
}

pub(super) struct Pass {
    pub(super) ledger: Door,
    pub(super) edges: Edges,
    forges: Arc<Forges>,
    sweeps: Sweeps,
    slots: Semaphore,
}

impl Pass {
    pub(super) fn new(ledger: Door, forges: Arc<Forges>, edges: Edges, sweep: Duration) -> Self {
        Self { ledger, edges, forges, sweeps: Sweeps::new(sweep), slots: Semaphore::new(AT_ONCE) }
    }

    /// Reads `repo` and tells the ledger, also of a failure.
    pub(super) async fn run(&self, repo: &Repo, priority: Priority) -> Passed {
        let _slot = self.slots.acquire().await;
        let mut result =
            SyncResult { repo: repo.name.clone(), synced: 0, requests: 0, sync_run_id: None, error: None };
        let mut tally = Tally { began: self.edges.clock.now(), unchanged: 0, items: 0 };
        let mut told = false;
        let ended = self.read(repo, priority, &mut result, &mut tally, &mut told).await;
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
            Err(Stop::Forge(error, trouble)) => {
                tracing::warn!(repo = %repo.name, %error, ?trouble, "sync failed");
                if let ForgeError::RateLimited { until, .. } = &error {
                    quiet_until = Some(*until);
                }
                let error = error.to_string();
                result.error = Some(error.clone());
                let stats = Some(tally.stats(&result));
                let failed = Command::SyncFailed { repo: repo.key.clone(), error, trouble, stats };
                match self.ledger.submit(failed).await {
                    Ok((reply, _)) => result.sync_run_id = sync_run_id(&reply),
                    Err(fault) => tracing::warn!(repo = %repo.name, %fault, "failed sync not kept"),
                }
            }
        }
        Passed { result, quiet_until }
    }

    async fn read(
        &self,
        repo: &Repo,
        priority: Priority,
        result: &mut SyncResult,
        tally: &mut Tally,
        told: &mut bool,
    ) -> Result<(), Stop> {
        let forge = self.forges.for_repo_at(repo, priority)?;
        let forge = forge.as_ref();
        let mut repo = repo.clone();
        if look::due(&repo, &self.edges) {
            self.look(forge, &mut repo, result).await?;
        }
        let sweep = self.sweeps.due(&repo, self.edges.clock.now());
        let whole = sweep || repo.cursor.since.is_none();
        if sweep {
            // Without a cursor everything is read.
            let looked_at = repo.cursor.looked_at;
            repo.cursor = SyncCursor { looked_at, ..SyncCursor::default() };
        }
        let began = self.edges.clock.now();
        let mut numbers: Vec<u64> = Vec::new();
        let mut page: Option<String> = None;
        let (mut looked, mut moved) = (false, false);
        for _ in 0..MOST_PAGES {
            // Before the request: what the answer shows is at least as new as this.
            let read_at = Some(self.edges.clock.now());
            let got = match forge.changes(&repo, page.as_deref()).await {
                Err(denied @ ForgeError::NotFound(_)) if !looked => {
                    // Perhaps it has another name by now, or is gone: the repository itself knows.
                    looked = true;
                    let before = repo.name.clone();
                    self.look(forge, &mut repo, result).await?;
                    if page.is_none() && repo.name != before {
                        continue;
                    }
                    return Err(denied.into());
                }
                other => other?,
            };
            result.requests += got.requests;
            tally.unchanged += got.unchanged as u64;
            tally.items += (got.issues.len() + got.pulls.len()) as u64;
            moved |= got.moved;
            let count = got.issues.len();
            numbers.extend(got.issues.iter().map(|i| i.number));
            let mut synced = Synced {
                repo: Some(repo.key.clone()),
                read_at,
                issues: got.issues,
                pulls: got.pulls,
                gone: got.gone,
                resume: got.resume.filter(|_| !sweep),
                ..Synced::default()
            };
            let Some(next) = got.next else {
                let mut cursor = got.cursor.unwrap_or_default();
                self.look_for_missing(forge, &repo, sweep.then_some(&numbers), &mut synced, result).await?;
                if whole {
                    cursor.swept_at = Some(began);
                }
                cursor.looked_at = repo.cursor.looked_at.or(Some(began));
                if self.written_since(&repo, &numbers, began) {
                    // What was read of those cards may be older than the write and is not judged; without a validator
                    // they are read again, so that a person's change in between is not overlooked for good.
                    cursor.etag = None;
                }
                synced.cursor = Some(cursor);
                synced.stats = Some(tally.stats(result));
                result.sync_run_id = sync_run_id(&self.submit(synced).await?);
                result.synced += count;
                if moved {
                    self.look(forge, &mut repo, result).await?;
                }
                return Ok(());
            };
            self.submit(synced).await?;
            result.synced += count;
            *told = true;
            let (done, total) = got.progress.map_or((result.synced as u64, None), |(d, t)| (d, Some(t)));
            self.tell(&repo, done, total, false);
            page = Some(next);
        }
        Err(ForgeError::Unreachable(format!("the pages of {} do not end", repo.name)).into())
    }

    async fn submit(&self, synced: Synced) -> Result<Reply, Stop> {
        self.ledger.submit(Command::Synced(synced)).await.map(|(reply, _)| reply).map_err(Stop::Ledger)
    }

    /// Looks at the repository itself and keeps what it is now.
    async fn look(&self, forge: &dyn Forge, repo: &mut Repo, result: &mut SyncResult) -> Result<(), Stop> {
        let now = self.edges.clock.now();
        let seen = look::at(forge, repo, &mut result.requests).await?;
        repo.name.clone_from(&seen.name);
        repo.access = Access::seen(seen.standing);
        repo.cursor.looked_at = Some(now);
        let key = repo.key.clone();
        self.submit(Synced { repo: Some(key), seen: Some(seen), ..Synced::default() }).await.map(drop)
    }

    /// Looks for the issues that did not show, where that is due, and puts what became of them into `synced`.
    async fn look_for_missing(
        &self,
        forge: &dyn Forge,
        repo: &Repo,
        read: Option<&Vec<u64>>,
        synced: &mut Synced,
        result: &mut SyncResult,
    ) -> Result<(), Stop> {
        let world = self.ledger.snapshot();
        let mut missing = sweep::missing(&world, &repo.key, read.map(Vec::as_slice));
        missing.retain(|number| synced.issues.iter().all(|i| i.number != *number));
        if missing.is_empty() {
            return Ok(());
        }
        let found = sweep::look_for(forge, repo, missing, &mut result.requests).await?;
        synced.issues.extend(found.there);
        if !found.denied.is_empty() {
            // An outage denies everything: the repository must be there while its issue is not.
            look::at(forge, repo, &mut result.requests).await?;
            synced.denied = found.denied;
        }
        Ok(())
    }

    fn written_since(&self, repo: &Repo, numbers: &[u64], began: Timestamp) -> bool {
        let world = self.ledger.snapshot();
        let wrote = |number: &u64| {
            let key = CardKey { repo: repo.key.clone(), number: *number };
            world.cards.get(&key).and_then(|card| card.wrote_at).is_some_and(|at| at >= began)
        };
        numbers.iter().any(wrote)
    }

    fn tell(&self, repo: &Repo, done: u64, total: Option<u64>, finished: bool) {
        let what = format!("sync {}", repo.name);
        self.edges.working.tell(Progress { what, done, total, finished });
    }
}
