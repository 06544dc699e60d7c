//! Runs that somebody starts by hand, on each kind of subject, with the real daemon, git, store and engines.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use dispatch_shared::client::Client;
use dispatch_shared::error::Code;
use dispatch_shared::id::RunId;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::claims::ClaimRequest;
use dispatch_shared::protocol::dispatch::{DispatchAnswer, DispatchRequest};
use dispatch_shared::protocol::runs::{KillRequest, Run, RunsQuery};
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::daemon::wait_until;
use dispatch_tests::image::engines;
use dispatch_tests::scene::{DEADLINE, Scene};

const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");
const CLIENT: &str = env!("CARGO_BIN_EXE_test-dispatch");
const REPO: &str = "local/sample";

/// Keeps its prompt, and does what the prompt says.
const OBEYS: &str = r#"
cat >.git/prompt
grep -q '^Wait' .git/prompt && while [ ! -e .git/enough ]; do sleep 0.05; done
grep -q '^Ask' .git/prompt && echo 'Which colour?' >BLOCKED.md && exit 0
grep -q '^Fail' .git/prompt && exit 3
grep -q '^Nothing' .git/prompt && exit 0
echo line >>lines.txt
echo counted
"#;

fn kinds() -> Vec<RuntimeKind> {
    let mut kinds = engines();
    kinds.push(RuntimeKind::Host);
    kinds
}

fn ask(task: &str) -> DispatchRequest {
    DispatchRequest { repo: REPO.into(), task: task.into(), ..DispatchRequest::default() }
}

fn on_branch(task: &str, name: &str) -> DispatchRequest {
    DispatchRequest { branch: Some(name.into()), ..ask(task) }
}

fn on_issue(task: &str) -> DispatchRequest {
    DispatchRequest { issue: Some(1), ..ask(task) }
}

fn place(scene: &Scene, name: &str) -> PathBuf {
    scene.place.state().canonicalize().expect("it is there").join("workspaces").join(REPO).join(name)
}

/// Tracks the repository with its runner off, and waits until its issue is on the board.
async fn tracked(scene: &Scene, client: &Client) {
    scene.track(client).await.expect("it is tracked");
    wait_until("the issue", DEADLINE, async || {
        client.issues(&Default::default()).await.ok().filter(|all| all.len() == 1).map(drop)
    })
    .await;
}

async fn over(scene: &Scene, client: &Client, answer: &DispatchAnswer) -> Run {
    let id = answer.run_id.expect("a run");
    wait_until(&format!("the end of {id} on {}", scene.kind), DEADLINE, async || {
        client.run(id).await.ok().filter(|run| run.ended)
    })
    .await
}

async fn working(client: &Client, id: RunId) -> Run {
    wait_until(&format!("{id} to work"), DEADLINE, async || {
        client.run(id).await.ok().filter(|run| run.state == "running")
    })
    .await
}

/// Lets the program in a workspace go on.
fn enough(scene: &Scene, name: &str) {
    std::fs::write(place(scene, name).join("repo/.git/enough"), "").expect("the workspace is there");
}

