//! Apple's `container`: one virtual machine a run. It has no wait and keeps no exit code, so the entry leaves the code in
//! the run's home, and the end of the log is the end of the run.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::run::RuntimeKind;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::argv::{self, Traits};
use crate::edges::{Exit, Found, Handle, RunSpec, Runtime, RuntimeError, Wants};
use crate::runner::command::{self, Output};

const CALL: Duration = Duration::from_secs(60);
const START: Duration = Duration::from_secs(900);
pub(super) const PROGRAM: &str = "container";

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Apple {
    state: String,
}

/// What the engine says of a container.
struct Seen {
    running: bool,
    handle: Option<Handle>,
    home: Option<PathBuf>,
    ours: bool,
}

impl Apple {
    pub(super) fn new(state: String) -> Self {
        Self { state }
    }

    async fn call(&self, args: &[&str]) -> Result<Output, RuntimeError> {
        let mut command = command::of(PROGRAM);
        command.args(args);
        command::run(command, CALL).await.map_err(RuntimeError)
    }

    async fn all(&self) -> Result<Vec<Seen>, RuntimeError> {
        let output = self.call(&["list", "--all", "--format", "json"]).await?;
        if !output.ok() {
            return Err(RuntimeError(format!("`container list` failed: {}", output.complaint())));
        }
        let list: Vec<Value> = serde_json::from_str(output.stdout.trim())
            .map_err(|e| RuntimeError(format!("`container list` said no JSON: {e}")))?;
        Ok(list.iter().map(|v| self.seen(v)).collect())
    }

    fn seen(&self, v: &Value) -> Seen {
        let text = |p: &str| v.pointer(p).and_then(Value::as_str);
        let label =
            |key: &str| v.pointer("/configuration/labels").and_then(|l| l.get(key)).and_then(Value::as_str);
        let handle = || {
            Some(Handle {
                run: label(argv::RUN)?.parse().ok()?,
                attempt: Attempt(label(argv::ATTEMPT)?.parse().ok()?),
                name: text("/configuration/id")?.to_owned(),
            })
        };
        let home = v
            .pointer("/configuration/initProcess/environment")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .find_map(|e| e.as_str()?.strip_prefix("HOME=").map(PathBuf::from));
        Seen {
            running: text("/status") == Some("running"),
            handle: handle(),
            home,
            ours: label(argv::STATE) == Some(&self.state),
        }
    }

    async fn find(&self, name: &str) -> Result<Option<Seen>, RuntimeError> {
        let all = self.all().await?;
        Ok(all.into_iter().find(|s| s.handle.as_ref().is_some_and(|h| h.name == name)))
    }

    async fn follow(self, name: String, mut skip: u64, mut to: tokio::io::DuplexStream) {
        let spawned = command::of(PROGRAM)
            .args(["logs", "--follow", &name])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let Ok(mut child) = spawned else { return };
        let Some(mut from) = child.stdout.take() else { return };
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            let drop = usize::try_from(skip).unwrap_or(usize::MAX).min(n);
            skip -= drop as u64;
            if to.write_all(&buffer[drop..n]).await.is_err() {
                return;
            }
        }
    }
}

#[async_trait]
impl Runtime for Apple {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Apple
    }

    fn handle(&self, run: RunId, attempt: Attempt) -> Handle {
        Handle { run, attempt, name: argv::name(run, attempt, &self.state) }
    }

    async fn check(&self) -> Result<(), RuntimeError> {
        let output = self.call(&["system", "status"]).await?;
        if output.ok() {
            return Ok(());
        }
        Err(RuntimeError(
            "container is there and does not run: start it with `container system start`".into(),
        ))
    }

    async fn fits(&self, wants: &Wants) -> Result<(), RuntimeError> {
        if wants.gpus {
            return Err(RuntimeError("runner.gpus: Apple's container has no GPUs to give".into()));
        }
        Ok(())
    }

    async fn image(&self, name: &str) -> Result<bool, RuntimeError> {
        Ok(self.call(&["image", "inspect", name]).await?.ok())
    }

    async fn pull(&self, name: &str) -> Result<(), RuntimeError> {
        let mut command = command::of(PROGRAM);
        command.args(["image", "pull", name]);
        let output = command::run(command, START).await.map_err(RuntimeError)?;
        if output.ok() {
            return Ok(());
        }
        Err(RuntimeError(format!("the image `{name}` could not be pulled: {}", output.complaint())))
    }

    async fn start(&self, spec: &RunSpec) -> Result<Handle, RuntimeError> {
        let handle = self.handle(spec.run, spec.attempt);
        let name = &handle.name;
        let _ = self.call(&["delete", "--force", name]).await?;
        let args = argv::start(RuntimeKind::Apple, Traits::default(), name, &self.state, spec);
        let mut command = command::of(PROGRAM);
        command.args(args);
        let output = command::run(command, START).await.map_err(RuntimeError)?;
        if !output.ok() {
            return Err(RuntimeError(format!("`container run` failed: {}", output.complaint())));
        }
        Ok(handle)
    }

    async fn list(&self) -> Result<Vec<Found>, RuntimeError> {
        let ours = self.all().await?.into_iter().filter(|s| s.ours);
        Ok(ours.filter_map(|s| s.handle.map(|handle| Found { handle, running: s.running })).collect())
    }

    async fn logs(
        &self,
        handle: &Handle,
        offset: u64,
    ) -> Result<Box<dyn AsyncRead + Send + Unpin>, RuntimeError> {
        let (to, from) = tokio::io::duplex(64 << 10);
        let task = tokio::spawn(self.clone().follow(handle.name.clone(), offset, to));
        Ok(Box::new(super::Following::new(from, task)))
    }

    async fn wait(&self, handle: &Handle) -> Result<Exit, RuntimeError> {
        loop {
            match self.find(&handle.name).await {
                Ok(None) => return Ok(Exit::Lost),
                Ok(Some(seen)) if !seen.running => {
                    let code = seen
                        .home
                        .and_then(|home| std::fs::read_to_string(home.join(".dispatch-exit")).ok())
                        .and_then(|text| text.trim().parse().ok());
                    // Killed before the entry could write: what a shell calls that.
                    return Ok(Exit::Code(code.unwrap_or(137)));
                }
                Ok(Some(_)) => {}
                Err(error) => tracing::warn!(%error, container = handle.name, "the engine does not answer"),
            }
            let mut logs = self.logs(handle, 0).await?;
            let _ = tokio::io::copy(&mut logs, &mut tokio::io::sink()).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), RuntimeError> {
        if !grace.is_zero() {
            self.call(&["kill", "--signal", "TERM", &handle.name]).await?;
            if tokio::time::timeout(grace, self.wait(handle)).await.is_ok() {
                return Ok(());
            }
        }
        self.call(&["kill", "--signal", "KILL", &handle.name]).await?;
        tokio::time::timeout(CALL, self.wait(handle))
            .await
            .map_err(|_| RuntimeError(format!("{} still runs: end it with `container kill`", handle.name)))?
            .map(|_| ())
    }

    async fn remove(&self, handle: &Handle) -> Result<(), RuntimeError> {
        let output = self.call(&["delete", "--force", &handle.name]).await?;
        if output.ok() || self.find(&handle.name).await?.is_none() {
            return Ok(());
        }
        Err(RuntimeError(format!("`container delete` failed: {}", output.complaint())))
    }
}
