//! Real engines: what the runner relies on of docker and podman, and of running without a container.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::image::{IMAGE, build, engines};
use dispatchd::edges::{Exit, Handle, Limits, RunSpec, Runtime, Selinux, Wants};
use dispatchd::runner::runtime::of_kind;
use tokio::io::AsyncReadExt;

const DEADLINE: Duration = Duration::from_secs(60);

/// A state directory with one workspace in it, and an engine that knows it.
struct Bench {
    dir: tempfile::TempDir,
    engine: Arc<dyn Runtime>,
    owner: (u32, u32),
}

impl Bench {
    fn new(kind: RuntimeKind) -> Self {
        if kind != RuntimeKind::Host {
            build(kind);
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
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
        let engine = of_kind(kind, dir.path());
        Self { dir, engine, owner }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn spec(&self, script: &str) -> RunSpec {
        RunSpec {
            run: RunId(1),
            attempt: Attempt(4_294_967_297),
            image: IMAGE.into(),
            argv: ["sh", "-c", script].map(str::to_owned).into(),
            env: vec![("FIXED".into(), "fixed value".into())],
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
                nofile: None,
                network: "none".into(),
            },
            read_only_root: true,
            gpus: false,
            host_gateway: false,
            timeout: Duration::from_secs(3_600),
            selinux: Selinux::Disable,
            log_max: 1 << 30,
        }
    }

    async fn start(&self, script: &str) -> Handle {
        within("the start", self.engine.start(&self.spec(script))).await.expect("it starts")
    }

    async fn log(&self, handle: &Handle, offset: u64) -> Vec<u8> {
        let mut all = Vec::new();
        let mut log = self.engine.logs(handle, offset).await.expect("a log");
        within("the end of the log", log.read_to_end(&mut all)).await.expect("read");
        all
    }

    /// Reads the log until `mark` has come.
    async fn until(&self, handle: &Handle, mark: &str) {
        let mut log = self.engine.logs(handle, 0).await.expect("a log");
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
    }
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| panic!("{what} did not come in time"))
}

/// Every engine that is here, and the host.
fn all() -> Vec<Bench> {
    let mut kinds = engines();
    kinds.push(RuntimeKind::Host);
    kinds.into_iter().map(Bench::new).collect()
}

fn inspect(kind: RuntimeKind, handle: &Handle) -> String {
    let output =
        Command::new(kind.word()).args(["container", "inspect", &handle.name]).output().expect("inspect");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_program_gets_its_prompt_and_leaves_log_and_code() {
    for bench in all() {
        let kind = bench.engine.kind();
        bench.engine.check().await.expect("it answers");
        let script =
            "cat; echo err >&2; echo made >file; id -u; pwd; echo \"[$FIXED][$HOME][$TERM]\"; exit 7";
        let handle = bench.start(script).await;
        let exit = within("the exit", bench.engine.wait(&handle)).await.expect("waited for");
        assert_eq!(exit, Exit::Code(7), "{kind}");
        let log = String::from_utf8(bench.log(&handle, 0).await).expect("text");
        let expected = format!(
            "the prompt\nerr\n{}\n{}\n[fixed value][{}][dumb]\n",
            bench.owner.0,
            bench.at("repo").display(),
            bench.at("home").display()
        );
        assert_eq!(log, expected, "{kind}");
        let made = std::fs::metadata(bench.at("repo/file")).expect("written through the mount");
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), bench.owner.0, "{kind}");
        let found = bench.engine.list().await.expect("a list");
        assert_eq!(found.len(), 1, "{kind}");
        assert_eq!((&found[0].handle, found[0].running), (&handle, false), "{kind}");
        bench.engine.remove(&handle).await.expect("removed");
    }
}

#[tokio::test]
async fn a_log_is_taken_up_at_any_byte() {
    for bench in all() {
        let kind = bench.engine.kind();
        // Long lines and no end of line at the end. (Bytes that are no text come out of docker's log as U+FFFD, each time.)
        let script = "i=0; while [ $i -lt 300 ]; do echo \"line $i\"; i=$((i+1)); done; \
                      head -c 70000 /dev/zero | tr '\\0' x; echo; printf '\\303\\251 end'; sleep 1; printf ' last'";
        let handle = bench.start(script).await;
        bench.until(&handle, " end").await;
        // A second reader comes while the program runs, as a daemon would that was restarted.
        let late = bench.log(&handle, 5_000).await;
        let whole = bench.log(&handle, 0).await;
        assert!(whole.ends_with("é end last".as_bytes()), "{kind}: {:?}", &whole[whole.len() - 20..]);
        assert_eq!(whole.len(), 2_590 + 70_001 + 11, "{kind}");
        assert_eq!(late, whole[5_000..], "{kind}");
        for offset in [0, 1, 2_589, 40_000, whole.len() - 1, whole.len(), whole.len() + 10] {
            let tail = bench.log(&handle, offset as u64).await;
            assert_eq!(tail, whole[offset.min(whole.len())..], "{kind} from {offset}");
        }
        bench.engine.remove(&handle).await.expect("removed");
    }
}

