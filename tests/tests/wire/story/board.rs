//! Cards: looked at, and changed by hand.

use serde_json::{Value, json};

use super::Told;

pub(super) async fn looked_at(t: &mut Told) {
    let id = t.id(1);
    let s = &mut t.s;
    let list = "GET /api/issues";
    for (case, query, found) in [
        ("a repository, however it is cased", "repo=ACME/api&status=ready&q=parse", 1),
        ("a column by its word", "repo=acme/api&status=in-review", 1),
        ("a column by its label", "repo=acme/api&status=status/in-review", 1),
        ("a priority by its word", "priority=p1", 1),
        ("a priority by its label", "priority=priority/p1", 1),
        ("a type and an owner", "type=bug&owner=ada", 1),
        ("an agent's label", "agent=zoe", 1),
        ("a lane by its alias", "lane=normal&q=parse", 1),
        ("a lane that is not there", "lane=nowhere", 0),
        ("words", "q=under+way", 1),
        ("nobody's project", "project=nothing", 0),
        ("what is split", "decomposed=true", 1),
        ("what is empty counts as absent", "repo=&agent=&status=in-progress&lane=&q=&limit=&cursor=", 1),
    ] {
        let path = format!("/api/issues?{query}");
        let found_now = s.on(list, case).at(path).is(200).await;
        assert_eq!(found_now.as_array().map(Vec::len), Some(found), "{case}");
    }
    let first = s.on(list, "the first page").at("/api/issues?repo=acme/api&q=task&limit=2").whole(200).await;
    let link = first.headers["link"].to_str().expect("text").to_owned();
    assert!(
        link.ends_with("; rel=\"next\"") && link.contains("limit=2") && link.contains("repo=acme"),
        "{link}"
    );
    let next = link.trim_start_matches('<').split('>').next().expect("an address").to_owned();
    let second = s.on(list, "the second page").at(next).is(200).await;
    assert_ne!(second[0]["issueId"], first.value[0]["issueId"]);
    let closed = |v: &Value| v.as_array().is_some_and(|a| a.iter().any(|i| i["closedAt"].is_string()));
    for on in ["true", "1"] {
        let path = format!("/api/issues?repo=acme/api&q=old&includeClosed={on}");
        let all = s.on(list, &format!("closed ones, {on}")).at(path).is(200).await;
        assert!(closed(&all), "{all}");
    }
    for (case, query) in [
        ("no status", "status=nonsense"),
        ("no priority", "priority=urgent"),
        ("no number", "limit=many"),
        ("no switch", "includeClosed=perhaps"),
        ("no cursor", "cursor=x"),
    ] {
        s.on(list, case).at(format!("/api/issues?{query}")).is(400).await;
    }

    let state = "GET /api/issues/state";
    s.on(state, "open").at("/api/issues/state?repo=acme/api&number=1").is(200).await;
    s.on(state, "closed, the repository however it is cased")
        .at("/api/issues/state?repo=Acme/API&number=7")
        .is(200)
        .await;
    s.on(state, "not known").at("/api/issues/state?repo=acme/api&number=99").is(404).await;
    s.on(state, "not tracked").at("/api/issues/state?repo=acme/none&number=1").is(404).await;
    s.on(state, "nothing named").is(400).await;
    let one = "GET /api/issues/{id}";
    s.on(one, "by its id").at(format!("/api/issues/{id}")).is(200).await;
    s.on(one, "not known").at("/api/issues/none").is(404).await;
    let why = "GET /api/issues/{id}/why";
    s.on(why, "for anybody").at(format!("/api/issues/{id}/why")).is(200).await;
    s.on(why, "for an agent").at(format!("/api/issues/{id}/why?agent=kai")).is(200).await;
    s.on(why, "not known").at("/api/issues/none/why").is(404).await;
    s.on("GET /api/lanes", "all").is(200).await;
}

