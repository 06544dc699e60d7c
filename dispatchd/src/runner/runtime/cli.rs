//! docker and podman, through their command lines: one implementation, the differences are in the arguments.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::run::RuntimeKind;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::argv::{self, Traits};
use crate::edges::{Exit, Found, Handle, RunSpec, Runtime, RuntimeError, Told, Wants};
use crate::runner::command::{self, Output};
use crate::runner::pull::Layers;

/// How long a short call may take.
const CALL: Duration = Duration::from_secs(60);
/// How long an engine may take to say that it is there.
const CHECK: Duration = Duration::from_secs(15);
/// How long an image may take to come.
const PULL: Duration = Duration::from_secs(1_800);

/// How often a start is tried again because somebody else was about to do the same.
const TRIES: u32 = 5;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Cli {
    kind: RuntimeKind,
    state: String,
    traits: std::sync::Arc<OnceCell<Traits>>,
}

/// What the engine says of a container.
struct Seen {
    running: bool,
    status: String,
    code: i32,
    out_of_memory: bool,
}

impl Cli {
    pub(super) fn new(kind: RuntimeKind, state: String) -> Self {
        Self { kind, state, traits: std::sync::Arc::default() }
    }

    fn program(&self) -> &'static str {
        self.kind.word()
    }

    fn command<I: AsRef<str>>(&self, args: impl IntoIterator<Item = I>) -> Command {
        let mut command = command::of(self.program());
        command.args(args.into_iter().map(|a| a.as_ref().to_owned()));
        command
    }

    async fn call(&self, args: &[&str]) -> Result<Output, RuntimeError> {
        command::run(self.command(args), CALL).await.map_err(RuntimeError)
    }

    fn failed(&self, what: &str, output: &Output) -> RuntimeError {
        RuntimeError(format!("`{} {what}` failed: {}", self.program(), output.complaint()))
    }

    async fn traits(&self) -> Result<Traits, RuntimeError> {
        let ask = || async {
            let format = match self.kind {
                RuntimeKind::Podman => {
                    "{{.Host.CgroupsVersion}} {{if .Host.Security.Rootless}}rootless{{end}}"
                }
                _ => "{{.CgroupVersion}} {{json .SecurityOptions}}",
            };
            let info = self.call(&["info", "--format", format]).await?;
            if !info.ok() {
                return Err(self.failed("info", &info));
            }
            let version = info.stdout.split_whitespace().next().unwrap_or_default();
            Ok(Traits {
                rootless: info.stdout.contains("rootless"),
                old_groups: version.trim_start_matches('v') == "1",
            })
        };
        self.traits.get_or_try_init(ask).await.copied()
    }

    /// `None` if there is no such container.
    async fn inspect(&self, name: &str) -> Result<Option<Seen>, RuntimeError> {
        const FORMAT: &str = "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}} {{.State.OOMKilled}}";
        let output = self.call(&["container", "inspect", "--format", FORMAT, name]).await?;
        if !output.ok() {
            return if gone(&output) { Ok(None) } else { Err(self.failed("container inspect", &output)) };
        }
        let words: Vec<&str> = output.stdout.split_whitespace().collect();
        match words[..] {
            [status, running, code, oom] => Ok(Some(Seen {
                running: running == "true",
                status: status.to_owned(),
                code: code.parse().unwrap_or(-1),
                out_of_memory: oom == "true",
            })),
            _ => Err(RuntimeError(format!(
                "`{} container inspect` said: {}",
                self.program(),
                output.stdout.trim()
            ))),
        }
    }

    /// Copies the log from byte `*at` on until it ends. Returns false if the reader has gone.
    async fn copy(
        &self,
        name: &str,
        follow: bool,
        at: &mut u64,
        to: &mut tokio::io::DuplexStream,
    ) -> Result<bool, RuntimeError> {
        let args: &[&str] = if follow { &["logs", "--follow", name] } else { &["logs", name] };
        let mut child = self
            .command(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| RuntimeError(format!("`{} logs` could not be started: {e}", self.program())))?;
        let Some(mut from) = child.stdout.take() else { return Ok(true) };
        let mut skip = *at;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = from.read(&mut buffer).await.unwrap_or(0);
            if n == 0 {
                let _ = child.wait().await;
                return Ok(true);
            }
            let drop = usize::try_from(skip).unwrap_or(usize::MAX).min(n);
            skip -= drop as u64;
            if to.write_all(&buffer[drop..n]).await.is_err() {
                return Ok(false);
            }
            *at += (n - drop) as u64;
        }
    }

    /// Follows the log through lost connections and restarts of the engine.
    async fn follow(self, name: String, mut at: u64, mut to: tokio::io::DuplexStream) {
        let mut pause = Duration::from_millis(200);
        loop {
            let before = at;
            if let Ok(false) = self.copy(&name, true, &mut at, &mut to).await {
                return;
            }
            match self.inspect(&name).await {
                Ok(Some(seen)) if seen.running => {}
                Ok(_) => break,
                Err(error) => tracing::warn!(%error, container = name, "the engine does not answer"),
            }
            if at > before {
                pause = Duration::from_millis(200);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(30));
        }
        // A follower may be told of the end before it was given the last lines.
        let _ = self.copy(&name, false, &mut at, &mut to).await;
    }

    async fn discard(&self, name: &str) -> Result<(), RuntimeError> {
        let output = self.call(&["rm", "--force", "--volumes", name]).await?;
        if output.ok() || gone(&output) { Ok(()) } else { Err(self.failed("rm --force", &output)) }
    }

    async fn signal(&self, name: &str, signal: &str) -> Result<(), RuntimeError> {
        let output = self.call(&["kill", "--signal", signal, name]).await?;
        if output.ok() || gone(&output) || over(&output) {
            return Ok(());
        }
        match self.inspect(name).await? {
            Some(seen) if seen.running => Err(self.failed("kill", &output)),
            _ => Ok(()),
        }
    }
}

