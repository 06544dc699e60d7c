//! The harness examples do what they say: each takes a task of a real daemon, starts its program as documented, and reports. In
//! place of the programs stand scripts that record how they were called.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use dispatch_shared::protocol::issues::IssuesQuery;
use dispatch_shared::protocol::repos::AddRepoRequest;
use dispatch_tests::daemon::{Daemon, Place, wait_until};

const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");
const CLIENT: &str = env!("CARGO_BIN_EXE_test-dispatch");
const SOON: Duration = Duration::from_secs(20);

/// What a stand-in does before it speaks: record arguments and prompt, and commit.
const RECORD: &str = r#"#!/bin/sh
printf '%s\n' "$@" >"$RECORD/argv"
cat >"$RECORD/stdin"
echo more >>work.txt && git add work.txt && git -c user.name=Ada -c user.email=ada@example.com commit -q -m work
"#;

struct Scene {
    place: Place,
    daemon: Daemon,
}

impl Scene {
    /// A daemon with one ready issue of a local repository.
    async fn new() -> Self {
        let place = Place::new(DAEMON);
        let daemon = place.start().await;
        let scene = Self { place, daemon };
        let repo = scene.repo();
        std::fs::create_dir_all(repo.join(".dispatch/issues")).expect("a directory");
        scene.git(&["init", "-q", "-b", "main"]);
        scene.git(&["commit", "-q", "--allow-empty", "-m", "start"]);
        let text =
            "---\ntitle: Say hello\nlabels: [status/ready]\n---\n\nIt is silent.\n\n- [ ] it says hello\n";
        std::fs::write(repo.join(".dispatch/issues/1-issue.md"), text).expect("an issue");
        std::fs::create_dir_all(scene.bin()).expect("a directory");
        std::os::unix::fs::symlink(CLIENT, scene.bin().join("dispatch")).expect("a link");
        let path = Some(repo.display().to_string());
        let add = AddRepoRequest { forge: Some("local".into()), path, ..AddRepoRequest::default() };
        scene.daemon.client.add_repo(&add).await.expect("a local repository can be tracked");
        let client = &scene.daemon.client;
        wait_until("the issue on the board", SOON, async || {
            (client.control().await.ok()?.ready == 1).then_some(())
        })
        .await;
        scene
    }

    fn repo(&self) -> PathBuf {
        self.place.path().join("sample")
    }

    fn bin(&self) -> PathBuf {
        self.place.path().join("bin")
    }

