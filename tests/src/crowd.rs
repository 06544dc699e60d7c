//! A stand-in for a daemon with very many cards: it answers the board's stream of events and nothing else of note. What a
//! real daemon needs for so many is not what is looked at.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dispatch_shared::Timestamp;
use dispatch_shared::event::Seq;
use dispatch_shared::id::IssueId;
use dispatch_shared::issue::{IssueState, Status};
use dispatch_shared::protocol::control::{Budget, Control, Freshness};
use dispatch_shared::protocol::events::{Change, Snapshot};
use dispatch_shared::protocol::issues::{Issue, RepositoryRef};
use dispatch_shared::run::Usage;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

/// It serves until it is dropped.
#[derive(Debug)]
pub struct Crowd {
    dir: TempDir,
    changes: broadcast::Sender<Arc<str>>,
    server: AbortHandle,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The card with a number; four of five are in the backlog, and it has the title that is given.
#[must_use]
pub fn card(number: u64, title: &str) -> Issue {
    let column = match number % 5 {
        1 => Status::Ready,
        _ => Status::Backlog,
    };
    let id = IssueId::new(format!("gh7-{number}"));
    let since = Timestamp(1_795_184_400_000 - i64::try_from(number).unwrap_or(0) * 1_000);
    Issue {
        id: id.clone(),
        issue_id: id,
        number,
        title: title.into(),
        url: format!("https://github.com/acme/api/issues/{number}"),
        state: IssueState::Open,
        body: None,
        labels: vec![column.label(), format!("priority/p{}", number % 4)],
        assignees: vec![],
        status: Some(column.label()),
        column,
        flags: vec![],
        priority: Some(format!("priority/p{}", number % 4)),
        kind: None,
        lane: "local".into(),
        current_lane: "local".into(),
        agent: None,
        owner: None,
        repository: RepositoryRef { owner: "acme".into(), name: "api".into(), full_name: "acme/api".into() },
        repo_full_name: "acme/api".parse().expect("a name"),
        decomposed: false,
        decomposed_note: None,
        follow_up_urls: vec![],
        groomed_at: None,
        linked_pr_number: None,
        linked_pr_url: None,
        linked_pr: None,
        other_prs: Vec::new(),
        claim: None,
        failures: 0,
        write: None,
        last_run: None,
        time_spent_seconds: 0,
        since,
        created_at: since,
        updated_at: since,
        closed_at: None,
    }
}

fn control() -> Control {
    Control {
        frozen: false,
        running: 0,
        slots: 8,
        ready: 0,
        writes_pending: 0,
        paused_pools: vec![],
        budgets: vec![],
        waits: vec![],
        usage: vec![],
        today: Usage::default(),
        cost_today_usd: 0.0,
        rate_limit: None,
        budget: Budget::default(),
        sync: Freshness::default(),
        runtime: "none".into(),
    }
}

impl Crowd {
    /// Serves `cards` cards; `title` names each.
    ///
    /// # Panics
    /// If there is no temporary directory or the socket cannot be bound.
    #[must_use]
    pub fn start(cards: u64, title: impl Fn(u64) -> String) -> Self {
        let dir = tempfile::Builder::new().prefix("dc").tempdir_in("/tmp").expect("a temporary directory");
        let issues = (1..=cards).map(|n| card(n, &title(n))).collect();
        let (runs, repos, problems, lanes) = (vec![], vec![], vec![], vec![]);
        let all = Snapshot { seq: Seq(1), issues, runs, repos, control: control(), problems, lanes };
        let all = serde_json::to_string(&all).expect("a snapshot is JSON");
        let all: Arc<str> = format!("event: snapshot\nid: 1\ndata: {all}\n\n").into();
        let listener = UnixListener::bind(dir.path().join("v1.sock")).expect("the socket can be bound");
        let (changes, _) = broadcast::channel(10_000);
        let sender = changes.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, all.clone(), sender.subscribe()));
            }
        });
        Self { dir, changes, server: server.abort_handle() }
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("v1.sock")
    }

    /// A directory of its own.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Tells all boards of a change.
    ///
    /// # Panics
    /// Never: a change is JSON.
    pub fn tell(&self, change: &Change) {
        let data = serde_json::to_string(change).expect("a change is JSON");
        let _ = self.changes.send(format!("event: change\nid: {}\ndata: {data}\n\n", change.seq.0).into());
    }
}

async fn answer(mut stream: UnixStream, all: Arc<str>, mut changes: broadcast::Receiver<Arc<str>>) {
    let mut request = Vec::new();
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => request.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
    if !request.starts_with(b"GET /api/events") {
        let body = r#"{"ok":true,"database":"ok","version":"0","authMode":"socket"}"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        return;
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let resumes = request.windows(6).any(|w| w == b"after=");
    let first: &str = if resumes { "" } else { &all };
    for text in [head, first] {
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
    while let Ok(change) = changes.recv().await {
        if stream.write_all(change.as_bytes()).await.is_err() {
            return;
        }
    }
}
