//! Follow-ups over the real daemon and a fake GitHub: webhooks, the PR-fix queue, tasks and reports.

use std::time::Duration;

use dispatch_shared::client::Client;
use dispatch_shared::protocol::repos::AddRepoRequest;
use dispatch_tests::daemon::{Daemon, Place, wait_until};
use dispatch_tests::github::FakeGithub;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);
const SECRET: &str = "It's a Secret to Everybody";

async fn scene(secret: bool) -> (FakeGithub, Place, Daemon, u64) {
    let github = FakeGithub::start().await;
    github.add_repo("acme", "api");
    let issue = github.add_issue("acme/api", "Broken", "Text", &["status/in-review"]);
    github.push("acme/api", "fix/issue-1-broken", "a.txt", "one");
    let pr = github.open_pull("acme/api", "fix/issue-1-broken", "main", "Fix", &format!("Fixes #{issue}"));
    let mut place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    place.env("GITHUB_API_URL", github.url().as_str());
    place.env("GH_TOKEN", github.token());
    if secret {
        place.env("WEBHOOK_SECRET", SECRET);
    }
    let daemon = place.start().await;
    let add = AddRepoRequest { full_name: Some("acme/api".into()), ..AddRepoRequest::default() };
    daemon.client.add_repo(&add).await.expect("the repository can be tracked");
    wait_until("the pull request to be linked", SOON, async || {
        let issues = daemon.client.issues(&Default::default()).await.ok()?;
        issues.iter().any(|i| i.linked_pr_number == Some(pr)).then_some(())
    })
    .await;
    (github, place, daemon, pr)
}

