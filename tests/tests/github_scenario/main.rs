//! An issue becomes a pull request on GitHub: the real daemon, a fake GitHub, real git over HTTP, real containers.

use std::process::Command;
use std::time::Duration;

use dispatch_shared::error::Code;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::control::ProblemKind;
use dispatch_shared::protocol::tasks::{NextTaskQuery, ReportRequest, TakeRequest};
use dispatch_shared::run::RuntimeKind;
use dispatch_shared::task::{Outcome, TaskType};
use dispatch_tests::daemon::wait_until;
use dispatch_tests::github::FakeGithub;
use dispatch_tests::github::fault::Fault;
use dispatch_tests::image::{IMAGE, build, engines};
use dispatch_tests::secret::Secret;

mod scene;

use self::scene::*;

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_read_once_and_then_one_request_tells_that_nothing_is_new() {
    let s = Scene::start("sync", "", |github| github.add_issues(REPO, 250)).await;
    let mut numbers: Vec<u64> = s.cards().await.iter().map(|c| c.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=250).collect::<Vec<u64>>());
    let first = s.github.take_requests();
    let lists =
        statuses(&first, "GET /repos/acme/api/issues?state=all&sort=updated&direction=asc&per_page=100");
    assert_eq!(lists, [200; 3], "three pages");
    assert_eq!(first.len(), 5, "the repository, a probe, three pages: {first:?}");

    let answer = s.client().sync(None).await.expect("a sync");
    let told = &answer.results[0];
    assert_eq!((told.requests, told.synced, &told.error), (1, 0, &None));
    let second = s.github.take_requests();
    assert_eq!(second.len(), 1, "{second:?}");
    assert_eq!(second[0].status, 304);
    assert!(second[0].header("if-none-match").is_some());
    assert_eq!(s.cards().await.len(), 250, "nothing looks gone because nothing was told");

    // What a person does is found by the next one.
    s.github.label(REPO, 7, &["status/ready"], &[]);
    s.client().sync(Some(&name())).await.expect("a sync");
    assert_eq!(s.card(7).await.column, Status::Ready);
    s.nothing_secret_is_left().await;
}

/// Reads its prompt, works visibly, changes a file, and knows nothing of git.
const SCRIPT: &str = r#"
cat >/tmp/prompt
grep -q 'Say good night' /tmp/prompt || { echo 'no such task'; exit 9; }
i=1; while [ $i -le 12 ]; do echo "line $i of 12"; i=$((i+1)); sleep 0.1; done
printf 'Good night!\n' >greeting.txt
"#;

fn runner(kind: RuntimeKind, mark: &str) -> String {
    format!(
        "[runner]\nruntime = \"{kind}\"\nimage = \"{IMAGE}\"\nagent = \"scribe\"\nnetwork = \"none\"\nmemory = \"256m\"\n\
         author_name = \"Ada Author\"\nauthor_email = \"ada@scenario.example\"\n\
         [runner.agents.scribe]\nargv = [\"sh\", \"-c\", '''{SCRIPT}''']\nformat = \"plain\"\n\
         set = {{ SCENARIO = \"{mark}\" }}\n"
    )
}

