//! The fourteen checks of the wire contract, as a script would run them: raw JSON, nothing of our own types, so that shapes
//! are held to the letter. Runs over whatever address the daemon gives.

use std::time::Duration;

use dispatch_tests::daemon::{Daemon, Place, wait_until};
use dispatch_tests::github::{FakeGithub, TOKEN};
use dispatch_tests::sample;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_test-dispatchd");
const MAINTAINER: &str = "maintainer-token-of-the-tests";
const SOON: Duration = Duration::from_secs(10);
/// What the contract allows a claim to take until GitHub shows it.
const CLAIM_SHOWS: Duration = Duration::from_secs(2);

/// How a script reaches the daemon.
struct Script {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Script {
    /// Over TCP, as a maintainer.
    fn tcp(address: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { http, base: format!("http://{address}"), token: Some(MAINTAINER.into()) }
    }

    /// Over the local socket.
    fn local(place: &Place) -> Self {
        let http = reqwest::Client::builder().unix_socket(place.socket()).no_proxy();
        Self { http: http.build().expect("a client"), base: "http://dispatch".into(), token: None }
    }

    async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        let value = serde_json::from_str(&text);
        Ok((status, value.unwrap_or_else(|e| panic!("{path} answered {status} with `{text}`, no JSON: {e}"))))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, value) = self
            .try_ask(method, path, body)
            .await
            .unwrap_or_else(|e| panic!("{path} is not answered: {e:?}"));
        assert!(status.is_success(), "{path} answered {status}: {value}");
        value
    }

    async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        // As `curl -X POST` does it, there may be no body at all.
        self.ask(Method::POST, path, Some(body).filter(|b| !b.is_null())).await
    }
}

fn list<'a>(value: &'a Value, what: &str) -> &'a Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{what} is a bare array, not {value}"))
}

