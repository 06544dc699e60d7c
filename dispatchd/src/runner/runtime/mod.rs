//! The engines that contain runs, and which one to use.

mod apple;
mod argv;
mod cgroup;
mod cli;
mod host;
mod kubernetes;
pub(in crate::runner) mod process;
mod space;

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use dispatch_shared::run::RuntimeKind;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;

pub use self::kubernetes::{Cluster, Toleration};
use super::settings::{RuntimeChoice, Settings};
use crate::edges::{Runtime, RuntimeError, Wants};

/// The engine of this kind as it comes, whether or not it is there. Containers are told apart by `state_dir`.
#[must_use]
pub fn of_kind(kind: RuntimeKind, state_dir: &Path) -> Arc<dyn Runtime> {
    engine(kind, &Settings::default(), state_dir)
}

/// The engine of this kind as `settings` have it, whether or not it is there. Containers are told apart by `state_dir`.
#[must_use]
pub fn engine(kind: RuntimeKind, settings: &Settings, state_dir: &Path) -> Arc<dyn Runtime> {
    let state = state_id(state_dir);
    match kind {
        RuntimeKind::Docker | RuntimeKind::Podman => Arc::new(cli::Cli::new(kind, state)),
        RuntimeKind::Apple => Arc::new(apple::Apple::new(state)),
        RuntimeKind::Host => Arc::new(host::Host::new(state_dir, state)),
        RuntimeKind::Kubernetes => Arc::new(kubernetes::Kubernetes::new(settings, state_dir, state)),
    }
}

/// The program by which an engine is called; `None` if it needs none.
pub(in crate::runner) fn program(kind: RuntimeKind) -> Option<&'static str> {
    match kind {
        RuntimeKind::Docker | RuntimeKind::Podman => Some(kind.word()),
        RuntimeKind::Apple => Some(apple::PROGRAM),
        RuntimeKind::Host | RuntimeKind::Kubernetes => None,
    }
}

/// Whether an engine answers and can give what runs need.
///
/// # Errors
/// A sentence that says what is missing and what to do.
pub(in crate::runner) async fn usable(engine: &Arc<dyn Runtime>, wants: &Wants) -> Result<(), RuntimeError> {
    engine.check().await?;
    engine.fits(wants).await
}

/// The engine to use: `choice` among those that `settings` describe.
///
/// # Errors
/// A sentence that says what is missing and what to do: a runtime asked for by name is never replaced by another.
pub async fn choose(
    choice: RuntimeChoice,
    wants: &Wants,
    settings: &Settings,
    state_dir: &Path,
) -> Result<Arc<dyn Runtime>, RuntimeError> {
    let candidates: &[RuntimeKind] = match choice {
        RuntimeChoice::Named(kind) => {
            let found = engine(kind, settings, state_dir);
            return match usable(&found, wants).await {
                Ok(()) => Ok(found),
                Err(e) => Err(RuntimeError(format!("runner.runtime = \"{kind}\": {e}"))),
            };
        }
        RuntimeChoice::Auto if cfg!(target_os = "macos") => {
            &[RuntimeKind::Apple, RuntimeKind::Docker, RuntimeKind::Podman]
        }
        RuntimeChoice::Auto => &[RuntimeKind::Docker, RuntimeKind::Podman],
    };
    let mut said = Vec::new();
    for &kind in candidates {
        let found = engine(kind, settings, state_dir);
        match usable(&found, wants).await {
            Ok(()) => return Ok(found),
            Err(e) => said.push(e.0),
        }
    }
    Err(RuntimeError(format!(
        "no container engine ({}); install docker or podman, or set runner.runtime = \"host\" to run without a container",
        said.join("; ")
    )))
}

/// Names the state directory on labels: the same for every spelling of its path.
pub(in crate::runner) fn state_id(state_dir: &Path) -> String {
    let real = state_dir.canonicalize().unwrap_or_else(|_| state_dir.to_path_buf());
    let digest = Sha256::digest(real.as_os_str().as_encoded_bytes());
    digest.iter().take(6).map(|b| format!("{b:02x}")).collect()
}

/// A log being followed by a task that ends with its reader.
struct Following {
    from: DuplexStream,
    task: JoinHandle<()>,
}

impl Following {
    fn new(from: DuplexStream, task: JoinHandle<()>) -> Self {
        Self { from, task }
    }
}

impl AsyncRead for Following {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.from).poll_read(cx, buf)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_directory_has_one_id() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        assert_eq!(state_id(dir.path()), state_id(&dir.path().join(".")));
        assert_ne!(state_id(dir.path()), state_id(other.path()));
    }
}
