//! Every way in which a run can end, on every engine: what the card and the run say then, and that nothing is left over.
//!
//! Each program leaves a child behind that no signal to a group, session, parent or environment reaches: it has a session of
//! its own, a clean environment, no parent, and ignores TERM.

use std::panic::AssertUnwindSafe;

use dispatch_shared::client::Client;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::runs::{KillRequest, Run};
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::daemon::{Daemon, wait_until};
use dispatch_tests::image::engines;
use dispatch_tests::leftover;
use dispatch_tests::scene::{DEADLINE, Scene};
use futures_util::{FutureExt, StreamExt};

const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");

/// How many scenes go on at once.
const BESIDE: usize = 4;

/// The child. The path in its arguments is how the test finds it.
const STRAY: &str = r#"
(setsid env -i sh -c 'trap "" TERM HUP INT; echo stray; while :; do sleep 1; done' "$PWD/stray" &)
"#;

/// What happens to the run meanwhile.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Nothing.
    Wait,
    /// It is killed once the file is there, below the issue's checkout.
    Kill(&'static str),
    /// It is killed, and killed again before its grace is over.
    KillTwice(&'static str),
    /// The daemon dies as by `kill -9` when it is about to take this step, and comes back.
    DieAt(&'static str),
    /// The daemon is killed with -9 once the file is there, and comes back.
    DieWhen(&'static str),
    /// The daemon is killed with -9 once the file is there, dies again when the next one is about to take this step, and comes back.
    DieAgain(&'static str, &'static str),
    /// The run is killed once the file is there, and the daemon with -9 before that is done; it comes back.
    KillThenDie(&'static str),
    /// The daemon is asked to go once the file is there, ends its program, and comes back.
    Stop(&'static str),
    /// The daemon is killed, the container with all its processes vanishes, the daemon comes back.
    Vanish(&'static str),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Ending {
    name: &'static str,
    script: &'static str,
    /// More lines of `[runner]`.
    config: &'static str,
    act: Act,
    state: &'static str,
    /// What the reason says.
    says: &'static str,
    column: Status,
    failures: u32,
    pulls: usize,
}

/// Work that succeeds.
const WORK: &str = "echo working; echo more >>README.md";
/// Says that it is there, and works until it is told that it is enough or to end.
const LONG: &str = "touch .git/ready; while [ ! -e .git/enough ]; do sleep 0.1; done; echo more >>README.md";
/// Ends for nobody.
const STUBBORN: &str = "trap '' TERM; touch .git/ready; while :; do echo on; sleep 0.2; done";
/// The first time it takes for ever.
const HELD_HOOK: &str = r#"hooks = { before_run = '''test -e .git/held || { touch .git/held; sh -c "sleep 300; true" "$PWD/hook"; }''' }"#;
const HELD_CHECK: &str =
    r#"verify = ['''test -e .git/held || { touch .git/held; sh -c "sleep 300; true" "$PWD/check"; }''']"#;

const GOOD: Ending = Ending {
    name: "success",
    script: WORK,
    config: "",
    act: Act::Wait,
    state: "succeeded",
    says: "",
    column: Status::InReview,
    failures: 0,
    pulls: 1,
};
/// A failure of the task: it is ready again, after a pause.
const BAD: Ending = Ending { column: Status::Ready, failures: 1, pulls: 0, ..GOOD };
/// Killed by the operator.
const KILLED: Ending = Ending {
    state: "killed",
    says: "it was killed by",
    column: Status::Backlog,
    failures: 0,
    pulls: 0,
    ..GOOD
};

const TABLE: &[Ending] = &[
    GOOD,
    Ending {
        name: "failure",
        script: "echo half >half; exit 3",
        state: "failed",
        says: "exit code 3",
        ..BAD
    },
    Ending {
        name: "nothing done",
        script: "true",
        state: "no-changes",
        says: "without a commit",
        column: Status::Backlog,
        failures: 0,
        ..BAD
    },
    Ending {
        name: "block",
        script: "echo half >half; echo 'Which one?' >BLOCKED.md",
        state: "blocked",
        column: Status::InProgress,
        failures: 0,
        ..BAD
    },
    Ending {
        name: "silence",
        script: "trap '' TERM; while :; do sleep 1; done",
        config: "stall_timeout = \"2s\"\ngrace = \"1s\"",
        state: "stalled",
        says: "longer than its stall_timeout",
        ..BAD
    },
    Ending {
        name: "time-out",
        script: STUBBORN,
        config: "timeout = \"2s\"\ngrace = \"1s\"",
        state: "timed-out",
        says: "longer than its timeout",
        ..BAD
    },
    Ending {
        name: "out of memory",
        script: "x=$(head -c 600000000 /dev/zero | tr '\\0' x); echo ${#x}",
        state: "crashed",
        says: "ran out of memory",
        ..BAD
    },
    Ending {
        name: "checks fail",
        script: WORK,
        config: "verify = [\"sh -c 'exit 5'\"]",
        state: "verify-failed",
        says: "exit code 5",
        ..BAD
    },
    Ending { name: "kill", script: LONG, config: "grace = \"1s\"", act: Act::Kill("ready"), ..KILLED },
    Ending {
        name: "kill twice",
        script: STUBBORN,
        config: "grace = \"10m\"",
        act: Act::KillTwice("ready"),
        ..KILLED
    },
    Ending { name: "kill in the hook", config: HELD_HOOK, act: Act::Kill("held"), ..KILLED },
    Ending { name: "kill in the checks", config: HELD_CHECK, act: Act::Kill("held"), ..KILLED },
    Ending {
        name: "kill, and -9 before it is done",
        script: STUBBORN,
        config: "grace = \"2s\"",
        act: Act::KillThenDie("ready"),
        ..KILLED
    },
    Ending {
        name: "-9 while it runs, and again before the push",
        script: LONG,
        act: Act::DieAgain("ready", "runner.push"),
        ..GOOD
    },
    Ending {
        name: "-9 in the checks, and again before the end",
        config: HELD_CHECK,
        act: Act::DieAgain("held", "runner.end"),
        ..GOOD
    },
    Ending { name: "-9 before the fetch", act: Act::DieAt("runner.fetch"), ..GOOD },
    Ending { name: "-9 before the checkout", act: Act::DieAt("runner.workspace"), ..GOOD },
    Ending { name: "-9 in the hook", config: HELD_HOOK, act: Act::DieWhen("held"), ..GOOD },
    Ending { name: "-9 before the start", act: Act::DieAt("runner.start"), ..GOOD },
    Ending { name: "-9 once started, unknown", act: Act::DieAt("runner.started"), ..GOOD },
    Ending { name: "-9 while it runs", script: LONG, act: Act::DieWhen("ready"), ..GOOD },
    Ending {
        name: "-9 before the checks",
        config: "verify = [\"true\"]",
        act: Act::DieAt("runner.verify"),
        ..GOOD
    },
    Ending { name: "-9 in the checks", config: HELD_CHECK, act: Act::DieWhen("held"), ..GOOD },
    Ending { name: "-9 before the push", act: Act::DieAt("runner.push"), ..GOOD },
    Ending { name: "-9 before the pull request", act: Act::DieAt("runner.open_pull"), ..GOOD },
    Ending { name: "-9 before the end", act: Act::DieAt("runner.end"), ..GOOD },
    Ending { name: "-9 before cleaning up", act: Act::DieAt("runner.clean"), ..GOOD },
    Ending {
        name: "stopped with the daemon, begun again",
        script: LONG,
        config: "on_shutdown = \"stop\"\ngrace = \"1s\"",
        act: Act::Stop("ready"),
        ..GOOD
    },
    Ending {
        name: "vanished",
        script: LONG,
        act: Act::Vanish("ready"),
        state: "lost",
        says: "vanished",
        column: Status::Ready,
        ..BAD
    },
];

/// Waits for a file of the checkout.
async fn there(scene: &Scene, file: &str) {
    let path = scene.checkout().join(".git").join(file);
    wait_until(
        &format!("{} ({})\n{}", path.display(), scene.kind, scene.place.log()),
        DEADLINE,
        async || path.exists().then_some(()),
    )
    .await;
}

async fn begin(scene: &Scene) -> Daemon {
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await.expect("it is tracked");
    daemon
}

async fn the_run(scene: &Scene, client: &Client) -> Run {
    wait_until("the run", DEADLINE, async || scene.run(client).await).await
}

/// Lets it happen; returns the daemon that is there afterwards.
async fn act(scene: &mut Scene, act: Act) -> Daemon {
    match act {
        Act::Wait => begin(scene).await,
        Act::Kill(file) | Act::KillTwice(file) => {
            let daemon = begin(scene).await;
            there(scene, file).await;
            let run = the_run(scene, &daemon.client).await;
            let kill = KillRequest { now: false, attempt: Some(run.attempt) };
            assert!(daemon.client.kill(run.id, &kill).await.expect("the kill is taken").stopping);
            if let Act::KillTwice(_) = act {
                let still = the_run(scene, &daemon.client).await;
                assert!(!still.ended && still.stopping, "it has its grace: {still:?}");
                daemon.client.kill(run.id, &KillRequest::default()).await.expect("the second kill is taken");
            }
            daemon
        }
        Act::DieAt(step) => {
            scene.place.env("DISPATCH_TEST_KILL_AT", &format!("{step}:1"));
            let mut daemon = scene.place.start().await;
            // It may die of this already.
            let _ = scene.switch_on(&daemon.client).await;
            wait_until(&format!("the daemon to die at {step}"), DEADLINE, async || daemon.died()).await;
            scene.place.env("DISPATCH_TEST_KILL_AT", "");
            begin(scene).await
        }
        Act::DieWhen(file) => {
            let daemon = begin(scene).await;
            there(scene, file).await;
            daemon.kill();
            std::fs::write(scene.checkout().join(".git/enough"), "").expect("the program can be told");
            begin(scene).await
        }
        Act::DieAgain(file, step) => {
            let daemon = begin(scene).await;
            there(scene, file).await;
            daemon.kill();
            std::fs::write(scene.checkout().join(".git/enough"), "").expect("the program can be told");
            scene.place.env("DISPATCH_TEST_KILL_AT", &format!("{step}:1"));
            // It may be dead before it answers.
            let mut again = scene.place.command().spawn().expect("the daemon can be started");
            wait_until(&format!("the daemon to die at {step}"), DEADLINE, async || {
                again.try_wait().expect("a child can be waited for")
            })
            .await;
            scene.place.env("DISPATCH_TEST_KILL_AT", "");
            begin(scene).await
        }
        Act::KillThenDie(file) => {
            let daemon = begin(scene).await;
            there(scene, file).await;
            let run = the_run(scene, &daemon.client).await;
            daemon.client.kill(run.id, &KillRequest::default()).await.expect("the kill is taken");
            daemon.kill();
            begin(scene).await
        }
        Act::Stop(file) => {
            let daemon = begin(scene).await;
            there(scene, file).await;
            daemon.stop().await;
            let path = scene.checkout().display().to_string();
            let left = leftover::processes(&path);
            assert!(left.is_empty(), "{left:?}\n{}", scene.place.log());
            std::fs::write(scene.checkout().join(".git/enough"), "").expect("the program can be told");
            begin(scene).await
        }
        Act::Vanish(file) => {
            let daemon = begin(scene).await;
            there(scene, file).await;
            scene.running(&daemon.client).await;
            daemon.kill();
            leftover::clear(scene.kind, &scene.place.state());
            begin(scene).await
        }
    }
}

async fn ends(program: &str, kind: RuntimeKind, ending: Ending) {
    let script = format!("{STRAY}{}\n", ending.script);
    let mut scene = Scene::new(program, kind, &script, ending.config);
    let daemon = act(&mut scene, ending.act).await;
    let client = &daemon.client;
    let run = scene.over(client).await;
    let log = scene.place.log();
    assert_eq!(run.state, ending.state, "{run:?}\n{log}");
    let reason = run.reason.clone().unwrap_or_default();
    assert!(reason.contains(ending.says), "{run:?}");
    let told = String::from_utf8(scene.log(client, &run).await).expect("text");
    let last = told.lines().last().unwrap_or_default();
    assert!(
        last.starts_with(&format!("[dispatch] {}", ending.state)) && last.contains(ending.says),
        "{told}"
    );
    scene.nothing_left(&run).await;
    let card = scene.card(client).await;
    assert_eq!(
        (card.column, card.claim, card.failures),
        (ending.column, None, ending.failures),
        "the card: {run:?}"
    );
    assert_eq!(scene.repository.pulls().len(), ending.pulls, "{:?}", scene.repository.pulls());
    assert_eq!(card.linked_pr_number.is_some(), ending.pulls == 1);
    assert!(scene.repository.branches().len() <= ending.pulls, "{:?}", scene.repository.branches());
    assert_eq!(client.control().await.expect("it answers").running, 0);
    daemon.stop().await;
}

/// Those rows of the table on one engine, some side by side; every one that fails is named.
async fn table(program: &str, kind: RuntimeKind, chosen: impl Fn(&Ending) -> bool) {
    let only = std::env::var("DISPATCH_TEST_ENDING").unwrap_or_default();
    let rows = TABLE.iter().filter(|e| e.name.contains(&only) && chosen(e));
    // Nothing bounds the memory of a process of this machine.
    let rows = rows.filter(|e| kind != RuntimeKind::Host || e.name != "out of memory");
    let failed: Vec<String> = futures_util::stream::iter(rows)
        .map(|ending| async move {
            AssertUnwindSafe(ends(program, kind, *ending)).catch_unwind().await.err().map(|why| {
                let why = why.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".into());
                format!("== {kind}: {}: {why}", ending.name)
            })
        })
        .buffer_unordered(BESIDE)
        .filter_map(async |failed| failed)
        .collect()
        .await;
    assert!(failed.is_empty(), "{} rows failed:\n{}", failed.len(), failed.join("\n"));
}

#[tokio::test]
async fn every_ending_in_containers() {
    for kind in engines() {
        table(DAEMON, kind, |_| true).await;
    }
}

#[tokio::test]
async fn every_ending_without_a_container() {
    table(DAEMON, RuntimeKind::Host, |_| true).await;
}

/// Where no control group can be had, a PID namespace keeps together what a program starts.
#[tokio::test]
async fn endings_without_a_control_group() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var("DISPATCH_REQUIRE_ENGINE").is_err(), "this test needs root");
        dispatch_tests::image::say("skipped: only root can take the control groups away from a daemon");
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let program = dir.path().join("test-dispatchd");
    let script = format!(
        "#!/bin/sh\nexec unshare --mount sh -c 'umount -R /sys/fs/cgroup && exec \"$0\" \"$@\"' '{DAEMON}' \"$@\"\n"
    );
    std::fs::write(&program, script).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("ours");
    let program = program.display().to_string();

    let mut scene = Scene::new(&program, RuntimeKind::Host, &format!("{STRAY}{LONG}"), "");
    let daemon = act(&mut scene, Act::Wait).await;
    there(&scene, "ready").await;
    let run = scene.running(&daemon.client).await;
    let notes = std::fs::read_dir(scene.place.state().join("host")).expect("there is a run").flatten();
    let notes: Vec<_> =
        notes.map(|e| (e.path().join("space").exists(), e.path().join("group").exists())).collect();
    assert_eq!(notes, [(true, false)], "the path that is meant is taken\n{}", scene.place.log());
    std::fs::write(scene.checkout().join(".git/enough"), "").expect("the program can be told");
    scene.published_once(&daemon.client).await;
    scene.nothing_left(&run).await;
    daemon.stop().await;

    let rows =
        ["failure", "time-out", "kill", "kill twice", "-9 while it runs", "-9 in the checks", "vanished"];
    let more = ["-9 once started, unknown", "stopped with the daemon, begun again", "-9 before cleaning up"];
    table(&program, RuntimeKind::Host, |e| rows.contains(&e.name) || more.contains(&e.name)).await;
}

/// Holds the first `run` until it is let go, whoever called it being dead by then.
fn slow_engine(scene: &mut Scene) {
    use std::os::unix::fs::PermissionsExt;
    let dir = scene.place.path().join("slow");
    std::fs::create_dir(&dir).expect("made");
    let path = std::env::var("PATH").expect("there is a PATH");
    let (word, at) = (scene.kind.word(), dir.display());
    let script = format!(
        "#!/bin/sh\nPATH='{path}'\nif [ \"$1\" = run ] && mkdir '{at}/held' 2>/dev/null; then\n\
         while [ ! -e '{at}/go' ]; do sleep 0.05; done; \nfi\nexec {word} \"$@\"\n"
    );
    std::fs::write(dir.join(word), script).expect("written");
    std::fs::set_permissions(dir.join(word), std::fs::Permissions::from_mode(0o755)).expect("ours");
    scene.place.env("PATH", &format!("{at}:{path}"));
}

/// The engine's client outlives the daemon that called it, and starts its container only when the next daemon has long
/// started the same.
#[tokio::test]
async fn a_start_that_comes_late_leaves_nothing() {
    for kind in engines() {
        for early in [true, false] {
            let mut scene = Scene::new(DAEMON, kind, LONG, "");
            slow_engine(&mut scene);
            let slow = scene.place.path().join("slow");
            let daemon = begin(&scene).await;
            wait_until("the start", DEADLINE, async || slow.join("held").exists().then_some(())).await;
            daemon.kill();
            let go = || std::fs::write(slow.join("go"), "").expect("written");
            if early {
                go();
            }
            let daemon = begin(&scene).await;
            let run = scene.running(&daemon.client).await;
            go();
            std::fs::write(scene.checkout().join(".git/enough"), "").expect("the program can be told");
            scene.published_once(&daemon.client).await;
            scene.nothing_left(&run).await;
            daemon.stop().await;
        }
    }
}
