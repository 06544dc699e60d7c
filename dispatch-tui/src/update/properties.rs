//! Whatever is pressed and whatever comes, in whatever order and at whatever size: nothing panics, the cursor is on
//! something that is there, positions are in bounds, and every state can be drawn.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use dispatch_shared::event::Seq;
use dispatch_shared::id::RunId;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::protocol::control::Control;
use dispatch_shared::protocol::events::{Change, Progress};
use proptest::prelude::*;

use super::answers::Answer;
use super::loaded::Loaded;
use super::{News, What, bulk};
use crate::effect::Write;
use crate::model::list::List;
use crate::model::log::Kind;
use crate::model::marks::{self, Thing};
use crate::model::overlay::Overlay;
use crate::model::{Model, View};
use crate::view::fixture::{board, cells, control, id, issue, more, press, run, send, snapshot};

#[derive(Clone, Debug)]
enum Step {
    Key(KeyCode, bool),
    Mouse(u16, u16, MouseEventKind),
    Focus(bool),
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
    Read(u64, Vec<u8>),
    Diff(Vec<u8>),
    NoProblems,
    /// A change by hand was made or refused: a label, a freeze.
    Wrote(u64, bool, bool),
    Froze(bool),
    Claimed(u64, Result<(), bool>),
    Edited(String),
    /// Something typed into the palette, and chosen.
    Command(&'static str),
    /// One of the parts that views ask for; whether it is bad news.
    Part(u8, bool),
    /// Rows of the audit as they are written, numbered from there.
    Deeds(u64),
    Work(u64, Option<u64>, bool),
    NoRepos,
    Calm,
}

fn key() -> impl Strategy<Value = Step> {
    let plain = prop_oneof![
        8 => proptest::sample::select("hjklgGmHLocurxXaynNfw/#.?zSFMqb-12345678[]JKde :VvtpisRePTET{},*0+C".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        3 => proptest::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Up, KeyCode::Down, KeyCode::Left, KeyCode::Right, KeyCode::PageUp,
            KeyCode::PageDown, KeyCode::Home, KeyCode::End, KeyCode::Backspace, KeyCode::Delete, KeyCode::Tab,
            KeyCode::BackTab, KeyCode::Left, KeyCode::Right,
        ]),
        1 => any::<char>().prop_map(KeyCode::Char),
    ];
    (plain, prop::bool::weighted(0.1)).prop_map(|(code, ctrl)| Step::Key(code, ctrl))
}

fn mouse() -> impl Strategy<Value = MouseEventKind> {
    use MouseEventKind::{Down, Drag, Moved, ScrollDown, ScrollLeft, ScrollRight, ScrollUp, Up};
    let left = MouseButton::Left;
    proptest::sample::select(vec![
        Down(left),
        Down(left),
        Drag(left),
        Drag(left),
        Up(left),
        Down(MouseButton::Right),
        Up(MouseButton::Right),
        ScrollDown,
        ScrollUp,
        ScrollLeft,
        ScrollRight,
        Moved,
    ])
}

