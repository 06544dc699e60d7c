//! The filter being set: its fields, the text of one of them, and what there is to choose from.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Span;

use super::areas::Areas;
use super::dialog::{field, open, row, window};
use super::{put, put_both};
use crate::keymap::Action;
use crate::model::filter::Field;
use crate::model::overlay::FilterBar;
use crate::model::{Model, text};
use crate::theme::Role;
use crate::update::filterbar::choices;

/// The most choices at once.
const ROWS: usize = 8;

pub(super) fn draw(model: &Model, bar: &FilterBar, buffer: &mut Buffer, areas: Areas) -> Position {
    let choices = choices(model, bar);
    let shown: usize = model.columns.iter().map(|c| c.rows.len()).sum();
    let title = format!("Show only: {shown} of {} cards", model.data.issues.len());
    let inner = open(model, buffer, areas, &title, choices.len().clamp(1, ROWS) + 2);
    fields(model, bar, buffer, Rect { height: inner.height.min(1), ..inner });
    let name = format!("{}: ", bar.field.word());
    let lead = u16::try_from(text::width(&name)).unwrap_or(0).min(inner.width);
    let typed = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1).min(1), ..inner };
    put(buffer, typed, 0, vec![Span::styled(name, model.theme.style(Role::Strong))]);
    let caret = field(&bar.input, buffer, Rect { x: typed.x + lead, width: typed.width - lead, ..typed });
    let list = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    if list.height == 0 {
        return caret;
    }
    if choices.is_empty() {
        let words = match bar.field {
            Field::Text => {
                format!("no filter is kept yet; {} keeps this one", model.keys.name(Action::SaveFilter))
            }
            field => format!("no card has such a {}", field.word()),
        };
        put(buffer, list, 0, vec![Span::styled(words, model.theme.style(Role::Dim))]);
    }
    let at = bar.choice.as_ref().and_then(|c| choices.iter().position(|(n, _)| n == c)).unwrap_or(0);
    let (top, height) = window(choices.len(), at, list);
    for (y, (name, what)) in choices.iter().skip(top).take(height).enumerate() {
        let words = format!("{}  {}", text::line(name), text::line(what));
        row(model, buffer, list, y, &words, None, bar.choice.as_ref() == Some(name));
    }
    caret
}

/// Every field, the one being set in bold, with its value if it has one.
fn fields(model: &Model, bar: &FilterBar, buffer: &mut Buffer, area: Rect) {
    let mut spans = Vec::new();
    for field in Field::ALL {
        let value = text::line(model.filter.value(field).trim());
        let role = match (field == bar.field, value.is_empty()) {
            (true, _) => Role::Bar,
            (false, false) => Role::Strong,
            (false, true) => Role::Dim,
        };
        let words = if value.is_empty() {
            field.word().to_owned()
        } else {
            format!("{}={}", field.word(), text::fit(&value, 14))
        };
        spans.push(Span::styled(words, model.theme.style(role)));
        spans.push(Span::raw("  "));
    }
    let next = model.keys.name(Action::NextField);
    put_both(
        buffer,
        area,
        0,
        spans,
        vec![Span::styled(format!("{next} next"), model.theme.style(Role::Dim))],
    );
}
