//! What acting on the board does, by example: marks and bulk, the palette, the filter, setters, undo.

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::events::Change;
use dispatch_shared::protocol::issues::Issue;

use super::answers::Answer;
use super::{News, What};
use crate::effect::{Effect, Keep, Write};
use crate::keymap::Action;
use crate::model::overlay::{Confirm, Entry, Overlay};
use crate::model::{Model, View, marks};
use crate::view::fixture::{NOW, board, claim, control, id, press, run, screen, send, snapshot, typed};

fn card(number: u64) -> Issue {
    snapshot().issues.into_iter().find(|i| i.number == number).unwrap()
}

fn change(model: &mut Model, change: Change) {
    send(model, What::News(News::Change(Box::new(change))));
}

fn toast(model: &Model) -> String {
    model.toast.as_ref().map(|t| t.text.clone()).unwrap_or_default()
}

fn done(model: &mut Model, effects: &[Effect]) {
    for effect in effects {
        let Effect::Write { write, undoes } = effect else { panic!("{effect:?} is no write") };
        let answer = Answer::Wrote { write: write.clone(), undoes: *undoes, result: Ok(String::new()) };
        send(model, What::Done(answer));
    }
}

fn write(write: Write) -> Effect {
    Effect::Write { write, undoes: false }
}

/// Opens the palette, types and chooses.
fn command(model: &mut Model, words: &str) -> Vec<Effect> {
    press(model, ":");
    typed(model, words);
    press(model, "Enter")
}

#[test]
fn verbs_take_what_is_marked_and_the_question_names_what_is_left_out() {
    let mut model = board(120, 40);
    press(&mut model, "* x");
    let asked = screen(&model);
    for part in
        ["Kill: 2?", "#377 Cache policy", "#385 Flaky", "Left out, 2:", "r-2037 is over", "kai is not ours"]
    {
        assert!(asked.contains(part), "{part} is missing:\n{asked}");
    }
    let kill = |run| Effect::Kill { run: RunId(run), attempt: Attempt(1 << 32 | 1), now: false };
    assert_eq!(press(&mut model, "y"), [kill(2041), kill(2040)]);
    assert_eq!(marks::marked(&model), [], "what was done to lets its marks go");
}

#[test]
fn whatever_is_no_yes_is_a_no_to_many_as_well() {
    for key in ["n", "Esc", "Enter", "j", "x"] {
        let mut model = board(120, 40);
        press(&mut model, "* x");
        assert_eq!(press(&mut model, key), [], "{key}");
        assert_eq!(marks::marked(&model).len(), 4, "the marks stay after `{key}`");
    }
}

#[test]
fn a_question_about_many_closes_when_one_of_them_changes() {
    let mut model = board(120, 40);
    press(&mut model, "* x");
    change(&mut model, Change { runs: vec![run(2041, 377, "succeeded", true)], ..Change::default() });
    assert_eq!(toast(&model), "r-2041 ended meanwhile: succeeded; nothing was done");
    assert!(model.overlays.is_empty());
}

#[test]
fn a_range_reaches_from_where_it_began_to_the_cursor_and_escape_undoes_one_layer_at_a_time() {
    let mut model = board(120, 40);
    press(&mut model, "Space v j");
    assert_eq!(marks::marked(&model).len(), 3, "one by itself, two by the range");
    press(&mut model, "Esc");
    assert_eq!(marks::marked(&model).len(), 1, "the range is gone");
    press(&mut model, "Esc");
    assert_eq!(marks::marked(&model).len(), 0, "then the marks");
    press(&mut model, "v j v");
    assert_eq!(
        (marks::marked(&model).len(), model.marks.range.is_some()),
        (2, false),
        "a range becomes marks"
    );
    assert_eq!(press(&mut model, "Esc Esc"), [], "and then there is nothing to undo");
}

