//! Stands where the engine would, in a build without it: says so, whatever it is asked.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::run::RuntimeKind;
use tokio::io::AsyncRead;

use crate::edges::{Exit, Found, Handle, RunSpec, Runtime, RuntimeError, Wants};
use crate::runner::runtime::argv;
use crate::runner::settings::Settings;

/// See the module.
#[derive(Clone, Debug)]
pub(in crate::runner::runtime) struct Kubernetes {
    state: String,
}

impl Kubernetes {
    pub(in crate::runner::runtime) fn new(_settings: &Settings, _state_dir: &Path, state: String) -> Self {
        Self { state }
    }
}

fn absent<T>() -> Result<T, RuntimeError> {
    Err(RuntimeError(
        "this dispatchd was built without Kubernetes: build it with `cargo build --release --features \
         dispatchd/kubernetes`, or choose another runner.runtime"
            .into(),
    ))
}

#[async_trait]
impl Runtime for Kubernetes {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Kubernetes
    }

    fn handle(&self, run: RunId, attempt: Attempt) -> Handle {
        Handle { run, attempt, name: argv::name(run, attempt, &self.state) }
    }

    async fn check(&self) -> Result<(), RuntimeError> {
        absent()
    }

    async fn fits(&self, _wants: &Wants) -> Result<(), RuntimeError> {
        absent()
    }

    async fn image(&self, _name: &str) -> Result<bool, RuntimeError> {
        absent()
    }

    async fn pull(&self, _name: &str) -> Result<(), RuntimeError> {
        absent()
    }

    async fn start(&self, _spec: &RunSpec) -> Result<Handle, RuntimeError> {
        absent()
    }

    async fn list(&self) -> Result<Vec<Found>, RuntimeError> {
        absent()
    }

    async fn logs(
        &self,
        _handle: &Handle,
        _offset: u64,
    ) -> Result<Box<dyn AsyncRead + Send + Unpin>, RuntimeError> {
        absent()
    }

    async fn wait(&self, _handle: &Handle) -> Result<Exit, RuntimeError> {
        absent()
    }

    async fn stop(&self, _handle: &Handle, _grace: Duration) -> Result<(), RuntimeError> {
        absent()
    }

    async fn remove(&self, _handle: &Handle) -> Result<(), RuntimeError> {
        absent()
    }
}

#[cfg(test)]
mod tests {
    use crate::edges::Wants;
    use crate::runner::runtime::choose;
    use crate::runner::settings::{RuntimeChoice, Settings};

    #[tokio::test]
    async fn a_build_without_it_names_the_feature() {
        let dir = tempfile::tempdir().unwrap();
        let settings: Settings =
            toml::from_str("runtime = 'kubernetes'\n[kubernetes]\nvolume_claim = 'x'").unwrap();
        assert!(matches!(settings.runtime, RuntimeChoice::Named(_)));
        let said = choose(settings.runtime, &Wants::default(), &settings, dir.path()).await.err().unwrap().0;
        assert!(said.starts_with("runner.runtime = \"kubernetes\": "), "{said}");
        assert!(said.contains("--features dispatchd/kubernetes"), "{said}");
    }
}
