//! What keeps runs from starting or from being followed is said on the board, with what to do about it, and is gone once it is
//! done: engines that are missing, hang or go away, images that cannot be had, containers that nobody knows.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use dispatch_shared::claim::Attempt;
use dispatch_shared::client::{Client, Message};
use dispatch_shared::id::RunId;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::control::{Problem, ProblemKind};
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::daemon::{Daemon, wait_until};
use dispatch_tests::image::{IMAGE, engines};
use dispatch_tests::scene::{DEADLINE, Scene};
use dispatchd::edges::{Limits, RunSpec, Selinux};
use dispatchd::runner::runtime::of_kind;

const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");
const CLIENT: &str = env!("CARGO_BIN_EXE_test-dispatch");
const WORK: &str = "echo working; echo more >>README.md";
/// Works until it is told that it is enough.
const LONG: &str = "touch .git/ready; while [ ! -e .git/enough ]; do sleep 0.1; done; echo more >>README.md";
/// An engine may hang so long before that is said, and what is well again is seen a moment later.
const LATE: Duration = Duration::from_secs(120);

/// Stands before the real engine and does as it is told: `ok`, `gone`, `hang`, or what else a test makes of it.
struct Stand {
    dir: PathBuf,
}

impl Stand {
    fn before(scene: &mut Scene, more: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = scene.place.path().join("stand");
        std::fs::create_dir(&dir).expect("made");
        let path = std::env::var("PATH").expect("there is a PATH");
        let (word, at) = (scene.kind.word(), dir.display());
        let script = format!(
            "#!/bin/sh\nPATH='{path}'\nmode=$(cat '{at}/mode')\ncase $mode in\n\
             gone) echo 'Cannot connect: is the engine running?' >&2; exit 1 ;;\n\
             hang) exec sleep 300 ;;\nesac\n{more}\nexec {word} \"$@\"\n"
        );
        let stand = Self { dir };
        stand.mode("ok");
        std::fs::write(stand.dir.join(word), script).expect("written");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(stand.dir.join(word), executable).expect("ours");
        scene.place.env("PATH", &format!("{}:{path}", stand.dir.display()));
        stand
    }

    fn mode(&self, mode: &str) {
        std::fs::write(self.dir.join("mode.new"), mode).expect("written");
        std::fs::rename(self.dir.join("mode.new"), self.dir.join("mode")).expect("renamed");
    }
}

async fn begin(scene: &Scene) -> Daemon {
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await.expect("it is tracked");
    daemon
}

async fn problems(client: &Client, kind: ProblemKind) -> Vec<Problem> {
    let all = client.problems().await.expect("it answers");
    all.into_iter().filter(|p| p.kind == kind).collect()
}

async fn said(scene: &Scene, client: &Client, words: &str) -> Problem {
    let what = format!("the problem {words:?} ({})\n{}", scene.kind, scene.place.log());
    wait_until(&what, LATE, async || {
        problems(client, ProblemKind::Engine).await.into_iter().find(|p| p.text.contains(words))
    })
    .await
}