fn inspect(kind: RuntimeKind, container: &str) -> Vec<u8> {
    let output = Command::new(kind.word()).args(["container", "inspect", container]).output();
    let output = output.expect("the engine answers");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn git(github: &FakeGithub, args: &[&str]) -> String {
    let output = Command::new("git").arg("--git-dir").arg(github.bare_path(REPO)).args(args).output();
    let output = output.expect("git is installed");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The single pull request, made of one commit of the configured author that holds the work.
fn published(github: &FakeGithub, number: u64) -> u64 {
    let pulls = github.pulls(REPO);
    assert_eq!(pulls.len(), 1, "{pulls:?}");
    let pull = &pulls[0];
    assert!(pull.body.starts_with(&format!("Fixes #{number}\n")), "{}", pull.body);
    assert!(pull.open && !pull.merged && pull.base == "main", "{pull:?}");
    assert!(pull.head.starts_with(&format!("fix/issue-{number}-")), "{pull:?}");
    assert_eq!(Some(&pull.sha), github.head(REPO, &pull.head).as_ref());
    assert_eq!(git(github, &["rev-list", "--count", &format!("main..{}", pull.sha)]), "1");
    let who = git(github, &["log", "-1", "--format=%an <%ae> %cn <%ce>", &pull.sha]);
    assert_eq!(who, "Ada Author <ada@scenario.example> Ada Author <ada@scenario.example>");
    assert_eq!(git(github, &["diff", "--name-only", "main", &pull.sha]), "greeting.txt");
    assert_eq!(git(github, &["show", &format!("{}:greeting.txt", pull.sha)]), "Good night!");
    assert!(github.is_open(REPO, number), "closing is not ours");
    pull.number
}

async fn becomes_a_pull_request(kind: RuntimeKind) {
    build(kind);
    let mark = format!("SCENARIO={kind}-{}", std::process::id());
    let config = runner(kind, mark.trim_start_matches("SCENARIO="));
    let s = Scene::start(kind.word(), &config, |github| {
        github.add_issue(REPO, "Say good night", "A greeting for the night.", &["status/ready", FOREIGN]);
        github.add_issue(REPO, "Not yet", "Nobody wants this now.", &["status/backlog"]);
    })
    .await;
    let secret = Secret::new(&s.token);
    let watch = secret.watch(s.daemon.pid(), &[&mark]);
    // A server that takes its time, so that git is there long enough to be seen.
    s.github.fail_next("GET /acme/api.git/info/refs", Fault::Slow(Duration::from_millis(250)), 9);
    s.switch_runner_on().await;
    let container = wait_until("the container", RUN, async || {
        let run = s.run().await?;
        assert!(!run.ended, "it ended before it ran: {run:?}");
        run.container
    })
    .await;
    assert!(!secret.is_in(&inspect(kind, &container)), "{kind} shows the token");
    let run = s.ended(None).await;
    assert_eq!(
        (run.state.as_str(), run.runtime, run.issue_number),
        ("succeeded", Some(kind), Some(1)),
        "{run:?}"
    );
    s.labels(1, SOON, &["agent/dispatch", "status/in-review", FOREIGN]).await;
    let seen = watch.end();
    assert!(seen.leaks.is_empty(), "{kind}: {:#?}", seen.leaks);
    assert!(seen.command(&["git", " fetch "]) && seen.command(&["git", " push "]), "git was seen at work");
    assert!(seen.marks.contains(&mark), "{kind}: the environment of the program was seen");

    let pull = published(&s.github, 1);
    assert_eq!(run.pull_request_number, Some(pull));
    let requests = s.github.take_requests();
    only_small_writes(&requests);
    assert_eq!(statuses(&requests, "POST /repos/acme/api/pulls"), [201]);
    assert_eq!(statuses(&requests, &format!("GET /repos/acme/api/pulls/{pull}")), [200], "read back");
    assert_eq!(statuses(&requests, "POST /acme/api.git/git-receive-pack"), [200]);

    let log = s.log(&run).await;
    let lines: Vec<&str> = log.lines().filter(|l| l.contains(" of 12")).collect();
    assert_eq!(lines, (1..=12).map(|i| format!("line {i} of 12")).collect::<Vec<_>>(), "{log}");
    assert!(log.contains("uncommitted"), "the log says who committed: {log}");
    let card = s.card(1).await;
    assert_eq!((card.column, card.linked_pr_number, card.write), (Status::InReview, Some(pull), None));
    assert_eq!(s.card(2).await.column, Status::Backlog);
    assert_eq!(s.github.labels(REPO, 2), ["status/backlog"]);
    let gone = wait_until("the container to go", SOON, async || {
        let left = Command::new(kind.word()).args(["container", "inspect", &container]).output();
        left.ok().filter(|o| !o.status.success())
    });
    gone.await;
    s.nothing_secret_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_becomes_a_pull_request() {
    for kind in engines() {
        becomes_a_pull_request(kind).await;
    }
}

fn report(number: u64, outcome: Outcome) -> ReportRequest {
    ReportRequest {
        repo_full_name: Some(REPO.into()),
        issue_number: Some(1),
        pull_request_number: Some(number),
        summary: Some("Done.".into()),
        ..ReportRequest::new(TaskType::Implement, outcome)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_harness_claims_and_what_it_reports_is_looked_at() {
    const AGENT: &str = "saffron-local";
    let agent_label = format!("agent/{AGENT}");
    let s = Scene::start("harness", "", |github| {
        github.add_issue(REPO, "Say good night", "- [ ] it says good night", &["Status/Ready", FOREIGN]);
    })
    .await;
    let (query, none) = (NextTaskQuery::default(), TakeRequest::default());
    let task = s.client().take(AGENT, &query, &none).await.expect("an answer");
    assert_eq!((task.kind, task.should_run), (TaskType::Implement, true));
    let issue = task.issue.as_ref().expect("a task has an issue");
    assert_eq!((issue.number, issue.body.as_str()), (1, "- [ ] it says good night"));
    let claimed = [agent_label.as_str(), "status/in-progress", FOREIGN];
    let took = s.labels(1, Duration::from_secs(2), &claimed).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    let again = s.client().take(AGENT, &query, &none).await.expect("an answer");
    assert_eq!((again.kind, again.should_run), (TaskType::Idle, false));

    wait_until("the write to be settled", SOON, async || s.card(1).await.write.is_none().then_some(())).await;
    let (before, audit) = (s.card(1).await, s.client().audit(&Default::default()).await.expect("the audit"));
    s.github.take_requests();
    let refused = s.client().report(AGENT, &report(99, Outcome::PrOpened)).await.expect_err("not there");
    assert_eq!(refused.code(), Some(Code::NotVerified), "{refused}");
    assert_eq!(Code::NotVerified.status(), 422);
    assert!(refused.to_string().contains("#99"), "{refused}");
    assert_eq!(s.card(1).await, before);
    assert_eq!(s.client().audit(&Default::default()).await.expect("the audit"), audit);
    assert!(before.claim.is_some());
    assert!(s.github.take_requests().iter().all(|r| !r.is_write()));

    let branch = task.branch.as_deref().expect("a task names its branch");
    s.github.push(REPO, branch, "greeting.txt", "Good night!\n");
    let pull = s.github.open_pull(REPO, branch, "main", "Say good night", "Fixes #1");
    let claim_id = task.claim.as_ref().map(|c| c.id);
    let taken =
        s.client().report(AGENT, &ReportRequest { claim_id, ..report(pull, Outcome::PrOpened) }).await;
    let taken = taken.expect("the report is taken");
    assert_eq!((taken.report.pull_request_number, taken.report.status.as_str()), (Some(pull), "completed"));
    s.labels(1, SOON, &[agent_label.as_str(), "status/in-review", FOREIGN]).await;
    let card = s.card(1).await;
    assert_eq!((card.column, card.linked_pr_number), (Status::InReview, Some(pull)));
    assert_eq!(card.claim, None);
    only_small_writes(&s.github.take_requests());
    let late = ReportRequest { claim_id, ..report(pull, Outcome::Failed) };
    let stale = s.client().report(AGENT, &late).await.expect_err("the claim is over");
    assert_eq!(stale.code(), Some(Code::StaleClaim), "{stale}");
    s.nothing_secret_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_is_written_in_spite_of_a_gateway_and_a_limit() {
    let s = Scene::start("gateway", "", |github| {
        github.add_issue(REPO, "Say good night", "", &["status/backlog", FOREIGN]);
    })
    .await;
    const WRITE: &str = "POST /repos/acme/api/issues/1/labels";
    s.github.fail_next(WRITE, Fault::Html502, 1);
    s.github.fail_next(WRITE, Fault::RetryAfter(Duration::from_secs(1)), 1);
    assert!(s.move_to(1, "ready").await.contains(&"status/ready".to_owned()), "the board shows it at once");
    assert_eq!(s.card(1).await.column, Status::Ready);
    s.labels(1, Duration::from_secs(40), &["status/ready", FOREIGN]).await;
    wait_until("the write to be settled", SOON, async || s.card(1).await.write.is_none().then_some(())).await;
    assert_eq!(s.card(1).await.column, Status::Ready);
    let requests = s.github.take_requests();
    assert_eq!(statuses(&requests, WRITE), [502, 429, 200]);
    only_small_writes(&requests);
    assert_eq!(s.client().problems().await.expect("the problems"), []);
    assert_eq!(s.client().control().await.expect("control").writes_pending, 0);
    s.nothing_secret_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_label_takes_the_card_back_and_says_so() {
    let s = Scene::start("refused", "", |github| {
        github.add_issue(REPO, "Say good night", "", &["status/backlog", FOREIGN]);
    })
    .await;
    s.github.fail_next("POST /repos/acme/api/issues/1/labels", Fault::Status(403), 1);
    s.move_to(1, "ready").await;
    let problem = wait_until("the problem", SOON, async || {
        s.client().problems().await.expect("the problems").into_iter().next()
    })
    .await;
    assert_eq!(problem.kind, ProblemKind::WriteRefused);
    assert_eq!(problem.subject, "acme/api#1");
    assert!(problem.text.contains("not accessible"), "{}", problem.text);
    let card = s.card(1).await;
    assert_eq!((card.column, card.status.as_deref()), (Status::Backlog, Some("status/backlog")));
    assert_eq!(s.github.labels(REPO, 1), [FOREIGN, "status/backlog"]);
    let audit = s.client().audit(&Default::default()).await.expect("the audit");
    assert!(audit.iter().any(|row| !row.success && row.issue_number == Some(1)), "{audit:?}");
    // The next try is not held up by the last one.
    s.move_to(1, "ready").await;
    s.labels(1, SOON, &["status/ready", FOREIGN]).await;
    wait_until("the problem to go", SOON, async || {
        s.client().problems().await.expect("the problems").is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_refused_push_a_later_attempt_publishes_once() {
    let s = Scene::start("push", &runner(RuntimeKind::Host, "host"), |github| {
        github.add_issue(REPO, "Say good night", "A greeting for the night.", &["status/ready"]);
    })
    .await;
    s.github.fail_next("POST /acme/api.git/git-receive-pack", Fault::Status(500), 1);
    s.switch_runner_on().await;
    let failed = s.ended(None).await;
    assert_eq!(failed.state, "network", "{failed:?}");
    let reason = failed.reason.as_deref().unwrap_or_default();
    assert!(reason.contains("git push failed") && reason.contains("500"), "{reason}");
    assert_eq!(s.github.pulls(REPO), []);
    s.labels(1, SOON, &["status/ready"]).await;
    assert_eq!(s.card(1).await.failures, 0, "the task is not to blame");

    s.client().retry(failed.id).await.expect("it can be tried again");
    let second = s.ended(Some(&failed)).await;
    assert_eq!(second.state, "succeeded", "{second:?}");
    assert!(second.attempt > failed.attempt);
    published(&s.github, 1);
    s.labels(1, SOON, &["agent/dispatch", "status/in-review"]).await;
    let requests = s.github.take_requests();
    assert_eq!(statuses(&requests, "POST /acme/api.git/git-receive-pack"), [500, 200]);
    assert_eq!(statuses(&requests, "POST /repos/acme/api/pulls"), [201]);
    s.nothing_secret_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_denied_names_the_permission() {
    let s = Scene::start("denied", &runner(RuntimeKind::Host, "host"), |github| {
        github.add_issue(REPO, "Say good night", "A greeting for the night.", &["status/ready"]);
    })
    .await;
    s.github.forbid(&s.token, &["contents=write"]);
    s.github.fail_next("POST /acme/api.git/git-receive-pack", Fault::Status(403), 9);
    s.switch_runner_on().await;
    let run = s.ended(None).await;
    assert_eq!(run.state, "failed", "{run:?}");
    let reason = run.reason.as_deref().unwrap_or_default();
    let words = "Contents: write is missing on acme/api: branches cannot be pushed; grant it at ";
    assert!(reason.starts_with(words) && reason.contains("403"), "{reason}");
    assert_eq!(s.github.pulls(REPO), []);
    s.nothing_secret_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_while_it_pushes_publishes_once_and_leaves_no_credential() {
    let s = Scene::start("killed", &runner(RuntimeKind::Host, "host"), |github| {
        github.add_issue(REPO, "Say good night", "A greeting for the night.", &["status/ready"]);
    })
    .await;
    // The branch is there, and git still waits for the answer.
    s.github.fail_next("POST /acme/api.git/git-receive-pack", Fault::Slow(Duration::from_secs(5)), 1);
    s.switch_runner_on().await;
    wait_until("the branch", RUN, async || s.github.head(REPO, "fix/issue-1-say-good-night")).await;
    let (s, with) = s.crash().await;
    let credential = |p: &std::path::PathBuf| p.to_string_lossy().contains("/.credential-");
    assert!(with.len() == 1 && with.iter().all(credential), "git was killed with its credential: {with:?}");
    let run = s.ended(None).await;
    assert_eq!(run.state, "succeeded", "{run:?}");
    assert_eq!(run.attempt.ordinal(), 1, "the same attempt goes on");
    published(&s.github, 1);
    s.labels(1, SOON, &["agent/dispatch", "status/in-review"]).await;
    let requests = s.github.take_requests();
    assert_eq!(statuses(&requests, "POST /repos/acme/api/pulls"), [201]);
    assert_eq!(statuses(&requests, "POST /acme/api.git/git-receive-pack").len(), 1, "pushed once");
    s.nothing_secret_is_left().await;
}

/// What one sync mends by itself: a credential is read anew and the request sent once more.
const MENDED: [&str; 1] = ["Status(401)"];

#[tokio::test(flavor = "multi_thread")]
async fn no_request_tells_the_token_however_it_ends() {
    let s = Scene::start("redirects", "", |github| {
        github.add_issue(REPO, "Say good night", "A greeting for the night.", &["status/ready"]);
    })
    .await;
    let other = FakeGithub::start().await;
    let away = Fault::Away(format!("{}repos/acme/api/issues", other.url()));
    let faults = [
        away,
        Fault::Status(401),
        Fault::Status(404),
        Fault::Html502,
        Fault::Nonsense,
        Fault::CutOff,
        Fault::Reset,
        Fault::RetryAfter(Duration::ZERO),
    ];
    let mut silent = Vec::new();
    for (n, fault) in faults.into_iter().enumerate() {
        // Of an answer that says "unchanged" nothing can be cut.
        s.github.rewrite(REPO, 1, &format!("Say good night {n}"), "A greeting for the night.");
        s.github.fail_next("GET /repos/acme/api/issues", fault.clone(), 1);
        let answer = s.client().sync(None).await.expect("an answer");
        assert_eq!(s.github.faults_left(), 0, "{fault:?} was met");
        if answer.results[0].error.is_none() {
            silent.push(format!("{fault:?}"));
        }
    }
    assert_eq!(silent, MENDED, "every other fault is said");
    assert_eq!(other.requests().len(), 0, "another host is never asked");
    s.github.rename_repo(REPO, "acme/backend");
    let answer = s.client().sync(None).await.expect("an answer");
    assert_eq!(answer.results[0].error, None);
    wait_until("the new name", SOON, async || {
        let repos = s.client().repos().await.expect("a list of repositories");
        (repos[0].full_name.to_string() == "acme/backend").then_some(())
    })
    .await;
    for request in s.github.requests() {
        assert!(!request.path.contains(&s.token), "{}", request.path);
        let with: Vec<&str> =
            request.headers.iter().filter(|(_, v)| v.contains(&s.token)).map(|(n, _)| n.as_str()).collect();
        assert_eq!(with, ["authorization"]);
        assert!(request.header("user-agent").is_some() && request.header("x-github-api-version").is_some());
    }
    let control = s.client().control().await.expect("the control state");
    assert_eq!((control.sync.repos, control.sync.failing), (1, 0));
    assert_eq!(control.budget.resources[0].resource, "core");
    s.nothing_secret_is_left().await;
}