#[tokio::test]
async fn the_kill_ladder_ends_every_child() {
    for bench in all() {
        let kind = bench.engine.kind();
        // The program and a child in a session of its own both ignore TERM; another child lost its parent.
        let script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo child; while :; do sleep 1; done' & \
                      (sh -c 'while :; do sleep 1; done' &) ; echo ready; while :; do sleep 1; done";
        let handle = bench.start(script).await;
        bench.until(&handle, "ready").await;
        bench.until(&handle, "child").await;
        let began = std::time::Instant::now();
        let stopped = within("the end", bench.engine.stop(&handle, Duration::from_millis(1_500))).await;
        stopped.expect("ended");
        assert!(began.elapsed() >= Duration::from_millis(1_400), "{kind}: it was given its grace");
        let exit = within("the exit", bench.engine.wait(&handle)).await.expect("waited for");
        assert!(matches!(exit, Exit::Code(137) | Exit::Lost), "{kind}: {exit:?}");
        if kind == RuntimeKind::Host {
            let mark = format!("{}\0", bench.at("home").display());
            assert_eq!(processes_with(&mark), Vec::<String>::new());
        }
        bench.engine.stop(&handle, Duration::ZERO).await.expect("ending it again is fine");
        bench.engine.remove(&handle).await.expect("removed");
    }
}