fn gone(output: &Output) -> bool {
    let text = output.stderr.to_lowercase();
    text.contains("no such container") || text.contains("no container with name")
}

/// Another container bears the name.
fn taken(output: &Output) -> bool {
    output.stderr.contains("already in use")
}

fn over(output: &Output) -> bool {
    let text = output.stderr.to_lowercase();
    text.contains("is not running")
        || text.contains("container state improper")
        || text.contains("can only kill running")
}

#[async_trait]
impl Runtime for Cli {
    fn kind(&self) -> RuntimeKind {
        self.kind
    }

    fn handle(&self, run: RunId, attempt: Attempt) -> Handle {
        Handle { run, attempt, name: argv::name(run, attempt, &self.state) }
    }

    async fn check(&self) -> Result<(), RuntimeError> {
        let program = self.program();
        if !command::is_installed(program) {
            return Err(RuntimeError(format!(
                "`{program}` is not installed or not in the daemon's PATH: install it (`apt install {}`), or choose another \
                 runner.runtime",
                if self.kind == RuntimeKind::Docker { "docker.io" } else { program }
            )));
        }
        let next = match self.kind {
            RuntimeKind::Docker => "start it with `systemctl start docker`",
            _ => "see what `podman info` says",
        };
        let silent = |why: String| {
            RuntimeError(format!(
                "{program} is there and does not answer: {why}; {next}, or choose another runner.runtime"
            ))
        };
        let output = command::run(self.command(["info"]), CHECK).await.map_err(silent)?;
        if !output.ok() {
            return Err(silent(output.complaint()));
        }
        self.traits().await.map(|_| ())
    }

    async fn fits(&self, wants: &Wants) -> Result<(), RuntimeError> {
        let program = self.program();
        if let Some(why) = self.traits().await?.refuses_limits(self.kind).filter(|_| wants.limits) {
            return Err(RuntimeError(why));
        }
        let network = &wants.network;
        if !matches!(network.as_str(), "none" | "default")
            && !self.call(&["network", "inspect", network]).await?.ok()
        {
            return Err(RuntimeError(format!(
                "runner.network: {program} has no network `{network}`: make it with `{program} network create {network}`, or \
                 use \"default\" or \"none\""
            )));
        }
        for image in &wants.images {
            if !self.image(image).await? {
                return Err(RuntimeError(format!(
                    "{program} has no image `{image}`, and runner.pull = \"never\": build it with `dispatchd image build`, or \
                     fetch it with `{program} pull {image}`"
                )));
            }
        }
        Ok(())
    }

    async fn image(&self, name: &str) -> Result<bool, RuntimeError> {
        let output = self.call(&["image", "inspect", "--format", "{{.Id}}", name]).await?;
        let text = output.stderr.to_lowercase();
        let none = ["no such image", "not found", "not known"].iter().any(|n| text.contains(n));
        if output.ok() || none { Ok(output.ok()) } else { Err(self.failed("image inspect", &output)) }
    }

    async fn pull(&self, name: &str) -> Result<(), RuntimeError> {
        self.pull_telling(name, &Told::new((0, None))).await
    }

