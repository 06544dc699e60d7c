//! What the API asks of forges and runner files, answered by the rooms that know: the adapters that keep those rooms from
//! importing each other.

mod access;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::{RepoKey, RepoName, RunId};
use dispatch_shared::protocol::control::Budget;
use dispatch_shared::protocol::events::Progress;
use dispatch_shared::protocol::grooming::GroomerRun;
use dispatch_shared::protocol::repos::SyncAnswer;
use dispatch_shared::protocol::setup::Credential;
use dispatch_shared::run::EndClass;
use tokio::sync::{broadcast, watch};

pub use self::access::Looks;
use crate::api::{
    Access, AutomationDesk, EngineDesk, ForgeDesk, GroomerAsk, GroomerDesk, HandDesk, LogStream, PullHint,
    RunFiles,
};
use crate::core::automation::cadence::Urgency;
use crate::core::command::Evidence;
use crate::core::hint::Hint;
use crate::core::record::{CardKey, ForgeKind, Hand, Repo, Run, Stray, Target};
use crate::core::seen::{SeenIssue, SeenPull, SeenRepo};
use crate::edges::{ForgeError, Forges as _, Rerun};
use crate::forge::Forges;
use crate::forge::automation::AutomationReader;
use crate::forge::github::GithubForge;
use crate::forge::health::HealthWatch;
use crate::forge::hinted::Hinted;
use crate::forge::sync::Syncer;
use crate::groomer::{self, Groomer};
use crate::ledger::{Door, Fault};
use crate::runner::log::{RunLogs, Stream};
use crate::runner::{Diffs, Hands, Strays};

/// The forges, as the API sees them.
pub struct Desk {
    /// State.
    pub ledger: Door,
    /// The forges that there are.
    pub forges: Arc<Forges>,
    /// GitHub, for its budget.
    pub github: Arc<GithubForge>,
    /// What its credential is and may.
    pub looks: Looks,
    /// Reads what hints are about.
    pub hinted: Arc<Hinted>,
    /// The sync.
    pub syncer: Arc<Syncer>,
    /// What looks at pull requests.
    pub health: HealthWatch,
}

impl Desk {
    async fn find(
        &self,
        repo: &Repo,
        card: &CardKey,
        number: Option<u64>,
        branch: &str,
    ) -> Result<Found, ForgeError> {
        let forge = self.forges.for_repo(repo)?;
        if let Some(number) = number {
            return match forge.pull(repo, number).await {
                Ok(pull) => Ok(Found::Pull(Box::new(pull))),
                Err(ForgeError::NotFound(_)) => {
                    Ok(Found::Absent(format!("there is no pull request #{number} in {}", repo.name)))
                }
                Err(other) => Err(other),
            };
        }
        if let Some(pull) = forge.find_pull(repo, branch).await? {
            return Ok(Found::Pull(Box::new(pull)));
        }
        // Perhaps from another branch: what closes the issue shows in a fresh sync. One that was under way already may have
        // begun before the pull request was there, so nothing found means looking once more.
        let mut found = None;
        for _ in 0..2 {
            self.syncer.sync_repo(&repo.key).await;
            found = self.newest_open(card);
            if found.is_some() {
                break;
            }
        }
        match found {
            Some(pull) => Ok(Found::Pull(Box::new(forge.pull(repo, pull.number).await?))),
            None => Ok(Found::Absent(format!(
                "{} has no open pull request from {branch} and none that closes #{}",
                repo.name, card.number
            ))),
        }
    }

    fn newest_open(&self, card: &CardKey) -> Option<SeenPull> {
        let world = self.ledger.snapshot();
        world
            .pulls_for(card)
            .filter(|p| p.seen.state == PullState::Open)
            .max_by_key(|p| (p.seen.created_at, p.seen.number))
            .map(|p| p.seen.clone())
    }
}

enum Found {
    Pull(Box<SeenPull>),
    Absent(String),
}

