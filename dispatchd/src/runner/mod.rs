//! The built-in harness: takes tasks like any other, runs programs in containers, publishes what comes of them.
//!
//! - [`settings`], [`agents`], [`prices`]: what the operator chose; programs and what models cost, as data.
//! - `supervise`: one run's life; `prepare`, `follow`, `verify`, `publish` are its parts, `context` what it shares.
//! - `hand`: what is asked of a run by hand before it starts; `templates`: prompts, plans, personas; `brief`: what a prompt
//!   tells of the task.
//! - `health`: whether engines answer and images are there. `strays`: what engines hold that nobody knows.
//! - `collect`: old workspaces go; `disk`: what they may take. `hooks`, `lay`: the operator's commands and files for them.
//! - `sessions`: what programs keep of their conversations, between runs; `resumed`: what they are told when one goes on.
//! - `workspace`, `checkout`, `mirror`, `git`, `seal`, `state`, `tree`: clones with borrowed objects, and git called so that an
//!   agent's leavings have no say. `modules`, `lfs`: what of a repository lies elsewhere.
//! - [`runtime`]: the engines. [`stream`]: what programs say. [`log`]: where it is kept.
//!
//! It knows the queue only through the ledger, by the same commands that an outside harness causes.

pub mod agents;
mod brief;
mod checkout;
mod collect;
mod command;
mod context;
mod diff;
mod disk;
mod follow;
mod git;
mod hand;
mod health;
mod hooks;
mod lay;
mod lfs;
pub mod log;
mod mirror;
mod modules;
mod pack;
mod prepare;
pub mod prices;
mod prompt;
mod publish;
mod pull;
mod redact;
mod resumed;
pub mod runtime;
mod seal;
mod sessions;
pub mod settings;
mod state;
mod strays;
pub mod stream;
mod supervise;
mod templates;
mod tree;
mod verify;
mod weight;
mod workspace;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::{AgentName, RepoKey, RunId};
use dispatch_shared::run::{Phase, RunState, RuntimeKind};
use dispatch_shared::task::TaskType;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::core::command::{Command, Reply, Take};
use crate::core::gate;
use crate::core::record::Run;
use crate::core::repair;
use crate::core::world::World;
use crate::edges::{Edges, Forges, Found, Runtime, RuntimeError, Wants};
use crate::ledger::{Door, Fault};
use context::Context;
pub use diff::Diffs;
pub use hand::Hands;
use health::{Health, Images};
use log::RunLogs;
use settings::Settings;
pub use strays::Strays;

/// An engine that a live run waits for is asked again this often at the least.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// See the module.
pub struct Runner {
    ctx: Arc<Context>,
    state_dir: PathBuf,
    engine: Option<Arc<dyn Runtime>>,
    note: watch::Sender<String>,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runner")
    }
}

impl Runner {
    /// A runner over `state_dir`; it does nothing before [`Runner::run`].
    ///
    /// # Errors
    /// A sentence, if a program or environment name in the settings is wrong or the directories cannot be made.
    pub fn new(
        ledger: Door,
        forges: Arc<dyn Forges>,
        edges: Edges,
        settings: Settings,
        state_dir: &Path,
        logs: Arc<RunLogs>,
    ) -> Result<Self, String> {
        let agents = agents::Agents::new(&settings.agents)?;
        let prices = prices::Prices::new(&settings.prices)?;
        let templates = templates::Templates::new(settings.templates.clone());
        prompt::check_default(&templates, &settings.template).map_err(|e| format!("runner.template: {e}"))?;
        for name in &settings.env {
            agents::check_env(name).map_err(|e| format!("runner.env: {e}"))?;
        }
        // Containers see directories under the same path as the daemon, so it must be the real one.
        std::fs::create_dir_all(state_dir).map_err(|e| format!("{}: {e}", state_dir.display()))?;
        let state_dir = state_dir.canonicalize().map_err(|e| format!("{}: {e}", state_dir.display()))?;
        let spaces = workspace::Workspaces::new(&state_dir, &settings)
            .map_err(|e| format!("workspaces under {}: {e}", state_dir.display()))?;
        // A follower of a run that is about to be taken up must not think that it is over.
        for run in ledger.snapshot().live_runs() {
            logs.announce(run.id);
        }
        let shutdown = CancellationToken::new();
        let ctx = Context {
            ledger,
            forges,
            edges,
            settings,
            agents,
            prices,
            spaces,
            templates,
            logs,
            images: Images::default(),
            shutdown,
        };
        let note = watch::Sender::new("looking for an engine".to_owned());
        Ok(Self { ctx: Arc::new(ctx), state_dir, engine: None, note })
    }

    /// Uses this engine instead of looking for one.
    #[must_use]
    pub fn with_engine(mut self, engine: Arc<dyn Runtime>) -> Self {
        self.engine = Some(engine);
        self
    }

