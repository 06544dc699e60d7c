//! Screens as text, and the styles that text cannot show.

use dispatch_shared::id::RunId;
use dispatch_shared::protocol::issues::WhyRule;
use insta::assert_snapshot;
use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use super::fixture::{board, cells, control, empty, id, press, screen, send, snapshot, typed};
use crate::model::Model;
use crate::model::log::Kind;
use crate::theme::Theme;
use crate::update::answers::Answer;
use crate::update::{News, What};

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

/// Compares the screen at both sizes, having done `prepare` to the model.
macro_rules! screens {
    ($name:ident, $prepare:expr) => {
        #[test]
        fn $name() {
            for (columns, rows) in SIZES {
                let mut model = board(columns, rows);
                let prepare: fn(&mut Model) = $prepare;
                prepare(&mut model);
                assert_snapshot!(format!("{}_{columns}", stringify!($name)), screen(&model));
            }
        }
    };
}

fn open_log(model: &mut Model) {
    press(model, "j o");
    let log = "starting\n{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"Lookups hit the store on every request; adding a cache.\"},{\"type\":\"tool_use\",\"name\":\"Bash\",\"input\":{\"command\":\"cargo test -p policy\"}}]}}\ntest cache::evicts_oldest ... FAILED\n\u{1b}]52;c;aGk=\u{7} is shown, not obeyed\nlast line\n";
    send(model, What::Done(Answer::Log { run: RunId(2041), kind: Kind::Log, offset: 0, bytes: log.into() }));
}

fn open_diff(model: &mut Model) {
    press(model, "j d");
    let diff = "diff --git a/src/policy.rs b/src/policy.rs\nindex 1..2 100644\n--- a/src/policy.rs\n+++ b/src/policy.rs\n@@ -1,4 +1,4 @@ fn lookup\n fn lookup(org: Org) -> Policy {\n-    store.read(org)\n+    cache.get(org, MINUTE)\n }\ndiff --git a/README.md b/README.md\n@@ -1 +1,2 @@\n # Policy\n+Lookups are cached.\n";
    send(model, What::Done(Answer::Diff { run: RunId(2041), result: Ok(diff.into()) }));
}

fn open_card(model: &mut Model) {
    press(model, "j Enter");
    let mut card = snapshot().issues.into_iter().find(|i| i.issue_id == id(377)).unwrap();
    card.body = Some("Policy is read from the store on **each** request.\n\n## Acceptance criteria\n- [x] one lookup per org and minute\n- [ ] eviction is tested\n\nSee [docs](docs/policy.md).".into());
    let why = vec![
        WhyRule { rule: "open".into(), holds: true, why: "the issue is open".into() },
        WhyRule { rule: "unclaimed".into(), holds: false, why: "claude-local holds it to 14:24".into() },
    ];
    send(model, What::Done(Answer::Card { issue: id(377), result: Ok((Box::new(card), why)) }));
}

screens!(the_board, |_| {});
screens!(the_problems, |model| drop(press(model, "2")));
screens!(the_runs, |model| drop(press(model, "3")));
screens!(the_repositories, |model| drop(press(model, "6")));
screens!(the_help, |model| drop(press(model, "?")));
screens!(a_card, open_card);
screens!(a_log, open_log);
screens!(a_log_being_searched, |model| {
    open_log(model);
    press(model, "/");
    typed(model, "cache");
    press(model, "Enter");
});
screens!(the_events_of_a_run, |model| {
    press(model, "j e");
    let events = concat!(
        "{\"at\":\"2026-11-20T14:02:11.000Z\",\"kind\":\"text\",\"text\":\"Lookups hit the store on every request.\"}\n",
        "{\"at\":\"2026-11-20T14:02:40.000Z\",\"kind\":\"tool\",\"text\":\"edit src/policy/cache.rs\"}\n",
        "{\"at\":\"2026-11-20T14:03:48.000Z\",\"kind\":\"error\",\"text\":\"panicked at src/policy/cache.rs:88\\nleft: 3, right: 2\"}\n",
    );
    let bytes = events.as_bytes().to_vec();
    send(model, What::Done(Answer::Log { run: RunId(2041), kind: Kind::Events, offset: 0, bytes }));
});
screens!(a_diff, open_diff);
screens!(the_phases_of_a_run, |model| {
    let run = model.data.runs.get_mut(&RunId(2041)).unwrap();
    let at = |secs: i64| dispatch_shared::Timestamp(super::fixture::NOW.0 - secs * 1000);
    let phase = |phase, secs| dispatch_shared::protocol::runs::PhaseTime { phase, at: at(secs) };
    use dispatch_shared::run::Phase;
    run.phases = vec![phase(Phase::Queued, 1080), phase(Phase::Preparing, 1070), phase(Phase::Running, 900)];
    press(model, "j P");
});
screens!(a_kill_being_confirmed, |model| drop(press(model, "j x")));
screens!(the_menu_of_columns, |model| drop(press(model, "m")));
screens!(the_menu_of_verbs, |model| drop(press(model, ".")));
screens!(an_answer_being_typed, |model| {
    press(model, "a");
    typed(model, "half-even,");
    press(model, "Enter");
    typed(model, "as the tests say");
});
screens!(disconnected, |model| {
    send(model, What::News(News::Lost { cause: "connection refused".into() }));
    press(model, "m");
});

