//! Kubernetes as an engine, against a cluster in memory over real HTTP: what the runner relies on, what goes wrong in clusters,
//! and a whole daemon whose pods are processes of this machine. No real cluster is asked anything.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::runs::KillRequest;
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::daemon::wait_until;
use dispatch_tests::kube::{CLAIM, FakeCluster, Fault, Node};
use dispatch_tests::scene::{DEADLINE, Scene};
use dispatchd::edges::{Exit, Handle, Limits, RunSpec, Runtime, RuntimeError, Wants};
use dispatchd::runner::runtime::{Cluster, engine};
use dispatchd::runner::settings::{Settings, Span};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};

const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| panic!("{what} did not come in time"))
}

/// A state directory that is the whole of a claim, with one workspace in it, and a cluster.
struct Bench {
    dir: tempfile::TempDir,
    cluster: FakeCluster,
    settings: Settings,
    engine: Arc<dyn Runtime>,
    owner: (u32, u32),
}

impl Bench {
    /// A cluster whose pods wait for the test.
    async fn idle() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::with(dir, Node::Idle).await
    }

    /// A cluster whose pods run.
    async fn runs() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let claim = dir.path().canonicalize().expect("it is there");
        Self::with(dir, Node::Runs(claim)).await
    }

    async fn with(dir: tempfile::TempDir, node: Node) -> Self {
        let cluster = FakeCluster::start(node).await;
        let root = rustix::process::geteuid().is_root();
        let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let owner = if root { (1000, 1000) } else { me };
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("passable");
        for name in ["repo", "home"] {
            std::fs::create_dir(dir.path().join(name)).expect("made");
            if root {
                std::os::unix::fs::chown(dir.path().join(name), Some(1000), Some(1000)).expect("given");
            }
        }
        std::fs::write(dir.path().join("prompt"), "the prompt\n").expect("written");
        let kubernetes = Cluster {
            kubeconfig: Some(cluster.kubeconfig(dir.path())),
            volume_claim: CLAIM.into(),
            start_timeout: Span(Duration::from_secs(60)),
            ..Cluster::default()
        };
        let settings = Settings { kubernetes, ..Settings::default() };
        let engine = engine(RuntimeKind::Kubernetes, &settings, dir.path());
        Self { dir, cluster, settings, engine, owner }
    }

    /// The engine of a daemon that was started anew, with other settings if so wished.
    fn again(&self, change: impl FnOnce(&mut Settings)) -> Arc<dyn Runtime> {
        let mut settings = self.settings.clone();
        change(&mut settings);
        engine(RuntimeKind::Kubernetes, &settings, self.dir.path())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn spec(&self, script: &str) -> RunSpec {
        RunSpec {
            run: RunId(1),
            attempt: Attempt(4_294_967_297),
            image: "registry.example/agent:1".into(),
            argv: ["sh", "-c", script].map(str::to_owned).into(),
            env: vec![("FIXED".into(), "$(HOME) costs $$5".into())],
            env_names: vec!["CARGO_PKG_NAME".into(), "NOT_SET_ANYWHERE".into()],
            repo_dir: self.at("repo"),
            meta_dir: self.at("."),
            prompt: self.at("prompt"),
            home: self.at("home"),
            read_only: Vec::new(),
            uid_gid: self.owner,
            limits: Limits {
                memory: Some(256 << 20),
                milli_cpus: Some(1_000),
                pids: Some(100),
                nofile: Some(128),
                network: "default".into(),
            },
            read_only_root: true,
            gpus: false,
            host_gateway: false,
            selinux: dispatchd::edges::Selinux::Disable,
            log_max: 1 << 30,
            timeout: Duration::from_secs(3_600),
        }
    }

    async fn start(&self, script: &str) -> Handle {
        within("the start", self.engine.start(&self.spec(script))).await.expect("it starts")
    }

    async fn log(&self, handle: &Handle, offset: u64) -> String {
        let mut all = Vec::new();
        let mut log = self.engine.logs(handle, offset).await.expect("a log");
        within("the end of the log", log.read_to_end(&mut all)).await.expect("read");
        String::from_utf8(all).expect("text")
    }

    async fn wait(&self, handle: &Handle) -> Result<Exit, RuntimeError> {
        within("the exit", self.engine.wait(handle)).await
    }

    /// Why the pod, whose status is this, never starts.
    async fn hopeless(&self, status: serde_json::Value) -> String {
        let handle = self.start("true").await;
        self.cluster.status(&status);
        let impatient = self.again(|s| s.kubernetes.start_timeout = Span(Duration::from_secs(1)));
        let said =
            within("the end of all patience", impatient.wait(&handle)).await.expect_err("it cannot start");
        self.engine.remove(&handle).await.expect("it goes");
        assert!(self.cluster.jobs().is_empty() && self.cluster.pods().is_empty());
        said.0
    }
}

