//! Repositories, syncs and automation, and who may pass at all.

use dispatch_tests::repository::Repository;
use serde_json::json;

use super::{REPO, Told, until};
use crate::scribe::Who;

pub(super) async fn added(t: &mut Told) {
    let local = Repository::new(t.place.path(), "sample").path().display().to_string();
    let s = &mut t.s;
    s.on("GET /api/health", "a token is not needed").by(Who::Nobody).is(200).await;
    s.on("GET /api/health", "with one").is(200).await;
    s.on("GET /api/issues", "without a token").by(Who::Nobody).is(401).await;
    s.on("POST /api/control/freeze", "without a token").by(Who::Nobody).is(401).await;
    let refused = s.on("POST /api/control/freeze", "with a worker's").by(Who::Worker).is(403).await;
    assert_eq!(refused["tierNeeded"], "maintainer");
    assert!(refused["error"].as_str().is_some_and(|e| e.contains("maintainer")), "{refused}");

    let add = "POST /api/automation/repos";
    let added = s.on(add, "on GitHub").body(json!({"fullName": REPO})).is(201).await;
    assert_eq!((&added["fullName"], &added["source"]), (&json!(REPO), &json!("user")));
    let again =
        s.on(add, "tracked already, however it is cased").body(json!({"fullName": "ACME/Api"})).is(409).await;
    assert_eq!(again["code"], "already_exists");
    s.on(add, "not there").body(json!({"fullName": "acme/none"})).is(404).await;
    s.on(add, "no name").is(400).await;
    s.on(add, "an odd name").body(json!({"fullName": "acme"})).is(400).await;
    s.on(add, "an odd type").body(json!({"fullName": 7})).is(400).await;
    s.on(add, "on disk").body(json!({"forge": "local", "path": local})).is(201).await;
    let old = s.on("POST /api/repos", "the older way").body(json!({"fullName": "acme/web"})).whole(201).await;
    assert_eq!(old.headers["deprecation"], "true");
    assert!(old.headers["link"].to_str().is_ok_and(|l| l.contains("successor-version")));
    s.on("POST /api/repos", "tracked already").body(json!({"fullName": "acme/web"})).is(409).await;
    let all = |v: &serde_json::Value| {
        v.as_array().is_some_and(|all| all.len() == 3 && all.iter().all(|r| r["lastSyncedAt"].is_string()))
    };
    until(t, "the first syncs", "/api/automation/repos", all).await;
    let list = until(t, "all issues", "/api/issues?includeClosed=true&repo=acme/api", |v| {
        v.as_array().is_some_and(|all| all.len() == 15)
    })
    .await;
    for card in list.as_array().expect("an array") {
        t.cards.insert(card["number"].as_u64().expect("a number"), card.clone());
    }

    let s = &mut t.s;
    s.on("GET /api/automation/repos", "all").is(200).await;
    s.on("GET /api/automation/repos/tracked", "all").is(200).await;
    s.on("GET /api/repos", "all").is(200).await;
    let (escaped, plain) = ("GET /api/automation/repos/{repo}", "GET /api/automation/repos/{owner}/{repo}");
    s.on(escaped, "by its escaped name").at("/api/automation/repos/acme%2Fapi").is(200).await;
    s.on(escaped, "not tracked").at("/api/automation/repos/acme%2Fnone").is(404).await;
    s.on(plain, "by its name, however it is cased").at("/api/automation/repos/ACME/api").is(200).await;
    s.on(plain, "not tracked").at("/api/automation/repos/acme/none").is(404).await;
    let (escaped, plain) =
        ("PATCH /api/automation/repos/{repo}", "PATCH /api/automation/repos/{owner}/{repo}");
    let three = s
        .on(plain, "a limit")
        .at("/api/automation/repos/acme/api")
        .body(json!({"wipLimit": 3}))
        .is(200)
        .await;
    assert_eq!(three["wipLimit"], 3);
    s.on(escaped, "no limit")
        .at("/api/automation/repos/acme%2Fapi")
        .body(json!({"wipLimit": 0}))
        .is(200)
        .await;
    s.on(plain, "not tracked").at("/api/automation/repos/acme/none").body(json!({})).is(404).await;
    s.on(escaped, "an odd type")
        .at("/api/automation/repos/acme%2Fapi")
        .body(json!({"wipLimit": "3"}))
        .is(400)
        .await;

    let sync = "POST /api/automation/sync";
    let one = s.on(sync, "one").body(json!({"repo": "Acme/api"})).is(200).await;
    assert_eq!((&one["synced"], &one["failed"]), (&json!(1), &json!(0)));
    s.on(sync, "not tracked").body(json!({"repo": "acme/none"})).is(404).await;
    let all = s.on("POST /api/sync", "one").body(json!({"repoFullName": REPO})).is(200).await;
    assert!(all["syncedCount"].as_u64().is_some_and(|n| n > 0), "{all}");
    s.on("POST /api/sync", "all, without a body").is(200).await;
    s.on("POST /api/sync", "not tracked").body(json!({"repoFullName": "acme/none"})).is(404).await;
    s.on("POST /api/sync/scheduled", "all, without a body").is(200).await;
    s.on("POST /api/issues/reconcile", "all, without a body").is(200).await;
    s.on("GET /api/automation/workflows", "all").is(200).await;
    let workflow = "GET /api/automation/workflows/{id}";
    s.on(workflow, "by its file").at("/api/automation/workflows/ci.yml?repo=acme/api&runs=1").is(200).await;
    s.on(workflow, "not known").at("/api/automation/workflows/7").is(404).await;
    s.on("GET /api/automation/events", "of one kind")
        .at("/api/automation/events?type=run&repo=acme/api")
        .is(200)
        .await;
    let run = "POST /api/automation/runs/{id}";
    s.on(run, "again")
        .at("/api/automation/runs/9007199254740993?action=rerun&repoFullName=acme/api")
        .is(200)
        .await;
    s.on(run, "not there").at("/api/automation/runs/7?action=rerun&repoFullName=acme/api").is(404).await;
    s.on(run, "an odd action").at("/api/automation/runs/7?action=merge").is(400).await;
    s.on(run, "not tracked").at("/api/automation/runs/7?action=rerun&repoFullName=acme/none").is(404).await;
    let ensure = "POST /api/labels/ensure";
    let dry = s
        .on(ensure, "a dry run, as if none was named")
        .body(json!({"repoFullName": "acme/web"}))
        .is(200)
        .await;
    assert_eq!((&dry["dryRun"], &dry["created"]), (&json!(true), &json!([])));
    let real = json!({"repoFullName": "acme/web", "dryRun": false});
    let made = s.on(ensure, "in earnest").body(real).is(200).await;
    assert_eq!(made["created"], made["missing"]);
    s.on(ensure, "not tracked").body(json!({"repoFullName": "acme/none"})).is(404).await;
    s.on("GET /api/setup", "all").is(200).await;
    s.on("PUT /api/setup", "a credential").body(json!({"llmApiKey": "sk-other"})).is(200).await;
    s.on("PUT /api/setup", "two lines").body(json!({"llmApiKey": "sk\nother"})).is(400).await;
    s.on("GET /metrics", "all").is(200).await;
    s.on("GET /api/openapi.json", "the document").is(200).await;
    s.on("GET /api/schema/task.json", "the schema").is(200).await;
    s.on("GET /api/events", "a snapshot").at("/api/events?snapshot=board").is(200).await;
    s.on("GET /api/events", "an odd snapshot").at("/api/events?snapshot=nothing").is(400).await;
}

