//! One task at a time: looking, taking, reporting.

use serde_json::{Value, json};

use super::{REPO, Told};
use crate::scribe::{Scribe, Who};

const LOOK: &str = "GET /api/agents/{agent}/next-task";
const TAKE: &str = "POST /api/agents/{agent}/next-task";
const REPORT: &str = "POST /api/agents/{agent}/tasks/report";

async fn take(s: &mut Scribe, case: &str) -> Value {
    s.on(TAKE, case).by(Who::Worker).at("/api/agents/kai/next-task").body(json!({})).is(200).await
}

async fn report(s: &mut Scribe, case: &str, task: &Value, more: Value, status: u16) -> Value {
    let mut body = json!({"taskType": "implement", "repoFullName": REPO, "issueNumber": task["issue"]["number"],
        "claimId": task["claim"]["id"]});
    crate::scribe::with(&mut body, more);
    s.on(REPORT, case).by(Who::Worker).at("/api/agents/kai/tasks/report").body(body).is(status).await
}

pub(super) async fn taken(t: &mut Told) {
    let s = &mut t.s;
    let at = "/api/agents/kai/next-task";
    let looked = s.on(LOOK, "an issue is ready").by(Who::Worker).at(at).is(200).await;
    assert_eq!((&looked["type"], &looked["issue"]["number"]), (&json!("implement"), &json!(1)));
    assert_eq!(looked["acceptanceCriteria"], json!(["it parses"]));
    s.on(LOOK, "what is empty counts as absent")
        .at(format!("{at}?lane=&mode=&exclude_decomposed=&includeClaimed=&includeRenovate="))
        .is(200)
        .await;
    s.on(LOOK, "in a lane by its alias").at(format!("{at}?lane=normal&includeRenovate=1")).is(200).await;
    let idle = s.on(LOOK, "a lane with nothing in it").at(format!("{at}?lane=cloud")).is(200).await;
    assert_eq!((&idle["type"], &idle["shouldRun"]), (&json!("idle"), &json!(false)));
    for route in [LOOK, TAKE] {
        let lane = s.on(route, "no such lane").at(format!("{at}?lane=Local")).is(400).await;
        let said = lane["error"].as_str().expect("a sentence").to_owned();
        assert!(
            said.contains("`Local`") && said.contains("frontier"),
            "it names the lane and those there are: {said}"
        );
        s.on(route, "no such mode").at(format!("{at}?mode=merge")).is(400).await;
        s.on(route, "no agent name").at("/api/agents/a%20b/next-task").is(400).await;
        s.on(route, "another's name").by(Who::Ben).at(at).is(403).await;
    }
    s.on(TAKE, "no span").at(format!("{at}?wait=soon")).is(400).await;
    for (case, key) in [("an empty key", String::new()), ("too long a key", "é".repeat(201))] {
        s.on(TAKE, case).at(at).body(json!({"idempotencyKey": key})).is(400).await;
    }
    let key = json!({"idempotencyKey": "é".repeat(200)});
    let task =
        s.on(TAKE, "with a key of 200 characters").by(Who::Worker).at(at).body(key.clone()).is(200).await;
    assert_eq!((&task["type"], &task["issue"]["number"]), (&json!("implement"), &json!(1)));
    let again = s.on(TAKE, "the answer was lost").by(Who::Worker).at(at).body(key).is(200).await;
    assert_eq!(again["claim"]["id"], task["claim"]["id"]);
    let idle = s.on(TAKE, "as many as its slots").by(Who::Worker).at(at).is(200).await;
    assert_eq!(idle["type"], "idle");
    let resumed = s.on(TAKE, "resumed").by(Who::Worker).at(format!("{at}?resume=true")).is(200).await;
    assert_ne!(resumed["claim"]["id"], task["claim"]["id"]);
    s.on(LOOK, "its own work").by(Who::Worker).at(format!("{at}?includeClaimed=true")).is(200).await;
    let queue = "GET /api/agents/{agent}/queue";
    s.on(queue, "all").by(Who::Worker).at("/api/agents/kai/queue").is(200).await;
    s.on(queue, "claimed ones too")
        .at("/api/agents/kai/queue?includeClaimed=1&exclude_decomposed=true&includeRenovate=false")
        .is(200)
        .await;
    s.on(queue, "no such lane").at("/api/agents/kai/queue?lane=nowhere").is(400).await;

    let stale = report(s, "a claim that ended", &task, json!({"outcome": "failed"}), 409).await;
    assert_eq!(stale["code"], "stale_claim");
    let opened = json!({"outcome": "pr_opened", "pullRequestNumber": 99});
    let unseen = report(s, "a pull request that is not there", &resumed, opened, 422).await;
    assert!(unseen["error"].as_str().is_some_and(|e| e.contains("99")), "{unseen}");
    for (case, wrong, field) in [
        ("no such outcome", json!({"outcome": "merged"}), "outcome"),
        ("no such type", json!({"taskType": "review", "outcome": "failed"}), "taskType"),
        ("an idle task", json!({"taskType": "idle", "outcome": "failed"}), "taskType"),
        ("an odd type", json!({"outcome": "failed", "issueNumber": "1"}), "issueNumber"),
        ("an empty key", json!({"outcome": "failed", "idempotencyKey": ""}), "idempotencyKey"),
        (
            "no generation",
            json!({"outcome": "failed", "prFixItem": {"id": "x", "generation": 0}}),
            "generation",
        ),
    ] {
        let refused = report(s, case, &resumed, wrong, 400).await;
        assert!(refused["error"].as_str().is_some_and(|e| e.contains(field)), "{case}: {refused}");
    }
    let branch = resumed["branch"].as_str().expect("a branch").to_owned();
    t.github.push(REPO, &branch, "dates.txt", "text");
    let pull = t.github.open_pull(REPO, &branch, "main", "Parse dates", "Fixes #1");
    let s = &mut t.s;
    let opened = json!({"outcome": "pr_opened", "pullRequestNumber": pull, "summary": "Done.", "idempotencyKey": "k-1",
        "startedAt": "2020-01-01T00:00:00Z", "usage": {"inputTokens": 1, "outputTokens": 2, "costUsd": 0.5}});
    let accepted = report(s, "a pull request", &resumed, opened.clone(), 200).await;
    assert_eq!((&accepted["ok"], &accepted["report"]["status"]), (&json!(true), &json!("completed")));
    assert!(accepted.get("duplicate").is_none());
    let replayed = report(s, "again with its key", &resumed, opened.clone(), 200).await;
    assert_eq!((&replayed["duplicate"], &replayed["agentRunId"]), (&json!(true), &accepted["agentRunId"]));
    let mut other = opened;
    other["summary"] = json!("Something else.");
    let reused = report(s, "its key with another report", &resumed, other, 409).await;
    assert_eq!(reused["code"], "idempotency_mismatch");
    for (outcome, status) in [
        ("blocked", "blocked"),
        ("failed", "failed"),
        ("no_changes_needed", "completed"),
        ("already_addressed", "completed"),
    ] {
        let task = take(s, outcome).await;
        let more = json!({"outcome": outcome, "error": "Which zone?", "evidence": "seen"});
        let answer = report(s, outcome, &task, more, 200).await;
        assert_eq!(answer["report"]["status"], status);
        let path = format!("/api/issues/{}", task["issue"]["id"].as_str().expect("an id"));
        s.on("GET /api/issues/{id}", &format!("after {outcome}")).at(path).is(200).await;
    }
    let unnamed = json!({"taskType": "implement", "outcome": "failed"});
    s.on(REPORT, "nothing named and nothing held")
        .at("/api/agents/lee/tasks/report")
        .body(unnamed)
        .is(400)
        .await;
    let task = take(s, "for another's report").await;
    let mine = json!({"taskType": "implement", "outcome": "failed", "issueId": task["issue"]["id"]});
    let held =
        s.on(REPORT, "held by another").at("/api/agents/lee/tasks/report").body(mine.clone()).is(409).await;
    assert_eq!(held["code"], "held");
    let claimless = json!({"taskType": "implement", "outcome": "pr_opened"});
    let nothing = s
        .on(REPORT, "a pull request that nobody named and nobody finds")
        .by(Who::Worker)
        .at("/api/agents/kai/tasks/report");
    let nothing = nothing.body(claimless).is(200).await;
    assert_eq!(nothing["report"]["status"], "failed");
    let free = s
        .on(REPORT, "without a claim, held by nobody")
        .at("/api/agents/lee/tasks/report")
        .body(mine)
        .is(200)
        .await;
    assert_eq!(free["report"]["status"], "failed");
    s.on("GET /api/problems", "after the reports").is(200).await;
    s.on("GET /api/audit", "of reports").at("/api/audit?action=report_task&limit=3").is(200).await;
}
