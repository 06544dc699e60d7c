//! Running a short command: without the daemon's credentials, with a deadline, its output bounded, its end certain.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::agents::WITHHELD;

/// The most that is kept of either stream.
const OUTPUT_MAX: u64 = 4 << 20;

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

/// Runs `command` with nothing on standard input. It is killed when it takes longer than `limit`, or when the caller
/// gives up waiting.
///
/// # Errors
/// A sentence, if it could not be started or took too long. A failing exit code is no error here.
pub(super) async fn run(mut command: Command, limit: Duration) -> Result<Output, String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!("`{name}` is not installed or not in PATH"),
        _ => format!("`{name}` could not be started: {e}"),
    })?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (stdout, stderr, status) = tokio::join!(read(out), read(err), child.wait());
        status.map(|status| Output { code: status.code(), stdout, stderr })
    };
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(e)) => Err(format!("`{name}` could not be waited for: {e}")),
        Err(_) => Err(format!("`{name}` took longer than {} s", limit.as_secs())),
    }
}

async fn read(from: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut kept = Vec::new();
    // What is beyond the bound is read and dropped, so that the command does not hang on a full pipe.
    let _ = (&mut from).take(OUTPUT_MAX).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}
