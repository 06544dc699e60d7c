//! The mouse, the panes of a run, notifications and the first run, by example.

use std::time::Duration;

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use dispatch_shared::id::RunId;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::control::Problem;
use dispatch_shared::protocol::events::Change;

use super::answers::{Answer, Tracked};
use super::{Msg, News, What, present, update};
use crate::effect::{Effect, From, Hidden};
use crate::model::log::{Kind, PAGE, Shown};
use crate::model::overlay::{Confirm, Overlay};
use crate::model::{Model, View};
use crate::view::fixture::{NOW, board, empty, id, press, screen, send, snapshot, typed};

const LEFT: MouseButton = MouseButton::Left;

fn mouse_at(model: &mut Model, kind: MouseEventKind, (column, row): (u16, u16), after: u64) -> Vec<Effect> {
    let what = What::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
    let effects = update(model, Msg { now: NOW + Duration::from_millis(after), what });
    present(model);
    effects
}

fn mouse(model: &mut Model, kind: MouseEventKind, at: (u16, u16)) -> Vec<Effect> {
    mouse_at(model, kind, at, 0)
}

/// Where `needle` stands on the screen.
fn find(model: &Model, needle: &str) -> (u16, u16) {
    let screen = screen(model);
    for (y, line) in screen.lines().enumerate() {
        if let Some(at) = line.find(needle) {
            let x = line[..at].chars().count();
            return (u16::try_from(x).unwrap(), u16::try_from(y).unwrap());
        }
    }
    panic!("`{needle}` is not on the screen:\n{screen}");
}

fn chosen(model: &Model) -> u64 {
    model.data.issues[model.columns[model.column].cursor.as_ref().unwrap()].number
}

fn toast(model: &Model) -> String {
    model.toast.as_ref().map(|t| t.text.clone()).unwrap_or_default()
}

#[test]
fn a_click_selects_two_open_and_two_slow_ones_do_not() {
    let mut model = board(120, 40);
    let at = find(&model, "#409");
    mouse_at(&mut model, MouseEventKind::Down(LEFT), at, 0);
    assert_eq!((chosen(&model), model.overlays.len()), (409, 0));
    mouse_at(&mut model, MouseEventKind::Down(LEFT), at, 900);
    assert!(model.overlays.is_empty(), "too slow for a double click");
    let effects = mouse_at(&mut model, MouseEventKind::Down(LEFT), at, 1_000);
    assert_eq!(effects, [Effect::LoadCard(id(409))]);
}

#[test]
fn the_click_that_gives_the_window_the_focus_does_nothing_else() {
    let mut model = board(120, 40);
    let at = find(&model, "#409");
    send(&mut model, What::Focus(false));
    send(&mut model, What::Focus(true));
    mouse_at(&mut model, MouseEventKind::Down(LEFT), at, 20);
    assert_eq!(chosen(&model), 390);
    mouse_at(&mut model, MouseEventKind::Down(LEFT), at, 500);
    assert_eq!(chosen(&model), 409);
}

#[test]
fn the_right_button_offers_the_verbs_of_what_is_beneath_it() {
    let mut model = board(120, 40);
    let at = find(&model, "#377");
    mouse(&mut model, MouseEventKind::Down(MouseButton::Right), at);
    assert_eq!(chosen(&model), 377);
    assert!(matches!(model.overlays.last(), Some(Overlay::Actions(_))));
    let at = find(&model, "o         log");
    mouse_at(&mut model, MouseEventKind::Down(LEFT), at, 1_000);
    let effects = mouse_at(&mut model, MouseEventKind::Down(LEFT), at, 1_100);
    assert_eq!(effects, [Effect::FollowLog { run: RunId(2041), kind: Kind::Log, from: From::Tail(PAGE) }]);
    mouse(&mut model, MouseEventKind::Down(MouseButton::Right), (5, 20));
    assert!(matches!(model.overlays.last(), Some(Overlay::Actions(_))), "of what covers the screen too");
}