#[async_trait]
impl ForgeDesk for Desk {
    async fn sync(&self, repo: Option<&RepoKey>) -> SyncAnswer {
        let results = match repo {
            None => self.syncer.sync_all().await.results,
            Some(key) => self.syncer.sync_repo(key).await.into_iter().collect(),
        };
        // What was read before and is confirmed to be unchanged is in sync as well.
        let world = self.ledger.snapshot();
        let known = results
            .iter()
            .filter(|r| r.error.is_none())
            .filter_map(|r| world.repo_named(&r.repo))
            .map(|repo| world.cards_of(&repo.key).iter().filter(|c| !c.gone).count())
            .sum();
        SyncAnswer { synced_count: known, results }
    }

    fn hint(&self, repo: &RepoKey) {
        self.syncer.hint(repo);
    }

    fn hint_pull(&self, repo: &RepoKey, about: &PullHint) {
        match about {
            PullHint::Number(pr) => self.health.hint(repo, *pr),
            PullHint::Head(sha) => self.health.hint_head(repo, sha),
        }
    }

    async fn look_at_pulls(&self, repo: &RepoKey) -> Vec<String> {
        self.health.look_now(repo).await
    }

    fn look_at(&self, repo: &RepoKey, hint: Hint) {
        match hint {
            Hint::Access => self.looks.forget(),
            other => self.hinted.hint(repo, other),
        }
    }

    async fn credential(&self) -> Credential {
        self.looks.credential().await
    }

    async fn check_access(&self, repos: &[Arc<Repo>]) {
        self.looks.check(repos).await;
    }

    fn access(&self, repo: &RepoKey) -> Option<Access> {
        self.looks.of(repo)
    }

    async fn look(
        &self,
        forge: ForgeKind,
        name: Option<&RepoName>,
        path: Option<&Path>,
    ) -> Result<(SeenRepo, Option<PathBuf>), ForgeError> {
        let path = match path {
            None => None,
            Some(path) if !path.is_absolute() => {
                return Err(ForgeError::Refused(format!(
                    "{} is not absolute; name the whole path",
                    path.display()
                )));
            }
            Some(path) => Some(
                std::fs::canonicalize(path)
                    .map_err(|e| ForgeError::NotFound(format!("{} cannot be opened: {e}", path.display())))?,
            ),
        };
        let name = match (name, &path) {
            (Some(name), _) => name.clone(),
            (None, Some(path)) => local_name(path)?,
            (None, None) => return Err(ForgeError::NotFound("name the repository".into())),
        };
        let stranger = Repo { forge, path: path.clone(), ..Repo::unknown(name) };
        let seen = self.forges.for_repo(&stranger)?.repository(&stranger).await?;
        Ok((seen, path))
    }

    async fn evidence(&self, repo: &Repo, card: &CardKey, number: Option<u64>, branch: &str) -> Evidence {
        match self.find(repo, card, number, branch).await {
            Ok(Found::Pull(pull)) => Evidence::Pull(pull),
            Ok(Found::Absent(why)) => Evidence::Absent(why),
            Err(error) => Evidence::Unreachable(error.to_string()),
        }
    }

    async fn issue(&self, repo: &Repo, number: u64) -> Result<SeenIssue, ForgeError> {
        self.forges.for_repo(repo)?.issue(repo, number).await
    }

    async fn labels(&self, repo: &Repo) -> Result<Option<Vec<String>>, ForgeError> {
        self.forges.for_repo(repo)?.labels(repo).await
    }

    async fn create_label(&self, repo: &Repo, label: &str) -> Result<(), ForgeError> {
        self.forges.for_repo(repo)?.create_label(repo, label).await
    }

    fn budget(&self) -> Budget {
        self.github.budget()
    }

    fn progress(&self) -> broadcast::Receiver<Progress> {
        self.syncer.progress()
    }
}

/// The forges' automation, as the API sees it.
pub struct Automation {
    /// The forges that there are.
    pub forges: Arc<Forges>,
    /// What reads them.
    pub reader: AutomationReader,
}

impl Automation {
    fn none(repo: &Repo) -> ForgeError {
        ForgeError::Refused(format!("the forge of {} has no workflows", repo.name))
    }
}