    /// What looks for containers that nobody knows.
    #[must_use]
    pub fn strays(&self) -> Strays {
        Strays::new(self.ctx.clone(), self.state_dir.clone())
    }

    /// What shows the changes of runs.
    #[must_use]
    pub fn diffs(&self) -> Diffs {
        Diffs::new(self.ctx.clone())
    }

    /// What prepares runs by hand.
    #[must_use]
    pub fn hands(&self) -> Hands {
        Hands::new(self.ctx.clone())
    }

    /// The engine in use, or why there is none; for the header.
    #[must_use]
    pub fn engine_note(&self) -> watch::Receiver<String> {
        self.note.subscribe()
    }

    /// Takes up what a daemon before this one left running, then takes tasks, until `shutdown`. Runs go on without the
    /// daemon.
    pub async fn run(self, shutdown: CancellationToken) {
        let stop = self.ctx.shutdown.clone();
        let mut runs = Runs::default();
        command::take_over(&runtime::state_id(&self.state_dir)).await;
        self.adopt(&mut runs);
        let mut health = Health::new(self.engine.clone());
        let aside = [
            tokio::spawn(self.strays().keep()),
            tokio::spawn(tidy(self.ctx.clone())),
            tokio::spawn(collect::keep_house(self.ctx.clone())),
        ];
        let mut commits = self.ctx.ledger.commits();
        loop {
            commits.mark_unchanged();
            let now = tokio::time::Instant::now();
            if health.due(&self.ctx, !runs.ids.is_empty()).is_some_and(|at| at <= now) {
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = self.look(&mut health) => {}
                }
            }
            let next = self.fill(&mut runs, &health).await;
            if matches!(next, Next::Look) {
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = self.look(&mut health) => continue,
                }
            }
            let now = self.ctx.edges.clock.now();
            let look_at = health.due(&self.ctx, !runs.ids.is_empty());
            let due = async {
                let look = async {
                    match look_at {
                        Some(at) => tokio::time::sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                match next {
                    Next::At(at) => {
                        let rest = at.since(now).max(Duration::from_millis(50));
                        let _ = tokio::time::timeout(rest, look).await;
                    }
                    Next::Commit | Next::Look => look.await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = due => {}
                changed = commits.changed() => if changed.is_err() { break },
                Some(ended) = runs.set.join_next_with_id() => runs.forget(&ended),
            }
        }
        stop.cancel();
        for task in aside {
            task.abort();
        }
        let drained = async { while runs.set.join_next().await.is_some() {} };
        if tokio::time::timeout(self.ctx.settings.drain(), drained).await.is_err() {
            tracing::warn!("some runs did not let go in time; the next start takes them up");
        }
    }

    async fn look(&self, health: &mut Health) {
        let note = health.look(&self.ctx, &self.state_dir).await;
        self.note.send_if_modified(|old| std::mem::replace(old, note.clone()) != note);
    }

    /// Every live run gets its supervisor again.
    fn adopt(&self, runs: &mut Runs) {
        let world = self.ctx.ledger.snapshot();
        let live: Vec<Arc<Run>> = world.live_runs().cloned().collect();
        self.ctx.spaces.sweep_homes(&live.iter().map(|r| r.id).collect::<Vec<_>>());
        for run in live.into_iter().filter(|r| !r.waiting) {
            let (ctx, given) = (self.ctx.clone(), self.engine.clone());
            let (choice, dir) = (self.ctx.settings.runtime, self.state_dir.clone());
            let id = run.id;
            runs.spawn(id, async move {
                let engine = async { take_up(&ctx, &run, given, choice, &dir).await };
                let taken = tokio::select! {
                    taken = engine => taken,
                    never = ctx.renew(&run) => match never {},
                    () = ctx.shutdown.cancelled() => return ctx.logs.finish(id),
                };
                supervise::supervise(ctx, taken.0, run, taken.1).await;
            });
        }
    }

    /// Starts what was asked for by hand, then takes tasks, while there are some, a slot is free, and the engine is well. Returns
    /// what to wait for, besides a commit.
    async fn fill(&self, runs: &mut Runs, health: &Health) -> Next {
        let Some(engine) = &health.engine else { return Next::Commit };
        // Each task would fail, and be blamed for it.
        if self.ctx.images.lacks(&self.ctx.settings.image) {
            return Next::Commit;
        }
        loop {
            let world = self.ctx.ledger.snapshot();
            let cramped = disk::cramped(&self.state_dir, &self.ctx.settings);
            if cramped.is_some() != world.meta.cramped.is_some()
                && let Err(fault) = self.ctx.ledger.submit(Command::Cramped(cramped.clone())).await
            {
                tracing::warn!(%fault, "what is free on the disk was not told");
            }
            if cramped.is_some() {
                return Next::At(self.ctx.edges.clock.now() + LOOK_AGAIN);
            }
            let waiting = world.waiting_runs().next().is_some();
            if waiting && !health.is_fresh() {
                return Next::Look;
            }
            if waiting
                && let Ok((Reply::Dispatched { .. }, _)) = self.ctx.ledger.submit(Command::Proceed).await
            {
                continue;
            }
            // What went ahead by hand has its slot already.
            let begins = |r: &&Arc<Run>| {
                r.hand.is_some() && !r.waiting && r.state == RunState::Live(Phase::Queued) && !runs.has(r.id)
            };
            let begun: Vec<Arc<Run>> = world.live_runs().filter(begins).cloned().collect();
            for run in begun {
                let (ctx, engine) = (self.ctx.clone(), engine.clone());
                runs.spawn(run.id, supervise::supervise(ctx, engine, run, None));
            }
            let paused = gate::opens_at(&world, self.ctx.edges.clock.now());
            let slots = self.ctx.settings.max_parallel.min(world.policy.runner_slots.max(1));
            if world.meta.frozen || runs.ids.len() >= slots {
                return Next::of(paused);
            }
            let repos: Vec<RepoKey> =
                world.tracked().filter(|r| r.runner_enabled).map(|r| r.key.clone()).collect();
            let now = self.ctx.edges.clock.now();
            let mut wake = paused;
            if !eligible(&world, &repos, now, &mut wake) {
                return Next::of(wake);
            }
            if !health.is_fresh() {
                return Next::Look;
            }
            let take = Take {
                agent: AgentName::new(world.policy.runner_agent.clone()),
                lane: None,
                kind: TaskType::Implement,
                repos: Some(repos),
                resume: false,
                idempotency_key: None,
                runner: true,
                slots: world.policy.runner_slots,
                lifted: Default::default(),
            };
            match self.ctx.ledger.submit(Command::Take(take)).await {
                Ok((Reply::Claimed { run: Some(id), .. }, world)) => match world.runs.get(&id) {
                    Some(run) => {
                        let (ctx, engine, run) = (self.ctx.clone(), engine.clone(), run.clone());
                        runs.spawn(id, supervise::supervise(ctx, engine, run, None));
                    }
                    None => return Next::of(wake),
                },
                Ok(_) => return Next::of(wake),
                Err(Fault::Refused(why)) => {
                    tracing::warn!(%why, "no task was taken");
                    return Next::of(wake);
                }
                Err(_) => return Next::Commit,
            }
        }
    }
}

/// What the runner waits for, besides a commit.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Nothing.
    Commit,
    /// Time alone makes the next task eligible then.
    At(Timestamp),
    /// A look at the engine: there is work for it.
    Look,
}

