//! A daemon beside a fake GitHub, and what every scenario asks of the two.

use std::time::{Duration, Instant};

use dispatch_shared::client::Client;
use dispatch_shared::id::RepoName;
use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::issues::{Issue, IssuesQuery, MoveRequest};
use dispatch_shared::protocol::repos::{AddRepoRequest, PatchRepoRequest};
use dispatch_shared::protocol::runs::{LogQuery, Run, RunsQuery};
use dispatch_tests::daemon::{Daemon, Place, wait_until};
use dispatch_tests::github::{FakeGithub, Request, TOKEN};
use dispatch_tests::secret::Secret;

pub(super) const REPO: &str = "acme/api";
/// The longest for what takes the daemon a moment, on a busy machine.
pub(super) const SOON: Duration = Duration::from_secs(20);
/// The longest for a run.
pub(super) const RUN: Duration = Duration::from_secs(60);
/// A label of somebody else's, with everything in it that an address must escape.
pub(super) const FOREIGN: &str = "area: web/ui 100% ✨";

/// A daemon that knows the fake, with one repository.
pub(super) struct Scene {
    pub(super) github: FakeGithub,
    pub(super) daemon: Daemon,
    pub(super) place: Place,
    pub(super) token: String,
}

impl Scene {
    /// Starts it on what `fill` put into the repository, and waits until that is read. `name` makes the token one that
    /// no other daemon on this machine has.
    pub(super) async fn start(name: &str, config: &str, fill: impl FnOnce(&FakeGithub)) -> Self {
        let token = format!("ghp_{name}{:08x}NeverToBeSeen", std::process::id());
        let github = FakeGithub::start().await;
        github.add_token(&token);
        github.revoke_token(TOKEN);
        github.add_repo("acme", "api");
        fill(&github);
        let mut place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
        place.configure(&format!("[sync]\nevery = \"1h\"\nautomation = false\n{config}"));
        place.env("GITHUB_API_URL", github.url().as_str());
        place.env("GH_TOKEN", &token);
        place.env("DISPATCH_LOG", "trace");
        let daemon = place.start().await;
        let scene = Self { github, daemon, place, token };
        let add = AddRepoRequest { full_name: Some(REPO.into()), ..AddRepoRequest::default() };
        let added = scene.client().add_repo(&add).await.expect("the repository can be tracked");
        assert_eq!((added.forge.as_str(), added.default_branch.as_str()), ("github", "main"));
        wait_until("the first sync", SOON, async || {
            let repos = scene.client().repos().await.expect("a list of repositories");
            assert_eq!(repos[0].sync_error, None);
            repos[0].last_synced_at
        })
        .await;
        scene
    }

    pub(super) fn client(&self) -> &Client {
        &self.daemon.client
    }

    pub(super) async fn cards(&self) -> Vec<Issue> {
        self.client().issues(&IssuesQuery::default()).await.expect("a list of issues")
    }

    pub(super) async fn card(&self, number: u64) -> Issue {
        self.cards().await.into_iter().find(|c| c.number == number).expect("the card is on the board")
    }

    pub(super) async fn switch_runner_on(&self) {
        let patch = PatchRepoRequest { runner_enabled: Some(true), ..PatchRepoRequest::default() };
        let repo = self.client().patch_repo(&name(), &patch).await.expect("the runner can be switched on");
        assert!(repo.runner_enabled);
    }

    /// The newest run.
    pub(super) async fn run(&self) -> Option<Run> {
        self.client().runs(&RunsQuery::default()).await.expect("a list of runs").into_iter().next()
    }

    /// Waits until the newest run is another one than `before` and over.
    pub(super) async fn ended(&self, before: Option<&Run>) -> Run {
        wait_until("the end of the run", RUN, async || {
            self.run().await.filter(|r| r.ended && before.is_none_or(|b| b.id != r.id))
        })
        .await
    }

    pub(super) async fn log(&self, run: &Run) -> String {
        let mut all = Vec::new();
        let mut log = self.client().log(run.id, &LogQuery::default()).await.expect("a log");
        while let Some(piece) = log.next().await.expect("the log can be read") {
            all.extend_from_slice(&piece);
        }
        String::from_utf8(all).expect("the log is text")
    }

    /// Waits until the fake's labels of an issue are these; returns how long it took.
    pub(super) async fn labels(&self, number: u64, deadline: Duration, wanted: &[&str]) -> Duration {
        let began = Instant::now();
        let mut sorted = wanted.to_vec();
        sorted.sort_unstable();
        let what = format!("the labels {sorted:?} on #{number}");
        wait_until(&what, deadline, async || (self.github.labels(REPO, number) == sorted).then_some(()))
            .await;
        began.elapsed()
    }

    pub(super) async fn move_to(&self, number: u64, status: &str) -> Vec<String> {
        let issue =
            IssueRef { repo_full_name: Some(REPO.into()), issue_number: Some(number), issue_id: None };
        let request = MoveRequest { issue, status: Some(status.into()), ..MoveRequest::default() };
        self.client().move_issue(&request).await.expect("the card can be moved").labels
    }

    /// `kill -9`, and another daemon in its place. Returns the files that held the token in between.
    pub(super) async fn crash(self) -> (Self, Vec<std::path::PathBuf>) {
        let Self { github, daemon, place, token } = self;
        daemon.kill();
        let (with, _) = Secret::new(&token).files(&place.state());
        let daemon = place.start().await;
        (Self { github, daemon, place, token }, with)
    }

    /// Ends the daemon and looks through everything that it leaves on disk.
    pub(super) async fn nothing_secret_is_left(self) {
        let secret = Secret::new(&self.token);
        self.daemon.stop().await;
        let (with, files) = secret.files(&self.place.state());
        assert!(files > 1, "there is a state to look through, {files} files");
        assert!(with.is_empty(), "the token is in {with:?}");
        let log = self.place.log();
        assert!(
            log.contains("TRACE") && log.contains("/repos/acme/api/issues"),
            "the log tells of everything"
        );
        let told: Vec<&str> = log.lines().filter(|l| secret.is_in(l.as_bytes())).collect();
        assert!(told.is_empty(), "the token is in the log:\n{}", told.join("\n"));
    }
}

pub(super) fn name() -> RepoName {
    REPO.parse().expect("a name in the code is one")
}

/// The statuses of the requests that begin with `start`.
pub(super) fn statuses(requests: &[Request], start: &str) -> Vec<u16> {
    let line = |r: &Request| format!("{} {}", r.method, r.path);
    requests.iter().filter(|r| line(r).starts_with(start)).map(|r| r.status).collect()
}

/// Nothing replaces or clears a set of labels, closes an issue, or merges.
pub(super) fn only_small_writes(requests: &[Request]) {
    for request in requests.iter().filter(|r| r.is_write()) {
        let last = request.path.rsplit('/').next().unwrap_or_default();
        let fine = match request.method.as_str() {
            "POST" => matches!(last, "labels" | "pulls" | "git-receive-pack"),
            "DELETE" => request.path.contains("/labels/"),
            _ => false,
        };
        assert!(fine, "{} {}", request.method, request.path);
    }
}
