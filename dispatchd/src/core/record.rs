//! The facts that Dispatch keeps, as they lie in the store and in the [`World`](super::world::World).
//!
//! Every record is self-describing when encoded, so that a field with `#[serde(default)]` may be added without a
//! migration. Repositories, cards, pull requests and the daemon's own facts are here; claims, runs and intents in files of
//! their own.

mod claim;
mod intent;
mod run;

use std::path::PathBuf;

use dispatch_shared::Timestamp;
use dispatch_shared::claim::Attempt;
use dispatch_shared::event::{Seq, What};
use dispatch_shared::id::{AgentName, IssueId, RepoKey, RepoName, RunId};
use dispatch_shared::issue::{Flag, IssueState, Status};
use dispatch_shared::run::RuntimeKind;
use serde::{Deserialize, Serialize};

use super::fix::health::Shown;
pub use super::grooming::Grooming;
use super::link;
pub use super::pool::Pool;
pub use super::seen::{SeenPull, SyncCursor};
pub use super::standing::{Access, Standing};
pub use claim::{Claim, ClaimState, HandOut, Taking};
pub use intent::{Intent, IntentState, Wish};
pub use run::{Because, Checked, Hand, Kill, Mark, Resume, Round, Run, Target};

/// Which forge a repository lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForgeKind {
    /// github.com or GitHub Enterprise.
    Github,
    /// A git repository on disk.
    Local,
}

impl ForgeKind {
    /// The word in the configuration and on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            ForgeKind::Github => "github",
            ForgeKind::Local => "local",
        }
    }
}

/// Who had a repository tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// `GITHUB_REPOSITORIES`, or the configuration.
    Env,
    /// Somebody, through the API.
    User,
}

/// A repository that is or was tracked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repo {
    /// The forge's identity.
    pub key: RepoKey,
    /// As the forge spells it now.
    pub name: RepoName,
    /// Where it lives.
    pub forge: ForgeKind,
    /// The working copy, for local.
    pub path: Option<PathBuf>,
    /// The base of new branches.
    pub default_branch: String,
    /// Who had it tracked.
    pub source: Source,
    /// False once it is untracked: history stays, the board forgets it.
    pub tracked: bool,
    /// Whether the built-in runner may take its issues.
    pub runner_enabled: bool,
    /// Open cards in review before no implement task is handed out; 0 is no limit.
    pub wip_limit: u32,
    /// The lanes out of which its issues are handed out; empty is every claimable one.
    #[serde(default)]
    pub lanes: Vec<String>,
    /// How far it has been read.
    pub cursor: SyncCursor,
    /// The last sync that succeeded.
    pub last_synced_at: Option<Timestamp>,
    /// Why the last one failed.
    pub sync_error: Option<String>,
    /// Consecutive failures.
    pub sync_failures: u32,
    /// When it was tracked.
    pub added_at: Timestamp,
    /// What is known of its standing.
    #[serde(default)]
    pub access: Access,
}

impl Repo {
    /// A repository of which only the name is known: for asking a forge about it.
    #[must_use]
    pub fn unknown(name: RepoName) -> Self {
        Self {
            key: RepoKey::new(""),
            name,
            forge: ForgeKind::Github,
            path: None,
            default_branch: String::new(),
            source: Source::User,
            tracked: false,
            runner_enabled: false,
            wip_limit: 0,
            lanes: Vec::new(),
            cursor: SyncCursor::default(),
            last_synced_at: None,
            sync_error: None,
            sync_failures: 0,
            added_at: Timestamp(0),
            access: Access::default(),
        }
    }
}

/// Names a card.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CardKey {
    /// The repository.
    pub repo: RepoKey,
    /// The issue's number.
    pub number: u64,
}

impl CardKey {
    /// The id on the wire.
    #[must_use]
    pub fn id(&self) -> IssueId {
        IssueId::of(&self.repo, self.number)
    }
}

