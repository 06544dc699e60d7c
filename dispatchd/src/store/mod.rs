//! redb behind the ledger. No other room names redb.
//!
//! - `open`: the file, its lock, and what is said when it cannot be opened; `migrate`: the format number.
//! - `table`, `codec`, `batch`: keys, records as bytes, the rows of one commit.
//! - `recover`: rows to world; `writer`: commands to rows, in groups; `ring`, `read`: what readers ask for.
//! - [`fault`]: a disk that fails on demand, for tests.
//!
//! The state lives in memory whole, but for bodies, audit and events. Readers take the published world and never wait
//! for the writer.

mod batch;
mod codec;
pub mod fault;
mod migrate;
mod open;
mod peek;
mod read;
mod recover;
mod ring;
mod table;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use dispatch_shared::Timestamp;
use dispatch_shared::event::Seq;
use redb::{Database, StorageBackend};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

pub use codec::CodecError;
pub use open::OpenError;
pub use peek::tracked;

use crate::core::command::{Command, Refusal};
use crate::core::draft::Decision;
use crate::core::policy::Policy;
use crate::core::reactor;
use crate::core::world::World;
use crate::edges::Edges;
use crate::ledger::Fault;
use ring::Ring;
use writer::{Answer, Job, Work, Writer};

/// What decides a command.
pub type Decide = fn(&World, Timestamp, &Command) -> Result<Decision, Refusal>;

/// How the store works; the default is what production uses.
#[derive(Clone, Debug)]
pub struct Options {
    /// Commands in one commit at most.
    pub batch: usize,
    /// Commands waiting for the writer at most; whoever comes then waits to be let in.
    pub queue: usize,
    /// Events kept in memory.
    pub ring: usize,
    /// Events kept on disk, at least.
    pub events_kept: u64,
    /// How many more events may lie on disk before the oldest are forgotten together.
    pub trim_step: u64,
    /// How long nothing must have been asked before the store is tidied up.
    pub idle: Duration,
    /// What decides a command.
    pub decide: Decide,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch: 256,
            queue: 1024,
            ring: 20_000,
            events_kept: 100_000,
            trim_step: 5_000,
            idle: Duration::from_secs(1),
            decide: reactor::decide,
        }
    }
}

/// The store: [`Ledger`](crate::ledger::Ledger) over redb. Dropping it finishes what is in the queue and releases the
/// lock; [`Store::close`] does the same without blocking.
pub struct Store {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("state", &self.shared.state).finish_non_exhaustive()
    }
}

/// What the writer and everybody else see.
struct Shared {
    world: ArcSwap<World>,
    ring: Mutex<Ring>,
    seq: watch::Sender<Seq>,
    failed: watch::Sender<Option<String>>,
    /// Commits since the start.
    committed: AtomicU64,
    /// The writer has ended and everything it had taken is answered.
    ended: AtomicBool,
    places: Arc<Semaphore>,
    db: Mutex<Option<Arc<Database>>>,
    /// The state directory; `None` if the store does not lie in one.
    state: Option<PathBuf>,
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn db(&self) -> MutexGuard<'_, Option<Arc<Database>>> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first cause stays.
    fn fail(&self, cause: &str) {
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            if first {
                tracing::error!("the store failed, dispatchd must stop: {cause}");
                *failed = Some(cause.to_owned());
            }
            first
        });
        self.places.close();
    }

    fn end_in_order(&self) {
        self.places.close();
        if let Some(state) = &self.state {
            open::withdraw(state);
        }
        drop(self.db().take());
        self.ended.store(true, Ordering::Release);
    }

    /// Why nothing more is taken.
    fn refusal(&self) -> Fault {
        match &*self.failed.borrow() {
            Some(cause) => Fault::OutcomeUnknown(cause.clone()),
            None => Fault::Stopping,
        }
    }

    /// What became of a command whose answer never came.
    fn unanswered(&self) -> Fault {
        match self.refusal() {
            // The writer broke off in the middle and has not said why yet.
            Fault::Stopping if !self.ended.load(Ordering::Acquire) => {
                Fault::OutcomeUnknown("the writer broke off".into())
            }
            fault => fault,
        }
    }
}

impl Store {
    /// Opens the store in the state directory `state`, or makes both; checks the format, loads everything and starts the
    /// writer. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`OpenError`], whose sentence names the cause and the next step; nothing was changed then.
    pub fn open(state: &Path, edges: Edges, policy: Arc<Policy>) -> Result<Self, OpenError> {
        Self::open_opts(state, edges, policy, Options::default())
    }