impl Next {
    fn of(wake: Option<Timestamp>) -> Self {
        wake.map_or(Next::Commit, Next::At)
    }
}

/// Whether a ready card or a PR-fix item of these repositories may be taken now; `wake` is when the first one that must wait may.
fn eligible(world: &World, repos: &[RepoKey], now: Timestamp, wake: &mut Option<Timestamp>) -> bool {
    let mut now_or_never = false;
    let runner = AgentName::new(world.policy.runner_agent.clone());
    for item in repair::candidates(world, &runner, None, repos) {
        match item.not_before.filter(|at| *at > now) {
            Some(at) => *wake = Some(wake.map_or(at, |w| w.min(at))),
            None => now_or_never = true,
        }
    }
    for (bucket, cards) in world.ready().filter(|(bucket, _)| repos.contains(&bucket.repo)) {
        for (_, number) in cards.iter() {
            let key = crate::core::record::CardKey { repo: bucket.repo.clone(), number: *number };
            match world.cards.get(&key).and_then(|c| c.not_before).filter(|at| *at > now) {
                Some(at) => *wake = Some(wake.map_or(at, |w| w.min(at))),
                None => now_or_never = true,
            }
        }
    }
    now_or_never
}

/// Finds the engine of a run that was live when the daemon went down, and its container there. An engine that does not
/// answer is waited for: a run is lost only if its engine says so.
async fn take_up(
    ctx: &Context,
    run: &Run,
    given: Option<Arc<dyn Runtime>>,
    choice: settings::RuntimeChoice,
    state_dir: &Path,
) -> (Arc<dyn Runtime>, Option<Found>) {
    let mut pause = Duration::from_secs(1);
    loop {
        match look(ctx, run, given.clone(), choice, state_dir).await {
            Ok(found) => return found,
            Err(error) => tracing::warn!(run = %run.id, %error, "a live run waits for its engine"),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ctx.shutdown.cancelled() => std::future::pending().await,
        }
        pause = (pause * 2).min(LOOK_AGAIN);
    }
}