#[test]
fn rows_hold_still_while_something_is_marked_and_what_is_hidden_loses_its_mark() {
    let mut model = board(120, 40);
    press(&mut model, "j Space");
    let rows = model.columns[2].rows.clone();
    let mut moved = card(390);
    moved.column = Status::Ready;
    change(&mut model, Change { issues: vec![moved], ..Change::default() });
    assert_eq!(model.columns[2].rows, rows);
    press(&mut model, "/");
    typed(&mut model, "invoice");
    assert_eq!(marks::marked(&model), [], "no verb hits what the filter hides");
}

#[test]
fn marks_belong_to_their_view() {
    let mut model = board(120, 40);
    press(&mut model, "j Space 3");
    assert_eq!(marks::marked(&model), []);
    press(&mut model, "1");
    assert_eq!(marks::marked(&model).len(), 1);
    press(&mut model, "Enter");
    assert!(matches!(model.overlays.last(), Some(Overlay::Card(_))));
    press(&mut model, "x");
    assert!(
        !matches!(model.overlays.last(), Some(Overlay::Bulk(_))),
        "over a card, verbs are about the card"
    );
}

#[test]
fn a_priority_is_set_and_taken_back_unless_somebody_wrote_since() {
    let mut model = board(120, 40);
    let set = press(&mut model, "p 0");
    let want =
        Write::Priority { issue: id(390), off: vec!["priority/p2".into()], on: Some("priority/p0".into()) };
    assert_eq!(set, [write(want)]);
    done(&mut model, &set);
    assert_eq!(toast(&model), "#390 priority/p0; z undoes");
    let mut now = card(390);
    now.labels = vec!["status/in-progress".into(), "priority/p0".into()];
    change(&mut model, Change { issues: vec![now], ..Change::default() });
    let mut meddled = board(120, 40);
    meddled.undo.clone_from(&model.undo);
    assert_eq!(press(&mut meddled, "z"), [], "the label is another one here");
    assert!(toast(&meddled).contains("by somebody else since"), "{}", toast(&meddled));
    let back =
        Write::Priority { issue: id(390), off: vec!["priority/p0".into()], on: Some("priority/p2".into()) };
    assert_eq!(press(&mut model, "z"), [Effect::Write { write: back, undoes: true }]);
    assert_eq!(press(&mut model, "z"), [], "it is taken back once");
}

#[test]
fn several_cards_get_a_priority_only_after_a_yes() {
    let mut model = board(120, 40);
    assert_eq!(press(&mut model, "v j j p 1"), []);
    assert!(screen(&model).contains("Set priority p1: 3?"), "{}", screen(&model));
    assert_eq!(press(&mut model, "y").len(), 3);
}

#[test]
fn labels_are_switched_one_after_the_other_and_the_lane_is_among_them() {
    let mut model = board(120, 40);
    let mut other = card(377);
    other.labels.push("bug".into());
    change(&mut model, Change { issues: vec![other], ..Change::default() });
    press(&mut model, "t j j");
    let on = Write::Label { issue: id(390), label: "bug".into(), there: true };
    assert_eq!(press(&mut model, "Space"), [write(on)]);
    assert!(matches!(model.overlays.last(), Some(Overlay::Pick(_))), "it goes on");
    press(&mut model, "Esc t n");
    typed(&mut model, "good first issue");
    let new = Write::Label { issue: id(390), label: "good first issue".into(), there: true };
    assert_eq!(press(&mut model, "Enter"), [write(new)]);
    press(&mut model, "t e j");
    let lane = Write::Lane { issue: id(390), from: "local".into(), to: "cloud".into() };
    assert_eq!(press(&mut model, "Enter"), [write(lane)]);
}