    /// The same with other [`Options`].
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_opts(
        state: &Path,
        edges: Edges,
        policy: Arc<Policy>,
        options: Options,
    ) -> Result<Self, OpenError> {
        let db = open::file(state)?;
        open::announce(state, None, edges.clock.now())
            .map_err(|e| OpenError::Io(format!("{}: {e}", state.display())))?;
        Self::start(db, edges, policy, options, Some(state.to_owned()))
            .map_err(|e| e.at(&state.join(open::FILE)))
    }

    /// Opens the store that `backend` holds, for tests with faults.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(
        backend: impl StorageBackend,
        edges: Edges,
        policy: Arc<Policy>,
        options: Options,
    ) -> Result<Self, OpenError> {
        let db = open::database(|builder| builder.create_with_backend(backend))?;
        Self::start(db, edges, policy, options, None)
    }

    fn start(
        db: Database,
        edges: Edges,
        policy: Arc<Policy>,
        options: Options,
        state: Option<PathBuf>,
    ) -> Result<Self, OpenError> {
        let db = Arc::new(db);
        let world = open::unharmed(|| recover::load(&db, policy))?;
        let oldest_event = writer::oldest_event(&db, &world)?;
        let seq = world.meta.seq;
        let shared = Arc::new(Shared {
            world: ArcSwap::from_pointee(world.clone()),
            ring: Mutex::new(Ring::new(seq, options.ring)),
            seq: watch::Sender::new(seq),
            failed: watch::Sender::new(None),
            committed: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            places: Arc::new(Semaphore::new(options.queue)),
            db: Mutex::new(Some(db.clone())),
            state,
        });
        let (jobs, queue) = mpsc::channel();
        let writer = Writer {
            db,
            world,
            shared: shared.clone(),
            edges,
            options,
            jobs: queue,
            oldest_event,
            // Unknown, and an extra tidying costs little.
            tidy: false,
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run())
            .map_err(|e| OpenError::Io(format!("the writer thread: {e}")))?;
        Ok(Self { shared, jobs, thread: Mutex::new(Some(thread)) })
    }

    /// Writes down where this daemon listens, so that a second one can name it.
    ///
    /// # Errors
    /// If `daemon.json` in the state directory cannot be written.
    pub fn announce(&self, socket: &Path, started_at: Timestamp) -> std::io::Result<()> {
        match &self.shared.state {
            Some(state) => open::announce(state, Some(socket), started_at),
            None => Ok(()),
        }
    }

    /// Turns to the cause once the store has failed: the daemon must stop then and recover by starting again.
    #[must_use]
    pub fn failed(&self) -> watch::Receiver<Option<String>> {
        self.shared.failed.subscribe()
    }

    /// Takes new choices of the operator, after everything that was asked before. Returns the first world with them.
    ///
    /// # Errors
    /// If the store has failed or is closed.
    pub async fn set_policy(&self, policy: Arc<Policy>) -> Result<Arc<World>, Fault> {
        self.ask(Work::Policy(policy)).await.map(|(_, world)| world)
    }

    /// Finishes what is in the queue, then closes the file and releases the lock. What comes later is refused as
    /// [`Fault::Stopping`].
    ///
    /// # Errors
    /// If the store had failed.
    pub async fn close(&self) -> Result<(), Fault> {
        self.shared.places.close();
        let closed = self.enqueue(Work::Close, None);
        drop(closed.await);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The thread has answered, or is about to end.
            drop(tokio::task::spawn_blocking(move || thread.join()).await);
        }
        match self.shared.refusal() {
            Fault::Stopping => Ok(()),
            fault => Err(fault),
        }
    }

    /// Waits for a place in the queue, then for the answer. Given up while it waits for a place, nothing is asked; later,
    /// the command is carried out and nobody hears of it.
    async fn ask(&self, work: Work) -> Answer {
        let place = self.shared.places.clone().acquire_owned().await.map_err(|_| self.shared.refusal())?;
        self.enqueue(work, Some(place)).await.unwrap_or_else(|_| Err(self.shared.unanswered()))
    }

    fn enqueue(&self, work: Work, place: Option<OwnedSemaphorePermit>) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        // If the writer is gone, the job is dropped here and with it `answer`: the receiver tells.
        drop(self.jobs.send(Job { work, answer, _place: place }));
        receiver
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.enqueue(Work::Close, None));
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            drop(thread.join());
        }
        drop(self.shared.db().take());
    }
}
