//! Resumable work against a daemon with a fake GitHub; and old mistakes that must not return.

use std::time::{Duration, Instant};

use dispatch_shared::claim::{Checkpoint, WorkState};
use dispatch_shared::client::Client;
use dispatch_shared::error::Code;
use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::agent_runs::Overview;
use dispatch_shared::protocol::automation::EnsureLabelsRequest;
use dispatch_shared::protocol::cards::{CommentRequest, LabelRequest, StatusRequest};
use dispatch_shared::protocol::claims::{ClaimRequest, HeartbeatRequest};
use dispatch_shared::protocol::issues::{Issue, IssuesQuery};
use dispatch_shared::protocol::queue::{QueueEntry, QueueQuery};
use dispatch_shared::protocol::work::{
    CheckpointRequest, FinishRequest, StartRequest, WorkActionRequest, WorkQuery,
};
use dispatch_tests::daemon::{Daemon, Place, wait_until};
use dispatch_tests::github::fault::Fault;
use dispatch_tests::github::{FakeGithub, TOKEN};

const PROGRAM: &str = env!("CARGO_BIN_EXE_test-dispatchd");
const SOON: Duration = Duration::from_secs(10);

/// A daemon that has read every issue of these repositories.
async fn scene(github: &FakeGithub, repos: &str, issues: usize) -> (Place, Daemon) {
    let mut place = Place::new(PROGRAM);
    place.env("GITHUB_API_URL", github.url().as_str());
    place.env("GH_TOKEN", TOKEN);
    place.env("GITHUB_REPOSITORIES", repos);
    let daemon = place.start().await;
    wait_until("every issue on the board", SOON, async || {
        (all(&daemon.client).await.len() == issues).then_some(())
    })
    .await;
    (place, daemon)
}

async fn all(client: &Client) -> Vec<Issue> {
    client.issues(&IssuesQuery::default()).await.unwrap_or_default()
}

async fn issue(client: &Client, repo: &str, number: u64) -> Issue {
    let found = all(client).await.into_iter();
    found.filter(|i| i.number == number && i.repository.full_name == repo).last().expect("the issue is known")
}

