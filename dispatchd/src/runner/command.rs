//! Running a short command: without the daemon's credentials, with a deadline, its output bounded, its end certain.

use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::agents::WITHHELD;
use super::runtime::process;

/// The variable that marks a call.
const CALL: &str = "DISPATCH_CALL";
/// Between TERM and KILL of a call.
const GRACE: Duration = Duration::from_secs(2);
/// The state directory of this process's calls. The first wins: a process serves one, but for tests.
static OWNER: OnceLock<String> = OnceLock::new();

/// The most that is kept of either stream.
const OUTPUT_MAX: usize = 4 << 20;

/// What came of a command.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// Its exit code; `None` if a signal ended it.
    pub(super) code: Option<i32>,
    /// Standard output.
    pub(super) stdout: String,
    /// Standard error.
    pub(super) stderr: String,
}

impl Output {
    pub(super) fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// The last line of what it complained about.
    pub(super) fn complaint(&self) -> String {
        let last =
            |text: &str| text.lines().rev().find(|l| !l.trim().is_empty()).map(|l| l.trim().to_owned());
        last(&self.stderr).or_else(|| last(&self.stdout)).unwrap_or_else(|| match self.code {
            Some(code) => format!("exit code {code}"),
            None => "ended by a signal".to_owned(),
        })
    }
}

/// `program`, ready for its arguments: with the daemon's environment but for its credentials (what an engine starts lives
/// on with that environment), and in a group of its own, for a signal to the daemon's (Ctrl-C) is not meant for it.
pub(super) fn of(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in WITHHELD {
        command.env_remove(name);
    }
    command.process_group(0);
    command
}

/// Whether this program is in the daemon's PATH.
pub(super) fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Marks `command` as a call of the daemon over this state directory, so that the next daemon can end it. Not for engines:
/// what they start would carry the mark.
pub(super) fn mark(command: &mut Command) {
    if let Some(owner) = OWNER.get() {
        command.env(CALL, owner);
    }
}

/// Says whose calls are marked from now on, and ends those of a daemon before this one that was killed: a hook, or a git
/// that would write into what is about to be made again. Only the first time: what is marked later is this process's own.
pub(super) async fn take_over(owner: &str) {
    if OWNER.set(owner.to_owned()).is_ok() {
        process::end_marked(CALL, owner, GRACE).await;
    }
}

/// A started command with all that it started in its group. What is not finished when this goes is ended, politely first:
/// git takes its locks away then.
struct Started(Option<Child>);

impl Drop for Started {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let (Some(group), Ok(runtime)) = (group, tokio::runtime::Handle::try_current()) else { return };
        let _ = kill_process_group(group, Signal::TERM);
        runtime.spawn(async move {
            let _ = tokio::time::timeout(GRACE, child.wait()).await;
            // As long as one of the group lives its number is not given away.
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait().await;
        });
    }
}

/// Runs `command` with nothing on standard input. It is ended, with its group, when it takes longer than `limit`, or when the
/// caller gives up waiting.
///
/// # Errors
/// A sentence, if it could not be started or took too long. A failing exit code is no error here.
pub(super) async fn run(command: Command, limit: Duration) -> Result<Output, String> {
    run_on(command, Stdio::null(), limit).await
}

/// As [`run`], with this standard input.
///
/// # Errors
/// As [`run`].
pub(super) async fn run_on(command: Command, stdin: Stdio, limit: Duration) -> Result<Output, String> {
    watched(command, stdin, limit, |_| {}).await
}

/// As [`run`]; tells `said` of each line of either stream as it comes.
///
/// # Errors
/// As [`run`].
pub(super) async fn run_telling(
    command: Command,
    limit: Duration,
    said: impl FnMut(&str) + Send,
) -> Result<Output, String> {
    watched(command, Stdio::null(), limit, said).await
}

async fn watched(
    mut command: Command,
    stdin: Stdio,
    limit: Duration,
    said: impl FnMut(&str) + Send,
) -> Result<Output, String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!("`{name}` is not installed or not in PATH"),
        _ => format!("`{name}` could not be started: {e}"),
    })?;
    let mut started = Started(Some(child));
    let Some(child) = &mut started.0 else { return Err(format!("`{name}` is not there")) };
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let said = std::sync::Mutex::new(said);
    let work = async {
        let (stdout, stderr, status) = tokio::join!(read(out, &said), read(err, &said), child.wait());
        status.map(|status| Output { code: status.code(), stdout, stderr })
    };
    let done = tokio::time::timeout(limit, work).await;
    if done.is_ok() {
        started.0 = None;
    }
    match done {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(e)) => Err(format!("`{name}` could not be waited for: {e}")),
        Err(_) => Err(format!("`{name}` took longer than {} s", limit.as_secs())),
    }
}

/// Reads to the end. What is beyond the bound is read and dropped, so that the command does not hang on a full pipe.
async fn read(
    from: Option<impl tokio::io::AsyncRead + Unpin>,
    said: &std::sync::Mutex<impl FnMut(&str)>,
) -> String {
    let Some(mut from) = from else { return String::new() };
    let (mut kept, mut told, mut buffer) = (Vec::new(), 0, vec![0; 16 << 10]);
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let room = OUTPUT_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..n.min(room)]);
        while let Some(end) = kept[told..].iter().position(|b| *b == b'\n') {
            let line = String::from_utf8_lossy(&kept[told..told + end]);
            (said.lock().unwrap_or_else(std::sync::PoisonError::into_inner))(&line);
            told += end + 1;
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}
