//! What a run costs beside the engine's own work: from the take to the started program, as a ratio to a bare `run` of the same
//! image; and the log's way to the disk, as a ratio to `cat`.
//!
//! `cargo bench -p dispatch-tests --bench run`. Both sides of a ratio are measured in turns, on the same machine.

use std::io::{self, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use dispatch_shared::id::RunId;
use dispatch_shared::run::{Phase, RuntimeKind};
use dispatch_tests::image::{IMAGE, engines};
use dispatch_tests::scene::Scene;
use dispatchd::runner::log::RunLogs;

const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");
const ROUNDS: usize = 7;
const LOG: usize = 64 << 20;
/// As much as the runner reads at once.
const PIECE: usize = 64 << 10;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// From the claim to the container that runs, as the run itself tells.
async fn with_dispatch(kind: RuntimeKind) -> Result<Duration, Failure> {
    let scene = Scene::new(DAEMON, kind, "echo more >>README.md", "");
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await?;
    let run = scene.over(&daemon.client).await;
    let running = run.phases.iter().find(|p| p.phase == Phase::Running).ok_or("it never ran")?;
    let took = running.at.since(run.created_at);
    daemon.stop().await;
    Ok(took)
}

fn bare(kind: RuntimeKind) -> Result<Duration, Failure> {
    let start = Instant::now();
    let output =
        Command::new(kind.word()).args(["run", "--detach", "--network", "none", IMAGE, "true"]).output()?;
    let took = start.elapsed();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Command::new(kind.word()).args(["rm", "--force", &id]).output()?;
    Ok(took)
}

/// Megabytes a second: through the writer, and of `cat` from a file to a file.
fn log() -> Result<(f64, f64), Failure> {
    let dir = tempfile::tempdir()?;
    let mut text = Vec::with_capacity(LOG + 100);
    let mut n = 0_u64;
    while text.len() < LOG {
        n += 1;
        writeln!(
            text,
            "{{\"type\":\"assistant\",\"n\":{n},\"text\":\"the quick brown fox jumps over the lazy dog\"}}"
        )?;
    }
    let from = dir.path().join("from");
    std::fs::write(&from, &text)?;
    let start = Instant::now();
    let copied =
        Command::new("cat").arg(&from).stdout(std::fs::File::create(dir.path().join("to"))?).status()?;
    let cat = start.elapsed();
    if !copied.success() {
        return Err("cat failed".into());
    }
    let logs = RunLogs::new(dir.path(), u64::MAX);
    let mut writer = logs.writer(RunId(1))?;
    writer.hide(vec!["a-secret-that-does-not-occur".into(), "another-one-of-those".into()]);
    let start = Instant::now();
    for piece in text.chunks(PIECE) {
        let clean = writer.scrub(piece);
        writer.raw(&clean)?;
    }
    let rest = writer.scrub_rest();
    writer.raw(&rest)?;
    let ours = start.elapsed();
    let speed = |took: Duration| text.len() as f64 / 1e6 / took.as_secs_f64();
    Ok((speed(ours), speed(cat)))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut out = io::stdout();
    let (ours, cat) = log()?;
    writeln!(out, "log      {ours:7.0} MB/s, cat {cat:7.0} MB/s, ratio {:.2}", ours / cat)?;
    for kind in engines() {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            with.push(with_dispatch(kind).await?);
            without.push(bare(kind)?);
        }
        let (with, without) = (median(with), median(without));
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        writeln!(out, "{kind:8} {with:?} from take to start, bare run {without:?}, ratio {ratio:.2}")?;
    }
    Ok(())
}
