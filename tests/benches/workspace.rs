//! Preparing a workspace beside a plain `git clone` of the same repository, in the same run: with a cold mirror, with a warm
//! one, and taken up again. `cargo bench -p dispatch-tests --bench workspace`.
//!
//! Measured from outside, through the daemon: a dry run of a task prepares all that a run would be given.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dispatch_shared::protocol::dispatch::DispatchRequest;
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::scene::Scene;

const FILES: usize = 50_000;
const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn fill(repository: &Path) -> io::Result<()> {
    for n in 0..FILES {
        let dir = repository.join(format!("d{}/e{}", n % 50, n % 1_000));
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join(format!("f{n}.txt")), format!("file {n}\n").repeat(20))?;
    }
    Ok(())
}

fn clone(from: &Path, to: &Path) -> Result<Duration, Failure> {
    let began = Instant::now();
    // As over a network: objects are packed and unpacked, not linked.
    let url = format!("file://{}", from.display());
    let status = Command::new("git").args(["clone", "--quiet", &url]).arg(to).status()?;
    if !status.success() {
        return Err(format!("git clone: {status}").into());
    }
    Ok(began.elapsed())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let scene = Scene::new(DAEMON, RuntimeKind::Host, "true", "");
    let repository = &scene.repository;
    fill(repository.path())?;
    repository.git(&["add", "--all"]);
    repository.git(&["commit", "--quiet", "-m", "Many files"]);
    let daemon = scene.place.start().await;
    scene.track(&daemon.client).await?;
    let plain = clone(repository.path(), &scene.place.path().join("clone"))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{FILES} files; git clone {:.2} s", plain.as_secs_f64())?;
    for (what, branch) in [("cold mirror", "one"), ("warm mirror", "two"), ("taken up again", "two")] {
        let ask = DispatchRequest {
            repo: "local/sample".into(),
            task: "Measure".into(),
            branch: Some(branch.into()),
            dry_run: Some(true),
            ..DispatchRequest::default()
        };
        let began = Instant::now();
        daemon.client.dispatch(&ask).await?;
        let took = began.elapsed();
        let ratio = took.as_secs_f64() / plain.as_secs_f64();
        writeln!(out, "{what:<15} {:.2} s, {ratio:.2} of a clone", took.as_secs_f64())?;
    }
    daemon.stop().await;
    Ok(())
}
