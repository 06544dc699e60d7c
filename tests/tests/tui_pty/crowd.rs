//! Very many cards, a small window, a slow link, and text that means harm.

use std::time::Duration;

use color_eyre::eyre::{Result, ensure, eyre};
use dispatch_shared::event::Seq;
use dispatch_shared::protocol::events::Change;
use dispatch_tests::crowd::{Crowd, card};

use crate::scene::{SOON, crowd_board, resident};

/// A debug build reads a snapshot slowly on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_cards_are_a_board_like_any_other() -> Result<()> {
    let crowd = Crowd::start(100_000, |n| format!("Card number {n}"));
    let mut board = crowd_board(&crowd, &[], (120, 40))?;
    board.wait_for("80000", PATIENCE)?;
    board.wait_for("live", SOON)?;
    let kilobytes = resident(&board)?;
    ensure!(kilobytes < 1_000_000, "{kilobytes} kB are held");
    // To the end and back, and to a card in the middle.
    board.send("hG")?;
    board.wait_for("#3 acme/api", SOON)?;
    board.send("#")?;
    board.wait_for("Go to card", SOON)?;
    board.send("50002\r")?;
    board.wait_for("#50002 acme/api", SOON)?;
    // A flood of changes is a few frames, and none of them is lost.
    let before = board.came();
    for n in 0..500_u64 {
        let issues = vec![card(50_002, &format!("Title {n}"))];
        crowd.tell(&Change { seq: Seq(n + 2), issues, ..Change::default() });
    }
    board.wait_for("Title 499", PATIENCE)?;
    let frames = board.raw()[before..].windows(8).filter(|w| *w == b"\x1b[?2026l").count();
    ensure!(frames < 250, "{frames} frames for 500 changes");
    board.send("q")?;
    ensure!(board.wait_for_end(SOON)? == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_shrinks_to_almost_nothing_and_grows_again() -> Result<()> {
    let crowd = Crowd::start(50, |n| format!("Card number {n}"));
    let mut board = crowd_board(&crowd, &[], (160, 48))?;
    board.wait_for("Card number", SOON)?;
    let whole = board.text();
    board.send("l")?;
    for size in [(20, 5), (19, 4), (1, 1), (20, 5), (300, 100), (60, 10), (2, 60), (200, 2), (20, 5)] {
        board.resize(size)?;
        board.send("jkjk")?;
    }
    board.wait_until("one column in 20×5", SOON, |s| {
        s.size().1.get() == 20 && !s.contents().contains("too small") && s.contents().contains("B 40")
    })?;
    board.resize((12, 4))?;
    board.wait_for("too small", SOON)?;
    // Nobody sees what a key would do, so it does nothing.
    let from = board.came();
    board.send("q")?;
    board.wait_for_frame(from, SOON)?;
    board.resize((160, 48))?;
    board.wait_for("Card number", SOON)?;
    board.send("h")?;
    // The cursor may have gone elsewhere while the window was too small to see it.
    board.send("g")?;
    let columns = |line: &str| line.replace('›', " ").chars().take(100).collect::<String>();
    let lines =
        |text: &str| text.lines().filter(|l| l.contains("Card number")).map(columns).collect::<Vec<_>>();
    board.wait_until("the board as it was", SOON, |s| lines(&s.contents()) == lines(&whole))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_gets_fewer_frames_and_the_last_one_is_true() -> Result<()> {
    let crowd = Crowd::start(50, |n| format!("Card number {n}"));
    let mut board = crowd_board(&crowd, &[], (200, 60))?;
    board.wait_for("Card number", SOON)?;
    board.hold(true);
    let before = board.came();
    for n in 0..2_000_u64 {
        let issues = vec![card(48, &format!("{n} {}", "long title ".repeat(10)))];
        crowd.tell(&Change { seq: Seq(n + 2), issues, ..Change::default() });
        // Each of these would be a frame: keys are taken while nothing is read.
        if n % 20 == 0 {
            board.send("lh")?;
        }
    }
    crowd.tell(&Change { seq: Seq(3_000), issues: vec![card(48, "The last word")], ..Change::default() });
    board.hold(false);
    board.wait_for("The last word", PATIENCE)?;
    let came = board.came() - before;
    ensure!(came < 400_000, "{came} bytes for what one frame shows");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_titles_are_shown_and_not_obeyed() -> Result<()> {
    const TITLES: [&str; 8] = [
        "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[31m red",
        "\u{9b}31m eight bit \u{9d}0;owned\u{9c}",
        "\u{202e}txet desrever\u{202c} \u{2066}isolated\u{2069}",
        "שלום עולם العربية",
        "日本語のとても長い題名です、列より長い題名です",
        "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 ☂️ emoji",
        "e\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308} zalgo",
        "line\nbreak\r\ttab\u{8}\u{8}\u{8}back\u{0}null\u{7f}",
    ];
    let crowd = Crowd::start(8, |n| TITLES[usize::try_from(n).unwrap_or(0) % 8].to_owned());
    for size in [(120, 40), (61, 20), (37, 12), (21, 6)] {
        let mut board = crowd_board(&crowd, &[], size)?;
        board.wait_for("live", SOON)?;
        board.wait_for("#", SOON)?;
        board.send("jjjjjjjjhjjjkkl\r")?;
        let from = board.came();
        board.send("\x0c")?;
        board.wait_for_frame(from, SOON)?;
        let raw = board.raw();
        let text = String::from_utf8(raw).map_err(|e| eyre!("half a character came: {e}"))?;
        ensure!(!text.contains("owned\u{7}") && !text.contains("\u{1b}]0;"), "a title was obeyed");
        for bad in ['\u{9b}', '\u{9d}', '\u{202e}', '\u{2066}', '\u{0}', '\u{8}', '\u{200d}'] {
            ensure!(!text.contains(bad), "{bad:?} reached the terminal");
        }
        // Frames end where they should: the footer is whole, and nothing was pushed off the screen.
        let last = board.look(|s| s.contents().lines().last().map(str::to_owned)).unwrap_or_default();
        ensure!(size.0 < 60 || last.contains("? help"), "the footer is `{last}`:\n{}", board.text());
        board.send("\x03")?;
        board.wait_for_end(SOON)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_board_does_not_wake() -> Result<()> {
    let crowd = Crowd::start(50, |n| format!("Card number {n}"));
    let board = crowd_board(&crowd, &[], (120, 40))?;
    board.wait_for("Card number", SOON)?;
    board.wait_for("live", SOON)?;
    // The ages are of days: no text changes by itself within the next seconds.
    let from = board.came();
    ensure!(board.wait_for_frame(from, Duration::from_secs(3)).is_err(), "an idle board drew a frame");
    Ok(())
}