#[test]
fn tabs_and_hints_are_buttons() {
    let mut model = board(120, 40);
    let at = find(&model, "3 Runs");
    mouse(&mut model, MouseEventKind::Down(LEFT), at);
    assert_eq!(model.view, View::Runs);
    let at = find(&model, "? help");
    mouse(&mut model, MouseEventKind::Down(LEFT), (at.0 + 3, at.1));
    assert!(matches!(model.overlays.last(), Some(Overlay::Help { .. })));
    press(&mut model, "Esc 1 j o");
    let at = find(&model, "d Diff");
    assert_eq!(
        mouse(&mut model, MouseEventKind::Down(LEFT), at),
        [Effect::CloseLog, Effect::LoadDiff(RunId(2041))]
    );
    // Of two keys in one hint each does its own.
    let mut model = board(120, 40);
    press(&mut model, "h");
    let at = find(&model, "H L shift");
    let effects = mouse(&mut model, MouseEventKind::Down(LEFT), (at.0 + 2, at.1));
    assert_eq!(effects, [Effect::Move { issue: id(371), to: Status::InProgress, claim: None }]);
}

#[test]
fn a_card_is_dragged_to_another_column_and_its_ghost_says_where() {
    let mut model = board(120, 40);
    let from = find(&model, "#412");
    let to = find(&model, "Backlog");
    mouse(&mut model, MouseEventKind::Down(LEFT), from);
    mouse(&mut model, MouseEventKind::Drag(LEFT), (to.0 + 3, to.1 + 6));
    let shown = screen(&model);
    assert!(shown.contains("#412 Retry webhooks") && shown.contains("to Backlog"), "{shown}");
    let effects = mouse(&mut model, MouseEventKind::Up(LEFT), (to.0 + 3, to.1 + 6));
    assert_eq!(effects, [Effect::Move { issue: id(412), to: Status::Backlog, claim: None }]);
    assert_eq!((model.column, chosen(&model)), (0, 412), "the cursor goes along");
    assert!(model.pointer.drag.is_none());
}

#[test]
fn a_column_that_cannot_take_the_card_says_why() {
    let mut model = board(120, 40);
    let from = find(&model, "#412");
    let done = find(&model, "Done 3");
    mouse(&mut model, MouseEventKind::Down(LEFT), from);
    mouse(&mut model, MouseEventKind::Drag(LEFT), done);
    assert!(screen(&model).contains("✗ the issue is open"), "{}", screen(&model));
    assert_eq!(mouse(&mut model, MouseEventKind::Up(LEFT), done), []);
    assert!(toast(&model).contains("closing it on the forge"), "{}", toast(&model));
}

#[test]
fn escape_ends_a_drag_and_rows_hold_still_meanwhile() {
    let mut model = board(120, 40);
    let from = find(&model, "#412");
    mouse(&mut model, MouseEventKind::Down(LEFT), from);
    mouse(&mut model, MouseEventKind::Drag(LEFT), (2, 10));
    let rows = model.columns[1].rows.clone();
    let mut urgent = snapshot().issues.into_iter().find(|i| i.number == 409).unwrap();
    urgent.priority = Some("priority/p0".into());
    send(
        &mut model,
        What::News(News::Change(Box::new(Change { issues: vec![urgent], ..Change::default() }))),
    );
    assert_eq!(model.columns[1].rows, rows);
    press(&mut model, "Esc");
    assert_ne!(model.columns[1].rows, rows);
    assert_eq!(mouse(&mut model, MouseEventKind::Up(LEFT), (2, 10)), []);
    // A card that left the board cannot be dropped.
    mouse(&mut model, MouseEventKind::Down(LEFT), from);
    mouse(&mut model, MouseEventKind::Drag(LEFT), (2, 10));
    let held = model.pointer.drag.clone().unwrap().issue;
    send(&mut model, What::News(News::Change(Box::new(Change { gone: vec![held], ..Change::default() }))));
    assert_eq!(mouse(&mut model, MouseEventKind::Up(LEFT), (2, 10)), []);
}

#[test]
fn the_wheel_scrolls_what_is_beneath_and_leaves_the_keyboard_where_it_is() {
    let mut model = board(160, 40);
    let at = find(&model, "Backlog");
    mouse(&mut model, MouseEventKind::ScrollDown, (at.0, at.1 + 3));
    assert_eq!(model.column, 2);
    assert_eq!(model.columns[0].index(), Some(1));
    let side = crate::view::areas::side(&model).unwrap();
    mouse(&mut model, MouseEventKind::ScrollDown, (side.x + 2, side.y + 2));
    assert_eq!((model.detail_scroll, model.columns[2].index()), (3, Some(0)));
}

