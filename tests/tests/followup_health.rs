//! From a sick pull request to a task and back, over the real daemon and a fake GitHub.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::client::Client;
use dispatch_shared::protocol::repos::{AddRepoRequest, PatchRepoRequest};
use dispatch_tests::daemon::{Daemon, Place, wait_until};
use dispatch_tests::github::FakeGithub;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);
const SECRET: &str = "It's a Secret to Everybody";
const NAME: &str = "acme/api";
const BRANCH: &str = "fix/issue-1-broken";

struct Scene {
    github: FakeGithub,
    place: Place,
    daemon: Daemon,
    pr: u64,
}

impl Scene {
    /// A repository with one issue in review and its pull request; `prepare` sees it before the daemon does.
    async fn new(prepare: impl FnOnce(&FakeGithub, u64)) -> Self {
        let github = FakeGithub::start().await;
        github.add_repo("acme", "api");
        let issue = github.add_issue(NAME, "Broken", "Text", &["status/in-review"]);
        github.push(NAME, BRANCH, "a.txt", "one");
        let pr = github.open_pull(NAME, BRANCH, "main", "Fix", &format!("Fixes #{issue}"));
        prepare(&github, pr);
        let mut place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
        place.env("GITHUB_API_URL", github.url().as_str());
        place.env("GH_TOKEN", github.token());
        place.env("WEBHOOK_SECRET", SECRET);
        let daemon = place.start().await;
        let add = AddRepoRequest { full_name: Some(NAME.into()), ..AddRepoRequest::default() };
        daemon.client.add_repo(&add).await.expect("the repository can be tracked");
        Self { github, place, daemon, pr }
    }

    fn client(&self) -> &Client {
        &self.daemon.client
    }

    async fn queued(&self) -> Vec<Value> {
        self.client().get("/api/pr-fix-queue/queued", &()).await.expect("the queue")
    }

    async fn item(&self, what: &str) -> Value {
        wait_until(what, SOON, async || self.queued().await.into_iter().next()).await
    }

    async fn issue(&self) -> Value {
        let issues: Vec<Value> = self.client().get("/api/issues", &()).await.expect("the issues");
        issues.into_iter().find(|i| i["number"] == 1).unwrap_or_default()
    }

