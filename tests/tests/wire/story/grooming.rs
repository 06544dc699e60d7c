//! Grooming, by an outside groomer and the hosted one, and splitting.

use serde_json::json;

use super::{REPO, Told, until};
use crate::scribe::Who;

pub(super) async fn asked(t: &mut Told) {
    let (groom, split, children) =
        ("POST /api/issues/groom", "POST /api/issues/actions/decompose", "POST /api/issues/{id}/children");
    let (run, runs, one) = ("POST /api/groomer/run", "GET /api/groomer/runs", "GET /api/groomer/runs/{id}");
    let (umbrella, vague) = (t.id(4), t.id(8));
    let take = "POST /api/agents/{agent}/next-task";
    let looked =
        t.s.on("GET /api/agents/{agent}/next-task", "to groom")
            .by(Who::Worker)
            .at("/api/agents/gil/next-task?mode=groom")
            .is(200)
            .await;
    assert_eq!(looked["type"], "groom");
    let task =
        t.s.on(take, "to groom").by(Who::Worker).at("/api/agents/gil/next-task?mode=groom").is(200).await;
    assert_eq!(task["type"], "groom");
    let done = json!({"taskType": "groom", "outcome": "issue_updated", "claimId": task["claim"]["id"]});
    t.s.on("POST /api/agents/{agent}/tasks/report", "groomed")
        .by(Who::Worker)
        .at("/api/agents/gil/tasks/report")
        .body(done)
        .is(200)
        .await;
    for (action, field) in [
        ("mark_not_ready", "notReadyReason"),
        ("mark_needs_info", "needsInfoReason"),
        ("mark_blocked", "blockedReason"),
    ] {
        let bare = t.named(8, json!({"action": action}));
        let missing = t.s.on(groom, &format!("{action} without a reason")).body(bare.clone()).is(400).await;
        assert!(missing["error"].as_str().is_some_and(|e| e.contains(field)), "{missing}");
        let mut body = bare;
        body[field] = json!("Which door?");
        body["agentName"] = json!("gil");
        t.s.on(groom, action).body(body).is(200).await;
    }
    for action in ["escalate", "promote_to_ready"] {
        let body = t.named(8, json!({"action": action, "groomingSummary": "It can be done."}));
        t.s.on(groom, action).body(body).is(200).await;
    }
    let closed = t.named(7, json!({"action": "promote_to_ready"}));
    let odd = t.named(8, json!({"action": "close"}));
    let s = &mut t.s;
    s.on(groom, "closed").body(closed).is(400).await;
    let odd = s.on(groom, "no such action").body(odd).is(400).await;
    assert!(odd["error"].as_str().is_some_and(|e| e.contains("action")), "{odd}");
    s.on(groom, "not known").body(json!({"issueId": "none", "action": "escalate"})).is(404).await;

    let at = format!("/api/issues/{umbrella}/children");
    let dry = s.on(children, "a dry run, without a body").at(&at).is(200).await;
    assert_eq!((&dry["dryRun"], dry["children"].as_array().map(Vec::len)), (&json!(true), Some(2)));
    s.on(children, "named")
        .at(&at)
        .body(json!({"items": ["One", {"title": "Two", "body": "Text", "labels": ["x"]}]}))
        .is(200)
        .await;
    s.on(children, "without a title").at(&at).body(json!({"items": [" "]})).is(400).await;
    s.on(children, "nothing to split").at(format!("/api/issues/{vague}/children")).is(400).await;
    s.on(children, "not known").at("/api/issues/none/children").is(404).await;
    let made = s.on(children, "in earnest").at(&at).body(json!({"dryRun": false})).is(200).await;
    assert_eq!(made["children"][0]["state"], "pending");
    until(t, "the children", &format!("/api/issues/{umbrella}"), |v| {
        v["followUpUrls"].as_array().is_some_and(|u| u.len() == 2) && v["write"].is_null()
    })
    .await;
    let s = &mut t.s;
    let body = json!({"repo": REPO, "issueNumber": 2, "decomposed": true, "followUpUrls": ["https://example.com/9", "https://example.com/9"],
        "note": "Two things.", "agentName": "gil"});
    let split_now = s.on(split, "by repository and number").body(body).is(200).await;
    assert_eq!(
        (&split_now["decomposed"], &split_now["followUpUrls"]),
        (&json!(true), &json!(["https://example.com/9"]))
    );
    let back = json!({"repo": "", "repoFullName": "ACME/api", "issueNumber": 2, "decomposed": false});
    let back = s.on(split, "taken back").body(back).is(200).await;
    assert_eq!(back["decomposed"], false);
    s.on(split, "not known").body(json!({"repo": REPO, "issueNumber": 99})).is(404).await;
    s.on(split, "nothing named, without a body").is(400).await;

    t.openai.decide(&json!({"actionability": "ready", "lane": "gpt", "confidence": "medium", "reason": null,
        "labels": ["priority/p1", "agent/evil"], "summary": "It can be done."}));
    let ask = json!({"repoFullName": REPO, "issueNumber": 2, "force": true});
    let decided = t.s.on(run, "a dry run, as if none was named").body(ask).is(200).await;
    assert_eq!(
        (&decided["status"], &decided["output"]["lane"]),
        (&json!("dry_run_completed"), &json!("frontier"))
    );
    let s = &mut t.s;
    s.on(run, "not known").body(json!({"repoFullName": REPO, "issueNumber": 99})).is(404).await;
    s.on(run, "not tracked").body(json!({"repoFullName": "acme/none"})).is(404).await;
    s.on(run, "a number alone").body(json!({"issueNumber": 2})).is(400).await;
    s.on(runs, "all").is(200).await;
    s.on(one, "one").at("/api/groomer/runs/1").is(200).await;
    s.on(one, "not there").at("/api/groomer/runs/99").is(404).await;
}
