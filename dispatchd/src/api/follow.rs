//! The event stream. One task turns each commit into one frame, which all followers share; a follower that falls too far
//! behind is told to start over.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dispatch_shared::Timestamp;
use dispatch_shared::event::{Seq, What};
use dispatch_shared::protocol::events::{Change, Progress, Snapshot};
use hyper::header;
use serde::Serialize;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::App;
use crate::core::record::Event;
use crate::core::world::World;
use crate::core::{problem, view};

/// How many frames a follower may be behind before it has to start over.
const BEHIND: usize = 1_024;
/// How often a silent stream shows that it lives, so that a dead peer is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long a follower may refuse to read before it is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Ended runs in a snapshot.
const RUNS: usize = 200;

#[derive(Clone, Debug)]
struct Frame {
    to: Seq,
    bytes: Bytes,
}

/// Makes the frames and hands them around.
#[derive(Debug)]
pub struct Hub {
    frames: broadcast::Sender<Frame>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { frames: broadcast::channel(BEHIND).0 }
    }
}

impl Hub {
    /// Makes a frame of every commit, and of progress as it comes, until `shutdown`.
    pub async fn run(&self, app: &App, shutdown: CancellationToken) {
        let mut commits = app.ledger.commits();
        let mut progress = app.forges.progress();
        let mut last = *commits.borrow_and_update();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = commits.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let to = *commits.borrow_and_update();
                    // A frame costs work: without followers there is none to make.
                    if self.frames.receiver_count() > 0 {
                        let bytes = match app.ledger.events_after(last) {
                            Some(events) => frame("change", Some(to), &change(app, &events, to)),
                            None => frame("reset", None, &serde_json::json!({})),
                        };
                        let _ = self.frames.send(Frame { to, bytes });
                    }
                    last = to;
                }
                step = progress.recv() => match step {
                    Ok(step) => {
                        let _ = self.frames.send(Frame { to: Seq(0), bytes: frame::<Progress>("progress", None, &step) });
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => {
                        progress = broadcast::channel(1).1;
                        shutdown_or_commit(&shutdown, &mut commits).await;
                    }
                },
            }
        }
    }
}

/// Without a source of progress only commits and the end are waited for.
async fn shutdown_or_commit(shutdown: &CancellationToken, commits: &mut tokio::sync::watch::Receiver<Seq>) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        _ = commits.changed() => commits.mark_changed(),
    }
}

fn frame<T: Serialize>(name: &str, id: Option<Seq>, data: &T) -> Bytes {
    let id = id.map_or_else(String::new, |seq| format!("id: {}\n", seq.0));
    let data = serde_json::to_string(data).unwrap_or_else(|_| String::from("{}"));
    Bytes::from(format!("event: {name}\n{id}data: {data}\n\n"))
}

/// What `events` changed, in its newest state.
fn change(app: &App, events: &[Event], to: Seq) -> Change {
    let world = app.ledger.snapshot();
    let now = app.edges.clock.now();
    let mut change = Change { seq: to, ..Change::default() };
    let mut seen = BTreeSet::new();
    let mut repos_touched = BTreeSet::new();
    let mut others = false;
    for event in events {
        if !seen.insert(format!("{:?}", event.what)) {
            continue;
        }
        match &event.what {
            What::Issue(id) | What::IssueGone(id) => {
                others = true;
                match world.card_by_id(id).filter(|c| view::on_board(&world, c, now)) {
                    Some(card) => {
                        repos_touched.insert(card.key.repo.clone());
                        change.issues.extend(view::issue(&world, card, None));
                    }
                    None => change.gone.push(id.clone()),
                }
            }
            What::Run(id) => {
                others = true;
                change.runs.extend(world.runs.get(id).and_then(|run| view::run(&world, run)));
            }
            What::Repo(name) | What::RepoGone(name) => {
                others = true;
                match world.repo_named(name) {
                    Some(repo) => drop(repos_touched.insert(repo.key.clone())),
                    None => change.repos_gone.push(name.clone()),
                }
            }
            What::Control => others = true,
            What::Audit(id) => change.audit.extend(app.ledger.audit_row(*id).ok().flatten()),
        }
    }
    for key in repos_touched {
        change.repos.extend(world.repos.get(&key).map(|repo| view::repo(&world, repo, now)));
    }
    if others {
        change.control = Some(app.control(&world));
        change.problems = Some(problem::problems(&world, now));
    }
    change
}

