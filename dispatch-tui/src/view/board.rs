//! The board: five columns of cards.

use dispatch_shared::issue::Status;
use dispatch_shared::protocol::issues::Issue;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::areas::{self, Column, Shape};
use super::{detail, more, over, put, put_both, words};
use crate::model::card::{self, column_title};
use crate::model::{Link, Model, text};
use crate::theme::Role;

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    if !model.data.seen {
        return connecting(model, buffer, area);
    }
    if model.data.repos.is_empty() && model.data.issues.is_empty() {
        return first_run(model, buffer, area);
    }
    let columns = areas::board(model);
    if columns.iter().any(|c| c.shape == Shape::Hidden) {
        strip(model, buffer, area);
    }
    for (at, column) in columns.iter().enumerate().filter(|(_, c)| c.shape != Shape::Hidden) {
        draw_column(model, buffer, at, column);
    }
    if let Some(side) = areas::side(model) {
        detail::pane(model, buffer, side);
    }
}

fn connecting(model: &Model, buffer: &mut Buffer, area: Rect) {
    let lines = match &model.link {
        Link::Connecting(Some(cause)) => vec![
            (Role::Strong, format!("No daemon answers at {}.", model.endpoint)),
            (Role::Plain, text::line(cause)),
            (
                Role::Plain,
                "Start it with `dispatchd`; this board connects as soon as it is there.".to_owned(),
            ),
        ],
        _ => vec![(Role::Dim, format!("Connecting to {}…", model.endpoint))],
    };
    words(model, buffer, area, &lines);
}

fn first_run(model: &Model, buffer: &mut Buffer, area: Rect) {
    let lines = [
        (Role::Strong, "No repository is tracked yet."),
        (Role::Plain, ""),
        (Role::Plain, "A git repository on this disk, with issues as Markdown files, without any account:"),
        (Role::Running, "    dispatch repos add PATH"),
        (Role::Plain, "A repository on GitHub; the daemon needs GH_TOKEN or a `gh auth login`:"),
        (Role::Running, "    dispatch repos add OWNER/NAME"),
        (Role::Plain, "Only looking round, with sample work and a daemon of its own:"),
        (Role::Running, "    dispatch demo"),
        (Role::Plain, ""),
        (Role::Dim, "What is added appears here at once."),
    ];
    words(model, buffer, area, &lines.map(|(role, line)| (role, line.to_owned())));
}

/// One row with all columns' counts, where only one column has room.
fn strip(model: &Model, buffer: &mut Buffer, area: Rect) {
    let mut spans = Vec::new();
    for (at, list) in model.columns.iter().enumerate() {
        let letter = ["B", "R", "P", "V", "D"][at];
        let role = if at == model.column { Role::Bar } else { Role::Dim };
        spans.push(Span::styled(format!(" {letter} {} ", list.rows.len()), model.theme.style(role)));
    }
    put(buffer, area, 0, spans);
}

fn draw_column(model: &Model, buffer: &mut Buffer, at: usize, place: &Column) {
    let list = &model.columns[at];
    let status = Status::ALL[at];
    let focused = at == model.column;
    let title = column_title(status);
    let full = model.data.repos.values().any(|r| r.wip_limit > 0 && r.columns[3] >= r.wip_limit as usize);
    let limit = if status == Status::InReview && full { "!" } else { "" };
    let heading = if focused {
        format!("{} {}{limit}", title.to_uppercase(), list.rows.len())
    } else {
        format!("{title} {}{limit}", list.rows.len())
    };
    let role = if focused { Role::Strong } else { Role::Dim };
    put(buffer, place.rect, 0, vec![Span::styled(heading, model.theme.style(role))]);
    let mut row = 1;
    for id in list.rows.iter().skip(list.top).take(place.cards) {
        let rect = Rect {
            y: place.rect.y + row,
            height: place.rows.min(place.rect.height.saturating_sub(row)),
            ..place.rect
        };
        if let Some(issue) = model.data.issues.get(id) {
            let chosen = focused && list.cursor.as_ref() == Some(id);
            draw_card(model, buffer, rect, issue, place.shape, chosen);
        }
        row += place.rows;
    }
    let below = list.rows.len().saturating_sub(list.top + place.cards);
    more(model, buffer, place.rect, place.rect.height.saturating_sub(1), below);
}

fn draw_card(model: &Model, buffer: &mut Buffer, rect: Rect, issue: &Issue, shape: Shape, chosen: bool) {
    let theme = model.theme;
    let mark = card::mark(model, issue);
    let (age, alarm) = card::age(model, issue);
    let age = match alarm {
        "" => vec![Span::styled(age, theme.style(Role::Dim))],
        "!" => vec![Span::styled(format!("{age}!"), theme.style(Role::Strong))],
        _ => vec![Span::styled(format!("{age}!!"), theme.style(Role::Bar))],
    };
    let mut left = vec![
        Span::raw(if chosen { "›" } else { " " }),
        Span::styled(mark.glyph(), theme.style(mark.role())),
        Span::raw(format!(" #{}", issue.number)),
    ];
    if shape == Shape::Peek {
        left.remove(0);
    } else {
        let run = model.data.run_of(issue);
        let badges = card::badges(issue, run);
        left.push(Span::styled(format!(" {badges}"), theme.style(Role::Dim)));
    }
    put_both(buffer, rect, 0, left, age);
    if chosen {
        over(model, buffer, rect, 0, Role::Bar);
    }
    if shape != Shape::Full {
        return;
    }
    let indent = if rect.width >= 26 { 3 } else { 1 };
    let inner = Rect { x: rect.x + indent, width: rect.width.saturating_sub(indent), ..rect };
    let room = usize::from(inner.width);
    put(buffer, inner, 1, vec![Span::raw(text::fit(&issue.title, room))]);
    if rect.height > 2 {
        let (note, role) = card::note(model, issue);
        put(buffer, inner, 2, vec![Span::styled(text::fit(&note, room), theme.style(role))]);
    }
}
