//! Driving the ledger without the daemon around it: commands as the API, a sync and the runner would submit them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};

use dispatch_shared::Timestamp;
use dispatch_shared::claim::Checkpoint;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::{AgentName, ClaimId, RepoKey};
use dispatch_shared::issue::IssueState;
use dispatch_shared::protocol::tasks::ReportRequest;
use dispatch_shared::task::{Outcome, TaskType};
use dispatchd::core::command::{Command, Evidence, Report, Synced, Take, Track};
use dispatchd::core::record::{CardKey, ForgeKind, Source, SyncCursor};
use dispatchd::core::seen::{SeenIssue, SeenPull, SeenRepo};
use dispatchd::core::world::World;
use dispatchd::edges::Clock;

/// The first instant of every scenario.
pub const START: Timestamp = Timestamp(1_800_000_000_000);

/// A clock that goes on by a second whenever it is read: the same series makes the same rows.
#[derive(Debug)]
pub struct Stepping(AtomicI64);

impl Default for Stepping {
    fn default() -> Self {
        Self(AtomicI64::new(START.0))
    }
}

impl Clock for Stepping {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1_000, Ordering::SeqCst))
    }
}

/// The one repository.
#[must_use]
pub fn repo() -> RepoKey {
    RepoKey::new("lo1")
}

/// A card of it.
#[must_use]
pub fn card(number: u64) -> CardKey {
    CardKey { repo: repo(), number }
}

/// Tracks the repository.
#[must_use]
pub fn track() -> Command {
    Command::Track(Track {
        seen: SeenRepo {
            key: repo(),
            name: "local/sample".parse().expect("it is owner/name"),
            default_branch: "main".into(),
            standing: Default::default(),
        },
        forge: ForgeKind::Local,
        path: Some("/srv/sample".into()),
        source: Source::User,
        runner_enabled: true,
        actor: "operator".into(),
    })
}

/// An open, ready issue.
#[must_use]
pub fn issue(number: u64) -> SeenIssue {
    SeenIssue {
        number,
        title: format!("Issue {number}"),
        body: format!("What is to be done about {number}.\n"),
        url: format!("file:///srv/sample/.dispatch/issues/{number}.md"),
        state: IssueState::Open,
        labels: vec!["status/ready".into(), "priority/p2".into()],
        assignees: Vec::new(),
        author: "ada".into(),
        created_at: START,
        updated_at: START,
        closed_at: None,
        open_blockers: None,
    }
}

/// An open pull request that closes the issue `closes`.
#[must_use]
pub fn pull(number: u64, closes: u64) -> SeenPull {
    SeenPull {
        number,
        title: format!("Fix issue {closes}"),
        url: format!("file:///srv/sample/.dispatch/pulls/{number}.md"),
        state: PullState::Open,
        draft: false,
        head_branch: format!("fix/issue-{closes}-it"),
        head_sha: format!("{number:040x}"),
        from_fork: false,
        base_branch: "main".into(),
        author: "kai".into(),
        labels: Vec::new(),
        closes: vec![closes],
        created_at: START,
        updated_at: START,
    }
}

/// What a sync read: one page; `last` carries the cursor.
#[must_use]
pub fn synced(numbers: impl IntoIterator<Item = u64>, last: bool) -> Command {
    let cursor = SyncCursor { since: Some(START), etag: Some("\"e1\"".into()), ..SyncCursor::default() };
    Command::Synced(Synced {
        repo: Some(repo()),
        issues: numbers.into_iter().map(issue).collect(),
        cursor: last.then_some(cursor),
        ..Synced::default()
    })
}

/// A name that works.
#[must_use]
pub fn agent(name: &str) -> AgentName {
    AgentName::new(name)
}

/// Takes the next task.
#[must_use]
pub fn take(name: &str) -> Take {
    Take {
        agent: agent(name),
        lane: None,
        kind: TaskType::Implement,
        repos: None,
        resume: false,
        idempotency_key: None,
        runner: false,
        slots: 1,
        lifted: Default::default(),
    }
}

/// Renews one claim and says how far it is.
#[must_use]
pub fn renew(name: &str, claim: ClaimId, checkpoint: Checkpoint) -> Command {
    Command::Renew { agent: agent(name), claim: Some(claim), checkpoint: Some(checkpoint) }
}

/// Reports an outcome under a key of its own, so that it can be repeated.
#[must_use]
pub fn report(name: &str, number: u64, outcome: Outcome, evidence: Evidence) -> Command {
    let request = ReportRequest {
        issue_number: Some(number),
        pull_request_number: match &evidence {
            Evidence::Pull(pull) => Some(pull.number),
            _ => None,
        },
        summary: Some(format!("what {name} says of {number}")),
        idempotency_key: Some(format!("{name}-{number}")),
        ..ReportRequest::new(TaskType::Implement, outcome)
    };
    Command::Report(Box::new(Report { agent: agent(name), card: Some(card(number)), request, evidence }))
}

/// Everything that a restart must bring back, as text that can be compared: rows and what the indexes answer.
#[must_use]
pub fn shape(world: &World) -> String {
    let mut text = String::new();
    let mut line = |what: &str, value: &dyn std::fmt::Debug| {
        writeln!(text, "{what}: {value:?}").expect("a string takes everything");
    };
    line("meta", &world.meta);
    line("repos", &world.repos);
    line("cards", &world.cards);
    line("pulls", &world.pulls);
    line("claims", &world.claims);
    line("runs", &world.runs);
    line("intents", &world.intents);
    line("reports", &world.reports);
    line("ready", &world.ready().collect::<Vec<_>>());
    line("leases", &world.leases().map(|c| c.id).collect::<Vec<_>>());
    line("live runs", &world.live_runs().map(|r| r.id).collect::<Vec<_>>());
    line("tracked", &world.tracked().map(|r| (&r.name, world.open_reviews(&r.key))).collect::<Vec<_>>());
    for key in world.cards.keys() {
        line("newest claim", &world.newest_claim(key).map(|c| c.id));
    }
    text
}
