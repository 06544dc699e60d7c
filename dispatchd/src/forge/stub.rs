//! A ledger and a forge in memory, for the tests of the sync and the outbox.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dispatch_shared::Timestamp;
use dispatch_shared::event::Seq;
use dispatch_shared::id::{IntentId, RepoKey};
use dispatch_shared::issue::IssueState;
use dispatch_shared::protocol::activity::AuditRow;
use tokio::sync::{Semaphore, watch};

use super::Forges;
use crate::core::change::Change;
use crate::core::command::{Command, IntentResult, Reply};
use crate::core::record::{CardKey, Event, ForgeKind, Intent, IntentState, Repo, Source, Wish};
use crate::core::seen::{SeenIssue, SeenPull, SeenRepo, SyncCursor};
use crate::core::world::World;
use crate::edges::{Forge, ForgeError, GitRemote, IssuePage, NewIssue, NewPull};
use crate::ledger::{AuditFilter, Door, Fault, Ledger, ReadFault};

/// Keeps every command, and of what they say only repositories and intents.
pub(super) struct StubLedger {
    world: Mutex<World>,
    commands: Mutex<Vec<Command>>,
    seq: watch::Sender<Seq>,
}

impl StubLedger {
    pub(super) fn new() -> Arc<Self> {
        let seq = watch::Sender::new(Seq(0));
        Arc::new(Self { world: Mutex::default(), commands: Mutex::default(), seq })
    }

    pub(super) fn put(&self, change: &Change) {
        self.world.lock().unwrap().apply(change);
        self.seq.send_modify(|s| s.0 += 1);
    }

    pub(super) fn commands(&self) -> Vec<Command> {
        self.commands.lock().unwrap().clone()
    }

    /// Waits until the commands so far are as wanted.
    pub(super) async fn until(&self, what: &str, wanted: impl Fn(&[Command]) -> bool) {
        let mut commits = self.seq.subscribe();
        let reached = commits.wait_for(|_| wanted(&self.commands.lock().unwrap()));
        let deadline = std::time::Duration::from_secs(10);
        let reached = tokio::time::timeout(deadline, reached).await.is_ok();
        assert!(reached, "waited in vain until {what}: {:?}", self.commands());
    }
}

#[async_trait]
impl Ledger for StubLedger {
    async fn submit(&self, command: Command) -> Result<(Reply, Arc<World>), Fault> {
        let mut change = None;
        {
            let world = self.world.lock().unwrap();
            if let Command::Synced(s) = &command
                && let (Some(key), Some(cursor)) = (&s.repo, &s.cursor)
            {
                let repo = world.repos.get(key).unwrap().as_ref().clone();
                change = Some(Change::Repo(Repo { cursor: cursor.clone(), sync_error: None, ..repo }));
            }
            if let Command::Intent { id, result } = &command
                && let Some(intent) = world.intents.get(id)
            {
                let state = match result {
                    IntentResult::Later { due, .. } => IntentState::Pending(*due),
                    _ => IntentState::Done,
                };
                let intent = intent.as_ref().clone();
                change = Some(Change::Intent(Intent { state, tries: intent.tries + 1, ..intent }));
            }
        }
        self.commands.lock().unwrap().push(command);
        match change {
            Some(change) => self.put(&change),
            None => self.seq.send_modify(|s| s.0 += 1),
        }
        Ok((Reply::Done, self.snapshot()))
    }

    fn snapshot(&self) -> Arc<World> {
        Arc::new(self.world.lock().unwrap().clone())
    }

    fn committed(&self) -> u64 {
        0
    }

    fn commits(&self) -> watch::Receiver<Seq> {
        self.seq.subscribe()
    }

    fn events_after(&self, _after: Seq) -> Option<Vec<Event>> {
        None
    }

    fn body(&self, _card: &CardKey) -> Result<String, ReadFault> {
        Ok(String::new())
    }

    fn audit(&self, _filter: &AuditFilter, _limit: usize) -> Result<Vec<AuditRow>, ReadFault> {
        Ok(Vec::new())
    }

    fn audit_row(&self, _id: u64) -> Result<Option<AuditRow>, ReadFault> {
        Ok(None)
    }
}

/// Issues in memory. What it shall answer or fail with next is put on a list.
pub(super) struct StubForge {
    pub(super) issues: Mutex<BTreeMap<u64, SeenIssue>>,
    /// Answers of `changes`, the next one first; then empty last pages.
    pub(super) pages: Mutex<Vec<Result<IssuePage, ForgeError>>>,
    /// Failures of writes, the next one first.
    pub(super) failures: Mutex<Vec<ForgeError>>,
    /// What was done, in order.
    pub(super) done: Mutex<Vec<String>>,
    /// `changes` of this repository waits until the gate has a permit.
    pub(super) slow: Option<RepoKey>,
    pub(super) gate: Semaphore,
}

impl StubForge {
    pub(super) fn new() -> Self {
        Self {
            issues: Mutex::default(),
            pages: Mutex::default(),
            failures: Mutex::default(),
            done: Mutex::default(),
            slow: None,
            gate: Semaphore::new(0),
        }
    }

    pub(super) fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }

    fn write(&self, what: String) -> Result<(), ForgeError> {
        let mut failures = self.failures.lock().unwrap();
        if !failures.is_empty() {
            return Err(failures.remove(0));
        }
        self.done.lock().unwrap().push(what);
        Ok(())
    }
}

