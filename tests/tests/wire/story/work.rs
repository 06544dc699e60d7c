//! Resumable work, heartbeats, and what agents say of themselves.

use serde_json::json;

use super::{REPO, Told};
use crate::scribe::Who;

pub(super) async fn done(t: &mut Told) {
    let (start, checkpoint, finish) =
        ("POST /api/agent-work/start", "POST /api/agent-work/checkpoint", "POST /api/agent-work/finish");
    let active = "GET /api/agents/{agent}/active-work";
    let (first, second) = (t.id(9), t.id(10));
    let s = &mut t.s;
    let told = |point: &str| json!({"agentName": "ben", "checkpoint": point, "summary": "so far"});
    s.on(checkpoint, "no active work").by(Who::Ben).body(told("CLAIMED")).is(404).await;
    s.on(finish, "no active work")
        .by(Who::Ben)
        .body(json!({"agentName": "ben", "state": "DONE"}))
        .is(404)
        .await;
    let none = s.on(active, "none").by(Who::Ben).at("/api/agents/ben/active-work").is(200).await;
    assert_eq!(none, json!({"hasActiveWork": false}));
    let begin = json!({"agentName": "ben", "issueId": first, "runId": "x-1", "branch": "topic"});
    let work = s.on(start, "an issue").by(Who::Ben).body(begin).is(201).await;
    assert_eq!(
        (&work["state"], &work["checkpoint"], &work["nextAction"]),
        (&json!("CLAIMED"), &json!("CLAIMED"), &json!("prepare_repo"))
    );
    s.on(start, "without an issue: the same goes on")
        .by(Who::Ben)
        .body(json!({"agentName": "ben", "issueId": ""}))
        .is(201)
        .await;
    s.on(start, "more than its slots")
        .by(Who::Ben)
        .body(json!({"agentName": "ben", "issueId": second}))
        .is(409)
        .await;
    s.on(start, "no agent").body(json!({})).is(400).await;
    s.on(start, "for another").by(Who::Ben).body(json!({"agentName": "kai"})).is(403).await;
    s.on(start, "not known").body(json!({"agentName": "kai", "issueId": "none"})).is(404).await;
    let beat = s
        .on("POST /api/agents/{agent}/heartbeat", "a lease is held")
        .by(Who::Ben)
        .at("/api/agents/ben/heartbeat")
        .is(200)
        .await;
    assert_eq!((&beat["status"], beat["touchedIssueUrls"].as_array().map(Vec::len)), (&json!("ok"), Some(1)));
    for (point, word, next) in [
        ("CLAIMED", "issue_claimed", "inspect_issue"),
        ("REPO_PREPARED", "issue_claimed", "inspect_issue"),
        ("BRANCH_CREATED", "branch_created", "continue_changes"),
        ("CHANGES_MADE", "changes_made", "open_pr"),
        ("TESTS_RUNNING", "changes_made", "open_pr"),
        ("PR_OPENED", "pr_opened", "check_pr_status"),
        ("DONE", "work_complete", "finish_or_block"),
    ] {
        let work = s.on(checkpoint, point).by(Who::Ben).body(told(point)).is(200).await;
        let state = if point == "CLAIMED" { "CLAIMED" } else { "IN_PROGRESS" };
        assert_eq!((&work["checkpoint"], &work["state"]), (&json!(point), &json!(state)), "{work}");
        let seen = s.on(active, point).by(Who::Ben).at("/api/agents/ben/active-work").is(200).await;
        let context = &seen["context"];
        assert_eq!((&context["checkpoint"], &context["nextAction"]), (&json!(word), &json!(next)), "{point}");
    }
    s.on(checkpoint, "blocked without a reason").by(Who::Ben).body(told("BLOCKED")).is(400).await;
    let mut blocked = told("BLOCKED");
    blocked["blockerReason"] = json!("Which zone?");
    let work = s.on(checkpoint, "blocked").by(Who::Ben).body(blocked).is(200).await;
    assert_eq!(work["state"], "BLOCKED");
    s.on(checkpoint, "no such checkpoint").by(Who::Ben).body(told("STARTED")).is(400).await;
    s.on(checkpoint, "none at all").by(Who::Ben).body(json!({"agentName": "ben"})).is(400).await;
    s.on(checkpoint, "going on").by(Who::Ben).body(told("CHANGES_MADE")).is(200).await;
    s.on("GET /api/agents/{agent}/in-progress", "one")
        .by(Who::Ben)
        .at("/api/agents/ben/in-progress?lane=normal")
        .is(200)
        .await;
    s.on("GET /api/agents/{agent}/in-progress", "no such lane")
        .at("/api/agents/ben/in-progress?lane=nowhere")
        .is(400)
        .await;
    s.on("GET /api/agents/{agent}/work-summary", "one")
        .by(Who::Ben)
        .at("/api/agents/ben/work-summary")
        .is(200)
        .await;
    let list = "GET /api/agent-work";
    let held = s
        .on(list, "one agent's")
        .by(Who::Worker)
        .at("/api/agent-work?agent=ben&include_stale=false")
        .is(200)
        .await;
    assert_eq!(held["activeWork"][0]["repoFullName"], REPO);
    s.on(list, "everybody's").at("/api/agent-work").is(200).await;

    s.on(finish, "no state").by(Who::Ben).body(json!({"agentName": "ben"})).is(400).await;
    s.on(finish, "no such state")
        .by(Who::Ben)
        .body(json!({"agentName": "ben", "state": "GONE"}))
        .is(400)
        .await;
    let over = s
        .on(finish, "released")
        .by(Who::Ben)
        .body(json!({"agentName": "ben", "state": "RELEASED"}))
        .is(200)
        .await;
    assert_eq!(over["state"], "RELEASED");
    s.on(start, "another").by(Who::Ben).body(json!({"agentName": "ben", "issueId": second})).is(201).await;
    let waits = json!({"agentName": "ben", "state": "BLOCKED", "summary": "Which zone?"});
    let over = s.on(finish, "blocked").by(Who::Ben).body(waits).is(200).await;
    assert_eq!(over["state"], "BLOCKED");
    s.on("POST /api/issues/move", "what waited for a person")
        .body(json!({"issueId": second, "status": "ready"}))
        .is(200)
        .await;
    s.on(start, "a third").by(Who::Ben).body(json!({"agentName": "ben", "issueId": first})).is(201).await;
    let act = "POST /api/agent-work";
    s.on(act, "an odd action")
        .body(json!({"action": "steal", "agentName": "ben", "reason": "x"}))
        .is(400)
        .await;
    s.on(act, "nothing named")
        .body(json!({"action": "release", "agentName": "ben", "reason": "x"}))
        .is(400)
        .await;
    s.on(act, "not known").body(json!({"action": "release", "workId": "c-999", "reason": "x"})).is(404).await;
    s.on(act, "a worker").by(Who::Worker).body(json!({"action": "release"})).is(403).await;
    let moved = json!({"action": "reassign", "agentName": "lee", "issueId": first, "reason": "holiday"});
    let moved = s.on(act, "to another").body(moved).is(200).await;
    assert_eq!((&moved["releasedLeases"], &moved["work"]["agentName"]), (&json!(1), &json!("lee")));
    let done = s
        .on(finish, "taken away")
        .by(Who::Ben)
        .body(json!({"agentName": "ben", "state": "DONE"}))
        .is(404)
        .await;
    assert_eq!(done["code"], "not_found");
    let all = json!({"action": "release", "agentName": "lee", "releaseAll": true, "reason": "holiday"});
    let all = s.on(act, "all of one agent's").body(all).is(200).await;
    assert_eq!(
        (&all["releasedLeases"], &all["releasedWork"], &all["reason"]),
        (&json!(1), &json!(1), &json!("holiday"))
    );
    s.on("POST /api/agent-work/sweep", "nothing ran out, without a body").is(200).await;

    let record = "POST /api/agent-runs";
    let ran = json!({"agentName": "kai", "runType": "cron", "status": "warning", "startedAt": "2026-01-02T03:04:05+01:00",
        "touchedIssueUrls": ["https://example.com/1"], "issueId": ""});
    let ran = s.on(record, "a run").body(ran).is(201).await;
    assert_eq!(ran["startedAt"], "2026-01-02T02:04:05.000Z");
    s.on(record, "no status").body(json!({"agentName": "kai", "runType": "cron"})).is(400).await;
    let odd = json!({"agentName": "kai", "runType": "cron", "status": "ok", "startedAt": "yesterday"});
    let odd = s.on(record, "no time").body(odd).is(400).await;
    assert!(odd["error"].as_str().is_some_and(|e| e.contains("startedAt")), "{odd}");
    s.on("GET /api/agent-runs", "the newest").at("/api/agent-runs?limit=1").is(200).await;
    s.on("GET /api/agent-runs", "one agent's").at("/api/agent-runs?agent=ben").is(200).await;
}
