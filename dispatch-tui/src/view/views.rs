//! The views beside the board as text, at the sizes of a small, an ordinary and a large window; and their styles.

use dispatch_shared::id::RunId;
use dispatch_shared::protocol::events::Progress;
use insta::assert_snapshot;
use ratatui::style::{Color, Modifier};

use super::fixture::more::{busy_board, repo_detail, why};
use super::fixture::{cells, id, press, screen, send, typed};
use super::tests::cell_of;
use crate::model::Model;
use crate::theme::Theme;
use crate::update::answers::Answer;
use crate::update::loaded::Loaded;
use crate::update::{News, What};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// Leads to a view.
type Lead = fn(&mut Model);

/// Every view and what opens from it.
const VIEWS: [(&str, Lead); 14] = [
    ("problems", |model| drop(press(model, "2"))),
    ("runs", |model| drop(press(model, "3"))),
    ("runs_by_cost", |model| drop(press(model, "3 , ,"))),
    ("queue", queue),
    ("agents", |model| drop(press(model, "5"))),
    ("a_pool_being_resumed", |model| drop(press(model, "5 g j C"))),
    ("repositories", |model| drop(press(model, "6"))),
    ("workflows", |model| opened(model, "")),
    ("ci_runs", |model| opened(model, "Tab j")),
    ("releases", |model| opened(model, "Tab Tab")),
    ("settings", |model| opened(model, "Tab Tab Tab Tab j")),
    ("audit", |model| drop(press(model, "7 j"))),
    ("forges", |model| drop(press(model, "7 Tab"))),
    ("overview", |model| drop(press(model, "8"))),
];

fn queue(model: &mut Model) {
    press(model, "4 G k k");
    send(model, What::Done(Answer::Part(Loaded::Why { issue: id(398), result: Ok(why()) })));
}

fn opened(model: &mut Model, keys: &str) {
    press(model, "6 Enter");
    let repo = model.repos.cursor.clone().expect("a repository is chosen");
    send(model, What::Done(Answer::Part(Loaded::Repo { repo, result: Ok(Box::new(repo_detail())) })));
    if !keys.is_empty() {
        press(model, keys);
    }
}

fn shown(name: &str, columns: u16, rows: u16) -> Model {
    let mut model = busy_board(columns, rows);
    let (_, prepare) = VIEWS.iter().find(|(n, _)| *n == name).expect("the view is in the list");
    prepare(&mut model);
    model
}

#[test]
fn every_view_at_every_size() {
    for (name, _) in VIEWS {
        for (columns, rows) in SIZES {
            assert_snapshot!(format!("{name}_{columns}x{rows}"), screen(&shown(name, columns, rows)));
        }
    }
}

#[test]
fn no_view_breaks_in_a_small_window() {
    for (name, _) in VIEWS {
        for (columns, rows) in [(59, 20), (40, 12), (30, 8), (20, 5), (12, 4)] {
            let buffer = cells(&shown(name, columns, rows));
            assert!(buffer.content.iter().all(|c| !c.symbol().chars().any(char::is_control)), "{name}");
        }
    }
}

#[test]
fn every_view_can_be_read_on_light_and_on_dark() {
    for (name, _) in VIEWS {
        for cell in &cells(&shown(name, 120, 40)).content {
            let vanishes = |c: Color| {
                matches!(c, Color::Black | Color::White | Color::Gray | Color::DarkGray | Color::Rgb(..))
            };
            assert!(!vanishes(cell.fg), "{name}: {:?} in the foreground", cell.fg);
            assert_eq!(cell.bg, Color::Reset, "{name}: the background is the terminal's");
        }
    }
}

#[test]
fn without_colour_or_glyphs_every_view_is_plain() {
    for (name, _) in VIEWS {
        let mut model = shown(name, 120, 40);
        model.theme = Theme { mono: true, ascii: true, ..model.theme };
        for cell in &cells(&model).content {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{name}");
        }
        let screen = screen(&model);
        assert!(screen.is_ascii() && !screen.contains("??"), "{name}:\n{screen}");
    }
}

#[test]
fn one_row_alone_is_chosen_in_every_view() {
    for (name, _) in VIEWS.iter().filter(|(n, _)| *n != "a_pool_being_resumed") {
        let buffer = cells(&shown(name, 120, 40));
        let reversed = |row: &&[ratatui::buffer::Cell]| {
            row.iter().any(|c| c.modifier.contains(Modifier::REVERSED) && c.symbol() == "›")
        };
        assert_eq!(buffer.content.chunks(120).filter(reversed).count(), 1, "{name}");
    }
}

