//! Whatever is pressed and whatever comes, in whatever order and at whatever size: nothing panics, the cursor is on
//! something that is there, positions are in bounds, and every state can be drawn.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use dispatch_shared::event::Seq;
use dispatch_shared::id::RunId;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::events::Change;
use proptest::prelude::*;

use super::answers::Answer;
use super::{News, What};
use crate::model::Model;
use crate::model::overlay::Overlay;
use crate::view::fixture::{board, cells, id, issue, run, send, snapshot};

#[derive(Clone, Debug)]
enum Step {
    Key(KeyCode, bool),
    Mouse(u16, u16, bool),
    Resize(u16, u16),
    Paste(String),
    Card(u64, usize),
    Gone(u64),
    Run(u64, bool),
    Snapshot(usize),
    Lost,
    Resumed,
    Moved(u64, bool),
    Log(u64, Vec<u8>),
    LogEnd(bool),
    NoProblems,
}

fn key() -> impl Strategy<Value = Step> {
    let plain = prop_oneof![
        8 => proptest::sample::select("hjklgGmHLocurxXaynNfw/#.?zSFMqb-12345678[]JKd ".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        3 => proptest::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Up, KeyCode::Down, KeyCode::Left, KeyCode::Right, KeyCode::PageUp,
            KeyCode::PageDown, KeyCode::Home, KeyCode::End, KeyCode::Backspace, KeyCode::Delete,
        ]),
        1 => any::<char>().prop_map(KeyCode::Char),
    ];
    (plain, prop::bool::weighted(0.1)).prop_map(|(code, ctrl)| Step::Key(code, ctrl))
}

fn step() -> impl Strategy<Value = Step> {
    let number = proptest::sample::select(vec![371_u64, 377, 385, 390, 396, 412, 359, 349, 900, 901]);
    prop_oneof![
        20 => key(),
        2 => (0..130_u16, 0..45_u16, any::<bool>()).prop_map(|(x, y, wheel)| Step::Mouse(x, y, wheel)),
        2 => (1..200_u16, 1..60_u16).prop_map(|(w, h)| Step::Resize(w, h)),
        1 => any::<String>().prop_map(Step::Paste),
        3 => (number.clone(), 0..5_usize).prop_map(|(n, c)| Step::Card(n, c)),
        2 => number.clone().prop_map(Step::Gone),
        2 => (2029..2042_u64, any::<bool>()).prop_map(|(n, ended)| Step::Run(n, ended)),
        1 => (0..19_usize).prop_map(Step::Snapshot),
        1 => Just(Step::Lost),
        1 => Just(Step::Resumed),
        1 => (number, any::<bool>()).prop_map(|(n, ok)| Step::Moved(n, ok)),
        2 => (0..3_u64, prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n')], 0..200))
            .prop_map(|(at, bytes)| Step::Log(at * 100, bytes)),
        1 => any::<bool>().prop_map(Step::LogEnd),
        1 => Just(Step::NoProblems),
    ]
}

fn what(step: Step) -> What {
    let change = |change| What::News(News::Change(Box::new(change)));
    match step {
        Step::Key(code, ctrl) => {
            let modifiers = if ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
            What::Key(KeyEvent::new(code, modifiers))
        }
        Step::Mouse(column, row, wheel) => {
            let kind =
                if wheel { MouseEventKind::ScrollDown } else { MouseEventKind::Down(MouseButton::Left) };
            What::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
        }
        Step::Resize(columns, rows) => What::Resize(columns, rows),
        Step::Paste(text) => What::Paste(text),
        Step::Card(number, column) => {
            let card = issue(number, "日本語 and \u{1b}[31m words", Status::ALL[column], number * 60);
            change(Change { seq: Seq(number), issues: vec![card], ..Change::default() })
        }
        Step::Gone(number) => change(Change { gone: vec![id(number)], ..Change::default() }),
        Step::Run(n, ended) => {
            let state = if ended { "failed" } else { "running" };
            change(Change { runs: vec![run(n, 377, state, ended)], ..Change::default() })
        }
        Step::Snapshot(keep) => {
            let mut all = snapshot();
            all.issues.truncate(keep);
            all.runs.truncate(keep / 4);
            What::News(News::Snapshot(Box::new(all)))
        }
        Step::Lost => What::News(News::Lost { cause: "gone".into() }),
        Step::Resumed => What::News(News::Resumed),
        Step::Moved(number, ok) => {
            let result = if ok { Ok(None) } else { Err("refused".into()) };
            What::Done(Answer::Moved { issue: id(number), result })
        }
        Step::Log(offset, bytes) => What::Done(Answer::Log { run: RunId(2041), offset, bytes }),
        Step::LogEnd(ok) => What::Done(Answer::LogEnd { run: RunId(2041), cause: ok.then(|| "gone".into()) }),
        Step::NoProblems => change(Change { problems: Some(vec![]), ..Change::default() }),
    }
}

fn check(model: &Model) {
    assert!(model.column < 5);
    for list in &model.columns {
        assert_eq!(list.cursor.is_some(), !list.rows.is_empty(), "a list with rows has a cursor");
        if let Some(cursor) = &list.cursor {
            assert!(list.rows.contains(cursor), "the cursor is on something that is there");
        }
        assert!(list.top <= list.rows.len());
    }
    if !model.holds_still() {
        let shown: usize = model.columns.iter().map(|c| c.rows.len()).sum();
        assert!(shown <= model.data.issues.len());
        assert!(model.columns.iter().flat_map(|c| &c.rows).all(|id| model.data.issues.contains_key(id)));
    }
    for overlay in &model.overlays {
        if let Overlay::Log(pane) = overlay {
            pane.check();
        }
        if let Overlay::Input(input) = overlay {
            assert!(input.caret <= input.text.chars().count());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_breaks_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut model = board(80, 24);
        for step in steps {
            send(&mut model, what(step));
            check(&model);
        }
        cells(&model);
    }

    #[test]
    fn every_state_can_be_drawn(steps in prop::collection::vec(step(), 1..25)) {
        let mut model = board(120, 40);
        for step in steps {
            send(&mut model, what(step));
            for cell in &cells(&model).content {
                assert!(!cell.symbol().chars().any(char::is_control), "a control character reached the screen");
            }
        }
    }
}
