//! No container: a process in a session of its own that outlives the daemon. It isolates nothing and must be asked for.
//!
//! What is known of a run lies in `<state>/host/<run>-<attempt>/`: `pid` (number and start time, written by the wrapper
//! itself so that a crash of the daemon loses nothing), `log`, and `exit`, which appears whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::run::RuntimeKind;
use notify::{RecursiveMode, Watcher};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::process::{self, MARK, Root};
use crate::edges::{Exit, Found, Handle, RunSpec, Runtime, RuntimeError};

/// `$1` the run's directory, `$2` the prompt, then the program. The start time is field 22 of /proc/PID/stat.
const WRAPPER: &str = r#"
dir=$1; prompt=$2; shift 2
began=$(read -r line 2>/dev/null </proc/$$/stat && { set -- ${line##*) }; echo "${20}"; })
echo "$$ ${began:-0}" >"$dir/pid.new" && mv "$dir/pid.new" "$dir/pid"
"$@" <"$prompt" >>"$dir/log" 2>&1
echo $? >"$dir/exit.new" && mv "$dir/exit.new" "$dir/exit"
"#;
/// How long the wrapper may take to say that it lives.
const START: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Host {
    dir: PathBuf,
    state: String,
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> RuntimeError {
    let path = path.display().to_string();
    move |e| RuntimeError(format!("{path}: {e}"))
}

impl Host {
    pub(super) fn new(state_dir: &Path, state: String) -> Self {
        Self { dir: state_dir.join("host"), state }
    }

    fn run_dir(&self, run: RunId, attempt: Attempt) -> PathBuf {
        self.dir.join(format!("{run}-{}", attempt.0))
    }

    fn of(&self, handle: &Handle) -> PathBuf {
        self.run_dir(handle.run, handle.attempt)
    }

    fn mark(&self, run: RunId, attempt: Attempt) -> String {
        format!("{}-{run}-{}", self.state, attempt.0)
    }
}

fn root(dir: &Path) -> Option<Root> {
    let text = fs::read_to_string(dir.join("pid")).ok()?;
    let (pid, began) = text.trim().split_once(' ')?;
    Some(Root { pid: pid.parse().ok()?, began: began.parse().ok()? })
}

fn exit(dir: &Path) -> Option<Exit> {
    let text = fs::read_to_string(dir.join("exit")).ok()?;
    Some(Exit::Code(text.trim().parse().unwrap_or(-1)))
}

/// Wakes when something in `dir` changed. The pause is for the end of a process that leaves no file, and for file
/// systems that tell nothing.
struct Changes {
    _watcher: Option<notify::RecommendedWatcher>,
    rx: mpsc::Receiver<()>,
}

impl Changes {
    fn of(dir: &Path) -> Self {
        let (tx, rx) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |_| {
            let _ = tx.try_send(());
        })
        .and_then(|mut w| w.watch(dir, RecursiveMode::NonRecursive).map(|()| w));
        Self { _watcher: watcher.ok(), rx }
    }

    async fn next(&mut self) {
        let told = async {
            if self.rx.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), told).await;
    }
}

async fn follow(dir: PathBuf, offset: u64, mut to: tokio::io::DuplexStream) -> std::io::Result<()> {
    let mut changes = Changes::of(&dir);
    let mut file = tokio::fs::File::open(dir.join("log")).await?;
    file.seek(std::io::SeekFrom::Start(offset)).await?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        // Asked before reading: what was written before the end is read after it.
        let over = exit(&dir).is_some() || !root(&dir).is_some_and(process::alive);
        loop {
            let n = file.read(&mut buffer).await?;
            if n == 0 {
                break;
            }
            to.write_all(&buffer[..n]).await?;
        }
        if over {
            return Ok(());
        }
        changes.next().await;
    }
}

fn wrapper(spec: &RunSpec, dir: &Path, mark: &str) -> Command {
    // A session of its own, so that the end of a terminal does not reach it. Not everywhere is there a setsid.
    let setsid = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|p| p.join("setsid").is_file()));
    let mut command = if setsid {
        let mut command = Command::new("setsid");
        command.arg("sh");
        command
    } else {
        let mut command = Command::new("sh");
        command.process_group(0);
        command
    };
    command.arg("-c").arg(WRAPPER).arg("dispatch").arg(dir).arg(&spec.prompt).args(&spec.argv);
    command.current_dir(&spec.repo_dir).env_clear();
    let kept = ["PATH", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME"].map(str::to_owned);
    for name in kept.iter().chain(&spec.env_names) {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(spec.env.iter().map(|(k, v)| (k, v)));
    command.envs([("TERM", "dumb"), ("NO_COLOR", "1"), ("CI", "true"), (MARK, mark)]);
    command.env("HOME", &spec.home);
    if rustix::process::geteuid().is_root() {
        command.uid(spec.uid_gid.0).gid(spec.uid_gid.1);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[async_trait]
impl Runtime for Host {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Host
    }

    async fn check(&self) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn start(&self, spec: &RunSpec) -> Result<Handle, RuntimeError> {
        let dir = self.run_dir(spec.run, spec.attempt);
        let mark = self.mark(spec.run, spec.attempt);
        if let Some(old) = root(&dir) {
            process::end(old, &mark, Duration::ZERO).await.map_err(RuntimeError)?;
        }
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).map_err(io(&dir))?;
        fs::write(dir.join("log"), "").map_err(io(&dir))?;
        if rustix::process::geteuid().is_root() {
            for path in [dir.clone(), dir.join("log")] {
                std::os::unix::fs::lchown(&path, Some(spec.uid_gid.0), Some(spec.uid_gid.1))
                    .map_err(io(&path))?;
            }
        }
        let mut changes = Changes::of(&dir);
        let mut child = wrapper(spec, &dir, &mark).spawn().map_err(|e| {
            RuntimeError(format!("the program could not be started in {}: {e}", spec.repo_dir.display()))
        })?;
        let said = async {
            while root(&dir).is_none() {
                changes.next().await;
            }
        };
        let lives = tokio::select! {
            _ = child.wait() => root(&dir).is_some(),
            lives = tokio::time::timeout(START, said) => lives.is_ok(),
        };
        let pid = root(&dir).filter(|_| lives).map(|r| r.pid).ok_or_else(|| {
            RuntimeError(format!("the program did not start: is {} writable for its user?", dir.display()))
        })?;
        // Somebody must take note of its end, or it stays as a zombie.
        tokio::spawn(async move { child.wait().await });
        Ok(Handle { run: spec.run, attempt: spec.attempt, name: format!("pid {pid}") })
    }

    async fn list(&self) -> Result<Vec<Found>, RuntimeError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ids =
                name.rsplit_once('-').and_then(|(r, a)| Some((r.parse().ok()?, Attempt(a.parse().ok()?))));
            let (Some((run, attempt)), Some(root)) = (ids, root(&entry.path())) else { continue };
            let running = exit(&entry.path()).is_none() && process::alive(root);
            let handle = Handle { run, attempt, name: format!("pid {}", root.pid) };
            found.push(Found { handle, running });
        }
        Ok(found)
    }

    async fn logs(
        &self,
        handle: &Handle,
        offset: u64,
    ) -> Result<Box<dyn AsyncRead + Send + Unpin>, RuntimeError> {
        let dir = self.of(handle);
        let (to, from) = tokio::io::duplex(64 << 10);
        let task = tokio::spawn(async move {
            if let Err(error) = follow(dir.clone(), offset, to).await {
                tracing::debug!(%error, dir = %dir.display(), "the log is not followed any more");
            }
        });
        Ok(Box::new(super::Following::new(from, task)))
    }

    async fn wait(&self, handle: &Handle) -> Result<Exit, RuntimeError> {
        let dir = self.of(handle);
        let mut changes = Changes::of(&dir);
        loop {
            let lives = root(&dir).is_some_and(process::alive);
            if let Some(exit) = exit(&dir) {
                return Ok(exit);
            }
            if !lives {
                return Ok(Exit::Lost);
            }
            changes.next().await;
        }
    }

    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), RuntimeError> {
        let Some(root) = root(&self.of(handle)) else { return Ok(()) };
        process::end(root, &self.mark(handle.run, handle.attempt), grace).await.map_err(RuntimeError)
    }

    async fn remove(&self, handle: &Handle) -> Result<(), RuntimeError> {
        // The program may have left children behind.
        self.stop(handle, Duration::ZERO).await?;
        let dir = self.of(handle);
        match fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(&dir)(e)),
            _ => Ok(()),
        }
    }
}
