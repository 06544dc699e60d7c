//! The last row: what can be done here, from the table of keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::put_both;
use crate::keymap::{self, Action, Context};
use crate::model::overlay::{Confirm, Overlay};
use crate::model::{Model, text};
use crate::theme::Role;
use crate::update::{context, verbs};

/// The keys to show, the most useful first.
fn hints(model: &Model) -> Vec<(String, String)> {
    let named = |action: Action, label: &str| (model.keys.name(action), label.to_owned());
    let pair = |a: Action, b: Action, label: &str| (model.keys.pair(a, b), label.to_owned());
    let hint = |action: Action| named(action, keymap::binding(action).label);
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
        (Context::Log, _) => {
            let mut out = vec![
                hint(Action::Follow),
                hint(Action::Search),
                pair(Action::NextMatch, Action::PrevMatch, "match"),
                pair(Action::PrevProblem, Action::NextProblem, "error"),
                hint(Action::Wrap),
            ];
            out.extend(
                [Action::Kill, Action::Copy]
                    .into_iter()
                    .filter(|a| verbs::why_not(model, *a).is_none())
                    .map(hint),
            );
            out.push(hint(Action::Back));
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
            ];
            let skip = |a: &Action| later.contains(a) || matches!(a, Action::ShiftLeft | Action::ShiftRight);
            let possible = |a: &Action| verbs::why_not(model, *a).is_none();
            let here = context(model);
            let all: Vec<_> = keymap::verbs().filter(|b| b.at.contains(&here)).map(|b| b.action).collect();
            let mut out: Vec<_> =
                all.iter().copied().filter(|a| !skip(a)).filter(possible).map(hint).collect();
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

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let right = match context(model) {
        Context::Board | Context::List | Context::Card | Context::Log => {
            format!("{} all  {} help", model.keys.name(Action::Actions), model.keys.name(Action::Help))
        }
        _ => String::new(),
    };
    let room = usize::from(area.width).saturating_sub(text::width(&right) + 2);
    let (mut left, mut used) = (Vec::new(), 0);
    for (key, label) in hints(model) {
        let width = text::width(&key) + text::width(&label) + 3;
        if used + width > room + 2 {
            break;
        }
        used += width;
        left.push(Span::styled(key, theme.style(Role::Strong)));
        left.push(Span::styled(format!(" {label}  "), theme.style(Role::Dim)));
    }
    put_both(buffer, area, 0, left, vec![Span::styled(right, theme.style(Role::Dim))]);
}