/// What became of the newest write to the forge for a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// Stored, not yet carried out.
    Pending,
    /// The forge said no, and what it said.
    Refused(String),
}

/// An issue and what Dispatch knows of it. The body lies apart ([`super::change::Change::Body`]), it would only fill
/// the memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its name.
    pub key: CardKey,
    /// One line.
    pub title: String,
    /// Where a person reads it.
    pub url: String,
    /// Open or closed, as the forge said last.
    pub state: IssueState,
    /// The forge's labels with our pending changes on top.
    pub labels: Vec<String>,
    /// The labels as last read from the forge: a difference to these is somebody else's change.
    #[serde(default)]
    pub forge_labels: Vec<String>,
    /// When the outbox last looked at the live labels, after a write or instead of one: what was read before says nothing
    /// of them.
    #[serde(default)]
    pub wrote_at: Option<Timestamp>,
    /// Logins.
    pub assignees: Vec<String>,
    /// Login.
    pub author: String,
    /// On the forge.
    pub created_at: Timestamp,
    /// On the forge.
    pub updated_at: Timestamp,
    /// On the forge.
    pub closed_at: Option<Timestamp>,
    /// The column.
    pub status: Status,
    /// When it came into the column.
    pub since: Timestamp,
    /// What withholds it.
    pub flags: Vec<Flag>,
    /// The lane set by hand or by a groomer; wins over labels.
    pub lane_override: Option<String>,
    /// Issues of the same repository that its text names as blockers.
    pub blocked_by: Vec<u64>,
    /// Those of other repositories.
    #[serde(default)]
    pub blocked_elsewhere: Vec<super::blockers::Blocker>,
    /// What the forge itself says that it waits for.
    #[serde(default)]
    pub waits: super::waits::Waits,
    /// The highest attempt handed out.
    pub attempt: Attempt,
    /// Failed attempts since the last success, reopening or retry.
    pub failures: u32,
    /// Runs in a row that ended through no fault of the task.
    #[serde(default)]
    pub deferred: u32,
    /// Not to be handed out before.
    pub not_before: Option<Timestamp>,
    /// What its last worker asks, or why a person is needed.
    #[serde(default)]
    pub question: Option<String>,
    /// What an operator answered; goes into the next prompt.
    pub answer: Option<String>,
    /// The linked pull request's number.
    pub linked_pull: Option<u64>,
    /// The newest run.
    pub last_run: Option<RunId>,
    /// The newest write to the forge.
    pub write: Option<Write>,
    /// The forge says that it is not there any more.
    pub gone: bool,
    /// When the forge first said so, while that is not believed yet.
    #[serde(default)]
    pub denied: Option<Timestamp>,
    /// What grooming knows of it.
    #[serde(default)]
    pub grooming: Grooming,
    /// A report that was taken in while the forge could not be asked.
    #[serde(default)]
    pub unverified: Option<Unverified>,
    /// The last time that a contradiction was put right.
    #[serde(default)]
    pub repaired: Option<super::reconcile::Repaired>,
}

/// What a report said of a pull request and nobody has seen yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unverified {
    /// When it was reported.
    pub since: Timestamp,
    /// Who reported.
    pub agent: AgentName,
    /// The pull request's number, if the report named one.
    pub pull: Option<u64>,
    /// Where its head stood when the task was taken, if the report says that it has moved.
    pub head_seen: Option<String>,
}

/// A pull request as last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// The repository that it goes to.
    pub repo: RepoKey,
    /// What the forge said.
    pub seen: SeenPull,
    /// The issues that a report, or the runner, made it for, whatever its text and branch say.
    #[serde(default)]
    pub made_for: Vec<u64>,
    /// The issues of the same repository that the forge says it closes; `None` if it was never asked.
    #[serde(default)]
    pub closing: Option<Vec<u64>>,
    /// What the newest look at its health showed.
    #[serde(default)]
    pub health: Option<Shown>,
}

