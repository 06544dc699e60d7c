//! Finds the daemon, and starts the one that stands beside this program if nobody answers.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dispatch_shared::client::{Client, Error};
use dispatch_shared::endpoint::{Endpoint, state_dir};

use super::Failure;
use super::args::Global;

/// How long a daemon may take until it answers; recovering a large store after a crash takes its time.
const START: Duration = Duration::from_secs(20);

pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// The token to show. The local socket takes everybody for the operator, and would only refuse a token that is meant for
/// another daemon; a worker's is shown there too, for it asks for less.
fn token(endpoint: &Endpoint, env: impl Fn(&str) -> Option<String>) -> Option<String> {
    let operator = env("DISPATCH_AGENT_TOKEN").or_else(|| env("DISPATCH_MAINTAINER_TOKEN"));
    match (endpoint, operator) {
        (Endpoint::Local(_), Some(_)) => None,
        (_, operator) => operator.or_else(|| env("DISPATCH_WORKER_TOKEN")),
    }
}

/// A client whose daemon answers, started if need be.
pub(super) async fn connect(global: &Global) -> Result<Client, Failure> {
    let endpoint = match &global.url {
        Some(url) => Endpoint::parse(url).map_err(|e| format!("--url: {e}"))?,
        None => Endpoint::from_env(env)?,
    };
    let token = token(&endpoint, env);
    let client = Client::new(endpoint, token, env("DISPATCH_AGENT_NAME"))?;
    // Asking first costs one round trip, which a remote daemon does not need: it is never started from here.
    let Endpoint::Local(socket) = client.endpoint() else { return Ok(client) };
    match client.health().await {
        Err(Error::Unreachable { .. }) if !global.no_spawn => start(socket, &client).await?,
        Err(e @ Error::Unreachable { .. }) => return Err(e.into()),
        // Whatever else it says, somebody is there; the command itself will hear it.
        _ => {}
    }
    Ok(client)
}

/// The `dispatchd` beside this program.
pub(crate) fn dispatchd() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|e| format!("where this program lies is unknown: {e}"))?;
    let beside = own.with_file_name("dispatchd");
    if beside.is_file() {
        return Ok(beside);
    }
    Err(Failure::Said(format!(
        "no daemon answers, and there is no {} to start; install it there or start it yourself",
        beside.display()
    )))
}

async fn start(socket: &Path, client: &Client) -> Result<(), Failure> {
    let program = dispatchd()?;
    let state = state_dir(env);
    let failed =
        |what: &Path, e: std::io::Error| Failure::Said(format!("{} cannot be made: {e}", what.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(&state).map_err(|e| failed(&state, e))?;
    let log_path = state.join("dispatchd.log");
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&log_path);
    let log = log.map_err(|e| failed(&log_path, e))?;
    let mut child = spawn(&program, socket, log)
        .map_err(|e| Failure::Said(format!("{} could not be started: {e}", program.display())))?;
    let answers = async || client.health().await.is_ok();
    let mut gone = None;
    let up = wait_until(START, async || {
        if answers().await {
            return true;
        }
        gone = child.try_wait().ok().flatten();
        gone.is_some()
    })
    .await;
    // It may have ended because another one was faster: then that one answers.
    if up && (gone.is_none() || answers().await) {
        return Ok(());
    }
    let last = last_line(&log_path).unwrap_or_else(|| "it said nothing".to_owned());
    let what = gone.map_or_else(
        || format!("does not answer after {} s", START.as_secs()),
        |status| format!("ended at once ({status})"),
    );
    Err(Failure::Said(format!("{} {what}: {last} (log: {})", program.display(), log_path.display())))
}

/// In a process group of its own, so that Ctrl-C in this terminal does not reach it.
fn spawn(program: &Path, socket: &Path, log: File) -> std::io::Result<Child> {
    Command::new(program)
        .env("DISPATCH_SOCKET", socket)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
}

pub(crate) fn last_line(path: &Path) -> Option<String> {
    let text = std::fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().map(str::trim).rfind(|l| !l.is_empty()).map(str::to_owned)
}

/// Asks `is_so` until it is; false if that took longer than `patience`.
pub(crate) async fn wait_until(patience: Duration, mut is_so: impl AsyncFnMut() -> bool) -> bool {
    let ask = async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        loop {
            pause.tick().await;
            if is_so().await {
                return;
            }
        }
    };
    tokio::time::timeout(patience, ask).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_higher_token_is_shown_where_one_is_asked_for() {
        let both = |name: &str| match name {
            "DISPATCH_MAINTAINER_TOKEN" => Some("m".to_owned()),
            "DISPATCH_WORKER_TOKEN" => Some("w".to_owned()),
            _ => None,
        };
        let worker = |name: &str| (name == "DISPATCH_WORKER_TOKEN").then(|| "w".to_owned());
        let (local, tcp) = (Endpoint::parse("unix:///x").unwrap(), Endpoint::parse("http://x:1").unwrap());
        assert_eq!(token(&tcp, both).as_deref(), Some("m"));
        assert_eq!(token(&tcp, worker).as_deref(), Some("w"));
        assert_eq!(token(&local, both), None);
        assert_eq!(token(&local, worker).as_deref(), Some("w"));
    }
}