#[test]
fn the_pane_beside_the_board_is_as_wide_as_it_is_dragged() {
    let mut model = board(200, 50);
    let side = crate::view::areas::side(&model).unwrap();
    mouse(&mut model, MouseEventKind::Down(LEFT), (side.x - 1, 10));
    mouse(&mut model, MouseEventKind::Drag(LEFT), (side.x - 21, 10));
    mouse(&mut model, MouseEventKind::Up(LEFT), (side.x - 21, 10));
    assert_eq!(crate::view::areas::side(&model).unwrap().width, side.width + 20);
    mouse(&mut model, MouseEventKind::Down(LEFT), (side.x - 21, 10));
    mouse(&mut model, MouseEventKind::Drag(LEFT), (0, 10));
    assert_eq!(crate::view::areas::side(&model).unwrap().width, 99, "the columns keep their room");
    send(&mut model, What::Resize(20, 5));
    send(&mut model, What::Resize(150, 40));
    screen(&model);
}

#[test]
fn the_panes_of_a_run_follow_each_other_in_one_layer() {
    let mut model = board(120, 40);
    press(&mut model, "j o");
    let follow = |run, kind| Effect::FollowLog { run: RunId(run), kind, from: From::Tail(PAGE) };
    assert_eq!(press(&mut model, "e"), [Effect::CloseLog, follow(2041, Kind::Events)]);
    assert_eq!(press(&mut model, "e"), [], "it is shown already");
    assert_eq!(press(&mut model, "P"), [Effect::CloseLog]);
    assert_eq!(press(&mut model, "d"), [Effect::LoadDiff(RunId(2041))]);
    assert_eq!(model.overlays.len(), 1);
    press(&mut model, "o E E E");
    assert!(matches!(model.overlays.last(), Some(Overlay::Log(p)) if p.shown == Shown::Errors));
    let next = press(&mut model, "C-n");
    assert_eq!(next[0], Effect::CloseLog);
    let back = press(&mut model, "C-p");
    assert_eq!(back, [Effect::CloseLog, follow(2041, Kind::Log)]);
    assert_eq!(press(&mut model, "Esc"), [Effect::CloseLog]);
    assert!(model.overlays.is_empty(), "one Esc leads back to the board");
}

#[test]
fn a_search_goes_on_in_what_is_not_loaded() {
    let mut model = board(120, 40);
    press(&mut model, "j o");
    let log = |offset, bytes: &[u8]| {
        What::Done(Answer::Log { run: RunId(2041), kind: Kind::Log, offset, bytes: bytes.to_vec() })
    };
    send(&mut model, log(1_000_000, b"half\nnew\nlast\n"));
    press(&mut model, "/");
    typed(&mut model, "needle");
    let (run, kind, needle) = (RunId(2041), Kind::Log, "needle".to_owned());
    let find = Effect::FindLog { run, kind, needle: needle.clone(), before: 1_000_005 };
    assert_eq!(press(&mut model, "Enter"), [find]);
    let found = Answer::Found { run, kind, needle: needle.clone(), result: Ok(Some(500)) };
    let read = send(&mut model, What::Done(found));
    assert_eq!(read, [Effect::ReadLog { run, kind, from: 499, to: 499 + PAGE }]);
    let bytes = b"\nthe needle\nmore\n".to_vec();
    send(&mut model, What::Done(Answer::Read { run, kind, from: 499, result: Ok(bytes) }));
    let shown = screen(&model);
    assert!(shown.contains("the needle") && shown.contains("1 of 1"), "{shown}");
    send(&mut model, What::Done(Answer::Found { run, kind, needle, result: Ok(None) }));
    assert_eq!(toast(&model), "`needle` is not in the log");
}

fn problems(model: &mut Model, problems: Vec<Problem>) -> Vec<Effect> {
    send(model, What::News(News::Change(Box::new(Change { problems: Some(problems), ..Change::default() }))))
}

