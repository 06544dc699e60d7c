//! HTTP/1.1 + JSON over the local socket, and over TCP if configured.
//!
//! - [`listen`]: binds the socket: 0600, replaces a stale one, checks the peer's uid. [`tcp`]: the other door.
//! - [`serve`]: the accept loop: header, body and connection limits, graceful drain.
//! - `gate`: who may pass: [`auth`] says who asks, [`tier`] what a route takes; [`worker`]: what a worker may not ask for; [`limit`]: how often; [`count`]: what came of it.
//! - [`error`]: the one place that maps refusals to status and code. [`extract`]: bodies and queries, strict about types,
//!   lenient about the rest; [`path`]: what stands in a path.
//! - `routes/`: a table of all routes, and one file of handlers per resource. `openapi/`: the same described for machines,
//!   from the handlers' own types.
//! - [`follow`]: the event stream: one frame per commit, made once for all followers.
//!
//! Handlers know the [`Ledger`](crate::ledger::Ledger) and the few doors below; what syncs and what runs is behind them.

pub mod auth;
pub mod count;
pub mod error;
pub mod extract;
pub mod follow;
mod gate;
pub mod hook;
pub mod limit;
pub mod listen;
mod openapi;
pub mod path;
pub mod routes;
pub mod serve;
pub mod table;
pub mod tcp;
pub mod tier;
pub mod worker;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dispatch_shared::Timestamp;
use dispatch_shared::id::{RepoKey, RepoName, RunId};
use dispatch_shared::protocol::control::{Budget, Control};
use dispatch_shared::protocol::events::Progress;
use dispatch_shared::protocol::grooming::GroomerRun;
use dispatch_shared::protocol::repos::SyncAnswer;
use dispatch_shared::protocol::setup::{Credential, Setup, SetupRequest};
use dispatch_shared::run::EndClass;
use tokio::sync::broadcast;

use crate::core::command::Evidence;
use crate::core::record::{CardKey, ForgeKind, Hand, Repo, Run, Stray, Target};
use crate::core::seen::{SeenIssue, SeenRepo};
use crate::core::view;
use crate::core::world::World;
use crate::credentials::places::Places;
use crate::edges::{Edges, ForgeError, Rerun};
use crate::ledger::{Door, Fault};

/// A look at what may be done with a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// When.
    pub at: Timestamp,
    /// What kind of token it was.
    pub kind: Option<&'static str>,
    /// The missing permissions, in words.
    pub missing: Vec<String>,
    /// Why there is no answer, if there is none.
    pub failed: Option<String>,
}

/// What the API asks of the forges.
#[async_trait]
pub trait ForgeDesk: Send + Sync {
    /// Syncs one repository, or all, and waits until it is done; joins a sync under way.
    async fn sync(&self, repo: Option<&RepoKey>) -> SyncAnswer;

    /// Has a repository synced soon.
    fn hint(&self, repo: &RepoKey);

    /// Says that something happened at pull requests: they are looked at soon.
    fn hint_pull(&self, repo: &RepoKey, about: &PullHint);

    /// Looks at the pull requests of a repository now. Returns one sentence for each that could not be seen.
    async fn look_at_pulls(&self, repo: &RepoKey) -> Vec<String>;
    /// Has what a hint is about read soon, and nothing else; many hints at once become few requests.
    fn look_at(&self, repo: &RepoKey, hint: hook::Hint);

    /// Where GitHub's credential is, and what is wrong with it.
    async fn credential(&self) -> Credential;

    /// Looks what may be done with these repositories; [`ForgeDesk::access`] then shows it.
    async fn check_access(&self, repos: &[Arc<Repo>]);

    /// What the last look at a repository's permissions found.
    fn access(&self, repo: &RepoKey) -> Option<Access>;

    /// What the forge says of a repository that is to be tracked, and where its working copy really lies.
    async fn look(
        &self,
        forge: ForgeKind,
        name: Option<&RepoName>,
        path: Option<&Path>,
    ) -> Result<(SeenRepo, Option<PathBuf>), ForgeError>;

    /// Looks on the forge for the pull request that a report names by number, or that belongs to a branch or an issue.
    async fn evidence(&self, repo: &Repo, card: &CardKey, number: Option<u64>, branch: &str) -> Evidence;

    /// One issue, live.
    async fn issue(&self, repo: &Repo, number: u64) -> Result<SeenIssue, ForgeError>;

    /// The labels of a repository; `None` where labels need not be made before they are used.
    async fn labels(&self, repo: &Repo) -> Result<Option<Vec<String>>, ForgeError>;

    /// Makes a label; fine if it is there.
    async fn create_label(&self, repo: &Repo, label: &str) -> Result<(), ForgeError>;

    /// What is left of the request budget, as far as it is known.
    fn budget(&self) -> Budget;

    /// Long work as it goes on.
    fn progress(&self) -> broadcast::Receiver<Progress>;
}

/// Which pull requests something happened at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullHint {
    /// The one with this number.
    Number(u64),
    /// Those with this commit at their head.
    Head(String),
}

/// What the API asks of the forges' automation.
#[async_trait]
pub trait AutomationDesk: Send + Sync {
    /// Reads all of a repository's automation now. Returns the number of the sync run that tells of it; `None` where there is
    /// none to read.
    async fn read(&self, repo: &RepoKey) -> Option<u64>;

