//! The daemon dies and comes back while a program works: the run goes on as if nothing had been, and is published once.

use std::process::Command;
use std::time::Duration;

use dispatch_shared::client::Client;
use dispatch_shared::id::RunId;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::runs::{KillRequest, LogQuery, Run};
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::daemon::{Daemon, wait_until};
use dispatch_tests::image::engines;
use dispatch_tests::scene::{DEADLINE, Scene};

const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");

/// Prints numbered lines, some to the other output and some in two pieces, until it is told that it is enough; then edits
/// a file, which says how many there were.
const LINES: &str = r#"
i=0
while [ ! -e .git/enough ]; do
    i=$((i + 1))
    case $i in
    *7) printf 'line %06d of many\n' $i >&2 ;;
    *5) printf 'line %06d' $i; sleep 0.01; printf ' of many\n' ;;
    *) printf 'line %06d of many\n' $i ;;
    esac
    sleep 0.01
done
echo $i >lines.txt
"#;

fn lines(count: usize) -> Vec<u8> {
    use std::io::Write;
    let mut all = Vec::new();
    for i in 1..=count {
        writeln!(all, "line {i:06} of many").expect("memory takes it");
    }
    all
}

/// The last whole line's number.
fn reached(log: &[u8]) -> usize {
    let text = String::from_utf8_lossy(log);
    let last = text.rsplit('\n').nth(1).unwrap_or_default();
    last.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Every runtime of this machine.
fn kinds() -> Vec<RuntimeKind> {
    let mut kinds = engines();
    kinds.push(RuntimeKind::Host);
    kinds
}

/// What the engine itself has of the log.
fn engine_log(scene: &Scene, run: &Run) -> Vec<u8> {
    if scene.kind == RuntimeKind::Host {
        let dir = scene.place.state().join(format!("host/{}-{}", run.id, run.attempt.0));
        return std::fs::read(dir.join("log")).expect("the host runtime keeps a log");
    }
    let name = run.container.as_deref().expect("it has a container");
    let output = Command::new(scene.kind.word()).args(["logs", name]).output().expect("the engine answers");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Reads the log as a screen would: follows it, and comes back at the byte that it has reached when the daemon is gone.
/// An end is believed only if the run is over then, which is asserted unless `polite` daemons may end the stream.
async fn follower(client: Client, run: RunId, polite: bool) -> Vec<u8> {
    let mut all = Vec::new();
    wait_until("the followed log to end", DEADLINE, async || {
        let query = LogQuery { offset: Some(all.len() as u64), follow: Some(true), ..LogQuery::default() };
        let Ok(mut log) = client.log(run, &query).await else { return None };
        assert_eq!(log.offset, all.len() as u64, "the log is at least as long as it was");
        loop {
            match log.next().await {
                Ok(Some(bytes)) => all.extend_from_slice(&bytes),
                Ok(None) => break,
                Err(_) => return None,
            }
        }
        let over = client.run(run).await.is_ok_and(|r| r.ended);
        assert!(over || polite, "the log ended after {} bytes although the run is not over", all.len());
        over.then_some(())
    })
    .await;
    all
}

/// How the daemon goes away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Away {
    Killed,
    Stopped,
}

async fn adopted(kind: RuntimeKind, away: Away) {
    let scene = Scene::new(DAEMON, kind, LINES, "");
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await.expect("it is tracked");
    let run = scene.running(&daemon.client).await;
    scene.said(&daemon.client, &run, "line 000030 of many\n").await;
    let reader = follower(daemon.client.clone(), run.id, away == Away::Stopped);
    let (followed, (daemon, log)) = tokio::join!(reader, gone_and_back(&scene, daemon, &run, away));
    assert_eq!(
        String::from_utf8_lossy(&followed),
        String::from_utf8_lossy(&log),
        "{kind}: who follows sees all of it"
    );
    daemon.stop().await;
}

/// Takes the daemon away while the program works and starts it again; returns the new one and the whole log.
async fn gone_and_back(scene: &Scene, daemon: Daemon, before: &Run, away: Away) -> (Daemon, Vec<u8>) {
    let kind = scene.kind;
    scene.lease(&daemon.client, before).await;
    match away {
        Away::Killed => daemon.kill(),
        Away::Stopped => daemon.stop().await,
    }
    let at_death = reached(&engine_log(scene, before));
    wait_until("more lines without a daemon", DEADLINE, async || {
        (reached(&engine_log(scene, before)) > at_death + 60).then_some(())
    })
    .await;

    let daemon = scene.place.start().await;
    let client = &daemon.client;
    // Renewed at once: it would have lapsed soon, and the next renewal in the usual rhythm is a second away.
    wait_until("the lease to be renewed", Duration::from_millis(900), async || {
        (scene.lease(client, before).await > Duration::from_millis(2_500)).then_some(())
    })
    .await;
    scene.said(client, before, &format!("line {:06} of many\n", at_death + 100)).await;
    let after = scene.running(client).await;
    assert_eq!(
        (after.id, after.attempt, after.claim_id, &after.container, &after.phases),
        (before.id, before.attempt, before.claim_id, &before.container, &before.phases),
        "{kind}: the same run"
    );
    assert!(scene.lease(client, before).await > Duration::ZERO, "{kind}: the lease has not lapsed");
    let (theirs, ours) = (engine_log(scene, &after), scene.log(client, &after).await);
    let common = theirs.len().min(ours.len());
    assert!(common > 0 && theirs[..common] == ours[..common], "{kind}: the engine's log is ours");

    std::fs::write(scene.checkout().join(".git/enough"), "").expect("the program can be told");
    scene.published_once(client).await;
    scene.nothing_left(&after).await;
    let branch = &scene.repository.branches()[0];
    let count = scene.repository.git(&["show", &format!("{branch}:lines.txt")]);
    let expected = lines(count.trim().parse().expect("a number"));
    let log = scene.log(client, &after).await;
    assert_eq!(
        String::from_utf8_lossy(&log[..expected.len().min(log.len())]),
        String::from_utf8_lossy(&expected),
        "{kind}: no gap and no repeat"
    );
    let rest = String::from_utf8_lossy(&log[expected.len()..]).into_owned();
    assert!(rest.lines().all(|l| l.starts_with("[dispatch] ")), "{kind}: {rest}");
    assert!(rest.ends_with("[dispatch] succeeded\n"), "{kind}: {rest}");
    (daemon, log)
}

#[tokio::test]
async fn a_killed_daemon_takes_up_its_containers_again() {
    for kind in engines() {
        adopted(kind, Away::Killed).await;
    }
}

#[tokio::test]
async fn a_killed_daemon_takes_up_its_processes_again() {
    adopted(RuntimeKind::Host, Away::Killed).await;
}

#[tokio::test]
async fn a_stopped_daemon_leaves_its_runs_and_takes_them_up_again() {
    for kind in kinds() {
        adopted(kind, Away::Stopped).await;
    }
}

/// The program and a child in a session of its own both ignore TERM.
const STUBBORN: &str = r#"
trap '' TERM
setsid sh -c 'trap "" TERM; echo child; while :; do sleep 1; done' &
echo ready
while :; do sleep 1; done
"#;

#[tokio::test]
async fn a_kill_ends_every_child_and_a_second_one_skips_the_grace() {
    for kind in kinds() {
        let scene = Scene::new(DAEMON, kind, STUBBORN, "grace = \"10m\"");
        let daemon = scene.place.start().await;
        let client = &daemon.client;
        scene.switch_on(client).await.expect("it is tracked");
        let run = scene.running(client).await;
        scene.said(client, &run, "ready\n").await;
        scene.said(client, &run, "child\n").await;
        let first = client.kill(run.id, &KillRequest { now: false, attempt: Some(run.attempt) }).await;
        assert!(first.expect("the kill is taken").stopping);
        // A retry would be taken up at once.
        client.freeze(true).await.expect("frozen");
        let still = scene.run(client).await.expect("it is there");
        assert!(!still.ended && still.stopping, "{kind}: it has ten minutes: {still:?}");
        client.kill(run.id, &KillRequest::default()).await.expect("the second kill is taken");
        let over = scene.over(client).await;
        assert_eq!(over.state, "killed", "{kind}: {over:?}");
        scene.nothing_left(&run).await;
        let card = scene.card(client).await;
        assert_eq!((card.column, card.claim, card.failures), (Status::Backlog, None, 0), "{kind}");
        assert_eq!(scene.repository.pulls(), Vec::<String>::new(), "{kind}");
        client.retry(run.id).await.expect("an operator may try again");
        assert_eq!(scene.card(client).await.column, Status::Ready, "{kind}");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn what_a_crash_left_of_an_ended_run_is_taken_away() {
    for kind in kinds() {
        let mut scene = Scene::new(DAEMON, kind, STUBBORN, "grace = \"1s\"");
        scene.place.env("DISPATCH_TEST_KILL_AT", "runner.clean:1");
        let mut daemon = scene.place.start().await;
        scene.switch_on(&daemon.client).await.expect("it is tracked");
        let run = scene.running(&daemon.client).await;
        scene.said(&daemon.client, &run, "child\n").await;
        daemon.client.kill(run.id, &KillRequest::default()).await.expect("the kill is taken");
        wait_until("the daemon to die", DEADLINE, async || daemon.died()).await;
        scene.place.env("DISPATCH_TEST_KILL_AT", "");
        let daemon = scene.place.start().await;
        assert_eq!(scene.over(&daemon.client).await.state, "killed", "{kind}");
        scene.nothing_left(&run).await;
        daemon.stop().await;
    }
}

/// Speaks, then says nothing any more.
const SILENT: &str = "echo ready; trap '' TERM; while :; do sleep 1; done";
/// Speaks for ever.
const TALKING: &str = "trap '' TERM; while :; do echo ready; sleep 0.2; done";

async fn ends_as(kind: RuntimeKind, script: &str, limits: &str, class: &str, why: &str) {
    let scene = Scene::new(DAEMON, kind, script, &format!("grace = \"1s\"\n{limits}"));
    let daemon = scene.place.start().await;
    let client = &daemon.client;
    scene.switch_on(client).await.expect("it is tracked");
    let over = scene.over(client).await;
    assert_eq!(over.state, class, "{kind}: {over:?}\n{}", scene.place.log());
    assert!(over.reason.as_deref().is_some_and(|r| r.contains(why)), "{kind}: {over:?}");
    assert!(scene.log(client, &over).await.starts_with(b"ready\n"), "{kind}: what it said is kept");
    scene.nothing_left(&over).await;
    let card = scene.card(client).await;
    assert_eq!((card.claim, card.failures), (None, 1), "{kind}: it counts as a failure");
    daemon.stop().await;
}

#[tokio::test]
async fn time_and_silence_end_a_run() {
    for kind in kinds() {
        tokio::join!(
            ends_as(kind, TALKING, "timeout = \"2s\"", "timed-out", "its timeout"),
            ends_as(kind, SILENT, "stall_timeout = \"2s\"", "stalled", "its stall_timeout"),
        );
    }
}

/// Kills the daemon at `step`, starts it again, and sees the issue through. Returns false if the step never came.
async fn killed_at(step: &str, nth: u64) -> bool {
    let mut scene = Scene::new(DAEMON, RuntimeKind::Host, "echo working; echo more >>README.md", "");
    scene.place.env("DISPATCH_TEST_KILL_AT", &format!("{step}:{nth}"));
    let client = scene.place.client();
    let mut child = scene.place.command().spawn().expect("the daemon can be started");
    let mut on = false;
    let died = wait_until("the daemon to die or the run to end", DEADLINE, async || {
        if child.try_wait().expect("a child can be waited for").is_some() {
            return Some(true);
        }
        on = on || scene.switch_on(&client).await.is_ok();
        let run = scene.run(&client).await;
        run.is_some_and(|r| r.ended).then_some(false)
    })
    .await;
    if !died {
        let _ = child.kill();
        let _ = child.wait();
    }
    scene.place.env("DISPATCH_TEST_KILL_AT", "");
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await.expect("it is tracked");
    scene.published_once(&daemon.client).await;
    let run = scene.over(&daemon.client).await;
    scene.nothing_left(&run).await;
    let control = daemon.client.control().await.expect("it answers");
    assert_eq!(control.running, 0, "{step}:{nth}: no run is in limbo");
    daemon.stop().await;
    died
}

const STEPS: [&str; 9] = [
    "runner.fetch",
    "runner.workspace",
    "runner.start",
    "runner.push",
    "runner.open_pull",
    "runner.end",
    "runner.clean",
    "forge.open_pull",
    "forge.add_labels",
];

#[tokio::test]
async fn a_daemon_killed_at_any_step_of_a_run_publishes_once() {
    for step in STEPS {
        assert!(killed_at(step, 1).await, "{step} never came");
    }
}

#[tokio::test]
async fn a_daemon_killed_at_any_commit_publishes_once() {
    let full = std::env::var("DISPATCH_TEST_FULL").is_ok_and(|v| v == "1");
    for step in ["store.commit", "store.answer"] {
        let mut nth = 1;
        while killed_at(step, nth).await {
            nth += if full { 1 } else { 3 };
        }
        assert!(nth > 6, "{step} came only {nth} times");
    }
}
