//! A daemon beside a fake GitHub with workflows, and what every test asks of the two.

use std::time::Duration;

use dispatch_shared::client::Client;
use dispatch_shared::id::RepoName;
use dispatch_shared::protocol::activity::{AuditQuery, AuditRow};
use dispatch_shared::protocol::automation::{
    AutomationEventsQuery, AutomationResult, RepoDetail, RunActionAnswer, RunActionQuery, RunActionRequest,
};
use dispatch_shared::protocol::repos::AddRepoRequest;
use dispatch_tests::daemon::{Daemon, Place, wait_until};
use dispatch_tests::github::{FakeGithub, Request, TOKEN};

pub(super) const REPO: &str = "acme/api";
pub(super) const SECRET: &str = "a-secret-of-webhooks";
/// The longest for what takes the daemon a moment, on a busy machine.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// A workflow that can be started by hand.
pub(super) const CI: &str = "name: CI
on:
  push:
    branches: [main]
  pull_request:
  schedule:
    - cron: '0 3 * * 1'
  workflow_dispatch:
    inputs:
      level:
        description: How much
        required: true
        type: choice
        options: [some, all]
      dry_run: {type: boolean, default: true}
jobs: {}
";

pub(super) struct Scene {
    pub(super) github: FakeGithub,
    pub(super) daemon: Daemon,
    pub(super) place: Place,
}

pub(super) fn name() -> RepoName {
    REPO.parse().expect("a name in the code is one")
}

impl Scene {
    /// Starts it on what `fill` put into the repository, and waits until its automation has been read by itself.
    pub(super) async fn start(fill: impl FnOnce(&FakeGithub)) -> Self {
        let github = FakeGithub::start().await;
        github.add_repo("acme", "api");
        fill(&github);
        let mut place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
        place.configure("[sync]\nevery = \"1h\"\n");
        place.env("GITHUB_API_URL", github.url().as_str());
        place.env("GH_TOKEN", TOKEN);
        place.env("WEBHOOK_SECRET", SECRET);
        let daemon = place.start().await;
        let scene = Self { github, daemon, place };
        let add = AddRepoRequest { full_name: Some(REPO.into()), ..AddRepoRequest::default() };
        scene.client().add_repo(&add).await.expect("the repository can be tracked");
        scene.until("the first read", |d| d.automation_read_at.is_some()).await;
        scene
    }

    pub(super) fn client(&self) -> &Client {
        &self.daemon.client
    }

    pub(super) async fn detail(&self) -> RepoDetail {
        self.client().repo_detail(&name()).await.expect("the repository's details")
    }

    /// Waits until the details are as wished.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&RepoDetail) -> bool) -> RepoDetail {
        wait_until(what, SOON, async || Some(self.detail().await).filter(|d| holds(d))).await
    }

    /// Has everything read, now.
    pub(super) async fn sync(&self) -> AutomationResult {
        let synced = self.client().automation_sync(Some(&name())).await.expect("a sync");
        assert_eq!((synced.synced, synced.failed, synced.results.len()), (1, 0, 1), "{synced:?}");
        synced.results.into_iter().next().expect("the one repository").result
    }

    /// The kinds of what happened, oldest first.
    pub(super) async fn kinds(&self, kind: &str) -> Vec<String> {
        let query = AutomationEventsQuery { kind: Some(kind.into()), repo: Some(REPO.into()), limit: None };
        let events = self.client().automation_events(&query).await.expect("what happened");
        events.into_iter().rev().map(|e| e.kind).collect()
    }

    pub(super) async fn act(
        &self,
        id: &str,
        action: &str,
        body: RunActionRequest,
    ) -> dispatch_shared::client::Result<RunActionAnswer> {
        let query = RunActionQuery { action: Some(action.into()), repo_full_name: Some(REPO.into()) };
        self.client().act_on_run(id, &query, &body).await
    }

    pub(super) async fn audit(&self, action: &str) -> Vec<AuditRow> {
        let query = AuditQuery { action: Some(action.into()), ..AuditQuery::default() };
        self.client().audit(&query).await.expect("the audit")
    }

    /// The requests since the last look, without git's.
    pub(super) fn requests(&self) -> Vec<Request> {
        let all = self.github.take_requests();
        all.into_iter().filter(|r| !r.path.contains(".git/")).collect()
    }
}

/// `method path` of the requests that fit.
pub(super) fn lines(requests: &[Request], fits: &str) -> Vec<String> {
    let line = |r: &Request| format!("{} {} {}", r.method, r.path, r.status);
    requests.iter().map(line).filter(|l| l.contains(fits)).collect()
}
