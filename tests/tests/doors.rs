//! Both doors of a real daemon: who passes where with which token, how often, and what is refused before it opens.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use dispatch_shared::client::Client;
use dispatch_shared::endpoint::Endpoint;
use dispatch_shared::error::Code;
use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::activity::AuditQuery;
use dispatch_shared::protocol::claims::ClaimRequest;
use dispatch_shared::protocol::setup::SetupRequest;
use dispatch_shared::protocol::tasks::{NextTaskQuery, TakeRequest};
use dispatch_tests::daemon::{Place, wait_until};
use dispatch_tests::sample;
use reqwest::Method;

const PROGRAM: &str = env!("CARGO_BIN_EXE_test-dispatchd");
const MAINTAINER: &str = "maintainer-token-of-the-tests";
const WORKER: &str = "worker-token-of-the-tests";
const BEN: &str = "bens-own-token-of-the-tests";
const SOON: Duration = Duration::from_secs(10);

/// A place whose daemons listen on TCP, with one token of each kind; and its address.
fn place(api: &str) -> (Place, String) {
    let mut place = Place::new(PROGRAM);
    let listen = format!("127.0.0.1:{}", sample::port());
    place.env("DISPATCH_LISTEN", &listen);
    place.env("DISPATCH_AGENT_TOKEN", MAINTAINER);
    place.env("DISPATCH_WORKER_TOKEN", WORKER);
    place.env("BEN_TOKEN", BEN);
    place.configure(&format!("[api]\nworkers = {{ ben = {{ token_env = \"BEN_TOKEN\" }} }}\n{api}\n"));
    (place, format!("http://{listen}"))
}

fn client(url: &str, token: Option<&str>) -> Client {
    let endpoint = Endpoint::parse(url).expect("an address");
    Client::new(endpoint, token.map(ToOwned::to_owned), None).expect("a client")
}

