//! The last row: what can be done here, from the table of keys.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::put;
use crate::keymap::{self, Action, Context};
use crate::model::log::Kind;
use crate::model::overlay::{Confirm, Overlay};
use crate::model::{Model, View, text};
use crate::theme::Role;
use crate::update::{context, verbs};

/// A key and what it does; of two keys in one hint each does its own.
struct Hint {
    key: String,
    label: String,
    actions: Vec<Action>,
}

fn hint(model: &Model, action: Action) -> Hint {
    named(model, action, keymap::binding(action).label)
}

fn named(model: &Model, action: Action, label: &str) -> Hint {
    Hint { key: model.keys.name(action), label: label.to_owned(), actions: vec![action] }
}

fn pair(model: &Model, first: Action, second: Action, label: &str) -> Hint {
    Hint { key: model.keys.pair(first, second), label: label.to_owned(), actions: vec![first, second] }
}

/// What turns or sorts what is shown, and what there is to do with no card.
fn turns(model: &Model) -> Vec<Action> {
    match (model.overlays.last(), model.view) {
        (Some(Overlay::Repo(_)), _) => vec![Action::NextPane],
        (None, View::Activity) => vec![Action::NextPane, Action::Filter],
        (None, View::Runs) => vec![Action::Sort],
        (None, View::Agents) if verbs::why_not(model, Action::Resume).is_none() => vec![Action::Resume],
        (None, View::Repos) if verbs::why_not(model, Action::Track).is_none() => vec![Action::Track],
        _ => Vec::new(),
    }
}

/// The keys to show, the most useful first.
fn hints(model: &Model) -> Vec<Hint> {
    let named = |action: Action, label: &str| named(model, action, label);
    let pair = |a: Action, b: Action, label: &str| pair(model, a, b, label);
    let hint = |action: Action| hint(model, action);
    match (context(model), model.overlays.last()) {
        (Context::Confirm, Some(Overlay::Confirm(confirm))) => {
            let mut out = vec![hint(Action::Yes), hint(Action::No)];
            if matches!(confirm, Confirm::Kill { .. }) {
                out.push(named(Action::Now, "kill now, without grace"));
            }
            out
        }
        (Context::Input, Some(Overlay::Input(input))) => {
            let mut out = vec![hint(Action::Send)];
            if input.is_long() {
                out.push(named(Action::Enter, "new line"));
                out.push(hint(Action::Editor));
            } else {
                out[0] = named(Action::Enter, "done");
            }
            out.push(named(Action::Back, "leave"));
            out
        }
        (Context::Confirm, _) => vec![hint(Action::Yes), hint(Action::No)],
        (Context::Menu, _) => vec![named(Action::Enter, "choose"), hint(Action::Back)],
        (Context::Help, _) => {
            vec![named(Action::Enter, "do it"), named(Action::Down, "scroll"), hint(Action::Back)]
        }
        (Context::Palette, _) => {
            vec![
                named(Action::Enter, "do it"),
                pair(Action::ChoiceUp, Action::ChoiceDown, "choose"),
                hint(Action::Back),
            ]
        }
        (Context::Filter, _) => vec![
            named(Action::Enter, "done"),
            hint(Action::NextField),
            named(Action::ChoiceDown, "choose"),
            hint(Action::SaveFilter),
            hint(Action::ForgetFilter),
            named(Action::Back, "leave"),
        ],
        (Context::Log, Some(Overlay::Log(pane))) => {
            let mut out = match pane.kind {
                Kind::Log | Kind::Events => vec![
                    hint(Action::Follow),
                    hint(Action::Search),
                    pair(Action::NextMatch, Action::PrevMatch, "match"),
                    pair(Action::PrevProblem, Action::NextProblem, "error"),
                    hint(Action::Wrap),
                    hint(Action::Times),
                    hint(Action::Level),
                ],
                Kind::Diff => vec![
                    pair(Action::PrevFile, Action::NextFile, "file"),
                    pair(Action::PrevProblem, Action::NextProblem, "hunk"),
                    hint(Action::Search),
                    pair(Action::NextMatch, Action::PrevMatch, "match"),
                    hint(Action::Wrap),
                ],
                Kind::Phases => Vec::new(),
            };
            out.push(hint(Action::Back));
            out.extend(
                [Action::Kill, Action::Copy]
                    .into_iter()
                    .filter(|a| verbs::why_not(model, *a).is_none())
                    .map(hint),
            );
            out.push(hint(Action::NextRun));
            out
        }
        _ => {
            let later = [
                Action::Claim,
                Action::Priority,
                Action::Labels,
                Action::Comment,
                Action::Start,
                Action::Browser,
                Action::Copy,
                Action::Sync,
                Action::Events,
                Action::Phases,
            ];
            let skip = |a: &Action| later.contains(a) || matches!(a, Action::ShiftLeft | Action::ShiftRight);
            let possible = |a: &Action| verbs::why_not(model, *a).is_none();
            let here = context(model);
            let all: Vec<_> = keymap::verbs().filter(|b| b.at.contains(&here)).map(|b| b.action).collect();
            let mut out: Vec<_> = turns(model).into_iter().map(hint).collect();
            out.extend(all.iter().copied().filter(|a| !skip(a)).filter(possible).map(hint));
            if !model.problems.rows.is_empty() {
                out.push(hint(Action::NextProblem));
            }
            if possible(&Action::ShiftRight) || possible(&Action::ShiftLeft) {
                out.push(pair(Action::ShiftLeft, Action::ShiftRight, "shift"));
            }
            out.extend(all.into_iter().filter(|a| later.contains(a)).filter(possible).map(hint));
            out
        }
    }
}

