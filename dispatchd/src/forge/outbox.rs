//! Carries out what the ledger wants written to the forges.
//!
//! Intents of one card go in order, one after the other; cards go side by side. Everything is safe to repeat: labels are
//! compared with the live ones first, a comment carries the intent's id as a marker. After a crash in the middle the
//! intent is still pending and is carried out again.

mod carry;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::IntentId;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Forges;
use super::pace::{backoff, jitter};
use crate::core::command::{Command, IntentResult};
use crate::core::record::{CardKey, Intent, IntentState};
use crate::core::world::World;
use crate::edges::Edges;
use crate::ledger::{Door, Fault};

/// Cards written to at the same time.
const AT_ONCE: usize = 8;
/// The longest sleep while something waits, so that a clock that jumps is noticed.
const LONGEST: Duration = Duration::from_secs(60);
/// How long an intent is left alone whose result the ledger did not take.
const PARKED: Duration = Duration::from_secs(60);
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LAST_RETRY: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Clone)]
pub struct Outbox {
    ledger: Door,
    forges: Arc<Forges>,
    edges: Edges,
    /// What was decided before may have been tried by an earlier life of the daemon, which told nobody.
    began: Timestamp,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outbox")
    }
}

impl Outbox {
    /// An outbox that does nothing until [`Outbox::run`].
    #[must_use]
    pub fn new(ledger: Door, forges: Arc<Forges>, edges: Edges) -> Self {
        let began = edges.clock.now();
        Self { ledger, forges, edges, began }
    }

    /// Carries out until `shutdown` or until the ledger closes; what is under way is finished first, which takes as long
    /// as one request may. Run it once.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut commits = self.ledger.commits();
        let mut busy: HashSet<CardKey> = HashSet::new();
        let mut parked: HashMap<IntentId, Timestamp> = HashMap::new();
        let mut tasks: JoinSet<(Arc<Intent>, Result<(), Fault>)> = JoinSet::new();
        while !shutdown.is_cancelled() {
            let now = self.edges.clock.now();
            let world = self.ledger.snapshot();
            parked.retain(|id, until| *until > now && world.intents.contains_key(id));
            let (due, next) = due(&world, now, &busy, &parked);
            for intent in due.into_iter().take(AT_ONCE.saturating_sub(tasks.len())) {
                busy.insert(intent.card.clone());
                let this = self.clone();
                tasks.spawn(async move {
                    let settled = this.settle(&intent).await;
                    (intent, settled)
                });
            }
            let sleep = next.map(|at| at.since(now).min(LONGEST));
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(ended) = tasks.join_next() => match ended {
                    Ok((intent, settled)) => {
                        busy.remove(&intent.card);
                        match settled {
                            Ok(()) => {}
                            // Nothing changed, so it is still pending: not again at once.
                            Err(fault @ (Fault::Refused(_) | Fault::Internal(_))) => {
                                tracing::warn!(intent = %intent.id, %fault, "result not taken");
                                parked.insert(intent.id, self.edges.clock.now() + PARKED);
                            }
                            Err(fault) => {
                                tracing::warn!(intent = %intent.id, %fault, "the outbox stops");
                                break;
                            }
                        }
                    }
                    Err(error) => {
                        // Only a bug gets here; which card it was is not known, so it stays aside until the restart.
                        tracing::error!(%error, "carrying out an intent broke off");
                    }
                },
                changed = commits.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(sleep.unwrap_or_default()), if sleep.is_some() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn settle(&self, intent: &Intent) -> Result<(), Fault> {
        let repo = self.ledger.snapshot().repos.get(&intent.card.repo).cloned();
        let result = match repo {
            Some(repo) => {
                let again = intent.touched || intent.created_at < self.began;
                match carry::out(&self.forges, &repo, intent, again).await {
                    Ok(result) => result,
                    Err(broken) => carry::failed(broken, |until| self.retry_at(intent, until)),
                }
            }
            None => IntentResult::refused(format!("the repository of {} is not known", intent.card.id())),
        };
        tracing::info!(intent = %intent.id, card = %intent.card.id(), result = carry::word(&result), "intent");
        self.ledger.submit(Command::Intent { id: intent.id, result }).await.map(drop)
    }

    fn retry_at(&self, intent: &Intent, quiet_until: Option<Timestamp>) -> Timestamp {
        let usual = jitter(backoff(FIRST_RETRY, LAST_RETRY, intent.tries.saturating_add(1)));
        let usual = self.edges.clock.now() + usual;
        quiet_until.map_or(usual, |until| usual.max(until + jitter(Duration::from_secs(1))))
    }
}

/// The oldest intent of every card that is free and due, oldest first; and when the next one is.
fn due(
    world: &World,
    now: Timestamp,
    busy: &HashSet<CardKey>,
    parked: &HashMap<IntentId, Timestamp>,
) -> (Vec<Arc<Intent>>, Option<Timestamp>) {
    let (mut due, mut next) = (Vec::new(), None::<Timestamp>);
    let mut headed: HashSet<&CardKey> = busy.iter().collect();
    for intent in world.intents.values() {
        let IntentState::Pending(at) = intent.state else { continue };
        if !headed.insert(&intent.card) {
            continue;
        }
        let at = parked.get(&intent.id).map_or(at, |until| at.max(*until));
        if at <= now {
            due.push(intent.clone());
        } else {
            next = Some(next.map_or(at, |n| n.min(at)));
        }
    }
    (due, next)
}

#[cfg(test)]
mod tests;
