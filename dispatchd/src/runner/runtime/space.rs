//! A PID namespace for each run without a container, where it can have no control group. Whatever a tool does to get away, it
//! stays in its namespace, can be found by it, and ends with the first process of it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::runner::command::is_installed;

/// How long the kernel may take to make one.
const MADE: Duration = Duration::from_secs(5);

/// What stands before a command so that it gets a namespace of its own; `None` where this process may make none. Tried once.
pub(super) fn words() -> Option<&'static [&'static str]> {
    static WORDS: OnceLock<Option<Vec<&'static str>>> = OnceLock::new();
    WORDS.get_or_init(|| candidates().into_iter().find(|words| works(words))).as_deref()
}

fn candidates() -> Vec<Vec<&'static str>> {
    let pid = ["--pid", "--fork", "--kill-child"];
    let root = rustix::process::geteuid().is_root();
    if root && !is_installed("setpriv") {
        return Vec::new();
    }
    // Not as its own root: there are programs that refuse to work so.
    let user: &[&str] = if root { &[] } else { &["--user", "--map-current-user"] };
    // Without a /proc of its own, a program that looks itself up there finds somebody else.
    [&["--mount-proc"][..], &[]].map(|proc| [&["unshare"], user, &pid, proc].concat()).into()
}

fn works(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn link(path: String) -> Option<String> {
    std::fs::read_link(Path::new(&path)).ok().map(|to| to.to_string_lossy().into_owned())
}

/// The namespace that a process is in, as the kernel names it.
pub(super) fn of(pid: i32) -> Option<String> {
    link(format!("/proc/{pid}/ns/pid"))
}

/// The namespace that `pid`, an `unshare` that was just started, makes for its child; `None` if it makes none in time.
pub(super) async fn made_by(pid: u32) -> Option<String> {
    let own = link("/proc/self/ns/pid".into())?;
    let made = async {
        loop {
            match link(format!("/proc/{pid}/ns/pid_for_children")) {
                Some(made) if made != own => return Some(made),
                _ if !Path::new(&format!("/proc/{pid}/stat")).exists() => return None,
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    tokio::time::timeout(MADE, made).await.ok().flatten()
}
