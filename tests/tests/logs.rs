//! What is kept of what a program says: no secret, in little room, and found again.

use std::process::Command;

use dispatch_shared::client::Client;
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::runs::LogQuery;
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::daemon::wait_until;
use dispatch_tests::image::{IMAGE, build, engines};
use dispatch_tests::scene::{DEADLINE, Scene};

const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");
const KEY: &str = "hunter2-hunter2-hunter2";

/// Says its key whole, in two pieces, and as part of an error; and a token that it was not given. Then it says a lot.
const CHATTY: &str = r#"
echo "whole $SAMPLE_KEY."
printf 'two pieces %s' "${SAMPLE_KEY%????????}"; sleep 0.4; printf '%s.\n' "${SAMPLE_KEY#???????????????}"
echo "told {\"key\":\"$SAMPLE_KEY\"}" >&2
echo "found ghp_0123456789abcdefghijABCDEFGHIJ012345 in a file"
i=0; while [ $i -lt 8000 ]; do echo "line $i of many"; i=$((i+1)); done
printf 'see %s\n' "$SAMPLE_KEY" >BLOCKED.md; rm BLOCKED.md
exit 3
"#;

async fn read(client: &Client, run: RunId, query: LogQuery) -> String {
    let mut log = client.log(run, &query).await.expect("a log");
    let mut all = Vec::new();
    while let Some(bytes) = log.next().await.expect("the log is whole") {
        all.extend_from_slice(&bytes);
    }
    String::from_utf8(all).expect("text")
}

async fn said(kind: RuntimeKind) {
    let mut scene = Scene::new(DAEMON, kind, CHATTY, "env = [\"SAMPLE_KEY\"]");
    scene.place.env("SAMPLE_KEY", KEY);
    let daemon = scene.place.start().await;
    let client = &daemon.client;
    scene.switch_on(client).await.expect("it is tracked");
    let run = scene.over(client).await;
    assert_eq!(run.state, "failed", "{run:?}\n{}", scene.place.log());

    let dir = scene.place.state().join("runs").join(run.id.to_string());
    let packed = dir.join("raw.log.gz");
    wait_until("the log to be compressed", DEADLINE, async || packed.exists().then_some(())).await;
    assert!(!dir.join("raw.log").exists() || !packed.with_extension("new").exists());
    let whole = read(client, run.id, LogQuery::default()).await;
    let stars = "*".repeat(KEY.len());
    let begins = format!("whole {stars}.\ntwo pieces {stars}.\ntold {{\"key\":\"{stars}\"}}\nfound ****");
    assert!(whole.starts_with(&begins), "{kind}: {}", &whole[..300]);
    assert!(whole.contains("line 7999 of many\n"), "{kind}");
    let size = std::fs::metadata(&packed).expect("it is there").len();
    assert!(size * 3 < whole.len() as u64, "{kind}: {size} bytes for {}", whole.len());

    let events =
        read(client, run.id, LogQuery { stream: Some("events".into()), ..LogQuery::default() }).await;
    for text in [&whole, &events, &scene.place.log(), &format!("{run:?}")] {
        assert!(!text.contains("hunter2") && !text.contains("ghp_0123"), "{kind}: a secret was kept");
    }

    let from = LogQuery { offset: Some(50_000), ..LogQuery::default() };
    assert!(read(client, run.id, from).await == whole[50_000..], "{kind}: from any byte");
    let found = read(client, run.id, LogQuery { q: Some("LINE 799".into()), ..LogQuery::default() }).await;
    let expected: Vec<String> =
        std::iter::once(799).chain(7_990..8_000).map(|i| format!("line {i} of many\n")).collect();
    assert_eq!(found, expected.concat(), "{kind}");
    scene.nothing_left(&run).await;
    daemon.stop().await;
}

#[tokio::test]
async fn secrets_are_not_kept_and_long_logs_are_small_and_searched() {
    let mut kinds = engines();
    kinds.push(RuntimeKind::Host);
    for kind in kinds {
        said(kind).await;
    }
}

/// The program was ended with the daemon and begun again with the next: the log holds both, whole.
#[tokio::test]
async fn what_was_begun_again_says_all_of_it_once_more() {
    let script = "n=$(cat .git/n 2>/dev/null || echo 0); n=$((n + 1)); echo $n >.git/n\necho \"try $n begins\"\n\
                  while [ ! -e .git/enough ]; do sleep 0.1; done\necho \"try $n ends\"; echo more >>README.md";
    let mut kinds = engines();
    kinds.push(RuntimeKind::Host);
    for kind in kinds {
        let scene = Scene::new(DAEMON, kind, script, "on_shutdown = \"stop\"\ngrace = \"1s\"");
        let daemon = scene.place.start().await;
        scene.switch_on(&daemon.client).await.expect("it is tracked");
        let run = scene.running(&daemon.client).await;
        scene.said(&daemon.client, &run, "try 1 begins\n").await;
        daemon.stop().await;
        let daemon = scene.place.start().await;
        scene.said(&daemon.client, &run, "try 2 begins\n").await;
        // And a daemon that takes up the second goes on where that stands.
        daemon.kill();
        std::fs::write(scene.checkout().join(".git/enough"), "").expect("the program can be told");
        let daemon = scene.place.start().await;
        scene.published_once(&daemon.client).await;
        let log = read(&daemon.client, run.id, LogQuery::default()).await;
        assert!(log.starts_with("try 1 begins\ntry 2 begins\ntry 2 ends\n[dispatch]"), "{kind}: {log}");
        daemon.stop().await;
    }
}

#[test]
fn an_image_is_built_by_each_engine() {
    for kind in engines() {
        build(kind);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("Containerfile");
        std::fs::write(&file, "ARG BASE\nFROM ${BASE}\nCOPY hello /hello\nUSER 1000:1000\n")
            .expect("written");
        std::fs::write(dir.path().join("hello"), "hello\n").expect("written");
        std::fs::write(dir.path().join("config.toml"), "").expect("written");
        let base = if kind == RuntimeKind::Podman { format!("localhost/{IMAGE}") } else { IMAGE.to_owned() };
        let tag = format!("dispatch-test-built-{}:1", std::process::id());
        let output = Command::new(DAEMON)
            .args(["image", "build", "--engine", kind.word(), "--tag", &tag, "--build-arg"])
            .arg(format!("BASE={base}"))
            .arg("--file")
            .arg(&file)
            .env("DISPATCH_STATE_DIR", dir.path().join("state"))
            .env("DISPATCH_CONFIG", dir.path().join("config.toml"))
            .output()
            .expect("it can be started");
        assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains(&format!("built {tag} with {kind}; use it with runner.image")),
            "{kind}: {said}"
        );
        let seen = Command::new(kind.word()).args(["run", "--rm", &tag, "cat", "/hello"]).output();
        let _ = Command::new(kind.word()).args(["rmi", "--force", &tag]).output();
        assert_eq!(seen.expect("it can be started").stdout, b"hello\n", "{kind}");
    }
}
