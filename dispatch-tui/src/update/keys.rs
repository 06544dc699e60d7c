//! A key was pressed: the table says what it means here, this does it.

use crossterm::event::{KeyEvent, KeyModifiers};
use dispatch_shared::issue::Status;

use super::{context, input, verbs};
use crate::effect::Effect;
use crate::keymap::{self, Action, Context};
use crate::model::overlay::{ActionMenu, CardPane, Confirm, Input, Overlay, Purpose};
use crate::model::{Model, View};
use crate::view::areas;

pub(super) fn press(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    model.toast = None;
    let context = context(model);
    let action = model.keys.lookup(context, key);
    if model.too_small() && !matches!(action, Some(Action::Quit | Action::Suspend)) {
        return Vec::new(); // nobody sees what a verb would do
    }
    match action {
        Some(action) => act(model, action),
        None if context == Context::Input => input::edit(model, key),
        None => {
            if !key.modifiers.contains(KeyModifiers::ALT) && context == Context::Confirm {
                model.overlays.pop(); // whatever is no yes is a no
                model.say("left as it is");
            }
            Vec::new()
        }
    }
}

/// Does `action` in the present context.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Quit => vec![Effect::Quit],
        Action::Suspend => vec![Effect::Suspend],
        Action::Redraw => vec![Effect::Redraw],
        Action::Resync => {
            model.say("asking the daemon for everything again…");
            vec![Effect::Resync]
        }
        Action::Mouse => {
            model.mouse = !model.mouse;
            let word = if model.mouse { "taken: click selects" } else { "left to the terminal" };
            model.say(format!("mouse {word}"));
            vec![Effect::Mouse(model.mouse)]
        }
        Action::Show(view) => {
            let effects = close_all(model);
            show(model, view);
            effects
        }
        Action::LastView => {
            let effects = close_all(model);
            let view = model.last_view;
            show(model, view);
            effects
        }
        Action::Back => back(model),
        Action::Close if model.overlays.is_empty() => vec![Effect::Quit],
        Action::Close => back(model),
        Action::Help => {
            model.overlays.push(Overlay::Help { scroll: 0 });
            Vec::new()
        }
        Action::Actions => {
            model.overlays.push(Overlay::Actions(ActionMenu { choice: first_possible(model) }));
            Vec::new()
        }
        Action::Goto => open_input(model, Purpose::Goto, String::new()),
        Action::Filter => {
            let text = model.filter.clone();
            open_input(model, Purpose::Filter, text)
        }
        Action::Search => open_input(model, Purpose::Search, String::new()),
        Action::NextProblem => landmark(model, true),
        Action::PrevProblem => landmark(model, false),
        Action::Enter => enter(model),
        Action::Send => input::send(model),
        Action::Yes | Action::Now | Action::No => confirm(model, action),
        Action::Follow | Action::Wrap | Action::NextMatch | Action::PrevMatch => log(model, action),
        Action::ScrollDown => scroll_detail(model, 1),
        Action::ScrollUp => scroll_detail(model, -1),
        Action::Up => travel(model, 0, -1),
        Action::Down => travel(model, 0, 1),
        Action::Left => travel(model, -1, 0),
        Action::Right => travel(model, 1, 0),
        Action::Top => travel(model, 0, i64::MIN),
        Action::Bottom => travel(model, 0, i64::MAX),
        Action::PageUp => travel(model, 0, -page(model)),
        Action::PageDown => travel(model, 0, page(model)),
        Action::HalfUp => travel(model, 0, -(page(model) / 2).max(1)),
        Action::HalfDown => travel(model, 0, (page(model) / 2).max(1)),
        verb => verbs::perform(model, verb),
    }
}

fn open_input(model: &mut Model, purpose: Purpose, text: String) -> Vec<Effect> {
    model.overlays.push(Overlay::Input(Input::new(purpose, text)));
    Vec::new()
}

fn first_possible(model: &Model) -> Action {
    let mut verbs = keymap::verbs();
    let possible = verbs.find(|b| verbs::plan(model, b.action).is_ok());
    possible.map_or(Action::Answer, |b| b.action)
}

pub(super) fn show(model: &mut Model, view: View) {
    if model.view != view {
        model.last_view = std::mem::replace(&mut model.view, view);
    }
    model.detail_scroll = 0;
    if view == View::Queue {
        model.queue_asked.1 = true;
    }
}