fn words(value: &Value, what: &str) -> Vec<String> {
    let words = list(value, what).iter().map(|v| v.as_str().map(str::to_owned));
    words.collect::<Option<_>>().unwrap_or_else(|| panic!("{what} is an array of plain strings, not {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fourteen_checks_over_tcp() {
    let address = format!("127.0.0.1:{}", sample::port());
    let mut place = Place::new(PROGRAM);
    place.env("DISPATCH_LISTEN", &address);
    place.env("DISPATCH_AGENT_TOKEN", MAINTAINER);
    fourteen_checks(place, |_| Script::tcp(&address)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fourteen_checks_over_the_local_socket() {
    fourteen_checks(Place::new(PROGRAM), Script::local).await;
}

async fn fourteen_checks(mut place: Place, reach: impl Fn(&Place) -> Script) {
    let github = FakeGithub::start().await;
    github.add_repo("acme", "api");
    let claimed = github.add_issue(
        "acme/api",
        "Parse dates",
        "- [ ] done",
        &["status/ready", "priority/p1", "type/bug"],
    );
    github.add_issue("acme/api", "Later", "", &["status/backlog"]);
    github.add_issue("acme/api", "Under way", "", &["status/in-progress", "agent/zoe"]);
    place.env("GITHUB_API_URL", github.url().as_str());
    place.env("GH_TOKEN", TOKEN);
    place.env("GITHUB_REPOSITORIES", "acme/api");
    let daemon = place.start().await;
    let script = reach(&place);
    wait_until("the seeded repository", SOON, async || {
        (!list(&script.get("/api/automation/repos/tracked").await, "tracked").is_empty()).then_some(())
    })
    .await;

    health(&script).await;
    automation(&script).await;
    board(&script).await;
    activity(&script).await;
    claim_and_back(&script, &github, claimed).await;
    no_error_in(&place);
    gone_and_back(&place, daemon, &script, reach(&place)).await;
    no_error_in(&place);
}

/// 1: health.
async fn health(script: &Script) {
    let health = script.get("/api/health").await;
    assert_eq!((&health["ok"], &health["database"]), (&json!(true), &json!("ok")));
    assert!(health["version"].is_string() && health["authMode"].is_string(), "{health}");
}

/// 2, 3, 4: automation sync, tracked repositories, sync with syncedCount > 0.
async fn automation(script: &Script) {
    let synced = script.post("/api/automation/sync", json!({})).await;
    assert_eq!((&synced["synced"], &synced["failed"]), (&json!(1), &json!(0)), "{synced}");
    let first = &synced["results"][0];
    assert_eq!((&first["repo"], &first["result"]["success"]), (&json!("acme/api"), &json!(true)));
    assert!(first["result"]["syncRunId"].is_string(), "{synced}");

    let tracked = script.get("/api/automation/repos/tracked").await;
    let repo = &list(&tracked, "tracked repositories")[0];
    let expected = json!({"fullName": "acme/api", "owner": "acme", "name": "api", "enabled": true,
        "defaultBranch": "main", "source": "env"});
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&repo[field], value, "{field}");
    }
    assert!(repo["lastSyncedAt"].as_str().is_some_and(|t| t.ends_with('Z')), "{repo}");
    for path in ["/api/automation/repos/acme%2Fapi", "/api/automation/repos/ACME/api"] {
        let one = script.get(path).await;
        assert_eq!(one["fullName"], json!("acme/api"), "{path}");
        for part in ["workflows", "releases", "packages", "failingRuns", "runningRuns", "recentEvents"] {
            list(&one[part], part);
        }
    }

    let all = script.post("/api/sync", json!({"repoFullName": "acme/api"})).await;
    assert!(all["syncedCount"].as_u64().is_some_and(|n| n > 0), "{all}");
    let scheduled = script.post("/api/sync/scheduled", Value::Null).await;
    assert_eq!(
        (&scheduled["success"], &scheduled["issues"]["repos"]),
        (&json!(true), &json!(1)),
        "{scheduled}"
    );
    assert!(scheduled["issues"]["syncedCount"].as_u64().is_some_and(|n| n > 0), "{scheduled}");
}

/// 5, 6, 7: issues, board data by column, projects by repository.
async fn board(script: &Script) {
    let issues = script.get("/api/issues").await;
    let issues = list(&issues, "issues");
    assert_eq!(issues.len(), 3);
    let updated: Vec<&str> = issues.iter().filter_map(|i| i["updatedAt"].as_str()).collect();
    assert!(updated.is_sorted_by(|a, b| a >= b), "newest first: {updated:?}");
    for issue in issues {
        words(&issue["labels"], "labels");
        assert_eq!(issue["id"], issue["issueId"]);
        assert_eq!(issue["repository"]["fullName"], json!("acme/api"));
    }
    for (column, title) in [("ready", "Parse dates"), ("backlog", "Later"), ("in-progress", "Under way")] {
        for status in [column.to_owned(), format!("status/{column}")] {
            let found = script.get(&format!("/api/issues?status={status}")).await;
            let found = list(&found, "a column");
            assert_eq!(found.len(), 1, "{status}");
            assert_eq!(
                (&found[0]["title"], &found[0]["status"]),
                (&json!(title), &json!(format!("status/{column}")))
            );
        }
    }
    let ready = script.get("/api/issues?status=ready&priority=p1&type=bug").await;
    assert_eq!(ready[0]["priority"], json!("priority/p1"));
    for query in ["repo=acme/api", "project=acme/api", "project=api"] {
        assert_eq!(list(&script.get(&format!("/api/issues?{query}")).await, query).len(), 3, "{query}");
    }
    assert!(list(&script.get("/api/issues?project=other").await, "another project").is_empty());
    let repos = script.get("/api/repos").await;
    assert_eq!(list(&repos, "repositories")[0]["fullName"], json!("acme/api"));
}

/// 8, 9: agent runs, queue.
async fn activity(script: &Script) {
    let beat = script.post("/api/agents/kai/heartbeat", Value::Null).await;
    for field in ["status", "agentName", "startedAt", "finishedAt", "summary"] {
        assert!(beat[field].is_string(), "{field} in {beat}");
    }
    let made = script
        .try_ask(
            Method::POST,
            "/api/agent-runs",
            Some(json!({"agentName": "kai", "runType": "cron", "status": "in-progress",
                "startedAt": "2026-01-02T03:04:05Z", "touchedIssueUrls": ["https://x/1"]})),
        )
        .await
        .expect("answered");
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    let runs = script.get("/api/agent-runs?limit=2").await;
    let runs = list(&runs, "agent runs");
    let types: Vec<&Value> = runs.iter().map(|r| &r["runType"]).collect();
    assert_eq!(types, [&json!("cron"), &json!("heartbeat")], "newest first");
    assert!(runs.iter().all(|r| r["createdAt"].is_string()), "{runs:?}");
    assert_eq!(words(&runs[0]["touchedIssueUrls"], "touchedIssueUrls"), ["https://x/1"]);

    let queue = script.get("/api/agents/kai/queue").await;
    let queue = list(&queue, "queue");
    assert_eq!(queue.len(), 1, "{queue:?}");
    assert_eq!((&queue[0]["type"], &queue[0]["claimable"]), (&json!("issue"), &json!(true)));
    assert_eq!((&queue[0]["status"], &queue[0]["priority"]), (&json!("status/ready"), &json!("priority/p1")));
    assert!(queue[0]["rankingReason"].is_string() && queue[0]["linkedPrHealth"].is_null(), "{queue:?}");
    words(&queue[0]["labels"], "labels");
    let more = script.get("/api/agents/kai/queue?includeClaimed=true&exclude_decomposed=true").await;
    assert_eq!(list(&more, "queue").len(), 2, "the one in progress too");
}

/// 10, 11, 12: a claim sets labels on GitHub within 2 s, the audit has it, unclaim reverts.
async fn claim_and_back(script: &Script, github: &FakeGithub, number: u64) {
    let queue = script.get("/api/agents/kai/queue").await;
    let id = queue[0]["issueId"].clone();
    let body = json!({"issueId": id, "repoFullName": "acme/api", "issueNumber": number, "agentName": "kai"});
    for wrong in [json!({"issueNumber": number + 1}), json!({"repoFullName": "acme/other"})] {
        let mut wrong_body = body.clone();
        wrong_body.as_object_mut().expect("an object").extend(wrong.as_object().expect("an object").clone());
        let (status, refused) =
            script.try_ask(Method::POST, "/api/issues/claim", Some(wrong_body)).await.expect("answered");
        assert!(status.is_client_error() && refused["code"].is_string(), "{status} {refused}");
    }
    let claim = script.post("/api/issues/claim", body.clone()).await;
    assert_eq!(claim["success"], json!(true));
    let labels = words(&claim["labels"], "labels");
    assert!(labels.contains(&"status/in-progress".to_owned()) && labels.contains(&"agent/kai".to_owned()));
    wait_until("the claim's labels on GitHub", CLAIM_SHOWS, async || {
        let labels = github.labels("acme/api", number);
        (labels == ["agent/kai", "priority/p1", "status/in-progress", "type/bug"]).then_some(())
    })
    .await;
    let (status, held) = script
        .try_ask(Method::POST, "/api/issues/claim", Some(json!({"issueId": id, "agentName": "lee"})))
        .await
        .expect("answered");
    assert_eq!((status, &held["code"]), (StatusCode::CONFLICT, &json!("held")), "{held}");
    let held = script.get("/api/issues/claimed?agentName=kai").await;
    assert_eq!((&held[0]["issueId"], &held[0]["hasOpenPr"]), (&id, &json!(false)));

    let audit = script.get("/api/audit?action=claim_issue").await;
    let row = &list(&audit, "audit")[0];
    assert_eq!((&row["issueId"], &row["success"]), (&id, &json!(true)));
    assert!(words(&row["beforeLabels"], "beforeLabels").contains(&"status/ready".to_owned()), "{row}");
    assert!(words(&row["afterLabels"], "afterLabels").contains(&"agent/kai".to_owned()), "{row}");

    let stranger = json!({"issueId": id, "agentName": "lee"});
    let (status, _) =
        script.try_ask(Method::POST, "/api/issues/unclaim", Some(stranger)).await.expect("answered");
    assert_eq!(status, StatusCode::BAD_REQUEST, "somebody else's claim is not given back");
    let back = script.post("/api/issues/unclaim", body).await;
    assert_eq!((&back["success"], &back["status"]), (&json!(true), &json!("status/ready")), "{back}");
    wait_until("the labels of before on GitHub", SOON, async || {
        (github.labels("acme/api", number) == ["priority/p1", "status/ready", "type/bug"]).then_some(())
    })
    .await;
}

/// 13: no error in the log.
fn no_error_in(place: &Place) {
    let log = place.log();
    let errors: Vec<&str> = log.lines().filter(|l| l.contains("ERROR") || l.contains("panicked")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// 14: with the daemon stopped a client gets a clean connection error, and works again after a restart.
async fn gone_and_back(place: &Place, daemon: Daemon, script: &Script, again: Script) {
    daemon.stop().await;
    let error = script.try_ask(Method::GET, "/api/health", None).await.expect_err("nobody answers");
    assert!(error.is_connect(), "{error:?}");
    let daemon = place.start().await;
    health(script).await;
    assert_eq!(list(&again.get("/api/issues").await, "issues").len(), 3, "what was known is known");
    let runs = again.get("/api/agent-runs?limit=100").await;
    assert!(list(&runs, "agent runs").iter().any(|r| r["runType"] == "cron"), "agent runs survive too");
    daemon.stop().await;
}
