//! What keys and messages do, by example.

use dispatch_shared::claim::Attempt;
use dispatch_shared::event::Seq;
use dispatch_shared::id::{ClaimId, RunId};
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::events::Change;
use dispatch_shared::protocol::issues::Issue;

use super::answers::Answer;
use super::{Msg, News, ORDER, What, refresh, update};
use crate::effect::{Effect, From};
use crate::model::log::{Kind, PAGE};
use crate::model::overlay::Overlay;
use crate::model::{Link, Model, View};
use crate::theme::Mark;
use crate::view::fixture::{NOW, board, id, issue, press, run, screen, send, snapshot, typed};

fn cursor(model: &Model) -> u64 {
    let id = model.columns[model.column].cursor.as_ref().expect("a card is chosen");
    model.data.issues[id].number
}

fn card(number: u64) -> Issue {
    snapshot().issues.into_iter().find(|i| i.number == number).unwrap()
}

fn change(model: &mut Model, issues: Vec<Issue>) -> Vec<Effect> {
    send(model, What::News(News::Change(Box::new(Change { seq: Seq(101), issues, ..Change::default() }))))
}

fn toast(model: &Model) -> String {
    model.toast.as_ref().map(|t| t.text.clone()).unwrap_or_default()
}

#[test]
fn the_first_look_goes_to_what_asks() {
    assert_eq!(cursor(&board(80, 24)), 390);
}

#[test]
fn the_cursor_stays_on_its_card_when_others_come() {
    let mut model = board(120, 40);
    press(&mut model, "j");
    assert_eq!(cursor(&model), 377);
    let mut urgent = issue(500, "Urgent", Status::InProgress, 90_000);
    urgent.priority = Some("priority/p0".into());
    change(&mut model, vec![urgent]);
    assert_eq!(cursor(&model), 377);
    assert_eq!(model.columns[2].index(), Some(2), "one came before it");
}

#[test]
fn when_the_chosen_card_leaves_a_neighbour_takes_over_and_a_toast_tells() {
    let mut model = board(120, 40);
    press(&mut model, "j");
    let mut gone = card(377);
    gone.column = Status::InReview;
    change(&mut model, vec![gone]);
    assert_eq!((cursor(&model), toast(&model).as_str()), (385, "#377 went to Review"));
}

#[test]
fn a_move_is_shown_at_once_and_undone_with_z() {
    let mut model = board(120, 40);
    let effects = press(&mut model, "h L");
    assert_eq!(effects, [Effect::Move { issue: id(371), to: Status::InProgress, claim: None }]);
    assert_eq!((model.column, cursor(&model)), (2, 371), "the cursor goes along");
    let mark = crate::model::card::mark(&model, &model.data.issues[&id(371)]);
    assert_eq!(mark, Mark::Pending);
    let mut moved = card(371);
    moved.column = Status::InProgress;
    change(&mut model, vec![moved]);
    send(&mut model, What::Done(Answer::Moved { issue: id(371), result: Ok(None) }));
    assert!(model.moves.is_empty());
    assert_eq!(toast(&model), "#371 moved to In progress; z undoes");
    assert_eq!(press(&mut model, "z"), [Effect::Move { issue: id(371), to: Status::Ready, claim: None }]);
}

#[test]
fn an_accepted_move_stays_shown_until_its_change_comes() {
    let mut model = board(120, 40);
    press(&mut model, "h L");
    send(&mut model, What::Done(Answer::Moved { issue: id(371), result: Ok(None) }));
    assert_eq!(model.column_of(&id(371)), Some(Status::InProgress));
    let mut moved = card(371);
    moved.column = Status::InProgress;
    change(&mut model, vec![moved]);
    assert!(model.moves.is_empty());
}

#[test]
fn a_refused_move_goes_back_with_the_reason_on_the_card() {
    let mut model = board(120, 40);
    press(&mut model, "h L");
    send(
        &mut model,
        What::Done(Answer::Moved { issue: id(371), result: Err("the claim changed hands".into()) }),
    );
    assert_eq!(model.column_of(&id(371)), Some(Status::Ready));
    assert!(toast(&model).contains("was refused: the claim changed hands"), "{}", toast(&model));
    assert!(screen(&model).contains("move refused"));
    change(&mut model, vec![card(371)]);
    assert!(model.refused.is_empty(), "news of the card clear it");
}

#[test]
fn undo_is_refused_once_somebody_else_moved_the_card() {
    let mut model = board(120, 40);
    press(&mut model, "h L");
    send(&mut model, What::Done(Answer::Moved { issue: id(371), result: Ok(None) }));
    let mut moved = card(371);
    moved.column = Status::Backlog;
    change(&mut model, vec![moved]);
    assert_eq!(press(&mut model, "z"), []);
    assert!(toast(&model).contains("somebody else"), "{}", toast(&model));
}

