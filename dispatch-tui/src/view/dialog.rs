//! Questions, menus and texts being typed: a bar and some rows at the bottom, above the footer.

use dispatch_shared::issue::Status;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Span;
use ratatui::widgets::{Clear, Widget};

use super::areas::Areas;
use super::{over, put};
use crate::keymap;
use crate::model::card::column_title;
use crate::model::overlay::{Confirm, Input, Overlay, Purpose};
use crate::model::{Model, text};
use crate::theme::Role;
use crate::update::verbs;

/// Draws the layer if it is one of these; where the caret stands, if there is one.
pub(super) fn draw(model: &Model, overlay: &Overlay, buffer: &mut Buffer, areas: Areas) -> Option<Position> {
    match overlay {
        Overlay::Move(menu) => {
            let issue = model.data.issues.get(&menu.issue);
            let number = issue.map_or(0, |i| i.number);
            let inner = open(model, buffer, areas, &format!("Move #{number} to"), 5);
            for (at, status) in Status::ALL.into_iter().enumerate() {
                let why = issue.and_then(|card| verbs::may_move(model, card, status).err());
                row(model, buffer, inner, at, column_title(status), why.as_deref(), menu.choice == status);
            }
            None
        }
        Overlay::Actions(menu) => {
            let verbs: Vec<_> = keymap::verbs().collect();
            let inner = open(model, buffer, areas, "What to do", verbs.len());
            let height = usize::from(inner.height).max(1);
            let at = verbs.iter().position(|b| b.action == menu.choice).unwrap_or(0);
            let top = (at + 1).saturating_sub(height);
            for (y, binding) in verbs.iter().skip(top).take(height).enumerate() {
                let why = verbs::plan(model, binding.action).err();
                let words = format!("{:<9} {:<12}", model.keys.name(binding.action), binding.label);
                row(model, buffer, inner, y, &words, why.as_deref(), binding.action == menu.choice);
            }
            None
        }
        Overlay::Confirm(confirm) => {
            let (title, lines) = question(model, confirm);
            let width = usize::from(areas.full.width).saturating_sub(2);
            let lines: Vec<String> = lines.iter().flat_map(|l| text::wrap(l, width)).collect();
            let inner = open(model, buffer, areas, &title, lines.len());
            for (y, line) in lines.into_iter().enumerate() {
                put(buffer, inner, u16::try_from(y).unwrap_or(u16::MAX), vec![Span::raw(line)]);
            }
            None
        }
        Overlay::Input(input) => Some(typing(model, input, buffer, areas)),
        Overlay::Card(_) | Overlay::Log(_) | Overlay::Help { .. } => None,
    }
}

/// Clears room for `rows` rows under a bar with `title`, and returns it. A toast stays visible on the bar's other end.
fn open(model: &Model, buffer: &mut Buffer, areas: Areas, title: &str, rows: usize) -> Rect {
    let full = areas.full;
    let rows = u16::try_from(rows).unwrap_or(u16::MAX).min(full.height.saturating_sub(1));
    let area = Rect { y: full.y + full.height - rows - 1, height: rows + 1, ..full };
    Clear.render(area, buffer);
    let mut spans = vec![Span::styled(format!(" {title} "), model.theme.style(Role::Strong))];
    if let Some(toast) = model.toast.as_ref().filter(|t| t.bad) {
        spans.push(Span::styled(format!(" ✗ {}", toast.text), model.theme.style(Role::Alarm)));
    }
    put(buffer, area, 0, spans);
    over(model, buffer, area, 0, Role::Bar);
    Rect { x: area.x + 1, y: area.y + 1, width: area.width.saturating_sub(1), height: rows }
}

/// A row of a menu; what is not possible says why.
fn row(
    model: &Model,
    buffer: &mut Buffer,
    area: Rect,
    at: usize,
    words: &str,
    why: Option<&str>,
    chosen: bool,
) {
    let y = u16::try_from(at).unwrap_or(u16::MAX);
    let role = if why.is_some() { Role::Dim } else { Role::Plain };
    let why = why.map(|w| format!("  {w}")).unwrap_or_default();
    let mark = if chosen { "› " } else { "  " };
    let spans = vec![Span::styled(format!("{mark}{words}{why}"), model.theme.style(role))];
    put(buffer, area, y, spans);
    if chosen {
        over(model, buffer, area, y, Role::Bar);
    }
}