#[test]
fn roles_carry_their_colours() {
    let colour = |view: &str, needle: &str| cell_of(&shown(view, 120, 40), needle).fg;
    assert_eq!(colour("agents", "paused to 14:40"), Color::Yellow);
    assert_eq!(colour("agents", "⧗ codex"), Color::Yellow);
    assert_eq!(colour("audit", "403, token"), Color::Red);
    assert_eq!(colour("audit", "✓  18m"), Color::Green);
    assert_eq!(colour("forges", "run_failed"), Color::Red);
    assert_eq!(colour("ci_runs", "✗ CI"), Color::Red);
    assert_eq!(colour("ci_runs", "▸ CI"), Color::Cyan);
    assert_eq!(colour("queue", "✗ not blocked"), Color::Red);
    assert_eq!(colour("runs", "▰▰▱▱"), Color::Cyan);
    assert_eq!(colour("problems", "✗ 6m"), Color::Red);
    let heading = cell_of(&shown("overview", 120, 40), "Throughput and cost");
    assert!(heading.modifier.contains(Modifier::BOLD));
    let dim = cell_of(&shown("agents", 120, 40), "last seen");
    assert!(dim.modifier.contains(Modifier::DIM));
}

#[test]
fn a_budget_near_its_end_stands_out() {
    let model = shown("overview", 120, 40);
    let gauges: Vec<(String, bool)> = cells(&model)
        .content
        .chunks(120)
        .filter(|row| row[..60].iter().any(|c| c.symbol() == "▱"))
        .map(|row| {
            let name = row[1..12].iter().map(|c| c.symbol()).collect::<String>().trim().to_owned();
            (name, row[..60].iter().any(|c| c.symbol() == "▰" && c.fg == Color::Red))
        })
        .collect();
    let near: Vec<&str> = gauges.iter().filter(|(_, red)| *red).map(|(name, _)| name.as_str()).collect();
    assert_eq!(near, ["graphql", "codex"], "of {gauges:?}");
}

#[test]
fn hostile_text_in_answers_is_shown_and_not_obeyed() {
    let model = shown("audit", 120, 40);
    assert!(screen(&model).contains("kai ␛[31m"), "{}", screen(&model));
}

#[test]
fn long_work_says_what_is_done_and_how_long_it_will_take() {
    let mut model = busy_board(120, 40);
    let word = |what: &str, done, total| {
        What::News(News::Progress(Progress { what: what.into(), done, total, finished: false }))
    };
    send(&mut model, word("sync acme/api", 0, Some(400)));
    model.now = model.now + std::time::Duration::from_secs(10);
    send(&mut model, word("sync acme/api", 100, Some(400)));
    assert!(screen(&model).contains("sync acme/api 100/400, 30s left"), "{}", screen(&model));
    press(&mut model, "6");
    assert!(screen(&model).contains("syncing acme/api 100/400, 30s left"), "{}", screen(&model));
    send(&mut model, word("clone acme/api", 0, None));
    assert!(model.next_change().is_some_and(|d| d.as_secs() <= 60), "its age stands on the screen");
    press(&mut model, "3");
    let preparing = model.data.runs.get(&RunId(2040)).map(|r| r.state.clone());
    assert_eq!(preparing.as_deref(), Some("preparing"));
    assert!(screen(&model).contains("clone acme/api…"), "the run's row tells of it: {}", screen(&model));
    let over = Progress { what: "clone acme/api".into(), done: 1, total: None, finished: true };
    send(&mut model, What::News(News::Progress(over)));
    assert!(!screen(&model).contains("clone acme/api…"));
}

#[test]
fn a_filter_narrows_every_list_and_is_shown() {
    for (view, word, kept) in [("3", "stalled", 1), ("4", "webhooks", 1), ("7", "actor:operator", 2)] {
        let mut model = busy_board(120, 40);
        press(&mut model, view);
        press(&mut model, "/");
        typed(&mut model, word);
        press(&mut model, "Enter");
        let rows = match view {
            "3" => model.runs.rows.len(),
            "4" => model.queue.rows.len(),
            _ => model.activity.rows.rows.len(),
        };
        assert_eq!(rows, kept, "view {view}");
        assert!(screen(&model).contains(&format!("/ {word}")), "{}", screen(&model));
    }
}