#[async_trait]
impl Forge for StubForge {
    async fn repository(&self, repo: &Repo) -> Result<SeenRepo, ForgeError> {
        self.done.lock().unwrap().push("name".into());
        Ok(SeenRepo {
            key: repo.key.clone(),
            name: repo.name.clone(),
            default_branch: "main".into(),
            standing: Default::default(),
        })
    }

    async fn changes(&self, repo: &Repo, page: Option<&str>) -> Result<IssuePage, ForgeError> {
        self.done.lock().unwrap().push(format!("changes {} {}", repo.key, page.unwrap_or("first")));
        if self.slow.as_ref() == Some(&repo.key) {
            self.gate.acquire().await.unwrap().forget();
        }
        let mut pages = self.pages.lock().unwrap();
        if !pages.is_empty() {
            return pages.remove(0);
        }
        Ok(IssuePage { cursor: Some(SyncCursor::default()), requests: 1, ..IssuePage::default() })
    }

    async fn issue(&self, _repo: &Repo, number: u64) -> Result<SeenIssue, ForgeError> {
        let issues = self.issues.lock().unwrap();
        issues.get(&number).cloned().ok_or_else(|| ForgeError::NotFound(format!("no #{number}")))
    }

    async fn add_labels(
        &self,
        _repo: &Repo,
        number: u64,
        labels: &[String],
    ) -> Result<Vec<String>, ForgeError> {
        self.write(format!("add {}", labels.join(" ")))?;
        let mut issues = self.issues.lock().unwrap();
        let issue = issues.get_mut(&number).unwrap();
        issue.labels.extend(labels.iter().cloned());
        Ok(issue.labels.clone())
    }

    async fn remove_label(&self, _repo: &Repo, number: u64, label: &str) -> Result<(), ForgeError> {
        self.write(format!("remove {label}"))?;
        self.issues.lock().unwrap().get_mut(&number).unwrap().labels.retain(|l| l != label);
        Ok(())
    }

    async fn comment(&self, _repo: &Repo, number: u64, body: &str, marker: &str) -> Result<(), ForgeError> {
        assert!(body.ends_with(marker), "the body carries the marker");
        self.write(format!("comment #{number} {marker}"))
    }

    async fn create_issue(&self, _repo: &Repo, new: &NewIssue) -> Result<SeenIssue, ForgeError> {
        let there = self.issues.lock().unwrap().values().find(|i| i.body.contains(&new.marker)).cloned();
        if let Some(there) = there {
            return Ok(there);
        }
        self.write(format!("create {}", new.title))?;
        let mut issues = self.issues.lock().unwrap();
        let number = issues.keys().max().map_or(1, |n| n + 1);
        let made = SeenIssue { title: new.title.clone(), body: new.body.clone(), ..issue(number, &[]) };
        issues.insert(number, made.clone());
        Ok(made)
    }

    async fn set_body(&self, _repo: &Repo, number: u64, body: &str) -> Result<(), ForgeError> {
        self.write(format!("body #{number}"))?;
        self.issues.lock().unwrap().get_mut(&number).unwrap().body = body.to_owned();
        Ok(())
    }

    async fn pull(&self, _repo: &Repo, number: u64) -> Result<SeenPull, ForgeError> {
        Err(ForgeError::NotFound(format!("no #{number}")))
    }

    async fn find_pull(&self, _repo: &Repo, _head: &str) -> Result<Option<SeenPull>, ForgeError> {
        Ok(None)
    }

    async fn open_pull(&self, _repo: &Repo, pull: &NewPull) -> Result<SeenPull, ForgeError> {
        Err(ForgeError::NotFound(format!("no {}", pull.head)))
    }

    async fn remote(&self, _repo: &Repo) -> Result<GitRemote, ForgeError> {
        Ok(GitRemote { url: "/nowhere".into(), credential: None })
    }
}

pub(super) fn forges(forge: &Arc<StubForge>) -> Arc<Forges> {
    Arc::new(Forges { github: None, local: forge.clone() })
}

pub(super) fn door(ledger: &Arc<StubLedger>) -> Door {
    ledger.clone()
}

/// A tracked repository `acme/<key>`.
pub(super) fn repo(key: &str, forge: ForgeKind) -> Repo {
    Repo {
        key: RepoKey::new(key),
        name: format!("acme/{key}").parse().unwrap(),
        forge,
        path: None,
        default_branch: "main".into(),
        source: Source::User,
        tracked: true,
        runner_enabled: false,
        wip_limit: 0,
        lanes: Vec::new(),
        cursor: SyncCursor::default(),
        last_synced_at: None,
        sync_error: None,
        sync_failures: 0,
        added_at: Timestamp(0),
        access: Default::default(),
    }
}

pub(super) fn issue(number: u64, labels: &[&str]) -> SeenIssue {
    SeenIssue {
        number,
        title: format!("Issue {number}"),
        body: String::new(),
        url: String::new(),
        state: IssueState::Open,
        labels: labels.iter().map(|l| (*l).to_owned()).collect(),
        assignees: Vec::new(),
        author: String::new(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        closed_at: None,
        open_blockers: None,
    }
}

/// A due intent for `key`'s issue `number`, decided when the card was ready.
pub(super) fn intent(id: u64, key: &str, number: u64, wish: Wish) -> Change {
    Change::Intent(Intent {
        id: IntentId(id),
        card: CardKey { repo: RepoKey::new(key), number },
        wish,
        seen_labels: vec!["status/ready".into()],
        actor: "kai".into(),
        state: IntentState::Pending(Timestamp(0)),
        tries: 0,
        last_error: None,
        created_at: Timestamp(0),
        wrote: Vec::new(),
        touched: false,
        same: Vec::new(),
    })
}
