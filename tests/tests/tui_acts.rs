//! What an operator does to many cards at once, and what the board remembers, in a real terminal against a real daemon.

#![cfg(unix)]

use std::path::Path;
use std::time::Duration;

use color_eyre::eyre::{Result, ensure};
use dispatch_shared::protocol::activity::AuditQuery;
use dispatch_shared::protocol::issues::{Issue, IssuesQuery};
use dispatch_shared::protocol::repos::AddRepoRequest;
use dispatch_tests::daemon::{Daemon, Place, wait_until};
use dispatch_tests::pty::Pty;
use dispatch_tests::repository::Repository;

const SOON: Duration = Duration::from_secs(20);
const ESC: &str = "\x1b";

/// A daemon with three ready issues and nobody who works on them.
async fn daemon() -> Result<(Place, Daemon)> {
    let place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    place.configure("");
    let repo = Repository::new(place.path(), "hello");
    for (number, title) in [(1, "Greet"), (2, "Part"), (3, "Thank")] {
        repo.ready_issue(number, title);
    }
    let daemon = place.start().await;
    let path = Some(repo.path().display().to_string());
    daemon.client.add_repo(&AddRepoRequest { full_name: None, forge: Some("local".into()), path }).await?;
    daemon.client.sync(None).await?;
    Ok((place, daemon))
}

fn board(place: &Place, env: &[(&str, &str)]) -> Result<Pty> {
    let socket = place.socket().display().to_string();
    let home = place.path().display().to_string();
    let mut all = vec![("DISPATCH_SOCKET", socket.as_str()), ("HOME", home.as_str())];
    all.extend_from_slice(env);
    let board = Pty::spawn(Path::new(env!("CARGO_BIN_EXE_test-dispatch")), &["--no-spawn"], &all, (120, 40))?;
    board.wait_for("live", SOON)?;
    board.wait_for("READY 3", SOON)?;
    Ok(board)
}

async fn cards(daemon: &Daemon) -> Vec<Issue> {
    daemon.client.issues(&IssuesQuery::default()).await.unwrap_or_default()
}

/// How many cards have the label.
async fn with_label(daemon: &Daemon, label: &str) -> usize {
    cards(daemon).await.iter().filter(|c| c.labels.iter().any(|l| l == label)).count()
}

