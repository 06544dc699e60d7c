//! What keys and messages do in the views beside the board, by example.

use dispatch_shared::event::Seq;
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::control::Control;
use dispatch_shared::protocol::events::Change;

use super::answers::Answer;
use super::loaded::Loaded;
use super::{News, What};
use crate::effect::{Effect, Write};
use crate::model::overlay::Overlay;
use crate::model::{Model, View};
use crate::view::fixture::more::{audit, busy, busy_board, controlled, queue, repo_detail, why};
use crate::view::fixture::{board, id, issue, press, run, screen, send, snapshot, typed};

fn toast(model: &Model) -> String {
    model.toast.as_ref().map(|t| t.text.clone()).unwrap_or_default()
}

fn part(model: &mut Model, loaded: Loaded) -> Vec<Effect> {
    send(model, What::Done(Answer::Part(loaded)))
}

fn change(model: &mut Model, change: Change) -> Vec<Effect> {
    send(model, What::News(News::Change(Box::new(Change { seq: Seq(103), ..change }))))
}

fn opened(keys: &str) -> Model {
    let mut model = busy_board(120, 40);
    press(&mut model, "6 Enter");
    let repo = model.repos.cursor.clone().expect("a repository is chosen");
    part(&mut model, Loaded::Repo { repo, result: Ok(Box::new(repo_detail())) });
    if !keys.is_empty() {
        press(&mut model, keys);
    }
    model
}

#[test]
fn a_view_asks_when_it_is_opened_and_again_when_something_happened() {
    let mut model = board(120, 40);
    assert_eq!(press(&mut model, "4"), [Effect::LoadQueue]);
    let card = issue(500, "New", dispatch_shared::issue::Status::Ready, 60);
    assert_eq!(change(&mut model, Change { issues: vec![card.clone()], ..Change::default() }), []);
    let effects = part(&mut model, Loaded::Queue(Ok(queue())));
    assert!(effects.contains(&Effect::LoadQueue), "it happened while the answer was on its way: {effects:?}");
    part(&mut model, Loaded::Queue(Ok(queue())));
    let says = Change { runs: vec![run(2041, 377, "running", false)], ..Change::default() };
    assert!(
        !change(&mut model, says).contains(&Effect::LoadQueue),
        "a run that says something moves no queue"
    );
    press(&mut model, "1");
    assert_eq!(change(&mut model, Change { issues: vec![card], ..Change::default() }), [], "nobody looks");
}

#[test]
fn nothing_is_asked_for_while_the_daemon_is_away_and_all_when_it_is_back() {
    let mut model = board(120, 40);
    send(&mut model, What::News(News::Lost { cause: "gone".into() }));
    assert_eq!(press(&mut model, "8"), []);
    let effects = send(&mut model, What::News(News::Resumed));
    assert_eq!(effects.len(), 2, "{effects:?}");
    assert!(effects.contains(&Effect::LoadOverview));
}

#[test]
fn why_is_asked_for_the_chosen_card_one_at_a_time() {
    let mut model = busy_board(120, 40);
    press(&mut model, "4 g j");
    part(&mut model, Loaded::Queue(Ok(queue())));
    part(&mut model, Loaded::Why { issue: id(371), result: Ok(why()) });
    part(&mut model, Loaded::Why { issue: id(371), result: Ok(why()) });
    assert_eq!(press(&mut model, "j"), [Effect::LoadWhy(id(412))]);
    assert_eq!(press(&mut model, "j"), [], "one is under way");
    let effects = part(&mut model, Loaded::Why { issue: id(412), result: Ok(why()) });
    assert_eq!(effects, [Effect::LoadWhy(id(409))], "the one that is chosen by now");
    press(&mut model, "g");
    assert_eq!(press(&mut model, "k"), [], "a pull request's item has no check-list");
}

#[test]
fn a_paused_pool_goes_on_after_a_yes_and_not_before() {
    for keys in ["5 g C", "5 g Enter"] {
        let mut model = busy_board(120, 40);
        let asked = press(&mut model, keys);
        assert!(!asked.contains(&Effect::Resume("claude".into())), "{asked:?}");
        // What is paused or waits stands first, by name: claude:opus waits, codex is paused.
        assert_eq!(toast(&model).is_empty(), matches!(model.overlays.last(), Some(Overlay::Confirm(_))));
    }
    let mut model = busy_board(120, 40);
    press(&mut model, "5 g j Enter");
    assert!(screen(&model).contains("Let codex go on? y yes, n no"), "{}", screen(&model));
    assert_eq!(press(&mut model, "n"), []);
    assert_eq!(press(&mut model, "C y"), [Effect::Resume("codex".into())]);
}

#[test]
fn a_pool_that_only_waits_says_until_when_and_why() {
    let mut model = busy_board(120, 40);
    assert_eq!(press(&mut model, "5 g C").last(), Some(&Effect::LoadOverview), "nothing else is asked");
    assert!(toast(&model).contains("waits to 14:24: pace"), "{}", toast(&model));
}