pub(super) async fn changed(t: &mut Told) {
    let (one, two, old) = (t.named(1, json!({})), t.named(2, json!({})), t.named(7, json!({})));
    let body = |named: &Value, more: Value| {
        let mut body = named.clone();
        crate::scribe::with(&mut body, more);
        body
    };
    let (id, lanes) = (t.id(2), ("GET /api/issues/{id}/lane", "POST /api/issues/{id}/lane"));
    let s = &mut t.s;
    let go = "POST /api/issues/move";
    let by_word =
        s.on(go, "to a column by its word").body(body(&two, json!({"status": "ready"}))).is(200).await;
    assert_eq!((&by_word["status"], &by_word["labels"]), (&json!("status/ready"), &json!(["status/ready"])));
    let labels = json!({"oldLabels": ["status/ready"], "newLabels": ["x", "status/backlog"], "issueId": ""});
    let by_labels = s.on(go, "by labels, with an empty id").body(body(&two, labels)).is(200).await;
    assert_eq!(by_labels["labels"], json!(["status/backlog"]), "only the status of them counts");
    let still = s
        .on(go, "where it stands already")
        .body(body(&two, json!({"status": "status/backlog"})))
        .is(200)
        .await;
    assert_eq!(still["status"], "status/backlog");
    let done =
        s.on(go, "into done while it is open").body(body(&two, json!({"status": "done"}))).is(409).await;
    assert_eq!(done["code"], "illegal_transition");
    s.on(go, "nowhere").body(two.clone()).is(400).await;
    s.on(go, "no column").body(body(&two, json!({"status": "blocked-ish"}))).is(400).await;
    s.on(go, "closed").body(body(&old, json!({"status": "ready"}))).is(400).await;
    s.on(go, "another number than the id's")
        .body(body(&two, json!({"issueNumber": 1, "status": "ready"})))
        .is(400)
        .await;
    s.on(go, "another repository than the id's")
        .body(body(&two, json!({"repoFullName": "acme/web", "status": "ready"})))
        .is(400)
        .await;
    s.on(go, "not known")
        .body(json!({"repoFullName": "acme/api", "issueNumber": 99, "status": "ready"}))
        .is(404)
        .await;
    let odd = s
        .on(go, "an odd type")
        .body(json!({"repoFullName": "acme/api", "issueNumber": "2", "status": "ready"}))
        .is(400)
        .await;
    assert!(odd["error"].as_str().is_some_and(|e| e.contains("issueNumber")), "the field is named: {odd}");

    let label = |text: &str| json!({"label": text});
    let put = s.on("POST /api/issues/label", "a label").body(body(&two, label("area/dates"))).is(200).await;
    assert_eq!(put["labels"], json!(["status/backlog", "area/dates"]));
    s.on("POST /api/issues/label", "there already").body(body(&two, label("Area/Dates"))).is(200).await;
    s.on("POST /api/issues/label", "no label").body(two.clone()).is(400).await;
    s.on("POST /api/issues/label", "not known").body(json!({"issueId": "none", "label": "x"})).is(404).await;
    s.on("POST /api/issues/unlabel", "a label").body(body(&two, label("area/dates"))).is(200).await;
    s.on("POST /api/issues/unlabel", "gone already").body(body(&two, label("area/dates"))).is(200).await;
    s.on("POST /api/issues/unlabel", "not known")
        .body(json!({"issueId": "none", "label": "x"}))
        .is(404)
        .await;
    s.on("POST /api/issues/comment", "a comment").body(body(&two, json!({"body": "Seen."}))).is(200).await;
    s.on("POST /api/issues/comment", "nothing").body(two.clone()).is(400).await;
    s.on("POST /api/issues/comment", "not known").body(json!({"issueId": "none", "body": "x"})).is(404).await;
    let read = s.on("POST /api/issues/refresh", "from the forge").body(one.clone()).is(200).await;
    assert_eq!(read["number"], 1);
    s.on("POST /api/issues/refresh", "not known").body(json!({"issueId": "none"})).is(404).await;
    s.on("POST /api/issues/refresh", "nothing named, without a body").is(400).await;

    let at = format!("/api/issues/{id}/lane");
    s.on(lanes.0, "as the heuristics see it").at(&at).is(200).await;
    s.on(lanes.0, "not known").at("/api/issues/none/lane").is(404).await;
    let said = json!({"model": "m-1", "classification": {"lane": "escalated", "confidence": "medium", "reason": "hard"}});
    let set = s.on(lanes.1, "by an alias").at(&at).body(said).is(200).await;
    assert_eq!(
        (&set["lane"], &set["model"]),
        (&json!("frontier"), &json!("m-1")),
        "answers carry configured ids"
    );
    let exact = json!({"classification": {"lane": "Frontier"}});
    let unknown = s.on(lanes.1, "lanes compare exactly").at(&at).body(exact).is(400).await;
    assert_eq!(unknown["code"], "unknown_lane");
    s.on(lanes.1, "an odd confidence")
        .at(&at)
        .body(json!({"classification": {"lane": "local", "confidence": "sure"}}))
        .is(400)
        .await;
    s.on(lanes.1, "not known").at("/api/issues/none/lane").body(json!({})).is(404).await;
    s.on(lanes.1, "by heuristics, without a body").at(&at).is(200).await;

    let status = "POST /api/issues/status";
    let blocked = json!({"status": "blocked", "blockedReason": "waits for #9", "agentName": "kai"});
    let answer = s.on(status, "blocked").body(body(&two, blocked)).is(200).await;
    assert_eq!((&answer["success"], &answer["status"]), (&json!(true), &json!("status/blocked")));
    let ready =
        s.on(status, "ready").body(body(&two, json!({"status": "ready", "actor": "kai"}))).is(200).await;
    assert_eq!((&ready["status"], &ready["labels"]), (&json!("status/ready"), &json!(["status/ready"])));
    let resolved = s
        .on(status, "done while it is open")
        .body(body(&two, json!({"status": "done", "agentName": "kai"})))
        .is(200)
        .await;
    assert_eq!(resolved["status"], "status/backlog");
    assert_eq!(resolved["labels"], json!(["status/backlog", "needs-human"]));
    s.on(status, "done and closed")
        .body(body(&old, json!({"status": "done", "agentName": "kai"})))
        .is(200)
        .await;
    s.on(status, "closed").body(body(&old, json!({"status": "ready", "agentName": "kai"}))).is(400).await;
    s.on(status, "no status").body(two.clone()).is(400).await;
    s.on(status, "not known").body(json!({"issueId": "none", "status": "ready"})).is(404).await;
    let reset = "POST /api/issues/reset-ready";
    let three = t.named(3, json!({}));
    let s = &mut t.s;
    let back = s.on(reset, "stranded").body(three.clone()).is(200).await;
    assert_eq!(back["labels"], json!(["status/ready"]));
    s.on(reset, "ready already").body(three).is(200).await;
    s.on(reset, "not stranded").body(two.clone()).is(409).await;
    s.on(reset, "closed").body(old).is(400).await;
    s.on(reset, "not known").body(json!({"issueId": "none"})).is(404).await;
}
