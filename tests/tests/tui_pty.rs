//! The operator's way through the board, in a real terminal against a real daemon: see what asks, answer it, read the
//! log, move a card and take it back, lose the daemon and get it back, leave the terminal as it was.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use color_eyre::eyre::{Result, ensure, eyre};
use dispatch_shared::id::RepoName;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::issues::{Issue, IssuesQuery};
use dispatch_shared::protocol::repos::{AddRepoRequest, PatchRepoRequest};
use dispatch_tests::daemon::{Daemon, Place, wait_until};
use dispatch_tests::pty::Pty;

const SOON: Duration = Duration::from_secs(20);
const ESC: &str = "\x1b";
const SEND: &str = "\x13";

/// A git repository with the demo's issues.
fn repository(place: &Place) -> Result<PathBuf> {
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
async fn daemon(runner: bool) -> Result<(Place, Daemon)> {
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

fn board(place: &Place, env: &[(&str, &str)]) -> Result<Pty> {
    let socket = place.socket().display().to_string();
    let home = place.path().display().to_string();
    let mut all = vec![("DISPATCH_SOCKET", socket.as_str()), ("HOME", home.as_str())];
    all.extend_from_slice(env);
    Pty::spawn(Path::new(env!("CARGO_BIN_EXE_test-dispatch")), &["--no-spawn"], &all, (120, 40))
}

async fn card(daemon: &Daemon, number: u64) -> Result<Issue> {
    let all =
        daemon.client.issues(&IssuesQuery { include_closed: Some(true), ..IssuesQuery::default() }).await?;
    all.into_iter().find(|i| i.number == number).ok_or_else(|| eyre!("no issue #{number}"))
}

/// Goes to a card by its number and waits until the cursor is there.
fn go(board: &mut Pty, number: u64) -> Result<()> {
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

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_way_through_the_board() -> Result<()> {
    let (place, daemon) = daemon(true).await?;
    let mut board = board(&place, &[])?;
    board.wait_for("live", SOON)?;

    // What asks is seen, in bold red, and answered where it is seen.
    board.wait_for("? #2", SOON)?;
    let style = board.style("? #2").ok_or_else(|| eyre!("#2 vanished"))?;
    ensure!(style.bold() && style.fgcolor() == vt100::Color::Idx(1), "what asks is bold red");
    go(&mut board, 2)?;
    board.wait_for("asks: Should a stranger be greeted", SOON)?;
    board.send("a")?;
    board.wait_for("Answer r-", SOON)?;
    board.paste("Greet them.\nBy name.")?;
    board.send(SEND)?;
    wait_until("#2 to be in review after the answer", SOON, async || {
        card(&daemon, 2).await.ok().filter(|c| c.column == Status::InReview)
    })
    .await;

    // Its log is read; leaving it leads back to the board.
    go(&mut board, 2)?;
    board.send("o")?;
    board.wait_for("The question was answered", SOON)?;
    board.wait_for("end of the log", SOON)?;
    board.send("/")?;
    board.wait_for("Search", SOON)?;
    board.send("ANSWERED\r")?;
    board.wait_for("`ANSWERED` is not in the lines", SOON)?;
    board.send(ESC)?;
    board.wait_for("REVIEW", SOON)?;

    // Nothing is handed out while a card is moved and taken back.
    board.send("F")?;
    board.wait_for("FROZEN", SOON)?;
    go(&mut board, 5)?;
    board.send("L")?;
    board.wait_for("#5 moved to Ready; z undoes", SOON)?;
    ensure!(card(&daemon, 5).await?.column == Status::Ready, "the daemon has it in Ready");
    board.send("z")?;
    board.wait_for("#5 moved to Backlog", SOON)?;
    ensure!(card(&daemon, 5).await?.column == Status::Backlog, "the daemon has it back in Backlog");

    // A lost daemon is a state of the header, and what is shown stays.
    daemon.kill();
    board.wait_for("retrying", SOON)?;
    board.send("m")?;
    board.wait_for("the daemon cannot be reached now", SOON)?;
    let daemon = place.start().await;
    board.wait_until("the board live again", SOON, |s| {
        s.contents().contains("  live") && !s.contents().contains("retrying")
    })?;
    ensure!(board.text().contains("FROZEN"), "the freeze outlived the daemon");

    // A smaller window is drawn anew.
    board.resize((80, 24))?;
    board.wait_until("the narrow tabs", SOON, |s| {
        s.contents().contains("4 Queue") && !s.contents().contains("8 Overview")
    })?;

    // The terminal is left as it was.
    board.send("q")?;
    ensure!(board.wait_for_end(SOON)? == 0, "leaving is success");
    let modes =
        board.look(|s| (s.alternate_screen(), s.hide_cursor(), s.bracketed_paste(), s.mouse_protocol_mode()));
    assert_eq!(modes, (false, false, false, vt100::MouseProtocolMode::None));
    daemon.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_colour_there_is_none_and_term_restores_the_terminal() -> Result<()> {
    let (place, _daemon) = daemon(false).await?;
    let mut board = board(&place, &[("NO_COLOR", "1")])?;
    board.wait_for("live", SOON)?;
    board.wait_for("#5", SOON)?;
    let coloured = board.look(|screen| {
        let (rows, columns) = screen.size();
        let cells = (0..rows.get()).flat_map(|r| (0..columns.get()).map(move |c| (r, c)));
        let plain = vt100::Color::Default;
        cells.filter_map(|(r, c)| screen.cell(r, c)).any(|c| c.fgcolor() != plain || c.bgcolor() != plain)
    });
    ensure!(!coloured, "NO_COLOR is honoured:\n{}", board.text());
    let pid = board.pid().and_then(|p| i32::try_from(p).ok()).and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.ok_or_else(|| eyre!("no process"))?, rustix::process::Signal::TERM)?;
    board.wait_for_end(SOON)?;
    ensure!(board.look(|s| !s.alternate_screen() && !s.hide_cursor()), "the terminal is given back");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_without_a_daemon_waits_for_one() -> Result<()> {
    let place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    place.configure("");
    let daemon = place.start().await;
    let mut board = board(&place, &[])?;
    board.wait_for("No repository is tracked yet", SOON)?;
    daemon.stop().await;
    board.wait_for("retrying", SOON)?;
    let _daemon = place.start().await;
    board.wait_until("the board live again", SOON, |s| s.contents().contains("  live"))?;
    board.send("\x03")?;
    ensure!(board.wait_for_end(SOON)? == 0, "leaving is success");
    Ok(())
}