/// What stands at the right edge whatever happens.
fn pinned(model: &Model) -> &'static [Action] {
    match context(model) {
        Context::Board | Context::List | Context::Card | Context::Log | Context::Repo => {
            &[Action::Actions, Action::Help]
        }
        _ => &[],
    }
}

/// Hints and the columns where they begin.
type Placed = Vec<(u16, Hint)>;

/// The hints that fit, with their places, and what is pinned.
fn lay(model: &Model) -> (Placed, Placed) {
    let width = usize::from(model.size.0);
    let size = |hint: &Hint| text::width(&hint.key) + text::width(&hint.label) + 3;
    let cell = |x: usize| u16::try_from(x).unwrap_or(u16::MAX);
    let right: Vec<Hint> = pinned(model).iter().map(|a| hint(model, *a)).collect();
    let taken = right.iter().map(&size).sum::<usize>().saturating_sub(2);
    let mut x = width.saturating_sub(taken);
    let mut pinned = Vec::new();
    for hint in right {
        let at = x;
        x += size(&hint);
        pinned.push((cell(at), hint));
    }
    let room = width.saturating_sub(taken + 2);
    let (mut left, mut used) = (Vec::new(), 0);
    for hint in hints(model) {
        let next = used + size(&hint);
        if next > room + 2 {
            break;
        }
        left.push((cell(used), hint));
        used = next;
    }
    (left, pinned)
}

/// Where a click does what: each hint is a button.
pub(super) fn buttons(model: &Model) -> Vec<(Range<u16>, Action)> {
    let (left, right) = lay(model);
    let mut out = Vec::new();
    for (x, hint) in left.into_iter().chain(right) {
        let width = text::width(&hint.key) + text::width(&hint.label) + 1;
        let end = x.saturating_add(u16::try_from(width).unwrap_or(0));
        match hint.actions[..] {
            [one] => out.push((x..end, one)),
            [first, second] => {
                // The first key and the gap after it, then the rest.
                let gap = text::width(&model.keys.name(first)) + 1;
                let middle = x.saturating_add(u16::try_from(gap).unwrap_or(0)).min(end);
                out.push((x..middle, first));
                out.push((middle..end, second));
            }
            _ => {}
        }
    }
    out
}

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let (left, right) = lay(model);
    let pinned = right.len();
    for (n, (x, hint)) in right.into_iter().chain(left).enumerate() {
        let key = theme.style(if n < pinned { Role::Dim } else { Role::Strong });
        let place = Rect { x: area.x + x, width: area.width.saturating_sub(x), ..area };
        put(
            buffer,
            place,
            0,
            vec![
                Span::styled(hint.key, key),
                Span::styled(format!(" {}", hint.label), theme.style(Role::Dim)),
            ],
        );
    }
}
