//! The queue: what is handed out next, in that order, and why each stands where it stands.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{more, over, put, put_both, words};
use crate::model::marks::Thing;
use crate::model::{Model, text};
use crate::theme::{Mark, Role};

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let rows = &model.queue_rows;
    if rows.is_empty() {
        let sentence = if model.queue_asked.0 { "loading…" } else { "Nothing is ready to be handed out." };
        return words(model, buffer, area, &[(Role::Plain, sentence.to_owned())]);
    }
    let free = rows.iter().filter(|r| r.claimable).count();
    let heading = format!("Next for any agent, any lane: {free} of {}", rows.len());
    put(buffer, area, 0, vec![Span::styled(heading, theme.style(Role::Strong))]);
    let height = super::areas::list_rows(model);
    for (at, row) in rows.iter().enumerate().skip(model.queue.top).take(height) {
        let y = u16::try_from(at - model.queue.top + 1).unwrap_or(u16::MAX);
        let chosen = model.queue.cursor.as_ref() == Some(&row.key);
        let mark = match (row.fix, row.claimable) {
            (true, _) => Mark::Failed,
            (false, true) => Mark::Ready,
            (false, false) => Mark::Waits,
        };
        let left = vec![
            Span::raw(super::lead(model, &Thing::Row(row.key.clone()), chosen)),
            Span::raw(format!("{:>3} ", at + 1)),
            Span::styled(mark.glyph(), theme.style(mark.role())),
            Span::raw(format!(" {:<20} ", text::fit(&row.subject, 20))),
            Span::raw(row.title.clone()),
        ];
        let room = usize::from(area.width) / 3;
        let right = vec![Span::styled(text::fit(&row.reason, room), theme.style(Role::Dim))];
        put_both(buffer, area, y, left, right);
        if chosen {
            over(model, buffer, area, y, Role::Bar);
        }
    }
    let below = rows.len().saturating_sub(model.queue.top + height);
    more(model, buffer, area, area.height.saturating_sub(1), below);
}
