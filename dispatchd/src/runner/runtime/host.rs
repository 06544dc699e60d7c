//! No container: a process in a session of its own that outlives the daemon. It isolates nothing and must be asked for.
//!
//! What is known of a run lies in `<state>/host/<run>-<attempt>/`, which is the daemon's alone: `pid` (number and start time)
//! and `group` (its control group) or `space` (its PID namespace, where it can have no group), written before the program may begin, so that a crash of the daemon loses nothing;
//! `log`; and `exit`, which counts once its line is whole.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
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

use super::cgroup::Group;
use super::process::{self, MARK, Root, Tree};
use super::space;
use crate::edges::{Exit, Found, Handle, RunSpec, Runtime, RuntimeError, Wants};
use crate::runner::command::is_installed;

/// `$1` the prompt, then the program. It begins when the daemon has noted whose process this is and says so; a daemon that
/// dies before closes the pipe instead. Standard output is the log, standard error the exit code's file. TERM is for the
/// program: this shell lives on to tell how it ended.
const WRAPPER: &str = r#"
prompt=$1; shift
trap : TERM
read -r go || exit 125
"$@" <"$prompt" 2>&1
echo $? >&2
"#;

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

    /// What runs, or ran, in `dir`.
    fn tree(&self, handle: &Handle) -> Option<Tree> {
        let dir = self.of(handle);
        let group = fs::read_to_string(dir.join("group")).ok().and_then(|p| Group::at(p.into()));
        let space = fs::read_to_string(dir.join("space")).ok();
        Some(Tree { root: root(&dir)?, mark: self.mark(handle.run, handle.attempt), group, space })
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
    let line = text.lines().last().filter(|_| text.ends_with('\n'))?;
    Some(Exit::Code(line.trim().parse().unwrap_or(-1)))
}

/// Appears whole or not at all.
fn note(dir: &Path, name: &str, text: &str) -> Result<(), RuntimeError> {
    let new = dir.join(format!("{name}.new"));
    fs::write(&new, text).map_err(io(&new))?;
    fs::rename(&new, dir.join(name)).map_err(io(&new))
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

/// The command that runs the program, behind `words` that give it a namespace if there are some.
fn wrapper(spec: &RunSpec, mark: &str, words: Option<&[&str]>) -> Command {
    // A session of its own, so that the end of a terminal does not reach it. Not everywhere is there a setsid.
    let mut line: Vec<String> = Vec::new();
    let session = is_installed("setsid");
    if session {
        line.push("setsid".into());
    }
    let root = rustix::process::geteuid().is_root();
    if let Some(words) = words {
        line.extend(words.iter().map(|w| (*w).to_owned()));
        if root {
            // Only root may make the namespace, so its rights go afterwards.
            let (uid, gid) = spec.uid_gid;
            let drop =
                ["setpriv", "--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--clear-groups"];
            line.extend(drop.map(str::to_owned));
        }
    }
    line.push("sh".into());
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]);
    if !session {
        command.process_group(0);
    }
    command.arg("-c").arg(WRAPPER).arg("dispatch").arg(&spec.prompt).args(&spec.argv);
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
    if root && words.is_none() {
        command.uid(spec.uid_gid.0).gid(spec.uid_gid.1);
    }
    command
}

#[async_trait]
impl Runtime for Host {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Host
    }

    fn handle(&self, run: RunId, attempt: Attempt) -> Handle {
        let name = root(&self.run_dir(run, attempt)).map_or_else(String::new, |r| format!("pid {}", r.pid));
        Handle { run, attempt, name }
    }

    async fn check(&self) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn fits(&self, _: &Wants) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn image(&self, _: &str) -> Result<bool, RuntimeError> {
        Ok(true)
    }

    async fn pull(&self, _: &str) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn start(&self, spec: &RunSpec) -> Result<Handle, RuntimeError> {
        let dir = self.run_dir(spec.run, spec.attempt);
        let mark = self.mark(spec.run, spec.attempt);
        self.remove(&self.handle(spec.run, spec.attempt)).await?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(io(&dir))?;
        let open = |name: &str| {
            let path = dir.join(name);
            fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(io(&path))
        };
        let group = Group::make(&format!("dispatch-{mark}"));
        let words = if group.is_none() { space::words() } else { None };
        let mut command = wrapper(spec, &mark, words);
        command.stdin(Stdio::piped()).stdout(open("log")?).stderr(open("exit")?);
        if let Some(group) = &group {
            note(&dir, "group", &group.dir().display().to_string())?;
        }
        let mut child = command.spawn().map_err(|e| {
            RuntimeError(format!("the program could not be started in {}: {e}", spec.repo_dir.display()))
        })?;
        let gone = || RuntimeError("the program was ended before it began".into());
        let (Some(pid), Some(mut gate)) = (child.id(), child.stdin.take()) else { return Err(gone()) };
        if let Some(Err(error)) = group.as_ref().map(|g| g.add(pid)) {
            tracing::warn!(%error, run = %spec.run, "the kernel takes no process into the run's group; it is followed by its marks");
        }
        if words.is_some() {
            let made = space::made_by(pid).await;
            note(
                &dir,
                "space",
                &made.ok_or_else(|| RuntimeError("the program got no PID namespace".into()))?,
            )?;
        } else if group.is_none() {
            tracing::warn!(run = %spec.run, "it has neither a control group nor a PID namespace; it is followed by its marks");
        }
        let began = i32::try_from(pid).map_or(0, process::began);
        note(&dir, "pid", &format!("{pid} {began}"))?;
        gate.write_all(b"go\n").await.map_err(|_| gone())?;
        drop(gate);
        // Somebody must take note of its end, or it stays as a zombie.
        tokio::spawn(async move { child.wait().await });
        Ok(self.handle(spec.run, spec.attempt))
    }

    async fn list(&self) -> Result<Vec<Found>, RuntimeError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ids =
                name.rsplit_once('-').and_then(|(r, a)| Some((r.parse().ok()?, Attempt(a.parse().ok()?))));
            let (Some((run, attempt)), Some(root)) = (ids, root(&entry.path())) else { continue };
            let running = exit(&entry.path()).is_none() && process::alive(root);
            found.push(Found { handle: self.handle(run, attempt), running });
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
        match self.tree(handle) {
            Some(tree) => tree.end(grace).await.map_err(RuntimeError),
            None => Ok(()),
        }
    }

    async fn remove(&self, handle: &Handle) -> Result<(), RuntimeError> {
        // The program may have left children behind.
        self.stop(handle, Duration::ZERO).await?;
        let dir = self.of(handle);
        // Also one that never had a process in it.
        let group = fs::read_to_string(dir.join("group")).ok().and_then(|p| Group::at(p.into()));
        if let Some(group) = group {
            group.remove();
        }
        match fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(&dir)(e)),
            _ => Ok(()),
        }
    }
}
