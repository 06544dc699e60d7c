//! A key was pressed: the table says what it means here, this does it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use dispatch_shared::issue::Status;

use super::travel::{self, Travel};
use super::{acts, context, filterbar, first, input, palette, picks, run, verbs};
use crate::effect::{Effect, Write};
use crate::keymap::{self, Action, Context};
use crate::model::log::Landmark;
use crate::model::overlay::{ActionMenu, CardPane, Confirm, HelpPane, Input, Overlay, PickKind, Purpose};
use crate::model::{Model, View, marks};

pub(super) fn press(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    model.toast = None;
    let context = context(model);
    let action = model.keys.lookup(context, key);
    if model.too_small() && !matches!(action, Some(Action::Quit | Action::Suspend)) {
        return Vec::new(); // nobody sees what a verb would do
    }
    match action {
        Some(action) => act(model, action),
        None if context.types() => input::edit(model, key),
        None => {
            let plain = !key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::CONTROL);
            match (context, key.code) {
                (Context::Confirm, _) if !key.modifiers.contains(KeyModifiers::ALT) => {
                    model.overlays.pop(); // whatever is no yes is a no
                    model.say("left as it is");
                    Vec::new()
                }
                (Context::Menu, KeyCode::Char(c)) if plain => picks::letter(model, c),
                _ => Vec::new(),
            }
        }
    }
}

/// Does `action` in the present context.
pub(crate) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if quietly(model, action) {
        return Vec::new();
    }
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
        Action::Close if model.overlays.is_empty() => input::quit(model),
        Action::Close => back(model),
        Action::Help => {
            model.overlays.push(Overlay::Help(HelpPane { choice: keymap::TABLE[0].action, scroll: 0 }));
            Vec::new()
        }
        Action::Actions => {
            model.overlays.push(Overlay::Actions(ActionMenu { choice: first_possible(model) }));
            Vec::new()
        }
        Action::Palette => palette::open(model),
        Action::Options => open_pick(model, PickKind::Options),
        Action::Theme => open_pick(model, PickKind::Theme),
        Action::Goto => open_input(model, Purpose::Goto),
        Action::Search => open_input(model, Purpose::Search),
        Action::Filter => filterbar::open(model),
        Action::SaveFilter => filterbar::save(model),
        Action::ForgetFilter => filterbar::forget(model),
        Action::Mark if matches!(model.overlays.last(), Some(Overlay::Pick(_))) => picks::choose(model, true),
        Action::Mark if model.overlays.is_empty() => {
            marks::toggle(model);
            travel::travel(model, Travel::rows(1))
        }
        Action::Mark => enter(model),
        Action::NextPane => travel::pane(model, 1),
        Action::PrevPane => travel::pane(model, -1),
        Action::NextProblem => landmark(model, true),
        Action::PrevProblem => landmark(model, false),
        Action::Enter => enter(model),
        Action::Send => input::send(model),
        Action::Editor => input::editor(model),
        Action::Yes | Action::Now | Action::No => confirm(model, action),
        Action::Follow
        | Action::Wrap
        | Action::NextMatch
        | Action::PrevMatch
        | Action::Times
        | Action::Level
        | Action::NextFile
        | Action::PrevFile
        | Action::NextRun
        | Action::PrevRun => run::act(model, action),
        Action::Sort => acts::sort(model),
        _ => match travel::of(model, action) {
            Some(travelled) => travel::travel(model, travelled),
            None => travel::scroll_detail(model, action).unwrap_or_else(|| verbs::perform(model, action)),
        },
    }
}

/// Does what changes the model alone; whether it was that.
fn quietly(model: &mut Model, action: Action) -> bool {
    match action {
        Action::NextField => filterbar::field(model, 1),
        Action::PrevField => filterbar::field(model, -1),
        Action::ChoiceUp => choice(model, -1),
        Action::ChoiceDown => choice(model, 1),
        Action::Range => marks::range(model),
        Action::MarkAll => marks::all(model),
        _ => return false,
    }
    true
}

/// Does what was chosen in a menu of commands, if it has a meaning where the menu was opened.
pub(super) fn act_as_chosen(model: &mut Model, action: Action) -> Vec<Effect> {
    let binding = keymap::binding(action);
    if binding.at.contains(&context(model)) {
        return act(model, action);
    }
    model.complain(format!("{}: not here", binding.label));
    Vec::new()
}

fn choice(model: &mut Model, by: isize) {
    palette::step(model, by);
    filterbar::step(model, by);
}

fn open_input(model: &mut Model, purpose: Purpose) -> Vec<Effect> {
    model.overlays.push(Overlay::Input(Input::new(purpose, String::new())));
    Vec::new()
}

fn open_pick(model: &mut Model, kind: PickKind) -> Vec<Effect> {
    match picks::open(model, kind, Vec::new()) {
        Ok(plan) => verbs::carry_out(model, plan),
        Err(why) => {
            model.complain(why);
            Vec::new()
        }
    }
}

/// Puts a question.
pub(super) fn ask(model: &mut Model, confirm: Confirm) -> Vec<Effect> {
    model.overlays.push(Overlay::Confirm(confirm));
    Vec::new()
}

fn first_possible(model: &Model) -> Action {
    let mut verbs = keymap::verbs();
    let possible = verbs.find(|b| verbs::why_not(model, b.action).is_none());
    possible.map_or(Action::Answer, |b| b.action)
}

pub(super) fn show(model: &mut Model, view: View) {
    if model.view != view {
        model.last_view = std::mem::replace(&mut model.view, view);
    }
    model.detail_scroll = 0;
    let parts = model.parts();
    model.wants.want(parts);
}

