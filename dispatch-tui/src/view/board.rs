//! The board: five columns of cards.

use dispatch_shared::issue::Status;
use dispatch_shared::protocol::issues::Issue;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::areas::{self, Column, Shape};
use super::{detail, more, over, put, put_both, words};
use crate::keymap::Action;
use crate::model::card::{self, column_title};
use crate::model::marks::{self, Thing};
use crate::model::{Link, Model, View, text};
use crate::theme::Role;

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    if !model.data.seen {
        return connecting(model, buffer, area);
    }
    if model.data.repos.is_empty() && model.data.issues.is_empty() {
        return first_run(model, buffer, area);
    }
    if let Some(line) = areas::options_line(model) {
        options(model, buffer, line);
    }
    let columns = areas::board(model);
    if columns.iter().any(|c| c.shape == Shape::Hidden) {
        let shown = columns.iter().map(|c| c.rect.y).max().unwrap_or(area.y);
        strip(model, buffer, Rect { y: shown.saturating_sub(1).max(area.y), height: 1, ..area });
    }
    for (at, column) in columns.iter().enumerate().filter(|(_, c)| c.shape != Shape::Hidden) {
        draw_column(model, buffer, at, column);
    }
    if let Some(side) = areas::side(model) {
        detail::pane(model, buffer, side);
    }
}

/// Repositories of which no more is handed out because enough is in review: `web 5/5`.
fn full(model: &Model) -> Vec<String> {
    let full = model.data.repos.values().filter(|r| r.wip_limit > 0 && r.columns[3] >= r.wip_limit as usize);
    full.map(|r| format!("{} {}/{}", r.name, r.columns[3], r.wip_limit)).collect()
}

/// What is shown and how, and the keys that change it.
fn options(model: &Model, buffer: &mut Buffer, area: Rect) {
    let dim = model.theme.style(Role::Dim);
    let mut left = Vec::new();
    if model.filter.is_empty() {
        left.push(Span::styled("all cards", dim));
    } else {
        let shown: usize = model.columns.iter().map(|c| c.rows.len()).sum();
        let words = format!("{shown} of {} for ", model.data.issues.len());
        left.push(Span::raw(words));
        left.push(Span::styled(text::line(&model.filter.to_string()), model.theme.style(Role::Strong)));
    }
    left.push(Span::styled(format!("   {}", model.options.group.words()), dim));
    left.push(Span::styled(if model.options.compact { "   compact" } else { "   comfortable" }, dim));
    let marked = if model.marks.any(View::Board) { marks::marked(model).len() } else { 0 };
    if marked > 0 {
        let back = model.keys.name(Action::Back);
        let words = format!("   {marked} marked, {back} lets go");
        left.push(Span::styled(words, model.theme.style(Role::Marked)));
    }
    let (filter, view) = (model.keys.name(Action::Filter), model.keys.name(Action::Options));
    put_both(buffer, area, 0, left, vec![Span::styled(format!("{filter} filter   {view} view"), dim)]);
}

fn connecting(model: &Model, buffer: &mut Buffer, area: Rect) {
    let lines = match &model.link {
        Link::Connecting(Some(cause)) => vec![
            (Role::Strong, format!("No daemon answers at {}.", model.endpoint)),
            (Role::Plain, text::line(cause)),
            (
                Role::Plain,
                "Enter starts it, or start it with `dispatchd`; this board connects as soon as it is there."
                    .to_owned(),
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
        (Role::Running, "    Enter   tracks one, and asks for what is needed"),
        (Role::Plain, ""),
        (
            Role::Plain,
            "A git repository on this disk, with issues as Markdown files, needs no account. One on GitHub needs a token: GH_TOKEN, `gh auth login`, or typed here. In a shell it is:",
        ),
        (Role::Running, "    dispatch repos add PATH"),
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
    let title = if focused { title.to_uppercase() } else { title.to_owned() };
    let mut heading = format!("{title} {}", list.rows.len());
    let full = if status == Status::InReview { full(model) } else { Vec::new() };
    let room = usize::from(place.rect.width);
    let words = match (status, full.as_slice()) {
        (Status::Done, _) => vec!["7d".to_owned()],
        (_, full) => full.to_vec(),
    };
    // What does not fit is left out whole; that a limit is reached is always said.
    let mut said = false;
    for word in &words {
        if text::width(&heading) + text::width(word) + 2 <= room {
            heading = format!("{heading}  {word}");
            said = true;
        }
    }
    if !said && !full.is_empty() {
        heading.push('!');
    }
    let role = match (focused, full.is_empty()) {
        (true, _) => Role::Strong,
        (false, true) => Role::Dim,
        (false, false) => Role::Waiting,
    };
    put(buffer, place.rect, 0, vec![Span::styled(heading, model.theme.style(role))]);
    let slots = areas::slots(model, at, place);
    for slot in &slots {
        let y = place.rect.y + slot.y;
        let height = place.rows.min(place.rect.height.saturating_sub(slot.y));
        let rect = Rect { y, height, ..place.rect };
        if let Some(group) = &slot.heading {
            let words = text::fit(group, usize::from(rect.width));
            put(
                buffer,
                Rect { y: y.saturating_sub(1), height: 1, ..rect },
                0,
                vec![Span::styled(words, model.theme.style(Role::Strong))],
            );
        }
        if let Some(issue) = model.data.issues.get(&slot.id) {
            let chosen = focused && list.cursor.as_ref() == Some(&slot.id);
            draw_card(model, buffer, rect, issue, place.shape, chosen);
        }
    }
    let below = list.rows.len().saturating_sub(list.top + slots.len());
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
    let marked = marks::is_marked(model, &Thing::Card(issue.issue_id.clone()));
    let number = match marked {
        true => Span::styled(format!("*#{}", issue.number), theme.style(Role::Marked)),
        false => Span::raw(format!(" #{}", issue.number)),
    };
    let mut left = vec![
        Span::raw(if chosen { "›" } else { " " }),
        Span::styled(mark.glyph(), theme.style(mark.role())),
        number,
    ];
    if shape == Shape::Peek {
        left.remove(0);
    } else if shape == Shape::Row {
        let used: usize = left.iter().chain(&age).map(Span::width).sum();
        left.push(Span::raw(format!(
            " {}",
            text::fit(&issue.title, usize::from(rect.width).saturating_sub(used + 2))
        )));
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
