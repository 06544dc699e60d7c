//! Where Dispatch meets the world: the clock, the forges, the container engines, and the step hook by which tests put
//! faults and kills at every durable step.
//!
//! These are traits over plain data, so that the policy in `core` never sees them and the shells around it can be
//! driven by the real thing or by a test.

mod automation;
mod comments;
mod token;
mod working;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_shared::Timestamp;
use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::run::RuntimeKind;
use serde::Deserialize;

pub use self::token::{Source, Token, TokenSource};
pub use self::working::{Piece, Working};
use crate::core::fix::health::Health;
use crate::core::fix::look::Points;
use crate::core::record::Repo;
use crate::core::seen::{SeenIssue, SeenPull, SeenRepo, SyncCursor};
use crate::core::throttle::Priority;
use crate::core::waits::SeenBlocker;
use crate::secret::Secret;

pub use self::automation::{Automation, AutomationRead, Rerun};
pub use self::comments::{Comment, Comments};

/// The one place that reads the time.
pub trait Clock: Send + Sync {
    /// The time of day.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_millisecond())
    }
}

/// Told before every durable step: a store commit, a forge write, a container start. A test makes it fail, or ends the
/// process there. Names look like `store.commit`, `forge.add_labels`, `runner.start`.
pub trait StepHook: Send + Sync {
    /// Called before the step `name`.
    ///
    /// # Errors
    /// Whatever the test wants the step to fail with.
    fn before(&self, name: &'static str) -> std::io::Result<()>;
}

/// The hook of production: does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHook;

impl StepHook for NoHook {
    fn before(&self, _name: &'static str) -> std::io::Result<()> {
        Ok(())
    }
}

/// What every shell gets.
#[derive(Clone)]
pub struct Edges {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The step hook.
    pub hook: Arc<dyn StepHook>,
    /// Where long work is told of.
    pub working: Working,
}

impl Default for Edges {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), hook: Arc::new(NoHook), working: Working::default() }
    }
}

impl std::fmt::Debug for Edges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edges")
    }
}

/// Why a forge did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// There is no such thing, or the credential may not see it.
    #[error("{0}")]
    NotFound(String),
    /// It said no for good (403, 409, 422): repeating changes nothing.
    #[error("{0}")]
    Refused(String),
    /// The credential is missing, wrong or lacks a permission.
    #[error("{0}")]
    Unauthorized(String),
    /// Slow down until then.
    #[error("rate limited until {until}: {what}")]
    RateLimited {
        /// When to try again.
        until: Timestamp,
        /// What was limited.
        what: String,
    },
    /// It could not be reached, broke off, or answered nonsense: trying again may help.
    #[error("{0}")]
    Unreachable(String),
}

/// One page of changed issues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssuePage {
    /// Issues, new or changed since the cursor.
    pub issues: Vec<SeenIssue>,
    /// Pull requests, new or changed since the cursor.
    pub pulls: Vec<SeenPull>,
    /// Issues known to be gone.
    pub gone: Vec<u64>,
    /// Where the next page is; `None` on the last.
    pub next: Option<String>,
    /// The cursor to keep once this page, the last one, is durable.
    pub cursor: Option<SyncCursor>,
    /// The cursor from which a read that breaks off after this page, not the last one, may go on.
    pub resume: Option<SyncCursor>,
    /// The repository has another name by now.
    pub moved: bool,
    /// How many of all issues have been read, if the forge tells: (done, total).
    pub progress: Option<(u64, u64)>,
    /// Requests it took.
    pub requests: usize,
    /// Those among them that found nothing changed, which a forge does not count.
    pub unchanged: usize,
}

/// A label that came to an issue or went from it, whoever did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelEvent {
    /// As the forge spells it.
    pub label: String,
    /// It came; else it went.
    pub added: bool,
    /// When, on the forge.
    pub at: Timestamp,
}

/// A pull request to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPull {
    /// One line.
    pub title: String,
    /// Markdown; starts with `Fixes #n`.
    pub body: String,
    /// The branch it comes from.
    pub head: String,
    /// The branch it goes to.
    pub base: String,
}