#[test]
fn what_is_new_and_needs_a_person_is_told_once_and_only_to_who_looks_away() {
    let mut model = board(120, 40);
    let old = snapshot().problems;
    assert_eq!(problems(&mut model, old.clone()), [], "what was there at the start is seen");
    let new =
        |n: u64| Problem { id: format!("question-{n}"), subject: format!("acme/api#{n}"), ..old[0].clone() };
    let with = |more: &[u64]| old.iter().cloned().chain(more.iter().map(|n| new(*n))).collect::<Vec<_>>();
    let told = problems(&mut model, with(&[1, 2]));
    let [Effect::Notify { body, .. }] = &told[..] else { panic!("{told:?}") };
    assert!(body.starts_with("acme/api#1: claude asks") && body.ends_with(", and 1 more"), "{body}");
    assert_eq!(problems(&mut model, with(&[1, 2])), [], "not twice");
    let mut again = snapshot();
    again.problems = with(&[1, 2]);
    assert_eq!(send(&mut model, What::News(News::Snapshot(Box::new(again)))), [], "nor after a reconnect");
    send(&mut model, What::Focus(true));
    assert_eq!(problems(&mut model, with(&[1, 2, 3])), [], "it is looked at");
    send(&mut model, What::Focus(false));
    assert_eq!(problems(&mut model, with(&[1, 2, 3])), []);
    problems(&mut model, with(&[1]));
    assert_eq!(problems(&mut model, with(&[1, 2])).len(), 1, "what was over and comes again is news");
}

#[test]
fn the_first_run_ends_with_a_board() {
    let mut model = empty(100, 30);
    assert_eq!(press(&mut model, "Enter"), [], "still connecting");
    send(&mut model, What::News(News::Lost { cause: "no such file".into() }));
    assert_eq!(press(&mut model, "Enter"), [Effect::StartDaemon]);
    assert_eq!(send(&mut model, What::Done(Answer::Started(Ok(())))), [Effect::Resync]);
    let mut nothing = snapshot();
    (nothing.issues, nothing.runs, nothing.repos, nothing.problems) = (vec![], vec![], vec![], vec![]);
    send(&mut model, What::News(News::Snapshot(Box::new(nothing))));
    press(&mut model, "Enter");
    typed(&mut model, "acme/api");
    let track = |token: Option<&str>| Effect::Track {
        what: "acme/api".into(),
        token: token.map(|t| Hidden(t.to_owned())),
    };
    assert_eq!(press(&mut model, "Enter"), [track(None)]);
    let answer = |result| What::Done(Answer::Tracked { what: "acme/api".into(), result });
    send(&mut model, answer(Ok(Tracked::NeedsToken { note: None })));
    typed(&mut model, "ghp_secret");
    assert!(!screen(&model).contains("ghp_") && screen(&model).contains("**********"), "{}", screen(&model));
    assert_eq!(press(&mut model, "Enter"), [track(Some("ghp_secret"))]);
    assert!(!format!("{:?}", track(Some("ghp_secret"))).contains("ghp_"));
    let done = Tracked::Done {
        repo: "acme/api".parse().unwrap(),
        missing: vec!["Contents: write is missing".into()],
        labels: vec!["status/ready".into()],
    };
    send(&mut model, answer(Ok(done)));
    let shown = screen(&model);
    assert!(shown.contains("✗ Contents: write is missing") && shown.contains("1 missing labels"), "{shown}");
    assert_eq!(press(&mut model, "y"), [Effect::EnsureLabels("acme/api".parse().unwrap())]);
}

#[test]
fn what_cannot_be_tracked_is_corrected_and_not_typed_again() {
    let mut model = empty(100, 30);
    let result = Err("there is no directory ./x".to_owned());
    send(&mut model, What::Done(Answer::Tracked { what: "./x".into(), result }));
    assert!(matches!(model.overlays.last(), Some(Overlay::Input(i)) if i.text == "./x"));
    assert!(screen(&model).contains("there is no directory ./x"));
    let labels = Confirm::Labels { repo: "a/b".parse().unwrap(), labels: vec![], missing: vec!["x".into()] };
    model.overlays = vec![Overlay::Confirm(labels)];
    assert_eq!(press(&mut model, "y"), [], "there is nothing to make");
}
