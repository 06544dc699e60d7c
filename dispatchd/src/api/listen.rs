//! The local socket.
//!
//! 1. The store's lock is taken before this: it proves that no other daemon lives on this state.
//! 2. The directory is made with mode 0700, and must be the user's own or root's.
//! 3. If somebody answers on the socket, it belongs to a daemon with another state: refuse. Otherwise it is stale: unlink.
//! 4. Bind, 0600. Every peer's uid is checked beside, for file systems that ignore modes.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use interprocess::local_socket::tokio::{Listener, Stream, prelude::*};
use interprocess::local_socket::{GenericFilePath, ListenerOptions};
use interprocess::os::unix::local_socket::ListenerOptionsExt;

/// Why the socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another daemon answers there.
    #[error("another daemon answers at {0}; stop it, or set DISPATCH_SOCKET to another path")]
    Taken(PathBuf),
    /// Something else lies there.
    #[error("{0} is there and is no socket; move it away, or set DISPATCH_SOCKET to another path")]
    NoSocket(PathBuf),
    /// The directory belongs to somebody else.
    #[error("{0} belongs to another user; set DISPATCH_SOCKET to a path in a directory of your own")]
    NotOurs(PathBuf),
    /// The path is too long for a socket.
    #[error("{0} is too long for a socket (107 bytes at most); set DISPATCH_SOCKET to a shorter path")]
    TooLong(PathBuf),
    /// The system refused.
    #[error("cannot listen at {path}: {cause}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
}

/// A bound socket; unlinks it when dropped.
#[derive(Debug)]
pub struct Local {
    listener: Listener,
    path: PathBuf,
}

/// Binds `path`. Call it only with the store's lock held.
///
/// # Errors
/// See [`ListenError`].
pub async fn bind(path: &Path) -> Result<Local, ListenError> {
    let io = |cause| ListenError::Io { path: path.to_owned(), cause };
    if path.as_os_str().len() > 107 {
        return Err(ListenError::TooLong(path.to_owned()));
    }
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)?;
        let owner = std::fs::metadata(dir).map_err(io)?.uid();
        let me = rustix::process::geteuid().as_raw();
        if owner != me && owner != 0 {
            return Err(ListenError::NotOurs(dir.to_owned()));
        }
    }
    let name = || path.to_fs_name::<GenericFilePath>().map_err(io);
    match Stream::connect(name()?).await {
        Ok(_) => return Err(ListenError::Taken(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(_) if std::fs::symlink_metadata(path).is_ok_and(|m| !m.file_type().is_socket()) => {
            return Err(ListenError::NoSocket(path.to_owned()));
        }
        Err(_) => std::fs::remove_file(path).map_err(io)?,
    }
    let listener =
        ListenerOptions::new().name(name()?).reclaim_name(false).mode(0o600).create_tokio().map_err(io)?;
    Ok(Local { listener, path: path.to_owned() })
}

impl Local {
    /// The next connection from a process of our own user or of root; others are turned away.
    ///
    /// # Errors
    /// If the system cannot accept; worth another try after a pause.
    pub async fn accept(&self) -> io::Result<Stream> {
        loop {
            let stream = self.listener.accept().await?;
            let peer = stream.peer_creds().ok().and_then(|c| c.euid());
            let me = rustix::process::geteuid().as_raw();
            match peer {
                Some(uid) if uid == me || uid == 0 => return Ok(stream),
                other => tracing::warn!(peer = ?other, "a process of another user was turned away"),
            }
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // Ours alone: the store's lock is still held, so nobody can have bound it anew.
        let _ = std::fs::remove_file(&self.path);
    }
}
