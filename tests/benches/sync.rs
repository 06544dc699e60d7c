//! What it costs to keep 50 repositories with 20,000 issues in sync: requests, points, bytes, seconds and memory, beside the
//! least number of requests that could do it.
//!
//! `cargo bench -p dispatch-tests --bench sync`. The daemon is the real program, GitHub the fake one beside it. Requests
//! are what counts: they are exact, and each takes a round trip at the real GitHub. Between the first sync and the rounds
//! a minute passes, as it does in life: ten rounds in one minute are what the budget of a minute just allows.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use dispatch_shared::Timestamp;
use dispatch_shared::protocol::repos::AddRepoRequest;
use dispatch_tests::daemon::{Daemon, Place};
use dispatch_tests::github::{FakeGithub, Points, Request};
use dispatchd::edges::{Clock as _, SystemClock};

const REPOS: u64 = 50;
const ISSUES: u64 = 400;
const ROUNDS: u64 = 10;
/// Issues changed in each repository in a round: one in a hundred.
const CHANGED: u64 = ISSUES / 100;
const PER_PAGE: u64 = 100;
/// Open pull requests whose health is looked at.
const PULLS: u64 = 100;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The most memory that the process has had, in MiB.
fn peak(daemon: &Daemon) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).ok_or("the kernel tells no VmHWM")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("VmHWM has no value")?.parse()?;
    Ok(kib / 1_024)
}

struct Table {
    out: io::StdoutLock<'static>,
}

impl Table {
    fn head(&mut self) -> io::Result<()> {
        writeln!(
            self.out,
            "{:<26} {:>8} {:>6} {:>6} {:>7} {:>9} {:>8} {:>8}",
            "", "requests", "least", "ratio", "points", "KiB", "seconds", "peak MiB"
        )
    }

    fn row(
        &mut self,
        what: &str,
        asked: &[Request],
        least: u64,
        took: Duration,
        mib: u64,
    ) -> Result<u64, Failure> {
        let bytes: u64 = asked.iter().map(|r| r.bytes).sum();
        let points: u64 = asked.iter().map(Request::points).sum();
        writeln!(
            self.out,
            "{what:<26} {:>8} {least:>6} {:>6.2} {points:>7} {:>9} {:>8.2} {mib:>8}",
            asked.len(),
            asked.len() as f64 / least as f64,
            bytes / 1_024,
            took.as_secs_f64(),
        )?;
        self.out.flush()?;
        Ok(points)
    }
}

/// What the first look at a hundred open pull requests of one repository takes.
async fn health(github: &FakeGithub, daemon: &Daemon) -> Result<Points, Failure> {
    const NAME: &str = "acme/pulls";
    github.add_repo("acme", "pulls");
    for n in 1..=PULLS {
        let branch = format!("fix/issue-{n}-work");
        let issue = github.add_issue(NAME, &format!("Issue {n}"), "", &["status/in-review"]);
        github.push(NAME, &branch, &format!("{n}.txt"), "done");
        github.open_pull(NAME, &branch, "main", &format!("Fix {n}"), &format!("Fixes #{issue}"));
    }
    github.take_points();
    let add = AddRepoRequest { full_name: Some(NAME.into()), ..AddRepoRequest::default() };
    daemon.client.add_repo(&add).await?;
    let begun = Instant::now();
    let mut seen = Points::default();
    while (seen.pulls as u64) < PULLS {
        let more = github.take_points();
        seen.queries += more.queries;
        seen.cost += more.cost;
        seen.pulls += more.pulls;
        if begun.elapsed() > Duration::from_secs(120) {
            return Err(
                format!("{seen:?}: the pull requests were not all looked at within two minutes").into()
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(seen)
}

async fn run() -> Result<(), Failure> {
    let github = FakeGithub::start().await;
    let names: Vec<String> = (0..REPOS).map(|n| format!("acme/repository-{n:02}")).collect();
    for name in &names {
        github.add_issue_tracker("acme", name.trim_start_matches("acme/"));
        github.add_issues(name, ISSUES);
    }
    let mut place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    // What workflows do is read beside the issues, with a cadence of its own.
    place.configure("[sync]\nevery = \"24h\"\nautomation = false\n");
    place.env("GITHUB_API_URL", github.url().as_str());
    place.env("GH_TOKEN", github.token());
    place.env("GITHUB_REPOSITORIES", &names.join(","));
    place.env("DISPATCH_LOG", "warn");
    let begun = Instant::now();
    let daemon = place.start().await;
    loop {
        let repos = daemon.client.repos().await?;
        if let Some(error) = repos.iter().find_map(|r| r.sync_error.as_ref()) {
            return Err(error.clone().into());
        }
        if repos.iter().filter(|r| r.last_synced_at.is_some()).count() as u64 == REPOS {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut table = Table { out: io::stdout().lock() };
    writeln!(table.out, "{REPOS} repositories with {} issues", REPOS * ISSUES)?;
    table.head()?;
    let asked = github.take_requests();
    table.row("first sync", &asked, REPOS * ISSUES.div_ceil(PER_PAGE), begun.elapsed(), peak(&daemon)?)?;
    let looks = asked.iter().filter(|r| !r.path.contains("/issues")).count();
    writeln!(table.out, "    of these {looks} ask what the repositories are, once when they are tracked")?;

    tokio::time::sleep(Duration::from_secs(61)).await;
    let now = SystemClock.now();
    let (mut all, mut whole) = (Vec::new(), Duration::ZERO);
    for round in 1..=ROUNDS {
        // Each round is a minute after the one before it, as far as GitHub tells.
        let at = Timestamp(now.0.div_euclid(1_000) * 1_000) + Duration::from_secs(round * 60);
        for name in &names {
            for n in 0..CHANGED {
                github.retitle_at(name, (round * 37 + n * 91) % ISSUES + 1, &format!("Round {round}"), at);
            }
        }
        let begun = Instant::now();
        let answer = daemon.client.sync(None).await?;
        whole += begun.elapsed();
        if let Some(error) = answer.results.iter().find_map(|r| r.error.as_ref()) {
            return Err(error.clone().into());
        }
        all.extend(github.take_requests());
    }
    table.row(&format!("{ROUNDS} rounds, 1 % changed"), &all, ROUNDS * REPOS, whole, peak(&daemon)?)?;

    let begun = Instant::now();
    daemon.client.sync(None).await?;
    let asked = github.take_requests();
    let points = table.row("a round without change", &asked, REPOS, begun.elapsed(), peak(&daemon)?)?;
    let conditional = asked.iter().filter(|r| r.status == 304).count() as u64;
    if (asked.len() as u64, conditional, points) != (REPOS, REPOS, 0) {
        return Err(format!("an unchanged repository costs one conditional request: {asked:?}").into());
    }
    let points = health(&github, &daemon).await?;
    writeln!(
        table.out,
        "health of pull requests, apart: {:.1} points per 100 open ones ({} queries showed {})",
        points.per_hundred(),
        points.queries,
        points.pulls
    )?;
    drop(table);
    daemon.stop().await;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}