#[test]
fn a_claim_an_expired_release_a_hidden_problem_and_a_freeze_are_taken_back() {
    let mut model = board(120, 40);
    let answer = Answer::Claimed { issue: id(412), agent: "kai".into(), result: Ok(()) };
    send(&mut model, What::Done(answer));
    assert_eq!(press(&mut model, "z"), [], "the claim is not there yet");
    let held = Issue { claim: Some(claim(5, "kai")), ..card(412) };
    change(&mut model, Change { issues: vec![held], ..Change::default() });
    assert!(matches!(&press(&mut model, "z")[..], [Effect::Release { agent, .. }] if agent == "kai"));

    let mut lapsed = claim(77, "kai");
    lapsed.lease_expires_at = NOW;
    let stale = Issue { claim: Some(lapsed), ..card(433) };
    change(&mut model, Change { issues: vec![stale], ..Change::default() });
    let released = press(&mut model, "G u");
    assert!(matches!(&released[..], [Effect::Release { lapsed: true, .. }]), "{released:?}");
    let answer =
        Answer::Released { issue: id(433), agent: "kai".into(), lapsed: true, result: Ok("done".into()) };
    send(&mut model, What::Done(answer));
    change(&mut model, Change { issues: vec![Issue { claim: None, ..card(433) }], ..Change::default() });
    assert!(
        matches!(&press(&mut model, "z")[..], [Effect::Claim { agent, force: false, .. }] if agent == "kai")
    );

    press(&mut model, "2 Backspace");
    assert_eq!(model.problems.rows.len(), 5);
    press(&mut model, "z");
    assert_eq!(model.problems.rows.len(), 6);

    let frozen = press(&mut model, "F");
    assert_eq!(frozen, [write(Write::Freeze(true))]);
    done(&mut model, &frozen);
    assert_eq!(press(&mut model, "z"), [], "not frozen yet as far as is known: somebody thawed");
    let control = dispatch_shared::protocol::control::Control { frozen: true, ..control() };
    change(&mut model, Change { control: Some(control), ..Change::default() });
    assert_eq!(press(&mut model, "z"), [Effect::Write { write: Write::Freeze(false), undoes: true }]);
}

#[test]
fn the_palette_finds_commands_and_cards_and_shows_their_keys() {
    let mut model = board(120, 40);
    press(&mut model, ":");
    typed(&mut model, "prio");
    let Some(Overlay::Palette(palette)) = model.overlays.last() else { panic!("no palette") };
    assert_eq!(palette.choice, Some(Entry::Command(Action::Priority)));
    let row = screen(&model).lines().find(|l| l.contains("› priority")).unwrap_or_default().to_owned();
    assert!(row.trim_end().ends_with('p'), "its key stands at the end: {row}");
    press(&mut model, "Enter");
    assert!(matches!(model.overlays.last(), Some(Overlay::Pick(_))));
    press(&mut model, "Esc 3");
    assert_eq!(command(&mut model, "cachpol"), []);
    assert_eq!((model.view, model.columns[2].cursor.clone()), (View::Board, Some(id(377))));
    command(&mut model, "xyzzyx");
    assert_eq!(toast(&model), "nothing is called `xyzzyx`");
}

#[test]
fn what_the_palette_cannot_do_it_says() {
    let mut model = board(120, 40);
    press(&mut model, ":");
    typed(&mut model, "release");
    assert!(screen(&model).contains("nobody holds #390"), "{}", screen(&model));
    assert_eq!(press(&mut model, "Enter"), []);
    assert_eq!(toast(&model), "release: nobody holds #390");
}

#[test]
fn the_help_does_what_is_chosen() {
    let mut model = board(120, 40);
    press(&mut model, "j ?");
    let steps = crate::keymap::TABLE.iter().position(|b| b.action == Action::Kill).unwrap();
    for _ in 0..steps {
        press(&mut model, "j");
    }
    press(&mut model, "Enter");
    assert!(matches!(model.overlays.last(), Some(Overlay::Confirm(Confirm::Kill { .. }))));
}

#[test]
fn all_runs_are_killed_only_if_their_number_is_typed() {
    let mut model = board(120, 40);
    command(&mut model, "kill all");
    typed(&mut model, "3");
    assert_eq!(press(&mut model, "Enter"), []);
    assert!(toast(&model).contains("type 2"), "{}", toast(&model));
    press(&mut model, "Backspace");
    typed(&mut model, "2");
    assert_eq!(press(&mut model, "Enter").len(), 2);
    command(&mut model, "kill all");
    change(&mut model, Change { runs: vec![run(2041, 377, "succeeded", true)], ..Change::default() });
    assert!(model.overlays.is_empty(), "their number changed");
    assert_eq!(toast(&model), "1 runs live now; nothing was done");
}

