//! Looks at the health of pull requests and tells the ledger: which and when is decided in
//! [`core`](crate::core::fix::look), from what a sync saw change, what a webhook hinted at, what was pushed, and how long
//! ago the last look was. Looks go out in batches, behind everything that a person or a sync waits for.
//!
//! Wakes for what is due, a hint, or a commit that changed a pull request, and for nothing else.

mod logs;
mod plan;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoKey;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::logs::Logs;
use self::plan::Plan;
use super::Forges;
use crate::core::command::Command;
use crate::core::fix::ask::FixCommand;
use crate::core::fix::health::Health;
use crate::core::fix::{FixKey, look, pick};
use crate::core::throttle::Priority;
use crate::core::world::World;
use crate::edges::{Edges, ForgeError, Forges as _, HealthAsk};
use crate::ledger::Door;

/// The longest sleep: a clock that jumps is noticed within that time.
const LONGEST: Duration = Duration::from_secs(600);

/// Something happened on the forge.
#[derive(Clone, Debug)]
enum Hint {
    Pull(FixKey),
    Head(RepoKey, String),
    Repo(RepoKey),
}

struct Inner {
    ledger: Door,
    forges: Arc<Forges>,
    edges: Edges,
    plan: Mutex<Plan>,
    logs: Logs,
    hints: mpsc::UnboundedSender<Hint>,
    hinted: tokio::sync::Mutex<mpsc::UnboundedReceiver<Hint>>,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct HealthWatch {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for HealthWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HealthWatch")
    }
}

impl HealthWatch {
    /// A driver that does nothing by itself until [`HealthWatch::run`].
    #[must_use]
    pub fn new(ledger: Door, forges: Arc<Forges>, edges: Edges) -> Self {
        let (hints, hinted) = mpsc::unbounded_channel();
        let (plan, logs) = (Mutex::default(), Logs::default());
        let hinted = tokio::sync::Mutex::new(hinted);
        Self { inner: Arc::new(Inner { ledger, forges, edges, plan, logs, hints, hinted }) }
    }

    /// Says that something happened at a pull request.
    pub fn hint(&self, repo: &RepoKey, pr: u64) {
        // Without a listener there is nobody to wake, and the next start looks at everything anyhow.
        let _ = self.inner.hints.send(Hint::Pull(FixKey { repo: repo.clone(), pr }));
    }

    /// Says that something happened at the pull requests with this head.
    pub fn hint_head(&self, repo: &RepoKey, sha: &str) {
        let _ = self.inner.hints.send(Hint::Head(repo.clone(), sha.to_owned()));
    }

    /// Says that something happened at some pull requests of a repository.
    pub fn hint_repo(&self, repo: &RepoKey) {
        let _ = self.inner.hints.send(Hint::Repo(repo.clone()));
    }

    /// Looks at every pull request of a repository that is worth it, now, for somebody who waits. Returns one sentence for
    /// each that could not be seen.
    pub async fn look_now(&self, repo: &RepoKey) -> Vec<String> {
        let world = self.inner.ledger.snapshot();
        let keys: Vec<FixKey> = world
            .pulls_of(repo)
            .filter(|p| look::is_wanted(&world, p))
            .map(|p| FixKey { repo: repo.clone(), pr: p.seen.number })
            .collect();
        self.inner.look(&world, &keys, Priority::Interactive).await
    }

    /// Keeps looking until `shutdown`. A second call waits for the first to end.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut hints = self.inner.hinted.lock().await;
        let mut commits = self.inner.ledger.commits();
        let mut seen: Option<Arc<World>> = None;
        loop {
            let world = self.inner.ledger.snapshot();
            let now = self.inner.edges.clock.now();
            let (due, hinted, next) = {
                let mut plan = self.inner.plan();
                plan.reconcile(seen.as_deref(), &world);
                while let Ok(hint) = hints.try_recv() {
                    take_hint(&mut plan, &world, hint);
                }
                let (due, hinted) = plan.take_due(&world, now);
                (due, hinted, plan.next(now))
            };
            seen = Some(world.clone());
            if !due.is_empty() {
                let priority = if hinted { Priority::Hinted } else { Priority::Health };
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    errors = self.inner.look(&world, &due, priority) => {
                        for error in errors {
                            tracing::warn!(%error, "a pull request was not seen");
                        }
                    }
                }
                continue;
            }
            let sleep = next.map_or(LONGEST, |at| at.since(now)).clamp(Duration::from_millis(10), LONGEST);
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(hint) = hints.recv() => take_hint(&mut self.inner.plan(), &world, hint),
                changed = commits.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }
}

