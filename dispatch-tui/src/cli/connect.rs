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
use crate::mcp::Tier;

/// How long a daemon may take until it answers; recovering a large store after a crash takes its time.
const START: Duration = Duration::from_secs(20);

pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// The token to show, and what it is good for. Nobody is more than its token says: a worker's alone makes a worker, on the
/// local socket too. That socket takes everybody else for the operator, and would only refuse an operator's token that is
/// meant for another daemon.
fn token(endpoint: &Endpoint, get: impl Fn(&str) -> Option<String>) -> (Option<String>, Tier) {
    match get("DISPATCH_AGENT_TOKEN").or_else(|| get("DISPATCH_MAINTAINER_TOKEN")) {
        Some(_) if matches!(endpoint, Endpoint::Local(_)) => (None, Tier::Maintainer),
        Some(token) => (Some(token), Tier::Maintainer),
        None => match get("DISPATCH_WORKER_TOKEN") {
            Some(token) => (Some(token), Tier::Worker),
            None => (None, Tier::Maintainer),
        },
    }
}

fn client(global: &Global) -> Result<(Client, Tier), Failure> {
    let endpoint = match &global.url {
        Some(url) => Endpoint::parse(url).map_err(|e| format!("--url: {e}"))?,
        None => Endpoint::from_env(env)?,
    };
    let (token, tier) = token(&endpoint, env);
    Ok((Client::new(endpoint, token, env("DISPATCH_AGENT_NAME"))?, tier))
}

/// A client for a session that outlives its daemon: one that cannot be reached now is no reason to end.
pub(super) async fn session(global: &Global) -> Result<(Client, Tier), Failure> {
    let (client, tier) = client(global)?;
    if let Err(e) = reach(global, &client).await {
        tracing::warn!("{e}");
    }
    Ok((client, tier))
}

/// A client whose daemon answers, started if need be.
pub(super) async fn connect(global: &Global) -> Result<Client, Failure> {
    let (client, _) = client(global)?;
    reach(global, &client).await?;
    Ok(client)
}

async fn reach(global: &Global, client: &Client) -> Result<(), Failure> {
    // Asking first costs one round trip, which a remote daemon does not need: it is never started from here.
    let Endpoint::Local(socket) = client.endpoint() else { return Ok(()) };
    match client.health().await {
        Err(Error::Unreachable { .. }) if !global.no_spawn => start(socket, client).await,
        Err(e @ Error::Unreachable { .. }) => Err(e.into()),
        // Whatever else it says, somebody is there; the command itself will hear it.
        _ => Ok(()),
    }
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

pub(crate) async fn start(socket: &Path, client: &Client) -> Result<(), Failure> {
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
    fn a_workers_token_alone_makes_a_worker() {
        let (local, tcp) = (Endpoint::parse("unix:///x").unwrap(), Endpoint::parse("http://x:1").unwrap());
        let with = |endpoint, set: &'static [&'static str]| {
            token(endpoint, |n| set.contains(&n).then(|| n.to_lowercase()))
        };
        let worker = (Some("dispatch_worker_token".to_owned()), Tier::Worker);
        assert_eq!(with(&tcp, &["DISPATCH_WORKER_TOKEN"]), worker);
        assert_eq!(with(&local, &["DISPATCH_WORKER_TOKEN"]), worker, "it asks for less on the socket too");
        let both: &[&str] = &["DISPATCH_WORKER_TOKEN", "DISPATCH_MAINTAINER_TOKEN"];
        assert_eq!(with(&tcp, both), (Some("dispatch_maintainer_token".into()), Tier::Maintainer));
        assert_eq!(with(&local, both), (None, Tier::Maintainer));
        assert_eq!(with(&tcp, &[]), (None, Tier::Maintainer));
    }
}
