//! Pull requests that need work again: the queue, follow-up tasks, webhooks.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use super::{REPO, Told};
use crate::SECRET;
use crate::scribe::Who;

const MARK: &str = "POST /api/pr-fix-queue/mark";

/// The body that names the pull request of issue 5, and more.
fn of(more: Value) -> Value {
    let mut body = json!({"repo": REPO, "pr": 6});
    crate::scribe::with(&mut body, more);
    body
}

pub(super) async fn queued(t: &mut Told) {
    let (enqueue, requeue, ack) =
        ("POST /api/pr-fix-queue/enqueue", "POST /api/pr-fix-queue/requeue", "POST /api/pr-fix-queue/ack");
    let (queued, history) = ("GET /api/pr-fix-queue/queued", "GET /api/pr-fix-queue/history");
    let s = &mut t.s;
    let news = json!({"repo": "Acme/API", "pr": 6, "lane": "normal", "type": "ci_failure", "reason": "red",
        "feedback": "it fails", "evidenceKey": "check_run:acme/api#6:1"});
    let item = s.on(enqueue, "by an outside watcher").body(news.clone()).is(200).await;
    assert_eq!(
        (
            &item["repo"],
            &item["issue"],
            &item["lane"],
            &item["status"],
            &item["fixType"],
            &item["generation"]
        ),
        (&json!(REPO), &json!(5), &json!("NORMAL"), &json!("QUEUED"), &json!("CI_FAILURE"), &json!(1))
    );
    let again = s.on(enqueue, "known evidence").body(news).is(200).await;
    assert_eq!(again, item, "known evidence changes nothing");
    let more = of(
        json!({"type": "review-feedback", "reason": "asked", "feedback": ["one", {"author": "ada", "path": "a.txt", "line": 1, "text": "two"}],
        "evidenceKeys": ["pull_request_review_comment:acme/api#6:2"]}),
    );
    let item = s.on(enqueue, "more, bare and with its place").body(more).is(200).await;
    assert_eq!(item["fixType"], "CI_FAILURE", "the more urgent kind stays");
    assert_eq!(item["feedback"], json!(["it fails", "one", "a.txt:1: two"]));
    s.on(enqueue, "no pull request").body(json!({"repo": REPO})).is(400).await;
    s.on(enqueue, "nothing named, without a body").is(400).await;
    s.on(enqueue, "no such type").body(of(json!({"type": "nitpick"}))).is(400).await;
    s.on(enqueue, "no such lane").body(of(json!({"lane": "nowhere", "evidenceKey": "x"}))).is(400).await;
    s.on(enqueue, "an odd type").body(json!({"repo": REPO, "pr": "6"})).is(400).await;
    s.on(enqueue, "not tracked").body(json!({"repo": "acme/none", "pr": 6})).is(404).await;

    for (case, query, found) in [
        ("all", "", 1),
        ("a tier", "?lane=normal", 1),
        ("a tier that is empty", "?lane=Needs-Human", 0),
        ("a lane's id", "?lane=local", 1),
        ("another lane's id", "?lane=frontier", 0),
        ("with switches", "?include_blocked=1&prioritize_by_type=true", 1),
    ] {
        let found_now =
            s.on(queued, case).by(Who::Worker).at(format!("/api/pr-fix-queue/queued{query}")).is(200).await;
        assert_eq!(found_now.as_array().map(Vec::len), Some(found), "{case}");
    }
    s.on(queued, "no such lane").at("/api/pr-fix-queue/queued?lane=nowhere").is(400).await;
    let mixed = s
        .on("GET /api/agents/{agent}/queue", "pull requests first")
        .by(Who::Worker)
        .at("/api/agents/kai/queue?lane=local")
        .is(200)
        .await;
    assert_eq!((&mixed[0]["type"], &mixed[1]["type"]), (&json!("pr-review-fix"), &json!("issue")));
    s.on("GET /api/agents/{agent}/next-task", "a pull request needs work")
        .by(Who::Worker)
        .at("/api/agents/kai/next-task")
        .is(200)
        .await;

    let taken = s
        .on(ack, "by its reader")
        .by(Who::Worker)
        .body(of(json!({"agentName": "kai", "generation": 1})))
        .is(200)
        .await;
    assert_eq!(taken["claim"]["agentName"], "kai");
    s.on(ack, "again").by(Who::Worker).body(of(json!({"agentName": "kai"}))).is(200).await;
    s.on(ack, "by another").by(Who::Worker).body(of(json!({"agentName": "lee"}))).is(409).await;
    s.on(ack, "not there").body(json!({"repo": REPO, "pr": 99, "agentName": "kai"})).is(404).await;
    s.on(MARK, "by another")
        .by(Who::Worker)
        .body(of(json!({"status": "FIXED", "agentName": "lee"})))
        .is(409)
        .await;
    s.on(MARK, "no such status").body(of(json!({"status": "DONE"}))).is(400).await;
    s.on(MARK, "a worker ignores nothing")
        .by(Who::Worker)
        .body(of(json!({"status": "IGNORED", "agentName": "kai"})))
        .is(403)
        .await;
    s.on(MARK, "not there").body(json!({"repo": REPO, "pr": 99, "status": "FIXED"})).is(404).await;
    // An old client names neither itself nor its claim.
    let unmoved = s
        .on(MARK, "fixed, but nothing was pushed")
        .by(Who::Worker)
        .body(of(json!({"status": "fixed", "note": "done"})))
        .is(200)
        .await;
    assert_eq!(
        (&unmoved["status"], &unmoved["generation"], &unmoved["attempts"]),
        (&json!("QUEUED"), &json!(2), &json!(1))
    );
    let stale = s
        .on(MARK, "a stale generation")
        .by(Who::Worker)
        .body(of(json!({"status": "FIXED", "generation": 1})))
        .is(409)
        .await;
    assert!(stale["error"].as_str().is_some_and(|e| e.contains("generation 2")), "{stale}");
    let blocked =
        s.on(MARK, "blocked").body(of(json!({"status": "Blocked", "note": "which?"}))).is(200).await;
    assert_eq!((&blocked["status"], &blocked["lane"]), (&json!("BLOCKED"), &json!("NEEDS_HUMAN")));
    s.on(MARK, "blocked already").body(of(json!({"status": "BLOCKED"}))).is(200).await;
    let path = format!("/api/issues/{}", t.id(5));
    let s = &mut t.s;
    let card = s.on("GET /api/issues/{id}", "of a blocked pull request").at(path).is(200).await;
    assert!(card["labels"].as_array().is_some_and(|l| l.contains(&json!("needs-human"))), "{card}");
    let waits =
        s.on(queued, "blocked ones too").at("/api/pr-fix-queue/queued?include_blocked=true").is(200).await;
    assert_eq!(waits.as_array().map(Vec::len), Some(1));
    s.on(requeue, "a stale generation").body(of(json!({"generation": 1}))).is(409).await;
    let again =
        s.on(requeue, "by an operator, to another tier").body(of(json!({"lane": "escalated"}))).is(200).await;
    assert_eq!(
        (&again["status"], &again["lane"], &again["generation"]),
        (&json!("QUEUED"), &json!("ESCALATED"), &json!(3))
    );
    let waits = s.on(requeue, "it waits already").body(of(json!({"lane": "NORMAL"}))).is(200).await;
    assert_eq!((&waits["generation"], &waits["lane"]), (&json!(3), &json!("NORMAL")));
    s.on(requeue, "no such lane").body(of(json!({"lane": "nowhere"}))).is(400).await;
    s.on(requeue, "not there").body(json!({"repo": REPO, "pr": 99})).is(404).await;
    let person = of(json!({"lane": "needs_human", "reason": "look", "evidenceKey": "manual:acme/api#6:9"}));
    let person = s.on(enqueue, "to a person").body(person).is(200).await;
    assert_eq!((&person["status"], &person["lane"]), (&json!("BLOCKED"), &json!("NEEDS_HUMAN")));
    s.on(requeue, "looked at").body(of(json!({"note": "go on"}))).is(200).await;
    s.on(history, "one pull request's")
        .by(Who::Worker)
        .at("/api/pr-fix-queue/history?repo=Acme/Api&pr=6")
        .is(200)
        .await;
    s.on(history, "not tracked").at("/api/pr-fix-queue/history?repo=acme/none").is(404).await;
}

