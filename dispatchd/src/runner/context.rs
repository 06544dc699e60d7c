//! What every run needs, shared between them, and how a run speaks with the ledger.

use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::run::Usage;
use tokio_util::sync::CancellationToken;

use super::agents::{Agent, Agents};
use super::health::Images;
use super::log::RunLogs;
use super::prices::Prices;
use super::settings::Settings;
use super::stream::Summary;
use super::templates::Templates;
use super::workspace::Workspaces;
use crate::core::command::{Command, RunStep};
use crate::core::record::{Card, Kill, Repo, Run};
use crate::edges::{Edges, Forges, Handle, Runtime};
use crate::ledger::{Door, Fault};

/// See the module.
pub(super) struct Context {
    pub(super) ledger: Door,
    pub(super) forges: Arc<dyn Forges>,
    pub(super) edges: Edges,
    pub(super) settings: Settings,
    pub(super) agents: Agents,
    pub(super) prices: Prices,
    pub(super) spaces: Workspaces,
    pub(super) templates: Templates,
    pub(super) logs: Arc<RunLogs>,
    pub(super) images: Images,
    pub(super) shutdown: CancellationToken,
}

/// One run, its fence, and the engine that it works with.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) ctx: Arc<Context>,
    pub(super) engine: Arc<dyn Runtime>,
    pub(super) run: RunId,
    pub(super) attempt: Attempt,
}

/// Why a run is not to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// A kill was asked for.
    Kill(Kill),
    /// The run is over in the ledger, or another attempt is on: what is left is to clean up.
    Over,
    /// The daemon goes down: containers go on, nothing is reported.
    Down,
}

impl Seat {
    /// The run as it stands, if it is still this one's.
    pub(super) fn record(&self) -> Option<Arc<Run>> {
        let world = self.ctx.ledger.snapshot();
        world.runs.get(&self.run).filter(|r| r.attempt == self.attempt && r.state.is_live()).cloned()
    }

    /// Repository and card of the run; a card only if it works on an issue.
    pub(super) fn subject(&self) -> Result<(Arc<Repo>, Option<Arc<Card>>), String> {
        let world = self.ctx.ledger.snapshot();
        let run = world.runs.get(&self.run).ok_or("the run is not there any more")?;
        let repo = world.repos.get(&run.card.repo).ok_or("its repository is not there any more")?;
        if !run.is_on_issue() {
            return Ok((repo.clone(), None));
        }
        let card = world.cards.get(&run.card).ok_or("its issue is not there any more")?;
        Ok((repo.clone(), Some(card.clone())))
    }

    /// Tells the ledger how the run goes.
    ///
    /// # Errors
    /// [`Halt`], if the ledger does not take it.
    pub(super) async fn step(&self, step: RunStep) -> Result<(), Halt> {
        let command = Command::Run { run: self.run, attempt: self.attempt, step };
        match self.ctx.ledger.submit(command).await {
            Ok(_) => Ok(()),
            Err(Fault::Refused(why)) => {
                tracing::info!(run = %self.run, %why, "the ledger refused a step");
                Err(Halt::Over)
            }
            Err(fault) => {
                tracing::warn!(run = %self.run, %fault, "a step was not taken");
                Err(Halt::Down)
            }
        }
    }

    /// What halts the run now.
    fn halted(&self) -> Option<Halt> {
        match self.record() {
            None => Some(Halt::Over),
            Some(run) => run.kill.clone().map(Halt::Kill),
        }
    }

    /// Waits for what halts the run: a kill, its end in the ledger, or the daemon's.
    pub(super) async fn halt(&self) -> Halt {
        let mut commits = self.ctx.ledger.commits();
        loop {
            commits.mark_unchanged();
            if let Some(halt) = self.halted() {
                return halt;
            }
            tokio::select! {
                () = self.ctx.shutdown.cancelled() => return Halt::Down,
                changed = commits.changed() => if changed.is_err() { return Halt::Down },
            }
        }
    }

    /// Waits for a second kill, which skips the grace.
    pub(super) async fn hurry(&self) {
        let mut commits = self.ctx.ledger.commits();
        loop {
            commits.mark_unchanged();
            if self.record().is_some_and(|r| r.kill.as_ref().is_some_and(|k| k.now)) {
                return;
            }
            if commits.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Ends the program, politely for `grace`; a second kill cuts that short.
    pub(super) async fn end_program(&self, handle: &Handle, grace: Duration) {
        let done = tokio::select! {
            done = self.engine.stop(handle, grace) => done,
            () = self.hurry(), if !grace.is_zero() => self.engine.stop(handle, Duration::ZERO).await,
        };
        if let Err(error) = done {
            tracing::error!(run = %self.run, %error, "the program was not ended");
        }
    }
}

impl Context {
    /// What has been used, in dollars too where a price is known.
    pub(super) fn used(&self, agent: &Agent, summary: &Summary) -> Usage {
        let model = agent.model.as_deref().or(summary.model.as_deref()).or(agent.priced_as.as_deref());
        self.prices.reckon(model, summary.usage)
    }

    /// Renews the claim of a live run for as long as it is polled: at once, for a daemon before this one may have left it
    /// shortly before its end, and then three times a lease.
    pub(super) async fn renew(&self, run: &Run) -> std::convert::Infallible {
        if run.claim.is_none() {
            return std::future::pending().await;
        }
        loop {
            let world = self.ledger.snapshot();
            if world.runs.get(&run.id).is_some_and(|r| r.attempt == run.attempt && r.state.is_live()) {
                let (agent, claim) = (run.agent.clone(), run.claim);
                let command = Command::Renew { agent, claim, checkpoint: None };
                if let Err(fault) = self.ledger.submit(command).await {
                    tracing::warn!(run = %run.id, %fault, "the lease was not renewed");
                }
            }
            let lease = world.policy.runner_lease;
            tokio::time::sleep((lease / 3).max(Duration::from_millis(100))).await;
        }
    }
}
