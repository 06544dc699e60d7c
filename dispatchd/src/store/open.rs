//! Opening the store: the state directory, the file and its modes, the lock, and a clear sentence when it cannot be.
//!
//! 1. The state directory is made with mode 0700 if it is missing.
//! 2. A store that is missing is made whole beside its place and then linked there, so that a kill in between leaves
//!    either no store or a good one, and a live one is never replaced.
//! 3. The file is opened with mode 0600; redb's exclusive lock on it is the proof that no other daemon lives.
//! 4. Only then `daemon.json` is written beside it, for the sentence that a second daemon will say.

use std::any::Any;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dispatch_shared::Timestamp;
use redb::{Builder, Database};
use serde::{Deserialize, Serialize};

use super::codec::CodecError;
use super::migrate;

/// The store's file in the state directory.
pub(super) const FILE: &str = "dispatch.redb";
const DAEMON: &str = "daemon.json";
const UNFINISHED: &str = ".new-store-";
/// Bytes that redb may keep in memory; more was measured to buy nothing.
const CACHE: usize = 32 << 20;
/// How long the lock of a daemon that is gone is waited for.
const LEFTOVER: Duration = Duration::from_secs(5);

/// Why the store cannot be opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another daemon has it.
    #[error("another dispatchd{holder} already serves {state}; stop it or choose another DISPATCH_STATE_DIR")]
    Locked {
        /// ` (pid 123, socket …)`, or empty if that is not known.
        holder: String,
        /// The state directory.
        state: String,
    },
    /// A newer daemon wrote it.
    #[error(
        "the store has format {found}, this dispatchd reads up to {known}; install the newer dispatchd again or choose another DISPATCH_STATE_DIR"
    )]
    Newer {
        /// The format that was found.
        found: u32,
        /// The newest format that can be read.
        known: u32,
    },
    /// It is damaged or something else.
    #[error(
        "the store cannot be read: {0}; it was left as it is: restore a backup, or move it away to begin anew"
    )]
    Unreadable(String),
    /// The system said no.
    #[error("cannot open the store: {0}; check the directory's owner, mode and free space")]
    Io(String),
}

impl OpenError {
    /// Adds which file it is about.
    pub(super) fn at(self, path: &Path) -> Self {
        match self {
            OpenError::Unreadable(cause) => OpenError::Unreadable(format!("{}: {cause}", path.display())),
            OpenError::Io(cause) => OpenError::Io(format!("{}: {cause}", path.display())),
            OpenError::Locked { .. } => {
                let state = path.parent().unwrap_or(path);
                OpenError::Locked { holder: holder(state), state: state.display().to_string() }
            }
            newer @ OpenError::Newer { .. } => newer,
        }
    }
}

impl From<redb::Error> for OpenError {
    fn from(e: redb::Error) -> Self {
        match e {
            redb::Error::DatabaseAlreadyOpen => {
                OpenError::Locked { holder: String::new(), state: "this store".into() }
            }
            redb::Error::Io(e)
                if !matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                OpenError::Io(e.to_string())
            }
            other => OpenError::Unreadable(other.to_string()),
        }
    }
}

impl From<CodecError> for OpenError {
    fn from(e: CodecError) -> Self {
        OpenError::Unreadable(e.to_string())
    }
}

/// What a panic said.
pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".into())
}

/// Opens the database that `open` finds and prepares its tables.
pub(super) fn database(
    open: impl FnOnce(&Builder) -> Result<Database, redb::DatabaseError>,
) -> Result<Database, OpenError> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder.set_repair_callback(|repair| {
        if repair.progress() == 0.0 {
            tracing::info!("the store was not closed in order, checking it");
        }
    });
    unharmed(|| {
        let db = open(&builder).map_err(redb::Error::from)?;
        migrate::prepare(&db)?;
        Ok(db)
    })
}

/// A damaged file may make the database library panic: say so instead.
pub(super) fn unharmed<T>(read: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| Err(OpenError::Unreadable(said(&*panic))))
}

/// Opens the store's file in `state`, or makes both.
pub(super) fn file(state: &Path) -> Result<Database, OpenError> {
    once_free(state, || std::thread::sleep(Duration::from_millis(20)))
}