/// A webhook with curl alone: the status and the answer.
fn hook(place: &Place, signature: Option<&str>, event: &str, delivery: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let signature = signature.map_or_else(
        || {
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
            mac.update(body.as_bytes());
            let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
            format!("sha256={hex}")
        },
        ToOwned::to_owned,
    );
    let done = std::process::Command::new("curl")
        .args(["-sS", "-X", "POST", "--unix-socket"])
        .arg(place.socket())
        .args(["-H", &format!("X-Hub-Signature-256: {signature}")])
        .args(["-H", &format!("X-GitHub-Event: {event}"), "-H", &format!("X-GitHub-Delivery: {delivery}")])
        .args(["-w", "\n%{http_code}", "--data-binary", &body, "http://dispatch/api/pr-followup/webhook"])
        .output()
        .expect("curl is there");
    let text = String::from_utf8(done.stdout).expect("text");
    let (body, status) = text.rsplit_once('\n').unwrap_or(("", &text));
    (status.parse().unwrap_or(0), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn comment(pr: u64, id: u64) -> Value {
    json!({"action": "created", "repository": {"full_name": "acme/api"},
        "comment": {"id": id, "body": "Why?", "path": "a.txt", "line": 1, "user": {"login": "ada", "type": "User"}},
        "pull_request": {"number": pr, "user": {"login": "kai[bot]"}, "head": {"ref": "fix/issue-1-broken"}}})
}

async fn queued(client: &Client) -> Vec<Value> {
    client.get("/api/pr-fix-queue/queued", &()).await.expect("the queue")
}

async fn post(client: &Client, path: &str, body: Value) -> Value {
    client.call("POST", path, &body).await.unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_comment_becomes_a_task_and_a_push_settles_it() {
    let (github, place, daemon, pr) = scene(true).await;
    let event = "pull_request_review_comment";
    assert_eq!(hook(&place, Some("sha256=00"), event, "d0", &comment(pr, 7)).0, 401);
    let (status, said) = hook(&place, None, event, "d1", &comment(pr, 7));
    assert_eq!(
        (status, &said["effect"], &said["duplicate"]),
        (200, &"enqueued".into(), &false.into()),
        "{said}"
    );
    let (status, again) = hook(&place, None, event, "d1", &comment(pr, 8));
    assert_eq!((status, &again["duplicate"]), (200, &true.into()), "a delivery counts once");
    let client = &daemon.client;
    let items = queued(client).await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["evidenceKeys"], json!([format!("{event}:acme/api#{pr}:7")]));
    assert_eq!((&items[0]["lane"], &items[0]["status"]), (&"NORMAL".into(), &"QUEUED".into()));
    let queue: Vec<Value> = client.get("/api/agents/kai/queue", &()).await.expect("a queue");
    assert_eq!(
        (&queue[0]["type"], &queue[0]["fixType"]),
        (&"pr-review-fix".into(), &"REVIEW_FEEDBACK".into())
    );
    assert!(queue[0].get("agentMatch").is_none());
    let task = post(client, "/api/agents/kai/next-task", json!({})).await;
    assert_eq!(
        (&task["type"], &task["pullRequest"]["number"]),
        (&"followup-pr".into(), &pr.into()),
        "{task}"
    );
    assert_eq!(
        (&task["feedbackItems"][0]["path"], &task["feedbackItems"][0]["line"]),
        (&"a.txt".into(), &1.into())
    );
    assert!(queued(client).await.is_empty(), "what is handed out waits no more");
    let report = json!({"taskType": "followup-pr", "outcome": "pr_updated", "repoFullName": "acme/api",
        "pullRequestNumber": pr, "prFixItem": task["prFixItem"], "claimId": task["claim"]["id"]});
    let path = "/api/agents/kai/tasks/report";
    let unmoved = client.call::<Value>("POST", path, &report).await.expect_err("nothing was pushed");
    assert!(unmoved.to_string().contains("push first"), "{unmoved}");
    github.push("acme/api", "fix/issue-1-broken", "a.txt", "two");
    let answer = post(client, path, report).await;
    assert_eq!(answer["prFixResolution"]["action"], "fixed", "{answer}");
    daemon.kill();
    let daemon = place.start().await;
    assert_eq!(hook(&place, None, event, "d1", &comment(pr, 9)).1["duplicate"], true, "also after a kill");
    let history: Vec<Value> = daemon.client.get("/api/pr-fix-queue/history", &()).await.expect("history");
    assert_eq!((&history[0]["action"], &history[0]["status"]), (&"report".into(), &"FIXED".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_answers_bare_items() {
    let (github, place, daemon, pr) = scene(false).await;
    let client = &daemon.client;
    assert_eq!(hook(&place, None, "ping", "d", &json!({})).0, 503, "no secret, no webhook");
    let enqueue = json!({"repo": "Acme/API", "pr": pr, "lane": "escalated", "type": "ci_failure", "reason": "red",
        "feedback": "it fails", "evidenceKey": "check_run:acme/api#2:1"});
    let item = post(client, "/api/pr-fix-queue/enqueue", enqueue.clone()).await;
    assert_eq!(
        (&item["lane"], &item["fixType"], &item["generation"]),
        (&"ESCALATED".into(), &"CI_FAILURE".into(), &1.into())
    );
    assert_eq!((&item["issue"], &item["feedback"]), (&1.into(), &json!(["it fails"])));
    let named = json!({"repo": "acme/api", "pr": pr});
    let with = |more: Value| {
        let mut body = named.clone();
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let ack = post(client, "/api/pr-fix-queue/ack", with(json!({"agentName": "kai"}))).await;
    assert_eq!(ack["claim"]["agentName"], "kai");
    let back =
        post(client, "/api/pr-fix-queue/mark", with(json!({"status": "fixed", "generation": 1}))).await;
    assert_eq!((&back["status"], &back["generation"]), (&"QUEUED".into(), &2.into()), "nothing was pushed");
    let stale = client
        .call::<Value>("POST", "/api/pr-fix-queue/mark", &with(json!({"status": "FIXED", "generation": 1})))
        .await;
    assert!(stale.is_err_and(|e| e.to_string().contains("generation 2")));
    let blocked =
        post(client, "/api/pr-fix-queue/mark", with(json!({"status": "BLOCKED", "note": "which?"}))).await;
    assert_eq!((&blocked["status"], &blocked["lane"]), (&"BLOCKED".into(), &"NEEDS_HUMAN".into()));
    let again = post(client, "/api/pr-fix-queue/requeue", named.clone()).await;
    assert_eq!(
        (&again["status"], &again["generation"], &again["lane"]),
        (&"QUEUED".into(), &3.into(), &"ESCALATED".into())
    );
    // Merged while the cache does not know it yet: looked at before it is handed out.
    github.merge("acme/api", pr);
    let task = post(client, "/api/agents/other/next-task", json!({})).await;
    assert_eq!(task["type"], "idle", "{task}");
    let done = post(client, "/api/pr-fix-queue/mark", with(json!({"status": "FIXED"}))).await;
    assert_eq!(done["status"], "STALE");
    let synced = post(client, "/api/pr-followup/sync", json!({})).await;
    assert_eq!((&synced["success"], &synced["unavailable"]), (&true.into(), &json!([])));
}
