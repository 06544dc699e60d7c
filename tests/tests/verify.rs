//! What follows a program's end, on every engine: the repository's checks, another round where they fail, and conversations that
//! go on. The program is a script that speaks like codex: it keeps its conversation below its home, takes it up again when it
//! is asked to, and tells what the whole conversation has used.

use dispatch_shared::client::Client;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::runs::{Run, RunsQuery};
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::daemon::{Daemon, wait_until};
use dispatch_tests::image::engines;
use dispatch_tests::scene::{DEADLINE, Scene};
use dispatchd::edges::{Clock as _, SystemClock};

const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");

/// Each start leaves its prompt as `.git/prompt-N`. It does what is missing once it has heard of `boom`, and asks something
/// first where `.git/ask` is.
const TALKER: &str = r#"
prompt=$(cat); kept=$HOME/.talker; n=0
started=$(ls .git | grep -c '^prompt-'); started=$((started + 1))
printf '%s\n' "$prompt" >.git/prompt-$started
if [ "$1" = resume ]; then
    session=$2
    test -f "$kept/$session" -a ! -e .git/refuse || { echo "no conversation found with $session"; exit 1; }
    n=$(cat "$kept/$session")
else
    session=s-$started
fi
n=$((n + 1)); mkdir -p "$kept"; echo $n >"$kept/$session"
echo "{\"type\":\"thread.started\",\"thread_id\":\"$session\"}"
echo '{"type":"turn.started"}'
echo "{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"start $started speaks\"}}"
case $prompt in *boom*) echo yes >fixed ;; esac
if [ -e .git/stay ] && [ $started -gt 1 ]; then
    touch .git/stays; while [ ! -e .git/enough ]; do sleep 0.1; done
fi
if [ -e .git/ask ] && [ $started = 1 ]; then echo 'Which one?' >BLOCKED.md; else echo more >>README.md; fi
echo "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":$((n * 100)),\"cached_input_tokens\":0,\"output_tokens\":$((n * 10))}}"
"#;

/// Fails until somebody has done what it asks for.
const CHECK: &str =
    r#"verify = ["echo looking; test -e fixed || { echo 'error: boom, nothing is fixed'; exit 7; }"]"#;

/// What the program's prompts begin with where they tell all.
const WHOLE: &str = "You work alone on one issue";

fn scene(kind: RuntimeKind, runner: &str) -> Scene {
    let scene = Scene::new(DAEMON, kind, "true", "");
    scene.place.configure(&format!(
        "[queue]\nrunner_lease = \"3s\"\n\n[runner]\nruntime = \"{kind}\"\nimage = \"{}\"\nagent = \"talker\"\n\
         network = \"none\"\nmemory = \"256m\"\n{runner}\n\n[runner.agents.talker]\nformat = \"codex-json\"\n\
         argv = [\"sh\", \"-c\", '''{TALKER}''', \"talker\", \"{{resume}}\"]\nresume = [\"resume\", \"{{session}}\"]\n\
         sessions = [\".talker\"]\n",
        dispatch_tests::image::IMAGE
    ));
    scene
}

fn kinds() -> Vec<RuntimeKind> {
    let mut kinds = engines();
    kinds.push(RuntimeKind::Host);
    kinds
}

async fn begin(scene: &Scene) -> Daemon {
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await.expect("it is tracked");
    daemon
}

/// Files of the checkout's `.git`, made before there is a checkout, by way of a hook of the operator's.
fn with(files: &[&str]) -> String {
    let touch: Vec<String> = files.iter().map(|f| format!(".git/{f}")).collect();
    format!("hooks = {{ after_create = \"touch {}\" }}", touch.join(" "))
}

fn prompts(scene: &Scene) -> Vec<String> {
    let prompt = |n: usize| std::fs::read_to_string(scene.checkout().join(format!(".git/prompt-{n}"))).ok();
    (1..).map_while(prompt).collect()
}

/// The newest run once it is over, and another one than `before`.
async fn ended(client: &Client, before: Option<&Run>) -> Run {
    wait_until("the newest run to be over", DEADLINE, async || {
        let runs = client.runs(&RunsQuery::default()).await.ok()?;
        runs.into_iter().next().filter(|r| r.ended && before.is_none_or(|b| b.id != r.id))
    })
    .await
}