/// The same; pauses between tries as long as a lock outlives its daemon.
pub(super) fn once_free(state: &Path, mut pause: impl FnMut()) -> Result<Database, OpenError> {
    let path = state.join(FILE);
    let io = |e: io::Error| OpenError::Io(e.to_string());
    let open = || {
        make_directory(state)?;
        let file = match OpenOptions::new().read(true).write(true).mode(0o600).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                make_file(state, &path)?;
                OpenOptions::new().read(true).write(true).open(&path).map_err(io)?
            }
            Err(e) => return Err(io(e)),
        };
        file.set_permissions(Permissions::from_mode(0o600)).map_err(io)?;
        let db = database(|builder| builder.create_file(file))?;
        sweep(state);
        Ok(db)
    };
    let end = Instant::now() + LEFTOVER;
    loop {
        match open() {
            // A daemon that was killed while it started a program leaves its lock to that child for a moment.
            Err(OpenError::Locked { .. }) if holder_is_gone(state) && Instant::now() < end => pause(),
            opened => return opened.map_err(|e| e.at(&path)),
        }
    }
}

/// Whether the process that wrote down that it holds the store does not live any more.
fn holder_is_gone(state: &Path) -> bool {
    let pid =
        announced(state).and_then(|a| i32::try_from(a.pid).ok()).and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

fn make_directory(state: &Path) -> Result<(), OpenError> {
    if !state.is_dir() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(state);
        return made.map_err(|e| OpenError::Io(e.to_string()));
    }
    // One that was there is not ours to change: it may be a directory shared on purpose.
    let mode = state.metadata().map_or(0o700, |m| m.permissions().mode());
    // Passing through is what runs under another user need; the store and its like are 0600 each.
    if mode & 0o066 != 0 {
        let state = state.display();
        tracing::warn!("{state} can be read by other users (mode {:o}); chmod 700 it", mode & 0o777);
    }
    Ok(())
}

/// redb's own first steps are not safe against a kill, so they are done under another name.
fn make_file(state: &Path, path: &Path) -> Result<(), OpenError> {
    let io = |e: io::Error| OpenError::Io(e.to_string());
    let new = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(state).map_err(io)?;
    drop(database(|builder| builder.create_file(new.reopen()?))?);
    match new.persist_noclobber(path) {
        Ok(file) => file.sync_all().and_then(|()| File::open(state)?.sync_all()).map_err(io),
        // Another daemon was faster; its lock will tell.
        Err(_) if path.exists() => Ok(()),
        Err(e) => Err(io(e.error)),
    }
}

/// Takes away what a daemon left that was killed while it made a store.
fn sweep(state: &Path) {
    for entry in state.read_dir().into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

/// Who serves a state directory.
#[derive(Debug, Serialize, Deserialize)]
struct Daemon {
    pid: u32,
    socket: Option<PathBuf>,
    started_at: Timestamp,
}

/// Writes down that this process has the store; mode 0600.
pub(super) fn announce(state: &Path, socket: Option<&Path>, started_at: Timestamp) -> io::Result<()> {
    let daemon = Daemon { pid: std::process::id(), socket: socket.map(Into::into), started_at };
    let mut file = tempfile::NamedTempFile::new_in(state)?;
    file.write_all(&serde_json::to_vec(&daemon)?)?;
    file.persist(state.join(DAEMON))?;
    Ok(())
}

/// Takes the note away. Called while the lock is still held, so that it is never another daemon's.
pub(super) fn withdraw(state: &Path) {
    drop(std::fs::remove_file(state.join(DAEMON)));
}

fn announced(state: &Path) -> Option<Daemon> {
    serde_json::from_slice(&std::fs::read(state.join(DAEMON)).ok()?).ok()
}

fn holder(state: &Path) -> String {
    match announced(state) {
        Some(Daemon { pid, socket: Some(socket), .. }) => {
            format!(" (pid {pid}, socket {})", socket.display())
        }
        Some(Daemon { pid, .. }) => format!(" (pid {pid})"),
        None => String::new(),
    }
}