/// Only the status: streams never end.
async fn status(
    http: &reqwest::Client,
    url: &str,
    row: (&Method, &str),
    token: Option<&str>,
    agent: &str,
) -> u16 {
    let path: Vec<&str> = row
        .1
        .split('/')
        .map(|part| match part {
            "{agent}" => agent,
            other if other.starts_with('{') => "none",
            other => other,
        })
        .collect();
    let mut request = http.request(row.0.clone(), format!("{url}{}", path.join("/")));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if *row.0 != Method::GET {
        request = request.body(format!(r#"{{"agentName":"{agent}","status":"FIXED"}}"#));
    }
    request.send().await.expect("an answer").status().as_u16()
}

/// The routes that a harness may use, as the contract lists them.
const WORKERS: &[&str] = &[
    "GET /api/agents/{agent}/next-task",
    "GET /api/agents/{agent}/active-work",
    "GET /api/agents/{agent}/queue",
    "GET /api/agents/{agent}/work-summary",
    "GET /api/agents/{agent}/in-progress",
    "POST /api/agents/{agent}/next-task",
    "POST /api/agents/{agent}/tasks/report",
    "POST /api/agents/{agent}/heartbeat",
    "GET /api/agent-work",
    "POST /api/agent-work/start",
    "POST /api/agent-work/checkpoint",
    "POST /api/agent-work/finish",
    "POST /api/issues/claim",
    "POST /api/issues/unclaim",
    "POST /api/issues/status",
    "GET /api/issues",
    "GET /api/issues/{id}",
    "GET /api/issues/state",
    "GET /api/issues/claimed",
    "GET /api/lanes",
    "GET /api/openapi.json",
    "GET /api/schema/task.json",
    "GET /api/pr-fix-queue/queued",
    "GET /api/pr-fix-queue/history",
    "POST /api/pr-fix-queue/mark",
    "POST /api/pr-fix-queue/ack",
    "GET /api/runs",
    "GET /api/runs/{id}",
    "GET /api/runs/{id}/log",
];
/// Those that ask for no token.
const OPEN: &[&str] = &["GET /api/health", "POST /api/pr-followup/webhook", "POST /api/issues/webhook"];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_for_the_token_that_the_contract_names() {
    let (place, url) = place("rate_limit = 0");
    let daemon = place.start().await;
    let http = reqwest::Client::builder().timeout(SOON).no_proxy().build().expect("a client");
    let (mut got, mut wanted) = (String::new(), String::new());
    for row in dispatchd::api::routes::rows() {
        let name = format!("{} {}", row.method, row.path);
        let shape: String = row
            .path
            .split('/')
            .map(|p| if p.starts_with('{') && p != "{agent}" { "{id}" } else { p })
            .collect::<Vec<_>>()
            .join("/");
        let shape = format!("{} {shape}", row.method);
        let (open, worker) = (OPEN.contains(&shape.as_str()), WORKERS.contains(&shape.as_str()));
        let speaks = row.path.contains("{agent}") || row.method != Method::GET;
        let asked = [
            ("no token", None, "kai"),
            ("wrong", Some("worker-token-of-the-test5"), "kai"),
            ("worker", Some(WORKER), "kai"),
            ("ben as kai", Some(BEN), "kai"),
            ("ben as ben", Some(BEN), "ben"),
            ("maintainer", Some(MAINTAINER), "kai"),
        ];
        let expected = [
            if open { "in" } else { "401" },
            if open { "in" } else { "401" },
            if open || worker { "in" } else { "403" },
            if open || (worker && !speaks) { "in" } else { "403" },
            if open || worker { "in" } else { "403" },
            "in",
        ];
        let (mut line, mut line_wanted) = (format!("{name:<60}"), format!("{name:<60}"));
        for ((who, token, agent), expected) in asked.into_iter().zip(expected) {
            let status = status(&http, &url, (&row.method, row.path), token, agent).await;
            assert!(status < 500 || status == 503, "{name} as {who}: {status}");
            // A webhook's own 401 is about its signature.
            let refused = matches!(status, 401 | 403) && !open;
            let cell = if refused { status.to_string() } else { "in".to_owned() };
            line += &format!("  {who} {cell:<4}");
            line_wanted += &format!("  {who} {expected:<4}");
        }
        got += &format!("{line}\n");
        wanted += &format!("{line_wanted}\n");
    }
    assert_eq!(got, wanted);
    for (token, expected) in [(None, 401), (Some(WORKER), 404), (Some(MAINTAINER), 404)] {
        assert_eq!(status(&http, &url, (&Method::GET, "/api/nothing"), token, "kai").await, expected);
    }
    assert_eq!(status(&http, &url, (&Method::DELETE, "/api/lanes"), Some(WORKER), "kai").await, 405);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_mistake_a_workers_token_used_for_a_maintainers_route() {
    let (place, url) = place("");
    let daemon = place.start().await;
    assert_eq!(daemon.client.health().await.expect("health").auth_mode, "token");
    let refused = client(&url, Some(WORKER)).freeze(true).await.expect_err("a worker does not freeze");
    assert_eq!(refused.code(), Some(Code::Forbidden));
    assert!(refused.to_string().contains("maintainer"), "{refused}");
    assert!(!daemon.client.control().await.expect("control").frozen);
    let audit = daemon.client.audit(&AuditQuery::default()).await.expect("the audit");
    assert!(audit.is_empty(), "{audit:?}");
    let raw = reqwest::Client::new().post(format!("{url}/api/control/freeze")).bearer_auth(WORKER);
    let body: serde_json::Value = raw.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!((&body["tierNeeded"], &body["code"]), (&"maintainer".into(), &"forbidden".into()), "{body}");
    let none = reqwest::get(format!("{url}/api/issues")).await.expect("an answer");
    assert_eq!(
        (none.status().as_u16(), none.headers()["www-authenticate"].as_bytes()),
        (401, &b"Bearer"[..])
    );
    assert!(client(&url, Some(MAINTAINER)).freeze(true).await.expect("a maintainer does").frozen);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_nothing_by_force_and_gives_back_only_its_own() {
    let (place, url) = place("");
    let daemon = place.start().await;
    sample::issues(&place, &daemon.client, 2).await;
    let worker = client(&url, Some(WORKER));
    let issue = worker.issues(&Default::default()).await.expect("a worker lists issues")[0].issue_id.clone();
    let ask = |agent: &str, force: Option<bool>| ClaimRequest {
        issue: IssueRef::id(&issue),
        agent_name: agent.into(),
        force,
        claim_id: None,
    };
    worker.claim(&ask("kai", None)).await.expect("a worker claims");
    let forced = worker.claim(&ask("ben", Some(true))).await.expect_err("not by force");
    assert_eq!(forced.code(), Some(Code::Forbidden), "{forced}");
    assert!(forced.to_string().contains("maintainer"), "{forced}");
    let anybodys = worker.unclaim(&ask("", None)).await.expect_err("that is the operator's release");
    assert_eq!(anybodys.code(), Some(Code::Forbidden), "{anybodys}");
    let ben = client(&url, Some(BEN));
    let others = ben.unclaim(&ask("kai", None)).await.expect_err("ben is not kai");
    assert_eq!(others.code(), Some(Code::Forbidden), "{others}");
    let not_held = ben.unclaim(&ask("ben", None)).await.expect_err("ben holds nothing");
    assert_eq!(not_held.code(), Some(Code::BadRequest), "{not_held}");
    // What a lenient reader would take for an honest request is not let through unread.
    let sly = format!(r#"{{"issueId":"{issue}","agentName":"kai","x":1e999}}"#);
    let sly = reqwest::Client::new().post(format!("{url}/api/issues/unclaim")).bearer_auth(BEN).body(sly);
    assert_eq!(sly.send().await.expect("an answer").status().as_u16(), 400);
    let held = daemon.client.issue(&issue).await.expect("the issue");
    assert_eq!(held.claim.map(|c| c.agent_name.to_string()).as_deref(), Some("kai"));
    worker.unclaim(&ask("kai", None)).await.expect("kai gives back");
    let taken = ben.take("ben", &NextTaskQuery::default(), &TakeRequest::default()).await.expect("a take");
    assert!(taken.should_run);
    let audit = daemon.client.audit(&AuditQuery::default()).await.expect("the audit");
    let rows: Vec<_> = audit.iter().rev().map(|r| (r.action.as_str(), r.actor.as_str())).collect();
    let expected = [
        ("add_tracked_repo", "operator"),
        ("claim_issue", "kai"),
        ("unclaim_issue", "kai"),
        ("claim_issue", "ben"),
    ];
    assert_eq!(rows, expected);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_on_the_local_socket_only_lowers() {
    let (place, _) = place("");
    let daemon = place.start().await;
    let socket = format!("unix://{}", place.socket().display());
    assert!(client(&socket, None).freeze(true).await.is_ok(), "the peer's uid is enough");
    assert!(client(&socket, Some(MAINTAINER)).freeze(false).await.is_ok());
    let worker = client(&socket, Some(WORKER)).freeze(true).await.expect_err("as a worker");
    assert_eq!(worker.code(), Some(Code::Forbidden));
    let unknown = client(&socket, Some("nobodys"))
        .issues(&Default::default())
        .await
        .expect_err("an unknown token is no token");
    assert_eq!(unknown.code(), Some(Code::Unauthorized));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_changes_are_slowed_down_on_tcp_alone() {
    let (place, url) = place("");
    let daemon = place.start().await;
    let http = reqwest::Client::new();
    let beat = async |agent: &str| {
        let path = format!("{url}/api/agents/{agent}/heartbeat");
        http.post(path).bearer_auth(WORKER).send().await.expect("an answer")
    };
    for n in 0..30 {
        assert_eq!(beat("kai").await.status().as_u16(), 200, "change {n}");
    }
    let refused = beat("kai").await;
    assert_eq!(refused.status().as_u16(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(beat("ben").await.status().as_u16(), 200, "each actor has its own");
    let look = http.get(format!("{url}/api/agents/kai/next-task")).bearer_auth(WORKER);
    assert_eq!(look.send().await.expect("an answer").status().as_u16(), 200, "looking changes nothing");
    for _ in 0..40 {
        daemon.client.heartbeat("kai", &Default::default()).await.expect("the socket has no limit");
    }
    for _ in 0..40 {
        let hook = http.post(format!("{url}/api/issues/webhook")).send().await.expect("an answer");
        assert_ne!(hook.status().as_u16(), 429, "webhooks come as they come");
    }
    daemon.stop().await;
}

/// Runs a daemon that is expected to end by itself; what it said.
fn said(command: &mut Command) -> String {
    let Output { status, stderr, .. } =
        command.stderr(Stdio::piped()).output().expect("the daemon can be started");
    assert!(!status.success());
    String::from_utf8_lossy(&stderr).lines().last().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_others_can_reach_is_not_opened_without_tokens() {
    let mut place = Place::new(PROGRAM);
    place.env("DISPATCH_LISTEN", &format!("0.0.0.0:{}", sample::port()));
    let none = said(&mut place.command());
    assert!(
        none.contains("can be reached from other machines") && none.contains("DISPATCH_AGENT_TOKEN"),
        "{none}"
    );
    assert!(!place.socket().exists(), "nothing is left of it");
    place.configure("[api]\nauth = \"off\"\n");
    let off = said(place.command().env("DISPATCH_AGENT_TOKEN", MAINTAINER));
    assert!(off.contains("only on loopback"), "{off}");
    let odd = said(place.command().env("DISPATCH_LISTEN", "8080"));
    assert!(odd.contains("127.0.0.1:8080"), "{odd}");
}

#[tokio::test(flavor = "multi_thread")]
async fn off_is_said_loudly_and_serves_no_page() {
    let mut place = Place::new(PROGRAM);
    let listen = format!("127.0.0.1:{}", sample::port());
    place.env("DISPATCH_LISTEN", &listen);
    place.configure("[api]\nauth = \"off\"\n");
    let daemon = place.start().await;
    let url = format!("http://{listen}");
    assert_eq!(client(&url, None).health().await.expect("health").auth_mode, "off");
    assert!(place.log().contains("auth is off"), "{}", place.log());
    assert!(client(&url, None).freeze(true).await.is_ok());
    let page = reqwest::Client::new()
        .post(format!("{url}/api/control/thaw"))
        .header("origin", "https://evil.example");
    assert_eq!(page.send().await.expect("an answer").status().as_u16(), 403);
    assert!(daemon.client.control().await.expect("control").frozen);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_works_over_tcp_with_the_token_it_has() {
    let (place, url) = place("");
    let daemon = place.start().await;
    sample::issues(&place, &daemon.client, 1).await;
    let run = |token: &str, args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_test-dispatch"))
            .env_clear()
            .env("DISPATCH_URL", &url)
            .env(token, if token.contains("WORKER") { WORKER } else { MAINTAINER })
            .args(args)
            .output()
            .expect("the client can be started");
        (done.status.code(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    };
    let (code, text) = run("DISPATCH_WORKER_TOKEN", &["next", "--agent", "kai"]);
    assert!(code == Some(0) && text.contains("local/sample#1"), "{code:?} {text}");
    let (code, text) = run("DISPATCH_WORKER_TOKEN", &["freeze"]);
    assert!(code == Some(1) && text.contains("maintainer"), "{code:?} {text}");
    let (code, text) = run("DISPATCH_AGENT_TOKEN", &["freeze"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = run("NOTHING", &["health"]);
    assert!(code == Some(0) && text.contains("token"), "{code:?} {text}");
    let (code, text) = run("NOTHING", &["issues"]);
    assert!(code == Some(1) && text.contains("token"), "{code:?} {text}");
    daemon.stop().await;
    let (code, text) = run("DISPATCH_WORKER_TOKEN", &["next", "--agent", "kai"]);
    assert!(code == Some(1) && text.contains("no daemon answers"), "{code:?} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_the_state() {
    let (place, url) = place("");
    let daemon = place.start().await;
    sample::issues(&place, &daemon.client, 3).await;
    let worker = client(&url, Some(WORKER));
    worker.take("kai", &NextTaskQuery::default(), &TakeRequest::default()).await.expect("a take");
    let refused = worker.metrics().await.expect_err("for maintainers");
    assert_eq!(refused.code(), Some(Code::Forbidden));
    let text = client(&url, Some(MAINTAINER)).metrics().await.expect("metrics");
    let value = |name: &str| {
        let line = text.lines().find(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        let line = line.unwrap_or_else(|| panic!("{name} is not in:\n{text}"));
        line.rsplit(' ').next().and_then(|v| v.parse::<f64>().ok()).expect("a number")
    };
    assert_eq!((value("dispatch_claims_live"), value("dispatch_queue_ready")), (1.0, 2.0));
    assert!(value("dispatch_store_commits_total") >= 2.0);
    assert!(value(r#"dispatch_repo_sync_age_seconds{repo="local/sample"}"#) < 60.0);
    let takes =
        r#"dispatch_http_requests_total{method="POST",route="/api/agents/{agent}/next-task",status="200"}"#;
    assert_eq!(value(takes), 1.0);
    assert_eq!(value(r#"dispatch_http_requests_total{method="GET",route="/metrics",status="403"}"#), 1.0);
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        assert!(text.contains(&format!("# TYPE {name} ")), "{line} has no type");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_go_in_and_never_out() {
    const SECRET: &str = "ghp_0123456789abcdefghijkl";
    let (place, url) = place("");
    let daemon = place.start().await;
    let maintainer = client(&url, Some(MAINTAINER));
    let before = maintainer.setup().await.expect("setup");
    assert_eq!((before.auth_mode.as_str(), before.restart_needed), ("token", false));
    assert_eq!(before.maintainer_token.source.as_deref(), Some("environment"));
    assert_eq!(before.bound_workers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ben"]);
    let put = SetupRequest {
        github_token: Some(SECRET.into()),
        webhook_secret: Some(SECRET.into()),
        ..SetupRequest::default()
    };
    let after = maintainer.put_setup(&put).await.expect("kept");
    assert!(!after.restart_needed, "these two are looked for whenever they are needed");
    assert_eq!(after.github_token.source.as_deref(), Some("setup"));
    assert_eq!(after.webhook_secret.source.as_deref(), Some("setup"));
    let key = SetupRequest { llm_api_key: Some(SECRET.into()), ..SetupRequest::default() };
    assert!(maintainer.put_setup(&key).await.expect("kept").restart_needed);
    let odd = SetupRequest { github_token: Some("two\nlines".into()), ..SetupRequest::default() };
    let refused = maintainer.put_setup(&odd).await.expect_err("not a credential");
    assert!(
        refused.code() == Some(Code::BadRequest) && refused.to_string().contains("githubToken"),
        "{refused}"
    );
    let file = place.state().join("credentials.json");
    assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    let audit = maintainer.audit(&AuditQuery::default()).await.expect("the audit");
    assert_eq!(
        (audit[1].action.as_str(), audit[1].notes.as_deref()),
        ("change_setup", Some("githubToken set, webhookSecret set"))
    );
    daemon.stop().await;
    let daemon = place.start().await;
    let again = maintainer.setup().await.expect("setup");
    assert_eq!(again.github_token.source.as_deref(), Some("setup"));
    assert!(again.webhook_secret.configured && !again.restart_needed);
    let shown = serde_json::to_string(&(before, after, again, audit)).expect("JSON");
    for (what, text) in [("an answer", shown), ("the log", place.log())] {
        for secret in [SECRET, MAINTAINER, WORKER, BEN] {
            assert!(!text.contains(secret), "{what} shows a credential");
        }
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dawdles_is_cut_off_and_hinders_nobody() {
    let (place, url) = place("");
    let daemon = place.start().await;
    let address = url.trim_start_matches("http://").to_owned();
    let mut slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).expect("a connection");
            stream.write_all(b"POST /api/issues/claim HTTP/1.1\r\nHost: x\r\nX-Slow").expect("half a head");
            stream.set_nonblocking(true).expect("a mode");
            stream
        })
        .collect();
    client(&url, Some(WORKER)).issues(&Default::default()).await.expect("others are served");
    wait_until("half a request to be cut off", Duration::from_secs(30), async || {
        let mut byte = [0_u8; 512];
        slow.retain_mut(
            |s| matches!(s.read(&mut byte), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock),
        );
        slow.is_empty().then_some(())
    })
    .await;
    // A head without end is cut off at once.
    let mut endless = TcpStream::connect(&address).expect("a connection");
    let head = format!("GET /api/health HTTP/1.1\r\nHost: x\r\nX-Long: {}", "x".repeat(200_000));
    let _ = endless.write_all(head.as_bytes());
    endless.set_read_timeout(Some(SOON)).expect("a mode");
    let mut answer = Vec::new();
    let ended = endless.read_to_end(&mut answer);
    assert!(ended.is_ok() || ended.is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock));
    daemon.stop().await;
}
