//! Two harnesses, two processes with one script, share 200 tasks over TCP while the daemon is killed ten times: each task is
//! handed out once and reported once, as the scripts saw it and as the audit tells it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dispatch_shared::protocol::activity::AuditQuery;
use dispatch_tests::daemon::{Place, wait_until};
use dispatch_tests::sample;

const TASKS: usize = 200;
const KILLS: usize = 10;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/harness.sh");
/// For each step between two kills, and for the end: generous, for the machine may be busy.
const STEP: Duration = Duration::from_secs(60);

/// A harness in a process of its own; ended when dropped.
struct Harness {
    child: Child,
    log: PathBuf,
}

impl Harness {
    fn start(dir: &Path, agent: &str, url: &str, token: &str) -> Self {
        let log = dir.join(format!("{agent}.log"));
        let child = Command::new("sh")
            .args([SCRIPT, agent])
            .arg(&log)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DISPATCH", env!("CARGO_BIN_EXE_test-dispatch"))
            .env("DISPATCH_URL", url)
            .env("DISPATCH_WORKER_TOKEN", token)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("sh is there");
        Self { child, log }
    }

    /// The numbers of the issues after `word` in the log.
    fn said(&self, word: &str) -> Vec<u64> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.strip_prefix(word)?.split_whitespace().next()?.parse().ok())
            .collect()
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.log.with_extension("log.errors")).unwrap_or_default()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn counted(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for number in numbers {
        *counts.entry(number).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn two_harnesses_share_two_hundred_tasks_while_the_daemon_is_killed_ten_times() {
    let mut place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    let listen = format!("127.0.0.1:{}", sample::port());
    place.env("DISPATCH_LISTEN", &listen);
    place.env("DISPATCH_WORKER_TOKEN", "a-token-of-workers");
    place.env("BEN_TOKEN", "a-token-of-ben-alone");
    // The default would make this last over a minute.
    place.configure("[api]\nrate_limit = 1000\nworkers = { ben = { token_env = \"BEN_TOKEN\" } }\n");
    let mut daemon = place.start().await;
    sample::issues(&place, &daemon.client, TASKS).await;
    let url = format!("http://{listen}");
    let mut harnesses = [
        Harness::start(place.path(), "ann", &url, "a-token-of-workers"),
        Harness::start(place.path(), "ben", &url, "a-token-of-ben-alone"),
    ];
    for kill in 1..=KILLS {
        if kill % 2 == 1 {
            // At any time, from outside; the next daemon ends itself, after a change is durable and before it is answered.
            let enough = TASKS * kill / (KILLS + 1);
            wait_until(&format!("{enough} reports"), STEP, async || {
                (harnesses.iter().map(|h| h.said("reported").len()).sum::<usize>() >= enough).then_some(())
            })
            .await;
            place.env("DISPATCH_TEST_KILL_AT", &format!("store.answer:{}", 25 + 5 * kill));
            daemon.kill();
        } else {
            wait_until("the daemon to end itself", STEP, async || daemon.died()).await;
            place.env("DISPATCH_TEST_KILL_AT", "never:1");
        }
        daemon = place.start().await;
    }
    wait_until("both harnesses to run out of tasks", STEP, async || {
        harnesses.iter_mut().all(|h| h.child.try_wait().is_ok_and(|done| done.is_some())).then_some(())
    })
    .await;

    let once: BTreeMap<u64, usize> = (1..=TASKS as u64).map(|n| (n, 1)).collect();
    for word in ["claimed", "reported"] {
        let said = counted(harnesses.iter().flat_map(|h| h.said(word)));
        assert_eq!(said, once, "the harnesses say so: {word}");
    }
    let all = AuditQuery { limit: Some(10_000), ..AuditQuery::default() };
    let audit = daemon.client.audit(&all).await.expect("the audit");
    for action in ["claim_issue", "report_task"] {
        let rows = audit.iter().filter(|row| row.action == action && row.success);
        assert_eq!(counted(rows.filter_map(|row| row.issue_number)), once, "the audit says so: {action}");
    }
    for harness in &harnesses {
        let agent = harness.log.file_stem().and_then(|n| n.to_str()).expect("a name");
        let mut theirs = harness.said("reported");
        theirs.sort_unstable();
        let mut audited: Vec<u64> = audit
            .iter()
            .filter(|row| row.action == "report_task" && row.actor == agent)
            .filter_map(|row| row.issue_number)
            .collect();
        audited.sort_unstable();
        assert_eq!(theirs, audited, "{agent} did what the audit says {agent} did");
        assert!(!theirs.is_empty(), "{agent} had its share");
    }
    assert!(
        harnesses.iter().any(|h| h.errors().contains("no daemon answers")),
        "the kills were felt: {}",
        harnesses[0].errors()
    );
    let issues = daemon.client.issues(&Default::default()).await.expect("issues");
    assert!(issues.iter().all(|i| i.claim.is_none() && i.column.word() == "backlog"), "nothing is left over");
    daemon.stop().await;
}