fn step() -> impl Strategy<Value = Step> {
    let number = proptest::sample::select(vec![371_u64, 377, 385, 390, 396, 412, 359, 349, 900, 901]);
    let number2 = number.clone();
    prop_oneof![
        20 => key(),
        6 => (0..130_u16, 0..45_u16, mouse()).prop_map(|(x, y, kind)| Step::Mouse(x, y, kind)),
        1 => any::<bool>().prop_map(Step::Focus),
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
        2 => (0..4_u64, prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n')], 0..200))
            .prop_map(|(at, bytes)| Step::Read(at * 100, bytes)),
        1 => prop::collection::vec(proptest::sample::select(b"+-@ ,1x\n".to_vec()), 0..200).prop_map(Step::Diff),
        1 => Just(Step::NoProblems),
        2 => (number2.clone(), any::<bool>(), any::<bool>()).prop_map(|(n, there, ok)| Step::Wrote(n, there, ok)),
        1 => any::<bool>().prop_map(Step::Froze),
        1 => (number2, prop_oneof![Just(Ok(())), any::<bool>().prop_map(Err)]).prop_map(|(n, r)| Step::Claimed(n, r)),
        1 => any::<String>().prop_map(Step::Edited),
        3 => proptest::sample::select(vec![
            "kill all", "priority", "labels", "lane", "start", "track", "runner", "review limit", "theme", "resume", "note",
            "block", "untrack", "make ready", "cache", "view", "mark all", "filter", "undo", "help", "no such thing",
        ])
        .prop_map(Step::Command),
        4 => (0..7_u8, prop::bool::weighted(0.2)).prop_map(|(which, bad)| Step::Part(which, bad)),
        1 => (0..20_u64).prop_map(Step::Deeds),
        1 => (0..500_u64, proptest::option::of(0..500_u64), any::<bool>()).prop_map(|(n, of, over)| Step::Work(n, of, over)),
        1 => Just(Step::NoRepos),
        1 => Just(Step::Calm),
    ]
}

fn what(step: Step) -> What {
    let change = |change| What::News(News::Change(Box::new(change)));
    match step {
        Step::Key(code, ctrl) => {
            let modifiers = if ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
            What::Key(KeyEvent::new(code, modifiers))
        }
        Step::Mouse(column, row, kind) => {
            What::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
        }
        Step::Focus(focused) => What::Focus(focused),
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
        Step::Log(offset, bytes) => {
            What::Done(Answer::Log { run: RunId(2041), kind: Kind::Log, offset, bytes })
        }
        Step::LogEnd(ok) => {
            What::Done(Answer::LogEnd { run: RunId(2041), kind: Kind::Log, cause: ok.then(|| "gone".into()) })
        }
        Step::Read(from, bytes) => {
            What::Done(Answer::Read { run: RunId(2041), kind: Kind::Log, from, result: Ok(bytes) })
        }
        Step::Diff(text) => {
            let text = format!("diff --git a/x b/x\n@@ -1,3 +1,4 @@\n{}", String::from_utf8_lossy(&text));
            What::Done(Answer::Diff { run: RunId(2041), result: Ok(text) })
        }
        Step::NoProblems => change(Change { problems: Some(vec![]), ..Change::default() }),
        Step::Wrote(number, there, ok) => {
            let write = Write::Label { issue: id(number), label: "bug".into(), there };
            let result = if ok { Ok(String::new()) } else { Err("refused".into()) };
            What::Done(Answer::Wrote { write, undoes: false, result })
        }
        Step::Froze(frozen) => {
            change(Change { control: Some(Control { frozen, ..control() }), ..Change::default() })
        }
        Step::Claimed(number, result) => {
            let result = result.map_err(|held| (held, "held by mia".to_owned()));
            What::Done(Answer::Claimed { issue: id(number), agent: "kai".into(), result })
        }
        Step::Edited(text) => What::Done(Answer::Edited(Ok(text))),
        Step::Command(text) => What::Paste(text.to_owned()),
        Step::Part(which, bad) => What::Done(Answer::Part(part(which, bad))),
        Step::Deeds(from) => {
            let audit = more::audit().into_iter().map(|row| AuditRow { id: row.id + from, ..row }).collect();
            change(Change { audit, ..Change::default() })
        }
        Step::Work(done, total, finished) => {
            What::News(News::Progress(Progress { what: "sync acme/api".into(), done, total, finished }))
        }
        Step::NoRepos => {
            let repos_gone = snapshot().repos.into_iter().map(|r| r.full_name).collect();
            change(Change { repos_gone, ..Change::default() })
        }
        Step::Calm => change(Change { control: Some(control()), ..Change::default() }),
    }
}

/// Takes the step; a command is opened before and chosen after it is typed.
fn take(model: &mut Model, step: Step) {
    let command = matches!(step, Step::Command(_));
    if command {
        press(model, ":");
    }
    send(model, what(step));
    if command {
        press(model, "Enter");
    }
}

fn part(which: u8, bad: bool) -> Loaded {
    fn or<T>(good: T, bad: bool) -> Result<T, String> {
        if bad { Err("the store\u{1b}[31m is busy".into()) } else { Ok(good) }
    }
    match which {
        0 => Loaded::Queue(or(more::queue(), bad)),
        1 => Loaded::Why { issue: id(398), result: or(more::why(), bad) },
        2 => Loaded::Overview(or(Box::new(more::overview()), bad)),
        3 => Loaded::Audit(or(more::audit(), bad)),
        4 => Loaded::Feed(or(more::events(), bad)),
        5 => Loaded::Runs(or(vec![run(7, 333, "failed", true)], bad)),
        _ => {
            let detail = more::repo_detail();
            Loaded::Repo { repo: detail.repo.full_name.clone(), result: or(Box::new(detail), bad) }
        }
    }
}

/// A list with rows has a cursor, and that is on one of them.
fn check_list<K: Clone + PartialEq>(list: &List<K>) {
    assert_eq!(list.cursor.is_some(), !list.rows.is_empty(), "a list with rows has a cursor");
    assert!(list.cursor.as_ref().is_none_or(|c| list.rows.contains(c)), "the cursor is on something there");
    assert!(list.top <= list.rows.len());
}

fn check(model: &Model) {
    check_list(&model.problems);
    check_list(&model.runs);
    check_list(&model.queue);
    check_list(&model.repos);
    check_list(&model.agents);
    check_list(&model.numbers);
    check_list(&model.activity.rows);
    check_list(&model.activity.events);
    assert!(model.column < 5);
    model.columns.iter().for_each(check_list);
    if !model.holds_still() {
        let shown: usize = model.columns.iter().map(|c| c.rows.len()).sum();
        assert!(shown <= model.data.issues.len());
        assert!(model.columns.iter().flat_map(|c| &c.rows).all(|id| model.data.issues.contains_key(id)));
    }
    for overlay in &model.overlays {
        if let Overlay::Log(pane) = overlay {
            pane.check();
        }
        let input = match overlay {
            Overlay::Input(input) => Some(input),
            Overlay::Palette(palette) => Some(&palette.input),
            Overlay::Filter(bar) => Some(&bar.input),
            _ => None,
        };
        if let Some(input) = input {
            assert!(input.caret <= input.text.chars().count());
            assert!(input.is_long() || !input.text.contains('\n'), "one line stays one");
        }
        if let Overlay::Palette(palette) = overlay {
            assert_eq!(palette.choice.is_some(), !palette.rows.is_empty());
            assert!(palette.choice.as_ref().is_none_or(|c| palette.rows.contains(c)));
        }
        if let Overlay::Bulk(bulk) = overlay {
            assert!(!bulk.steps.is_empty(), "a question is about something");
            assert!(
                bulk.steps.iter().all(|(_, step)| bulk::stale(model, step).is_none()),
                "and still about it"
            );
        }
    }
    // No verb may hit what is not in the list that is shown.
    let shown: Vec<Thing> = match model.view {
        View::Board => model.columns.iter().flat_map(|c| c.rows.iter().cloned()).map(Thing::Card).collect(),
        _ => marks::list(model).0,
    };
    assert!(marks::marked(model).iter().all(|thing| shown.contains(thing)));
    assert!(model.undo.len() <= 50);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_breaks_the_model(steps in prop::collection::vec(step(), 1..200)) {
        let mut model = board(80, 24);
        for step in steps {
            take(&mut model, step);
            check(&model);
        }
        cells(&model);
    }

    #[test]
    fn every_state_can_be_drawn(steps in prop::collection::vec(step(), 1..25)) {
        let mut model = more::busy_board(120, 40);
        for step in steps {
            take(&mut model, step);
            for cell in &cells(&model).content {
                assert!(!cell.symbol().chars().any(char::is_control), "a control character reached the screen");
            }
        }
    }
}