    async fn pull_telling(&self, name: &str, tell: &Told) -> Result<(), RuntimeError> {
        let mut layers = Layers::default();
        let said = |line: &str| {
            if let Some(far) = layers.line(line) {
                tell.send_replace(far);
            }
        };
        let output =
            command::run_telling(self.command(["pull", name]), PULL, said).await.map_err(RuntimeError)?;
        if output.ok() {
            return Ok(());
        }
        Err(RuntimeError(format!(
            "the image `{name}` is not there and could not be pulled: {}; build one with `dispatchd image build`, or set \
             runner.image",
            output.complaint()
        )))
    }

    async fn start(&self, spec: &RunSpec) -> Result<Handle, RuntimeError> {
        let handle = self.handle(spec.run, spec.attempt);
        if let Some(why) = argv::unsayable(self.kind, spec) {
            return Err(RuntimeError(why));
        }
        let args = argv::start(self.kind, self.traits().await?, &handle.name, &self.state, spec);
        let mut tries = 0;
        loop {
            let output = command::run(self.command(&args), CALL).await.map_err(RuntimeError)?;
            if output.ok() {
                return Ok(handle);
            }
            // A start that a crash cut short may have left a container of that name, and its client may have outlived the
            // daemon that called it and take the name a moment later.
            let error = self.failed("run", &output);
            self.discard(&handle.name).await?;
            tries += 1;
            if tries > TRIES || !taken(&output) {
                return Err(error);
            }
            if tries > 1 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn list(&self) -> Result<Vec<Found>, RuntimeError> {
        let filter = format!("label={}={}", argv::STATE, self.state);
        let output = self.call(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]).await?;
        if !output.ok() {
            return Err(self.failed("ps", &output));
        }
        let mut found = Vec::new();
        for name in output.stdout.split_whitespace() {
            let format = format!(
                "{{{{index .Config.Labels \"{}\"}}}} {{{{index .Config.Labels \"{}\"}}}}",
                argv::RUN,
                argv::ATTEMPT
            );
            let labels = self.call(&["container", "inspect", "--format", &format, name]).await?;
            let Some(seen) = self.inspect(name).await? else { continue };
            let mut words = labels.stdout.split_whitespace();
            let (Some(Ok(run)), Some(Ok(attempt))) =
                (words.next().map(str::parse), words.next().map(str::parse))
            else {
                continue;
            };
            // Never started: a start will make it anew.
            if !matches!(seen.status.as_str(), "created" | "configured" | "initialized") {
                let handle = Handle { run, attempt: Attempt(attempt), name: name.to_owned() };
                found.push(Found { handle, running: seen.running });
            }
        }
        Ok(found)
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
        let mut pause = Duration::from_millis(200);
        loop {
            match self.inspect(&handle.name).await {
                Ok(None) => return Ok(Exit::Lost),
                Ok(Some(seen)) if !seen.running && seen.status != "created" => {
                    return Ok(if seen.out_of_memory && seen.code != 0 {
                        Exit::OutOfMemory
                    } else {
                        Exit::Code(seen.code)
                    });
                }
                Ok(Some(_)) => {}
                Err(error) => tracing::warn!(%error, container = handle.name, "the engine does not answer"),
            }
            let mut child = self
                .command(["wait", &handle.name])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .map_err(|e| RuntimeError(format!("`{} wait` could not be started: {e}", self.program())))?;
            let began = tokio::time::Instant::now();
            let _ = child.wait().await;
            // It ended although the container runs: the engine was restarted, or is not there.
            pause =
                if began.elapsed() > Duration::from_secs(5) { Duration::from_millis(200) } else { pause * 2 };
            pause = pause.min(Duration::from_secs(30));
            if !matches!(self.inspect(&handle.name).await, Ok(Some(seen)) if !seen.running) {
                tokio::time::sleep(pause).await;
            }
        }
    }

    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), RuntimeError> {
        if !grace.is_zero() {
            self.signal(&handle.name, "TERM").await?;
            if tokio::time::timeout(grace, self.wait(handle)).await.is_ok() {
                return Ok(());
            }
        }
        self.signal(&handle.name, "KILL").await?;
        match tokio::time::timeout(CALL, self.wait(handle)).await {
            Ok(ended) => ended.map(|_| ()),
            Err(_) => Err(RuntimeError(format!(
                "{} still runs although {} was told to kill it: end it by hand",
                handle.name,
                self.program()
            ))),
        }
    }

    async fn remove(&self, handle: &Handle) -> Result<(), RuntimeError> {
        self.discard(&handle.name).await
    }
}
