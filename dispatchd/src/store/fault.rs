//! A disk in memory that fails on demand, and shows what a crash would have left of it.
//!
//! ```text
//! let disk = Disk::new().failing(Fail::Sync(4));
//! let store = Store::open_with(disk.backend(), …)?;      // … work until it fails …
//! let after = disk.left(Left::Synced);                   // a power cut: only what was synced
//! let store = Store::open_with(after.backend(), …)?;     // must show all that was acknowledged
//! ```
//!
//! For tests, here and in the scenarios; production never makes one.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Which step fails, counted from 1. Everything after it fails too, but for reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fail {
    /// The nth write or change of length; half of the bytes of a write still arrive.
    Write(u64),
    /// The nth sync.
    Sync(u64),
}

/// What a crash leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Only what was synced: the power went.
    Synced,
    /// Every write that was made: the process was killed, the system lives.
    Written,
    /// What was synced and some of the writes since, picked by a seed: the power went while the disk was at work.
    /// Changes of length count as kept.
    Some(u64),
}

#[derive(Clone, Debug)]
enum Op {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Op {
    fn on(&self, image: &mut Vec<u8>) {
        match self {
            Op::Length(length) => image.resize(usize(*length), 0),
            Op::Write(offset, data) => {
                let from = usize(*offset);
                let to = from + data.len();
                if image.len() < to {
                    image.resize(to, 0);
                }
                image[from..to].copy_from_slice(data);
            }
        }
    }
}

fn usize(n: u64) -> usize {
    usize::try_from(n).expect("a test's disk fits the address space: it lies in memory")
}

#[derive(Debug, Default)]
struct State {
    current: Vec<u8>,
    first: Vec<u8>,
    /// The operations up to each sync.
    synced: Vec<Vec<Op>>,
    unsynced: Vec<Op>,
    writes: u64,
    fail: Option<Fail>,
    broken: bool,
}

/// See the module. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn holding(image: Vec<u8>) -> Self {
        let state = State { current: image.clone(), first: image, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Fails at `fail` from now on; steps that were made already count.
    #[must_use]
    pub fn failing(self, fail: Fail) -> Self {
        self.state().fail = Some(fail);
        self
    }

    /// What redb writes to.
    #[must_use]
    pub fn backend(&self) -> Backend {
        Backend(self.clone())
    }

    /// How many writes and changes of length were asked for.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// How many syncs succeeded.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.state().synced.len() as u64
    }

    /// Whether the step that was to fail was reached.
    #[must_use]
    pub fn broken(&self) -> bool {
        self.state().broken
    }

    /// The disk that a crash at this moment leaves.
    #[must_use]
    pub fn left(&self, left: Left) -> Self {
        let mut image = self.at_sync(self.syncs());
        let state = self.state();
        match left {
            Left::Synced => {}
            Left::Written => image = state.current.clone(),
            Left::Some(seed) => {
                // xorshift: the same seed picks the same writes.
                let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                for op in &state.unsynced {
                    dice ^= dice << 13;
                    dice ^= dice >> 7;
                    dice ^= dice << 17;
                    if dice & 0x100 == 0 || matches!(op, Op::Length(_)) {
                        op.on(&mut image);
                    }
                }
            }
        }
        Self::holding(image)
    }

    /// The disk as it was durable after `syncs` syncs.
    #[must_use]
    pub fn frozen_at(&self, syncs: u64) -> Self {
        Self::holding(self.at_sync(syncs))
    }

    fn at_sync(&self, syncs: u64) -> Vec<u8> {
        let state = self.state();
        let mut image = state.first.clone();
        state.synced.iter().take(usize(syncs)).flatten().for_each(|op| op.on(&mut image));
        image
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side of a [`Disk`] that redb writes to.
#[derive(Debug)]
pub struct Backend(Disk);

fn failure() -> io::Error {
    io::Error::other("the disk failed, as the test wanted")
}

impl Backend {
    fn change(&self, op: Op) -> io::Result<()> {
        let mut state = self.0.state();
        if state.broken {
            return Err(failure());
        }
        state.writes += 1;
        let fails = state.fail == Some(Fail::Write(state.writes));
        let op = match op {
            Op::Write(offset, mut data) if fails => {
                data.truncate(data.len() / 2);
                Op::Write(offset, data)
            }
            Op::Length(_) if fails => {
                state.broken = true;
                return Err(failure());
            }
            op => op,
        };
        op.on(&mut state.current);
        state.unsynced.push(op);
        state.broken = fails;
        if fails { Err(failure()) } else { Ok(()) }
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.state().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.state();
        let from = usize(offset);
        let bytes = state.current.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Op::Length(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.state();
        if state.broken || state.fail == Some(Fail::Sync(state.synced.len() as u64 + 1)) {
            state.broken = true;
            return Err(failure());
        }
        let ops = std::mem::take(&mut state.unsynced);
        state.synced.push(ops);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Op::Write(offset, data.to_vec()))
    }
}