fn signed(body: &Value) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
    mac.update(body.to_string().as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256={hex}")
}

pub(super) async fn told(t: &mut Told) {
    let said = json!({"action": "created", "repository": {"full_name": REPO},
        "comment": {"id": 7, "body": "Why?", "path": "a.txt", "line": 1, "user": {"login": "ada", "type": "User"}},
        "pull_request": {"number": 6, "user": {"login": "kai[bot]"}, "head": {"ref": "fix/issue-5-broken"}}});
    let s = &mut t.s;
    for (n, route) in ["POST /api/pr-followup/webhook", "POST /api/issues/webhook"].into_iter().enumerate() {
        let event = "pull_request_review_comment";
        let delivery = format!("d-{n}");
        s.on(route, "wrongly signed")
            .by(Who::Nobody)
            .header("x-hub-signature-256", "sha256=00")
            .body(said.clone())
            .is(401)
            .await;
        s.on(route, "not signed").by(Who::Nobody).body(said.clone()).is(401).await;
        for case in ["a review comment", "a delivery that was seen before"] {
            let hook = s.on(route, case).by(Who::Nobody).header("x-hub-signature-256", signed(&said));
            let hook = hook.header("x-github-event", event).header("x-github-delivery", delivery.as_str());
            let answer = hook.body(said.clone()).is(200).await;
            assert_eq!(answer["duplicate"], case.contains("before"), "{answer}");
        }
    }
    let take = "POST /api/agents/{agent}/next-task";
    let report = "POST /api/agents/{agent}/tasks/report";
    let at = "/api/agents/ada/next-task";
    let task = s.on(take, "a pull request needs work").at(at).body(json!({})).is(200).await;
    assert_eq!((&task["type"], &task["pullRequest"]["number"]), (&json!("followup-pr"), &json!(6)));
    let to = "/api/agents/ada/tasks/report";
    // As an old client reports: by the item and its generation, without a claim.
    let body = |outcome: &str| {
        json!({"taskType": "followup-pr", "outcome": outcome, "repoFullName": REPO,
        "pullRequestNumber": 6, "prFixItem": task["prFixItem"], "summary": "Done."})
    };
    let unmoved = s.on(report, "a push that nobody sees").at(to).body(body("pr_updated")).is(422).await;
    assert_eq!(unmoved["code"], "not_verified");
    let mut stale = body("failed");
    stale["prFixItem"]["generation"] = json!(1);
    let skipped =
        s.on(report, "a stale generation").at("/api/agents/ada/tasks/report").body(stale).is(200).await;
    assert_eq!(skipped["prFixResolution"]["action"], "skipped");
    let deferred = s.on(report, "failed").at(to).body(body("failed")).is(200).await;
    assert_eq!(deferred["prFixResolution"]["action"], "deferred");
    s.on(take, "not the same generation again").at(format!("{at}?lane=cloud")).body(json!({})).is(200).await;
    let at = "/api/agents/eve/next-task";
    let to = "/api/agents/eve/tasks/report";
    let task = s.on(take, "for another").at(at).body(json!({})).is(200).await;
    assert_eq!(task["type"], "followup-pr");
    t.github.push(REPO, "fix/issue-5-broken", "a.txt", "two");
    let fixed = json!({"taskType": "followup-pr", "outcome": "pr_updated", "prFixItem": task["prFixItem"], "claimId": task["claim"]["id"]});
    let fixed = t.s.on(report, "a push").at(to).body(fixed).is(200).await;
    assert_eq!(fixed["prFixResolution"]["action"], "fixed");
    let s = &mut t.s;
    s.on("POST /api/pr-followup/sync", "all, without a body").is(200).await;
    s.on("POST /api/pr-followup/sync", "not tracked").body(json!({"repo": "acme/none"})).is(404).await;
    t.github.merge(REPO, 6);
    let gone = t.s.on(MARK, "fixed and merged").body(of(json!({"status": "FIXED"}))).is(200).await;
    assert_eq!(gone["status"], "STALE");
    let refused =
        t.s.on("POST /api/pr-fix-queue/requeue", "stale stays so").body(of(json!({}))).is(409).await;
    assert_eq!(refused["code"], "illegal_transition");
}
