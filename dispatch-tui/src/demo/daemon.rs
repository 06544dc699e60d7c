//! The demo's own daemon: started with nothing of the user's settings, ended together with everything it runs.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use dispatch_shared::client::Client;
use dispatch_shared::protocol::runs::{KillRequest, RunsQuery};
use tokio::process::{Child, Command};

use super::place::Place;
use crate::cli::{Failure, dispatchd, wait_until};

/// How long it may take to answer.
const START: Duration = Duration::from_secs(15);
/// How long runs may take to end.
const RUNS: Duration = Duration::from_secs(10);
/// How long it may take to leave.
const LEAVE: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Daemon {
    child: Child,
    client: Client,
}

impl Daemon {
    /// Starts it.
    pub(super) fn spawn(place: &Place, client: Client) -> Result<Daemon, Failure> {
        let program = dispatchd()?;
        let log = File::create(place.log());
        let log = log.map_err(|e| format!("{} could not be made: {e}", place.log().display()))?;
        let also =
            log.try_clone().map_err(|e| format!("{} could not be used: {e}", place.log().display()))?;
        let mut command = Command::new(&program);
        // Nothing of the user's: no token to call GitHub with, no other daemon's socket or settings.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let theirs = ["DISPATCH_", "GITHUB_", "GH_", "PR_", "WEBHOOK_", "CORE_AGENT_", "AGENT_DOCKER_"];
            if theirs.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        let child = command
            .env("DISPATCH_STATE_DIR", place.state())
            .env("DISPATCH_SOCKET", place.socket())
            .env("DISPATCH_CONFIG", place.config())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(also)
            // Ctrl-C is for the demo, which ends the daemon in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("{} could not be started: {e}", program.display()))?;
        Ok(Daemon { child, client })
    }

    /// Waits until it answers.
    pub(super) async fn answers(&mut self, place: &Place) -> Result<(), Failure> {
        let mut gone = None;
        let up = wait_until(START, async || {
            gone = self.child.try_wait().ok().flatten();
            gone.is_some() || self.client.health().await.is_ok()
        })
        .await;
        if up && gone.is_none() {
            return Ok(());
        }
        let last = place.last_log_line().unwrap_or_else(|| "it said nothing".to_owned());
        let what = gone.map_or_else(
            || format!("did not answer within {} s", START.as_secs()),
            |status| format!("ended at once ({status})"),
        );
        Err(Failure::Said(format!("the demo's daemon {what}: {last}")))
    }

    /// Ends its runs, which would outlive it, then the daemon itself: TERM, patience, KILL.
    pub(super) async fn stop(mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = tokio::time::timeout(RUNS, end_runs(&self.client)).await;
        }
        let pid =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(LEAVE, self.child.wait()).await.is_err() {
            // Waits for it as well.
            let _ = self.child.kill().await;
        }
    }
}

/// Hands out nothing more, kills what lives, and waits until nothing does. A daemon that does not answer any more has
/// nothing to wait for.
async fn end_runs(client: &Client) {
    if client.freeze(true).await.is_err() {
        return;
    }
    let live = RunsQuery { state: Some("live".to_owned()), ..RunsQuery::default() };
    for run in client.runs(&live).await.unwrap_or_default() {
        let _ = client.kill(run.id, &KillRequest { now: true, attempt: Some(run.attempt) }).await;
    }
    wait_until(RUNS, async || client.runs(&live).await.is_ok_and(|runs| runs.is_empty())).await;
}
