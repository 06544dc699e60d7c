//! The palette: what is typed, and the commands and cards that match, each command with its key.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Span;

use super::areas::Areas;
use super::dialog::{field, open, window};
use super::{over, put, put_both};
use crate::keymap::binding;
use crate::model::overlay::{Entry, Palette};
use crate::model::{Model, card, text};
use crate::theme::Role;
use crate::update::palette::why_not;

/// The most rows at once; more would cover everything.
const ROWS: usize = 14;

pub(super) fn draw(model: &Model, palette: &Palette, buffer: &mut Buffer, areas: Areas) -> Position {
    let inner = open(model, buffer, areas, "Commands and cards", palette.rows.len().clamp(1, ROWS) + 1);
    let typed = Rect { height: inner.height.min(1), ..inner };
    put(buffer, typed, 0, vec![Span::styled(":", model.theme.style(Role::Dim))]);
    let caret =
        field(&palette.input, buffer, Rect { x: typed.x + 1, width: typed.width.saturating_sub(1), ..typed });
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    if palette.rows.is_empty() {
        put(buffer, list, 0, vec![Span::styled("nothing is called that", model.theme.style(Role::Dim))]);
    }
    if list.height == 0 {
        return caret;
    }
    let at = palette.choice.as_ref().and_then(|c| palette.rows.iter().position(|r| r == c)).unwrap_or(0);
    let (top, height) = window(palette.rows.len(), at, list);
    for (y, entry) in palette.rows.iter().skip(top).take(height).enumerate() {
        let y = u16::try_from(y).unwrap_or(u16::MAX);
        let chosen = palette.choice.as_ref() == Some(entry);
        line(model, buffer, list, y, entry, chosen);
    }
    caret
}

fn line(model: &Model, buffer: &mut Buffer, area: Rect, y: u16, entry: &Entry, chosen: bool) {
    let theme = model.theme;
    let lead = Span::raw(if chosen { "› " } else { "  " });
    let dim = theme.style(Role::Dim);
    match entry {
        Entry::Command(action) => {
            let row = binding(*action);
            let (role, words) = match why_not(model, *action) {
                Some(why) => (Role::Dim, why),
                None => (Role::Plain, row.help.to_owned()),
            };
            let key = model.keys.names(*action);
            let room = usize::from(area.width).saturating_sub(20 + text::width(&key));
            let left = vec![
                lead,
                Span::styled(format!("{:<16} ", row.label), theme.style(role)),
                Span::styled(text::fit(&words, room), dim),
            ];
            put_both(buffer, area, y, left, vec![Span::styled(key, theme.style(Role::Strong))]);
        }
        Entry::Card(id) => {
            let Some(issue) = model.data.issues.get(id) else { return };
            let mark = card::mark(model, issue);
            let left = vec![
                lead,
                Span::styled(mark.glyph(), theme.style(mark.role())),
                Span::raw(format!(" #{} {}", issue.number, issue.title)),
            ];
            put_both(buffer, area, y, left, vec![Span::styled(issue.repo_full_name.to_string(), dim)]);
        }
    }
    if chosen {
        over(model, buffer, area, y, Role::Bar);
    }
}