#[test]
fn the_first_run() {
    for (columns, rows) in SIZES {
        let mut model = empty(columns, rows);
        assert_snapshot!(format!("connecting_{columns}"), screen(&model));
        send(&mut model, What::News(News::Lost { cause: "No such file or directory".into() }));
        assert_snapshot!(format!("no_daemon_{columns}"), screen(&model));
        let mut nothing = snapshot();
        (nothing.issues, nothing.runs, nothing.repos, nothing.problems) = (vec![], vec![], vec![], vec![]);
        nothing.control = dispatch_shared::protocol::control::Control {
            running: 0,
            ready: 0,
            writes_pending: 0,
            rate_limit: None,
            cost_today_usd: 0.0,
            ..control()
        };
        send(&mut model, What::News(News::Snapshot(Box::new(nothing))));
        assert_snapshot!(format!("first_run_{columns}"), screen(&model));
    }
}

#[test]
fn other_widths() {
    for (columns, rows) in [(160, 40), (50, 20), (30, 10), (12, 4)] {
        let model = board(columns, rows);
        assert_snapshot!(format!("the_board_{columns}"), screen(&model));
    }
}

#[test]
fn without_glyphs_the_board_is_plain_ascii() {
    let mut model = board(120, 40);
    model.theme.ascii = true;
    let screen = screen(&model);
    assert!(screen.is_ascii(), "{screen}");
    assert_snapshot!("the_board_ascii", screen);
}

/// The first cell of `needle` on the screen.
pub(super) fn cell_of(model: &Model, needle: &str) -> Cell {
    let buffer = cells(model);
    let width = usize::from(buffer.area.width);
    for row in buffer.content.chunks(width) {
        let text: String = row.iter().map(Cell::symbol).collect();
        if let Some(at) = text.find(needle) {
            return row[text[..at].chars().count()].clone();
        }
    }
    panic!("`{needle}` is not on the screen:\n{}", screen(model));
}

#[test]
fn the_cursor_is_reversed_and_nothing_else_on_the_board_is() {
    let model = board(120, 40);
    assert!(cell_of(&model, "›").modifier.contains(Modifier::REVERSED));
    let reversed: Vec<usize> = cells(&model)
        .content
        .chunks(120)
        .enumerate()
        .filter(|(_, row)| row.iter().any(|c| c.modifier.contains(Modifier::REVERSED)))
        .map(|(y, _)| y)
        .collect();
    assert_eq!(reversed.len(), 1, "only the chosen card's row");
}

#[test]
fn what_asks_or_failed_is_bold_red() {
    let model = board(120, 40);
    for needle in ["✗ #371", "? #390", "! 6 need you"] {
        let cell = cell_of(&model, needle);
        assert_eq!((cell.fg, cell.modifier.contains(Modifier::BOLD)), (Color::Red, true), "{needle}");
    }
    assert_eq!(cell_of(&model, "▸ #377").fg, Color::Cyan);
    assert_eq!(cell_of(&model, "◉ #352").fg, Color::Magenta);
}

#[test]
fn overdue_ages_stand_out() {
    let model = board(120, 40);
    assert!(cell_of(&model, "9d!").modifier.contains(Modifier::BOLD));
    assert!(
        cell_of(&model, "2d!!").modifier.contains(Modifier::REVERSED),
        "review for more than twice a day"
    );
}

#[test]
fn without_colour_there_is_none() {
    for keys in ["k", "2", "3", "6", "?", "j Enter", "j o", "j x", "m", "."] {
        let mut model = board(120, 40);
        model.theme = Theme { mono: true, ..Theme::default() };
        press(&mut model, keys);
        for cell in &cells(&model).content {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "after `{keys}`");
        }
    }
}

#[test]
fn no_colour_that_vanishes_on_some_background_is_used() {
    let mut model = board(120, 40);
    open_log(&mut model);
    for cell in cells(&model).content.iter().chain(&cells(&board(80, 24)).content) {
        for colour in [cell.fg, cell.bg] {
            assert!(
                !matches!(colour, Color::Black | Color::Gray | Color::DarkGray | Color::White),
                "{colour:?}"
            );
        }
    }
}

#[test]
fn the_words_that_changed_stand_out_in_a_diff() {
    let mut model = board(120, 40);
    open_diff(&mut model);
    for (needle, stands_out) in [("cache.get", true), (".get(org", false)] {
        let cell = cell_of(&model, needle);
        assert_eq!(cell.fg, Color::Green, "{needle}");
        assert_eq!(cell.modifier.contains(Modifier::UNDERLINED), stands_out, "{needle}");
    }
    press(&mut model, "}");
    assert!(screen(&model).contains("README.md, file 2 of 2"), "{}", screen(&model));
}