/// An issue to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIssue {
    /// One line.
    pub title: String,
    /// Markdown; holds `marker`.
    pub body: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Tells it from all others: one that holds it is there already and is returned.
    pub marker: String,
    /// It cannot have been made before.
    pub since: Timestamp,
}

/// A pull request to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthAsk {
    /// Where.
    pub repo: Arc<Repo>,
    /// Its number.
    pub pr: u64,
}

/// What a look at many pull requests came to.
#[derive(Clone, Debug, Default)]
pub struct HealthLook {
    /// For each its health, or why it could not be seen.
    pub answers: Vec<(HealthAsk, Result<Health, ForgeError>)>,
    /// The points left, if the forge counts any.
    pub points: Option<Points>,
    /// Points that it cost.
    pub cost: u64,
    /// Requests that it took.
    pub requests: usize,
}

/// What of a failed job's log tells why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLog {
    /// Which try of the job, counted from 1.
    pub attempt: u64,
    /// Bounded, without secrets; empty if the log is.
    pub excerpt: String,
}

/// Where git fetches from and pushes to.
#[derive(Clone)]
pub struct GitRemote {
    /// A URL or a path, never with a credential inside.
    pub url: String,
    /// User name and password for HTTPS. Handed to git through a credential helper that reads it from a pipe or a 0600
    /// file, never through argv, the environment of a container, or a configuration file.
    pub credential: Option<(String, Secret)>,
}

impl std::fmt::Debug for GitRemote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitRemote").field("url", &self.url).field("credential", &self.credential).finish()
    }
}

/// A place where issues and pull requests live. Every write tells the step hook first.
#[async_trait]
pub trait Forge: Send + Sync {
    /// The same forge for requests of this urgency; `None` where none waits for another.
    fn at(&self, _priority: Priority) -> Option<Arc<dyn Forge>> {
        None
    }

    /// What the repository is called and what it is, now. For a repository not yet tracked only name and path are set.
    async fn repository(&self, repo: &Repo) -> Result<SeenRepo, ForgeError>;

    /// Whether the forge answers this credential at all: what it denies then, it denies on purpose.
    async fn alive(&self) -> Result<(), ForgeError> {
        Ok(())
    }

    /// One page of what changed since the repository's cursor: `page` is `None` first, then the `next` of the page
    /// before. A page without `next` carries the new cursor.
    async fn changes(&self, repo: &Repo, page: Option<&str>) -> Result<IssuePage, ForgeError>;

    /// One issue, live.
    async fn issue(&self, repo: &Repo, number: u64) -> Result<SeenIssue, ForgeError>;

    /// The issues that block this one, open and closed, as the forge itself keeps them; none where it does not.
    async fn blockers(&self, _repo: &Repo, _number: u64) -> Result<Vec<SeenBlocker>, ForgeError> {
        Ok(Vec::new())
    }

    /// Adds labels, keeps the others; returns all labels then.
    async fn add_labels(
        &self,
        repo: &Repo,
        number: u64,
        labels: &[String],
    ) -> Result<Vec<String>, ForgeError>;

    /// Removes one label; fine if it was not there.
    async fn remove_label(&self, repo: &Repo, number: u64, label: &str) -> Result<(), ForgeError>;

    /// What came to the labels of an issue and went from them since, oldest first; none where that is not kept.
    async fn label_events(
        &self,
        _repo: &Repo,
        _number: u64,
        _since: Timestamp,
    ) -> Result<Vec<LabelEvent>, ForgeError> {
        Ok(Vec::new())
    }

    /// The labels of the repository; `None` where a label need not be made before it is used.
    async fn labels(&self, _repo: &Repo) -> Result<Option<Vec<String>>, ForgeError> {
        Ok(None)
    }

    /// Makes a label; fine if it is there.
    async fn create_label(&self, _repo: &Repo, _label: &str) -> Result<(), ForgeError> {
        Ok(())
    }

    /// Adds a comment unless one that contains `marker` is there.
    async fn comment(&self, repo: &Repo, number: u64, body: &str, marker: &str) -> Result<(), ForgeError>;

    /// What people said under an issue, the newest; none where nobody can say anything.
    async fn comments(&self, _repo: &Repo, _number: u64) -> Result<Comments, ForgeError> {
        Ok(Comments::default())
    }

