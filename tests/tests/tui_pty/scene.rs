//! A daemon with the demo's issues, and a board that shows it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use color_eyre::eyre::{Result, ensure, eyre};
use dispatch_shared::id::RepoName;
use dispatch_shared::protocol::issues::{Issue, IssuesQuery};
use dispatch_shared::protocol::repos::{AddRepoRequest, PatchRepoRequest};
use dispatch_tests::crowd::Crowd;
use dispatch_tests::daemon::{Daemon, Place};
use dispatch_tests::pty::Pty;

pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const ESC: &str = "\x1b";
pub(crate) const SEND: &str = "\x13";

/// A git repository with the demo's issues.
pub(crate) fn repository(place: &Place) -> Result<PathBuf> {
    let repo = place.path().join("hello");
    let issues = repo.join(".dispatch/issues");
    std::fs::create_dir_all(&issues)?;
    std::fs::write(repo.join("README.md"), "hello\n")?;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/demo/issues"))? {
        let entry = entry?;
        let text = std::fs::read_to_string(entry.path())?.replace("@NOW@", "2026-11-20T10:00:00Z");
        std::fs::write(issues.join(entry.file_name()), text)?;
    }
    for args in [
        &["init", "-q", "-b", "main"][..],
        &["add", "README.md"],
        &["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "-m", "Start"],
    ] {
        let status = Command::new("git").args(args).current_dir(&repo).status()?;
        ensure!(status.success(), "git {args:?}: {status}");
    }
    Ok(repo)
}

/// A daemon whose runner works on the repository without containers, with the demo's agent.
pub(crate) async fn daemon(runner: bool) -> Result<(Place, Daemon)> {
    let place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    place.configure("[runner]\nruntime = \"host\"\nagent = \"demo\"\nmax_parallel = 2\n");
    let repo = repository(&place)?;
    let daemon = place.start().await;
    let path = Some(repo.display().to_string());
    let request = AddRepoRequest { full_name: None, forge: Some("local".into()), path };
    let added: RepoName = daemon.client.add_repo(&request).await?.full_name;
    if runner {
        let patch = PatchRepoRequest { runner_enabled: Some(true), ..PatchRepoRequest::default() };
        daemon.client.patch_repo(&added, &patch).await?;
    }
    daemon.client.sync(None).await?;
    Ok((place, daemon))
}

pub(crate) fn board(place: &Place, env: &[(&str, &str)]) -> Result<Pty> {
    let socket = place.socket().display().to_string();
    let home = place.path().display().to_string();
    let mut all = vec![("DISPATCH_SOCKET", socket.as_str()), ("HOME", home.as_str())];
    all.extend_from_slice(env);
    Pty::spawn(Path::new(env!("CARGO_BIN_EXE_test-dispatch")), &["--no-spawn"], &all, (120, 40))
}

pub(crate) async fn card(daemon: &Daemon, number: u64) -> Result<Issue> {
    let all =
        daemon.client.issues(&IssuesQuery { include_closed: Some(true), ..IssuesQuery::default() }).await?;
    all.into_iter().find(|i| i.number == number).ok_or_else(|| eyre!("no issue #{number}"))
}

/// Goes to a card by its number and waits until the cursor is there.
pub(crate) fn go(board: &mut Pty, number: u64) -> Result<()> {
    board.send("#")?;
    board.wait_for("Go to card", SOON)?;
    board.send(&format!("{number}\r"))?;
    let there = format!("› #{number}");
    board.wait_until(&format!("the cursor on #{number}"), SOON, |screen| {
        // The mark of the state stands between the cursor and the number.
        screen.contents().lines().any(|line| {
            let mut chars = line.chars().skip_while(|c| *c != '›');
            let cursor = chars.next();
            chars.next();
            cursor.into_iter().chain(chars).collect::<String>().starts_with(&there)
        })
    })
}

/// A board that shows a crowd of cards.
pub(crate) fn crowd_board(crowd: &Crowd, env: &[(&str, &str)], size: (u16, u16)) -> Result<Pty> {
    let socket = crowd.socket().display().to_string();
    let home = crowd.path().display().to_string();
    let mut all = vec![("DISPATCH_SOCKET", socket.as_str()), ("HOME", home.as_str())];
    all.extend_from_slice(env);
    Pty::spawn(Path::new(env!("CARGO_BIN_EXE_test-dispatch")), &["--no-spawn"], &all, size)
}

/// How many kilobytes the board holds in memory.
pub(crate) fn resident(board: &Pty) -> Result<u64> {
    let pid = board.pid().ok_or_else(|| eyre!("no process"))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or_else(|| eyre!("no VmRSS"))?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Sends the board's process a signal.
pub(crate) fn signal(board: &Pty, signal: rustix::process::Signal) -> Result<()> {
    let pid = board.pid().and_then(|p| i32::try_from(p).ok()).and_then(rustix::process::Pid::from_raw);
    Ok(rustix::process::kill_process(pid.ok_or_else(|| eyre!("no process"))?, signal)?)
}