pub(super) async fn removed(t: &mut Told) {
    let s = &mut t.s;
    s.on("GET /api/control", "all").is(200).await;
    let frozen = s.on("POST /api/control/freeze", "without a body").is(200).await;
    assert_eq!(frozen["frozen"], true);
    s.on("POST /api/control/freeze", "frozen already").is(200).await;
    s.on("POST /api/control/thaw", "without a body").is(200).await;
    let resume = "POST /api/control/pools/{program}/resume";
    s.on(resume, "not paused").at("/api/control/pools/scribe/resume").is(200).await;
    s.on("GET /api/problems", "all").is(200).await;
    s.on("GET /api/orphans", "none").is(200).await;
    let stop = "POST /api/orphans/stop";
    s.on(stop, "without a body, none").is(200).await;
    s.on(stop, "all").body(json!({"names": []})).is(200).await;
    s.on(stop, "no such").body(json!({"names": ["dispatch-r-1-1-00000000"]})).is(200).await;
    s.on("GET /api/overview", "all").is(200).await;
    let (escaped, plain) =
        ("DELETE /api/automation/repos/{repo}", "DELETE /api/automation/repos/{owner}/{repo}");
    s.on(escaped, "by its escaped name").at("/api/automation/repos/local%2Fsample").is(200).await;
    s.on(escaped, "gone already").at("/api/automation/repos/local%2Fsample").is(404).await;
    s.on(plain, "by its name").at("/api/automation/repos/acme/web").is(200).await;
    s.on(plain, "gone already").at("/api/automation/repos/acme/web").is(404).await;
    let audit =
        s.on("GET /api/audit", "of one kind").at("/api/audit?action=remove_tracked_repo").is(200).await;
    assert_eq!(audit.as_array().map(Vec::len), Some(2));
    let newest = s.on("GET /api/audit", "the newest").at("/api/audit?limit=1").is(200).await;
    assert_eq!(newest[0]["repoFullName"], "acme/web");
    let path = "/api/audit?repo=Acme/API&issue=1&actor=kai&action=claim_issue";
    let claims =
        s.on("GET /api/audit", "of one issue, in a repository however it is cased").at(path).is(200).await;
    assert!(claims.as_array().is_some_and(|rows| !rows.is_empty()));
    for row in claims.as_array().into_iter().flatten() {
        assert!(row["beforeLabels"].is_array() && row["afterLabels"].is_array(), "{row}");
    }
}