async fn counts(daemon: &Daemon, label: &str, count: usize) {
    let what = format!("{count} cards with {label}");
    wait_until(&what, SOON, async || (with_label(daemon, label).await == count).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_cards_are_changed_at_once_and_changes_are_taken_back() -> Result<()> {
    let (place, daemon) = daemon().await?;
    let script = place.path().join("editor.sh");
    std::fs::write(&script, "echo 'From the editor.' > \"$1\"\n")?;
    let editor = format!("sh {}", script.display());
    let mut board = board(&place, &[("VISUAL", &editor)])?;

    // All three, after a question that names them.
    board.send("*")?;
    board.wait_for("3 marked", SOON)?;
    board.send("p0")?;
    board.wait_for("Set priority p0: 3?", SOON)?;
    board.wait_for("#2 Part", SOON)?;
    ensure!(with_label(&daemon, "priority/p0").await == 0, "nothing is done before the answer");
    board.send("y")?;
    counts(&daemon, "priority/p0", 3).await;

    // Each change is taken back by itself.
    board.wait_for("z undoes", SOON)?;
    board.wait_until("three p0 on the board", SOON, |s| s.contents().matches(" p0 ").count() >= 3)?;
    board.send("z")?;
    counts(&daemon, "priority/p0", 2).await;

    // A label by its name, through the palette.
    board.send(":")?;
    board.wait_for("Commands and cards", SOON)?;
    board.send("labels\r")?;
    board.wait_for("another label", SOON)?;
    board.send("n")?;
    board.wait_for("Put another label on", SOON)?;
    board.send("area/door\r")?;
    counts(&daemon, "area/door", 1).await;

    // A comment out of the operator's own editor.
    board.send("i")?;
    board.wait_for("Comment on #", SOON)?;
    board.send("\x05")?;
    board.wait_for("From the editor.", SOON)?;
    board.send("\x13")?;
    wait_until("the comment in the audit", SOON, async || {
        let query = AuditQuery { action: Some("comment_issue".into()), ..AuditQuery::default() };
        daemon.client.audit(&query).await.ok().filter(|rows| !rows.is_empty())
    })
    .await;

    // A card goes into another column by its letter in the menu.
    board.send("mb")?;
    wait_until("a card in Backlog", SOON, async || {
        let all = cards(&daemon).await;
        all.into_iter().find(|c| c.column == dispatch_shared::issue::Status::Backlog)
    })
    .await;
    board.wait_for("moved to Backlog", SOON)?;
    board.send("q")?;
    ensure!(board.wait_for_end(SOON)? == 0, "leaving is success");
    daemon.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_view_and_keys_outlive_the_board() -> Result<()> {
    let (place, daemon) = daemon().await?;
    let config = place.path().join(".config/dispatch");
    std::fs::create_dir_all(&config)?;
    std::fs::write(config.join("client.toml"), "[keys]\nfreeze = \"C-k\"\n")?;
    let mut first = board(&place, &[])?;
    first.send("/")?;
    first.wait_for("Show only: 3 of 3", SOON)?;
    first.send("thank")?;
    first.wait_for("Show only: 1 of 3", SOON)?;
    first.send("\x13")?;
    first.wait_for("Keep `thank` under the name", SOON)?;
    first.send("mine\r")?;
    first.wait_for("mine  thank", SOON)?;
    first.send("\r")?;
    first.wait_for("1 of 3 for thank", SOON)?;
    first.send(ESC)?;
    first.wait_for("READY 3", SOON)?;
    first.send("Vc")?;
    first.wait_for("compact", SOON)?;
    first.send("q")?;
    ensure!(first.wait_for_end(SOON)? == 0, "leaving is success");

    let mut second = board(&place, &[])?;
    second.wait_for("compact", SOON)?;
    second.send("/")?;
    second.wait_for("mine  thank", SOON)?;
    second.send("\x1b[B\r")?;
    second.wait_for("1 of 3 for thank", SOON)?;
    second.send("F")?;
    second.send("\x0b")?;
    second.wait_for("z undoes", SOON)?;
    second.wait_for("FROZEN", SOON)?;
    ensure!(daemon.client.control().await?.frozen, "C-k is freeze here, and F is nothing");
    second.send("z")?;
    wait_until("the thaw", SOON, async || daemon.client.control().await.ok().filter(|c| !c.frozen)).await;

    // What is wrong in the settings is said on the board, and the rest is used.
    second.send("q")?;
    second.wait_for_end(SOON)?;
    std::fs::write(config.join("client.toml"), "theme = \"neon\"\n")?;
    let mut third = board(&place, &[])?;
    third.wait_for("client.toml: theme: there is no `neon`", SOON)?;
    third.send("\x03")?;
    third.wait_for_end(SOON)?;
    daemon.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_are_listed_and_checked_without_a_daemon() -> Result<()> {
    let home = tempfile::tempdir()?;
    let run = |args: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_test-dispatch"))
            .args(args)
            .env_clear()
            .env("HOME", home.path())
            .output()
    };
    let listed = run(&["keys"])?;
    let text = String::from_utf8(listed.stdout)?;
    ensure!(listed.status.success() && text.contains("kill-all") && text.contains("re-run-ci"), "{text}");
    ensure!(run(&["keys", "--check"])?.status.success(), "no file is well");
    let config = home.path().join(".config/dispatch");
    std::fs::create_dir_all(&config)?;
    std::fs::write(config.join("client.toml"), "[keys]\nkill = \"r\"\n[colors]\nalarm = \"shiny\"\n")?;
    let checked = run(&["keys", "--check"])?;
    let said = String::from_utf8(checked.stderr)?;
    ensure!(checked.status.code() == Some(1), "{said}");
    ensure!(
        said.contains("r does both `retry` and `kill`") && said.contains("`shiny` is no colour"),
        "{said}"
    );
    Ok(())
}
