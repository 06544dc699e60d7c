//! `dispatch mcp` as its clients meet it: rmcp's own client and the protocol's inspector, against a real daemon.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dispatch_shared::protocol::followup::EnqueueRequest;
use dispatch_shared::protocol::repos::{AddRepoRequest, PatchRepoRequest};
use dispatch_tests::daemon::{Daemon, Place, wait_until};
use rmcp::model::{CallToolRequestParams, CallToolResult, ClientConfig, CustomNotification, ProtocolVersion};
use rmcp::service::{NotificationContext, RunningService};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientHandler, RoleClient, ServiceExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");
const CLIENT: &str = env!("CARGO_BIN_EXE_test-dispatch");
const SOON: Duration = Duration::from_secs(20);

/// A runner on this machine whose one program writes a file.
const STUB: &str = "[runner]\nruntime = \"host\"\nagent = \"stub\"\n\n[runner.agents.stub]\nargv = [\"sh\", \"-c\", \
    \"cat >/dev/null; echo hello from the program; echo hi >f\"]\nformat = \"plain\"\n";

fn git(dir: &Path, args: &[&str]) {
    git_out(dir, args);
}

fn git_out(dir: &Path, args: &[&str]) -> String {
    let done = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is there");
    assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// A daemon with `ready` issues of a local repository.
async fn with_issues(place: &Place, ready: usize) -> Daemon {
    let daemon = place.start().await;
    let dir = place.path().join("sample");
    std::fs::create_dir_all(dir.join(".dispatch/issues")).expect("a directory");
    git(&dir, &["init", "-q", "-b", "main"]);
    git(&dir, &["commit", "-q", "--allow-empty", "-m", "start"]);
    for n in 1..=ready {
        let text = format!("---\ntitle: Issue {n}\nlabels: [status/ready]\n---\n\n- [ ] done\n");
        std::fs::write(dir.join(format!(".dispatch/issues/{n}-issue.md")), text).expect("an issue");
    }
    let path = Some(dir.display().to_string());
    let add = AddRepoRequest { forge: Some("local".into()), path, ..AddRepoRequest::default() };
    daemon.client.add_repo(&add).await.expect("a local repository can be tracked");
    wait_until("all issues on the board", SOON, async || {
        (daemon.client.control().await.ok()?.ready == ready).then_some(())
    })
    .await;
    daemon
}

/// A client that keeps the notifications it is sent.
struct Listener(mpsc::UnboundedSender<(String, Value)>);

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::default().with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }
    async fn on_custom_notification(&self, note: CustomNotification, _: NotificationContext<RoleClient>) {
        let _ = self.0.send((note.method, note.params.unwrap_or_default()));
    }
}

struct Session {
    service: RunningService<RoleClient, Listener>,
    notes: mpsc::UnboundedReceiver<(String, Value)>,
}

/// A session of `dispatch mcp` with this environment.
async fn session(place: &Place, env: &[(&str, &str)]) -> Session {
    let mut command = tokio::process::Command::new(CLIENT);
    command.args(["mcp", "--no-spawn"]).env_clear().env("HOME", place.path());
    command.env("DISPATCH_SOCKET", place.socket()).envs(env.iter().copied());
    let (to, notes) = mpsc::unbounded_channel();
    let transport = TokioChildProcess::new(command).expect("dispatch mcp can be started");
    let serve = Listener(to).serve(transport);
    let service = tokio::time::timeout(SOON, serve).await.expect("in time").expect("a session");
    Session { service, notes }
}

impl Session {
    async fn call(&self, tool: &'static str, arguments: Value) -> CallToolResult {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        tokio::time::timeout(SOON, self.service.call_tool(request))
            .await
            .expect("in time")
            .expect("an answer")
    }

    /// The structured answer of a call that succeeds.
    async fn done(&self, tool: &'static str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_ne!(result.is_error, Some(true), "{tool}: {result:?}");
        result.structured_content.expect("a structured answer")
    }

    /// The sentence of a call that fails.
    async fn refused(&self, tool: &'static str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result.is_error, Some(true), "{tool}: {result:?}");
        result.content.iter().filter_map(|c| c.as_text()).map(|t| t.text.as_str()).collect()
    }

