//! Reads which issues block others, where the forge itself keeps that: only of those that it counts open blockers for, and
//! behind everything else. When is decided in [`core`](crate::core::waits).
//!
//! Wakes for what is due, or a commit that changed a card, and for nothing else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::Timestamp;
use imbl::ordmap::DiffItem;
use tokio_util::sync::CancellationToken;

use super::Forges;
use crate::core::command::{Command, Synced};
use crate::core::record::{Card, CardKey, Repo};
use crate::core::throttle::Priority;
use crate::core::waits::{self, Memory, SeenBlocker};
use crate::core::world::World;
use crate::edges::{Edges, Forge, ForgeError, Forges as _};
use crate::ledger::Door;

/// The longest sleep: a clock that jumps is noticed within that time.
const LONGEST: Duration = Duration::from_secs(600);
/// How long everything waits after a read that failed: what one could not be asked, the next can hardly be.
const REST: Duration = Duration::from_secs(1);

/// The cards that wait for others, by the forge's count, and when each was last asked about.
#[derive(Default)]
struct Plan {
    wanted: HashSet<CardKey>,
    memories: HashMap<CardKey, Memory>,
    quiet_until: Option<Timestamp>,
}

impl Plan {
    fn reconcile(&mut self, old: Option<&World>, new: &World) {
        let Some(old) = old else {
            new.cards.values().for_each(|card| self.card(card));
            return;
        };
        if old.cards.ptr_eq(&new.cards) {
            return;
        }
        for change in old.cards.diff(&new.cards) {
            match change {
                DiffItem::Add(_, card) | DiffItem::Update { new: (_, card), .. } => self.card(card),
                DiffItem::Remove(key, _) => self.forget(key),
            }
        }
    }

    fn card(&mut self, card: &Card) {
        if waits::wanted(card) {
            self.wanted.insert(card.key.clone());
        } else {
            self.forget(&card.key);
        }
    }

    fn forget(&mut self, key: &CardKey) {
        self.wanted.remove(key);
        self.memories.remove(key);
    }

    /// What is read next, and when.
    fn next(&self, world: &World, now: Timestamp) -> Option<(Timestamp, CardKey)> {
        let cards = self.wanted.iter().filter_map(|key| world.cards.get(key));
        let due = |card: &Arc<Card>| {
            let at = waits::next(card, self.memories.get(&card.key), now);
            (self.quiet_until.map_or(at, |until| at.max(until)), card.key.clone())
        };
        cards.filter(|card| world.takes_work(&card.key.repo)).map(due).min()
    }
}

/// See the module.
pub struct WaitsWatch {
    ledger: Door,
    forges: Arc<Forges>,
    edges: Edges,
}

impl std::fmt::Debug for WaitsWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WaitsWatch")
    }
}

impl WaitsWatch {
    /// A reader that does nothing until [`WaitsWatch::run`].
    #[must_use]
    pub fn new(ledger: Door, forges: Arc<Forges>, edges: Edges) -> Self {
        Self { ledger, forges, edges }
    }

    /// Keeps reading until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut commits = self.ledger.commits();
        let mut plan = Plan::default();
        let mut seen: Option<Arc<World>> = None;
        loop {
            let world = self.ledger.snapshot();
            plan.reconcile(seen.as_deref(), &world);
            seen = Some(world.clone());
            let now = self.edges.clock.now();
            let next = plan.next(&world, now);
            if let Some((at, key)) = &next
                && *at <= now
                && let Some(card) = world.cards.get(key)
            {
                let read = tokio::select! {
                    () = shutdown.cancelled() => return,
                    read = self.read(&world, card) => read,
                };
                let failures = plan.memories.get(key).map_or(0, |m| m.failures);
                let failures = if read.is_err() { failures + 1 } else { 0 };
                plan.memories.insert(key.clone(), Memory { at: now, updated_at: card.updated_at, failures });
                if let Err((error, until)) = read {
                    tracing::warn!(card = %key.id(), %error, "what blocks an issue was not read");
                    plan.quiet_until = Some(until.unwrap_or(now + REST));
                }
                continue;
            }
            let sleep =
                next.map_or(LONGEST, |(at, _)| at.since(now)).clamp(Duration::from_millis(10), LONGEST);
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = commits.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Reads what blocks a card and tells the ledger, or says why not, and until when the forge wants silence.
    async fn read(&self, world: &World, card: &Card) -> Result<(), (String, Option<Timestamp>)> {
        let Some(repo) = world.repos.get(&card.key.repo) else { return Ok(()) };
        let said = |error: ForgeError| match error {
            ForgeError::RateLimited { until, .. } => (error.to_string(), Some(until)),
            other => (other.to_string(), None),
        };
        let forge = self.forges.for_repo_at(repo, Priority::Health).map_err(said)?;
        let seen = match forge.blockers(repo, card.key.number).await {
            Ok(list) => Ok(list),
            Err(ForgeError::NotFound(why) | ForgeError::Refused(why)) => Err(why),
            Err(other) => return Err(said(other)),
        };
        if let Ok(list) = &seen {
            self.count_again(forge.as_ref(), repo, card, list).await.map_err(said)?;
        }
        let blockers = Command::Blockers { card: card.key.clone(), seen };
        match self.ledger.submit(blockers).await {
            Ok(_) => Ok(()),
            Err(fault) => Err((fault.to_string(), None)),
        }
    }

    /// A list that does not fit the count is newer than it, or does not show everything: the issue itself knows.
    async fn count_again(
        &self,
        forge: &dyn Forge,
        repo: &Repo,
        card: &Card,
        list: &[SeenBlocker],
    ) -> Result<(), ForgeError> {
        if waits::listed_open(list) == card.waits.open {
            return Ok(());
        }
        let read_at = Some(self.edges.clock.now());
        let issue = forge.issue(repo, card.key.number).await?;
        let issues = vec![issue];
        let synced = Synced { repo: Some(repo.key.clone()), read_at, issues, ..Synced::default() };
        let told = self.ledger.submit(Command::Synced(synced)).await;
        told.map(drop).map_err(|fault| ForgeError::Unreachable(fault.to_string()))
    }
}