fn of(issue: &Issue, agent: &str) -> ClaimRequest {
    ClaimRequest { issue: IssueRef::id(&issue.id), agent_name: agent.into(), ..ClaimRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_from_start_to_review() {
    let github = FakeGithub::start().await;
    github.add_repo("acme", "api");
    let number = github.add_issue("acme/api", "Parse dates", "", &["status/ready"]);
    let (_place, daemon) = scene(&github, "acme/api", 1).await;
    let client = &daemon.client;
    let start =
        StartRequest { agent_name: "kai".into(), run_id: Some("x-1".into()), ..StartRequest::default() };
    let work = client.start_work(&start).await.expect("work can be started");
    assert_eq!((work.issue_number, work.state, work.pr_url), (number, WorkState::Claimed, None));
    let told = |checkpoint| CheckpointRequest {
        agent_name: "kai".into(),
        checkpoint: Some(checkpoint),
        branch: Some("topic".into()),
        ..CheckpointRequest::default()
    };
    client.checkpoint(&told(Checkpoint::BranchCreated)).await.expect("a checkpoint");
    let unexplained =
        client.checkpoint(&told(Checkpoint::Blocked)).await.expect_err("a block needs a reason");
    assert_eq!(unexplained.code(), Some(Code::BadRequest));
    let context = client.active_work("kai").await.expect("answered").context.expect("there is work");
    assert_eq!(
        (context.checkpoint.as_str(), context.next_action.as_str()),
        ("branch_created", "continue_changes")
    );
    assert_eq!(context.status.as_deref(), Some("status/in-progress"));
    let summary = client.work_summary("kai").await.expect("answered");
    assert_eq!(summary.issues["local"].in_progress, 1);

    github.push("acme/api", "topic", "a.txt", "text");
    let pull = github.open_pull("acme/api", "topic", "main", "Dates", "no reference at all");
    let finish =
        FinishRequest { agent_name: "kai".into(), state: Some(WorkState::Done), ..FinishRequest::default() };
    let work = client.finish_work(&finish).await.expect("work can be finished");
    assert_eq!(work.state, WorkState::Done);
    assert!(work.pr_url.is_some_and(|url| url.ends_with(&format!("/{pull}"))), "found by its branch");
    let card = issue(client, "acme/api", number).await;
    assert_eq!((card.status.as_deref(), card.claim), (Some("status/in-review"), None));
    assert!(!client.active_work("kai").await.expect("answered").has_active_work);
    let none = client.finish_work(&finish).await.expect_err("it is over");
    assert_eq!(none.code(), Some(Code::NotFound));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_moves_work_to_somebody_else() {
    let github = FakeGithub::start().await;
    github.add_repo("acme", "api");
    github.add_issue("acme/api", "One", "", &["status/ready"]);
    let (_place, daemon) = scene(&github, "acme/api", 1).await;
    let client = &daemon.client;
    let start = StartRequest { agent_name: "kai".into(), ..StartRequest::default() };
    let work = client.start_work(&start).await.expect("work can be started");
    let act = |action: &str, agent: &str| WorkActionRequest {
        action: action.into(),
        agent_name: agent.into(),
        issue: IssueRef { issue_id: Some(work.issue_id.to_string()), ..IssueRef::default() },
        reason: Some("holiday".into()),
        ..WorkActionRequest::default()
    };
    let done = client.act_on_work(&act("reassign", "lee")).await.expect("an operator may");
    assert_eq!((done.released_leases, done.reason.as_str()), (1, "holiday"));
    assert_eq!(done.work.map(|w| w.agent_name.to_string()).as_deref(), Some("lee"));
    let late = HeartbeatRequest { claim_id: Some(work.id) };
    let late = client.heartbeat("kai", &late).await.expect_err("somebody else holds it");
    assert_eq!(late.code(), Some(Code::ClaimRevoked));
    let done = client.act_on_work(&act("release", "lee")).await.expect("an operator may");
    assert_eq!((done.released_leases, done.released_work), (1, 1));
    let list = client.agent_work(&WorkQuery::default()).await.expect("answered");
    assert!(list.active_work.is_empty() && list.stale_leases.is_empty());
    let nothing = client.act_on_work(&act("release", "lee")).await.expect("a repeat is fine");
    assert_eq!(nothing.released_leases, 0);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_mistake_unclaim_clobbering_labels() {
    let github = FakeGithub::start().await;
    github.add_repo("acme", "api");
    let number = github.add_issue("acme/api", "One", "", &["status/ready", "bug"]);
    let (_place, daemon) = scene(&github, "acme/api", 1).await;
    let card = issue(&daemon.client, "acme/api", number).await;
    daemon.client.claim(&of(&card, "kai")).await.expect("a claim");
    wait_until("the claim on GitHub", SOON, async || {
        github.labels("acme/api", number).contains(&"agent/kai".to_owned()).then_some(())
    })
    .await;
    // A person labels it, and Dispatch has not read that yet.
    github.label("acme/api", number, &["area/dates", "help wanted"], &["bug"]);
    daemon.client.unclaim(&of(&card, "kai")).await.expect("given back");
    wait_until("the person's labels and our own", SOON, async || {
        (github.labels("acme/api", number) == ["area/dates", "help wanted", "status/ready"]).then_some(())
    })
    .await;
    assert!(
        github
            .requests()
            .iter()
            .all(|r| r.method != "PUT" && !(r.method == "DELETE" && r.path.ends_with("/labels"))),
        "labels are never written as a set"
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_mistake_one_job_holding_anothers_lock() {
    let github = FakeGithub::start().await;
    github.add_repo("acme", "slow");
    github.add_repo("acme", "quick");
    let slow = github.add_issue("acme/slow", "One", "", &["status/ready"]);
    let quick = github.add_issue("acme/quick", "Two", "", &["status/ready"]);
    let (place, daemon) = scene(&github, "acme/slow,acme/quick", 2).await;
    for path in ["/repos/acme/slow", "/repositories/1"] {
        github.fail_next(path, Fault::Slow(Duration::from_secs(20)), 50);
    }
    let (stuck, refreshing) = (place.client(), place.client());
    let name = "acme/slow".parse().expect("a name");
    let syncing = tokio::spawn(async move { stuck.sync(Some(&name)).await });
    let held_up = issue(&daemon.client, "acme/slow", slow).await;
    let named = IssueRef::id(&held_up.id);
    let refreshing = tokio::spawn(async move { refreshing.refresh(&named).await });
    wait_until("the slow requests are under way", SOON, async || {
        let asked = github.requests();
        (asked.iter().filter(|r| r.path.starts_with("/repos/acme/slow")).count() >= 4).then_some(())
    })
    .await;
    let began = Instant::now();
    // A claim on the slow repository is decided here, not there.
    daemon.client.claim(&of(&held_up, "lee")).await.expect("a claim");
    let card = issue(&daemon.client, "acme/quick", quick).await;
    daemon.client.claim(&of(&card, "kai")).await.expect("a claim");
    let beat = daemon.client.heartbeat("kai", &HeartbeatRequest::default()).await.expect("a heartbeat");
    assert_eq!(beat.touched_issue_urls.len(), 1);
    assert!(began.elapsed() < Duration::from_secs(1), "answered after {:?}", began.elapsed());
    wait_until("the quick repository's labels", Duration::from_secs(2), async || {
        github.labels("acme/quick", quick).contains(&"agent/kai".to_owned()).then_some(())
    })
    .await;
    assert!(!syncing.is_finished() && !refreshing.is_finished(), "the slow ones are still waiting");
    syncing.abort();
    refreshing.abort();
    daemon.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn old_mistake_a_claim_stolen_through_a_stale_cache() {
    let github = FakeGithub::start().await;
    github.add_repo("acme", "api");
    let number = github.add_issue("acme/api", "One", "", &["status/ready"]);
    let (place, daemon) = scene(&github, "acme/api", 1).await;
    let card = issue(&daemon.client, "acme/api", number).await;
    // The claim reaches GitHub late; what is read there meanwhile still says ready.
    github.fail_next("POST /repos/acme/api/issues", Fault::Status(502), 1);
    daemon.client.claim(&of(&card, "kai")).await.expect("a claim");
    daemon.client.sync(None).await.expect("a sync");
    let read = daemon.client.refresh(&IssueRef::id(&card.id)).await.expect("a refresh");
    assert_eq!(read.claim.as_ref().map(|c| c.agent_name.to_string()).as_deref(), Some("kai"));
    let stolen = daemon.client.claim(&of(&card, "lee")).await.expect_err("it is held");
    assert_eq!(stolen.code(), Some(Code::Held));
    daemon.kill();
    let daemon = place.start().await;
    let stolen = daemon.client.claim(&of(&card, "lee")).await.expect_err("also after a restart");
    assert_eq!(stolen.code(), Some(Code::Held));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_comments_and_status_reach_github() {
    let github = FakeGithub::start().await;
    github.add_repo("acme", "api");
    let number = github.add_issue("acme/api", "One", "", &["status/ready"]);
    let (_place, daemon) = scene(&github, "acme/api", 1).await;
    let client = &daemon.client;
    let card = issue(client, "acme/api", number).await;
    let named = IssueRef::id(&card.id);
    let label = LabelRequest { issue: named.clone(), label: "area/dates".into() };
    client.label(&label, true).await.expect("a label");
    client.comment(&CommentRequest { issue: named.clone(), body: "Seen.".into() }).await.expect("a comment");
    let blocked = StatusRequest {
        issue: named.clone(),
        status: "blocked".into(),
        blocked_reason: Some("waits for #9".into()),
        ..StatusRequest::default()
    };
    assert_eq!(client.set_status(&blocked).await.expect("a status").status, "status/blocked");
    wait_until("all of it on GitHub", SOON, async || {
        let labels = github.labels("acme/api", number);
        let there = labels == ["area/dates", "status/blocked", "status/ready"];
        (there && github.comments("acme/api", number).len() == 1).then_some(())
    })
    .await;
    client.label(&label, false).await.expect("without the label");
    wait_until("the label is gone", SOON, async || {
        (github.labels("acme/api", number) == ["status/blocked", "status/ready"]).then_some(())
    })
    .await;
    let dry = EnsureLabelsRequest { repo_full_name: "acme/api".into(), dry_run: None };
    let said = client.ensure_labels(&dry).await.expect("answered");
    assert!(said.dry_run && said.created.is_empty() && said.missing.contains(&"priority/p0".to_owned()));
    assert!(!github.repo_labels("acme/api").contains(&"priority/p0".to_owned()), "a dry run makes nothing");
    let real = EnsureLabelsRequest { dry_run: Some(false), ..dry };
    assert_eq!(client.ensure_labels(&real).await.expect("answered").created, said.missing);
    assert!(client.ensure_labels(&real).await.expect("answered").missing.is_empty());
    let overview = client.overview().await.expect("answered");
    assert_eq!(overview.by_status["ready"], 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_tells_what_it_withholds_and_why_only_to_who_asks() {
    let github = FakeGithub::start().await;
    github.add_repo("acme", "api");
    let next = github.add_issue("acme/api", "Parse dates", "", &["status/ready"]);
    let blocked =
        github.add_issue("acme/api", "Drop Node 18", &format!("depends on #{next}"), &["status/ready"]);
    github.add_issue("acme/api", "Some day", "", &["status/backlog"]);
    let (_place, daemon) = scene(&github, "acme/api", 3).await;
    let client = &daemon.client;
    let rows = async |query: &QueueQuery| {
        let entries = client.queue("kai", query).await.expect("the queue");
        let issues = entries.into_iter().filter_map(|entry| match entry {
            QueueEntry::Issue(issue) => Some((issue.number, issue.claimable, issue.withheld)),
            QueueEntry::Fix(_) => None,
        });
        issues.collect::<Vec<_>>()
    };
    assert_eq!(rows(&QueueQuery::default()).await, [(next, true, None)]);
    let all = QueueQuery { include_withheld: Some(true), ..QueueQuery::default() };
    let told = rows(&all).await;
    let why = told.get(1).and_then(|(_, _, why)| why.clone()).expect("the second one is withheld");
    assert!(why.contains(&format!("#{next}")), "{why}");
    assert_eq!(told, [(next, true, None), (blocked, false, Some(why))], "the backlog is no part of it");
    client.freeze(true).await.expect("frozen");
    let frozen = rows(&all).await;
    assert_eq!(frozen.first(), Some(&(next, false, Some("the queue is frozen".to_owned()))));
    let overview: Overview = client.get("/api/overview", &()).await.expect("the overview");
    assert!(overview.agents.iter().all(|a| a.slots >= 1), "{:?}", overview.agents);
}
