//! Workflows, runs, releases and what happened, from a fake GitHub through a real daemon; and the two things that are asked
//! of GitHub: a run again, and a workflow by hand.

mod scene;

use dispatch_shared::Timestamp;
use dispatch_shared::error::Code;
use dispatch_shared::protocol::automation::{RunActionQuery, RunActionRequest, WorkflowsQuery};
use dispatch_shared::protocol::repos::{AddRepoRequest, Repo};
use dispatch_tests::daemon::wait_until;
use dispatch_tests::github::NewRun;
use dispatch_tests::github::fault::Fault;
use dispatch_tests::repository::Repository;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use scene::{CI, REPO, SECRET, SOON, Scene, lines, name};

fn ago(days: i64) -> Timestamp {
    let now = dispatchd::edges::Clock::now(&dispatchd::edges::SystemClock);
    Timestamp(now.0 - days * 86_400_000)
}

fn run_at(conclusion: Option<&str>, days: i64, seconds: u64) -> NewRun<'_> {
    NewRun { at: ago(days), seconds, ..NewRun::pushed(conclusion) }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_there_is_shown() {
    let scene = Scene::start(|github| {
        let ci = github.add_workflow(REPO, "CI", "ci.yml", CI);
        let lint = github.add_workflow(REPO, "Lint", "lint.yaml", "on: [push, pull_request]\n");
        github.add_workflow(REPO, "Odd", "odd.yml", "on: [push\n");
        github.add_run(REPO, ci, &run_at(Some("failure"), 40, 999));
        github.add_run(REPO, ci, &run_at(Some("success"), 9, 60));
        github.add_run(REPO, ci, &run_at(Some("cancelled"), 8, 5));
        let failed = github.add_run(REPO, ci, &run_at(Some("failure"), 1, 120));
        github.add_run(REPO, lint, &NewRun { branch: "fix/it", ..NewRun::pushed(Some("failure")) });
        github.add_run(REPO, lint, &NewRun { event: "pull_request", ..NewRun::pushed(None) });
        github.release(REPO, "v1.0.0", false);
        github.release(REPO, "v1.1.0-rc1", true);
        github.add_package(REPO, "container", "api");
        github.add_artifact(REPO, failed, "logs");
        github.deploy(REPO, "staging", "success");
        github.deploy(REPO, "production", "failure");
        github.push(REPO, "fix/it", "a.txt", "a");
        github.open_pull(REPO, "fix/it", "main", "Fix it", "Fixes #1");
    })
    .await;
    let head = scene.github.head(REPO, "main").expect("main is there");
    let detail = scene.detail().await;
    assert_eq!((detail.note.as_str(), detail.notes.len()), ("", 0), "nothing is missing");

    let repos: Vec<Repo> = scene.client().repos().await.expect("the list");
    assert_eq!(detail.repo, repos[0], "the details hold what the list says");
    let repo = &repos[0];
    assert_eq!(repo.latest_commit_sha.as_deref(), Some(head.as_str()));
    assert_eq!((repo.open_pr_count, repo.failing_count, repo.running_count), (1, 1, 1));
    assert_eq!(repo.latest_release.as_deref(), Some("v1.0.0"));
    assert_eq!(detail.latest_prerelease.as_deref(), Some("v1.1.0-rc1"));
    let commit = detail.latest_commit.expect("the head is known");
    assert_eq!((commit.sha.as_str(), commit.branch.as_str()), (head.as_str(), "main"));
    assert_eq!((commit.title.as_str(), commit.author.as_str()), ("Change a file", "olive"));
    assert!(commit.url.ends_with(&head) && commit.committed_at.is_some());

    let names: Vec<_> = detail.workflows.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(names, ["CI", "Lint", "Odd"]);
    let ci = &detail.workflows[0];
    assert_eq!((ci.state.as_str(), ci.path.as_str()), ("active", ".github/workflows/ci.yml"));
    assert!(ci.url.contains("/blob/main/") && ci.badge_url.ends_with("badge.svg"));
    assert_eq!(ci.repo_full_name, Some(name()));
    let events: Vec<_> = ci.triggers.iter().map(|t| t.event.as_str()).collect();
    assert_eq!(events, ["push", "pull_request", "schedule", "workflow_dispatch"]);
    assert_eq!(
        (ci.triggers[0].branches.join(","), ci.triggers[2].cron.join(",")),
        ("main".into(), "0 3 * * 1".into())
    );
    let inputs = &ci.triggers[3].inputs;
    assert_eq!((inputs[0].name.as_str(), inputs[0].required, inputs[0].options.len()), ("level", true, 2));
    assert!(ci.dispatchable && ci.failing && ci.triggers_note.is_none());
    // A failure of 40 days ago and a cancelled run count for nothing.
    assert_eq!((ci.success_rate, ci.mean_duration_seconds, ci.runs_counted), (Some(0.5), Some(90.0), 2));
    assert_eq!((ci.window_days, ci.running), (30, 0));
    let run = ci.latest_run.as_ref().expect("there are runs");
    assert_eq!((run.conclusion.as_deref(), run.duration_seconds), (Some("failure"), Some(120)));
    assert_eq!((run.actor.as_str(), run.event.as_str(), run.status.as_str()), ("kai", "push", "completed"));
    assert_eq!((run.branch.as_deref(), run.head_sha.as_str()), (Some("main"), head.as_str()));
    assert_eq!((run.run_number, run.run_attempt, run.workflow_id.as_str()), (4, 1, ci.id.as_str()));
    let jobs: Vec<_> = ci.jobs.iter().map(|j| (j.name.as_str(), j.conclusion.as_deref())).collect();
    assert_eq!(jobs, [("build", Some("success")), ("test", Some("failure"))]);
    assert_eq!(
        (ci.jobs[1].failed_step.as_deref(), ci.jobs[1].duration_seconds),
        (Some("test it"), Some(120))
    );
    let (lint, odd) = (&detail.workflows[1], &detail.workflows[2]);
    assert!(!lint.failing && !lint.dispatchable && lint.running == 1, "a branch's failure is its own");
    assert!(odd.triggers.is_empty() && odd.triggers_note.as_ref().is_some_and(|n| n.contains("no YAML")));

    assert_eq!(detail.failing_runs.len(), 1);
    assert_eq!(detail.failing_runs[0].id, run.id);
    assert_eq!((detail.running_runs.len(), detail.running_runs[0].event.as_str()), (1, "pull_request"));
    assert_eq!(detail.recent_runs.len(), 6);
    let tags: Vec<_> = detail.releases.iter().map(|r| (r.tag.as_str(), r.prerelease)).collect();
    assert_eq!(tags, [("v1.1.0-rc1", true), ("v1.0.0", false)]);
    assert_eq!((detail.releases[1].name.as_str(), detail.releases[1].assets.len()), ("v1.0.0", 1));
    let package = &detail.packages[0];
    assert_eq!((package.name.as_str(), package.kind.as_str(), package.versions), ("api", "container", 3));
    let artifact = &detail.artifacts[0];
    assert_eq!(
        (artifact.name.as_str(), artifact.size, artifact.run_id.as_ref()),
        ("logs", 4_096, Some(&run.id))
    );
    let states: Vec<_> =
        detail.deployments.iter().map(|d| (d.environment.as_str(), d.state.as_deref())).collect();
    assert_eq!(states, [("production", Some("failure")), ("staging", Some("success"))]);
    assert_eq!(
        (detail.deployments[0].git_ref.as_str(), detail.deployments[0].sha.as_str()),
        ("main", head.as_str())
    );

    let all = scene.client().workflows(&WorkflowsQuery::default()).await.expect("the workflows");
    assert_eq!(all.len(), 3);
    let by = |branch: Option<&str>| WorkflowsQuery {
        repo: Some(REPO.into()),
        branch: branch.map(Into::into),
        runs: Some(2),
    };
    let one = scene.client().workflow(&ci.id, &by(None)).await.expect("the workflow");
    assert_eq!((one.recent_runs.len(), one.jobs.len()), (2, 2));
    let same = scene.client().workflow("lint.yaml", &by(Some("fix/it"))).await.expect("by its file");
    assert_eq!((same.name.as_str(), same.recent_runs.len()), ("Lint", 1));
    let missing = scene.client().workflow("4711", &by(None)).await.expect_err("no such workflow");
    assert_eq!(missing.code(), Some(Code::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_costs_nothing() {
    let scene = Scene::start(|github| {
        let ci = github.add_workflow(REPO, "CI", "ci.yml", CI);
        github.add_run(REPO, ci, &run_at(Some("success"), 1, 60));
        github.add_run(REPO, ci, &NewRun::pushed(None));
        github.deploy(REPO, "production", "success");
        github.add_package(REPO, "npm", "api");
    })
    .await;
    scene.sync().await;
    scene.requests();
    let again = scene.sync().await;
    let (issues, automation) = (again.sync_run.expect("kept"), again.automation.expect("kept"));
    assert_eq!((issues.requests, issues.points, issues.items), (1, 0, 0));
    assert_eq!((automation.points, automation.items, automation.error.as_ref()), (0, 0, None));
    let requests = scene.requests();
    assert!(automation.requests >= 10, "{automation:?}");
    assert_eq!(requests.len() as u64, automation.requests + issues.requests, "each is counted");
    assert!(requests.iter().all(|r| r.status == 304), "{:#?}", lines(&requests, " 200"));
    assert!(requests.iter().all(|r| r.header("if-none-match").is_some()));
    let detail = scene.detail().await;
    assert_eq!((detail.workflows[0].jobs.len(), detail.packages.len(), detail.recent_runs.len()), (2, 1, 2));

    // Only what has changed is read again: of files the one, of runs the page and the jobs.
    scene.github.rewrite_workflow(REPO, "ci.yml", "on: workflow_dispatch\n");
    let read = scene.sync().await.automation.expect("kept");
    let requests = scene.requests();
    assert_eq!(lines(&requests, "/git/blobs/").len(), 1);
    assert_eq!(lines(&requests, " 200").len() as u64, read.points, "{:#?}", lines(&requests, " 200"));
    assert_eq!(scene.detail().await.workflows[0].triggers[0].event, "workflow_dispatch");
    assert_eq!(again.sync_run_id, issues.sync_run_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_once_and_survives_a_kill() {
    let scene = Scene::start(|github| {
        let ci = github.add_workflow(REPO, "CI", "ci.yml", CI);
        github.add_run(REPO, ci, &run_at(Some("success"), 20, 60));
        github.add_issue(REPO, "A", "", &[]);
        github.push(REPO, "fix/it", "a.txt", "a");
        github.open_pull(REPO, "fix/it", "main", "Fix it", "Fixes #1");
    })
    .await;
    assert_eq!(scene.kinds("run").await, [] as [&str; 0], "what is three weeks old is no news");
    assert_eq!(scene.kinds("issue,pr").await, ["issue_opened", "pr_opened"]);
    assert_eq!(scene.kinds("push").await.len(), 1);
    assert_eq!(scene.kinds("sync").await, ["sync_completed", "sync_completed"], "issues, then automation");

    let workflow = scene.detail().await.workflows[0].id.parse().expect("a number");
    let run = scene.github.add_run(REPO, workflow, &NewRun::pushed(None));
    scene.sync().await;
    assert_eq!(scene.kinds("run").await, ["run_started"]);
    scene.github.finish_run(REPO, run, "failure");
    scene.github.merge(REPO, 2);
    scene.github.release(REPO, "v2", false);
    scene.sync().await;
    scene.sync().await;
    assert_eq!(scene.kinds("run").await, ["run_started", "run_failed"]);
    assert_eq!(scene.kinds("pr").await, ["pr_opened", "pr_merged"]);
    assert_eq!(scene.kinds("issue").await, ["issue_opened", "issue_closed"]);
    assert_eq!((scene.kinds("push").await.len(), scene.kinds("release").await.len()), (2, 1));
    let before = scene.detail().await;
    let newest = &before.recent_events[0];
    assert!(newest.message.is_some() && newest.repo_full_name == Some(name()), "{newest:?}");
    assert_eq!(before.last_sync_run.as_ref().map(|r| r.kind.as_str()), Some("automation"));

    let Scene { github, daemon, place } = scene;
    daemon.kill();
    github.take_requests();
    let daemon = place.start().await;
    let scene = Scene { github, daemon, place };
    let after = scene.detail().await;
    assert_eq!(after.recent_events, before.recent_events);
    assert_eq!(after.recent_runs, before.recent_runs);
    assert_eq!(after.workflows, before.workflows);
    assert!(after.sync_runs.len() >= before.sync_runs.len());
    scene.sync().await;
    assert_eq!(scene.kinds("run").await, ["run_started", "run_failed"], "told once, over a restart too");
    let requests = scene.requests();
    let whole: Vec<_> = lines(&requests, " 200").into_iter().filter(|l| l.contains("/actions/")).collect();
    assert!(whole.is_empty(), "validators outlive the daemon: {whole:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_runs_again_once_and_the_audit_tells() {
    let scene = Scene::start(|github| {
        let ci = github.add_workflow(REPO, "CI", "ci.yml", CI);
        github.add_run(REPO, ci, &run_at(Some("failure"), 1, 60));
        github.add_run(REPO, ci, &run_at(Some("success"), 0, 60));
    })
    .await;
    let runs = scene.detail().await.recent_runs;
    let (good, bad) = (runs[0].id.clone(), runs[1].id.clone());
    scene.requests();
    let answer = scene.act(&bad, "rerun", RunActionRequest::default()).await.expect("it runs again");
    assert!(answer.success && answer.message.contains("failed jobs"), "{answer:?}");
    assert_eq!(scene.github.run_attempt(REPO, bad.parse().expect("a number")), 2);
    scene
        .until("the run to be read", |d| d.running_runs.iter().any(|r| r.id == bad && r.run_attempt == 2))
        .await;
    // The repository is found by the run.
    let query = RunActionQuery { action: Some("rerun".into()), repo_full_name: None };
    let all = scene.client().act_on_run(&good, &query, &RunActionRequest::default()).await.expect("again");
    assert!(all.message.contains("all jobs") && all.repo_full_name.as_deref() == Some(REPO), "{all:?}");
    let posts = lines(&scene.requests(), "POST ");
    assert_eq!(posts.len(), 2, "{posts:?}");
    assert!(posts[0].contains("/rerun-failed-jobs 201") && posts[1].ends_with("/rerun 201"), "{posts:?}");
    // What runs already is no conflict, and nothing is asked.
    let running = scene.act(&bad, "rerun", RunActionRequest::default()).await.expect("no conflict");
    assert!(running.success && running.message.contains("nothing was asked"), "{running:?}");
    assert_eq!(lines(&scene.requests(), "POST "), [] as [&str; 0]);
    let audit = scene.audit("rerun_workflow_run").await;
    assert_eq!((audit.len(), audit[0].success, audit[0].actor.as_str()), (2, true, "operator"));
    assert_eq!(audit[0].repo_full_name, Some(name()));

    // Refusals, in GitHub's words.
    let bare = RunActionRequest::default;
    scene.github.finish_run(REPO, good.parse().expect("a number"), "success");
    scene.github.fail_next("POST /repos/acme/api/actions/runs", Fault::Status(403), 1);
    let forbidden = scene.act(&good, "rerun", bare()).await.expect_err("it is forbidden");
    assert_eq!(forbidden.code(), Some(Code::NotVerified));
    assert!(forbidden.to_string().contains("Resource not accessible"), "{forbidden}");
    let missing = scene.act("4711", "rerun", bare()).await.expect_err("no such run");
    assert_eq!(missing.code(), Some(Code::NotFound), "{missing}");
    for (id, action) in [("none", "rerun"), (good.as_str(), "explode"), (good.as_str(), "")] {
        let refused = scene.act(id, action, bare()).await.expect_err("nonsense");
        assert!(matches!(refused.code(), Some(Code::NotFound | Code::BadRequest)), "{refused}");
    }
    let audit = scene.audit("rerun_workflow_run").await;
    let failures: Vec<_> =
        audit.iter().filter(|r| !r.success).filter_map(|r| r.error_message.as_deref()).collect();
    assert_eq!(failures.len(), 3, "{failures:?}");
    assert!(failures.iter().any(|f| f.contains("Resource not accessible")), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_started_once_with_what_was_given() {
    let scene = Scene::start(|github| {
        let ci = github.add_workflow(REPO, "CI", "ci.yml", CI);
        github.add_workflow(REPO, "Lint", "lint.yml", "on: push\n");
        github.push(REPO, "release/2", "a.txt", "a");
        github.add_run(REPO, ci, &NewRun { branch: "release/2", ..NewRun::pushed(Some("success")) });
    })
    .await;
    let run = scene.detail().await.recent_runs[0].id.clone();
    let with = |git_ref: Option<&str>, inputs: Value| RunActionRequest {
        git_ref: git_ref.map(Into::into),
        inputs: inputs.as_object().expect("an object").clone(),
    };
    scene.requests();
    let inputs = json!({ "level": "all", "dry_run": false });
    let answer = scene.act("ci.yml", "dispatch", with(Some("main"), inputs)).await.expect("it starts");
    assert_eq!(answer.message, "workflow CI starts on main with dry_run, level");
    scene.act(&run, "dispatch", with(None, json!({}))).await.expect("as the run ran");
    assert_eq!(
        scene.github.dispatched(REPO),
        [
            json!({ "ref": "main", "inputs": { "level": "all", "dry_run": "false" } }),
            json!({ "ref": "release/2", "inputs": {} }),
        ]
    );
    assert_eq!(lines(&scene.requests(), "POST ").len(), 2);
    scene
        .until("the new runs", |d| {
            d.running_runs.iter().filter(|r| r.event == "workflow_dispatch").count() == 2
        })
        .await;
    let audit = scene.audit("dispatch_workflow").await;
    let notes: Vec<_> = audit.iter().filter_map(|r| r.notes.as_deref()).collect();
    assert_eq!(notes, ["workflow CI starts on release/2", "workflow CI starts on main with dry_run, level"]);

    // What GitHub says no to, and what never reaches it.
    for (id, body, words) in [
        ("lint.yml", with(None, json!({})), "workflow_dispatch"),
        ("ci.yml", with(Some("gone"), json!({})), "No ref found for: gone"),
        ("ci.yml", with(None, json!({ "other": 1 })), "Unexpected inputs"),
        ("ci.yml", with(None, json!({ "level": ["a"] })), "inputs.level"),
        ("no.yml", with(None, json!({})), "no such thing"),
    ] {
        let refused = scene.act(id, "dispatch", body).await.expect_err("a refusal").to_string();
        assert!(refused.contains(words), "{refused}");
    }
    assert_eq!(scene.github.dispatched(REPO).len(), 2);

    // The answer is lost: it is not sent again, and nobody is told that it was not done.
    scene.requests();
    scene.github.fail_next("POST /repos/acme/api/actions/workflows", Fault::Lost, 1);
    let lost = scene.act("ci.yml", "dispatch", with(None, json!({}))).await.expect_err("no answer");
    assert_eq!(lost.code(), Some(Code::Unavailable));
    assert!(lost.to_string().contains("may have taken it"), "{lost}");
    assert_eq!((lines(&scene.requests(), "POST ").len(), scene.github.dispatched(REPO).len()), (1, 3));
    let row = &scene.audit("dispatch_workflow").await[0];
    assert!(!row.success && row.error_message.as_ref().is_some_and(|e| e.contains("may have taken it")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_said_and_fails_nothing() {
    let scene = Scene::start(|github| {
        github.disable_actions(REPO);
        github.forbid_packages(REPO);
        github.release(REPO, "v1", false);
    })
    .await;
    let detail = scene.detail().await;
    let missing: Vec<_> = detail.notes.keys().map(String::as_str).collect();
    assert_eq!(missing, ["artifacts", "packages", "runs", "workflows"]);
    assert!(detail.notes["packages"].contains("read:packages"), "{:?}", detail.notes);
    assert!(detail.note.contains("workflows of acme/api failed"), "{}", detail.note);
    assert_eq!((detail.repo.latest_release.as_deref(), detail.repo.sync_error.as_ref()), (Some("v1"), None));
    let synced = scene.sync().await;
    assert!(synced.success && synced.error.is_none());
    assert_eq!(synced.automation.map(|a| (a.status, a.error)), Some(("completed".into(), None)));
    assert_eq!(scene.kinds("sync_failed").await, [] as [&str; 0]);

    // GitHub away is another matter: what was known stays, and it is said.
    scene.github.fail_next("GET /repos/acme/api/releases", Fault::Html502, 1);
    let broken = scene.sync().await;
    assert!(broken.success, "the issues were read");
    let told = broken.automation.expect("kept");
    assert!(told.status == "failed" && told.error.is_some_and(|e| e.contains("502")));
    let detail = scene.detail().await;
    assert!(detail.notes["automation"].contains("502") && detail.releases.len() == 1);
    assert_eq!(scene.kinds("sync_failed").await.len(), 1);
    scene.sync().await;
    assert!(!scene.detail().await.notes.contains_key("automation"));
    assert_eq!(scene.kinds("sync").await.last().map(String::as_str), Some("sync_completed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_of_what_nobody_tracks_and_a_local_repository_has_none() {
    let mut scene = Scene::start(|github| {
        github.add_workflow(REPO, "CI", "ci.yml", CI);
    })
    .await;
    scene.client().remove_repo(&name()).await.expect("it is left");
    scene.requests();
    let all = scene.client().automation_sync(None).await.expect("nothing to do");
    assert_eq!((all.results.len(), scene.requests().len()), (0, 0));
    assert_eq!(scene.client().workflows(&WorkflowsQuery::default()).await.expect("none"), []);
    // Over a restart too.
    let Scene { github, daemon, place } = scene;
    daemon.kill();
    let daemon = place.start().await;
    scene = Scene { github, daemon, place };

    let repository = Repository::new(scene.place.path(), "thing");
    let path = repository.path().to_str().expect("a plain path").to_owned();
    let add = AddRepoRequest { forge: Some("local".into()), path: Some(path), ..AddRepoRequest::default() };
    let local = scene.client().add_repo(&add).await.expect("it can be tracked");
    let detail = wait_until("its first sync", SOON, async || {
        let detail = scene.client().repo_detail(&local.full_name).await.expect("its details");
        Some(detail).filter(|d| d.last_sync_run.is_some())
    })
    .await;
    assert!(detail.note.contains("on this disk") && detail.workflows.is_empty(), "{}", detail.note);
    let synced = scene.client().automation_sync(Some(&local.full_name)).await.expect("a sync");
    assert_eq!(synced.results[0].result.automation, None);
    assert!(synced.results[0].result.sync_run_id.starts_with("s-"));
    let query =
        RunActionQuery { action: Some("rerun".into()), repo_full_name: Some(local.full_name.to_string()) };
    let refused = scene.client().act_on_run("7", &query, &RunActionRequest::default()).await;
    assert_eq!(refused.expect_err("it has no runs").code(), Some(Code::NotVerified));
    assert_eq!(scene.requests().len(), 0, "GitHub hears of none of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_a_hint_to_look_and_nothing_more() {
    let scene = Scene::start(|github| {
        github.add_workflow(REPO, "CI", "ci.yml", CI);
    })
    .await;
    let workflow = scene.detail().await.workflows[0].id.parse().expect("a number");
    let run = scene.github.add_run(REPO, workflow, &NewRun::pushed(Some("success")));
    // It claims a failure; what counts is what GitHub says when asked.
    let payload = json!({
        "action": "completed", "workflow_run": { "id": run, "conclusion": "failure" },
        "repository": { "full_name": REPO, "id": 1_001 },
    });
    let body = payload.to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
    mac.update(body.as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    let http =
        reqwest::Client::builder().unix_socket(scene.place.socket()).no_proxy().build().expect("a client");
    let answer = http
        .post("http://dispatch/api/issues/webhook")
        .header("x-hub-signature-256", format!("sha256={hex}"))
        .header("x-github-event", "workflow_run")
        .header("x-github-delivery", "d-1")
        .body(body)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    scene.until("the run to be read", |d| !d.recent_runs.is_empty()).await;
    assert_eq!(scene.kinds("run").await, ["run_started", "run_succeeded"]);
}