/// Reads until the log holds `mark`.
async fn until(log: &mut (impl AsyncRead + Unpin), mark: &str) -> String {
    let mut all = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&all).contains(mark) {
            let mut buffer = [0; 4096];
            let n = log.read(&mut buffer).await.expect("read");
            assert!(n > 0, "the log ended before {mark:?}: {}", String::from_utf8_lossy(&all));
            all.extend_from_slice(&buffer[..n]);
        }
    };
    within(mark, reading).await;
    String::from_utf8(all).expect("text")
}

fn waiting(reason: &str, message: &str) -> serde_json::Value {
    json!({"phase": "Pending", "containerStatuses": [{
        "name": "agent", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}},
    }]})
}

#[tokio::test]
async fn a_program_gets_its_prompt_and_leaves_log_and_code() {
    let bench = Bench::runs().await;
    bench.engine.check().await.expect("it answers");
    let script = "cat; echo err >&2; echo made >file; id -u; pwd; ulimit -n; echo \"[$FIXED][$CARGO_PKG_NAME][$TERM]\"; \
                  echo $(echo inner) $$; ls -A \"$HOME\"; exit 7";
    let handle = bench.start(script).await;
    assert_eq!(bench.wait(&handle).await.expect("waited for"), Exit::Code(7));
    let log = bench.log(&handle, 0).await;
    let lines: Vec<&str> = log.lines().collect();
    let repo = bench.at("repo").display().to_string();
    let uid = bench.owner.0.to_string();
    let told = format!("[$(HOME) costs $$5][{}][dumb]", env!("CARGO_PKG_NAME"));
    assert_eq!(lines[..6], ["the prompt", "err", &uid, &repo, "128", &told], "{log}");
    let pid = lines[6].strip_prefix("inner ").expect("a command in a command");
    assert!(pid.parse::<u32>().is_ok(), "a shell's own number: {pid}");
    assert_eq!(lines.len(), 7, "nothing of what it was passed is left in its home: {log}");
    assert_eq!(std::fs::read_to_string(bench.at("repo/file")).expect("it is there"), "made\n");
    let told = serde_json::to_string(&(bench.cluster.jobs(), bench.cluster.pods())).expect("JSON");
    assert!(!told.contains(env!("CARGO_PKG_NAME")), "the cluster is not told what is passed by name: {told}");

    // A part of the log, then all of it a second time.
    assert_eq!(bench.log(&handle, 11).await, log[11..]);
    assert_eq!(bench.log(&handle, 0).await, log);
    bench.engine.remove(&handle).await.expect("it goes");
    bench.engine.remove(&handle).await.expect("and goes again");
    assert_eq!(bench.engine.list().await.expect("a list"), []);
    assert!(bench.cluster.jobs().is_empty() && bench.cluster.pods().is_empty());
    // The same run may be started again under its name, as its checks are.
    let handle = bench.start("echo second").await;
    assert_eq!(bench.wait(&handle).await.expect("waited for"), Exit::Code(0));
    assert_eq!(bench.log(&handle, 0).await, "second\n");
}