impl Pull {
    /// One that was never seen before.
    #[must_use]
    pub fn new(repo: RepoKey, seen: SeenPull) -> Self {
        Self { repo, seen, made_for: Vec::new(), closing: None, health: None }
    }

    /// The cards that it belongs to: those it closes, the one that its branch names (`fix/issue-<n>-…`), and those it was
    /// made for.
    #[must_use]
    pub fn targets(&self) -> Vec<CardKey> {
        let mut numbers = self.seen.closes.clone();
        let named = self.closing.iter().flatten().copied();
        let by_branch = link::by_branch(&self.seen.head_branch);
        for number in named.chain(by_branch).chain(self.made_for.iter().copied()) {
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        numbers.into_iter().map(|number| CardKey { repo: self.repo.clone(), number }).collect()
    }
}

/// An event, stored with the change it tells of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// What of.
    pub what: What,
}

/// A report that was accepted, kept to answer a repeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredReport {
    /// `<agent>/<key>`.
    pub key: String,
    /// The payload, to tell a repeat from a mistake.
    pub payload: String,
    /// The answer given, as JSON.
    pub answer: String,
    /// When.
    pub at: Timestamp,
}

/// A warning that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Of which budget.
    pub budget: String,
    /// How much of it was gone: 80 or 100.
    pub percent: u64,
    /// When the budget begins anew.
    pub until: Timestamp,
}

/// Facts about the daemon as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Grows when a backup is restored; the upper half of attempts.
    pub epoch: u32,
    /// Nothing is handed out.
    pub frozen: bool,
    /// The next free id of claims.
    pub next_claim: u64,
    /// The next free id of runs.
    pub next_run: u64,
    /// The next free id of intents.
    pub next_intent: u64,
    /// The next free id of audit rows.
    pub next_audit: u64,
    /// The next free id of agent runs.
    #[serde(default = "first")]
    pub next_agent_run: u64,
    /// The last event.
    pub seq: Seq,
    /// Programs that fail or are paused.
    #[serde(default)]
    pub pools: Vec<Pool>,
    /// Budgets of which a warning was given.
    #[serde(default)]
    pub alarms: Vec<Alarm>,
    /// The last id of a run of the hosted groomer.
    #[serde(default)]
    pub last_groomer_run: u64,
    /// The next free id of news.
    #[serde(default = "first")]
    pub next_news: u64,
    /// The next free id of sync runs.
    #[serde(default = "first")]
    pub next_sync_run: u64,
    /// What is wrong with the forge's credentials: whose, since when, in words.
    #[serde(default)]
    pub troubles: Vec<(String, Timestamp, String)>,
    /// Since when and why no run starts for want of disk.
    #[serde(default)]
    pub cramped: Option<(Timestamp, String)>,
    /// What keeps runs from starting or from being followed: an engine or an image, since when, in words.
    #[serde(default)]
    pub ailing: Vec<(String, Timestamp, String)>,
    /// What the engines hold under our label although no run that is known has it.
    #[serde(default)]
    pub strays: Vec<Stray>,
}

/// Something that an engine holds under the label of this state directory, and whose run or attempt is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// Which engine.
    pub engine: RuntimeKind,
    /// What it is called there.
    pub name: String,
    /// The run that its label names.
    pub run: RunId,
    /// The attempt that its label names.
    pub attempt: Attempt,
    /// Whether its program still runs.
    pub running: bool,
    /// When it was first seen.
    pub since: Timestamp,
}

fn first() -> u64 {
    1
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            epoch: 1,
            frozen: false,
            next_claim: 1,
            next_run: 1,
            next_intent: 1,
            next_audit: 1,
            next_agent_run: 1,
            seq: Seq(0),
            pools: Vec::new(),
            alarms: Vec::new(),
            last_groomer_run: 0,
            next_news: 1,
            next_sync_run: 1,
            troubles: Vec::new(),
            cramped: None,
            ailing: Vec::new(),
            strays: Vec::new(),
        }
    }
}