fn processes_with(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environ.windows(mark.len()).any(|w| w == mark.as_bytes()) {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            // A zombie has neither.
            found.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    found
}

#[tokio::test]
async fn a_polite_program_ends_within_its_grace() {
    for bench in all() {
        let kind = bench.engine.kind();
        let handle =
            bench.start("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.1; done").await;
        bench.until(&handle, "ready").await;
        within("the end", bench.engine.stop(&handle, DEADLINE)).await.expect("ended");
        let log = String::from_utf8(bench.log(&handle, 0).await).expect("text");
        assert!(log.ends_with("bye\n"), "{kind}: {log}");
        bench.engine.remove(&handle).await.expect("removed");
    }
}

#[tokio::test]
async fn only_declared_names_get_in_and_no_value_is_on_a_command_line() {
    for bench in all() {
        let kind = bench.engine.kind();
        let handle = bench.start("env; cat /proc/self/status").await;
        within("the exit", bench.engine.wait(&handle)).await.expect("waited for");
        let log = String::from_utf8(bench.log(&handle, 0).await).expect("text");
        assert!(log.contains("CARGO_PKG_NAME=dispatch-tests\n"), "{kind}: {log}");
        assert!(!log.contains("NOT_SET_ANYWHERE"), "{kind}");
        assert!(!log.contains("CARGO_MANIFEST_DIR"), "{kind}: an undeclared name got in");
        if kind != RuntimeKind::Host {
            assert!(log.contains("NoNewPrivs:\t1"), "{kind}: {log}");
            assert!(log.contains("CapEff:\t0000000000000000"), "{kind}: {log}");
            let seen = inspect(kind, &handle);
            assert!(seen.contains("dispatch.attempt") && seen.contains("4294967297"), "{kind}");
            assert!(!seen.contains("CARGO_MANIFEST_DIR"), "{kind}");
            assert!(!seen.contains("the prompt"), "{kind}: the prompt is a file, not an argument");
            let (before, after) = seen.split_once("CARGO_PKG_NAME=").expect("it is in the environment");
            assert!(
                !before.contains("\"CARGO_PKG_NAME") && !after.contains("CARGO_PKG_NAME="),
                "{kind}: once"
            );
        }
        bench.engine.remove(&handle).await.expect("removed");
    }
}

#[tokio::test]
async fn removing_leaves_nothing_and_strangers_are_left_alone() {
    for bench in all() {
        let kind = bench.engine.kind();
        let stranger = Bench::new(kind);
        let theirs = stranger.start("sleep 60").await;
        let handle = bench.start("sleep 60").await;
        let found = bench.engine.list().await.expect("a list");
        assert_eq!(found.len(), 1, "{kind}: only our own");
        assert!(found[0].running && found[0].handle == handle, "{kind}");
        bench.engine.stop(&handle, Duration::ZERO).await.expect("ended");
        bench.engine.remove(&handle).await.expect("removed");
        bench.engine.remove(&handle).await.expect("removing it again is fine");
        assert!(bench.engine.list().await.expect("a list").is_empty(), "{kind}");
        let exit = within("the exit", bench.engine.wait(&handle)).await.expect("answered");
        assert_eq!(exit, Exit::Lost, "{kind}: what is gone left no code");
        let others = stranger.engine.list().await.expect("a list");
        assert!(others.iter().any(|f| f.running && f.handle == theirs), "{kind}");
        stranger.engine.stop(&theirs, Duration::ZERO).await.expect("ended");
        stranger.engine.remove(&theirs).await.expect("removed");
    }
}

#[tokio::test]
async fn starting_again_replaces_what_a_crash_left() {
    for bench in all() {
        let kind = bench.engine.kind();
        let first = bench.start("sleep 60").await;
        let second = bench.start("echo second").await;
        assert_eq!((first.run, first.attempt), (second.run, second.attempt), "{kind}");
        within("the exit", bench.engine.wait(&second)).await.expect("waited for");
        assert_eq!(bench.log(&second, 0).await, b"second\n", "{kind}");
        bench.engine.remove(&second).await.expect("removed");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_says_so() {
    for bench in all() {
        let mut spec = bench.spec("");
        spec.argv = vec!["no-such-program".into()];
        let handle =
            within("the start", bench.engine.start(&spec)).await.expect("the container itself starts");
        let exit = within("the exit", bench.engine.wait(&handle)).await.expect("waited for");
        assert_eq!(exit, Exit::Code(127), "{}", bench.engine.kind());
        bench.engine.remove(&handle).await.expect("removed");
    }
}

/// Every container engine that is here.
fn containers() -> Vec<Bench> {
    engines().into_iter().map(Bench::new).collect()
}

#[tokio::test]
async fn an_image_cannot_be_written_and_temporary_files_can_be_run() {
    for bench in containers() {
        let kind = bench.engine.kind();
        let script = "touch /etc/x 2>&1; for d in /tmp /var/tmp; do cp /bin/busybox $d/ && $d/busybox echo \"ran $d\"; done; \
                      touch /dev/shm/x && echo shm; ulimit -n";
        let mut spec = bench.spec(script);
        // Podman sets other limits along with this one, and needs the rights of a whole machine's root for it.
        spec.limits.nofile = (kind == RuntimeKind::Docker).then_some(256);
        let handle = within("the start", bench.engine.start(&spec)).await.expect("it starts");
        within("the exit", bench.engine.wait(&handle)).await.expect("waited for");
        let log = String::from_utf8(bench.log(&handle, 0).await).expect("text");
        let expected = "touch: /etc/x: Read-only file system\nran /tmp\nran /var/tmp\nshm\n";
        let files = log.strip_prefix(expected).unwrap_or_else(|| panic!("{kind}: {log}"));
        assert!(kind != RuntimeKind::Docker || files == "256\n", "{kind}: {files}");
        bench.engine.remove(&handle).await.expect("removed");
    }
}

#[tokio::test]
async fn what_an_engine_cannot_give_is_said_with_the_next_step() {
    for bench in containers() {
        let (engine, kind) = (&bench.engine, bench.engine.kind());
        let good = Wants { limits: true, network: "none".into(), gpus: false, images: vec![IMAGE.into()] };
        engine.fits(&good).await.expect("it is all there");
        let network = Wants { network: "no-such-network".into(), ..good.clone() };
        let said = engine.fits(&network).await.expect_err("there is no such network").0;
        assert!(said.contains("network create no-such-network"), "{kind}: {said}");
        let image = Wants { images: vec!["dispatch-none:1".into()], ..good };
        let said = engine.fits(&image).await.expect_err("there is no such image").0;
        assert!(said.contains("dispatchd image build"), "{kind}: {said}");
        assert!(!engine.image("dispatch-none:1").await.expect("asked"), "{kind}");
        assert!(engine.image(IMAGE).await.expect("asked"), "{kind}");
        let said = engine.pull("127.0.0.1:1/dispatch-none:1").await.expect_err("nobody listens there").0;
        assert!(said.contains("could not be pulled") && said.contains("image build"), "{kind}: {said}");
    }
}