#[tokio::test]
async fn a_daemon_that_comes_back_finds_its_runs_and_no_others() {
    let bench = Bench::idle().await;
    let handle = bench.start("true").await;
    let other = tempfile::tempdir().expect("a directory");
    let stranger = engine(RuntimeKind::Kubernetes, &bench.settings, other.path());
    assert_eq!(stranger.list().await.expect("a list"), [], "another daemon's");
    let again = bench.again(|_| {});
    let found = again.list().await.expect("a list");
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].handle, found[0].running), (&handle, true));
    assert_eq!(again.handle(RunId(1), Attempt(4_294_967_297)), handle, "named from run and attempt");
    bench.cluster.running();
    bench.cluster.ended(0);
    assert!(!again.list().await.expect("a list")[0].running);
    assert_eq!(within("the exit", again.wait(&handle)).await.expect("waited for"), Exit::Code(0));
}

#[tokio::test]
async fn term_is_heard_and_what_does_not_hear_it_is_killed_after_its_grace() {
    let bench = Bench::runs().await;
    let polite = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let handle = bench.start(polite).await;
    let mut log = bench.engine.logs(&handle, 0).await.expect("a log");
    until(&mut log, "ready").await;
    within("the stop", bench.engine.stop(&handle, Duration::from_secs(30))).await.expect("it stops");
    let mut rest = String::new();
    within("the end of the log", log.read_to_string(&mut rest)).await.expect("read");
    assert_eq!(rest, "bye\n", "what is said within the grace is heard");
    bench.engine.remove(&handle).await.expect("it goes");

    let deaf = "trap '' TERM; sleep 1000 & echo $!; while :; do sleep 0.05; done";
    let handle = bench.start(deaf).await;
    let mut log = bench.engine.logs(&handle, 0).await.expect("a log");
    let child = until(&mut log, "\n").await;
    within("the stop", bench.engine.stop(&handle, Duration::ZERO)).await.expect("it stops");
    let gone = || !Path::new(&format!("/proc/{}", child.trim())).exists();
    wait_until("its child to be gone", DEADLINE, async || gone().then_some(())).await;
    bench.engine.remove(&handle).await.expect("it goes");
    assert!(
        bench.cluster.requests().iter().all(|r| !r.contains("PATCH")),
        "no more rights than the role gives"
    );
}

#[tokio::test]
async fn death_is_believed_only_from_the_node() {
    let bench = Bench::idle().await;
    let handle = bench.start("true").await;
    bench.cluster.running();
    bench.cluster.silence();
    let stop = bench.engine.stop(&handle, Duration::ZERO);
    tokio::pin!(stop);
    let asked = wait_until("the request to end it", DEADLINE, async || {
        bench.cluster.requests().iter().any(|r| r.starts_with("DELETE")).then_some(())
    });
    tokio::select! {
        done = &mut stop => panic!("nobody knows that it is over: {done:?}"),
        () = asked => {}
    }
    // It is deleted, and its node has not said that it is over.
    let found = bench.engine.list().await.expect("a list");
    assert!(found[0].running);
    assert!(futures_util::poll!(&mut stop).is_pending());
    bench.cluster.delete_pod();
    within("the stop", stop).await.expect("now it is over");
}

#[tokio::test]
async fn a_run_whose_pod_is_not_made_yet_is_stopped_before_it_is() {
    let bench = Bench::idle().await;
    bench.cluster.fault(Fault::NoPod);
    let handle = bench.start("true").await;
    within("the stop", bench.engine.stop(&handle, Duration::from_secs(30))).await.expect("it stops");
    assert!(bench.cluster.jobs().is_empty(), "nothing is left that a pod could come from");
    assert_eq!(bench.wait(&handle).await.expect("waited for"), Exit::Lost);
}