#[test]
fn the_agents_wake_only_when_a_minute_less_is_left() {
    let mut model = busy_board(120, 40);
    press(&mut model, "5");
    model.now = model.now + std::time::Duration::from_secs(20);
    let next = model.next_change().expect("a pause ends").as_secs();
    assert!((20..=41).contains(&next), "{next} seconds");
}

#[test]
fn the_question_closes_when_the_pool_goes_on_by_itself() {
    let mut model = busy_board(120, 40);
    press(&mut model, "5 g j C");
    controlled(&mut model, Control { paused_pools: Vec::new(), ..busy() });
    assert!(model.overlays.is_empty());
    assert!(toast(&model).contains("codex goes on already"), "{}", toast(&model));
}

#[test]
fn the_newest_deed_is_followed_live_until_the_cursor_leaves_it() {
    let mut model = busy_board(120, 40);
    press(&mut model, "7");
    let deed = |id| Change {
        audit: audit()
            .into_iter()
            .take(1)
            .map(|r| dispatch_shared::protocol::activity::AuditRow { id, ..r })
            .collect(),
        ..Change::default()
    };
    change(&mut model, deed(6));
    assert_eq!(model.activity.rows.cursor, Some(6));
    press(&mut model, "j");
    change(&mut model, deed(7));
    assert_eq!(model.activity.rows.cursor, Some(5), "it stays");
    assert!(screen(&model).contains("1 new above, g follows"), "{}", screen(&model));
    press(&mut model, "g");
    assert!(!screen(&model).contains("new above"));
}

#[test]
fn fields_of_a_filter_are_asked_of_the_daemon() {
    let mut model = busy_board(120, 40);
    press(&mut model, "7");
    part(&mut model, Loaded::Audit(Ok(audit())));
    press(&mut model, "/");
    typed(&mut model, "actor:kai");
    // The first letter was asked for while the others were typed.
    let effects = part(&mut model, Loaded::Audit(Ok(Vec::new())));
    let asked =
        effects.iter().any(|e| matches!(e, Effect::LoadAudit(ask) if ask.actor.as_deref() == Some("kai")));
    assert!(asked, "{effects:?}");
}

#[test]
fn enter_opens_the_card_of_a_deed_and_the_log_of_a_run() {
    let mut model = busy_board(120, 40);
    assert_eq!(press(&mut model, "7 j Enter").last(), Some(&Effect::LoadCard(id(377))));
    press(&mut model, "Esc 8");
    let runs = model.numbers.rows.iter().position(|k| matches!(k, crate::model::overview::Key::Run(_)));
    press(&mut model, "g");
    for _ in 0..runs.expect("runs are listed") {
        press(&mut model, "j");
    }
    press(&mut model, "Enter");
    assert!(matches!(model.overlays.last(), Some(Overlay::Log(_))));
}

#[test]
fn runs_are_sorted_by_what_the_comma_says_and_live_ones_stay_first() {
    let mut model = busy_board(120, 40);
    press(&mut model, "3");
    let live = |m: &Model| m.runs.rows.iter().map(|id| !m.data.runs[id].ended).collect::<Vec<_>>();
    let before = live(&model);
    for words in ["longest silent", "dearest", "most tokens", "by program", "by repository", "by time"] {
        press(&mut model, ",");
        assert!(toast(&model).contains(words), "{}", toast(&model));
        assert_eq!(live(&model), before, "{words}");
    }
    press(&mut model, ",");
    assert_eq!(model.runs.rows.first(), Some(&RunId(2040)), "silent for longer than r-2041");
}

#[test]
fn older_runs_are_asked_for_at_the_end_and_kept_apart_from_newer_word() {
    let mut model = busy_board(120, 40);
    let known = model.data.runs.len();
    let effects = press(&mut model, "3 G");
    assert_eq!(effects, [Effect::LoadRuns(known + 200)]);
    let long_ago = dispatch_shared::protocol::runs::Run {
        ended_at: Some(dispatch_shared::Timestamp(0)),
        ..run(12, 333, "succeeded", true)
    };
    let older = vec![run(2041, 377, "queued", false), long_ago];
    assert_eq!(part(&mut model, Loaded::Runs(Ok(older))), []);
    assert_eq!(model.data.runs[&RunId(2041)].state, "running", "the stream's word is newer");
    assert_eq!(model.runs.rows.last(), Some(&RunId(12)));
    press(&mut model, "G");
    assert_eq!(part(&mut model, Loaded::Runs(Ok(Vec::new()))), [], "there is no more, and nobody asks again");
}