/// Pops one layer.
fn pop(model: &mut Model) -> Vec<Effect> {
    let popped = model.overlays.pop();
    match popped {
        Some(Overlay::Log(pane)) if pane.kind == crate::model::log::Kind::Log => vec![Effect::CloseLog],
        Some(Overlay::Input(input)) if input.purpose == Purpose::Filter => {
            model.filter.clear();
            model.unsorted = true;
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn close_all(model: &mut Model) -> Vec<Effect> {
    let mut effects = Vec::new();
    while !model.overlays.is_empty() {
        effects.extend(pop(model));
    }
    effects
}

fn back(model: &mut Model) -> Vec<Effect> {
    if !model.overlays.is_empty() {
        return pop(model);
    }
    if !model.filter.is_empty() {
        model.filter.clear();
        model.unsorted = true;
    }
    Vec::new()
}

fn page(model: &Model) -> i64 {
    match model.overlays.last() {
        None if model.view == View::Board => {
            let shown = areas::board(model);
            i64::try_from(shown[model.column].cards.max(1)).unwrap_or(1)
        }
        None => i64::try_from(areas::list_rows(model).max(1)).unwrap_or(1),
        Some(_) => i64::from(areas::areas(model.size).body.height.saturating_sub(3).max(1)),
    }
}

/// Moves the cursor, or scrolls what lies on top.
pub(super) fn travel(model: &mut Model, x: i64, y: i64) -> Vec<Effect> {
    let step = |scroll: usize| {
        let by = isize::try_from(y).unwrap_or(if y < 0 { isize::MIN } else { isize::MAX });
        scroll.saturating_add_signed(by)
    };
    let possible: Vec<Action> = keymap::verbs().map(|b| b.action).collect();
    match model.overlays.last_mut() {
        Some(Overlay::Log(pane)) => {
            let by = usize::try_from(x.unsigned_abs() * 8).unwrap_or(0);
            pane.left = if x < 0 { pane.left.saturating_sub(by) } else { (pane.left + by).min(10_000) };
            if y == i64::MAX {
                pane.follow().into_iter().collect()
            } else if y != 0 {
                pane.scroll(y).into_iter().collect()
            } else {
                Vec::new()
            }
        }
        Some(Overlay::Card(pane)) => {
            pane.scroll = step(pane.scroll);
            Vec::new()
        }
        Some(Overlay::Help { scroll }) => {
            *scroll = step(*scroll);
            Vec::new()
        }
        Some(Overlay::Move(menu)) => {
            let by = (x + y.clamp(-4, 4)).clamp(-4, 4);
            let at = (menu.choice as usize).saturating_add_signed(isize::try_from(by).unwrap_or(0)).min(4);
            menu.choice = Status::ALL[at];
            Vec::new()
        }
        Some(Overlay::Actions(menu)) => {
            let at = possible.iter().position(|a| *a == menu.choice).unwrap_or(0);
            let by = isize::try_from(y.clamp(-1000, 1000)).unwrap_or(0);
            let at = at.saturating_add_signed(by).min(possible.len().saturating_sub(1));
            menu.choice = possible.get(at).copied().unwrap_or(menu.choice);
            Vec::new()
        }
        Some(Overlay::Confirm(_) | Overlay::Input(_)) => Vec::new(),
        None => {
            model.detail_scroll = 0;
            if model.view == View::Board {
                model.column = model.column.saturating_add_signed(isize::try_from(x).unwrap_or(0)).min(4);
            }
            if y != 0
                && let Some(list) = model.list()
            {
                list.step(isize::try_from(y).unwrap_or(0));
            }
            Vec::new()
        }
    }
}

fn scroll_detail(model: &mut Model, by: isize) -> Vec<Effect> {
    match model.overlays.last_mut() {
        Some(Overlay::Card(pane)) => pane.scroll = pane.scroll.saturating_add_signed(by),
        _ => model.detail_scroll = model.detail_scroll.saturating_add_signed(by).min(1000),
    }
    Vec::new()
}

fn enter(model: &mut Model) -> Vec<Effect> {
    match model.overlays.last() {
        Some(Overlay::Move(menu)) => {
            let (issue, to) = (menu.issue.clone(), menu.choice);
            let may = model.data.issues.get(&issue).map(|card| verbs::may_move(model, card, to));
            match may {
                Some(Ok(())) => {
                    model.overlays.pop();
                    verbs::shift(model, issue, to, false, false)
                }
                Some(Err(why)) => {
                    model.complain(why);
                    Vec::new()
                }
                None => pop(model),
            }
        }
        Some(Overlay::Actions(menu)) => {
            let action = menu.choice;
            model.overlays.pop();
            act(model, action)
        }
        Some(Overlay::Input(_)) => input::enter(model),
        Some(Overlay::Card(_)) => verbs::perform(model, Action::OpenLog),
        Some(Overlay::Help { .. }) => pop(model),
        Some(Overlay::Log(_) | Overlay::Confirm(_)) => Vec::new(),
        None => open(model),
    }
}

/// Opens what is under the cursor.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    let target = verbs::target(model);
    match (model.view, target.issue, target.repo) {
        (View::Runs, ..) => verbs::perform(model, Action::OpenLog),
        (View::Repos, _, Some(repo)) => {
            model.filter = repo.to_string();
            model.unsorted = true;
            show(model, View::Board);
            model.say(format!("only {repo}; Esc shows all"));
            Vec::new()
        }
        (_, Some(issue), _) => {
            let pane =
                CardPane { issue: issue.clone(), body: None, failed: None, why: Vec::new(), scroll: 0 };
            model.overlays.push(Overlay::Card(Box::new(pane)));
            vec![Effect::LoadCard(issue)]
        }
        _ => {
            if let Some(problem) = target.problem.and_then(|id| model.problem(&id).cloned()) {
                model.say(problem.text);
            }
            Vec::new()
        }
    }
}

fn confirm(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Overlay::Confirm(confirm)) = model.overlays.last().cloned() else { return Vec::new() };
    if action == Action::Now && !matches!(confirm, Confirm::Kill { .. }) {
        return Vec::new();
    }
    model.overlays.pop();
    if action == Action::No {
        model.say("left as it is");
        return Vec::new();
    }
    match confirm {
        Confirm::Kill { run, attempt } => {
            let now = action == Action::Now;
            model.say(format!("{} {run}…", if now { "killing" } else { "stopping" }));
            vec![Effect::Kill { run, attempt, now }]
        }
        Confirm::Release { issue, claim, agent } => vec![Effect::Release { issue, agent, claim }],
        Confirm::ForceClaim { issue, agent, .. } => vec![Effect::Claim { issue, agent, force: true }],
    }
}

fn log(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Overlay::Log(pane)) = model.overlays.last_mut() else { return Vec::new() };
    match action {
        Action::Follow => return pane.follow().into_iter().collect(),
        Action::Wrap => pane.wrap = !pane.wrap,
        Action::NextMatch | Action::PrevMatch => {
            let found = pane.go(action == Action::NextMatch);
            if !found {
                model.complain("no match; / searches");
            }
        }
        _ => {}
    }
    Vec::new()
}