fn take_hint(plan: &mut Plan, world: &World, hint: Hint) {
    match hint {
        Hint::Pull(key) => plan.hint(key),
        Hint::Repo(repo) => plan.hint_repo(&repo),
        Hint::Head(repo, sha) => {
            for pull in world.pulls_of(&repo).filter(|p| p.seen.head_sha == sha) {
                plan.hint(FixKey { repo: repo.clone(), pr: pull.seen.number });
            }
        }
    }
}

impl Inner {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One look at all of these. Returns one sentence for each that could not be seen.
    async fn look(&self, world: &World, keys: &[FixKey], priority: Priority) -> Vec<String> {
        let asked: Vec<HealthAsk> = keys
            .iter()
            .filter_map(|k| Some(HealthAsk { repo: world.repos.get(&k.repo)?.clone(), pr: k.pr }))
            .collect();
        let Some(first) = asked.first() else { return Vec::new() };
        let at = self.edges.clock.now();
        let looked = async {
            // They all live on the one GitHub that there is.
            let forge = self.forges.for_repo(&first.repo)?;
            let forge = forge.at(priority).unwrap_or(forge);
            let look = forge.health(&asked).await?;
            Ok::<_, ForgeError>((forge, look))
        };
        let (forge, look) = match looked.await {
            Ok(looked) => looked,
            Err(error) => {
                let mut plan = self.plan();
                if let ForgeError::RateLimited { until, .. } = &error {
                    plan.quiet(*until);
                }
                keys.iter().for_each(|key| plan.failed(key, at));
                return vec![error.to_string()];
            }
        };
        tracing::debug!(
            pulls = asked.len(),
            requests = look.requests,
            points = look.cost,
            left = look.points.map(|p| p.remaining),
            "looked at pull requests"
        );
        self.plan().learn(look.points);
        let mut errors = Vec::new();
        let mut answered = std::collections::HashSet::new();
        for (ask, answer) in look.answers {
            let key = FixKey { repo: ask.repo.key.clone(), pr: ask.pr };
            answered.insert(key.clone());
            match answer {
                Ok(mut health) => {
                    if ours(world, &key) {
                        self.logs.fill(forge.as_ref(), &ask.repo, &key, &mut health.checks).await;
                    }
                    if let Err(error) = self.tell(&key, health, at).await {
                        self.plan().failed(&key, at);
                        errors.push(error);
                    }
                }
                Err(error) => {
                    let mut plan = self.plan();
                    if let ForgeError::RateLimited { until, .. } = &error {
                        plan.quiet(*until);
                    }
                    plan.failed(&key, at);
                    errors.push(error.to_string());
                }
            }
        }
        let mut plan = self.plan();
        keys.iter().filter(|key| !answered.contains(*key)).for_each(|key| plan.failed(key, at));
        errors
    }

    async fn tell(&self, key: &FixKey, health: Health, at: Timestamp) -> Result<(), String> {
        let since = |world: &World| pick::pull(world, key).and_then(|p| Some(p.health.as_ref()?.since));
        let before = since(&self.ledger.snapshot());
        let observe = FixCommand::Observe { repo: key.repo.clone(), health: Box::new(health.clone()), at };
        let told = self.ledger.submit(Command::Fix(Box::new(observe))).await;
        let (_, world) =
            told.map_err(|fault| format!("what was seen of {} was not kept: {fault}", key.id()))?;
        let shown = pick::pull(&world, key).and_then(|p| p.health.clone());
        let wanting = shown.is_some_and(|s| !s.reasons.is_empty());
        self.plan().seen(key, at, &health, wanting, since(&world) != before);
        Ok(())
    }
}

/// Whether an agent may be sent to work on it: only then it matters why a check failed.
fn ours(world: &World, key: &FixKey) -> bool {
    let mine = |p: &Arc<crate::core::record::Pull>| {
        pick::ours(world, &key.repo, &p.seen.author, &p.seen.head_branch)
    };
    world.fixes.get(key).is_some() || pick::pull(world, key).is_some_and(mine)
}