#[async_trait]
impl AutomationDesk for Automation {
    async fn read(&self, repo: &RepoKey) -> Option<u64> {
        self.reader.read(repo, Urgency::Asked).await.sync_run
    }

    fn hint(&self, repo: &RepoKey) {
        self.reader.hint(repo);
    }

    async fn rerun(&self, repo: &Repo, run: &str) -> Result<Rerun, ForgeError> {
        let forge = self.forges.for_repo(repo)?;
        forge.automation().ok_or_else(|| Self::none(repo))?.rerun(repo, run).await
    }

    async fn dispatch(
        &self,
        repo: &Repo,
        workflow: &str,
        git_ref: &str,
        inputs: &[(String, String)],
    ) -> Result<(), ForgeError> {
        let forge = self.forges.for_repo(repo)?;
        forge.automation().ok_or_else(|| Self::none(repo))?.dispatch(repo, workflow, git_ref, inputs).await
    }
}

/// The hosted groomer, as the API sees it.
pub struct Grooming(pub Groomer);

#[async_trait]
impl GroomerDesk for Grooming {
    async fn run(&self, ask: GroomerAsk) -> Result<GroomerRun, Fault> {
        let GroomerAsk { dry_run, repo, card, force, actor } = ask;
        self.0.run(groomer::Ask { dry_run, repo, card, force, actor }).await
    }
}

/// `local/<directory>`, with what no name may hold replaced.
fn local_name(path: &Path) -> Result<RepoName, ForgeError> {
    let dir = path.file_name().and_then(|n| n.to_str()).unwrap_or("repository");
    let safe: String = dir
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .collect();
    format!("local/{safe}").parse().map_err(ForgeError::Refused)
}

/// What prepares runs by hand, as the API sees it.
pub struct ByHand(pub Hands);

#[async_trait]
impl HandDesk for ByHand {
    fn template(&self) -> String {
        self.0.template().to_owned()
    }

    fn check(&self, program: Option<&str>, target: &Target, hand: &Hand) -> Result<(), String> {
        self.0.check(program, target, hand)
    }

    fn places(&self, repo: &Repo, run: &Run) -> (PathBuf, PathBuf) {
        self.0.places(repo, run)
    }

    async fn rehearse(&self, repo: &Repo, run: &Run) -> Result<String, (EndClass, String)> {
        self.0.rehearse(repo, run).await
    }
}

/// The engines, as the API sees them.
pub struct Engines(pub Strays);

#[async_trait]
impl EngineDesk for Engines {
    async fn orphans(&self) -> Result<Vec<Stray>, Fault> {
        self.0.look().await
    }

    async fn stop(&self, names: &[String], actor: &str) -> Result<(Vec<Stray>, Vec<String>), Fault> {
        self.0.stop(names, actor).await
    }
}

/// The runner's files, as the API sees them.
pub struct Files {
    /// Logs.
    pub logs: Arc<RunLogs>,
    /// What shows the changes of runs.
    pub diffs: Diffs,
    /// The engine in use, or why there is none.
    pub engine: watch::Receiver<String>,
}

fn stream(stream: LogStream) -> Stream {
    match stream {
        LogStream::Raw => Stream::Raw,
        LogStream::Events => Stream::Events,
    }
}

#[async_trait]
impl RunFiles for Files {
    fn len(&self, run: RunId, of: LogStream) -> u64 {
        self.logs.len(run, stream(of))
    }

    fn open(&self, run: RunId, of: LogStream, offset: u64) -> io::Result<std::fs::File> {
        self.logs.open(run, stream(of), offset)
    }

    async fn grown(&self, run: RunId, of: LogStream, beyond: u64) -> (u64, bool) {
        let mut reach = self.logs.follow(run);
        let grown =
            reach.wait_for(|r| r.done || r.of(stream(of)) > beyond).await.map(|r| (r.of(stream(of)), r.done));
        grown.unwrap_or_else(|_| (self.logs.len(run, stream(of)), true))
    }

    async fn diff(&self, repo: &Repo, run: &Run) -> Result<String, String> {
        self.diffs.of(repo, run).await
    }

    fn engine(&self) -> String {
        self.engine.borrow().clone()
    }
}
