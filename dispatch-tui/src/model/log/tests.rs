//! The window: following, going back, bounds of memory, searching.

use super::travel::Landmark;
use super::*;
use crate::model::logline::Level;

fn numbered(range: std::ops::Range<usize>) -> Vec<u8> {
    range.map(|n| format!("line {n:06}\n")).collect::<String>().into_bytes()
}

fn shown(pane: &LogPane) -> String {
    pane.line(pane.top).map(|l| l.text).unwrap_or_default()
}

#[test]
fn reading_upwards_stops_following_and_new_lines_are_counted() {
    let mut pane = LogPane::new(Kind::Log, RunId(1));
    pane.append(0, &numbered(0..100));
    pane.settle(10, 80);
    assert_eq!(shown(&pane), "line 000090");
    pane.scroll(-1);
    pane.append(1200, &numbered(100..103));
    pane.settle(10, 80);
    assert_eq!((shown(&pane).as_str(), pane.unseen), ("line 000089", 3));
    assert_eq!(pane.follow(), None);
    pane.settle(10, 80);
    assert_eq!((shown(&pane).as_str(), pane.unseen), ("line 000093", 0));
}

#[test]
fn a_tail_starts_at_a_whole_line_and_older_ones_join_it() {
    let all = numbered(0..1000);
    let mut pane = LogPane::new(Kind::Log, RunId(1));
    pane.append(6005, &all[6005..]);
    pane.settle(10, 80);
    assert_eq!(pane.start, 6012, "the cut line is left out");
    for _ in 0..600 {
        pane.scroll(-1);
    }
    let want = pane.scroll(-1);
    assert_eq!(want, None, "asked for already");
    pane.take(0, &all[..6012]);
    assert_eq!((pane.start, pane.len(), shown(&pane).as_str()), (0, 1000, "line 000501"));
    pane.check();
}

#[test]
fn memory_is_bounded_at_both_ends() {
    let mut pane = LogPane::new(Kind::Log, RunId(1));
    let all = numbered(0..200_000);
    for (at, chunk) in all.chunks(1000).enumerate() {
        pane.append(at as u64 * 1000, chunk);
        pane.check();
    }
    pane.settle(10, 80);
    assert_eq!(shown(&pane), "line 199990");
    let read = |effect: Option<Effect>| match effect {
        Some(Effect::ReadLog { from, to, .. }) => (from, usize::try_from(to).unwrap().min(all.len())),
        other => panic!("{other:?}"),
    };
    // To the very beginning at once, then down again page by page: nowhere more than a window is held.
    let (from, to) = read(pane.scroll(i64::MIN));
    assert_eq!(pane.scroll(-1), None, "asked for already");
    pane.take(from, &all[..to]);
    pane.settle(10, 80);
    assert_eq!((pane.start, shown(&pane).as_str()), (0, "line 000000"));
    let mut pages = 0;
    while pane.detached {
        if let Some(Effect::ReadLog { from, to, .. }) = pane.scroll(2_000) {
            let to = usize::try_from(to).unwrap().min(all.len());
            pane.take(from, &all[usize::try_from(from).unwrap()..to]);
            pages += 1;
        }
        pane.settle(10, 80);
        pane.check();
    }
    assert!(pages > 30, "{pages}");
    assert!(pane.line(pane.bound() - 1).unwrap().text.ends_with("199999"), "down to the end without a gap");
    // And up again, page by page.
    for _ in 0..20 {
        let (from, to) = read(pane.scroll(-1_000_000));
        pane.take(from, &all[usize::try_from(from).unwrap()..to]);
        pane.check();
    }
    assert!(pane.detached, "the end was let go");
    let effect = pane.follow();
    assert_eq!(effect, Some(Effect::FollowLog { run: RunId(1), kind: Kind::Log, from: From::Tail(PAGE) }));
}

#[test]
fn an_overlap_is_skipped_and_halves_of_a_character_join() {
    let mut pane = LogPane::new(Kind::Log, RunId(1));
    let bytes = "grün\n".as_bytes();
    pane.append(0, &bytes[..3]);
    pane.append(1, &bytes[1..]);
    assert_eq!((pane.len(), shown(&pane).as_str()), (1, "grün"));
}

#[test]
fn matches_are_found_round_the_ends() {
    let mut pane = LogPane::new(Kind::Log, RunId(1));
    pane.append(0, b"one\nTwo\nthree\ntwo\n");
    pane.settle(2, 80);
    assert!(pane.search("two".into()));
    assert_eq!((pane.current.map(|c| c - ORIGIN), pane.tally()), (Some(3), (2, 2)));
    pane.go(true);
    assert_eq!(pane.tally(), (1, 2));
    assert!(!pane.search("absent".into()));
    pane.search("Two".into());
    assert_eq!(pane.tally().1, 1, "a capital makes it exact");
}

#[test]
fn only_the_chosen_levels_are_shown_and_walked() {
    let mut pane = LogPane::new(Kind::Log, RunId(1));
    pane.append(0, b"one\nerror: a\ntwo\nthree\nerror: b\nfour\n");
    pane.shown = Shown::Errors;
    pane.settle(1, 80);
    assert_eq!(shown(&pane), "error: b");
    pane.scroll(-1);
    assert_eq!(shown(&pane), "error: a");
    pane.scroll(-1);
    assert_eq!(shown(&pane), "error: a", "nothing shown is above it");
    assert!(!pane.search("two".into()), "what is not shown is not gone to");
    let mut all = Shown::All;
    for _ in 0..4 {
        all = all.next();
    }
    assert_eq!(all, Shown::All);
}

#[test]
fn a_line_without_an_end_is_broken_and_bounded_both_ways() {
    let mut pane = LogPane::new(Kind::Log, RunId(1));
    let zeros = vec![0_u8; 1 << 20];
    pane.append(1 << 29, b"tail\nend\n");
    assert_eq!(pane.start, (1 << 29) + 5);
    for _ in 0..8 {
        let Some(Effect::ReadLog { from, to, .. }) = pane.scroll(-1_000_000) else { panic!() };
        pane.take(from, &zeros[..usize::try_from(to - from).unwrap()]);
        pane.check();
    }
    pane.restart(0);
    pane.detached = false;
    for at in 0..64 {
        pane.append(at << 20, &zeros);
        pane.check();
    }
}

#[test]
fn files_and_hunks_of_a_diff_are_landmarks() {
    let mut pane = LogPane::new(Kind::Diff, RunId(1));
    let file = |name: &str| format!("diff --git a/{name} b/{name}\n@@ -1 +1 @@\n-a\n+b\n");
    pane.fill(&(file("one") + &file("two")));
    pane.settle(2, 80);
    assert!(pane.go_landmark(Landmark::File, true));
    assert_eq!(shown(&pane), "diff --git a/two b/two");
    assert!(!pane.go_landmark(Landmark::File, true));
    assert!(pane.go_landmark(Landmark::Spot, false));
    assert_eq!(pane.line(pane.mark.unwrap()).map(|l| l.level), Some(Level::Tool));
}