async fn look(
    ctx: &Context,
    run: &Run,
    given: Option<Arc<dyn Runtime>>,
    choice: settings::RuntimeChoice,
    state_dir: &Path,
) -> Result<(Arc<dyn Runtime>, Option<Found>), RuntimeError> {
    let of = |list: Vec<Found>| {
        list.into_iter().find(|f| f.handle.run == run.id && f.handle.attempt == run.attempt)
    };
    let engine = match (given, run.runtime) {
        (Some(engine), kind) if kind.is_none_or(|k| k == engine.kind()) => engine,
        (_, Some(kind)) => runtime::engine(kind, &ctx.settings, state_dir),
        // Not started as far as the ledger knows: its engine is the one in use now.
        (_, None) => runtime::choose(choice, &ctx.settings.wants(), &ctx.settings, state_dir).await?,
    };
    let found = of(engine.list().await?);
    Ok((engine, found))
}

/// Once a day: compresses what a crash left as it was, and removes the logs that are too old or too many.
async fn tidy(ctx: Arc<Context>) {
    const DAILY: Duration = Duration::from_secs(86_400);
    loop {
        let world = ctx.ledger.snapshot();
        let live = |id: &RunId| world.runs.get(id).is_some_and(|r| r.state.is_live());
        let ended = |id: RunId| (id, world.runs.get(&id).and_then(|r| r.ended_at).unwrap_or(Timestamp(0)));
        let over: Vec<_> = ctx.logs.runs().into_iter().filter(|id| !live(id)).map(ended).collect();
        let since = Timestamp(ctx.edges.clock.now().0 - ctx.settings.log_keep.0.as_millis() as i64);
        let (logs, total) = (ctx.logs.clone(), ctx.settings.log_total.0);
        let done = tokio::task::spawn_blocking(move || {
            let gone = logs.collect(&over, since, total);
            for (run, _) in over.into_iter().filter(|(run, _)| !gone.contains(run)) {
                if let Err(error) = logs.pack(run) {
                    tracing::warn!(%run, %error, "its log was not compressed");
                }
            }
            gone
        });
        match done.await {
            Ok(gone) if !gone.is_empty() => tracing::info!(runs = gone.len(), "old logs were removed"),
            _ => {}
        }
        tokio::time::sleep(DAILY).await;
    }
}

#[derive(Default)]
struct Runs {
    set: JoinSet<()>,
    ids: HashMap<tokio::task::Id, RunId>,
}

impl Runs {
    fn spawn(&mut self, run: RunId, life: impl Future<Output = ()> + Send + 'static) {
        let task = self.set.spawn(life);
        self.ids.insert(task.id(), run);
    }

    fn has(&self, run: RunId) -> bool {
        self.ids.values().any(|id| *id == run)
    }

    fn forget(&mut self, ended: &Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => {
                tracing::error!(%error, "a run's supervisor ended badly");
                error.id()
            }
        };
        self.ids.remove(&id);
    }
}

/// The engines of this machine that answer, for `doctor`.
pub async fn engines(state_dir: &Path) -> Vec<(RuntimeKind, Result<(), RuntimeError>)> {
    let mut all = Vec::new();
    for kind in [RuntimeKind::Docker, RuntimeKind::Podman, RuntimeKind::Apple] {
        all.push((kind, runtime::of_kind(kind, state_dir).check().await));
    }
    all
}

/// The container engine that an image for `choice` is built with.
///
/// # Errors
/// A sentence, if there is none.
pub async fn builder(choice: settings::RuntimeChoice, state_dir: &Path) -> Result<RuntimeKind, RuntimeError> {
    let wants = Wants { network: "default".into(), ..Wants::default() };
    if choice == settings::RuntimeChoice::Named(RuntimeKind::Kubernetes) {
        let why = "a cluster pulls its images from a registry: name the engine that builds one with --engine, push it there, \
                   and set runner.image";
        return Err(RuntimeError(why.into()));
    }
    let kind = runtime::choose(choice, &wants, &Settings::default(), state_dir).await?.kind();
    match kind {
        RuntimeKind::Host => {
            Err(RuntimeError("runner.runtime = \"host\" needs no image; name an engine with --engine".into()))
        }
        kind => Ok(kind),
    }
}

/// The engine that runs would start on, and the images that are not there yet; for `check`.
///
/// # Errors
/// A sentence, if no run could start.
pub async fn ready(
    settings: &Settings,
    state_dir: &Path,
) -> Result<(RuntimeKind, Vec<String>), RuntimeError> {
    let engine = runtime::choose(settings.runtime, &settings.wants(), settings, state_dir).await?;
    let own = settings.agents.values().filter_map(|a| a.image.as_ref());
    let mut missing = Vec::new();
    for image in std::iter::once(&settings.image).chain(own) {
        if !missing.contains(image) && !engine.image(image).await? {
            missing.push(image.clone());
        }
    }
    Ok((engine.kind(), missing))
}
