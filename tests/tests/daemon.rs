//! The daemon as its users meet it: many clients at once, two daemons, stale sockets, bad configuration, curl alone.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::client::{Client, Message};
use dispatch_shared::error::Code;
use dispatch_shared::protocol::claims::HeartbeatRequest;
use dispatch_shared::protocol::events::EventsQuery;
use dispatch_shared::protocol::repos::AddRepoRequest;
use dispatch_shared::protocol::tasks::{NextTaskQuery, TakeRequest};
use dispatch_shared::task::TaskType;
use dispatch_tests::daemon::{Daemon, Place, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_test-dispatchd");
const SOON: Duration = Duration::from_secs(10);

fn place() -> Place {
    Place::new(PROGRAM)
}

fn git(dir: &Path, args: &[&str]) {
    let done = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is there");
    assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A repository on disk with `ready` issues that are ready, tracked by the daemon.
async fn with_issues(place: &Place, daemon: &Daemon, ready: usize) {
    let dir = place.path().join("sample");
    std::fs::create_dir_all(dir.join(".dispatch/issues")).expect("a directory");
    git(&dir, &["init", "-q", "-b", "main"]);
    git(&dir, &["commit", "-q", "--allow-empty", "-m", "start"]);
    for n in 1..=ready {
        let text = format!("---\ntitle: Issue {n}\nlabels: [status/ready]\n---\n\n- [ ] done\n");
        std::fs::write(dir.join(format!(".dispatch/issues/{n}-issue.md")), text).expect("an issue");
    }
    let add = AddRepoRequest {
        forge: Some("local".into()),
        path: Some(dir.display().to_string()),
        ..AddRepoRequest::default()
    };
    daemon.client.add_repo(&add).await.expect("a local repository can be tracked");
    wait_until("all issues on the board", SOON, async || {
        let control = daemon.client.control().await.ok()?;
        (control.ready == ready).then_some(())
    })
    .await;
}

async fn take(client: &Client, agent: &str) -> dispatch_shared::protocol::tasks::Task {
    client.take(agent, &NextTaskQuery::default(), &TakeRequest::default()).await.expect("a take is answered")
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_clients_share_fifty_issues() {
    let place = place();
    let daemon = place.start().await;
    with_issues(&place, &daemon, 50).await;
    let start = Arc::new(tokio::sync::Barrier::new(64));
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..64 {
        // A client of its own for each: 64 connections, 64 requests at once.
        let (client, start) = (place.client(), start.clone());
        callers.spawn(async move {
            start.wait().await;
            take(&client, &format!("agent-{n}")).await
        });
    }
    let tasks = callers.join_all().await;
    let idle = tasks.iter().filter(|t| t.kind == TaskType::Idle).count();
    let claims: BTreeSet<_> = tasks.iter().filter_map(|t| t.claim.as_ref()).map(|c| c.id).collect();
    let issues: BTreeSet<_> = tasks.iter().filter_map(|t| t.issue.as_ref()).map(|i| i.number).collect();
    assert_eq!((claims.len(), issues.len(), idle), (50, 50, 14));
    daemon.kill();
    let daemon = place.start().await;
    let control = daemon.client.control().await.expect("control");
    assert_eq!(control.ready, 0, "what was acknowledged is there after a kill");
    let claimed = daemon.client.issues(&Default::default()).await.expect("issues");
    let held: BTreeSet<_> = claimed.iter().filter_map(|i| i.claim.as_ref()).map(|c| c.id).collect();
    assert_eq!(held, claims);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_request_is_answered_when_there_is_work() {
    let place = place();
    let daemon = place.start().await;
    with_issues(&place, &daemon, 1).await;
    let first = take(&daemon.client, "first").await;
    let client = place.client();
    let waiting = tokio::spawn(async move {
        let query = NextTaskQuery { wait: Some("60s".into()), ..NextTaskQuery::default() };
        client.take("second", &query, &TakeRequest::default()).await
    });
    let issue = first.issue.expect("a task");
    let release = dispatch_shared::protocol::claims::ClaimRequest {
        issue: dispatch_shared::protocol::IssueRef::id(&issue.id),
        agent_name: "first".into(),
        claim_id: first.claim.map(|c| c.id),
        ..Default::default()
    };
    daemon.client.unclaim(&release).await.expect("a claim can be given back");
    let second =
        tokio::time::timeout(SOON, waiting).await.expect("in time").expect("no panic").expect("answered");
    assert_eq!(second.issue.map(|i| i.number), Some(issue.number));
    let lost = HeartbeatRequest { claim_id: release.claim_id };
    let refused = daemon.client.heartbeat("first", &lost).await.expect_err("an ended claim renews nothing");
    assert_eq!(refused.code(), Some(Code::StaleClaim));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_resumes_without_missing_anything() {
    let place = place();
    let daemon = place.start().await;
    with_issues(&place, &daemon, 3).await;
    let query = EventsQuery { snapshot: Some("all".into()), after: None };
    let mut stream = daemon.client.events(&query).await.expect("events");
    let Some(Message::Snapshot(state)) = stream.next().await.expect("a stream") else {
        panic!("the state comes first")
    };
    assert_eq!(state.issues.len(), 3);
    let task = take(&daemon.client, "kai").await;
    let number = task.issue.expect("a task").number;
    let mut seen = state.seq;
    let column = loop {
        let next = tokio::time::timeout(SOON, stream.next()).await.expect("in time").expect("a stream");
        if let Some(Message::Change(change)) = next {
            assert!(change.seq >= seen, "numbers only grow");
            seen = change.seq;
            if let Some(issue) = change.issues.iter().find(|i| i.number == number && i.claim.is_some()) {
                break issue.column;
            }
        }
    };
    assert_eq!(column.word(), "in-progress");
    drop(stream);
    daemon.kill();
    let daemon = place.start().await;
    let resume = EventsQuery { snapshot: None, after: Some(state.seq.0) };
    let mut stream = daemon.client.events(&resume).await.expect("events");
    let Some(Message::Change(change)) = stream.next().await.expect("a stream") else {
        panic!("what was missed comes")
    };
    assert!(change.issues.iter().any(|i| i.number == number && i.claim.is_some()), "also across a kill");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_refused_and_names_the_first() {
    let place = place();
    let daemon = place.start().await;
    let second = said(&mut place.command());
    assert!(!second.status.success());
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(text.contains(&format!("pid {}", daemon.pid())), "{text}");
    assert!(text.contains(&place.socket().display().to_string()), "{text}");
    assert!(daemon.client.health().await.is_ok(), "the first goes on");
    assert!(place.socket().exists(), "the first keeps its socket");
    daemon.stop().await;
    assert!(!place.socket().exists(), "a daemon that stops takes its socket away");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_daemons_socket_is_not_taken() {
    let (one, two) = (place(), place());
    let daemon = one.start().await;
    let stolen = said(two.command().env("DISPATCH_SOCKET", one.socket()));
    let text = String::from_utf8_lossy(&stolen.stderr).into_owned();
    assert!(!stolen.status.success() && text.contains("another daemon answers at"), "{text}");
    assert!(daemon.client.health().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_socket_is_replaced() {
    let place = place();
    let daemon = place.start().await;
    daemon.kill();
    assert!(place.socket().exists(), "a killed daemon leaves its socket");
    let daemon = place.start().await;
    let mode = std::fs::metadata(place.socket()).expect("a socket").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    daemon.stop().await;
    drop(UnixListener::bind(place.socket()).expect("a socket that nobody listens on"));
    place.start().await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_names_file_line_and_key() {
    let place = place();
    place.configure("[queue]\nlease = \"30m\"\n\n[runner]\nmax_parallel = \"many\"\n");
    let text = String::from_utf8_lossy(&said(&mut place.command()).stderr).into_owned();
    assert!(text.contains("config.toml:5:") && text.contains("runner.max_parallel"), "{text}");
    place.configure("[runner]\nimages = \"x\"\n");
    let text = String::from_utf8_lossy(&said(&mut place.command()).stderr).into_owned();
    assert!(text.contains("config.toml:2:") && text.contains("images"), "{text}");
    assert!(
        !place.state().join("dispatch.redb").exists(),
        "nothing is made before the configuration is right"
    );
}

/// Runs a daemon that is expected to end by itself.
fn said(command: &mut Command) -> Output {
    command.stderr(Stdio::piped()).stdout(Stdio::piped()).output().expect("the daemon can be started")
}

/// A request with curl alone; the answer's status and body.
fn curl(place: &Place, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
    let done = Command::new("curl")
        .args(["-sS", "-X", method, "--unix-socket"])
        .arg(place.socket())
        .args(["-w", "\n%{http_code}", "-d", body])
        .arg(format!("http://dispatch{path}"))
        .output()
        .expect("curl is there");
    let text = String::from_utf8(done.stdout).expect("text");
    let (body, status) = text.rsplit_once('\n').unwrap_or(("", &text));
    (status.parse().unwrap_or(0), serde_json::from_str(body).unwrap_or(serde_json::Value::Null))
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_alone_does_the_whole_loop() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: curl is not installed");
        return;
    }
    let place = place();
    let daemon = place.start().await;
    with_issues(&place, &daemon, 1).await;
    let (status, look) = curl(&place, "GET", "/api/agents/a/next-task", "");
    assert_eq!((status, &look["shouldRun"], &look["claim"]), (200, &true.into(), &serde_json::Value::Null));
    let (status, task) = curl(&place, "POST", "/api/agents/a/next-task", "");
    assert_eq!((status, &task["type"]), (200, &"implement".into()), "{task}");
    assert_eq!(task["forbids"][0], "merge_pull_request");
    assert_eq!(task["acceptanceCriteria"][0], "done");
    let claim = &task["claim"]["id"];
    let (_, idle) = curl(&place, "POST", "/api/agents/b/next-task", "");
    assert_eq!((&idle["type"], &idle["shouldRun"]), (&"idle".into(), &false.into()));
    assert!(idle["reason"].as_str().is_some_and(|r| r.contains("1 claimed")), "{idle}");
    let branch = task["branch"].as_str().expect("a branch");
    let dir = place.path().join("sample");
    git(&dir, &["switch", "-q", "-c", branch]);
    git(&dir, &["commit", "-q", "--allow-empty", "-m", "work"]);
    git(&dir, &["switch", "-q", "main"]);
    let (status, beat) = curl(&place, "POST", "/api/agents/a/heartbeat", "");
    assert_eq!((status, &beat["status"]), (200, &"ok".into()));
    let report = |outcome: &str, extra: &str| {
        format!(r#"{{"taskType":"implement","outcome":"{outcome}","claimId":{claim}{extra}}}"#)
    };
    let (status, wrong) = curl(&place, "POST", "/api/agents/a/tasks/report", &report("done", ""));
    assert_eq!(status, 400);
    assert!(
        wrong["error"].as_str().is_some_and(|e| e.contains("`outcome`")),
        "a wrong field is named: {wrong}"
    );
    let (status, absent) =
        curl(&place, "POST", "/api/agents/a/tasks/report", &report("pr_opened", r#","pullRequestNumber":9"#));
    assert_eq!((status, &absent["code"]), (422, &"not_verified".into()), "{absent}");
    let key = r#","error":"Which colour?","idempotencyKey":"k1""#;
    let (status, done) = curl(&place, "POST", "/api/agents/a/tasks/report", &report("blocked", key));
    assert_eq!(
        (status, &done["ok"], &done["report"]["status"]),
        (200, &true.into(), &"blocked".into()),
        "{done}"
    );
    let (status, again) = curl(&place, "POST", "/api/agents/a/tasks/report", &report("blocked", key));
    assert_eq!((status, &again["duplicate"]), (200, &true.into()), "a repeat is answered as before");
    let (status, stale) = curl(&place, "POST", "/api/agents/a/tasks/report", &report("failed", ""));
    assert_eq!((status, &stale["code"]), (409, &"stale_claim".into()), "{stale}");
    let (_, problems) = curl(&place, "GET", "/api/problems", "");
    assert_eq!(problems[0]["text"], "Which colour?");
    let (status, none) = curl(&place, "GET", "/api/nothing", "");
    assert_eq!((status, &none["code"]), (404, &"no_route".into()));
    let (status, method) = curl(&place, "DELETE", "/api/health", "");
    assert_eq!((status, &method["code"]), (405, &"method_not_allowed".into()));
    let huge = format!(r#"{{"taskType":"{}"}}"#, "x".repeat(1_100_000));
    let file = place.path().join("huge.json");
    std::fs::write(&file, huge).expect("a file");
    let (status, large) = curl(&place, "POST", "/api/agents/a/tasks/report", &format!("@{}", file.display()));
    assert_eq!((status, &large["code"]), (413, &"too_large".into()));
    daemon.stop().await;
}