/// The next problem; in a log the next error.
fn landmark(model: &mut Model, forward: bool) -> Vec<Effect> {
    if let Some(Overlay::Log(pane)) = model.overlays.last_mut() {
        if !pane.go_landmark(forward) {
            model.complain("no further error here");
        }
        return Vec::new();
    }
    let rows = &model.problems.rows;
    if rows.is_empty() {
        model.say("nothing needs you");
        return Vec::new();
    }
    let here = match model.view {
        View::Problems => model.problems.index(),
        _ => {
            let issue = verbs::target(model).issue;
            let of = |id: &String| model.problem(id).and_then(|p| p.issue_id.clone());
            issue.and_then(|issue| rows.iter().position(|id| of(id).as_ref() == Some(&issue)))
        }
    };
    let count = rows.len();
    let next = match (here, forward) {
        (Some(at), true) => (at + 1) % count,
        (Some(at), false) => (at + count - 1) % count,
        (None, true) => 0,
        (None, false) => count - 1,
    };
    let id = rows[next].clone();
    model.problems.cursor = Some(id.clone());
    let issue = model.problem(&id).and_then(|p| p.issue_id.clone());
    let effects = close_all(model);
    let column = issue.as_ref().and_then(|i| model.columns.iter().position(|c| c.rows.contains(i)));
    match (model.view, issue, column) {
        (View::Board, Some(issue), Some(column)) => {
            model.column = column;
            model.columns[column].choose(&issue);
            if let Some(text) = model.problem(&id).map(|p| p.text.clone()) {
                model.say(text);
            }
        }
        _ => show(model, View::Problems),
    }
    effects
}