#[tokio::test]
async fn a_start_whose_answer_was_lost_has_started_once() {
    let bench = Bench::idle().await;
    bench.cluster.fault(Fault::AnswerLost);
    let handle = bench.start("true").await;
    let posts = bench.cluster.requests().iter().filter(|r| r.starts_with("POST /apis/batch")).count();
    assert!(posts >= 1);
    assert_eq!((bench.cluster.jobs().len(), bench.cluster.pods().len()), (1, 1));
    let pod = bench.cluster.pods()[0]["metadata"]["name"].clone();
    assert!(pod.as_str().is_some_and(|p| p.ends_with("-p1")), "the first pod was not thrown away: {pod}");
    bench.cluster.running();
    bench.cluster.ended(0);
    assert_eq!(bench.wait(&handle).await.expect("waited for"), Exit::Code(0));
}

#[tokio::test]
async fn a_name_that_is_taken_is_freed() {
    let bench = Bench::idle().await;
    // What a start left behind that a crash cut short.
    bench.start("true").await;
    bench.cluster.running();
    bench.cluster.fault(Fault::NameTaken);
    let handle = bench.start("true").await;
    assert!(bench.cluster.all_faults_came());
    assert_eq!((bench.cluster.jobs().len(), bench.cluster.pods().len()), (1, 1));
    bench.cluster.running();
    bench.cluster.ended(3);
    assert_eq!(bench.wait(&handle).await.expect("waited for"), Exit::Code(3));
}

#[tokio::test]
async fn a_watch_that_is_too_old_or_cut_misses_nothing() {
    let bench = Bench::idle().await;
    let handle = bench.start("true").await;
    for fault in [Fault::WatchGone, Fault::WatchCut, Fault::Status(500), Fault::Status(410), Fault::WatchGone]
    {
        bench.cluster.fault(fault);
    }
    let wait = bench.engine.wait(&handle);
    tokio::pin!(wait);
    tokio::select! {
        done = &mut wait => panic!("it has not even begun: {done:?}"),
        () = wait_until("all faults to come", DEADLINE, async || bench.cluster.all_faults_came().then_some(())) => {}
    }
    bench.cluster.running();
    bench.cluster.ended(5);
    assert_eq!(within("the exit", wait).await.expect("waited for"), Exit::Code(5));
}

#[tokio::test]
async fn a_log_that_breaks_off_goes_on_without_gap_or_repeat() {
    let bench = Bench::idle().await;
    let handle = bench.start("true").await;
    bench.cluster.running();
    let mut expected = String::new();
    // Many lines with one and the same stamp, some of them alike.
    for i in 0..60_i64 {
        let line = format!("line {}{}\n", i / 3, "x".repeat(usize::try_from(i).expect("small") % 4));
        bench.cluster.says_at(&line, 1_700_000_000_000 + i / 20 * 400);
        expected.push_str(&line);
    }
    for at in [7, 1, 250, 31, 600] {
        bench.cluster.fault(Fault::LogCut(at));
    }
    let mut log = bench.engine.logs(&handle, 0).await.expect("a log");
    let mut read = until(&mut log, "line 19xxx\n").await;
    bench.cluster.says("no end of line");
    bench.cluster.ended(0);
    within("the end of the log", log.read_to_string(&mut read)).await.expect("read");
    assert_eq!(read, expected + "no end of line");
    assert!(bench.cluster.all_faults_came());
}