#[test]
fn a_field_of_the_filter_offers_what_synced_cards_have() {
    let mut model = board(120, 40);
    let mut other = card(412);
    other.lane = "cloud".into();
    change(&mut model, Change { issues: vec![other], ..Change::default() });
    press(&mut model, "/ S-Tab S-Tab");
    let shown = screen(&model);
    assert!(shown.contains("cloud  1") && shown.contains("local  17"), "{shown}");
    press(&mut model, "Down Enter");
    assert_eq!(model.filter.to_string(), "lane:cloud");
    assert_eq!(model.columns.iter().map(|c| c.rows.len()).sum::<usize>(), 1);
    assert!(screen(&model).contains("1 of 18 for lane:cloud"), "{}", screen(&model));
}

#[test]
fn leaving_the_filter_bar_brings_back_what_was_in_force() {
    let mut model = board(120, 40);
    press(&mut model, "/");
    typed(&mut model, "priority:p1");
    press(&mut model, "Enter");
    assert_eq!(model.filter.to_string(), "priority:p1", "a field can be typed as well");
    press(&mut model, "/");
    typed(&mut model, "cache");
    press(&mut model, "Esc");
    assert_eq!(model.filter.to_string(), "priority:p1");
}

#[test]
fn a_filter_is_kept_under_a_name_found_again_and_forgotten() {
    let mut model = board(120, 40);
    press(&mut model, "/");
    typed(&mut model, "cache");
    press(&mut model, "C-s");
    typed(&mut model, "mine");
    let keep = |filter: Option<&str>| {
        Effect::Keep(Keep::Filter { name: "mine".into(), filter: filter.map(Into::into) })
    };
    assert_eq!(press(&mut model, "Enter"), [keep(Some("cache"))]);
    press(&mut model, "Enter Esc");
    assert!(model.filter.is_empty());
    press(&mut model, "/ Down Enter");
    assert_eq!(model.filter.to_string(), "cache");
    assert_eq!(press(&mut model, "/ Down C-x"), [keep(None)]);
    assert!(model.saved.is_empty());
}

#[test]
fn cards_stand_in_groups_and_in_one_row_if_that_is_wanted() {
    let mut model = board(120, 40);
    let mut other = card(412);
    other.lane = "cloud".into();
    change(&mut model, Change { issues: vec![other], ..Change::default() });
    let effects = press(&mut model, "V e");
    assert!(
        matches!(&effects[..], [Effect::Keep(Keep::Options(o))] if o.group == crate::model::options::Group::Lane)
    );
    assert_eq!(model.columns[1].rows[0], id(412), "cloud comes before local");
    let shown = screen(&model);
    assert!(shown.contains("by lane") && shown.lines().any(|l| l.contains(" cloud")), "{shown}");
    press(&mut model, "V c");
    assert!(screen(&model).contains("compact"));
    assert!(screen(&model).contains("#377 Cache pol"), "{}", screen(&model));
}

#[test]
fn the_cursor_stays_in_sight_among_headings() {
    let mut model = board(80, 12);
    press(&mut model, "V a h");
    for _ in 0..5 {
        press(&mut model, "j");
        let cursor = model.columns[1].cursor.clone().unwrap();
        let number = model.data.issues[&cursor].number;
        assert!(
            screen(&model).contains(&format!("#{number}")),
            "#{number} is out of sight:\n{}",
            screen(&model)
        );
    }
}

#[test]
fn an_unsent_text_is_kept_and_leaving_asks() {
    let mut model = board(120, 40);
    press(&mut model, "a");
    typed(&mut model, "half-even");
    press(&mut model, "Esc");
    assert_eq!(toast(&model), "kept as a draft");
    assert_eq!(press(&mut model, "q"), []);
    assert!(screen(&model).contains("one text was typed and not sent"), "{}", screen(&model));
    press(&mut model, "n a");
    assert_eq!(press(&mut model, "C-s"), [Effect::Answer { run: RunId(2037), text: "half-even".into() }]);
    assert_eq!(press(&mut model, "q"), [Effect::Quit], "nothing is unsent any more");
}