    /// Makes an issue, unless one with its marker is there; returns it either way.
    async fn create_issue(&self, repo: &Repo, issue: &NewIssue) -> Result<SeenIssue, ForgeError>;

    /// Replaces an issue's text.
    async fn set_body(&self, repo: &Repo, number: u64, body: &str) -> Result<(), ForgeError>;

    /// One pull request, live.
    async fn pull(&self, repo: &Repo, number: u64) -> Result<SeenPull, ForgeError>;

    /// The newest open pull request from `head`, if there is one.
    async fn find_pull(&self, repo: &Repo, head: &str) -> Result<Option<SeenPull>, ForgeError>;

    /// Opens a pull request.
    async fn open_pull(&self, repo: &Repo, pull: &NewPull) -> Result<SeenPull, ForgeError>;

    /// How pull requests are, in one look: each has an answer of its own, in any order. An error here is one that concerns
    /// all of them. A forge that cannot tell answers for none.
    async fn health(&self, _asked: &[HealthAsk]) -> Result<HealthLook, ForgeError> {
        Ok(HealthLook::default())
    }

    /// What of a failed job's log tells why; `None` if there is no log.
    async fn job_log(&self, _repo: &Repo, _job: u64) -> Result<Option<JobLog>, ForgeError> {
        Ok(None)
    }

    /// Which permission is missing, in words with the next step, now that git was denied a push; `None` if that is not known.
    async fn push_denied(&self, _repo: &Repo) -> Option<String> {
        None
    }

    /// Somebody begins to work on an issue, or has ended: for forges that have stopwatches. Repeating it is fine, and nothing
    /// depends on it.
    async fn stopwatch(&self, _repo: &Repo, _number: u64, _runs: bool) -> Result<(), ForgeError> {
        Ok(())
    }

    /// Where git fetches from and pushes to.
    async fn remote(&self, repo: &Repo) -> Result<GitRemote, ForgeError>;

    /// How large the repository is there, in bytes; `None` where that is not known.
    async fn size(&self, _repo: &Repo) -> Result<Option<u64>, ForgeError> {
        Ok(None)
    }

    /// The forge's automation; `None` where there is none.
    fn automation(&self) -> Option<&dyn Automation> {
        None
    }
}

/// Picks the forge of a repository.
pub trait Forges: Send + Sync {
    /// The forge that `repo` lives on.
    ///
    /// # Errors
    /// A sentence with the next step, if there is no credential for it.
    fn for_repo(&self, repo: &Repo) -> Result<Arc<dyn Forge>, ForgeError>;

    /// The same, for requests of this urgency. [`Forges::for_repo`] is for what somebody waits for.
    ///
    /// # Errors
    /// As [`Forges::for_repo`].
    fn for_repo_at(&self, repo: &Repo, priority: Priority) -> Result<Arc<dyn Forge>, ForgeError> {
        self.for_repo(repo).map(|forge| forge.at(priority).unwrap_or(forge))
    }
}

/// Everything an engine needs to start one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSpec {
    /// Which run.
    pub run: RunId,
    /// The fence; labelled on the container.
    pub attempt: Attempt,
    /// The image; empty for host.
    pub image: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Fixed environment: name and value, nothing secret.
    pub env: Vec<(String, String)>,
    /// Names passed by name from the daemon's environment.
    pub env_names: Vec<String>,
    /// The checkout, mounted read-write at the same path and the working directory.
    pub repo_dir: PathBuf,
    /// The run's own directory (`.meta/<run>`): prompt, log and exit code on the host. Never mounted as a whole.
    pub meta_dir: PathBuf,
    /// The prompt, mounted read-only and given as standard input.
    pub prompt: PathBuf,
    /// The run's writable HOME, mounted read-write.
    pub home: PathBuf,
    /// Directories mounted read-only at the same path (the mirror's objects).
    pub read_only: Vec<PathBuf>,
    /// User and group that own the workspace.
    pub uid_gid: (u32, u32),
    /// Limits and network.
    pub limits: Limits,
    /// Nothing of the image can be written.
    pub read_only_root: bool,
    /// The machine's GPUs are given to it.
    pub gpus: bool,
    /// The machine itself can be reached by a name.
    pub host_gateway: bool,
    /// The longest it may work. The runner keeps that itself; an engine on other machines ends what nobody watches any more
    /// some time after it.
    pub timeout: Duration,
    /// How SELinux is told of what is mounted.
    pub selinux: Selinux,
    /// The most that the engine's own log of it takes on the disk, in bytes; the oldest of it goes then.
    pub log_max: u64,
}