fn question(model: &Model, confirm: &Confirm) -> (String, Vec<String>) {
    match confirm {
        Confirm::Kill { run, attempt } => {
            let about = model
                .data
                .runs
                .get(run)
                .map_or_else(String::new, |r| format!("{} {}, {}", r.subject, r.title, r.program));
            let stopping = model.data.runs.get(run).is_some_and(|r| r.stopping);
            let what = if stopping {
                "It is being stopped already; x ends it without the grace."
            } else {
                "It gets TERM, a grace, then KILL. Nothing is published; the workspace stays."
            };
            (format!("Kill {run}, attempt {}? y yes, n no", attempt.ordinal()), vec![about, what.to_owned()])
        }
        Confirm::Release { issue, agent, .. } => {
            let number = model.data.issues.get(issue).map_or(0, |i| i.number);
            (
                format!("Take #{number} away from {agent}? y yes, n no"),
                vec![
                    "Its lease is live. Whatever it reports later is refused; a run of ours stops."
                        .to_owned(),
                ],
            )
        }
        Confirm::ForceClaim { issue, agent, why } => {
            let number = model.data.issues.get(issue).map_or(0, |i| i.number);
            (format!("Claim #{number} for {agent} nevertheless? y yes, n no"), vec![why.clone()])
        }
    }
}

fn typing(model: &Model, input: &Input, buffer: &mut Buffer, areas: Areas) -> Position {
    let number =
        |id| model.data.issues.get(id).map_or(0, |i: &dispatch_shared::protocol::issues::Issue| i.number);
    let title = match &input.purpose {
        Purpose::Claim(issue) => format!("Claim #{} for the agent named", number(issue)),
        Purpose::Answer(run) => format!("Answer {run}: the agent goes on with it"),
        Purpose::Filter => "Show cards with all of these words (number, title, repository, label)".to_owned(),
        Purpose::Goto => "Go to card number, or run r-…".to_owned(),
        Purpose::Search => "Search (a capital letter makes it exact)".to_owned(),
    };
    let mut asked = Vec::new();
    if let Purpose::Answer(run) = &input.purpose
        && let Some(question) = model.data.runs.get(run).and_then(|r| r.question.as_ref())
    {
        asked = text::wrap(question, usize::from(areas.full.width).saturating_sub(2));
        asked.truncate(6);
    }
    let width = usize::from(areas.full.width).saturating_sub(3).max(1);
    let before: String = input.text.chars().take(input.caret).collect();
    // Hard line breaks and full rows: a text breaks where the screen ends, so the caret is easy to place.
    let lines = hard_wrap(&input.text, width);
    let up_to = hard_wrap(&before, width);
    let want = if input.is_long() { lines.len().clamp(3, 8) } else { 1 };
    let inner = open(model, buffer, areas, &title, asked.len() + want);
    for (y, line) in asked.iter().enumerate() {
        let span = Span::styled(line.clone(), model.theme.style(Role::Dim));
        put(buffer, inner, u16::try_from(y).unwrap_or(u16::MAX), vec![span]);
    }
    let caret_row = up_to.len().saturating_sub(1);
    let top = (caret_row + 1).saturating_sub(want);
    for (y, line) in lines.iter().skip(top).take(want).enumerate() {
        put(buffer, inner, u16::try_from(asked.len() + y).unwrap_or(u16::MAX), vec![Span::raw(line.clone())]);
    }
    let x = up_to.last().map_or(0, |l| text::width(l)).min(width);
    let y = (asked.len() + caret_row - top).min(usize::from(inner.height.saturating_sub(1)));
    Position {
        x: inner.x + u16::try_from(x).unwrap_or(0).min(inner.width.saturating_sub(1)),
        y: inner.y + u16::try_from(y).unwrap_or(0),
    }
}

fn hard_wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for c in text.chars() {
        let full = lines.last().is_some_and(|l| text::width(l) >= width);
        if c == '\n' || full {
            lines.push(String::new());
        }
        if c != '\n'
            && let Some(line) = lines.last_mut()
        {
            line.push_str(&text::line(c.encode_utf8(&mut [0; 4])));
        }
    }
    lines
}