    /// The pull request of the issue once it is as wanted.
    async fn linked(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_until(what, SOON, async || Some(self.issue().await["linkedPr"].clone()).filter(|p| wanted(p)))
            .await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.client().call("POST", path, &body).await.unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Looks at everything now.
    async fn look(&self) -> Value {
        self.post("/api/pr-followup/sync", json!({})).await
    }

    async fn commits(&self) -> u64 {
        let text: String = curl(&self.place, "/metrics");
        let line = text.lines().find(|l| l.starts_with("dispatch_store_commits_total"));
        line.and_then(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).map_or(0, |n| n as u64)
    }

    fn hook(&self, event: &str, delivery: &str, body: &Value) {
        let body = body.to_string();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
        mac.update(body.as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
        let done = std::process::Command::new("curl")
            .args(["-sSf", "-X", "POST", "--unix-socket"])
            .arg(self.place.socket())
            .args(["-H", &format!("X-Hub-Signature-256: sha256={hex}")])
            .args([
                "-H",
                &format!("X-GitHub-Event: {event}"),
                "-H",
                &format!("X-GitHub-Delivery: {delivery}"),
            ])
            .args(["--data-binary", &body, "http://dispatch/api/pr-followup/webhook"])
            .output()
            .expect("curl is there");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

fn curl(place: &Place, path: &str) -> String {
    let done = std::process::Command::new("curl")
        .args(["-sS", "--unix-socket"])
        .arg(place.socket())
        .arg(format!("http://dispatch{path}"))
        .output()
        .expect("curl is there");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn log_of(github: &FakeGithub, job: u64) {
    let started = Timestamp::parse("2026-11-20T10:00:05Z").expect("a time");
    let log = "2026-11-20T10:00:01.0Z setting up\n2026-11-20T10:00:06.0Z running 2 tests\n\
               2026-11-20T10:00:07.0Z \u{1b}[31merror: assertion failed\u{1b}[0m in ghp_ZZZZzzzz0123456789ZZZZ\n";
    github.job_log(NAME, job, "cargo test", started, log);
}

/// The built-in runner mends what it published: it reads the log, pushes on the same branch, and opens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_red_check_is_mended_by_the_runner() {
    const SCRIPT: &str = "grep -q 'assertion failed' && echo two >a.txt";
    let mut s = Scene::new(|github, pr| {
        let job = github.check(NAME, pr, "test", Some("FAILURE"));
        log_of(github, job);
    })
    .await;
    s.item("the red check").await;
    let before = s.github.head(NAME, BRANCH);
    s.daemon.stop().await;
    s.place.configure(&format!(
        "[runner]\nruntime = \"host\"\nagent = \"mender\"\n\
         [runner.agents.mender]\nargv = [\"sh\", \"-c\", \"{SCRIPT}\"]\nformat = \"plain\"\n"
    ));
    s.daemon = s.place.start().await;
    let on = PatchRepoRequest { runner_enabled: Some(true), ..PatchRepoRequest::default() };
    let name = NAME.parse().expect("a name");
    s.client().patch_repo(&name, &on).await.expect("the runner can be switched on");
    let run = wait_until("the runner's run to be over", SOON, async || {
        let runs = s.client().runs(&Default::default()).await.expect("runs");
        runs.into_iter().next().filter(|run| run.ended)
    })
    .await;
    assert_eq!((run.state.as_str(), run.pull_request_number), ("succeeded", Some(s.pr)), "{run:?}");
    assert_ne!(s.github.head(NAME, BRANCH), before, "it was pushed");
    assert_eq!(s.github.pulls(NAME).len(), 1);
    wait_until("the item to be settled", SOON, async || s.queued().await.is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_red_check_becomes_a_task_with_the_log_and_a_push_settles_it() {
    let s = Scene::new(|github, pr| {
        let job = github.check(NAME, pr, "test", Some("FAILURE"));
        log_of(github, job);
        github.check(NAME, pr, "lint", Some("SUCCESS"));
        github.check(NAME, pr, "slow", None);
    })
    .await;
    let item = s.item("the red check to be found without being told").await;
    assert_eq!(
        (&item["fixType"], &item["reason"]),
        (&"CI_FAILURE".into(), &"test ended with failure".into()),
        "{item}"
    );
    let linked = s.linked("the health to be shown", |p| p["checkedAt"].is_string()).await;
    assert_eq!(linked["checks"], json!({ "passed": 1, "failed": 1, "pending": 1 }), "{linked}");
    assert_eq!(
        (&linked["needsFollowup"], &linked["followupReasons"]),
        (&true.into(), &json!(["test ended with failure"]))
    );
    assert_eq!((&linked["mergeState"], &linked["unresolvedThreads"]), (&"CLEAN".into(), &0.into()));
    let task = s.post("/api/agents/kai/next-task", json!({})).await;
    assert_eq!(task["type"], "followup-pr", "{task}");
    let head = s.github.head(NAME, BRANCH);
    assert_eq!(task["headSha"].as_str(), head.as_deref());
    let text = task["feedbackItems"][0]["text"].as_str().unwrap_or_default();
    assert_eq!(
        text,
        "test ended with failure:\nFailing step: cargo test\nrunning 2 tests\nerror: assertion failed in ***"
    );
    assert_eq!(task["feedbackItems"][0]["author"], "test");
    // A push, and the checks of the new head are green.
    s.github.push(NAME, BRANCH, "a.txt", "two");
    s.github.check(NAME, s.pr, "test", Some("SUCCESS"));
    let report = json!({"taskType": "followup-pr", "outcome": "pr_updated", "repoFullName": NAME,
        "pullRequestNumber": s.pr, "prFixItem": task["prFixItem"], "claimId": task["claim"]["id"]});
    let answer = s.post("/api/agents/kai/tasks/report", report).await;
    assert_eq!(answer["prFixResolution"]["action"], "fixed", "{answer}");
    let linked = s.linked("the push to be looked at", |p| p["checks"]["passed"] == 1).await;
    assert_eq!(
        (&linked["needsFollowup"], &linked["checks"]["failed"]),
        (&false.into(), &0.into()),
        "{linked}"
    );
    assert!(s.queued().await.is_empty(), "nothing waits");
    let log = s.place.log();
    assert!(!log.contains("SIGNED") && !log.contains(s.github.token()), "no secret in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolved_thread_and_a_green_check_take_their_item_out_of_the_queue() {
    let mut thread = 0;
    let s = Scene::new(|github, pr| {
        thread = github.thread(NAME, pr, "ada", "a.txt", 7, "Why not two?");
        github.check(NAME, pr, "test", Some("FAILURE"));
    })
    .await;
    let item = s.item("an item").await;
    assert_eq!((&item["fixType"], &item["generation"]), (&"CI_FAILURE".into(), &1.into()));
    let remark = |item: &Value| {
        let items = item["feedbackItems"].as_array().cloned().unwrap_or_default();
        items.into_iter().find(|f| f["author"] == "ada")
    };
    let said = remark(&item).expect("what was said");
    assert_eq!(
        (&said["path"], &said["line"], &said["text"]),
        (&"a.txt".into(), &7.into(), &"Why not two?".into())
    );
    // The check is run again and ends well: the thread is left.
    s.github.check(NAME, s.pr, "test", Some("SUCCESS"));
    s.look().await;
    let item = s.queued().await.remove(0);
    assert_eq!(
        (&item["fixType"], &item["reason"]),
        (&"REVIEW_FEEDBACK".into(), &"a review thread is not resolved".into())
    );
    assert_eq!(item["feedback"], json!(["a.txt:7: Why not two?"]), "the check is asked for no more");
    // An answer of our own changes nothing.
    s.github.reply(NAME, s.pr, thread, "olive", "Because.");
    s.look().await;
    assert_eq!(s.queued().await[0]["evidenceKeys"], item["evidenceKeys"]);
    s.github.resolve(NAME, s.pr, thread);
    s.look().await;
    assert!(s.queued().await.is_empty(), "the signal is gone");
    let history: Vec<Value> = s.client().get("/api/pr-fix-queue/history", &()).await.expect("history");
    assert_eq!((&history[0]["action"], &history[0]["status"]), (&"observe".into(), &"FIXED".into()));
    // Somebody insists: a new generation.
    s.github.thread(NAME, s.pr, "ada", "b.txt", 1, "And here?");
    s.look().await;
    let item = s.queued().await.remove(0);
    assert_eq!((&item["generation"], &item["feedback"]), (&2.into(), &json!(["b.txt:1: And here?"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_found_once_the_forge_knows_of_it() {
    let s = Scene::new(|github, pr| {
        github.conflict(NAME, pr, true);
        github.merge_unknown(NAME, pr, 2);
    })
    .await;
    let item = s.item("the conflict, asked for again while it was not known").await;
    assert_eq!((&item["fixType"], &item["issue"]), (&"MERGE_CONFLICT".into(), &1.into()));
    assert_eq!(s.issue().await["linkedPr"]["mergeState"], "DIRTY");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_to_work_on_is_shown_and_never_enqueued() {
    let mut fork = 0;
    let s = Scene::new(|github, pr| {
        github.check(NAME, pr, "test", Some("FAILURE"));
        github.draft(NAME, pr, true);
        github.add_issue(NAME, "Another", "Text", &["status/ready"]);
        fork = github.open_fork_pull(NAME, "theirs", "A fork's", "Fixes #3");
        github.check(NAME, fork, "test", Some("FAILURE"));
        github.conflict(NAME, fork, true);
    })
    .await;
    let linked = s.linked("the draft to be looked at", |p| p["checks"]["failed"] == 1).await;
    assert_eq!((&linked["isDraft"], &linked["needsFollowup"]), (&true.into(), &false.into()), "{linked}");
    let theirs = wait_until("the fork's to be linked", SOON, async || {
        let issues: Vec<Value> = s.client().get("/api/issues", &()).await.ok()?;
        issues
            .into_iter()
            .find(|i| i["number"] == 3 && i["linkedPrNumber"] == fork && i["column"] == "in-review")
    })
    .await;
    assert_eq!(theirs["linkedPrNumber"], fork);
    let answer = s.look().await;
    let ignored = answer["ignored"].as_array().cloned().unwrap_or_default();
    assert!(ignored.iter().any(|i| i["why"] == "it is a draft"), "{answer}");
    assert!(s.queued().await.is_empty());
    // Ready for review: what speaks for work counts now.
    s.github.draft(NAME, s.pr, false);
    s.look().await;
    let item = s.item("the draft's check to count").await;
    assert_eq!((&item["pr"], &item["fixType"]), (&s.pr.into(), &"CI_FAILURE".into()));
    assert_eq!(s.queued().await.len(), 1, "the fork's never");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_alone_is_no_reason_and_a_merged_one_is_settled() {
    let s = Scene::new(|github, pr| github.merge_state(NAME, pr, "BEHIND")).await;
    let linked = s.linked("it to be looked at", |p| p["mergeState"] == "BEHIND").await;
    assert_eq!(linked["needsFollowup"], false);
    s.look().await;
    assert!(s.queued().await.is_empty(), "behind alone");
    s.github.check(NAME, s.pr, "test", Some("FAILURE"));
    // Nothing but a webhook tells of it.
    let before = s.github.head(NAME, BRANCH);
    s.hook(
        "workflow_run",
        "d1",
        &json!({"action": "completed", "repository": {"full_name": NAME},
        "workflow_run": {"head_sha": before, "pull_requests": []}}),
    );
    let item = s.item("the hint to be followed").await;
    let reasons = |item: &Value| item["evidenceKeys"].as_array().map_or(0, Vec::len);
    assert_eq!((&item["fixType"], reasons(&item)), (&"CI_FAILURE".into(), 2), "{item}");
    s.github.merge(NAME, s.pr);
    s.look().await;
    assert!(s.queued().await.is_empty());
    let history: Vec<Value> = s.client().get("/api/pr-fix-queue/history", &()).await.expect("history");
    assert_eq!(history[0]["status"], "STALE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_finds_the_same_writes_nothing() {
    let s = Scene::new(|github, pr| {
        github.check(NAME, pr, "test", Some("FAILURE"));
        github.thread(NAME, pr, "ada", "a.txt", 7, "Why?");
    })
    .await;
    s.item("an item").await;
    // Once more for what the first look set off itself.
    s.look().await;
    let before = s.commits().await;
    let events: Value = s.client().get("/api/audit", &()).await.expect("the audit");
    for _ in 0..3 {
        s.look().await;
    }
    assert_eq!(s.client().get::<Value>("/api/audit", &()).await.expect("the audit"), events);
    // A sync keeps its cursor; a look keeps nothing.
    assert!(s.commits().await - before <= 3, "a look that found nothing new was written");
    let points = s.github.take_points();
    assert!(points.queries > 0 && points.per_hundred() > 0.0, "{points:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_pull_requests_the_newest_open_one_counts_and_the_other_is_shown() {
    let mut second = 0;
    let s = Scene::new(|github, _| {
        github.push(NAME, "kai/other", "b.txt", "one");
        second =
            github.open_pull(NAME, "kai/other", "main", "Other", "```\nFixes #9\n```\nCloses acme/api#1");
    })
    .await;
    let issue = wait_until("the newer one to be linked", SOON, async || {
        Some(s.issue().await).filter(|i| i["linkedPrNumber"] == second)
    })
    .await;
    assert_eq!(issue["otherPrs"][0]["number"], s.pr, "{issue}");
    s.github.close(NAME, second);
    s.look().await;
    let issue = s.issue().await;
    assert_eq!((&issue["linkedPrNumber"], &issue["column"]), (&s.pr.into(), &"in-review".into()), "{issue}");
}