fn pull(scene: &Scene) -> String {
    let names = scene.repository.pulls();
    assert_eq!(names.len(), 1, "one pull request: {names:?}");
    std::fs::read_to_string(scene.repository.path().join(".dispatch/pulls").join(&names[0])).expect("there")
}

fn comments(scene: &Scene) -> Vec<String> {
    let below = |dir: std::path::PathBuf| {
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>()
    };
    let all = below(scene.repository.path().join(".dispatch/comments")).into_iter().flat_map(below);
    all.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

/// Checks that failed once and passed then: the same run, the same conversation, one pull request, everything counted once.
async fn two_rounds(scene: &Scene, client: &Client, kind: RuntimeKind) -> Run {
    let run = ended(client, None).await;
    assert_eq!(run.state, "succeeded", "{kind}: {run:?}\n{}", scene.place.log());
    let passed: Vec<bool> = run.checks.iter().map(|c| c.passed).collect();
    assert_eq!(passed, [false, true], "{kind}: {run:?}");
    let failed = &run.checks[0];
    assert!(failed.reason.as_ref().is_some_and(|r| r.contains("exit code 7")), "{kind}: {failed:?}");
    assert!(failed.output.contains("boom, nothing is fixed"), "{kind}: {failed:?}");
    assert_eq!((run.session.as_deref(), run.resumed.as_deref()), (Some("s-1"), Some("s-1")), "{kind}");
    // The second round told 200 and 20 for both together.
    assert_eq!((run.usage.input_tokens, run.usage.output_tokens), (200, 20), "{kind}: {run:?}");
    let told = prompts(scene);
    assert_eq!(told.len(), 2, "{kind}: {told:?}");
    assert!(told[0].starts_with(WHOLE) && !told[1].contains(WHOLE), "{kind}: {told:?}");
    assert!(
        told[1].contains("boom, nothing is fixed") && told[1].contains("exit code 7"),
        "{kind}: {told:?}"
    );
    let pull = pull(scene);
    assert!(
        pull.split("---\n").nth(2).is_some_and(|body| body.trim_start().starts_with("Fixes #1\n")),
        "{pull}"
    );
    assert!(pull.contains("The repository's checks passed.") && pull.contains("`talker`"), "{pull}");
    assert_eq!(comments(scene), Vec::<String>::new(), "{kind}: nobody hears of an update of what is new");
    let log = String::from_utf8_lossy(&scene.log(client, &run).await).into_owned();
    for said in ["start 1 speaks", "start 2 speaks", "error: boom", "its program is told", "checks passed"] {
        assert!(log.contains(said), "{kind}: {said}: {log}");
    }
    scene.nothing_left(&run).await;
    run
}

#[tokio::test]
async fn work_that_fails_the_checks_goes_back_once_and_is_published_once() {
    use std::os::unix::fs::PermissionsExt;
    for kind in kinds() {
        let scene = scene(kind, CHECK);
        let daemon = begin(&scene).await;
        let run = two_rounds(&scene, &daemon.client, kind).await;
        let phases: Vec<&str> = run.phases.iter().map(|p| p.phase.word()).collect();
        let round = ["preparing", "running", "verifying"];
        let wanted: Vec<&str> =
            ["queued"].into_iter().chain(round).chain(round).chain(["publishing"]).collect();
        assert_eq!(phases, wanted, "{kind}");
        let rows = scene.audit(&daemon.client, "continue_run").await;
        assert!(
            rows.len() == 1 && rows[0].notes.as_ref().is_some_and(|n| n.contains("exit code 7")),
            "{rows:?}"
        );
        let kept = scene.checkout().with_file_name(".sessions");
        let mode = |path: &std::path::Path| {
            std::fs::metadata(path).expect("it is kept").permissions().mode() & 0o777
        };
        assert_eq!((mode(&kept), mode(&kept.join("talker"))), (0o700, 0o700), "{kind}");
        let card = scene.card(&daemon.client).await;
        assert_eq!((card.column, card.failures), (Status::InReview, 0), "{kind}");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn work_that_always_fails_the_checks_ends_with_what_they_said() {
    for kind in kinds() {
        let never = "verify = [\"echo 'error: never good'; exit 9\"]\nverify_retries = 2";
        let scene = scene(kind, never);
        let daemon = begin(&scene).await;
        let run = ended(&daemon.client, None).await;
        assert_eq!(run.state, "verify-failed", "{kind}: {run:?}\n{}", scene.place.log());
        assert!(run.reason.as_ref().is_some_and(|r| r.contains("exit code 9")), "{kind}: {run:?}");
        assert_eq!(run.checks.len(), 3, "{kind}: {run:?}");
        assert!(run.checks.iter().all(|c| !c.passed && c.output.contains("never good")), "{kind}: {run:?}");
        assert_eq!(prompts(&scene).len(), 3, "{kind}");
        assert_eq!((run.usage.input_tokens, run.usage.output_tokens), (300, 30), "{kind}: counted once");
        let card = scene.card(&daemon.client).await;
        assert_eq!((card.column, card.failures), (Status::Ready, 1), "{kind}: {run:?}");
        assert!(scene.repository.pulls().is_empty() && scene.repository.branches().is_empty(), "{kind}");
        scene.nothing_left(&run).await;
        daemon.stop().await;
    }
}

/// The daemon dies at every step from the first failed checks to the second round's, and once more while the program of the
/// second round works.
#[tokio::test]
async fn a_daemon_that_dies_between_the_rounds_changes_nothing() {
    for kind in kinds() {
        for at in
            ["runner.verified:1", "runner.fetch:2", "runner.start:2", "runner.started:2", "runner.verify:2"]
        {
            let mut scene = scene(kind, CHECK);
            scene.place.env("DISPATCH_TEST_KILL_AT", at);
            let mut daemon = begin(&scene).await;
            wait_until(&format!("the daemon to die at {at} ({kind})"), DEADLINE, async || daemon.died())
                .await;
            scene.place.env("DISPATCH_TEST_KILL_AT", "");
            let daemon = begin(&scene).await;
            two_rounds(&scene, &daemon.client, kind).await;
            daemon.stop().await;
        }
        let scene = scene(kind, &format!("{CHECK}\n{}", with(&["stay"])));
        let daemon = begin(&scene).await;
        let stays = scene.checkout().join(".git/stays");
        wait_until("the second round", DEADLINE, async || stays.exists().then_some(())).await;
        let run = scene.running(&daemon.client).await;
        scene.said(&daemon.client, &run, "start 2 speaks").await;
        daemon.kill();
        let daemon = begin(&scene).await;
        std::fs::write(scene.checkout().join(".git/enough"), "").expect("the program can be told");
        let run = two_rounds(&scene, &daemon.client, kind).await;
        let log = String::from_utf8_lossy(&scene.log(&daemon.client, &run).await).into_owned();
        assert_eq!(log.matches("start 2 speaks").count(), 1, "{kind}: {log}");
        daemon.stop().await;
    }
}

/// What the checks run is an agent's code: in a container it stays there, without the program's credentials.
#[tokio::test]
async fn the_checks_run_where_the_program_ran_and_nowhere_else() {
    for kind in engines() {
        let mark = format!("/tmp/dispatch-checked-{}-{kind}", std::process::id());
        let check = format!(
            "verify = [\"test -e /dispatch/prompt && touch {mark} && touch .git/checked && test -z \\\"$(ls -A $HOME)\\\"\"]"
        );
        let scene = scene(kind, &check);
        assert!(!std::path::Path::new("/dispatch/prompt").exists(), "only a container has this");
        let daemon = begin(&scene).await;
        let run = ended(&daemon.client, None).await;
        assert_eq!(run.state, "succeeded", "{kind}: {run:?}\n{}", scene.place.log());
        assert!(scene.checkout().join(".git/checked").exists(), "{kind}: the checks ran");
        assert!(!std::path::Path::new(&mark).exists(), "{kind}: not on this machine");
        daemon.stop().await;
    }
}

/// What checks leave behind is not the program's work.
#[tokio::test]
async fn what_the_checks_leave_is_never_published() {
    let leave = "verify = [\"echo junk >junk; echo more >>README.md; test -e fixed || { echo 'error: boom'; exit 7; }\"]";
    let scene = scene(RuntimeKind::Host, leave);
    let daemon = begin(&scene).await;
    let run = ended(&daemon.client, None).await;
    assert_eq!(run.state, "succeeded", "{run:?}\n{}", scene.place.log());
    let branch = scene.repository.branches().remove(0);
    let files = scene.repository.git(&["ls-tree", "--name-only", &branch]);
    assert_eq!(files.lines().collect::<Vec<_>>(), ["README.md", "fixed"]);
    let text = scene.repository.git(&["show", &format!("{branch}:README.md")]);
    assert_eq!(text.matches("more").count(), 2, "one line a round: {text}");
    daemon.stop().await;
}

#[tokio::test]
async fn an_answer_goes_on_with_the_conversation_that_asked() {
    for kind in kinds() {
        let scene = scene(kind, &with(&["ask"]));
        let daemon = begin(&scene).await;
        let asked = ended(&daemon.client, None).await;
        assert_eq!(
            (asked.state.as_str(), asked.question.as_deref()),
            ("blocked", Some("Which one?")),
            "{kind}"
        );
        daemon.client.answer(asked.id, "The second, please.").await.expect("it is taken");
        let run = ended(&daemon.client, Some(&asked)).await;
        assert_eq!(run.state, "succeeded", "{kind}: {run:?}\n{}", scene.place.log());
        assert_eq!((run.session.as_deref(), run.resumed.as_deref()), (Some("s-1"), Some("s-1")), "{kind}");
        assert_eq!(run.usage.input_tokens, 100, "{kind}: only what came on top");
        let told = prompts(&scene);
        assert!(told[1].contains("The second, please.") && !told[1].contains(WHOLE), "{kind}: {told:?}");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_conversation_that_is_not_there_any_more_begins_anew_with_the_whole_prompt() {
    for refused in [false, true] {
        let files: &[&str] = if refused { &["ask", "refuse"] } else { &["ask"] };
        let scene = scene(RuntimeKind::Host, &with(files));
        let daemon = begin(&scene).await;
        let asked = ended(&daemon.client, None).await;
        assert_eq!(asked.state, "blocked", "{asked:?}");
        if !refused {
            let kept = scene.checkout().with_file_name(".sessions");
            std::fs::remove_dir_all(kept).expect("it was kept");
        }
        daemon.client.answer(asked.id, "The second, please.").await.expect("it is taken");
        let run = ended(&daemon.client, Some(&asked)).await;
        assert_eq!(run.state, "succeeded", "{run:?}\n{}", scene.place.log());
        let told = prompts(&scene);
        let last = told.last().expect("it was told something");
        assert!(last.starts_with(WHOLE) && last.contains("The second, please."), "{told:?}");
        assert_eq!(told.len(), if refused { 3 } else { 2 }, "{told:?}");
        assert_eq!(scene.card(&daemon.client).await.failures, 0);
        daemon.stop().await;
    }
}

/// A second run on an issue whose pull request is open: the same conversation, the same pull request, one comment.
#[tokio::test]
async fn an_update_of_a_pull_request_is_said_there_once() {
    for at in ["", "runner.end:1"] {
        let mut scene = scene(RuntimeKind::Host, "");
        let daemon = begin(&scene).await;
        let first = ended(&daemon.client, None).await;
        assert_eq!(first.state, "succeeded", "{first:?}");
        let published = first.ended_at.expect("it is over");
        wait_until("forges to count another second", DEADLINE, async || {
            (SystemClock.now().since(published).as_secs() >= 1).then_some(())
        })
        .await;
        daemon.stop().await;
        scene.place.env("DISPATCH_TEST_KILL_AT", at);
        let mut daemon = begin(&scene).await;
        daemon.client.retry(first.id).await.expect("it can be done again");
        if !at.is_empty() {
            wait_until("the daemon to die", DEADLINE, async || daemon.died()).await;
            scene.place.env("DISPATCH_TEST_KILL_AT", "");
            daemon = begin(&scene).await;
        }
        let second = ended(&daemon.client, Some(&first)).await;
        assert_eq!(second.state, "succeeded", "{second:?}\n{}", scene.place.log());
        assert_eq!(second.pull_request_number, first.pull_request_number);
        assert_eq!(second.resumed.as_deref(), Some("s-1"), "there is more to do where it had worked");
        assert!(prompts(&scene)[1].starts_with(WHOLE), "what there is to do is told whole");
        pull(&scene);
        let said = comments(&scene);
        assert_eq!(said.len(), 1, "{at}: {said:?}");
        let marker = format!("<!-- dispatch:{}-{} -->", second.id, second.attempt.0);
        assert!(said[0].contains(&marker) && said[0].contains("Pushed "), "{said:?}");
        daemon.stop().await;
    }
}
