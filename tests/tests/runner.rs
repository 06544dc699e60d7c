//! The runner from a ready card to a pull request and to every other end, with the real store, the local forge, git, and
//! each engine that is here.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::followup::PullState;
use dispatch_shared::id::{RepoKey, RunId};
use dispatch_shared::issue::Status;
use dispatch_shared::run::{EndClass, Phase, RunState, RuntimeKind};
use dispatch_tests::image::{IMAGE, build, engines};
use dispatch_tests::ledger::issue;
use dispatchd::core::command::{Command, Synced, Track};
use dispatchd::core::policy::Policy;
use dispatchd::core::record::{CardKey, ForgeKind, Repo, Run, Source};
use dispatchd::core::world::World;
use dispatchd::edges::{Edges, Forge as _, Forges as _};
use dispatchd::forge::Forges;
use dispatchd::forge::local::LocalForge;
use dispatchd::ledger::{Door, Ledger};
use dispatchd::runner::Runner;
use dispatchd::runner::agents::Entry;
use dispatchd::runner::log::{RunLogs, Stream};
use dispatchd::runner::runtime::of_kind;
use dispatchd::runner::settings::{Settings, Span, Verify};
use dispatchd::store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(60);

/// A repository with a ready issue #1, and a runner whose one program is a script.
struct Scene {
    dir: tempfile::TempDir,
    kind: RuntimeKind,
    key: RepoKey,
    store: Arc<Store>,
    logs: Arc<RunLogs>,
    forges: Arc<Forges>,
    settings: Settings,
    runner: Option<(CancellationToken, JoinHandle<()>)>,
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Process::new("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@x", "-c", "safe.directory=*"])
        .args(args)
        .output()
        .expect("git is there");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Scene {
    async fn new(kind: RuntimeKind, script: &str) -> Self {
        if kind != RuntimeKind::Host {
            build(kind);
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("passable");
        let (state, origin) = (dir.path().join("state"), dir.path().join("origin"));
        for d in [&state, &origin] {
            std::fs::create_dir(d).expect("made");
        }
        git(&origin, &["init", "-q", "-b", "main"]);
        std::fs::write(origin.join("README.md"), "A sample.\n").expect("written");
        git(&origin, &["add", "."]);
        git(&origin, &["commit", "-q", "-m", "Begin"]);
        let policy = Policy { default_program: "scripted".into(), ..Policy::default() };
        let store = Arc::new(Store::open(&state, Edges::default(), Arc::new(policy)).expect("a store"));
        let local = Arc::new(LocalForge::new(Edges::default()));
        let forges = Arc::new(Forges { github: None, local: local.clone() });
        let entry = Entry { argv: Some(["sh", "-c", script].map(str::to_owned).into()), ..Entry::default() };
        let settings = Settings {
            image: IMAGE.into(),
            network: "none".into(),
            grace: Span(Duration::from_secs(1)),
            agents: BTreeMap::from([("scripted".to_owned(), entry)]),
            ..Settings::default()
        };
        let logs = RunLogs::new(&state, 1 << 20);
        let unknown = Repo {
            forge: ForgeKind::Local,
            path: Some(origin.clone()),
            ..Repo::unknown("local/sample".parse().expect("it is owner/name"))
        };
        let seen = local.repository(&unknown).await.expect("it is a repository");
        let key = seen.key.clone();
        let mut scene = Self { dir, kind, key, store, logs, forges, settings, runner: None };
        let track = Track {
            seen,
            forge: ForgeKind::Local,
            path: Some(origin),
            source: Source::User,
            runner_enabled: true,
            actor: "operator".into(),
        };
        scene.submit(Command::Track(track)).await;
        scene.ready(1).await;
        scene.start();
        scene
    }

    fn origin(&self) -> PathBuf {
        self.dir.path().join("origin")
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn start(&mut self) {
        let (door, forges): (Door, _) = (self.store.clone(), self.forges.clone());
        let state = self.state();
        let runner =
            Runner::new(door, forges, Edges::default(), self.settings.clone(), &state, self.logs.clone())
                .expect("the settings are fine")
                .with_engine(of_kind(self.kind, &state.canonicalize().expect("it is there")));
        let stop = CancellationToken::new();
        self.runner = Some((stop.clone(), tokio::spawn(runner.run(stop))));
    }

    async fn stop(&mut self) {
        if let Some((stop, task)) = self.runner.take() {
            stop.cancel();
            tokio::time::timeout(DEADLINE, task).await.expect("it stops").expect("it did not panic");
        }
    }

    async fn submit(&self, command: Command) {
        self.store.submit(command).await.expect("it is taken");
    }

    async fn ready(&self, number: u64) {
        let synced =
            Synced { repo: Some(self.key.clone()), issues: vec![issue(number)], ..Synced::default() };
        self.submit(Command::Synced(synced)).await;
    }

    /// Waits until the world is as `so` says.
    async fn until<T>(&self, what: &str, so: impl Fn(&World) -> Option<T>) -> T {
        let mut commits = self.store.commits();
        let waiting = async {
            loop {
                commits.mark_unchanged();
                if let Some(found) = so(&self.store.snapshot()) {
                    return found;
                }
                commits.changed().await.expect("the store is open");
            }
        };
        match tokio::time::timeout(DEADLINE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("{what} did not come ({}): {:#?}", self.kind, self.store.snapshot().runs),
        }
    }

    async fn ended(&self, run: u64) -> Arc<Run> {
        self.until("the end of the run", |w| w.runs.get(&RunId(run)).filter(|r| !r.state.is_live()).cloned())
            .await
    }

    /// Waits until the program of the first run has said `mark`.
    async fn said(&self, mark: &str) {
        let run = self
            .until("the run", |w| {
                let begun =
                    |r: &&Arc<Run>| !matches!(r.state, RunState::Live(Phase::Queued | Phase::Preparing));
                w.runs.get(&RunId(1)).filter(begun).cloned()
            })
            .await;
        assert!(run.state.is_live(), "{}: {:?}", self.kind, run.reason);
        let mut reach = self.logs.follow(RunId(1));
        let waiting = async {
            while !self.log(Stream::Raw).contains(mark) {
                reach.changed().await.expect("the log goes on");
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.expect(mark);
    }

    fn log(&self, stream: Stream) -> String {
        match self.logs.open(RunId(1), stream, 0) {
            Ok(file) => std::io::read_to_string(file).expect("text"),
            Err(_) => String::new(),
        }
    }

    fn workspace(&self) -> PathBuf {
        self.state().join("workspaces/local/sample/issue-1")
    }

    /// Ends the runner; nothing of a run may be left with the engine, and no home on the disk.
    async fn close(mut self) {
        self.stop().await;
        let left = of_kind(self.kind, &self.state()).list().await.expect("a list");
        assert!(left.is_empty(), "{}: {left:?}", self.kind);
        let home = self.workspace().join(".meta/r-1/home");
        assert!(!home.exists(), "{}: the home goes with the run", self.kind);
    }
}

fn kinds() -> Vec<RuntimeKind> {
    let mut kinds = engines();
    kinds.push(RuntimeKind::Host);
    kinds
}

#[tokio::test]
async fn a_ready_card_becomes_a_pull_request() {
    for kind in kinds() {
        let script =
            "grep -q 'Issue 1' || exit 9; echo working; echo new >feature; mkdir -p a/b; echo x >a/b/c";
        let scene = Scene::new(kind, script).await;
        let run = scene.ended(1).await;
        assert_eq!(run.state, RunState::Ended(EndClass::Succeeded), "{kind}: {:?}", run.reason);
        let phases: Vec<Phase> = run.phases.iter().map(|(p, _)| *p).collect();
        assert_eq!(
            phases,
            [Phase::Queued, Phase::Preparing, Phase::Running, Phase::Verifying, Phase::Publishing],
            "{kind}"
        );
        let head = git(&scene.origin(), &["rev-parse", &run.branch]);
        assert_eq!(git(&scene.origin(), &["show", &format!("{head}:feature")]), "new", "{kind}");
        assert_eq!(
            git(&scene.origin(), &["log", "-1", "--format=%an <%ae>", &head]),
            "Dispatch <dispatch@localhost>"
        );
        let world = scene.store.snapshot();
        let tracked = world.repos.get(&scene.key).expect("tracked");
        let forge = scene.forges.for_repo(tracked).expect("local");
        let pull = forge.find_pull(tracked, &run.branch).await.expect("asked").expect("open");
        assert_eq!(
            (pull.state, pull.head_sha.as_str(), &pull.closes[..]),
            (PullState::Open, head.as_str(), &[1][..])
        );
        assert_eq!(
            world.cards.get(&CardKey { repo: scene.key.clone(), number: 1 }).expect("there").status,
            Status::InReview,
            "{kind}"
        );
        let log = scene.log(Stream::Raw);
        assert!(log.starts_with("working\n[dispatch] 2 files were left uncommitted"), "{kind}: {log}");
        assert!(log.ends_with("[dispatch] succeeded\n"), "{kind}: {log}");
        assert_eq!(
            git(&scene.origin(), &["status", "--porcelain"]),
            "",
            "{kind}: the user's checkout is untouched"
        );
        scene.close().await;
    }
}

#[tokio::test]
async fn a_question_an_empty_hand_and_a_failure_are_told_apart() {
    for (script, class, says) in [
        ("printf 'Which one?\\n' >BLOCKED.md; echo half >half; exit 1", EndClass::Blocked, None),
        ("true", EndClass::NoChanges, Some("without a commit")),
        ("echo half >half; exit 3", EndClass::Failed, Some("exit code 3")),
        ("exec no-such-program", EndClass::Crashed, Some("could not start")),
    ] {
        let scene = Scene::new(RuntimeKind::Host, script).await;
        let run = scene.ended(1).await;
        assert_eq!(run.state, RunState::Ended(class), "{script}: {:?}", run.reason);
        if let Some(says) = says {
            assert!(run.reason.as_deref().is_some_and(|r| r.contains(says)), "{:?}", run.reason);
        }
        if class == EndClass::Blocked {
            assert_eq!(run.question.as_deref(), Some("Which one?"));
        }
        let branches = git(&scene.origin(), &["branch", "--list", "fix/*"]);
        assert_eq!(branches, "", "nothing is published");
        scene.close().await;
    }
}

#[tokio::test]
async fn a_blocked_run_goes_on_with_its_answer_in_the_same_workspace() {
    let script = "if grep -q 'the blue one'; then test ! -e BLOCKED.md && test -e half && echo done >done; \
                  else echo half >half; echo 'Which one?' >BLOCKED.md; fi";
    let scene = Scene::new(RuntimeKind::Host, script).await;
    let first = scene.ended(1).await;
    assert_eq!(first.state, RunState::Ended(EndClass::Blocked), "{:?}", first.reason);
    let answer = Command::Answer { run: RunId(1), text: "the blue one".into(), actor: "operator".into() };
    scene.submit(answer).await;
    let second = scene.ended(2).await;
    assert_eq!(second.state, RunState::Ended(EndClass::Succeeded), "{:?}", second.reason);
    assert!(second.attempt > first.attempt);
    let files = git(&scene.origin(), &["ls-tree", "--name-only", &second.branch]);
    assert_eq!(files, "README.md\ndone\nhalf");
    scene.close().await;
}

#[tokio::test]
async fn a_killed_run_ends_with_all_its_children_and_publishes_nothing() {
    for kind in kinds() {
        let script = "trap '' TERM; echo x >x; (trap '' TERM; while :; do sleep 1; done) & echo ready; wait; wait; sleep 99";
        let scene = Scene::new(kind, script).await;
        scene.said("ready").await;
        let kill = |now| Command::Kill { run: RunId(1), attempt: None, now, actor: "operator".into() };
        scene.submit(kill(false)).await;
        let run = scene.ended(1).await;
        assert_eq!(run.state, RunState::Ended(EndClass::Killed), "{kind}");
        assert!(run.reason.as_deref().is_some_and(|r| r.contains("operator")), "{kind}: {:?}", run.reason);
        assert_eq!(git(&scene.origin(), &["branch", "--list", "fix/*"]), "", "{kind}");
        scene.close().await;
    }
}

#[tokio::test]
async fn a_running_program_is_taken_up_again_and_its_log_has_every_byte_once() {
    for kind in kinds() {
        let script = "i=0; while [ $i -lt 40 ]; do echo \"line $i\"; i=$((i+1)); sleep 0.1; done; echo y >y";
        let mut scene = Scene::new(kind, script).await;
        for mark in ["line 3\n", "line 12\n"] {
            scene.said(mark).await;
            scene.stop().await;
            let world = scene.store.snapshot();
            assert!(world.runs.get(&RunId(1)).is_some_and(|r| r.state.is_live()), "{kind}: it goes on");
            scene.start();
        }
        let run = scene.ended(1).await;
        assert_eq!(run.state, RunState::Ended(EndClass::Succeeded), "{kind}: {:?}", run.reason);
        let expected: String = (0..40).map(|i| format!("line {i}\n")).collect();
        let log = scene.log(Stream::Raw);
        assert!(log.starts_with(&format!("{expected}[dispatch] 1 files")), "{kind}: {log}");
        let events = scene.log(Stream::Events);
        for i in 0..40 {
            assert_eq!(events.matches(&format!("\"line {i}\"")).count(), 1, "{kind}: {events}");
        }
        scene.close().await;
    }
}

#[tokio::test]
async fn a_container_that_vanished_is_lost() {
    for kind in kinds() {
        let mut scene = Scene::new(kind, "echo ready; sleep 60").await;
        scene.said("ready").await;
        scene.stop().await;
        let engine = of_kind(kind, &scene.state());
        let found = engine.list().await.expect("a list").remove(0);
        engine.stop(&found.handle, Duration::ZERO).await.expect("ended");
        engine.remove(&found.handle).await.expect("removed");
        scene.start();
        let run = scene.ended(1).await;
        assert_eq!(run.state, RunState::Ended(EndClass::Lost), "{kind}");
        // The card is ready again after a pause or at once; no second run may linger.
        let second = scene.store.snapshot().runs.get(&RunId(2)).cloned();
        if let Some(second) = second {
            let kill = Command::Kill { run: second.id, attempt: None, now: true, actor: "test".into() };
            scene.submit(kill).await;
            scene.ended(2).await;
        }
        scene.close().await;
    }
}

#[tokio::test]
async fn silence_and_length_have_limits() {
    for (stall, timeout, class) in [(1, 60, EndClass::Stalled), (60, 1, EndClass::TimedOut)] {
        let mut scene = Scene::new(RuntimeKind::Host, "true").await;
        scene.ended(1).await;
        scene.stop().await;
        scene.settings.stall_timeout = Span(Duration::from_secs(stall));
        scene.settings.timeout = Span(Duration::from_secs(timeout));
        let argv = ["sh", "-c", "echo ready; sleep 60"].map(str::to_owned).into();
        scene.settings.agents.insert("scripted".into(), Entry { argv: Some(argv), ..Entry::default() });
        scene.ready(2).await;
        scene.start();
        let run = scene.ended(2).await;
        assert_eq!(run.state, RunState::Ended(class), "{:?}", run.reason);
        scene.close().await;
    }
}

#[tokio::test]
async fn work_that_fails_the_checks_is_not_published() {
    for kind in kinds() {
        let mut scene = Scene::new(kind, "true").await;
        scene.ended(1).await;
        scene.stop().await;
        scene.settings.verify = Verify::Commands(vec!["test -e good".into(), "echo checked".into()]);
        for (number, file, class) in [(2, "bad", EndClass::VerifyFailed), (3, "good", EndClass::Succeeded)] {
            let argv = ["sh".to_owned(), "-c".to_owned(), format!("echo x >{file}")].into();
            scene.settings.agents.insert("scripted".into(), Entry { argv: Some(argv), ..Entry::default() });
            scene.ready(number).await;
            scene.start();
            let run = scene
                .until("the run", |w| {
                    w.runs.values().find(|r| r.card.number == number && !r.state.is_live()).cloned()
                })
                .await;
            assert_eq!(run.state, RunState::Ended(class), "{kind}: {:?}", run.reason);
            scene.submit(Command::Freeze { frozen: true, actor: "test".into() }).await;
            scene.stop().await;
            // The failed one would be taken again.
            let closed = dispatchd::core::seen::SeenIssue {
                state: dispatch_shared::issue::IssueState::Closed,
                ..issue(number)
            };
            let synced = Synced { repo: Some(scene.key.clone()), issues: vec![closed], ..Synced::default() };
            scene.submit(Command::Synced(synced)).await;
            scene.submit(Command::Freeze { frozen: false, actor: "test".into() }).await;
        }
        scene.close().await;
    }
}

#[tokio::test]
async fn commits_of_somebody_else_on_our_branch_are_never_overwritten() {
    let mut scene =
        Scene::new(RuntimeKind::Host, "echo ready; while [ ! -e go ]; do sleep 0.1; done; rm go; echo z >z")
            .await;
    scene.said("ready").await;
    let branch = scene.store.snapshot().runs.get(&RunId(1)).expect("there").branch.clone();
    git(&scene.origin(), &["checkout", "-q", "-b", &branch]);
    std::fs::write(scene.origin().join("theirs"), "a person's work\n").expect("written");
    git(&scene.origin(), &["add", "."]);
    git(&scene.origin(), &["commit", "-q", "-m", "By hand"]);
    git(&scene.origin(), &["checkout", "-q", "main"]);
    let theirs = git(&scene.origin(), &["rev-parse", &branch]);
    std::fs::write(scene.workspace().join("repo/go"), "").expect("written");
    let run = scene.ended(1).await;
    assert_eq!(run.state, RunState::Ended(EndClass::Failed));
    assert!(
        run.reason.as_deref().is_some_and(|r| r.contains("has commits on the remote")),
        "{:?}",
        run.reason
    );
    assert_eq!(git(&scene.origin(), &["rev-parse", &branch]), theirs);
    scene.stop().await;
}

/// A program that says, as claude does, that it used some tokens, and then goes on for ever.
fn spender(after: &str) -> Entry {
    let said = r#"{"type":"system","subtype":"init","session_id":"0a1b","model":"claude-opus-4-8"}
{"type":"assistant","message":{"id":"m1","content":[{"type":"text","text":"ready"}],"usage":{"input_tokens":1000000,"output_tokens":10}}}"#;
    let argv = ["sh".to_owned(), "-c".to_owned(), format!("cat <<'E'\n{said}\nE\n{after}")].into();
    let format = Some(dispatchd::runner::stream::Format::ClaudeStreamJson);
    Entry { argv: Some(argv), format, ..Entry::default() }
}

#[tokio::test]
async fn a_run_that_spends_its_budget_is_ended_and_its_work_kept() {
    let mut scene = Scene::new(RuntimeKind::Host, "true").await;
    scene.ended(1).await;
    scene.stop().await;
    let limits = dispatchd::runner::agents::Limits { usd: Some(4.9), ..Default::default() };
    let entry = Entry { limits: Some(limits), ..spender("sleep 600") };
    scene.settings.agents.insert("scripted".into(), entry);
    scene.ready(2).await;
    scene.start();
    let run = scene.ended(2).await;
    assert_eq!(run.state, RunState::Ended(EndClass::Budget), "{:?}", run.reason);
    assert!(run.reason.as_deref().is_some_and(|r| r.contains("$4.9")), "{:?}", run.reason);
    assert_eq!(
        (run.usage.input_tokens, run.usage.estimated),
        (1_000_000, true),
        "a price is known for its model"
    );
    assert!(run.usage.cost_usd.is_some_and(|c| (c - 5.000_25).abs() < 1e-6), "{:?}", run.usage);
    assert_eq!(run.session.as_deref(), Some("0a1b"));
    scene.close().await;
}

#[tokio::test]
async fn what_has_said_its_last_word_is_not_thrown_away_for_a_budget() {
    let mut scene = Scene::new(RuntimeKind::Host, "true").await;
    scene.ended(1).await;
    scene.stop().await;
    let result = r#"{"type":"result","subtype":"success","is_error":false,"result":"done","total_cost_usd":9.5,"usage":{"input_tokens":1000000,"output_tokens":10}}"#;
    let limits = dispatchd::runner::agents::Limits { usd: Some(6.0), ..Default::default() };
    let entry = Entry { limits: Some(limits), ..spender(&format!("echo x >made; echo '{result}'; sleep 3")) };
    scene.settings.agents.insert("scripted".into(), entry);
    scene.ready(2).await;
    scene.start();
    let run = scene.ended(2).await;
    assert_eq!(run.state, RunState::Ended(EndClass::Succeeded), "{:?}", run.reason);
    assert_eq!((run.usage.cost_usd, run.usage.estimated), (Some(9.5), false));
    scene.close().await;
}

/// Whatever the program left its checkout in: all its work is published, or nothing is, and the reason is said.
#[tokio::test]
async fn work_is_published_from_wherever_the_program_left_it_and_never_by_halves() {
    const SUCCEEDED: EndClass = EndClass::Succeeded;
    for (script, class, says) in [
        ("git checkout -q --detach; echo x >x; git add x; git commit -qm x", SUCCEEDED, "x"),
        ("git branch -m other; echo x >x", SUCCEEDED, "x"),
        ("echo x >x; git add x; git commit -qm x; git checkout -q -B main origin/main", SUCCEEDED, "x"),
        ("touch .git/index.lock .git/HEAD.lock; echo x >x", SUCCEEDED, "x"),
        (
            "git checkout -qb other; echo x >x; git add x; git commit -qm x; git checkout -q -; echo y >y; git add y; \
             git commit -qm y; git merge -q --no-commit --no-ff other",
            SUCCEEDED,
            "x\ny",
        ),
        (
            "git checkout -qb other; echo a >README.md; git commit -qam a; git checkout -q -; echo b >README.md; \
             git commit -qam b; git merge -q other || true",
            EndClass::Failed,
            "a merge with conflicts unfinished",
        ),
        (
            "echo x >x; git add x; git commit -qm x; git checkout -qb other origin/main; echo y >y",
            EndClass::Failed,
            "two lines of work",
        ),
    ] {
        let scene = Scene::new(RuntimeKind::Host, script).await;
        let run = scene.ended(1).await;
        assert_eq!(run.state, RunState::Ended(class), "{script}: {:?}", run.reason);
        if class == SUCCEEDED {
            let files = git(&scene.origin(), &["ls-tree", "--name-only", &run.branch]);
            assert_eq!(files, format!("README.md\n{says}"), "{script}");
        } else {
            assert!(run.reason.as_deref().is_some_and(|r| r.contains(says)), "{script}: {:?}", run.reason);
            assert_eq!(git(&scene.origin(), &["branch", "--list", "fix/*"]), "", "{script}");
        }
        scene.close().await;
    }
}

/// A checkout that cannot be used any more does not end an issue for good: the next attempt gets another.
#[tokio::test]
async fn a_damaged_checkout_is_set_aside_and_made_anew() {
    let script = "if [ -e half ] || grep -q 'go on' ; then echo done >done; \
                  else echo half >half; echo Why >BLOCKED.md; rm .git/HEAD; fi";
    let scene = Scene::new(RuntimeKind::Host, script).await;
    let first = scene.ended(1).await;
    assert_eq!(first.state, RunState::Ended(EndClass::Blocked), "{:?}", first.reason);
    let answer = Command::Answer { run: RunId(1), text: "go on".into(), actor: "operator".into() };
    scene.submit(answer).await;
    let second = scene.ended(2).await;
    assert_eq!(second.state, RunState::Ended(EndClass::Succeeded), "{:?}", second.reason);
    assert_eq!(git(&scene.origin(), &["ls-tree", "--name-only", &second.branch]), "README.md\ndone");
    assert!(scene.workspace().join("repo.aside/half").exists(), "what it had left is kept");
    let events = scene.logs.open(RunId(2), Stream::Events, 0).expect("there");
    let events = std::io::read_to_string(events).expect("text");
    assert!(events.contains("set aside"), "{events}");
    scene.close().await;
}

/// Beyond what is to be kept the oldest workspace goes, after the operator's hook; one that a run works in stays.
#[tokio::test]
async fn old_workspaces_go_and_the_one_in_use_stays() {
    let mut scene = Scene::new(RuntimeKind::Host, "echo kept >kept; exit 1").await;
    scene.ended(1).await;
    scene.stop().await;
    let told = scene.dir.path().join("told");
    std::fs::write(&told, "").expect("written");
    std::fs::set_permissions(&told, std::fs::Permissions::from_mode(0o666)).expect("ours");
    scene.settings.keep.count = 1;
    scene.settings.hooks.before_remove = Some(format!("pwd >>{0}; cat kept >>{0}", told.display()));
    let argv = ["sh", "-c", "echo ready; sleep 60"].map(str::to_owned).into();
    scene.settings.agents.insert("scripted".into(), Entry { argv: Some(argv), ..Entry::default() });
    scene.ready(2).await;
    scene.start();
    let begun =
        |w: &World| w.runs.get(&RunId(2)).filter(|r| r.state == RunState::Live(Phase::Running)).cloned();
    scene.until("the second run", begun).await;
    scene.stop().await;
    scene.start();
    let first = scene.workspace();
    dispatch_tests::daemon::wait_until("the first workspace to go", DEADLINE, async || {
        (!first.exists()).then_some(())
    })
    .await;
    let said = std::fs::read_to_string(&told).expect("there");
    assert_eq!(said, format!("{}\nkept\n", first.join("repo").display()));
    assert!(first.with_file_name("issue-2").join("repo/.git").exists(), "a run works there");
    let kill = Command::Kill { run: RunId(2), attempt: None, now: true, actor: "test".into() };
    scene.submit(kill).await;
    scene.ended(2).await;
    scene.close().await;
}

/// A file of the operator's is there for the program, whatever link stands in its place, and in no commit.
#[tokio::test]
async fn the_operators_files_are_copied_and_never_published() {
    for (script, class) in [
        ("grep -q KEY=1 .env && cat .env >>seen; wc -c <.env >size; rm seen", EndClass::Succeeded),
        ("git add -f .env; git commit -qm steal", EndClass::Failed),
        ("cp .env other; echo x >x", EndClass::Failed),
    ] {
        let mut scene = Scene::new(RuntimeKind::Host, "exit 1").await;
        scene.ended(1).await;
        scene.stop().await;
        let files = scene.dir.path().join("files");
        std::fs::create_dir_all(files.join("local/sample")).expect("made");
        std::fs::write(files.join("local/sample/.env"), "KEY=1\n").expect("written");
        std::fs::write(files.join("local/sample/README.md"), "not mine\n").expect("written");
        scene.settings.files = Some(files);
        let argv = ["sh", "-c", script].map(str::to_owned).into();
        scene.settings.agents.insert("scripted".into(), Entry { argv: Some(argv), ..Entry::default() });
        scene.ready(2).await;
        scene.start();
        let run = scene.ended(2).await;
        assert_eq!(run.state, RunState::Ended(class), "{script}: {:?}", run.reason);
        if class == EndClass::Succeeded {
            let files = git(&scene.origin(), &["ls-tree", "--name-only", &run.branch]);
            assert_eq!(files, "README.md\nsize");
            assert_eq!(git(&scene.origin(), &["show", &format!("{}:README.md", run.branch)]), "A sample.");
        } else {
            assert!(
                run.reason.as_deref().is_some_and(|r| r.contains(".env of runner.files")),
                "{:?}",
                run.reason
            );
            assert_eq!(git(&scene.origin(), &["branch", "--list", "fix/*"]), "");
        }
        scene.close().await;
    }
}