    /// Has it read soon.
    fn hint(&self, repo: &RepoKey);

    /// Has a run's failed jobs run again, or all if none failed.
    async fn rerun(&self, repo: &Repo, run: &str) -> Result<Rerun, ForgeError>;

    /// Starts a workflow on a branch or tag.
    async fn dispatch(
        &self,
        repo: &Repo,
        workflow: &str,
        git_ref: &str,
        inputs: &[(String, String)],
    ) -> Result<(), ForgeError>;
}

/// What is asked of the hosted groomer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroomerAsk {
    /// Change nothing; `None` is as configured.
    pub dry_run: Option<bool>,
    /// Only this repository.
    pub repo: Option<RepoKey>,
    /// Exactly this card.
    pub card: Option<CardKey>,
    /// Also one that was groomed before.
    pub force: bool,
    /// Who.
    pub actor: String,
}

/// The hosted groomer, as the API sees it.
#[async_trait]
pub trait GroomerDesk: Send + Sync {
    /// Grooms one issue; a failure of the model or its endpoint is a run that failed, not an error.
    async fn run(&self, ask: GroomerAsk) -> Result<GroomerRun, Fault>;
}

/// The two streams of a run's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStream {
    /// The bytes that the program put out.
    Raw,
    /// What they mean, one JSON object a line.
    Events,
}

/// What the API asks of the runner's files.
#[async_trait]
pub trait RunFiles: Send + Sync {
    /// How long a log is, in bytes; zero if there is none.
    fn len(&self, run: RunId, stream: LogStream) -> u64;

    /// The log from `offset` on, as far as it is written.
    ///
    /// # Errors
    /// If the file cannot be opened.
    fn open(&self, run: RunId, stream: LogStream, offset: u64) -> io::Result<std::fs::File>;

    /// Waits until the log is longer than `beyond`, or complete; returns its length and whether it is complete.
    async fn grown(&self, run: RunId, stream: LogStream, beyond: u64) -> (u64, bool);

    /// What the run's branch changes, as a unified diff.
    ///
    /// # Errors
    /// A sentence.
    async fn diff(&self, repo: &Repo, run: &Run) -> Result<String, String>;

    /// The engine in use, or why there is none.
    fn engine(&self) -> String;
}

/// What the API asks of the runner before a run by hand starts.
#[async_trait]
pub trait HandDesk: Send + Sync {
    /// The template where none is named.
    fn template(&self) -> String;

    /// Whether all that is named is there.
    ///
    /// # Errors
    /// A sentence that lists what there is.
    fn check(&self, program: Option<&str>, target: &Target, hand: &Hand) -> Result<(), String>;

    /// Where `run` works, or would, and the file that its program's output goes to.
    fn places(&self, repo: &Repo, run: &Run) -> (PathBuf, PathBuf);

    /// Prepares the workspace of a run that is in no store, starts nothing, returns its prompt.
    ///
    /// # Errors
    /// The class and a sentence.
    async fn rehearse(&self, repo: &Repo, run: &Run) -> Result<String, (EndClass, String)>;
}

/// What the API asks of the engines.
#[async_trait]
pub trait EngineDesk: Send + Sync {
    /// What they hold under our label and nobody knows, asked now.
    async fn orphans(&self) -> Result<Vec<Stray>, Fault>;

    /// Ends and removes these of it, or all; returns what was ended, and a sentence for each that was not.
    async fn stop(&self, names: &[String], actor: &str) -> Result<(Vec<Stray>, Vec<String>), Fault>;
}

/// What the API asks of the configuration.
pub trait SetupDesk: Send + Sync {
    /// What is configured; no credential among it.
    fn show(&self) -> Setup;

    /// Keeps credentials.
    ///
    /// # Errors
    /// If they cannot be written.
    fn keep(&self, request: &SetupRequest) -> io::Result<()>;
}

/// What every handler gets.
#[derive(Clone)]
pub struct App {
    /// State.
    pub ledger: Door,
    /// The clock.
    pub edges: Edges,
    /// Forges.
    pub forges: Arc<dyn ForgeDesk>,
    /// Their automation.
    pub automation: Arc<dyn AutomationDesk>,
    /// The hosted groomer, if it is configured.
    pub groomer: Option<Arc<dyn GroomerDesk>>,
    /// Logs and diffs.
    pub files: Arc<dyn RunFiles>,
    /// Runs by hand.
    pub hands: Arc<dyn HandDesk>,
    /// What contains runs.
    pub engines: Arc<dyn EngineDesk>,
    /// Where the secret is that webhooks are signed with; without one none is taken.
    pub webhook_secret: Arc<Places>,
    /// The event stream.
    pub hub: Arc<follow::Hub>,
    /// Who may pass, and what was answered.
    pub doors: Arc<auth::Doors>,
    /// What is configured.
    pub setup: Arc<dyn SetupDesk>,
    /// Says once that the store has failed.
    pub store_failed: tokio::sync::watch::Receiver<Option<String>>,
    /// Ends long answers when the daemon goes down.
    pub shutdown: tokio_util::sync::CancellationToken,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

impl App {
    /// Slots, pools, budgets, as `/api/control` and the events show them.
    #[must_use]
    pub fn control(&self, world: &World) -> Control {
        view::control(world, self.edges.clock.now(), self.forges.budget(), self.files.engine())
    }
}
