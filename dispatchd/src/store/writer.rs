//! The one writer: a thread that takes commands from a queue, has the core decide them one after the other, and makes
//! them durable in groups.
//!
//! 1. Wait for a command, then drain what else is there; never linger for more.
//! 2. Decide each on the state that the one before it left. Encode its rows at once: what cannot be written, or what
//!    panics, is put aside without a trace.
//! 3. If anything changed: write the rows, commit durably, publish the new world, then its events.
//! 4. Only now answer, the refusals too: a refusal may rest on an earlier command of the same group.
//!
//! In crash terms: before the commit returns, nothing of the group was shown to anybody; after it, all of it is on disk.
//! A commit that returned an error may be there after reopening, so any error of the store ends the writer: everything
//! in flight and everything later is answered "outcome unknown", and the daemon stops and recovers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use redb::{Database, ReadableTable as _};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::batch::Batch;
use super::open::said;
use super::{Options, Shared, table};
use crate::core::change::Change;
use crate::core::command::{Command, Reply};
use crate::core::draft::Decision;
use crate::core::policy::Policy;
use crate::core::record::Event;
use crate::core::world::World;
use crate::edges::Edges;
use crate::ledger::Fault;

/// What the caller of a command gets.
pub(super) type Answer = Result<(Reply, Arc<World>), Fault>;

/// What lies in the queue.
#[derive(Debug)]
pub(super) struct Job {
    /// What to do.
    pub(super) work: Work,
    /// Where the answer goes; nobody may be listening any more.
    pub(super) answer: oneshot::Sender<Answer>,
    /// The place in the queue, free again once this is dropped.
    pub(super) _place: Option<OwnedSemaphorePermit>,
}

/// See [`Job`].
#[derive(Debug)]
pub(super) enum Work {
    /// Decide and make durable.
    Command(Box<Command>),
    /// Take new choices of the operator.
    Policy(Arc<Policy>),
    /// Finish what is in the queue before this, then end.
    Close,
}

/// See the module.
pub(super) struct Writer {
    pub(super) db: Arc<Database>,
    pub(super) world: World,
    pub(super) shared: Arc<Shared>,
    pub(super) edges: Edges,
    pub(super) options: Options,
    pub(super) jobs: Receiver<Job>,
    /// The oldest event on disk.
    pub(super) oldest_event: u64,
    /// Whether the last commit was one after which opening needs no check.
    pub(super) tidy: bool,
}

/// One group being decided.
#[derive(Default)]
struct Group {
    rows: Batch,
    events: Vec<Event>,
    changed: bool,
    policy: bool,
    close: bool,
    answers: Vec<Decided>,
}

