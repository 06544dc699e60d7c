//! One issue, one repository, one program, one runtime: the smallest world in which a run can go well or badly.

use dispatchd::edges::{Clock as _, SystemClock};
use std::path::PathBuf;
use std::time::Duration;

use dispatch_shared::client::Client;
use dispatch_shared::error::Code;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::activity::{AuditQuery, AuditRow};
use dispatch_shared::protocol::issues::{Issue, IssuesQuery};
use dispatch_shared::protocol::repos::{AddRepoRequest, PatchRepoRequest};
use dispatch_shared::protocol::runs::{LogQuery, Run, RunsQuery};
use dispatch_shared::run::RuntimeKind;

use crate::daemon::{Place, wait_until};
use crate::image::{IMAGE, build};
use crate::leftover;
use crate::repository::Repository;

/// How long anything may take here before it counts as never.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// The repository's name on the board.
const NAME: &str = "local/sample";

/// See the module.
pub struct Scene {
    /// Where the daemon lives.
    pub place: Place,
    /// What is worked on.
    pub repository: Repository,
    /// What contains the program.
    pub kind: RuntimeKind,
}

impl Scene {
    /// A scene in which the program is `script` under `sh`; `runner` are more lines of `[runner]`.
    ///
    /// # Panics
    /// If it cannot be set up.
    #[must_use]
    pub fn new(program: &str, kind: RuntimeKind, script: &str, runner: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        if !matches!(kind, RuntimeKind::Host | RuntimeKind::Kubernetes) {
            build(kind);
        }
        let place = Place::new(program);
        // Passable, so that a daemon that is root can run programs as somebody else.
        let passable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place.path(), passable).expect("the place is ours");
        let repository = Repository::new(place.path(), "sample");
        repository.ready_issue(1, "Count the lines");
        // A cluster keeps its pods' network to itself.
        let network = if kind == RuntimeKind::Kubernetes { "default" } else { "none" };
        place.configure(&format!(
            "[queue]\nrunner_lease = \"3s\"\n\n[runner]\nruntime = \"{kind}\"\nimage = \"{IMAGE}\"\n\
             agent = \"sample\"\nnetwork = \"{network}\"\nmemory = \"256m\"\n{runner}\n\n\
             [runner.agents.sample]\nformat = \"plain\"\nargv = [\"sh\", \"-c\", '''\n{script}''']\n"
        ));
        Self { place, repository, kind }
    }

    /// Tracks the repository, and leaves its runner off. Doing it again is fine.
    ///
    /// # Errors
    /// What the client says.
    pub async fn track(&self, client: &Client) -> Result<(), dispatch_shared::client::Error> {
        let add = AddRepoRequest {
            full_name: Some(NAME.into()),
            forge: Some("local".into()),
            path: Some(self.repository.path().display().to_string()),
        };
        match client.add_repo(&add).await {
            Err(error) if error.code() != Some(Code::AlreadyExists) => Err(error),
            _ => Ok(()),
        }
    }

    /// Tracks the repository and switches its runner on. Doing it again is fine.
    ///
    /// # Errors
    /// What the client says.
    pub async fn switch_on(&self, client: &Client) -> Result<(), dispatch_shared::client::Error> {
        self.track(client).await?;
        let name = NAME.parse().expect("a repository's name");
        let on = PatchRepoRequest { runner_enabled: Some(true), ..PatchRepoRequest::default() };
        client.patch_repo(&name, &on).await.map(drop)
    }

    /// The only run that there ever was, if there is one by now.
    ///
    /// # Panics
    /// If there are more.
    pub async fn run(&self, client: &Client) -> Option<Run> {
        let mut runs = client.runs(&RunsQuery::default()).await.ok()?;
        assert!(runs.len() <= 1, "one run is enough: {runs:?}");
        runs.pop()
    }

    /// Waits until the run's program works.
    ///
    /// # Panics
    /// If it does not, or the run is over before.
    pub async fn running(&self, client: &Client) -> Run {
        wait_until(&self.named("the program to work"), DEADLINE, async || {
            let run = self.run(client).await?;
            assert!(!run.ended, "it ended early: {run:?}\n{}", self.place.log());
            (run.state == "running").then_some(run)
        })
        .await
    }

    /// Waits until the run is over.
    ///
    /// # Panics
    /// If it is not in time.
    pub async fn over(&self, client: &Client) -> Run {
        wait_until(&self.named("the run to be over"), DEADLINE, async || {
            self.run(client).await.filter(|run| run.ended)
        })
        .await
    }

    /// The card.
    ///
    /// # Panics
    /// If it is not on the board.
    pub async fn card(&self, client: &Client) -> Issue {
        let mut cards = client.issues(&IssuesQuery::default()).await.expect("the board answers");
        assert_eq!(cards.len(), 1, "one card is on the board");
        cards.remove(0)
    }

    /// Whether the claim of `run` is held, and for how much longer, by this machine's clock.
    ///
    /// # Panics
    /// If it is not.
    pub async fn lease(&self, client: &Client, run: &Run) -> Duration {
        let claim = self.card(client).await.claim.expect("the claim is held");
        assert_eq!((Some(claim.id), claim.attempt), (run.claim_id, run.attempt), "it is the run's own");
        claim.lease_expires_at.since(SystemClock.now())
    }

    /// The run's log as it stands.
    ///
    /// # Panics
    /// If it cannot be read.
    pub async fn log(&self, client: &Client, run: &Run) -> Vec<u8> {
        let mut log = client.log(run.id, &LogQuery::default()).await.expect("a log");
        let mut all = Vec::new();
        while let Some(bytes) = log.next().await.expect("the log is whole") {
            all.extend_from_slice(&bytes);
        }
        all
    }

    /// Waits until the log holds `text`.
    ///
    /// # Panics
    /// If it never does.
    pub async fn said(&self, client: &Client, run: &Run, text: &str) {
        wait_until(&self.named(text), DEADLINE, async || {
            String::from_utf8_lossy(&self.log(client, run).await).contains(text).then_some(())
        })
        .await;
    }

    /// The audit's rows of one action.
    ///
    /// # Panics
    /// If it cannot be read.
    pub async fn audit(&self, client: &Client, action: &str) -> Vec<AuditRow> {
        let query = AuditQuery { action: Some(action.into()), ..AuditQuery::default() };
        client.audit(&query).await.expect("the audit answers")
    }

    /// The checkout of the issue.
    #[must_use]
    pub fn checkout(&self) -> PathBuf {
        self.place.state().join("workspaces").join(NAME).join("issue-1/repo")
    }

    /// Asserts that the run was published exactly once.
    ///
    /// # Panics
    /// If not.
    pub async fn published_once(&self, client: &Client) {
        let run = self.over(client).await;
        assert_eq!(run.state, "succeeded", "{run:?}\n{}", self.place.log());
        assert_eq!(self.repository.pulls().len(), 1, "{:?}", self.repository.pulls());
        let branches = self.repository.branches();
        assert_eq!(branches.len(), 1, "{branches:?}");
        let commits = self.repository.git(&["rev-list", "--count", &format!("main..{}", branches[0])]);
        assert_eq!(commits.trim(), "1", "one commit was published");
        let card = self.card(client).await;
        assert_eq!(card.column, Status::InReview);
        assert_eq!(card.claim, None, "the claim is over");
        assert_eq!(card.linked_pr_number, run.pull_request_number);
        let reports = self.audit(client, "report_task").await;
        assert_eq!(reports.iter().filter(|r| r.success).count(), 1, "{reports:?}");
        assert_eq!(reports.len(), 1, "{reports:?}");
    }

    /// Waits until nothing of the run is left: no container, no process, no home, nothing half made.
    ///
    /// # Panics
    /// If something stays.
    pub async fn nothing_left(&self, run: &Run) {
        let container = run.container.clone().unwrap_or_default();
        let mut marks = vec![self.place.state().join("workspaces").display().to_string()];
        if !matches!(self.kind, RuntimeKind::Host | RuntimeKind::Kubernetes) && !container.is_empty() {
            marks.push(container);
        }
        let labelled = state_id(&self.place.state());
        let mut left = Vec::new();
        let gone = async || {
            left = marks.iter().flat_map(|m| leftover::processes(m)).collect();
            left.extend(leftover::containers(self.kind, &labelled));
            let state = self.place.state();
            let mut paths = leftover::directories(&state);
            paths.extend(leftover::half_made(&state));
            if self.kind == RuntimeKind::Host {
                paths.extend(leftover::groups(&labelled));
            }
            left.extend(paths.iter().map(|p| p.display().to_string()));
            left.is_empty().then_some(())
        };
        let waited =
            tokio::time::timeout(Duration::from_secs(20), wait_until("all gone", DEADLINE, gone)).await;
        assert!(waited.is_ok(), "{}: left behind: {left:#?}\n{}", self.kind, self.place.log());
    }

    fn named(&self, what: &str) -> String {
        format!("{what} ({})", self.kind)
    }
}

/// What the daemon calls its state directory on labels and control groups.
fn state_id(state: &std::path::Path) -> String {
    use sha2::Digest;
    let real = state.canonicalize().expect("the daemon has made it");
    let digest = sha2::Sha256::digest(real.as_os_str().as_encoded_bytes());
    digest.iter().take(6).map(|b| format!("{b:02x}")).collect()
}

impl Drop for Scene {
    /// A scenario that failed must not leave its program running.
    fn drop(&mut self) {
        leftover::clear(self.kind, &self.place.state());
    }
}
