//! How the board feels with a thousand, ten thousand and a hundred thousand cards: the time to the first useful frame, from a key
//! to its frame, the bytes of a frame while scrolling, memory, and wake-ups while nothing happens.
//!
//! `cargo bench -p dispatch-tests --bench tui`. The real program in a real pseudo terminal; only the daemon is a stand-in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use dispatch_shared::event::Seq;
use dispatch_shared::protocol::events::Change;
use dispatch_tests::crowd::{Crowd, card};
use dispatch_tests::pty::Pty;

const CARDS: [u64; 3] = [1_000, 10_000, 100_000];
const KEYS: usize = 200;
const IDLE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(120);

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn board(crowd: &Crowd) -> Result<Pty, Failure> {
    let socket = crowd.socket().display().to_string();
    let home = crowd.path().display().to_string();
    let env = [("DISPATCH_SOCKET", socket.as_str()), ("HOME", home.as_str())];
    let program = Path::new(env!("CARGO_BIN_EXE_test-dispatch"));
    Ok(Pty::spawn(program, &["--no-spawn"], &env, (200, 60))?)
}

/// The times from each key to the end of the frame that it made, sorted, and the bytes that came in all.
fn press(board: &mut Pty, keys: &[&str]) -> Result<(Vec<Duration>, usize), Failure> {
    let (mut took, from) = (Vec::new(), board.came());
    for key in keys {
        let before = board.came();
        let start = Instant::now();
        board.send(key)?;
        board.wait_for_frame(before, PATIENCE)?;
        took.push(start.elapsed());
    }
    took.sort();
    Ok((took, board.came() - from))
}

fn percent(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// A figure of `/proc/<pid>/status`, in its own unit.
fn figure(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// How often each thread of the process was woken.
fn wakes(pid: u32) -> Result<BTreeMap<OsString, u64>, Failure> {
    let mut all = BTreeMap::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        all.insert(thread.file_name(), figure(&status, "voluntary_ctxt_switches:"));
    }
    Ok(all)
}

fn one(cards: u64) -> Result<(), Failure> {
    let crowd = Crowd::start(cards, |n| format!("Card number {n} with a title of usual length"));
    let start = Instant::now();
    let mut board = board(&crowd)?;
    board.wait_for("Card number", PATIENCE)?;
    let first = start.elapsed();
    board.wait_for("live", PATIENCE)?;
    let pid = board.pid().ok_or("no process")?;

    // Up and down where nothing scrolls, then down where every key does.
    let keys: Vec<&str> =
        ["h"].into_iter().chain((0..KEYS).map(|n| if n % 2 == 0 { "j" } else { "k" })).collect();
    let (moved, _) = press(&mut board, &keys)?;
    press(&mut board, &["G"])?;
    let (scrolled, bytes) = press(&mut board, &["k"; KEYS])?;
    let (paged, page_bytes) = press(&mut board, &["\x1b[5~"; 50])?;
    // One card changes, as often as it can be seen.
    let mut changed = Vec::new();
    for n in 0..50_u64 {
        let before = board.came();
        let start = Instant::now();
        crowd.tell(&Change {
            seq: Seq(n + 2),
            issues: vec![card(3, &format!("Turn {n}"))],
            ..Change::default()
        });
        board.wait_for_frame(before, PATIENCE)?;
        changed.push(start.elapsed());
    }
    changed.sort();
    // A filter that is typed.
    let (filtered, _) = press(&mut board, &["/", "n", "u", "m", "b", "e", "r", "\x1b"])?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let before = wakes(pid)?;
    std::thread::sleep(IDLE);
    // A thread that went meanwhile was woken for that alone.
    let since = |(thread, n): (&OsString, &u64)| n.saturating_sub(*before.get(thread).unwrap_or(&0));
    let woken: u64 = wakes(pid)?.iter().map(since).sum();

    let mut out = io::stdout().lock();
    writeln!(out, "{cards} cards")?;
    writeln!(out, "  first useful frame       {first:>10.1?}")?;
    for (what, took) in [
        ("key to frame, moving", &moved),
        ("key to frame, scrolling", &scrolled),
        ("key to frame, paging", &paged),
        ("change to frame", &changed),
        ("key to frame, filtering", &filtered),
    ] {
        writeln!(out, "  {what:<24} {:>10.1?} p50 {:>10.1?} p99", percent(took, 50), percent(took, 99))?;
    }
    writeln!(out, "  bytes a frame            {:>10} scrolling {:>6} paging", bytes / KEYS, page_bytes / 50)?;
    writeln!(
        out,
        "  memory                   {:>10} kB, at most {} kB",
        figure(&status, "VmRSS:"),
        figure(&status, "VmHWM:")
    )?;
    writeln!(out, "  wake-ups while idle      {woken:>10} in {} s", IDLE.as_secs())?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let _inside = runtime.enter();
    for cards in CARDS {
        one(cards)?;
    }
    Ok(())
}
