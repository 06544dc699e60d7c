//! What engines hold under this daemon's label. What is left of runs that are over goes, at the start; what belongs to no run or
//! attempt that is known (a lost store, a restored backup) is shown, and ended only when a person says so.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::run::RuntimeKind;

use super::command;
use super::context::Context;
use super::runtime;
use super::settings::RuntimeChoice;
use crate::core::command::Command;
use crate::core::record::Stray;
use crate::core::world::World;
use crate::edges::{Found, Handle, Runtime};
use crate::ledger::Fault;

/// How often it is looked without being asked.
const HOURLY: Duration = Duration::from_secs(3_600);

/// Looks for what nobody knows. Cheap to share.
#[derive(Clone)]
pub struct Strays {
    ctx: Arc<Context>,
    state_dir: PathBuf,
}

impl std::fmt::Debug for Strays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Strays")
    }
}

/// Whose something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// A run that lives.
    Live,
    /// A run that is over.
    Over,
    /// No run that is known.
    Nobody,
}

fn whose(world: &World, handle: &Handle) -> Whose {
    match world.runs.get(&handle.run).filter(|r| r.attempt == handle.attempt) {
        None => Whose::Nobody,
        Some(run) if run.state.is_live() => Whose::Live,
        Some(_) => Whose::Over,
    }
}

impl Strays {
    pub(super) fn new(ctx: Arc<Context>, state_dir: PathBuf) -> Self {
        Self { ctx, state_dir }
    }

    /// Takes away what a crash left of runs that are over (their end was stored, their container was not yet removed), then looks
    /// for what nobody knows, now and hourly.
    pub(super) async fn keep(self) {
        let mut first = true;
        loop {
            if let Err(fault) = self.look_at(first).await {
                tracing::warn!(%fault, "what engines hold was not kept");
            }
            first = false;
            tokio::time::sleep(HOURLY).await;
        }
    }

    /// Asks every engine of this machine that answers. Returns what nobody knows, also of engines that do not answer now.
    ///
    /// # Errors
    /// If the ledger does not take it.
    pub async fn look(&self) -> Result<Vec<Stray>, Fault> {
        self.look_at(false).await
    }

    async fn look_at(&self, tidy: bool) -> Result<Vec<Stray>, Fault> {
        let (mut asked, mut found) = (Vec::new(), Vec::new());
        for kind in kinds(self.ctx.settings.runtime) {
            let engine = runtime::engine(kind, &self.ctx.settings, &self.state_dir);
            let held = match engine.list().await {
                Ok(held) => held,
                Err(error) => {
                    tracing::warn!(%error, "{kind} cannot be asked what it holds; it is asked again within the hour");
                    continue;
                }
            };
            asked.push(kind);
            // After the list: what it holds was started for a run that stood in the ledger before.
            let world = self.ctx.ledger.snapshot();
            for held in held {
                match whose(&world, &held.handle) {
                    Whose::Nobody => found.push(stray(kind, held)),
                    Whose::Over if tidy => remove(engine.as_ref(), &held.handle).await,
                    Whose::Over | Whose::Live => {}
                }
            }
        }
        for stray in &found {
            tracing::warn!(engine = %stray.engine, name = stray.name, "it bears our label, and no run is known for it");
        }
        let (_, world) = self.ctx.ledger.submit(Command::Strays { asked, found }).await?;
        Ok(world.meta.strays.clone())
    }

    /// Ends and removes what nobody knows: these names, or all of it. Returns what was ended, and a sentence for each that was
    /// not, or that is not there.
    ///
    /// # Errors
    /// If the ledger does not take it; what was ended is ended.
    pub async fn stop(&self, names: &[String], actor: &str) -> Result<(Vec<Stray>, Vec<String>), Fault> {
        let there = self.look().await?;
        let (mut ended, mut said) = (Vec::new(), Vec::new());
        for name in names.iter().filter(|name| there.iter().all(|s| s.name != **name)) {
            said.push(format!("{name} is nothing that nobody knows; `dispatch orphans` lists what is"));
        }
        for stray in there.into_iter().filter(|s| names.is_empty() || names.contains(&s.name)) {
            let engine = runtime::engine(stray.engine, &self.ctx.settings, &self.state_dir);
            let handle = Handle { run: stray.run, attempt: stray.attempt, name: stray.name.clone() };
            let stopped = engine.stop(&handle, self.ctx.settings.grace.0).await;
            let gone = match stopped {
                Ok(()) => engine.remove(&handle).await,
                Err(error) => Err(error),
            };
            match gone {
                Ok(()) => {
                    let (action, notes) = ("stop_orphan", format!("{} {}", stray.engine, stray.name));
                    let noted = Command::Noted { action, notes, actor: actor.to_owned() };
                    self.ctx.ledger.submit(noted).await?;
                    ended.push(stray);
                }
                Err(error) => said.push(format!("{} was not ended: {error}", stray.name)),
            }
        }
        self.look().await?;
        Ok((ended, said))
    }
}

/// The engines that may hold something: those that are installed, none at all, and a cluster if that is where runs are sent.
fn kinds(choice: RuntimeChoice) -> impl Iterator<Item = RuntimeKind> {
    let cluster = Some(RuntimeKind::Kubernetes).filter(|kind| choice == RuntimeChoice::Named(*kind));
    [RuntimeKind::Docker, RuntimeKind::Podman, RuntimeKind::Apple, RuntimeKind::Host]
        .into_iter()
        .chain(cluster)
        .filter(|kind| runtime::program(*kind).is_none_or(command::is_installed))
}

fn stray(engine: RuntimeKind, found: Found) -> Stray {
    let Found { handle, running } = found;
    let (run, attempt) = (handle.run, handle.attempt);
    // The ledger knows since when.
    Stray { engine, name: handle.name, run, attempt, running, since: Timestamp(0) }
}

async fn remove(engine: &dyn Runtime, left: &Handle) {
    tracing::info!(run = %left.run, what = left.name, "an old run left it; it is removed");
    if let Err(error) = engine.remove(left).await {
        tracing::warn!(run = %left.run, %error, "what an old run left was not removed");
    }
}