/// The command line, against the daemon of `scene`.
fn cli(scene: &Scene, args: &[&str]) -> Output {
    let mut command = Command::new(CLIENT);
    command.args(args).arg("--no-spawn").env_clear().env("HOME", scene.place.path());
    command.env("DISPATCH_SOCKET", scene.place.socket());
    tokio::task::block_in_place(|| command.output()).expect("the client can be started")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn refused(client: &Client, request: &DispatchRequest) -> (Code, String) {
    let error = client.dispatch(request).await.expect_err("it is refused");
    (error.code().unwrap_or_else(|| panic!("no answer: {error}")), error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_then_its_pull_request_by_hand() {
    for kind in kinds() {
        let scene = Scene::new(DAEMON, kind, OBEYS, "");
        let daemon = scene.place.start().await;
        let client = &daemon.client;
        tracked(&scene, client).await;
        let request = DispatchRequest {
            agent: Some("sample:big".into()),
            persona: Some("tester".into()),
            plan_template: Some("port".into()),
            variables: Some([("from".to_owned(), "libcount".to_owned())].into()),
            ..on_issue("Count them all")
        };
        let answer = client.dispatch(&request).await.expect("it starts");
        assert_eq!(
            (answer.agent.as_str(), answer.queued, answer.repo.as_str()),
            ("sample:big", Some(false), REPO)
        );
        assert_eq!(answer.workspace_dir, place(&scene, "issue-1").display().to_string());
        let run = over(&scene, client, &answer).await;
        assert_eq!(run.state, "succeeded", "{kind}: {run:?}\n{}", scene.place.log());
        assert_eq!(
            (run.subject.as_str(), run.by_hand.as_deref(), run.issue_number),
            ("#1", Some("operator"), Some(1))
        );
        scene.published_once(client).await;
        let output =
            std::fs::read_to_string(answer.output_file.expect("a file")).expect("the output is there");
        assert!(output.starts_with("counted\n"), "{kind}: {output}");
        let prompt =
            std::fs::read_to_string(place(&scene, "issue-1").join("repo/.git/prompt")).expect("the prompt");
        for part in
            ["You are a test engineer", "Count them all", "It is about issue #1", "libcount", "Please."]
        {
            assert!(prompt.contains(part), "{kind}: {part} is missing in:\n{prompt}");
        }
        let rows = scene.audit(client, "dispatch_run").await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        scene.nothing_left(&run).await;

        let pull = run.pull_request_number.expect("a pull request");
        let before = scene.repository.git(&["rev-parse", run.branch.as_deref().expect("a branch")]);
        let more = DispatchRequest { pr: Some(pull), ..ask("Count once more") };
        let answer = client.dispatch(&more).await.expect("it starts");
        let second = over(&scene, client, &answer).await;
        assert_eq!(
            (second.state.as_str(), second.pull_request_number),
            ("succeeded", Some(pull)),
            "{second:?}"
        );
        assert_eq!(
            (second.workspace.as_str(), second.issue_number),
            (&*format!("{REPO}/pr-{pull}"), Some(1))
        );
        assert_eq!(scene.repository.pulls().len(), 1, "no other pull request is opened");
        let head = scene.repository.git(&["rev-parse", run.branch.as_deref().expect("a branch")]);
        assert_ne!(head, before, "its branch has moved");
        let parent = scene.repository.git(&["rev-parse", &format!("{}^", head.trim())]);
        assert_eq!(parent, before, "and was not rewritten");
        let card = scene.card(client).await;
        assert_eq!((card.column, card.claim), (Status::InReview, None));
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_is_made_pushed_to_and_taken_up_again() {
    for kind in kinds() {
        let scene = Scene::new(DAEMON, kind, OBEYS, "");
        let daemon = scene.place.start().await;
        let client = &daemon.client;
        tracked(&scene, client).await;
        let first = client.dispatch(&on_branch("Count", "work/next")).await.expect("it starts");
        let run = over(&scene, client, &first).await;
        assert_eq!(run.state, "succeeded", "{kind}: {run:?}\n{}", scene.place.log());
        assert_eq!((run.issue_id, run.claim_id, run.subject.as_str()), (None, None, "branch work/next"));
        assert_eq!(run.pull_request_number, None, "nobody asked for a pull request");
        assert_eq!(scene.repository.branches(), ["work/next"]);
        let diff = client.diff(run.id).await.expect("a diff");
        assert!(diff.contains("+line"), "{kind}: {diff}");
        let second = client.dispatch(&on_branch("Count again", "work/next")).await.expect("it starts");
        assert_eq!(second.workspace_dir, first.workspace_dir);
        assert_eq!(over(&scene, client, &second).await.state, "succeeded");
        let count = scene.repository.git(&["rev-list", "--count", "main..work/next"]);
        assert_eq!(count.trim(), "2", "{kind}");
        let idle = client.dispatch(&on_branch("Nothing", "work/next")).await.expect("it starts");
        assert_eq!(
            over(&scene, client, &idle).await.state,
            "no-changes",
            "what is there already does not count"
        );
        let card = scene.card(client).await;
        assert_eq!(
            (card.column, card.claim, card.last_run),
            (Status::Ready, None, None),
            "no card is touched"
        );
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_read_and_nothing_of_it_is_published() {
    let scene = Scene::new(DAEMON, RuntimeKind::Host, OBEYS, "");
    scene.repository.git(&["tag", "v1.0"]);
    scene.repository.git(&["commit", "-q", "--allow-empty", "-m", "Later"]);
    let daemon = scene.place.start().await;
    let client = &daemon.client;
    tracked(&scene, client).await;
    let request =
        DispatchRequest { tag: Some("v1.0".into()), template: Some("reading".into()), ..ask("Count") };
    let answer = client.dispatch(&request).await.expect("it starts");
    let run = over(&scene, client, &answer).await;
    assert_eq!(
        (run.state.as_str(), run.subject.as_str()),
        ("succeeded", "tag v1.0"),
        "{}",
        scene.place.log()
    );
    assert_eq!((scene.repository.branches(), scene.repository.pulls()), (vec![], vec![]));
    let at = scene.repository.git(&["rev-parse", "v1.0^{commit}"]);
    let head = std::process::Command::new("git")
        .args(["-c", "safe.directory=*", "rev-parse", "HEAD"])
        .current_dir(place(&scene, "tag-v1.0").join("repo"))
        .output()
        .expect("git");
    assert_eq!(String::from_utf8_lossy(&head.stdout), at, "it stands at the tag");
    let missing = DispatchRequest { tag: Some("v9".into()), ..ask("Count") };
    let answer = client.dispatch(&missing).await.expect("whether it is there is seen later");
    let run = over(&scene, client, &answer).await;
    assert!(run.reason.as_deref().is_some_and(|r| r.contains("no tag `v9`")), "{run:?}");
    let (code, why) = refused(client, &DispatchRequest { dry_run: Some(true), ..missing }).await;
    assert_eq!(code, Code::NotVerified);
    assert!(why.contains("no tag `v9`"), "{why}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_prompt_and_starts_nothing() {
    let scene = Scene::new(DAEMON, RuntimeKind::Host, OBEYS, "");
    let daemon = scene.place.start().await;
    let client = &daemon.client;
    tracked(&scene, client).await;
    let dry = DispatchRequest { dry_run: Some(true), ..on_issue("Count them all") };
    let answer = client.dispatch(&dry).await.expect("a prompt");
    let prompt = answer.prompt.expect("a prompt");
    assert!(prompt.contains("Count them all") && prompt.contains("fix/issue-1-count-the-lines"), "{prompt}");
    assert_eq!((answer.run_id, answer.output_file, answer.queued), (None, None, None));
    assert!(place(&scene, "issue-1").join("repo/README.md").is_file(), "the workspace is prepared");
    assert!(client.runs(&RunsQuery::default()).await.expect("runs").is_empty());
    assert_eq!(scene.card(client).await.claim, None);
    assert!(scene.audit(client, "dispatch_run").await.is_empty());
    let shown = cli(&scene, &["run", REPO, "Count", "them", "all", "--issue", "1", "--dry-run"]);
    assert!(shown.status.success(), "{}", said(&shown));
    assert_eq!(String::from_utf8_lossy(&shown.stdout), prompt, "the command line shows the same");
    // While a program works there, its checkout is left alone.
    let live = client.dispatch(&on_branch("Wait", "next")).await.expect("it starts");
    working(client, live.run_id.expect("a run")).await;
    let there = DispatchRequest { dry_run: Some(true), ..on_branch("Count", "next") };
    assert_eq!(refused(client, &there).await.0, Code::Held);
    enough(&scene, "branch-next");
    assert_eq!(over(&scene, client, &live).await.state, "succeeded");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_slot_it_waits_also_over_a_restart() {
    for kind in kinds() {
        let scene = Scene::new(DAEMON, kind, OBEYS, "max_parallel = 1");
        let daemon = scene.place.start().await;
        tracked(&scene, &daemon.client).await;
        let first = daemon.client.dispatch(&on_branch("Wait", "one")).await.expect("it starts");
        working(&daemon.client, first.run_id.expect("a run")).await;
        let second = daemon.client.dispatch(&on_issue("Count")).await.expect("it waits");
        assert_eq!(second.queued, Some(true), "{second:?}");
        assert!(second.waits_for.as_deref().is_some_and(|w| w.contains("1/1 slots")), "{second:?}");
        let waiting = daemon.client.run(second.run_id.expect("a run")).await.expect("the run");
        assert_eq!((waiting.state.as_str(), waiting.waiting), ("queued", true));
        assert_eq!(
            scene.card(&daemon.client).await.claim.map(|c| Some(c.id)),
            Some(waiting.claim_id),
            "held meanwhile"
        );
        daemon.kill();
        let daemon = scene.place.start().await;
        let client = &daemon.client;
        working(client, first.run_id.expect("a run")).await;
        let still = client.run(waiting.id).await.expect("the run");
        assert_eq!((still.state.as_str(), still.waiting, still.attempt), ("queued", true, waiting.attempt));
        enough(&scene, "branch-one");
        assert_eq!(over(&scene, client, &first).await.state, "succeeded", "{kind}");
        let run = over(&scene, client, &second).await;
        assert_eq!(run.state, "succeeded", "{kind}: {run:?}\n{}", scene.place.log());
        assert_eq!(scene.card(client).await.column, Status::InReview);
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_holds_it_back_and_a_kill_ends_it_before_it_began() {
    let scene = Scene::new(DAEMON, RuntimeKind::Host, OBEYS, "");
    let daemon = scene.place.start().await;
    let client = &daemon.client;
    tracked(&scene, client).await;
    client.freeze(true).await.expect("frozen");
    let one = client.dispatch(&on_branch("Count", "one")).await.expect("it waits");
    let two = client.dispatch(&on_branch("Count", "two")).await.expect("it waits");
    assert_eq!((one.queued, one.waits_for.as_deref()), (Some(true), Some("the queue is frozen")));
    let killed = client.kill(two.run_id.expect("a run"), &KillRequest::default()).await.expect("killed");
    assert_eq!((killed.state.as_str(), killed.ended), ("killed", true), "nobody has to be waited for");
    client.freeze(false).await.expect("thawed");
    assert_eq!(over(&scene, client, &one).await.state, "succeeded", "{}", scene.place.log());
    assert_eq!(scene.repository.branches(), ["one"]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_asks_by_hand_is_answered_in_the_same_place() {
    let scene = Scene::new(DAEMON, RuntimeKind::Host, OBEYS, "");
    let daemon = scene.place.start().await;
    let client = &daemon.client;
    tracked(&scene, client).await;
    let ran = cli(&scene, &["run", REPO, "Ask", "first", "--branch", "next", "--follow"]);
    assert_eq!(ran.status.code(), Some(1), "{}", said(&ran));
    assert!(said(&ran).contains("r-1 blocked: Which colour?"), "{}", said(&ran));
    let problems = client.problems().await.expect("problems");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!((problems[0].action.as_str(), problems[0].run_id), ("answer", Some(RunId(1))));
    let answered = cli(&scene, &["answer", "r-1", "Green"]);
    assert!(said(&answered).contains("r-2 goes on"), "{}", said(&answered));
    let second =
        wait_until("the second run", DEADLINE, async || client.run(RunId(2)).await.ok().filter(|r| r.ended))
            .await;
    assert_eq!(second.state, "blocked", "it asks again, for the task has not changed");
    let prompt =
        std::fs::read_to_string(place(&scene, "branch-next").join("repo/.git/prompt")).expect("the prompt");
    assert!(prompt.contains("Green"), "{prompt}");
    let ran = cli(&scene, &["run", ".", "Count", "--branch", "other", "--follow"]);
    assert!(ran.status.success(), "{}", said(&ran));
    assert!(said(&ran).contains("counted\n") && said(&ran).contains("r-3 succeeded"), "{}", said(&ran));
    let listed = cli(&scene, &["runs"]);
    assert!(said(&listed).contains("local/sample branch other"), "{}", said(&listed));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_in_words() {
    let scene = Scene::new(DAEMON, RuntimeKind::Host, OBEYS, "");
    let daemon = scene.place.start().await;
    let client = &daemon.client;
    tracked(&scene, client).await;
    let named = |name: &str| DispatchRequest { repo: name.into(), ..on_issue("x") };
    let vars = |n: &str| Some([(n.to_owned(), "v".to_owned())].into());
    let cases: Vec<(DispatchRequest, Code, &str)> = vec![
        (named("local/other"), Code::NotFound, "there are local/sample"),
        (named("sample"), Code::BadRequest, "owner/name"),
        (named(""), Code::BadRequest, "repo is missing"),
        (DispatchRequest { org: Some("acme".into()), ..on_issue("x") }, Code::BadRequest, "not in org acme"),
        (ask("x"), Code::BadRequest, "exactly one"),
        (DispatchRequest { branch: Some("y".into()), ..on_issue("x") }, Code::BadRequest, "exactly one"),
        (on_issue(" "), Code::BadRequest, "task is missing"),
        (on_issue(&"x".repeat(70_000)), Code::BadRequest, "65536 bytes"),
        (DispatchRequest { agent: Some("cluade".into()), ..on_issue("x") }, Code::BadRequest, "claude"),
        (
            DispatchRequest { template: Some("nope".into()), ..on_issue("x") },
            Code::BadRequest,
            "coding, conventions, followup-pr",
        ),
        (
            DispatchRequest { plan_template: Some("nope".into()), ..on_issue("x") },
            Code::BadRequest,
            "bug-fix",
        ),
        (DispatchRequest { plan_template: Some("port".into()), ..on_issue("x") }, Code::BadRequest, "from"),
        (DispatchRequest { variables: vars("odd"), ..on_issue("x") }, Code::BadRequest, "odd"),
        (DispatchRequest { persona: Some("nope".into()), ..on_issue("x") }, Code::BadRequest, "engineer"),
        (DispatchRequest { issue: Some(77), ..ask("x") }, Code::NotFound, "no issue"),
        (DispatchRequest { pr: Some(77), ..ask("x") }, Code::NotFound, "no pull request"),
        (on_branch("x", "main"), Code::BadRequest, "default branch"),
        (on_branch("x", "--upload-pack=x"), Code::BadRequest, "no name of a branch"),
        (DispatchRequest { tag: Some("a..b".into()), ..ask("x") }, Code::BadRequest, "no name of a tag"),
    ];
    for (request, code, part) in cases {
        let (got, why) = refused(client, &request).await;
        assert_eq!(got, code, "{request:?}: {why}");
        assert!(why.contains(part), "{part} is missing in: {why}");
    }
    let claim = ClaimRequest {
        issue: IssueRef { repo_full_name: Some(REPO.into()), issue_number: Some(1), issue_id: None },
        agent_name: "kai".into(),
        force: None,
        claim_id: None,
    };
    client.claim(&claim).await.expect("claimed");
    for dry_run in [None, Some(true)] {
        let (code, why) = refused(client, &DispatchRequest { dry_run, ..on_issue("x") }).await;
        assert_eq!(code, Code::Held, "{why}");
        assert!(why.contains("held by kai"), "{why}");
    }
    assert!(client.runs(&RunsQuery::default()).await.expect("runs").is_empty(), "nothing was started");
    let split =
        DispatchRequest { repo: "sample".into(), org: Some("local".into()), ..on_branch("Count", "b") };
    assert_eq!(client.dispatch(&split).await.expect("it starts").repo, REPO);
    tokio::time::timeout(Duration::from_secs(20), daemon.stop()).await.expect("it stops");
}
