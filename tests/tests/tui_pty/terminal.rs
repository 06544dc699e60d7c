//! The terminal itself: given back after a panic, lent to the shell, and asked for clipboard, links and notifications.

use std::path::Path;
use std::time::Duration;

use color_eyre::eyre::{Result, ensure};
use dispatch_shared::Timestamp;
use dispatch_shared::event::Seq;
use dispatch_shared::protocol::control::{Problem, ProblemKind};
use dispatch_shared::protocol::events::Change;
use dispatch_tests::crowd::Crowd;
use dispatch_tests::pty::Pty;

use crate::scene::{SOON, crowd_board};

fn given_back(board: &Pty) -> bool {
    board.look(|s| {
        !s.alternate_screen()
            && !s.hide_cursor()
            && !s.bracketed_paste()
            && s.mouse_protocol_mode() == vt100::MouseProtocolMode::None
    })
}

fn crowd() -> Crowd {
    Crowd::start(20, |n| format!("Card number {n}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_gives_the_terminal_back_and_is_read() -> Result<()> {
    let crowd = crowd();
    let when = crowd.path().join("now.sock");
    let listener = std::os::unix::net::UnixListener::bind(&when)?;
    let board = crowd_board(&crowd, &[("TEST_PANIC_WHEN", &when.display().to_string())], (100, 30))?;
    board.wait_for("Card number", SOON)?;
    let (asked, _) = listener.accept()?;
    ensure!(!given_back(&board));
    drop(asked);
    board.wait_until("the terminal to be given back", SOON, |s| !s.alternate_screen())?;
    board.wait_for("a panic that a test asked for", SOON)?;
    ensure!(given_back(&board), "modes are left over");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_board_lends_the_terminal_and_takes_it_again() -> Result<()> {
    let crowd = crowd();
    // Under a shell with job control: nobody else could bring it back.
    let script = "set -m; \"$0\" --no-spawn; echo THE SHELL; read x; fg; echo THE END; read x";
    let socket = crowd.socket().display().to_string();
    let home = crowd.path().display().to_string();
    let env = [("DISPATCH_SOCKET", socket.as_str()), ("HOME", home.as_str())];
    let args = ["-c", script, env!("CARGO_BIN_EXE_test-dispatch")];
    let mut board = Pty::spawn(Path::new("/bin/sh"), &args, &env, (100, 30))?;
    board.wait_for("Card number", SOON)?;
    board.send("\x1a")?;
    board.wait_for("THE SHELL", SOON)?;
    ensure!(given_back(&board));
    // In the meantime the window became another one.
    board.resize((80, 24))?;
    board.send("\n")?;
    board.wait_until("the board again", SOON, |s| {
        s.alternate_screen() && s.contents().contains("Card number")
    })?;
    board.send("q")?;
    board.wait_for("THE END", SOON)?;
    ensure!(given_back(&board));
    Ok(())
}

fn problem(n: u64) -> Change {
    let problem = Problem {
        id: format!("question-{n}"),
        kind: ProblemKind::Question,
        since: Timestamp(1_795_184_400_000),
        subject: format!("acme/api#{n}"),
        text: "asks; \u{1b}]0;owned\u{7} what now?".into(),
        action: "answer".into(),
        issue_id: None,
        run_id: None,
        repo_full_name: None,
    };
    Change { seq: Seq(n + 1), problems: Some(vec![problem]), ..Change::default() }
}

fn said(board: &Pty, wanted: &str) -> bool {
    let raw = board.raw();
    raw.windows(wanted.len()).any(|w| w == wanted.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn clipboard_links_and_notifications_go_through_the_terminal_and_can_be_switched_off() -> Result<()> {
    let crowd = crowd();
    let mut on = crowd_board(&crowd, &[("DISPATCH_NOTIFY", "osc777")], (100, 30))?;
    let off = [("DISPATCH_NOTIFY", "off"), ("DISPATCH_LINKS", "off"), ("DISPATCH_CLIPBOARD", "off")];
    let mut off = crowd_board(&crowd, &off, (100, 30))?;
    for board in [&mut on, &mut off] {
        board.wait_for("Card number", SOON)?;
        board.send("yy")?;
        board.wait_for("copied acme/api#", SOON)?;
    }
    crowd.tell(&problem(1));
    crowd.tell(&problem(1));
    for board in [&mut on, &mut off] {
        board.wait_for("1 need you", Duration::from_secs(20))?;
        let from = board.came();
        board.send("\x0c")?;
        board.wait_for_frame(from, SOON)?;
    }
    ensure!(said(&on, "\x1b]52;c;"), "what is copied goes into the clipboard");
    ensure!(said(&on, "\x1b]8;;https://github.com/acme/api/issues/"), "the card is a link");
    let told = "\x1b]777;notify;dispatch: something needs you;acme/api#1: asks, ␛]0,owned␇ what now?\x07";
    let raw = String::from_utf8_lossy(&on.raw()).into_owned();
    ensure!(
        raw.matches(told).count() == 1,
        "told once, and harmlessly: {:?}",
        raw.matches("\x1b]777").count()
    );
    for sequence in ["\x1b]52;", "\x1b]8;", "\x1b]777;", "\x1b]9;"] {
        ensure!(!said(&off, sequence), "{sequence:?} is switched off");
    }
    Ok(())
}