/// How a container may read and write what is mounted where SELinux rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selinux {
    /// Labels are not looked at for it.
    #[default]
    Disable,
    /// The workspace is labelled for this container alone, what runs share for all of them.
    Relabel,
    /// All of it is labelled for all containers.
    Shared,
    /// Nothing is said: the directories are labelled already.
    Off,
}

/// What a run may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processors, in thousandths.
    pub milli_cpus: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Open files of a process.
    pub nofile: Option<u64>,
    /// `none`, `default` or a network's name.
    pub network: String,
}

/// A started run, as its engine names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    /// Which run.
    pub run: RunId,
    /// The fence it was labelled with.
    pub attempt: Attempt,
    /// The container's name, or `pid N`.
    pub name: String,
}

/// What all runs of a configuration need of their engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Memory, processors or processes are limited.
    pub limits: bool,
    /// `none`, `default` or a network's name.
    pub network: String,
    /// GPUs are given to runs.
    pub gpus: bool,
    /// Images that must be there, because they are never pulled.
    pub images: Vec<String>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With a code.
    Code(i32),
    /// Out of memory, as the engine said.
    OutOfMemory,
    /// Nobody knows: it is not there any more and left no code.
    Lost,
}

/// What an engine knows of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its handle.
    pub handle: Handle,
    /// Whether the program still runs.
    pub running: bool,
}

/// Why an engine did not do it; names the command or file that failed and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RuntimeError(pub String);

/// Where a pull says how far it is: layers done, and of how many.
pub type Told = tokio::sync::watch::Sender<(u64, Option<u64>)>;

/// An engine that runs programs so that they outlive the daemon. The log is one stream (standard output and error
/// merged inside), so that reading it again from its start gives the same bytes.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Which one.
    fn kind(&self) -> RuntimeKind;

    /// What this attempt is called here, started or not.
    fn handle(&self, run: RunId, attempt: Attempt) -> Handle;

    /// Whether it can be used, and how to make it so if not.
    async fn check(&self) -> Result<(), RuntimeError>;

    /// Whether runs can have what the operator wants for them, and what to do if not.
    async fn fits(&self, wants: &Wants) -> Result<(), RuntimeError>;

    /// Whether the image is there; always where there are no images.
    async fn image(&self, name: &str) -> Result<bool, RuntimeError>;

    /// Fetches the image.
    async fn pull(&self, name: &str) -> Result<(), RuntimeError>;

    /// Fetches the image as [`Runtime::pull`] does, and says how far it is to `tell`: layers done, and of how many as far as is
    /// known by then. An engine that does not say so stays silent.
    async fn pull_telling(&self, name: &str, _tell: &Told) -> Result<(), RuntimeError> {
        self.pull(name).await
    }

    /// Starts detached, from an image that is there. After a crash between the start and the return, [`Runtime::list`] finds it.
    async fn start(&self, spec: &RunSpec) -> Result<Handle, RuntimeError>;

    /// Every run with our label, running or ended but not removed.
    async fn list(&self) -> Result<Vec<Found>, RuntimeError>;

    /// The log from byte `offset` on, followed until the program ends; then the reader ends.
    async fn logs(
        &self,
        handle: &Handle,
        offset: u64,
    ) -> Result<Box<dyn tokio::io::AsyncRead + Send + Unpin>, RuntimeError>;

    /// Waits until the program has ended.
    async fn wait(&self, handle: &Handle) -> Result<Exit, RuntimeError>;

    /// Ends it and every descendant: TERM, up to `grace`, then KILL; zero grace is KILL at once. Returns once it is over.
    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), RuntimeError>;

    /// Forgets it: container, log and exit code go. Fine if it was not there.
    async fn remove(&self, handle: &Handle) -> Result<(), RuntimeError>;
}