#[test]
fn a_workflow_is_started_with_its_inputs_and_a_run_is_run_again() {
    let mut model = opened("j s");
    assert!(screen(&model).contains("ref=main level=patch"), "{}", screen(&model));
    let repo = model.data.repos.keys().next().cloned().expect("a repository");
    let started = Effect::StartWorkflow {
        repo: repo.clone(),
        workflow: "2".into(),
        git_ref: Some("main".into()),
        inputs: vec![("level".into(), "patch".into())],
    };
    assert_eq!(press(&mut model, "Enter"), [started]);
    let mut model = opened("s");
    assert!(toast(&model).contains("no workflow_dispatch"), "{}", toast(&model));
    assert_eq!(press(&mut model, "Tab j R"), [Effect::Rerun { repo, run: "7088".into() }]);
    assert_eq!(
        press(&mut model, "b"),
        [Effect::Copy("https://github.com/acme/api/actions/runs/7088".into())]
    );
}

#[test]
fn settings_ask_before_what_costs_money_or_loses_the_board() {
    let model = opened("");
    let repo = model.data.repos.keys().next().cloned().expect("a repository");
    let write = |write| Effect::Write { write, undoes: false };
    // Off costs nothing and is done at once; on asks.
    let mut model = opened("Tab Tab Tab Tab j");
    let runner = |on| write(Write::Runner { repo: repo.clone(), on });
    assert_eq!(press(&mut model, "Enter"), [runner(false)]);
    model.data.repos.get_mut(&repo).expect("it is tracked").runner_enabled = false;
    assert_eq!(press(&mut model, "Enter"), []);
    assert!(screen(&model).contains("Let the built-in runner work"), "{}", screen(&model));
    assert_eq!(press(&mut model, "y"), [runner(true)]);
    press(&mut model, "j Enter");
    typed(&mut model, "x");
    assert_eq!(press(&mut model, "Enter"), []);
    assert!(toast(&model).contains("no number"), "{}", toast(&model));
    press(&mut model, "Backspace Backspace");
    typed(&mut model, "5");
    let from = model.data.repos[&repo].wip_limit;
    let five = Write::WipLimit { repo: repo.clone(), from, to: 5 };
    assert_eq!(press(&mut model, "Enter"), [write(five)]);
    press(&mut model, "j Enter");
    typed(&mut model, "local, cloud");
    let from = model.data.repos[&repo].lanes.clone();
    let two = Write::Lanes { repo: repo.clone(), from, to: vec!["local".to_owned(), "cloud".to_owned()] };
    assert_eq!(press(&mut model, "Enter"), [write(two)]);
    assert_eq!(press(&mut model, "j Enter n"), []);
    assert_eq!(press(&mut model, "Enter y"), [write(Write::Untrack(repo.clone()))]);
    assert!(model.overlays.is_empty());
}

#[test]
fn an_opened_repository_is_read_anew_when_something_happened_there_and_closes_when_it_is_gone() {
    let mut model = opened("");
    let repo = model.data.repos.values().next().cloned().expect("a repository");
    let touched = Change { repos: vec![repo.clone()], ..Change::default() };
    assert_eq!(change(&mut model, touched), [Effect::LoadRepo(repo.full_name.clone())]);
    change(&mut model, Change { repos_gone: vec![repo.full_name], ..Change::default() });
    assert!(model.overlays.is_empty());
    assert!(toast(&model).contains("is not tracked any more"), "{}", toast(&model));
}

#[test]
fn a_repository_is_tracked_by_name() {
    let mut model = busy_board(120, 40);
    press(&mut model, "6 +");
    assert_eq!(press(&mut model, "Enter"), []);
    typed(&mut model, "acme/new");
    assert_eq!(press(&mut model, "Enter"), [Effect::Track { what: "acme/new".into(), token: None }]);
}

#[test]
fn the_board_is_reached_with_one_repository_alone() {
    let mut model = opened("Tab Tab Tab Tab Enter");
    assert_eq!((model.view, model.filter.to_string().as_str()), (View::Board, "repo:acme/api"));
    press(&mut model, "Esc");
    assert!(model.filter.is_empty());
}

#[test]
fn each_problem_without_a_card_opens_what_solves_it() {
    let mut model = busy_board(120, 40);
    press(&mut model, "2 G");
    assert_eq!(model.problems.cursor.as_deref(), Some("pool-codex"));
    assert_eq!(press(&mut model, "Enter y"), [Effect::Resume("codex".into())]);
    press(&mut model, "k Enter");
    assert!(matches!(model.overlays.last(), Some(Overlay::Repo(p)) if p.repo.to_string() == "acme/infra"));
}

#[test]
fn what_the_daemon_cannot_tell_is_said_and_the_view_stays() {
    let mut model = busy_board(120, 40);
    press(&mut model, "8");
    part(&mut model, Loaded::Overview(Err("the store is busy".into())));
    assert!(toast(&model).contains("the overview could not be read: the store is busy"), "{}", toast(&model));
    assert!(screen(&model).contains("Stale in progress"));
    let snapshot = What::News(News::Snapshot(Box::new(snapshot())));
    assert!(send(&mut model, snapshot).contains(&Effect::LoadOverview), "asked again");
}
