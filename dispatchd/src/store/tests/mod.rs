//! The store with a decider small enough to predict: `Freeze` sets the switch and leaves an audit row.

mod durable;
mod files;
mod group;
mod readers;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::event::What;
use dispatch_shared::id::{IssueId, RepoKey};
use dispatch_shared::protocol::activity::AuditRow;

use super::fault::Disk;
use super::{Options, Store};
use crate::core::command::{Command, Refusal, Reply, Track};
use crate::core::draft::{Decision, Draft};
use crate::core::policy::Policy;
use crate::core::record::{CardKey, ForgeKind, Repo, Source};
use crate::core::seen::{SeenRepo, SyncCursor};
use crate::core::world::World;
use crate::edges::{Clock, Edges, StepHook};
use crate::ledger::Ledger as _;

/// Counts the steps that were told, and fails from one of them on if asked to.
#[derive(Debug, Default)]
struct Steps {
    commits: AtomicU64,
    tidied: AtomicU64,
    /// Fail before this step; empty for never.
    fail_before: &'static str,
}

impl StepHook for Steps {
    fn before(&self, name: &'static str) -> std::io::Result<()> {
        if name == self.fail_before {
            return Err(std::io::Error::other(format!("stopped before {name}")));
        }
        match name {
            "store.commit" => self.commits.fetch_add(1, Ordering::SeqCst),
            "store.tidy" => self.tidied.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
        Ok(())
    }
}

/// Always the same instant.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }
}

fn edges(hook: Arc<Steps>) -> Edges {
    Edges { clock: Arc::new(Still), hook, ..Edges::default() }
}

fn options() -> Options {
    // Tests that count steps must not meet a tidying that they did not ask for.
    Options { decide, idle: Duration::from_secs(3600), ..Options::default() }
}

fn open(disk: &Disk) -> Store {
    Store::open_with(disk.backend(), edges(Arc::default()), Arc::new(Policy::default()), options())
        .expect("a disk that works opens")
}

fn freeze(actor: impl ToString) -> Command {
    Command::Freeze { frozen: true, actor: actor.to_string() }
}

fn row(actor: &str) -> AuditRow {
    AuditRow {
        id: 0,
        actor: actor.to_owned(),
        action: "freeze".into(),
        repo_full_name: None,
        issue_number: None,
        issue_id: None,
        before_labels: None,
        after_labels: None,
        success: true,
        error_message: None,
        notes: None,
        created_at: Timestamp(0),
    }
}

fn track(name: &str, path: Option<PathBuf>) -> Command {
    let seen = SeenRepo {
        key: RepoKey::new(format!("lo{}", name.replace('/', "-"))),
        name: name.parse().expect("a good name"),
        default_branch: "main".into(),
        standing: Default::default(),
    };
    Command::Track(Track {
        seen,
        forge: ForgeKind::Local,
        path,
        source: Source::User,
        runner_enabled: false,
        actor: "test".into(),
    })
}

/// The decider: `Freeze` by `panic` panics, by `no` is refused, by `same` changes nothing.
fn decide(world: &World, now: Timestamp, command: &Command) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(world, now);
    match command {
        Command::Freeze { frozen, actor } => {
            assert!(actor != "panic", "the decider was told to panic");
            match actor.as_str() {
                "no" => return Err(Refusal::Invalid("told to refuse".into())),
                "same" => return Ok(draft.decide(Reply::Idle)),
                _ => {}
            }
            draft.meta(|m| m.frozen = *frozen);
            draft.audit(row(actor));
            draft.tell(What::Control);
            Ok(draft.decide(Reply::Done))
        }
        Command::Track(track) => {
            let repo = Repo {
                key: track.seen.key.clone(),
                name: track.seen.name.clone(),
                forge: track.forge,
                path: track.path.clone(),
                default_branch: track.seen.default_branch.clone(),
                source: track.source,
                tracked: true,
                runner_enabled: false,
                wip_limit: 0,
                lanes: Vec::new(),
                cursor: SyncCursor::default(),
                last_synced_at: None,
                sync_error: None,
                sync_failures: 0,
                added_at: now,
                access: Default::default(),
            };
            draft.body(&CardKey { repo: repo.key.clone(), number: 1 }, "the body of the first card");
            let mut about = row("test");
            about.action = "track".into();
            about.repo_full_name = Some(repo.name.clone());
            about.issue_number = Some(1);
            about.issue_id = Some(IssueId::of(&repo.key, 1));
            draft.audit(about);
            draft.repo(repo);
            Ok(draft.decide(Reply::Done))
        }
        other => Err(Refusal::Invalid(format!("the test's decider knows no {other:?}"))),
    }
}

/// The actors in the audit, oldest first.
fn actors(store: &Store) -> Vec<String> {
    let rows = store.audit(&Default::default(), usize::MAX).expect("the audit is readable");
    rows.into_iter().rev().map(|row| row.actor).collect()
}

/// Everything that a restart must bring back.
fn shape(world: &World) -> String {
    format!("{world:?}")
}
