//! Tells the client of runs as they start and end: `agent.started` and `agent.completed`, from the daemon's event stream.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch_shared::client::{Client, EventStream, Message};
use dispatch_shared::error::Code;
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::events::EventsQuery;
use dispatch_shared::protocol::runs::Run;
use dispatch_shared::run::Phase;
use rmcp::RoleServer;
use rmcp::model::{CustomNotification, ServerNotification};
use rmcp::service::Peer;

/// How long a daemon may take to open the stream; it is waited for once before a session begins.
const OPEN: Duration = Duration::from_secs(5);
/// The first and the longest pause before a lost daemon is looked for again.
const PAUSE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// How far a run is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Waiting,
    Working,
    Over,
}

/// What has been told already.
#[derive(Debug, Default)]
struct Told {
    runs: BTreeMap<RunId, Known>,
    begun: bool,
}

impl Told {
    /// What is news about `run`. What was so before the session began is none.
    fn read(&mut self, run: &Run) -> Option<&'static str> {
        let now = if run.ended {
            Known::Over
        } else if run.phases.iter().any(|p| p.phase == Phase::Running) {
            Known::Working
        } else {
            Known::Waiting
        };
        let before = self.runs.insert(run.id, now);
        if !self.begun || before.is_some_and(|b| b >= now) {
            return None;
        }
        match now {
            Known::Waiting => None,
            Known::Working => Some("agent.started"),
            Known::Over => Some("agent.completed"),
        }
    }
}

/// The notification's content.
fn content(run: &Run) -> serde_json::Value {
    serde_json::json!({
        "agent": run.program,
        "agentName": run.agent_name,
        "repo": run.repo_full_name,
        "workspace": run.workspace,
        "status": run.state,
        "runId": run.id,
    })
}

/// What a first look at the stream came to.
pub(super) enum Opened {
    /// It is open.
    Stream(EventStream),
    /// There is no daemon now.
    Lost,
    /// There is nothing to wait for: this token may not, or this daemon has no events.
    Refused,
}

/// Opens the stream. Done before a session is served, so that it misses nothing of what its client causes.
pub(super) async fn open(client: &Client) -> Opened {
    let query = EventsQuery { snapshot: Some("all".to_owned()), after: None };
    match tokio::time::timeout(OPEN, client.events(&query)).await {
        Ok(Ok(stream)) => Opened::Stream(stream),
        Ok(Err(e)) if matches!(e.code(), Some(Code::Forbidden | Code::Unauthorized | Code::NoRoute)) => {
            Opened::Refused
        }
        Ok(Err(_)) | Err(_) => Opened::Lost,
    }
}

/// Watches until the client goes, or the daemon says that this token may not.
pub(super) async fn watch(client: Client, peer: Peer<RoleServer>, mut opened: Opened) {
    let mut told = Told::default();
    let mut pause = PAUSE[0];
    loop {
        match opened {
            Opened::Refused => return,
            Opened::Lost => {}
            Opened::Stream(stream) => {
                pause = PAUSE[0];
                follow(stream, &peer, &mut told).await;
            }
        }
        if peer.is_transport_closed() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE[1]);
        opened = open(&client).await;
    }
}

/// Until the stream ends, or nobody listens any more.
async fn follow(mut stream: EventStream, peer: &Peer<RoleServer>, told: &mut Told) {
    loop {
        let runs = match stream.next().await {
            Ok(Some(Message::Snapshot(state))) => state.runs,
            Ok(Some(Message::Change(change))) => change.runs,
            Ok(Some(Message::Progress(_))) => continue,
            Ok(Some(Message::Reset) | None) | Err(_) => return,
        };
        for run in &runs {
            if let Some(method) = told.read(run) {
                let note = CustomNotification::new(method, Some(content(run)));
                if peer.send_notification(ServerNotification::CustomNotification(note)).await.is_err() {
                    return;
                }
            }
        }
        told.begun = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: u64, phases: &[&str], ended: bool) -> Run {
        let phases: Vec<_> =
            phases.iter().map(|p| serde_json::json!({"phase": p, "at": "2026-01-01T00:00:00Z"})).collect();
        serde_json::from_value(serde_json::json!({
            "id": format!("r-{id}"), "state": if ended { "succeeded" } else { "running" }, "ended": ended,
            "issueId": "lo1-4", "repoFullName": "local/hello", "issueNumber": 4, "subject": "#4",
            "workspace": "local/hello/issue-4", "title": "t", "agentName": "runner",
            "program": "claude:opus", "claimId": "c-1", "attempt": 1, "phases": phases,
            "createdAt": "2026-01-01T00:00:00Z",
            "usage": {}, "stopping": false,
        }))
        .expect("a run")
    }

    #[test]
    fn a_run_is_told_of_once_when_it_starts_and_once_when_it_ends() {
        let mut told = Told::default();
        assert_eq!(told.read(&run(1, &["running"], false)), None, "it ran before the session began");
        told.begun = true;
        assert_eq!(told.read(&run(2, &["queued"], false)), None);
        assert_eq!(told.read(&run(2, &["queued", "running"], false)), Some("agent.started"));
        assert_eq!(told.read(&run(2, &["queued", "running", "verifying"], false)), None);
        assert_eq!(told.read(&run(2, &["queued", "running"], true)), Some("agent.completed"));
        assert_eq!(told.read(&run(2, &["queued", "running"], true)), None);
        assert_eq!(told.read(&run(1, &["running"], true)), Some("agent.completed"));
    }

    #[test]
    fn the_workspace_is_named_as_on_disk() {
        let content = content(&run(2, &["running"], false));
        assert_eq!(content["workspace"], "local/hello/issue-4");
        assert_eq!((&content["agent"], &content["repo"]), (&"claude:opus".into(), &"local/hello".into()));
    }
}