    fn git(&self, args: &[&str]) -> String {
        let done = Command::new("git")
            .arg("-C")
            .arg(self.repo())
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .expect("git is there");
        assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// Puts a program on the PATH.
    fn program(&self, name: &str, script: &str) {
        let path = self.bin().join(name);
        std::fs::write(&path, script).expect("a script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    }

    /// Runs a command as a harness would be run, in the repository.
    fn run(&self, program: &str, args: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        let run = || {
            Command::new(program)
                .args(args)
                .current_dir(self.repo())
                .env_clear()
                .env("PATH", format!("{}:{path}", self.bin().display()))
                .env("HOME", self.place.path())
                .env("RECORD", self.place.path())
                .env("DISPATCH_SOCKET", self.place.socket())
                .env("DISPATCH_AGENT_NAME", "saffron-test")
                .env("DISPATCH_WAIT", "0s")
                .stdin(Stdio::null())
                .output()
                .expect("the example can be started")
        };
        tokio::task::block_in_place(run)
    }

    fn example(&self, name: &str) -> Output {
        self.run("sh", &[&example(name)])
    }

    fn recorded(&self, what: &str) -> String {
        std::fs::read_to_string(self.place.path().join(what)).unwrap_or_default()
    }

    /// The column of the one issue, and whether it has a pull request.
    async fn card(&self) -> (String, bool) {
        let query = IssuesQuery::default();
        let card = self.daemon.client.issues(&query).await.expect("issues").remove(0);
        (card.column.word().to_owned(), card.linked_pr_number.is_some())
    }
}

fn example(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    root.join("assets/harness").join(name).display().to_string()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Whether the tools that an example needs are here; says so if not.
fn have(tools: &[&str]) -> bool {
    let absent: Vec<_> =
        tools.iter().filter(|t| Command::new(t).arg("--version").output().is_err()).copied().collect();
    if !absent.is_empty() {
        // A test that says nothing looks as if it had run.
        let _ = writeln!(std::io::stderr(), "skipped: {} not installed", absent.join(", "));
    }
    absent.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_python_do_the_whole_loop_and_stop() {
    if !have(&["curl", "jq", "python3"]) {
        return;
    }
    for (program, file) in [("sh", "curl.sh"), ("python3", "worker.py")] {
        let scene = Scene::new().await;
        scene.program("stub", RECORD);
        let done = scene.run(program, &[&example(file), "stub", "--flag"]);
        assert!(done.status.success(), "{file}: {}", text(&done));
        assert!(text(&done).contains("reported: completed"), "{file}: {}", text(&done));
        assert_eq!(scene.recorded("argv"), "--flag\n");
        let task: serde_json::Value = serde_json::from_str(&scene.recorded("stdin")).expect("a task as JSON");
        assert_eq!(task["issue"]["title"], "Say hello", "{file}");
        assert_eq!(scene.card().await, ("in-review".to_owned(), true), "{file}");
        assert_eq!(scene.git(&["branch", "--show-current"]), task["branch"], "{file}");
        let idle = scene.run(program, &[&example(file), "stub", "again"]);
        assert_eq!(idle.status.code(), Some(3), "{file}: {}", text(&idle));
        assert_eq!(
            scene.recorded("argv"),
            "--flag\n",
            "{file}: no agent is started when there is nothing to do"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_python_say_what_failed_and_what_is_asked() {
    if !have(&["curl", "jq", "python3"]) {
        return;
    }
    for (program, file) in [("sh", "curl.sh"), ("python3", "worker.py")] {
        let scene = Scene::new().await;
        scene.program("stub", "#!/bin/sh\ncat >/dev/null\necho 'Which language?' >BLOCKED.md\n");
        let done = scene.run(program, &[&example(file), "stub"]);
        assert!(text(&done).contains("reported: blocked"), "{file}: {}", text(&done));
        let problems = scene.daemon.client.problems().await.expect("problems");
        assert!(problems.iter().any(|p| p.text.contains("Which language?")), "{file}: {problems:?}");
        let scene = Scene::new().await;
        scene.program("stub", "#!/bin/sh\ncat >/dev/null\nexit 4\n");
        let done = scene.run(program, &[&example(file), "stub"]);
        assert!(text(&done).contains("reported: failed"), "{file}: {}", text(&done));
    }
}

/// A program's example: how it has to be called, and what it says in its own stream when it is done.
struct Example {
    file: &'static str,
    program: &'static str,
    /// Arguments, one a line; `@` in one stands for anything.
    argv: &'static [&'static str],
    /// The rest of the stand-in.
    speak: &'static str,
}

const EXAMPLES: [Example; 6] = [
    Example {
        file: "claude-code.sh",
        program: "claude",
        argv: &[
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            "--dangerously-skip-permissions",
            "--strict-mcp-config",
        ],
        speak: r#"say() { printf '%s\n' "$1"; }
say '{"type":"system","subtype":"init"}'
say '{"type":"result","subtype":"success","is_error":false,"result":"I looked.\n\nDONE: it says hello"}'"#,
    },
    Example {
        file: "codex.sh",
        program: "codex",
        argv: &[
            "exec",
            "--json",
            "--dangerously-bypass-approvals-and-sandbox",
            "-C",
            "@/sample",
            "-o",
            "@/last",
            "-",
        ],
        speak: r#"echo '{"type":"turn.completed","usage":{}}'
while [ "$1" != -o ]; do shift; done
echo 'DONE: it says hello' >"$2""#,
    },
    Example {
        file: "gemini.sh",
        program: "gemini",
        argv: &["-p", "Carry out the task described above.", "--yolo", "--skip-trust", "-o", "stream-json"],
        speak: r#"echo '{"type":"message","role":"user","content":"the prompt"}'
echo '{"type":"message","role":"assistant","content":"DONE: it ","delta":true}'
echo '{"type":"message","role":"assistant","content":"says hello","delta":true}'
echo '{"type":"result","status":"success","stats":{}}'"#,
    },
    Example {
        file: "opencode.sh",
        program: "opencode",
        argv: &["run", "--format", "json", "--auto", "--dir", "@/sample"],
        speak: r#"echo '{"type":"text","part":{"type":"text","text":"DONE: it says hello"}}'"#,
    },
    Example {
        file: "openclaw.sh",
        program: "openclaw",
        argv: &[
            "agent",
            "--local",
            "--agent",
            "main",
            "--session-id",
            "dispatch-c-@",
            "--message-file",
            "@/message",
        ],
        speak: "echo 'DONE: it says hello'",
    },
    Example {
        file: "hermes.sh",
        program: "hermes",
        argv: &["chat", "--oneshot", "--quiet", "--yolo", "--query-file", "@/message"],
        speak: "echo 'DONE: it says hello'",
    },
];

fn fits(pattern: &str, argument: &str) -> bool {
    match pattern.split_once('@') {
        Some((before, after)) => argument.starts_with(before) && argument.ends_with(after),
        None => pattern == argument,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_program_is_called_as_documented_and_its_words_are_reported() {
    if !have(&["jq"]) {
        return;
    }
    for example in EXAMPLES {
        let scene = Scene::new().await;
        // A prompt may come in a file: the stand-in reads that into the same record.
        let file = r#"for a in "$@"; do case $a in */message) cp "$a" "$RECORD/stdin" ;; esac; done"#;
        scene.program(example.program, &format!("{RECORD}{file}\n{}\n", example.speak));
        let done = scene.example(example.file);
        assert!(done.status.success(), "{}: {}", example.file, text(&done));
        assert!(text(&done).contains("reported: completed"), "{}: {}", example.file, text(&done));
        let argv = scene.recorded("argv");
        let argv: Vec<_> = argv.lines().collect();
        let as_documented =
            argv.len() == example.argv.len() && example.argv.iter().zip(&argv).all(|(p, a)| fits(p, a));
        assert!(as_documented, "{}: {argv:?}", example.file);
        let prompt = scene.recorded("stdin");
        assert!(
            prompt.contains("Say hello") && prompt.contains("- it says hello"),
            "{}: {prompt}",
            example.file
        );
        assert_eq!(scene.card().await, ("in-review".to_owned(), true), "{}", example.file);
        std::fs::remove_file(scene.place.path().join("argv")).expect("a record");
        assert_eq!(scene.example(example.file).status.code(), Some(3), "{}: idle", example.file);
        assert_eq!(
            scene.recorded("argv"),
            "",
            "{}: no model is started when there is nothing to do",
            example.file
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_fails_or_breaks_its_contract_fails_the_task() {
    if !have(&["jq"]) {
        return;
    }
    let results = [
        ("exit 7", "exit code 7"),
        (r#"echo '{"type":"result","subtype":"success","is_error":true,"result":"DONE: x"}'"#, "exit code 1"),
        (
            r#"printf '%s\n' '{"type":"result","is_error":false,"result":"I merged the pull request.\nDONE: all of it"}'"#,
            "Do not merge any pull request.",
        ),
    ];
    for (speak, expected) in results {
        let scene = Scene::new().await;
        scene.program("claude", &format!("{RECORD}{speak}\n"));
        let done = scene.example("claude-code.sh");
        assert!(text(&done).contains("reported: failed"), "{speak}: {}", text(&done));
        let audit = scene.daemon.client.audit(&Default::default()).await.expect("audit");
        let said = format!("{audit:?}{}", text(&done));
        assert!(said.contains(expected), "{speak}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cron_starts_one_at_a_time_and_is_silent_when_idle() {
    if !have(&["jq", "flock"]) {
        return;
    }
    let scene = Scene::new().await;
    scene.program("claude", &format!("{RECORD}{}\n", EXAMPLES[0].speak));
    let (cron, claude) = (example("cron.sh"), example("claude-code.sh"));
    let repo = scene.repo().display().to_string();
    let args = [cron.as_str(), &repo, &claude];
    let lock = scene.repo().join(".git/dispatch.lock");
    let held = std::fs::File::create(&lock).expect("a lock");
    held.lock().expect("the lock is free");
    let skipped = scene.run("sh", &args);
    assert!(skipped.status.success() && text(&skipped).is_empty(), "{}", text(&skipped));
    assert_eq!(scene.recorded("argv"), "", "another one is at work");
    drop(held);
    let done = scene.run("sh", &args);
    assert!(done.status.success() && text(&done).contains("reported: completed"), "{}", text(&done));
    let idle = scene.run("sh", &args);
    assert_eq!(idle.status.code(), Some(0), "idle is no error: {}", text(&idle));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_speaks_json_and_explains_itself() {
    let scene = Scene::new().await;
    let look = scene.run("dispatch", &["next", "--peek", "--prompt"]);
    assert!(look.status.success() && text(&look).contains("\nDONE: "), "{}", text(&look));
    let both = scene.run("dispatch", &["next", "--peek", "--prompt", "--json", "--template", "reviewer"]);
    let both: serde_json::Value = serde_json::from_slice(&both.stdout).expect("JSON");
    assert!(both["prompt"].as_str().is_some_and(|p| p.contains("git diff main...")), "{both}");
    let wrong = scene.run("dispatch", &["why", "nobody/nothing#1", "--json"]);
    assert_eq!(wrong.status.code(), Some(1));
    let said: serde_json::Value = serde_json::from_slice(&wrong.stderr).expect("an error as JSON");
    assert_eq!(said["code"], "not_found", "{said}");
    let demo = scene.run("dispatch", &["demo"]);
    assert_eq!(demo.status.code(), Some(1));
    let said = text(&demo);
    assert!(said.contains("--headless") && said.lines().count() == 1, "{said}");
    let man = scene.run("dispatch", &["man"]);
    assert!(man.status.success() && text(&man).starts_with(".ie") || text(&man).contains(".TH dispatch 1"));
    let pages = scene.place.path().join("man");
    let made = scene.run("dispatch", &["man", "--dir", &pages.display().to_string()]);
    assert!(made.status.success() && pages.join("dispatch-next.1").is_file(), "{}", text(&made));
}
