//! Runs of the built-in runner: one that asks, is answered and publishes, and one that is killed.

use dispatch_shared::protocol::repos::PatchRepoRequest;
use serde_json::{Value, json};

use super::{Told, until};
use crate::scribe::Who;

const WEB: &str = "acme/web";

async fn ended(t: &Told, id: &str) -> Value {
    until(t, "the end of the run", &format!("/api/runs/{id}"), |v| v["ended"] == true).await
}

pub(super) async fn ran(t: &mut Told) {
    let (list, one, log, diff) =
        ("GET /api/runs", "GET /api/runs/{id}", "GET /api/runs/{id}/log", "GET /api/runs/{id}/diff");
    let (kill, retry, answer) =
        ("POST /api/runs/{id}/kill", "POST /api/runs/{id}/retry", "POST /api/runs/{id}/answer");
    let none = t.s.on(list, "none yet").is(200).await;
    assert_eq!(none, json!([]));
    let on = PatchRepoRequest { runner_enabled: Some(true), ..PatchRepoRequest::default() };
    let web = WEB.parse().expect("a name");
    t.s.daemon.client.patch_repo(&web, &on).await.expect("the runner can be switched on");
    let asked = ended(t, "r-1").await;
    assert_eq!(
        (&asked["state"], &asked["question"]),
        (&json!("blocked"), &json!("Tabs or spaces?")),
        "{asked}"
    );
    let s = &mut t.s;
    s.on(list, "ended ones").by(Who::Worker).at("/api/runs?state=ended&limit=1").is(200).await;
    s.on(list, "live ones").at("/api/runs?state=live").is(200).await;
    s.on(one, "one that asks").by(Who::Worker).at("/api/runs/r-1").is(200).await;
    for (case, at, status) in [("not there", "r-99", 404), ("no id", "seven", 404)] {
        s.on(one, case).at(format!("/api/runs/{at}")).is(status).await;
        s.on(log, case).at(format!("/api/runs/{at}/log")).is(status).await;
        s.on(diff, case).at(format!("/api/runs/{at}/diff")).is(status).await;
        s.on(kill, case).at(format!("/api/runs/{at}/kill")).is(status).await;
        s.on(retry, case).at(format!("/api/runs/{at}/retry")).is(status).await;
        s.on(answer, case).at(format!("/api/runs/{at}/answer")).body(json!({"text": "x"})).is(status).await;
    }
    s.on("GET /api/problems", "a question").is(200).await;
    s.on(answer, "nothing").at("/api/runs/r-1/answer").is(400).await;
    let told =
        s.on(answer, "a word").at("/api/runs/r-1/answer").body(json!({"text": "Two spaces."})).is(200).await;
    assert_eq!(told["status"], "status/ready");
    let published = ended(t, "r-2").await;
    assert_eq!(published["state"], "succeeded", "{published}");
    let s = &mut t.s;
    s.on(one, "one that published").at("/api/runs/r-2").is(200).await;
    let text =
        s.on(log, "its tail, raw").by(Who::Worker).at("/api/runs/r-1/log?stream=raw&tail=1").whole(200).await;
    assert_eq!(text.headers["content-type"], "application/octet-stream");
    s.on(log, "no such stream").at("/api/runs/r-2/log?stream=video").is(400).await;
    let patch = s.on(diff, "what it changed").at("/api/runs/r-2/diff").is(200).await;
    assert!(patch.as_str().is_some_and(|p| p.contains("+Good night!")), "{patch}");
    s.on(answer, "nobody asks").at("/api/runs/r-2/answer").body(json!({"text": "x"})).is(409).await;
    s.on(kill, "over").at("/api/runs/r-2/kill").is(409).await;
    s.on(retry, "not the newest").at("/api/runs/r-1/retry").is(409).await;

    t.github.add_issue(WEB, "Wait here", "", &["status/ready"]);
    t.s.daemon.client.sync(Some(&web)).await.expect("a sync");
    until(t, "the run to wait", "/api/runs/r-3", |v| {
        v["state"] == "running" && v["lastOutputAt"].is_string()
    })
    .await;
    let s = &mut t.s;
    s.on(retry, "still running").at("/api/runs/r-3/retry").is(409).await;
    s.on(kill, "another attempt").at("/api/runs/r-3/kill").body(json!({"attempt": 7})).is(409).await;
    let killed =
        s.on(kill, "without grace").at("/api/runs/r-3/kill").body(json!({"now": true})).is(200).await;
    assert_eq!(killed["stopping"], true);
    ended(t, "r-3").await;
    let off = PatchRepoRequest { runner_enabled: Some(false), ..PatchRepoRequest::default() };
    t.s.daemon.client.patch_repo(&web, &off).await.expect("the runner can be switched off");
    let s = &mut t.s;
    s.on(one, "one that was killed").at("/api/runs/r-3").is(200).await;
    s.on(kill, "killed already").at("/api/runs/r-3/kill").is(200).await;
    s.on(retry, "by an operator").at("/api/runs/r-3/retry").is(200).await;
    let by_hand = "POST /api/dispatch";
    let ask =
        json!({"repo": "web", "org": "acme", "task": "Say it louder.", "branch": "louder", "dry_run": true});
    let dry = s.on(by_hand, "a dry run, by name and organisation").body(ask).is(200).await;
    assert!(dry["prompt"].as_str().is_some_and(|p| p.contains("Say it louder.")), "{dry}");
    assert!(dry.get("run_id").is_none(), "nothing is started: {dry}");
    let two = json!({"repo": WEB, "task": "x", "branch": "a", "tag": "b"});
    s.on(by_hand, "two things named").body(two).is(400).await;
    s.on(by_hand, "nothing named, without a body").is(400).await;
    s.on(by_hand, "not tracked").body(json!({"repo": "acme/none", "task": "x", "branch": "a"})).is(404).await;
    s.on(by_hand, "a worker")
        .by(Who::Worker)
        .body(json!({"repo": WEB, "task": "x", "branch": "a"}))
        .is(403)
        .await;
}