#[tokio::test]
async fn a_log_is_gone_on_with_at_its_byte_although_its_beginning_is_gone() {
    let bench = Bench::idle().await;
    let handle = bench.start("true").await;
    bench.cluster.running();
    let line = |i: i64| format!("{i:06} {}\n", "y".repeat(90));
    for i in 0..2_000 {
        bench.cluster.says_at(&line(i), 1_700_000_000_000 + i * 10);
    }
    // A long line, which the node keeps in pieces.
    let long = format!("{}\n", "z".repeat(40_000));
    bench.cluster.says_at(&long, 1_700_000_020_000);
    let expected = (0..2_000).map(line).collect::<String>() + &long;
    let mut log = bench.engine.logs(&handle, 0).await.expect("a log");
    assert_eq!(until(&mut log, "zzz\n").await, expected);
    drop(log);

    // The daemon had kept this much when it went down; the node has thrown most of it away since.
    bench.cluster.rotate(900);
    bench.cluster.says_at("last\n", 1_700_000_020_010);
    bench.cluster.ended(0);
    let again = bench.again(|_| {});
    for at in [expected.len() - 90_000, expected.len() - 20_001, expected.len()] {
        let mut read = String::new();
        let mut log = again.logs(&handle, at as u64).await.expect("a log");
        within("the end of the log", log.read_to_string(&mut read)).await.expect("read");
        assert_eq!(read, format!("{}last\n", &expected[at..]), "from {at}");
    }
    again.remove(&handle).await.expect("it goes");
    let marks = std::fs::read_dir(bench.at("kubernetes")).map_or(0, Iterator::count);
    assert_eq!(marks, 0, "what was noted of the log goes with it");
}

#[tokio::test]
async fn what_keeps_a_pod_from_starting_is_said_in_words() {
    let bench = Bench::idle().await;
    let said = bench.hopeless(waiting("ImagePullBackOff", "Back-off pulling image")).await;
    assert!(said.contains("did not start within 1 s"), "{said}");
    assert!(
        said.contains("`registry.example/agent:1` could not be pulled: Back-off pulling image"),
        "{said}"
    );
    let said = bench.hopeless(waiting("InvalidImageName", "couldn't parse")).await;
    assert!(said.contains("is no name of an image: couldn't parse; set runner.image"), "{said}");
    let unschedulable = json!({"phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available",
    }]});
    let said = bench.hopeless(unschedulable).await;
    assert!(said.contains("no node takes its pod: 0/3 nodes are available"), "{said}");
    let said = bench.hopeless(waiting("ContainerCreating", "")).await;
    assert!(said.contains("kubectl describe pod "), "who knows nothing says where to look: {said}");
}

#[tokio::test]
async fn a_pod_that_is_not_made_is_explained_by_what_the_cluster_says_of_its_job() {
    let bench = Bench::idle().await;
    bench.cluster.fault(Fault::NoPod);
    let handle = bench.start("true").await;
    bench.cluster.complain("Job", &handle.name, "pods \"x\" is forbidden: exceeded quota");
    let impatient = bench.again(|s| s.kubernetes.start_timeout = Span(Duration::from_secs(1)));
    let said =
        within("the end of all patience", impatient.wait(&handle)).await.expect_err("there is no pod").0;
    assert!(said.ends_with("pods \"x\" is forbidden: exceeded quota"), "{said}");
}

#[tokio::test]
async fn what_the_cluster_ends_is_told_from_what_ends_by_itself() {
    let bench = Bench::idle().await;
    let ended = |code: i32, reason: &str| {
        json!({"phase": "Failed", "containerStatuses": [{
            "name": "agent", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": code, "reason": reason}},
        }]})
    };
    let mut evicted = ended(137, "Error");
    evicted["reason"] = "Evicted".into();
    evicted["message"] = "The node was low on resource: ephemeral-storage.".into();
    for (status, exit) in [
        (ended(137, "OOMKilled"), Ok(Exit::OutOfMemory)),
        (ended(2, "Error"), Ok(Exit::Code(2))),
        (evicted, Err("its pod was evicted: The node was low on resource: ephemeral-storage.".to_owned())),
    ] {
        let handle = bench.start("true").await;
        bench.cluster.running();
        bench.cluster.status(&status);
        assert_eq!(bench.wait(&handle).await.map_err(|e| e.0), exit);
        bench.engine.remove(&handle).await.expect("it goes");
    }
    let handle = bench.start("true").await;
    bench.cluster.running();
    let wait = bench.engine.wait(&handle);
    tokio::pin!(wait);
    assert!(futures_util::poll!(&mut wait).is_pending());
    bench.cluster.delete_pod();
    assert_eq!(within("the exit", wait).await.expect("waited for"), Exit::Lost);
}