#[test]
fn an_open_issue_cannot_be_moved_to_done_and_is_told_why() {
    let mut model = board(120, 40);
    press(&mut model, "l");
    assert_eq!(press(&mut model, "L"), []);
    assert!(toast(&model).contains("closing it on the forge"), "{}", toast(&model));
    press(&mut model, "m");
    for _ in 0..4 {
        press(&mut model, "j");
    }
    assert_eq!(press(&mut model, "Enter"), []);
    assert!(matches!(model.overlays.last(), Some(Overlay::Pick(_))), "the menu stays open");
}

#[test]
fn the_menu_moves_the_card_and_leaves_the_cursor() {
    let mut model = board(120, 40);
    press(&mut model, "j m");
    let effects = press(&mut model, "Enter");
    assert!(
        matches!(&effects[..], [Effect::Move { issue, claim: Some(ClaimId(2041)), .. }] if *issue == id(377))
    );
    assert_eq!((model.column, cursor(&model)), (2, 385));
}

#[test]
fn a_kill_names_run_and_attempt_and_closes_when_they_change() {
    let mut model = board(120, 40);
    assert_eq!(press(&mut model, "j x"), []);
    let kill = |now| Effect::Kill { run: RunId(2041), attempt: Attempt(1 << 32 | 1), now };
    assert_eq!(press(&mut model, "y"), [kill(false)]);
    press(&mut model, "x");
    assert_eq!(press(&mut model, "x"), [kill(true)], "a second x skips the grace");
    press(&mut model, "x");
    let runs = vec![run(2041, 377, "succeeded", true)];
    send(&mut model, What::News(News::Change(Box::new(Change { runs, ..Change::default() }))));
    assert!(model.overlays.is_empty());
    assert_eq!(toast(&model), "r-2041 ended meanwhile: succeeded; nothing was done");
    assert_eq!(press(&mut model, "y"), [], "y is no answer any more: it opens a menu");
}

#[test]
fn whatever_is_no_yes_is_a_no() {
    for key in ["n", "Esc", "Enter", "q", "j", "Space"] {
        let mut model = board(120, 40);
        press(&mut model, "j x");
        assert_eq!(press(&mut model, key), [], "{key}");
        assert!(model.overlays.is_empty(), "{key}");
    }
}

#[test]
fn rows_hold_still_while_something_is_asked() {
    let mut model = board(120, 40);
    press(&mut model, "j x");
    let before = model.columns[2].rows.clone();
    change(&mut model, vec![issue(501, "New", Status::InProgress, 10)]);
    assert_eq!(model.columns[2].rows, before);
    press(&mut model, "n");
    assert_eq!(model.columns[2].rows.len(), before.len() + 1);
}

#[test]
fn an_answer_is_typed_over_several_lines_and_sent() {
    let mut model = board(120, 40);
    press(&mut model, "a");
    typed(&mut model, "half-even");
    press(&mut model, "Enter");
    send(&mut model, What::Paste("as in\r\ntests\u{1b}[A".into()));
    let text = "half-even\nas in\ntests[A".to_owned();
    assert_eq!(press(&mut model, "C-s"), [Effect::Answer { run: RunId(2037), text }]);
}

#[test]
fn a_claim_checks_the_name_and_offers_force_when_held() {
    let mut model = board(120, 40);
    press(&mut model, "h j c");
    typed(&mut model, "no such/name");
    assert_eq!(press(&mut model, "Enter"), []);
    assert!(toast(&model).contains("no agent name"));
    press(&mut model, "C-u");
    typed(&mut model, "kai");
    let want = |force| Effect::Claim { issue: id(412), agent: "kai".into(), force };
    assert_eq!(press(&mut model, "Enter"), [want(false)]);
    let result = Err((true, "held by mia".to_owned()));
    send(&mut model, What::Done(Answer::Claimed { issue: id(412), agent: "kai".into(), result }));
    assert_eq!(press(&mut model, "y"), [want(true)]);
}

#[test]
fn a_live_claim_is_released_only_after_a_yes() {
    let mut model = board(120, 40);
    assert_eq!(press(&mut model, "j u"), []);
    let claim = ClaimId(2041);
    let release = Effect::Release { issue: id(377), agent: "claude-local".into(), claim, lapsed: false };
    assert_eq!(press(&mut model, "y"), [release]);
}

#[test]
fn a_log_goes_on_where_it_broke_off_with_the_connection() {
    let mut model = board(120, 40);
    let open = press(&mut model, "j o");
    assert_eq!(open, [Effect::FollowLog { run: RunId(2041), kind: Kind::Log, from: From::Tail(PAGE) }]);
    send(
        &mut model,
        What::Done(Answer::Log { run: RunId(2041), kind: Kind::Log, offset: 0, bytes: b"one\n".to_vec() }),
    );
    send(&mut model, What::News(News::Lost { cause: "gone".into() }));
    send(
        &mut model,
        What::Done(Answer::LogEnd { run: RunId(2041), kind: Kind::Log, cause: Some("gone".into()) }),
    );
    assert!(matches!(model.link, Link::Stale { .. }));
    let effects = send(&mut model, What::News(News::Resumed));
    assert_eq!(effects, [Effect::FollowLog { run: RunId(2041), kind: Kind::Log, from: From::Byte(4) }]);
    assert_eq!(press(&mut model, "Esc"), [Effect::CloseLog]);
}