/// Says how many cards a filter leaves.
pub(super) fn shown(model: &mut Model) {
    if model.toast.is_none() && !model.filter.is_empty() {
        let n: usize = model.columns.iter().map(|c| c.rows.len()).sum();
        let back = model.keys.name(Action::Back);
        model.say(format!("{n} cards for {}; {back} shows all", model.filter));
    }
}

/// Pops one layer.
fn pop(model: &mut Model) -> Vec<Effect> {
    match model.overlays.pop() {
        Some(Overlay::Log(pane)) if pane.kind.streams() => return vec![Effect::CloseLog],
        Some(Overlay::Filter(bar)) => filterbar::leave(model, *bar),
        Some(Overlay::Input(input)) => input::leave(model, &input),
        _ => {}
    }
    Vec::new()
}

pub(super) fn close_all(model: &mut Model) -> Vec<Effect> {
    let mut effects = Vec::new();
    while !model.overlays.is_empty() {
        effects.extend(pop(model));
    }
    effects
}

/// Undoes one layer: an overlay, the range, the marks, the filter; then nothing.
fn back(model: &mut Model) -> Vec<Effect> {
    if model.pointer.drag.take().is_some() {
        model.say("left where it was");
        return Vec::new();
    }
    if !model.overlays.is_empty() {
        return pop(model);
    }
    let view = model.view;
    if model.marks.range.take_if(|(v, _)| *v == view).is_some() {
        return Vec::new();
    }
    if model.marks.any(view) {
        model.marks.clear(view);
        model.unsorted = true;
    } else if !model.filter.is_empty() {
        model.filter.clear();
        model.unsorted = true;
    }
    Vec::new()
}

fn enter(model: &mut Model) -> Vec<Effect> {
    match model.overlays.last() {
        Some(Overlay::Pick(_)) => picks::choose(model, false),
        Some(Overlay::Actions(menu)) => {
            let action = menu.choice;
            model.overlays.pop();
            act_as_chosen(model, action)
        }
        Some(Overlay::Help(pane)) => {
            let action = pane.choice;
            model.overlays.pop();
            act_as_chosen(model, action)
        }
        Some(Overlay::Input(_)) => input::enter(model),
        Some(Overlay::Palette(_)) => palette::run(model),
        Some(Overlay::Filter(_)) => filterbar::enter(model),
        Some(Overlay::Card(_)) => verbs::perform(model, Action::OpenLog),
        Some(Overlay::Repo(_)) => acts::enter(model),
        Some(Overlay::Log(_) | Overlay::Confirm(_) | Overlay::Bulk(_)) => Vec::new(),
        None => open(model),
    }
}

/// Opens what is under the cursor.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    if let Some(effects) = first::enter(model) {
        return effects;
    }
    let target = verbs::target(model);
    if let Some(effects) = acts::open(model, &target) {
        return effects;
    }
    match (model.view, target.issue) {
        (View::Runs, _) => verbs::perform(model, Action::OpenLog),
        (_, Some(issue)) => {
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
    let top = model.overlays.last();
    if action == Action::Now && !matches!(top, Some(Overlay::Confirm(Confirm::Kill { .. }))) {
        return Vec::new();
    }
    if !matches!(top, Some(Overlay::Confirm(_) | Overlay::Bulk(_))) {
        return Vec::new();
    }
    let asked = model.overlays.pop();
    if action == Action::No {
        model.say("left as it is");
        return Vec::new();
    }
    let write = |write| vec![Effect::Write { write, undoes: false }];
    match asked {
        Some(Overlay::Bulk(bulk)) => {
            let view = model.view;
            model.marks.clear(view);
            let steps: Vec<_> = bulk.steps.into_iter().map(|(_, step)| step).collect();
            let count = steps.len();
            let effects = verbs::carry_out(model, verbs::Plan::Steps(steps));
            model.unsorted = true;
            model.say(format!("{}: {count}…", bulk.what));
            effects
        }
        Some(Overlay::Confirm(Confirm::Kill { run, attempt })) => {
            let now = action == Action::Now;
            model.say(format!("{} {run}…", if now { "killing" } else { "stopping" }));
            vec![Effect::Kill { run, attempt, now }]
        }
        Some(Overlay::Confirm(Confirm::Release { issue, claim, agent })) => {
            vec![Effect::Release { issue, agent, claim, lapsed: false }]
        }
        Some(Overlay::Confirm(Confirm::ForceClaim { issue, agent, .. })) => {
            vec![Effect::Claim { issue, agent, force: true }]
        }
        Some(Overlay::Confirm(Confirm::Untrack { repo })) => {
            model.overlays.retain(|o| !matches!(o, Overlay::Repo(_)));
            write(Write::Untrack(repo))
        }
        Some(Overlay::Confirm(Confirm::RunnerOn { repo })) => write(Write::Runner { repo, on: true }),
        Some(Overlay::Confirm(Confirm::Resume { program })) => vec![Effect::Resume(program)],
        Some(Overlay::Confirm(Confirm::Quit { .. })) => vec![Effect::Quit],
        Some(Overlay::Confirm(Confirm::Labels { repo, labels, .. })) if !labels.is_empty() => {
            model.say("making labels…");
            vec![Effect::EnsureLabels(repo)]
        }
        _ => Vec::new(),
    }
}

/// The next problem; in a log the next error.
fn landmark(model: &mut Model, forward: bool) -> Vec<Effect> {
    if let Some(Overlay::Log(_)) = model.overlays.last() {
        return run::landmark(model, Landmark::Spot, forward);
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
            model.column = column.min(Status::ALL.len() - 1);
            model.columns[column].choose(&issue);
            if let Some(text) = model.problem(&id).map(|p| p.text.clone()) {
                model.say(text);
            }
        }
        _ => show(model, View::Problems),
    }
    effects
}
