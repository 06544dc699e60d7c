//! Draws the model. Nothing here sorts, fetches or changes anything.

mod activity;
mod agents;
pub(crate) mod areas;
mod board;
pub(crate) mod card;
mod charts;
mod detail;
mod dialog;
mod diff;
mod filterbar;
mod footer;
mod ghost;
pub(crate) mod header;
pub(crate) mod help;
pub(crate) mod links;
mod log;
mod overview;
mod palette;
mod phases;
pub(crate) mod problems;
mod queue;
mod repo;
mod repos;
mod rows;
mod runs;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod overlays;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod views;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use crate::keymap::Action;
use crate::model::marks::{self, Thing};
use crate::model::overlay::Overlay;
use crate::model::{Model, View, text};
use crate::theme::{self, Role};

/// Draws everything.
pub(crate) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    if model.too_small() || area.width < 20 || area.height < 5 {
        let words = ["too small", "20×5 needed"];
        for (y, word) in words.iter().enumerate().take(usize::from(area.height)) {
            put(frame.buffer_mut(), area, u16::try_from(y).unwrap_or(0), vec![Span::raw(*word)]);
        }
        return;
    }
    let areas = areas::areas(model.size);
    let buffer = frame.buffer_mut();
    header::draw(model, buffer, areas.header, areas.tabs);
    let cover = model
        .overlays
        .iter()
        .rposition(|o| matches!(o, Overlay::Card(_) | Overlay::Log(_) | Overlay::Repo(_) | Overlay::Help(_)));
    match cover.map(|at| &model.overlays[at]) {
        Some(overlay) => {
            Clear.render(areas.full, buffer);
            match overlay {
                Overlay::Card(pane) => card::draw(model, pane, buffer, areas.full),
                Overlay::Log(pane) => log::draw(model, pane, buffer, areas.full),
                Overlay::Repo(pane) => repo::draw(model, pane, buffer, areas.full),
                _ => help::draw(model, overlay, buffer, areas.full),
            }
        }
        None => {
            match model.view {
                View::Board => board::draw(model, buffer, areas.body),
                View::Problems => problems::draw(model, buffer, areas.body),
                View::Runs => runs::draw(model, buffer, areas.body),
                View::Queue => queue::draw(model, buffer, areas.body),
                View::Repos => repos::draw(model, buffer, areas.body),
                View::Agents => agents::draw(model, buffer, areas.body),
                View::Activity => activity::draw(model, buffer, areas.body),
                View::Overview => overview::draw(model, buffer, areas.body),
            }
            detail::draw(model, buffer, areas.detail);
            ghost::draw(model, buffer, areas.body);
        }
    }
    if cover.is_some() {
        detail::toast(model, buffer, Rect { y: areas.footer.y.saturating_sub(1), height: 1, ..areas.footer });
    }
    footer::draw(model, buffer, areas.footer);
    let caret = model.overlays.last().and_then(|overlay| dialog::draw(model, overlay, buffer, areas));
    if model.theme.ascii {
        theme::to_ascii(buffer);
    }
    if let Some(at) = caret {
        frame.set_cursor_position(at);
    }
}

/// Puts `spans` into row `row` of `area`, cut at its edge.
fn put(buffer: &mut Buffer, area: Rect, row: u16, spans: Vec<Span<'_>>) {
    if row < area.height && area.width > 0 {
        buffer.set_line(area.x, area.y + row, &Line::from(spans), area.width);
    }
}

/// As [`put`], with `right` at the right edge; the left part gives way.
fn put_both(buffer: &mut Buffer, area: Rect, row: u16, left: Vec<Span<'_>>, right: Vec<Span<'_>>) {
    let width =
        u16::try_from(right.iter().map(Span::width).sum::<usize>()).unwrap_or(u16::MAX).min(area.width);
    let room = if width == 0 { area.width } else { (area.width - width).saturating_sub(1) };
    put(buffer, Rect { width: room, ..area }, row, left);
    put(buffer, Rect { x: area.x + area.width - width, width, ..area }, row, right);
}

/// The first cell of a list's row: the cursor, a mark, both or neither.
fn lead(model: &Model, thing: &Thing, chosen: bool) -> &'static str {
    match (chosen, marks::is_marked(model, thing)) {
        (true, true) => "»",
        (true, false) => "›",
        (false, true) => "*",
        (false, false) => " ",
    }
}

/// Lays a style over a row.
fn over(model: &Model, buffer: &mut Buffer, area: Rect, row: u16, role: Role) {
    if row < area.height {
        buffer.set_style(Rect { y: area.y + row, height: 1, ..area }, model.theme.style(role));
    }
}

/// The sentence of how many more there are.
fn more(model: &Model, buffer: &mut Buffer, area: Rect, row: u16, count: usize) {
    if count > 0 {
        put(buffer, area, row, vec![Span::styled(format!(" {count} more ▾"), model.theme.style(Role::Dim))]);
    }
}

/// Words in the middle of an empty view.
fn words(model: &Model, buffer: &mut Buffer, area: Rect, lines: &[(Role, String)]) {
    let inner = Rect { x: area.x + 2, width: area.width.saturating_sub(4), ..area };
    let mut row = 1;
    for (role, sentence) in lines {
        for line in text::wrap(sentence, usize::from(inner.width)) {
            put(buffer, inner, row, vec![Span::styled(line, model.theme.style(*role))]);
            row += 1;
        }
    }
}

/// What stands at the right of a view's heading: the filter, if there is one, else `words`.
fn filtered(model: &Model, words: &str) -> String {
    match model.filter.is_empty() {
        true => words.to_owned(),
        false => format!("{} {}", model.keys.name(Action::Filter), text::line(&model.filter.to_string())),
    }
}