#[test]
fn nothing_is_changed_while_the_daemon_is_away() {
    let mut model = board(120, 40);
    send(&mut model, What::News(News::Lost { cause: "gone".into() }));
    for key in ["m", "L", "u", "x", "a", "c", "r", "S", "F"] {
        assert_eq!(press(&mut model, key), [], "{key}");
        assert!(model.overlays.is_empty(), "{key}");
        assert!(model.toast.as_ref().is_some_and(|t| t.bad), "{key} says why");
    }
}

#[test]
fn problems_are_reached_from_the_board_one_after_the_other() {
    let mut model = board(120, 40);
    let mut seen = vec![cursor(&model)];
    for _ in 0..3 {
        press(&mut model, "]");
        seen.push(cursor(&model));
    }
    assert_eq!(seen, [390, 371, 396, 359]);
    press(&mut model, "]");
    assert_eq!(model.view, View::Problems, "one without a card is shown among the problems");
    assert_eq!(model.problems.cursor.as_deref(), Some("sync-acme/infra"));
}

#[test]
fn a_filter_narrows_while_typed_and_escape_clears_it() {
    let mut model = board(120, 40);
    press(&mut model, "/");
    typed(&mut model, "cache");
    let shown = |m: &Model| m.columns.iter().map(|c| c.rows.len()).sum::<usize>();
    assert_eq!(shown(&model), 1);
    press(&mut model, "Enter");
    assert_eq!(shown(&model), 1);
    press(&mut model, "Esc");
    assert_eq!(shown(&model), 18);
}

#[test]
fn a_number_is_gone_to_even_when_the_filter_hides_it() {
    let mut model = board(120, 40);
    press(&mut model, "/");
    typed(&mut model, "cache");
    press(&mut model, "Enter #");
    typed(&mut model, "352");
    press(&mut model, "Enter");
    assert_eq!((cursor(&model), model.filter.to_string()), (352, String::new()));
    press(&mut model, "#");
    typed(&mut model, "999");
    press(&mut model, "Enter");
    assert_eq!(toast(&model), "no card #999 on the board");
}

#[test]
fn a_pasted_text_presses_no_keys() {
    let mut model = board(120, 40);
    assert_eq!(send(&mut model, What::Paste("jxyq".into())), []);
    assert!(model.overlays.is_empty());
}

#[test]
fn keys_do_nothing_in_a_window_too_small_to_see_what_they_do() {
    let mut model = board(15, 4);
    for key in ["x", "y", "H", "q"] {
        assert_eq!(press(&mut model, key), [], "{key}");
    }
    assert_eq!(press(&mut model, "C-c"), [Effect::Quit]);
}

#[test]
fn an_idle_board_sleeps_until_something_reads_differently() {
    let model = board(120, 40);
    let next = model.next_change().unwrap();
    assert!(next.as_secs() >= 30, "{next:?}: ages are whole minutes here");
    let mut model = board(120, 40);
    let mut still = snapshot();
    (still.issues, still.runs, still.repos) = (vec![], vec![], vec![]);
    send(&mut model, What::News(News::Snapshot(Box::new(still))));
    assert_eq!(model.next_change(), None, "nothing ages, nothing wakes");
}

#[test]
fn with_very_many_cards_a_flood_of_changes_is_put_in_order_now_and_then_and_never_forgotten() {
    let mut model = board(120, 40);
    let all = (1..=6_000).map(|n| issue(n, "One of many", Status::Ready, 100 * n)).collect();
    change(&mut model, all);
    let mut first = issue(6_001, "First", Status::Ready, 10);
    first.priority = Some("priority/p0".into());
    let news = What::News(News::Change(Box::new(Change { issues: vec![first], ..Change::default() })));
    update(&mut model, Msg { now: NOW, what: news });
    refresh(&mut model);
    assert_ne!(model.columns[1].rows.first(), Some(&id(6_001)), "too soon");
    let wait = model.next_change().expect("it is not forgotten");
    assert!(wait <= ORDER + std::time::Duration::from_millis(50), "{wait:?}");
    update(&mut model, Msg { now: NOW + ORDER, what: What::Wake });
    refresh(&mut model);
    assert_eq!(model.columns[1].rows.first(), Some(&id(6_001)));
}

#[test]
fn the_disabled_verbs_say_why() {
    let mut model = board(120, 40);
    press(&mut model, ".");
    let screen = screen(&model);
    assert!(screen.contains("nobody holds #390"), "{screen}");
    assert!(screen.contains("r-2037 is over"), "{screen}");
}