#[test]
fn the_editor_has_the_text_and_what_it_leaves_is_the_text() {
    let mut model = board(120, 40);
    press(&mut model, "i");
    typed(&mut model, "one");
    assert_eq!(press(&mut model, "C-e"), [Effect::Edit("one".into())]);
    send(&mut model, What::Done(Answer::Edited(Ok("one\r\ntwo\u{1b}[A\n".into()))));
    let body = "one\ntwo[A".to_owned();
    assert_eq!(press(&mut model, "C-s"), [write(Write::Comment { issue: id(390), body })]);
}

#[test]
fn a_run_by_hand_says_with_what_and_what_is_to_be_done() {
    let mut model = board(120, 40);
    press(&mut model, "h s");
    assert!(screen(&model).contains("with the configured program"), "{}", screen(&model));
    press(&mut model, "o");
    typed(&mut model, "codex:gpt-5");
    press(&mut model, "Enter");
    let started = press(&mut model, "Enter");
    let [Effect::Write { write: Write::Start { number: 371, program, task, .. }, .. }] = &started[..] else {
        panic!("{started:?}")
    };
    assert_eq!(program.as_deref(), Some("codex:gpt-5"));
    assert_eq!(task, "Do what issue #371 asks for: Upgrade OpenSSL");
}

#[test]
fn repositories_are_switched_limited_and_let_go_with_a_question_where_it_costs() {
    let mut model = board(120, 40);
    press(&mut model, "6 j");
    let infra = || "acme/infra".parse().unwrap();
    assert_eq!(command(&mut model, "runner"), [], "switching on may cost money");
    assert_eq!(press(&mut model, "y"), [write(Write::Runner { repo: infra(), on: true })]);
    press(&mut model, "k");
    let api = || "acme/api".parse().unwrap();
    assert_eq!(command(&mut model, "runner"), [write(Write::Runner { repo: api(), on: false })]);
    command(&mut model, "review limit");
    press(&mut model, "C-u");
    typed(&mut model, "7");
    assert_eq!(press(&mut model, "Enter"), [write(Write::WipLimit { repo: api(), from: 3, to: 7 })]);
    assert_eq!(command(&mut model, "untrack"), []);
    assert_eq!(press(&mut model, "y"), [write(Write::Untrack(api()))]);
    command(&mut model, "track");
    typed(&mut model, "acme/web");
    assert_eq!(press(&mut model, "Enter"), [Effect::Track { what: "acme/web".into(), token: None }]);
}

#[test]
fn a_look_is_chosen_and_kept() {
    let mut model = board(120, 40);
    let effects = command(&mut model, "theme");
    assert_eq!(effects, []);
    let effects = press(&mut model, "2");
    assert!(
        matches!(&effects[..], [Effect::Dress, Effect::Keep(Keep::Options(o))] if o.look.as_deref() == Some("dark"))
    );
}

#[test]
fn what_to_copy_is_chosen_by_a_letter() {
    let mut model = board(120, 40);
    assert_eq!(press(&mut model, "y y"), [Effect::Copy("acme/api#390".into())]);
    assert_eq!(press(&mut model, "y r"), [Effect::Copy("r-2037".into())]);
    assert_eq!(press(&mut model, "y u"), [Effect::Copy("https://github.com/acme/api/issues/390".into())]);
    assert_eq!(
        press(&mut model, "* y"),
        [Effect::Copy("acme/api#390\nacme/api#377\nacme/api#385\nacme/api#433".into())]
    );
}

#[test]
fn an_operators_keys_are_in_force_and_shown() {
    let mut model = board(120, 40);
    model.keys.bind("kill", &["C-k".to_owned()]).unwrap();
    press(&mut model, "j");
    assert_eq!(press(&mut model, "x"), []);
    assert!(model.overlays.is_empty(), "x means nothing any more");
    assert!(screen(&model).contains("C-k kill"), "{}", screen(&model));
    press(&mut model, "C-k");
    assert!(matches!(model.overlays.last(), Some(Overlay::Confirm(Confirm::Kill { .. }))));
}