async fn well(client: &Client) {
    wait_until("all to be well", LATE, async || {
        problems(client, ProblemKind::Engine).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_waited_for_and_no_task_is_taken() {
    for kind in engines() {
        let mut scene = Scene::new(DAEMON, kind, WORK, "");
        let stand = Stand::before(&mut scene, "");
        stand.mode("gone");
        let daemon = begin(&scene).await;
        let client = &daemon.client;
        let problem = said(&scene, client, "does not answer: Cannot connect").await;
        assert_eq!((problem.subject.as_str(), problem.action.as_str()), (kind.word(), "check"));
        assert!(scene.place.log().contains("runs cannot start"), "it is said at the start");
        wait_until("the board to be read", DEADLINE, async || {
            let cards = client.issues(&Default::default()).await.ok()?;
            (!cards.is_empty()).then_some(())
        })
        .await;
        let card = scene.card(client).await;
        assert_eq!((card.column, card.claim, card.failures), (Status::Ready, None, 0), "nothing was taken");
        assert!(client.control().await.expect("it answers").runtime.contains("does not answer"));
        stand.mode("ok");
        well(client).await;
        scene.published_once(client).await;
        assert_eq!(client.control().await.expect("it answers").runtime, kind.word());
        daemon.stop().await;
    }
}

/// Idle in between: nobody asks the engine until there is work.
#[tokio::test]
async fn an_engine_that_went_away_fails_no_task() {
    let mut slow = Vec::new();
    for kind in engines() {
        slow.push(async move {
            let mut scene = Scene::new(DAEMON, kind, LONG, "");
            let stand = Stand::before(&mut scene, "");
            let daemon = begin(&scene).await;
            let client = &daemon.client;
            let run = scene.running(client).await;
            stand.mode("gone");
            said(&scene, client, "does not answer").await;
            let still = scene.run(client).await.expect("there is a run");
            assert!(!still.ended, "{kind}: it goes on: {still:?}");
            stand.mode("ok");
            well(client).await;
            std::fs::write(scene.checkout().join(".git/enough"), "").expect("the program can be told");
            wait_until("the run to be over", LATE, async || scene.run(client).await.filter(|run| run.ended))
                .await;
            scene.published_once(client).await;
            scene.nothing_left(&run).await;
            daemon.stop().await;
        });
    }
    futures_util::future::join_all(slow).await;
}

#[tokio::test]
async fn an_engine_that_hangs_is_named() {
    let Some(kind) = engines().into_iter().next() else { return };
    let mut scene = Scene::new(DAEMON, kind, WORK, "");
    let stand = Stand::before(&mut scene, "");
    stand.mode("hang");
    let daemon = begin(&scene).await;
    said(&scene, &daemon.client, "took longer than 15 s").await;
    assert_eq!(scene.run(&daemon.client).await.map(|r| r.id), None, "no task was taken");
    stand.mode("ok");
    well(&daemon.client).await;
    scene.published_once(&daemon.client).await;
    daemon.stop().await;
}

/// As an engine of a user says it on a machine with the old control groups.
#[tokio::test]
async fn limits_that_an_engine_cannot_keep_are_refused_unless_they_are_waived() {
    let old = |kind| match kind {
        RuntimeKind::Podman => "case \"$*\" in *CgroupsVersion*) echo 'v1 rootless'; exit ;; esac",
        _ => "case \"$*\" in *CgroupVersion*) echo '1 [\"name=rootless\"]'; exit ;; esac",
    };
    for kind in engines() {
        let mut scene = Scene::new(DAEMON, kind, WORK, "");
        let _stand = Stand::before(&mut scene, old(kind));
        let daemon = begin(&scene).await;
        let problem = said(&scene, &daemon.client, "without root on cgroup v1").await;
        assert!(problem.text.contains("runner.limits = false"), "{problem:?}");
        daemon.stop().await;
        let mut check = scene.place.command();
        check.args(["check", "--offline"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let check = check.output().expect("it can be started");
        let text =
            format!("{}{}", String::from_utf8_lossy(&check.stdout), String::from_utf8_lossy(&check.stderr));
        assert!(text.contains("without root on cgroup v1"), "{kind}: {text}");

        let mut waived = Scene::new(DAEMON, kind, WORK, "limits = false");
        let _stand = Stand::before(&mut waived, old(kind));
        let daemon = begin(&waived).await;
        wait_until("a run", DEADLINE, async || waived.run(&daemon.client).await).await;
        assert_eq!(problems(&daemon.client, ProblemKind::Engine).await, []);
        daemon.stop().await;
    }
}

fn remove_image(kind: RuntimeKind, image: &str) {
    let _ = Command::new(kind.word()).args(["rmi", image]).output();
}

fn tag(kind: RuntimeKind, image: &str) {
    let tagged = Command::new(kind.word()).args(["tag", IMAGE, image]).output().expect("it can be started");
    assert!(tagged.status.success(), "{}", String::from_utf8_lossy(&tagged.stderr));
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_waited_for() {
    for kind in engines() {
        // Nobody listens there.
        let image = format!("127.0.0.1:1/dispatch-absent-{}:1", std::process::id());
        let scene = Scene::new(DAEMON, kind, WORK, "");
        let config = std::fs::read_to_string(scene.place.path().join("config.toml")).expect("it is there");
        scene.place.configure(&config.replace(IMAGE, &image));
        let daemon = begin(&scene).await;
        let client = &daemon.client;
        let problem = said(&scene, client, "could not be pulled").await;
        assert_eq!(problem.subject, format!("image {image}"), "{kind}");
        assert!(problem.text.contains("dispatchd image build"), "{kind}: {problem:?}");
        let card = scene.card(client).await;
        assert_eq!(card.failures, 0, "{kind}: the task is not to blame");
        tag(kind, &image);
        well(client).await;
        wait_until("a run that succeeds", LATE, async || {
            let runs = client.runs(&Default::default()).await.ok()?;
            runs.into_iter().find(|r| r.state == "succeeded")
        })
        .await;
        assert_eq!(scene.repository.pulls().len(), 1, "{kind}");
        daemon.stop().await;
        remove_image(kind, &image);
    }
}

/// The image comes in three layers.
#[tokio::test]
async fn a_pull_says_how_far_it_is() {
    for kind in engines() {
        let image = format!("127.0.0.1:1/dispatch-slow-{}:1", std::process::id());
        let mut scene = Scene::new(DAEMON, kind, WORK, "");
        let config = std::fs::read_to_string(scene.place.path().join("config.toml")).expect("it is there");
        scene.place.configure(&config.replace(IMAGE, &image));
        let lines = match kind {
            RuntimeKind::Podman => ["Copying blob sha256:%s", "Copying blob %s done"],
            _ => ["%s: Pulling fs layer", "%s: Pull complete"],
        };
        let at = scene.place.path().join("stand").display().to_string();
        let pull = format!(
            "if [ \"$1\" = pull ]; then\nfor l in 1 2 3; do printf '{}\\n' 00000000000$l; done\n\
             printf '{}\\n' 000000000001\nwhile [ ! -e '{at}/go' ]; do sleep 0.05; done\n\
             for l in 2 3; do printf '{}\\n' 00000000000$l; done\n{} tag {IMAGE} '{image}'; exit\nfi",
            lines[0],
            lines[1],
            lines[1],
            kind.word()
        );
        let stand = Stand::before(&mut scene, &pull);
        let daemon = scene.place.start().await;
        let client = &daemon.client;
        let mut events = client.events(&Default::default()).await.expect("it streams");
        scene.switch_on(client).await.expect("it is tracked");
        let mut seen = Vec::new();
        let mut told = async |until: (u64, bool)| {
            let reading = async {
                loop {
                    let message = events.next().await.expect("it goes on").expect("it does not end");
                    if let Message::Progress(p) = message
                        && p.what == format!("pull image {image}")
                    {
                        seen.push((p.done, p.total));
                        if (p.done, p.finished) == until {
                            return;
                        }
                    }
                }
            };
            tokio::time::timeout(DEADLINE, reading)
                .await
                .unwrap_or_else(|_| panic!("{until:?} did not come"));
        };
        told((1, false)).await;
        wait_until("the run to say it", DEADLINE, async || {
            let run = scene.run(client).await?;
            run.last_event.filter(|said| said.contains("1 of 3 layers"))
        })
        .await;
        std::fs::write(stand.dir.join("go"), "").expect("written");
        told((3, true)).await;
        assert!(seen.contains(&(1, Some(3))) && seen.last() == Some(&(3, Some(3))), "{kind}: {seen:?}");
        scene.published_once(client).await;
        daemon.stop().await;
        remove_image(kind, &image);
    }
}

/// What a store that was lost had started: nobody knows it, so nobody ends it but a person.
async fn left(scene: &Scene, run: u64) -> String {
    let state = scene.place.state();
    std::fs::create_dir_all(&state).expect("made");
    let engine = of_kind(scene.kind, &state);
    let dir = scene.place.path().join("left");
    for name in ["repo", "home"] {
        std::fs::create_dir_all(dir.join(name)).expect("made");
    }
    std::fs::write(dir.join("prompt"), "").expect("written");
    let spec = RunSpec {
        run: RunId(run),
        attempt: Attempt(9),
        image: IMAGE.into(),
        argv: ["sh", "-c", "while :; do sleep 1; done"].map(str::to_owned).into(),
        env: Vec::new(),
        env_names: Vec::new(),
        repo_dir: dir.join("repo"),
        meta_dir: dir.clone(),
        prompt: dir.join("prompt"),
        home: dir.join("home"),
        read_only: Vec::new(),
        uid_gid: (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
        limits: Limits { memory: None, milli_cpus: None, pids: None, nofile: None, network: "none".into() },
        read_only_root: true,
        gpus: false,
        host_gateway: false,
        selinux: Selinux::Disable,
        log_max: 1 << 30,
        timeout: Duration::from_secs(3_600),
    };
    engine.start(&spec).await.expect("it starts").name
}

fn orphans(scene: &Scene, args: &[&str]) -> String {
    let output = Command::new(CLIENT)
        .arg("orphans")
        .args(args)
        .env("DISPATCH_SOCKET", scene.place.socket())
        .output()
        .expect("it can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_container_that_nobody_knows_is_shown_and_ended_when_a_person_says_so() {
    let mut kinds = engines();
    kinds.push(RuntimeKind::Host);
    for kind in kinds {
        let scene = Scene::new(DAEMON, kind, LONG, "grace = \"1s\"");
        let before = left(&scene, 901).await;
        let daemon = begin(&scene).await;
        let client = &daemon.client;
        let problem =
            wait_until("the problem", DEADLINE, async || problems(client, ProblemKind::Orphan).await.pop())
                .await;
        assert_eq!(problem.subject, before, "{kind}");
        assert!(
            problem.text.contains("r-901") && problem.text.contains("dispatch orphans --stop"),
            "{problem:?}"
        );
        // It comes while the daemon serves, beside a run that is known.
        let known = scene.running(client).await.container.expect("it has one");
        let later = left(&scene, 902).await;
        let shown = orphans(&scene, &[]);
        assert!(shown.contains(&before) && shown.contains(&later), "{kind}: {shown}");
        assert!(shown.contains("running") && !shown.contains(&known), "{kind}: {shown}");

        assert!(orphans(&scene, &["--stop", &before]).contains(&before));
        let shown = orphans(&scene, &[]);
        assert!(!shown.contains(&before) && shown.contains(&later), "{kind}: {shown}");
        let refused = client.stop_orphans(vec![known.clone()]).await.expect("it answers");
        assert!(refused.stopped.is_empty() && refused.errors.len() == 1, "{kind}: {refused:?}");
        assert!(orphans(&scene, &["--stop"]).contains(&later));
        assert_eq!(problems(client, ProblemKind::Orphan).await, [], "{kind}");
        assert_eq!(scene.audit(client, "stop_orphan").await.len(), 2, "{kind}");
        let run = scene.running(client).await;
        std::fs::write(scene.checkout().join(".git/enough"), "").expect("the program can be told");
        scene.published_once(client).await;
        scene.nothing_left(&run).await;
        daemon.stop().await;
    }
}