#[tokio::test]
async fn what_is_missing_is_said_before_the_first_run() {
    let bench = Bench::idle().await;
    let wants = Wants { network: "default".into(), limits: true, ..Wants::default() };
    bench.engine.check().await.expect("it can be used");
    bench.engine.fits(&wants).await.expect("it fits");

    let none = bench.again(|s| s.kubernetes.volume_claim.clear());
    let said = none.check().await.expect_err("no claim is named").0;
    assert!(said.starts_with("runner.kubernetes.volume_claim: name the claim"), "{said}");
    let said = bench
        .engine
        .fits(&Wants { network: "none".into(), ..wants.clone() })
        .await
        .expect_err("no network")
        .0;
    assert!(said.contains("NetworkPolicy"), "{said}");
    assert!(bench.engine.fits(&Wants { gpus: true, ..wants.clone() }).await.is_err());
    bench.cluster.lose_claim();
    let said = bench.engine.fits(&wants).await.expect_err("no claim is there").0;
    assert!(said.contains("has no claim `dispatch-state`"), "{said}");

    bench.cluster.forbid("delete", "pods");
    bench.cluster.forbid("create", "jobs");
    let said = bench.engine.check().await.expect_err("rights are missing").0;
    assert!(
        said.contains("in the namespace `agents` this credential may not create jobs, delete pods"),
        "{said}"
    );
    assert!(said.contains("assets/kubernetes/role.yaml"), "{said}");

    let other = tempfile::tempdir().expect("a directory");
    let stranger = bench.cluster.kubeconfig_with(other.path(), "wrong");
    let unknown = bench.again(|s| s.kubernetes.kubeconfig = Some(stranger));
    let said = unknown.check().await.expect_err("nobody knows it").0;
    assert!(said.contains("does not know this credential"), "{said}");

    let path = other.path().join("none");
    let absent = bench.again(|s| s.kubernetes.kubeconfig = Some(path.clone()));
    let said = absent.check().await.expect_err("there is no such file").0;
    assert!(said.starts_with(&format!("runner.kubernetes.kubeconfig: {}: ", path.display())), "{said}");
    let elsewhere = bench.again(|s| s.kubernetes.context = Some("nowhere".into()));
    assert!(elsewhere.check().await.expect_err("no such context").0.contains("nowhere"));

    let outside = bench.again(|s| s.kubernetes.volume_path = Some(other.path().to_owned()));
    let said = outside.start(&bench.spec("true")).await.expect_err("pods could not see it").0;
    assert!(said.contains("set runner.kubernetes.volume_path"), "{said}");
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_said_to_be_out_of_reach() {
    let bench = Bench::idle().await;
    let Bench { cluster, engine, dir: _dir, .. } = bench;
    drop(cluster);
    let said = within("an answer", engine.check()).await.expect_err("nobody is there").0;
    assert!(said.contains("the cluster cannot be reached: "), "{said}");
}

/// Lines of `[runner]` for this cluster. The claim is the whole machine.
fn runner(cluster: &FakeCluster, dir: &Path, more: &str) -> String {
    let file = cluster.kubeconfig(dir);
    format!(
        "{more}\n[runner.kubernetes]\nkubeconfig = \"{}\"\nvolume_claim = \"{CLAIM}\"\nvolume_path = \"/\"\n",
        file.display()
    )
}

async fn scene(script: &str, more: &str) -> (FakeCluster, Scene, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let cluster = FakeCluster::start(Node::Runs("/".into())).await;
    let scene = Scene::new(DAEMON, RuntimeKind::Kubernetes, script, &runner(&cluster, dir.path(), more));
    (cluster, scene, dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_becomes_a_pull_request_through_a_pod() {
    let (cluster, scene, _dir) =
        scene("cat; echo more >>README.md; echo done", "verify = [\"test -s README.md\"]").await;
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await.expect("it is tracked");
    scene.published_once(&daemon.client).await;
    let run = scene.over(&daemon.client).await;
    assert_eq!(run.runtime, Some(RuntimeKind::Kubernetes));
    let log = String::from_utf8_lossy(&scene.log(&daemon.client, &run).await).into_owned();
    assert!(
        log.contains("Count the lines") && log.contains("done\n") && log.contains("+ test -s README.md"),
        "{log}"
    );
    scene.nothing_left(&run).await;
    wait_until("no job to be left", DEADLINE, async || cluster.jobs().is_empty().then_some(())).await;
    assert!(cluster.pods().is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_takes_up_its_pods_again() {
    const LINES: &str = "
i=0
while [ ! -e .git/enough ]; do
    i=$((i + 1))
    printf 'line %06d of many\\n' $i
    sleep 0.01
done
echo $i >lines.txt
";
    let (cluster, scene, _dir) = scene(LINES, "").await;
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await.expect("it is tracked");
    let before = scene.running(&daemon.client).await;
    scene.said(&daemon.client, &before, "line 000030 of many\n").await;
    cluster.fault(Fault::LogCut(1_000));
    cluster.fault(Fault::WatchGone);
    daemon.kill();
    let lines = || cluster.log().split(|b| *b == b'\n').count();
    let at_death = lines();
    wait_until("more lines without a daemon", DEADLINE, async || (lines() > at_death + 60).then_some(()))
        .await;

    let daemon = scene.place.start().await;
    let client = &daemon.client;
    scene.said(client, &before, &format!("line {:06} of many\n", at_death + 100)).await;
    let after = scene.running(client).await;
    assert_eq!(
        (after.id, after.attempt, after.claim_id, &after.container, &after.phases),
        (before.id, before.attempt, before.claim_id, &before.container, &before.phases),
        "the same run"
    );
    std::fs::write(scene.checkout().join(".git/enough"), "").expect("the program can be told");
    scene.published_once(client).await;
    scene.nothing_left(&after).await;
    let branch = &scene.repository.branches()[0];
    let count: usize =
        scene.repository.git(&["show", &format!("{branch}:lines.txt")]).trim().parse().expect("a number");
    let expected: String = (1..=count).map(|i| format!("line {i:06} of many\n")).collect();
    let log = String::from_utf8_lossy(&scene.log(client, &after).await).into_owned();
    assert!(log.starts_with(&expected), "no gap and no repeat: {log}");
    assert!(
        log[expected.len()..].lines().all(|l| l.starts_with("[dispatch] ")),
        "{}",
        &log[expected.len()..]
    );
    assert!(cluster.all_faults_came());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_ends_the_pod_politely() {
    let (cluster, scene, _dir) =
        scene("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done", "").await;
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await.expect("it is tracked");
    let run = scene.running(&daemon.client).await;
    scene.said(&daemon.client, &run, "ready\n").await;
    daemon.client.kill(run.id, &KillRequest::default()).await.expect("it can be killed");
    let run = scene.over(&daemon.client).await;
    assert_eq!(run.state, "killed", "{run:?}");
    let log = String::from_utf8_lossy(&scene.log(&daemon.client, &run).await).into_owned();
    assert!(log.contains("\nbye\n"), "{log}");
    scene.nothing_left(&run).await;
    wait_until("no job to be left", DEADLINE, async || cluster.jobs().is_empty().then_some(())).await;
    daemon.stop().await;
}
