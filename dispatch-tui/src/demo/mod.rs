//! `dispatch demo`: the whole loop on this machine, with nothing to configure. A sample repository on the local forge, a
//! daemon of its own, an agent that needs no model; real branches, commits and pull requests. What it started and made is
//! gone when it ends, however it ends.

mod daemon;
mod engine;
mod place;
mod story;

use std::process::ExitCode;
use std::time::Duration;

use dispatch_shared::client::{Client, Message};
use dispatch_shared::endpoint::Endpoint;
use dispatch_shared::protocol::events::EventsQuery;
use dispatch_shared::protocol::repos::{AddRepoRequest, PatchRepoRequest};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::cli::{Failure, args::Demo, env, out::Colour, out::Out};
use daemon::Daemon;
use place::Place;
use story::Story;

/// How long the sample work may take, headless.
const PATIENCE: Duration = Duration::from_secs(25);

/// Runs the demo and cleans up after it.
pub(crate) async fn run(args: Demo, out: &mut Out) -> Result<ExitCode, Failure> {
    // Before anything is made: a board without a terminal would only fail at the end of it.
    if !args.headless && !out.tty {
        return Err(Failure::Said(
            "the demo's board needs a terminal; `dispatch demo --headless` does without".into(),
        ));
    }
    // Listening comes first: from here on an interrupt leads through the cleaning.
    let mut interrupts = Interrupts::listen()?;
    let place = Place::make(args.keep.as_deref())?;
    let mut daemon = None;
    let worked = tokio::select! {
        done = work(&args, &place, &mut daemon, out) => done,
        code = interrupts.next() => {
            // The cleaning must come, even if nobody reads any more.
            let _ = out.line("interrupted; ending what was started");
            Ok(ExitCode::from(code))
        }
    };
    let log = place.last_log_line();
    if let Some(daemon) = daemon {
        daemon.stop().await;
    }
    let kept = place.leave()?;
    if let Some(kept) = kept {
        out.line(format!(
            "kept in {}: the repository in hello/, the daemon's state in state/",
            kept.display()
        ))?;
    }
    match (worked, log) {
        // The daemon was reached before, so it died: its last word says more than a broken connection.
        (Err(Failure::Daemon(e)), Some(log)) if e.code().is_none() => {
            Err(Failure::Said(format!("{e}; the daemon's last word: {log}")))
        }
        (worked, _) => worked,
    }
}

async fn work(
    args: &Demo,
    place: &Place,
    slot: &mut Option<Daemon>,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let engine = engine::choose(&args.runtime).await?;
    place.configure(&engine)?;
    if args.headless || engine.is_host() {
        out.line(format!("runtime: {engine}"))?;
    }
    let client = Client::new(Endpoint::Local(place.socket()), None, Some("demo".to_owned()))?;
    let daemon = slot.insert(Daemon::spawn(place, client.clone())?);
    daemon.answers(place).await?;
    let path = place.repository();
    let add = AddRepoRequest {
        full_name: None,
        forge: Some("local".to_owned()),
        path: Some(path.to_str().ok_or_else(|| format!("{} is no UTF-8 text", path.display()))?.to_owned()),
    };
    let repo = client.add_repo(&add).await?.full_name;
    client.sync(Some(&repo)).await?;
    let start = PatchRepoRequest { runner_enabled: Some(true), ..PatchRepoRequest::default() };
    if !args.headless {
        client.patch_repo(&repo, &start).await?;
        // A task of its own: if the terminal is torn away under it and it panics, the cleaning still comes.
        let mut board = JoinSet::new();
        board.spawn(crate::run_board(client, crate::BoardOptions::from_env(env)));
        return match board.join_next().await {
            Some(Ok(Err(e))) => Err(Failure::Said(format!("{e:#}"))),
            Some(Err(e)) => Err(Failure::Said(format!("the board failed: {e}"))),
            Some(Ok(Ok(()))) | None => Ok(ExitCode::SUCCESS),
        };
    }
    let mut story = Story::default();
    // Listening begins before the runner does, so that no step is missed.
    let query = EventsQuery { snapshot: Some("all".to_owned()), after: None };
    let mut events = client.events(&query).await?;
    out.line(format!("repository: {} as {repo}", path.display()))?;
    client.patch_repo(&repo, &start).await?;
    let told = tokio::time::timeout(PATIENCE, async {
        loop {
            let (issues, runs) = match events.next().await? {
                Some(Message::Snapshot(s)) => (s.issues, s.runs),
                Some(Message::Change(c)) => (c.issues, c.runs),
                Some(Message::Progress(_)) => continue,
                // The daemon ends a stream that lags: ask again, from the state as it is now.
                Some(Message::Reset) | None => {
                    events = client.events(&query).await?;
                    continue;
                }
            };
            for (line, colour) in story.read(&issues, &runs) {
                out.tinted(&line, colour)?;
            }
            if story.unmet().is_empty() {
                return Ok::<(), Failure>(());
            }
        }
    })
    .await;
    match told {
        Ok(done) => done?,
        Err(_) => {
            let unmet = story.unmet().join("; ");
            return Err(Failure::Said(format!("after {} s: {unmet}", PATIENCE.as_secs())));
        }
    }
    for branch in place.branches() {
        out.line(format!("git: {branch}"))?;
    }
    out.tinted("all as it should: #1 and #4 wait for review, #2 asks a question, #3 failed", Colour::Green)?;
    Ok(ExitCode::SUCCESS)
}

/// What ends a program from outside.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupts {
    fn listen() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(|e| Failure::Said(format!("signals cannot be caught: {e}")));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// The exit code that goes with the first signal to come.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
            _ = self.hangup.recv() => 129,
        }
    }
}