/// The whole state as `GET /api/events?snapshot=` sends it first.
pub fn snapshot(app: &App, world: &World, now: Timestamp, cards: bool, all: bool) -> Snapshot {
    let issues = if cards {
        world
            .cards
            .values()
            .filter(|card| view::on_board(world, card, now))
            .filter_map(|card| view::issue(world, card, None))
            .collect()
    } else {
        Vec::new()
    };
    let live = world.live_runs().count();
    Snapshot {
        seq: world.meta.seq,
        issues,
        runs: world
            .runs
            .values()
            .rev()
            .take(RUNS + live)
            .filter_map(|run| view::run(world, run))
            .filter(|run| all || !run.ended)
            .collect(),
        repos: world.tracked().map(|repo| view::repo(world, repo, now)).collect(),
        control: app.control(world),
        problems: problem::problems(world, now),
        lanes: world.policy.lanes.clone(),
    }
}

/// Where a follower starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the state: cards too, ended runs too.
    Snapshot {
        /// Cards.
        cards: bool,
        /// Ended runs.
        all: bool,
    },
    /// After an event it has seen.
    After(Seq),
    /// With what comes next.
    Now,
}

/// The events after one that the follower has seen; many of them lie on disk.
async fn missed(app: &App, after: Seq) -> Option<Vec<Event>> {
    let ledger = app.ledger.clone();
    tokio::task::spawn_blocking(move || ledger.events_after(after)).await.ok().flatten()
}

/// An answer that streams until the follower goes, falls behind, or the daemon goes down.
pub fn stream(app: App, start: Start) -> Response {
    // Subscribed before the state is read: what happens between comes twice at worst, never not at all.
    let mut frames = app.hub.frames.subscribe();
    let (out, rx) = mpsc::channel::<std::result::Result<Bytes, Infallible>>(16);
    tokio::spawn(async move {
        let send = async |bytes: Bytes| {
            matches!(tokio::time::timeout(WRITE_TIMEOUT, out.send(Ok(bytes))).await, Ok(Ok(())))
        };
        let mut seen = Seq(0);
        let first = match start {
            Start::Snapshot { cards, all } => {
                let world = app.ledger.snapshot();
                seen = world.meta.seq;
                let state = snapshot(&app, &world, app.edges.clock.now(), cards, all);
                frame("snapshot", Some(seen), &state)
            }
            Start::After(after) => match missed(&app, after).await {
                None => frame("reset", None, &serde_json::json!({})),
                Some(events) => {
                    seen = events.last().map_or(after, |e| e.seq);
                    frame("change", Some(seen), &change(&app, &events, seen))
                }
            },
            Start::Now => Bytes::from_static(b": hello\n\n"),
        };
        if !send(first).await {
            return;
        }
        loop {
            let next = tokio::select! {
                () = app.shutdown.cancelled() => return,
                () = out.closed() => return,
                next = tokio::time::timeout(KEEP_ALIVE, frames.recv()) => next,
            };
            let bytes = match next {
                Err(_) => Bytes::from_static(b": alive\n\n"),
                Ok(Ok(frame)) if frame.to != Seq(0) && frame.to <= seen => continue,
                Ok(Ok(frame)) => frame.bytes,
                Ok(Err(broadcast::error::RecvError::Lagged(_))) => {
                    send(frame("reset", None, &serde_json::json!({}))).await;
                    return;
                }
                Ok(Err(broadcast::error::RecvError::Closed)) => return,
            };
            if !send(bytes).await {
                return;
            }
        }
    });
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(rx));
    ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}