/// An answer that waits for the commit.
struct Decided {
    to: oneshot::Sender<Answer>,
    outcome: Result<Reply, Fault>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Writer {
    /// Serves until it is told to close, nobody can send any more, or the store fails.
    pub(super) fn run(mut self) {
        let shared = self.shared.clone();
        match catch_unwind(AssertUnwindSafe(|| self.serve())) {
            Ok(Ok(())) => shared.end_in_order(),
            Ok(Err(cause)) => shared.fail(&cause),
            Err(panic) => shared.fail(&format!("a fault of dispatchd: {}", said(&*panic))),
        }
        // What lies in the queue is dropped with it, and answered by what was just said.
    }

    fn serve(&mut self) -> Result<(), String> {
        loop {
            let Some(first) = self.next()? else { return Ok(()) };
            let mut group = Group::default();
            self.take(first, &mut group);
            while group.answers.len() < self.options.batch && !group.close {
                let Ok(job) = self.jobs.try_recv() else { break };
                self.take(job, &mut group);
            }
            if let Err(e) = self.commit(&group) {
                let cause = e.to_string();
                self.shared.fail(&cause);
                for decided in group.answers {
                    drop(decided.to.send(Err(Fault::OutcomeUnknown(cause.clone()))));
                }
                return Err(cause);
            }
            let world = self.publish(&mut group);
            for decided in group.answers {
                // A caller that is gone does not mind.
                drop(decided.to.send(decided.outcome.map(|reply| (reply, world.clone()))));
            }
            if group.close {
                return Ok(());
            }
        }
    }

    /// The next job; `None` once nobody can send one. Tidies up when the queue has been idle for a while.
    fn next(&mut self) -> Result<Option<Job>, String> {
        if !self.tidy {
            match self.jobs.recv_timeout(self.options.idle) {
                Ok(job) => return Ok(Some(job)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => self.tidy_up().map_err(|e| e.to_string())?,
            }
        }
        Ok(self.jobs.recv().ok())
    }

    fn take(&mut self, job: Job, group: &mut Group) {
        let outcome = match job.work {
            Work::Command(command) => self.decide(&command, group),
            Work::Policy(policy) => {
                self.world.set_policy(policy);
                group.policy = true;
                Ok(Reply::Done)
            }
            Work::Close => {
                group.close = true;
                Ok(Reply::Done)
            }
        };
        group.answers.push(Decided { to: job.answer, outcome, _place: job._place });
    }

    fn decide(&mut self, command: &Command, group: &mut Group) -> Result<Reply, Fault> {
        let now = self.edges.clock.now();
        // Whatever a panic leaves half done is a copy that nobody sees.
        let decided = catch_unwind(AssertUnwindSafe(|| (self.options.decide)(&self.world, now, command)));
        let Decision { world, changes, reply } = match decided {
            Ok(decision) => decision?,
            Err(panic) => {
                let cause = said(&*panic);
                tracing::error!(?command, "deciding a command panicked, nothing was changed: {cause}");
                return Err(Fault::Internal(cause));
            }
        };
        if changes.is_empty() {
            return Ok(reply);
        }
        let rows = Batch::encode(&changes).map_err(|e| {
            tracing::error!("nothing was changed: {e}");
            Fault::Internal(e.to_string())
        })?;
        group.rows.merge(rows);
        group.events.extend(changes.into_iter().filter_map(|change| match change {
            Change::Event(event) => Some(event),
            _ => None,
        }));
        group.changed = true;
        self.world = world;
        Ok(reply)
    }

    fn commit(&mut self, group: &Group) -> Result<(), redb::Error> {
        if !group.changed {
            return Ok(());
        }
        self.edges.hook.before("store.write")?;
        let txn = self.db.begin_write()?;
        group.rows.write(&txn)?;
        let oldest = self.trim(&txn)?;
        self.edges.hook.before("store.commit")?;
        txn.commit()?;
        self.shared.committed.fetch_add(1, Ordering::Relaxed);
        self.oldest_event = oldest;
        self.tidy = false;
        // From here on it is on disk, and nobody knows: a kill here is what idempotency keys are for.
        self.edges.hook.before("store.answer")?;
        Ok(())
    }

    /// Forgets the oldest agent runs, and the oldest events once there are enough of them to be worth it; returns which is the oldest then.
    fn trim(&self, txn: &redb::WriteTransaction) -> Result<u64, redb::Error> {
        if let Some(kept) = self.world.activity.forget_before() {
            let mut runs = txn.open_table(table::AGENT_RUNS)?;
            if runs.first()?.is_some_and(|(id, _)| id.value() + self.options.trim_step <= kept.0) {
                runs.retain_in(..kept.0, |_, _| false)?;
            }
        }
        let keep_from = (self.world.meta.seq.0 + 1).saturating_sub(self.options.events_kept);
        if keep_from < self.oldest_event.saturating_add(self.options.trim_step) {
            return Ok(self.oldest_event);
        }
        let mut events = txn.open_table(table::EVENTS)?;
        events.retain_in(..keep_from, |_, _| false)?;
        Ok(keep_from)
    }

    /// A commit after which even a killed daemon's store opens without a check of the whole file. Costs more than an
    /// ordinary one, hence only when nobody waits.
    fn tidy_up(&mut self) -> Result<(), redb::Error> {
        self.edges.hook.before("store.tidy")?;
        let mut txn = self.db.begin_write()?;
        txn.set_quick_repair(true);
        txn.commit()?;
        self.tidy = true;
        Ok(())
    }

    /// Shows the durable state: the world first, so that whoever sees an event finds its state too.
    fn publish(&self, group: &mut Group) -> Arc<World> {
        if !group.changed && !group.policy {
            return self.shared.world.load_full();
        }
        let world = Arc::new(self.world.clone());
        self.shared.world.store(world.clone());
        if !group.events.is_empty() {
            self.shared.ring().push(std::mem::take(&mut group.events));
            self.shared.seq.send_replace(world.meta.seq);
        }
        world
    }
}

/// The oldest event on disk, or the next one there will be.
pub(super) fn oldest_event(db: &Database, world: &World) -> Result<u64, redb::Error> {
    let events = table::reading(db)?.open_table(table::EVENTS)?;
    let first = events.first()?.map(|(key, _)| key.value());
    Ok(first.unwrap_or(world.meta.seq.0 + 1))
}
