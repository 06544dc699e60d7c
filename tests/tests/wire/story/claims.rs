//! Claiming and giving back by name, as old clients do it: with the id, the repository and the number.

use serde_json::{Value, json};

use super::{REPO, Told};
use crate::scribe::Who;

pub(super) async fn made(t: &mut Told) {
    let (claim, unclaim, claimed) =
        ("POST /api/issues/claim", "POST /api/issues/unclaim", "GET /api/issues/claimed");
    let kai = t.named(1, json!({"agentName": "kai"}));
    let lee = t.named(1, json!({"agentName": "lee"}));
    let (closed, zoes) = (t.named(7, json!({"agentName": "kai"})), t.named(16, json!({"agentName": "kai"})));
    t.github.label(REPO, 16, &["agent/zoe"], &[]);
    let s = &mut t.s;
    s.on("POST /api/issues/refresh", "what a person labelled").body(zoes.clone()).is(200).await;
    let made = s.on(claim, "by id, repository and number").by(Who::Worker).body(kai.clone()).is(200).await;
    let labels = made["labels"].as_array().expect("an array");
    assert!(
        labels.contains(&json!("agent/kai")) && labels.contains(&json!("status/in-progress")),
        "{labels:?}"
    );
    let again = s.on(claim, "again, by its holder").by(Who::Worker).body(kai.clone()).is(200).await;
    assert_eq!(again["claim"]["id"], made["claim"]["id"], "it renews");
    let number = json!({"repoFullName": "ACME/api", "issueNumber": 1, "agentName": "kai", "issueId": "", "extra": [1]});
    let by_number = s
        .on(claim, "by repository and number, with an empty id and an unknown field")
        .body(number)
        .is(200)
        .await;
    assert_eq!(by_number["claim"]["id"], made["claim"]["id"]);
    let held = s.on(claim, "held by another").by(Who::Worker).body(lee.clone()).is(409).await;
    assert_eq!(held["code"], "held");
    assert!(held["error"].as_str().is_some_and(|e| e.contains("kai") && e.contains("force")), "{held}");
    let labelled = s.on(claim, "assigned to another by label").body(zoes.clone()).is(409).await;
    assert!(
        labelled["error"].as_str().is_some_and(|e| e.contains("zoe") && e.contains("force")),
        "{labelled}"
    );
    s.on(claim, "closed").body(closed).is(400).await;
    s.on(claim, "not known")
        .body(json!({"repoFullName": REPO, "issueNumber": 99, "agentName": "kai"}))
        .is(404)
        .await;
    s.on(claim, "no agent").body(json!({"issueId": kai["issueId"]})).is(400).await;
    s.on(claim, "nothing named, without a body").is(400).await;
    let mut other = kai.clone();
    other["issueNumber"] = json!(2);
    s.on(claim, "two different issues").body(other).is(400).await;
    for (field, odd) in [
        ("issueId", json!(1)),
        ("issueNumber", json!("1")),
        ("agentName", json!(["kai"])),
        ("force", json!("yes")),
    ] {
        let mut body = kai.clone();
        body[field] = odd;
        let refused = s.on(claim, &format!("an odd type: {field}")).body(body).is(400).await;
        assert!(
            refused["error"].as_str().is_some_and(|e| e.contains(field)),
            "{field} is not named: {refused}"
        );
    }
    let by_force = |body: &Value| {
        let mut body = body.clone();
        body["force"] = json!(true);
        body
    };
    s.on(claim, "a worker, by force").by(Who::Worker).body(by_force(&lee)).is(403).await;
    s.on(claim, "a bound worker, for another").by(Who::Ben).body(lee.clone()).is(403).await;
    s.on(claimed, "one agent's").by(Who::Worker).at("/api/issues/claimed?agentName=kai").is(200).await;
    s.on(claimed, "in progress, by the label")
        .at("/api/issues/claimed?agentName=kai&status=status/in-progress")
        .is(200)
        .await;
    s.on(claimed, "ready, by label alone").at("/api/issues/claimed?agentName=zoe&status=ready").is(200).await;
    s.on(claimed, "another column").at("/api/issues/claimed?agentName=kai&status=done").is(400).await;

    s.on(unclaim, "by somebody else").by(Who::Worker).body(lee.clone()).is(400).await;
    let mut stale = kai.clone();
    stale["claimId"] = json!("c-999");
    let refused = s.on(unclaim, "another claim").by(Who::Worker).body(stale).is(409).await;
    assert_eq!(refused["code"], "stale_claim");
    let back = s.on(unclaim, "by its holder").by(Who::Worker).body(kai.clone()).is(200).await;
    assert_eq!(back["status"], "status/ready");
    assert_eq!(back["labels"], json!(["priority/p1", "type/bug", "owner/ada", "status/ready"]));
    s.on(unclaim, "given back already").by(Who::Worker).body(kai.clone()).is(400).await;
    s.on(unclaim, "not known").body(json!({"issueId": "none", "agentName": "kai"})).is(404).await;
    s.on(claim, "by a holder to be").body(kai.clone()).is(200).await;
    let taken = s.on(claim, "by force").body(by_force(&lee)).is(200).await;
    assert_eq!(taken["claim"]["agentName"], "lee");
    let gone = s.on(unclaim, "taken away before").by(Who::Worker).body(kai).is(400).await;
    assert!(gone["error"].as_str().is_some_and(|e| e.contains("lee")), "{gone}");
    let said = json!({"issueId": lee["issueId"], "status": "in-review"});
    let said = s
        .on("POST /api/issues/status", "an old worker does not say who it is")
        .by(Who::Worker)
        .body(said)
        .is(200)
        .await;
    assert_eq!(said["status"], "status/in-review");
    s.on(claim, "from review").body(by_force(&lee)).is(200).await;
    let released = s
        .on(unclaim, "by the operator, for whoever holds it")
        .body(json!({"issueId": lee["issueId"]}))
        .is(200)
        .await;
    assert_eq!(released["status"], "status/ready");
    let audit = s
        .on("GET /api/audit", "by an operator")
        .at("/api/audit?action=unclaim_issue_by_operator")
        .is(200)
        .await;
    assert_eq!(audit.as_array().map(Vec::len), Some(1));
    t.github.label(REPO, 16, &[], &["agent/zoe"]);
    t.s.on("POST /api/issues/refresh", "what a person took away").body(zoes).is(200).await;
}