    async fn tools(&self) -> BTreeSet<String> {
        let tools = self.service.list_all_tools().await.expect("tools");
        tools.into_iter().map(|t| t.name.into_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_does_one_task_with_tools_alone() {
    let place = Place::new(DAEMON);
    place.configure(STUB);
    let daemon = with_issues(&place, 2).await;
    let mut ada = session(&place, &[("DISPATCH_AGENT_NAME", "saffron-ada")]).await;
    assert_eq!(ada.tools().await.len(), 16);
    let queue = ada.done("get_queue", json!({})).await;
    assert_eq!(queue["count"], 2, "{queue}");
    let look = ada.done("next_task", json!({"peek": true})).await;
    assert_eq!((&look["shouldRun"], &look["claim"]), (&true.into(), &Value::Null), "a look claims nothing");
    let task = ada.done("next_task", json!({})).await;
    assert_eq!((&task["type"], &task["agentName"]), (&"implement".into(), &"saffron-ada".into()));
    let issue = &task["issue"];
    let found = ada
        .done("resolve_issue", json!({"repoFullName": issue["repoFullName"], "issueNumber": issue["number"]}))
        .await;
    assert_eq!(found["issueId"], issue["id"]);
    assert_eq!(ada.done("heartbeat", json!({})).await["status"], "ok");
    let at = ada.done("checkpoint", json!({"checkpoint": "BRANCH_CREATED"})).await;
    assert_eq!(at["checkpoint"], "BRANCH_CREATED", "{at}");
    let branch = task["branch"].as_str().expect("a branch");
    let dir = place.path().join("sample");
    git(&dir, &["switch", "-q", "-c", branch]);
    git(&dir, &["commit", "-q", "--allow-empty", "-m", "work"]);
    git(&dir, &["switch", "-q", "main"]);
    let pull = format!("---\ntitle: Work\nhead: {branch}\nbase: main\nfixes: [{}]\n---\n", issue["number"]);
    std::fs::create_dir_all(dir.join(".dispatch/pulls")).expect("a directory");
    std::fs::write(dir.join(".dispatch/pulls/9.md"), pull).expect("a pull request");
    // No claim is named: the one that this session took is meant.
    let report =
        json!({"taskType": "implement", "outcome": "pr_opened", "issueId": issue["id"], "summary": "did it"});
    let done = ada.done("report_task", report).await;
    assert_eq!((&done["ok"], &done["report"]["status"]), (&true.into(), &"completed".into()), "{done}");
    let other = ada.done("next_task", json!({})).await;
    let other = &other["issue"]["id"];
    assert_ne!(other, &issue["id"]);
    let released = ada.done("release_issue", json!({"issueId": other})).await;
    assert_eq!(released["success"], true);
    let claimed = ada.done("claim_issue", json!({"issueId": other})).await;
    assert_eq!(claimed["claim"]["agentName"], "saffron-ada");
    let refreshed = ada.done("refresh_issue", json!({"issueId": other})).await;
    assert_eq!(refreshed["issueId"], *other, "{refreshed}");
    let status = json!({"issueId": other, "status": "blocked", "blockedReason": "Which colour?"});
    let answer = ada.done("set_issue_status", status).await;
    assert!(answer["labels"].as_array().is_some_and(|l| l.contains(&"status/blocked".into())), "{answer}");
    for (tool, arguments) in [
        ("agentic_dispatch", json!({"repo": "nobody/nothing", "task": "x", "issue": 1, "dry_run": true})),
        ("requeue_pr_fix", json!({"repo": "nobody/nothing", "pr": 1})),
        ("mark_pr_fix", json!({"repo": "nobody/nothing", "pr": 1, "status": "FIXED"})),
    ] {
        assert!(!ada.refused(tool, arguments).await.is_empty(), "there is nothing of that name: {tool}");
    }
    assert!(ada.done("sync_repo", json!({})).await["syncedCount"].is_number());
    let repo = issue["repoFullName"].as_str().expect("a repository");
    let enqueue = EnqueueRequest {
        repo: Some(repo.to_owned()),
        pr: Some(9),
        reason: Some("a reviewer asks".into()),
        evidence_key: Some("review:local/sample#9:1".into()),
        ..EnqueueRequest::default()
    };
    daemon.client.enqueue_fix(&enqueue).await.expect("an item");
    let item = json!({"repo": repo, "pr": 9, "status": "BLOCKED", "note": "Which colour?"});
    assert_eq!(ada.done("mark_pr_fix", item).await["status"], "BLOCKED");
    let item = ada.done("requeue_pr_fix", json!({"repo": repo, "pr": 9, "note": "Green"})).await;
    assert_eq!((&item["status"], &item["generation"]), (&"QUEUED".into(), &2.into()), "{item}");
    assert_eq!(ada.done("list_runs", json!({})).await["count"], 0);
    let dispatch = json!({"repo": repo, "task": "Say hello", "branch": "hello"});
    let started = ada.done("agentic_dispatch", dispatch).await;
    assert_eq!((&started["success"], &started["queued"]), (&true.into(), &false.into()), "{started}");
    let of = |method: &str, status: &str| {
        json!([method, {"agent": "stub", "repo": repo,
        "workspace": format!("{repo}/branch-hello"), "status": status}])
    };
    for (method, status) in [("agent.started", "running"), ("agent.completed", "succeeded")] {
        let note = tokio::time::timeout(SOON, ada.notes.recv()).await;
        let (told, note) = note.unwrap_or_else(|_| panic!("no {method}:\n{}", place.log())).expect("open");
        let note = json!([told, {"agent": note["agent"], "repo": note["repo"], "workspace": note["workspace"],
            "status": note["status"]}]);
        assert_eq!(note, of(method, status));
    }
    let runs = ada.done("list_runs", json!({"state": "ended"})).await;
    assert_eq!((&runs["count"], &runs["items"][0]["id"]), (&1.into(), &started["run_id"]), "{runs}");
    let log = ada.call("run_log", json!({"runId": started["run_id"]})).await;
    let log: String = log.content.iter().filter_map(|c| c.as_text()).map(|t| t.text.as_str()).collect();
    assert!(log.contains("hello from the program"), "{log}");
    let merged = git_out(&place.path().join("sample"), &["show", "hello:f"]);
    assert_eq!(merged, "hi\n", "the branch is there");
    let audit = daemon.client.audit(&Default::default()).await.expect("audit");
    assert!(audit.iter().any(|r| r.action == "report_task" && r.actor == "saffron-ada"));
    ada.service.cancel().await.expect("the session ends");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said_in_words() {
    let place = Place::new(DAEMON);
    let daemon = with_issues(&place, 1).await;
    let nobody = session(&place, &[]).await;
    assert!(nobody.refused("next_task", json!({})).await.contains("agentName"));
    for generic in ["agent", "worker", "Bot", "claude", "codex"] {
        let said = nobody.refused("next_task", json!({"agentName": generic})).await;
        assert!(said.contains("choose a name"), "{generic}: {said}");
    }
    let bob = json!({"agentName": "bob-1"});
    assert_eq!(nobody.done("next_task", bob).await["shouldRun"], true);
    let wrong = json!({"agentName": "bob-1", "taskType": "implement", "outcome": "finished"});
    assert!(nobody.refused("report_task", wrong).await.contains("pr_opened"));
    let missing = nobody.refused("report_task", json!({"agentName": "bob-1"})).await;
    assert!(missing.contains("taskType"), "{missing}");
    assert!(nobody.refused("claim_issue", json!({"agentName": "bob-1"})).await.contains("issueId"));
    assert!(nobody.refused("run_log", json!({"runId": "r-99"})).await.contains("r-99"));
    let two = json!({"repo": "a/b", "task": "x", "issue": 1, "branch": "y"});
    assert!(nobody.refused("agentic_dispatch", two).await.contains("exactly one"));
    // A session outlives its daemon, and a daemon that comes back finds it.
    daemon.kill();
    let gone = nobody.refused("heartbeat", json!({"agentName": "bob-1"})).await;
    assert!(gone.contains("no daemon answers"), "{gone}");
    let daemon = place.start().await;
    assert_eq!(nobody.done("heartbeat", json!({"agentName": "bob-1"})).await["status"], "ok");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workers_token_shows_a_workers_tools() {
    let mut place = Place::new(DAEMON);
    place.env("DISPATCH_WORKER_TOKEN", "a-token-of-workers");
    place.env("DISPATCH_AGENT_TOKEN", "a-token-of-maintainers");
    let daemon = with_issues(&place, 1).await;
    let worker = session(&place, &[("DISPATCH_WORKER_TOKEN", "a-token-of-workers")]).await;
    let tools = worker.tools().await;
    for hidden in ["agentic_dispatch", "sync_repo", "refresh_issue", "requeue_pr_fix"] {
        assert!(!tools.contains(hidden), "{hidden}");
    }
    let request = CallToolRequestParams::new("sync_repo");
    assert!(worker.service.call_tool(request).await.is_err(), "what is not shown cannot be called");
    // What is shown is allowed: none of these may be refused for its tier.
    let ada = json!({"agentName": "saffron-ada"});
    let task = worker.done("next_task", ada.clone()).await;
    let issue = json!({"issueId": task["issue"]["id"]});
    assert_eq!(worker.done("resolve_issue", issue.clone()).await["issueId"], issue["issueId"]);
    worker.done("heartbeat", ada.clone()).await;
    worker.done("get_queue", ada.clone()).await;
    worker.done("list_runs", json!({})).await;
    let mut release = ada;
    release["issueId"] = issue["issueId"].clone();
    worker.done("release_issue", release).await;
    let wrong = session(&place, &[("DISPATCH_WORKER_TOKEN", "nobodys")]).await;
    let said = wrong.refused("next_task", json!({"agentName": "saffron-eve"})).await;
    assert!(said.contains("ask your operator"), "{said}");
    let both =
        [("DISPATCH_WORKER_TOKEN", "a-token-of-workers"), ("DISPATCH_AGENT_TOKEN", "a-token-of-maintainers")];
    let maintainer = session(&place, &both).await;
    assert_eq!(maintainer.tools().await.len(), 16);
    assert!(maintainer.done("sync_repo", json!({})).await["syncedCount"].is_number());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_hears_of_runs_as_they_start_and_end() {
    let place = Place::new(DAEMON);
    place.configure(STUB);
    let daemon = with_issues(&place, 1).await;
    let mut ada = session(&place, &[]).await;
    let repo = daemon.client.repos().await.expect("repos").remove(0).full_name;
    let on = PatchRepoRequest { runner_enabled: Some(true), ..PatchRepoRequest::default() };
    daemon.client.patch_repo(&repo, &on).await.expect("the runner can be switched on");
    let mut told = Vec::new();
    while told.last().is_none_or(|(method, _): &(String, Value)| method != "agent.completed") {
        let note = tokio::time::timeout(SOON, ada.notes.recv()).await;
        told.push(
            note.unwrap_or_else(|_| panic!("told {told:?}; the daemon's log:\n{}", place.log()))
                .expect("open"),
        );
    }
    let methods: Vec<_> = told.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(methods, ["agent.started", "agent.completed"]);
    for (_, note) in &told {
        assert_eq!((&note["agent"], &note["repo"]), (&"stub".into(), &json!(repo)), "{note}");
        assert_eq!(note["workspace"], format!("{repo}/issue-1"));
        assert!(note["status"].is_string());
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_lists_and_calls_the_tools() {
    let place = Place::new(DAEMON);
    let daemon = with_issues(&place, 1).await;
    let inspect = |args: &[&str]| {
        let mut command = Command::new("npx");
        command.args(["--yes", "@modelcontextprotocol/inspector", "--cli"]);
        command.args(["-e", &format!("DISPATCH_SOCKET={}", place.socket().display())]);
        command.args([CLIENT, "mcp", "--no-spawn"]).args(args).stdin(Stdio::null());
        command.output()
    };
    let (listed, called) = tokio::task::block_in_place(|| {
        let listed = inspect(&["--method", "tools/list"]);
        let call =
            ["--method", "tools/call", "--tool-name", "next_task", "--tool-arg", "agentName=saffron-ada"];
        (listed, inspect(&call))
    });
    let listed = match listed {
        Ok(listed) if listed.status.success() => listed,
        other => {
            let why =
                other.map_or_else(|e| e.to_string(), |o| String::from_utf8_lossy(&o.stderr).into_owned());
            assert!(std::env::var_os("DISPATCH_REQUIRE_NPM").is_none(), "the inspector does not run: {why}");
            println!("skipped: the inspector does not run here: {why}");
            return;
        }
    };
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(listed["tools"].as_array().map(Vec::len), Some(16), "{listed}");
    let called = called.expect("npx is there");
    let called: Value = serde_json::from_slice(&called.stdout).expect("JSON");
    assert_eq!(called["structuredContent"]["agentName"], "saffron-ada", "{called}");
    daemon.stop().await;
}
