//! A run's log or diff, on the whole screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{areas, put, put_both};
use crate::model::card::{phase_bar, run_mark};
use crate::model::log::{Kind, LogPane};
use crate::model::logline::Level;
use crate::model::{Model, text};
use crate::theme::Role;

pub(super) fn draw(model: &Model, pane: &LogPane, buffer: &mut Buffer, area: Rect) {
    title(model, pane, buffer, area);
    let (height, width) = areas::log_window(model);
    let mut row = 0;
    let mut id = pane.top;
    while row < height {
        let Some(line) = pane.line(id) else { break };
        let role = match line.level {
            Level::Plain => Role::Plain,
            Level::Tool => Role::Running,
            Level::Error => Role::Alarm,
            Level::Note => Role::Dim,
            Level::Added => Role::Done,
        };
        let pieces =
            if pane.wrap { pieces(&line.text, width) } else { vec![text::skip(&line.text, pane.left)] };
        for piece in pieces {
            if row >= height {
                break;
            }
            let at = u16::try_from(row + 1).unwrap_or(u16::MAX);
            put(buffer, area, at, spans(model, pane, piece, role, pane.current == Some(id)));
            row += 1;
        }
        id += 1;
    }
    if pane.len() == 0 {
        let words = match (&pane.ended, pane.loading) {
            (Some(why), _) => why.clone(),
            (None, true) => "loading…".to_owned(),
            (None, false) => "nothing was put out yet".to_owned(),
        };
        put(buffer, area, 1, vec![Span::styled(words, model.theme.style(Role::Dim))]);
    }
    status(model, pane, buffer, Rect { y: area.y + area.height.saturating_sub(1), height: 1, ..area });
}

fn title(model: &Model, pane: &LogPane, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let word = if pane.kind == Kind::Log { "Log" } else { "Diff" };
    let Some(run) = model.data.runs.get(&pane.run) else {
        return put(buffer, area, 0, vec![Span::raw(format!("{word} of {}", pane.run))]);
    };
    let mark = run_mark(run, model.now);
    let left = vec![
        Span::styled(mark.glyph(), theme.style(mark.role())),
        Span::styled(format!(" {word} {}", run.id), theme.style(Role::Strong)),
        Span::raw(format!("  {} {}", run.subject, run.title)),
    ];
    let state = if run.ended { run.state.clone() } else { format!("{} {}", phase_bar(run), run.state) };
    let tokens = run.usage.input_tokens + run.usage.output_tokens;
    let mut words = format!("{}  attempt {}  {state}", run.program, run.attempt.ordinal());
    if model.size.0 >= 100 && tokens > 0 {
        words.push_str(&format!("  {} tokens", text::short(tokens)));
    }
    if let Some(cost) = run.usage.cost_usd {
        words.push_str(&format!("  ${cost:.2}"));
    }
    put_both(buffer, area, 0, left, vec![Span::styled(words, theme.style(Role::Dim))]);
}

/// `text` in pieces of at most `width` columns, cut anywhere: a log is shown as it is.
fn pieces(text: &str, width: usize) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while text::width(rest) > width {
        let after = text::skip(rest, width);
        let mut cut = rest.len() - after.len();
        if text::width(&rest[..cut]) > width {
            cut = rest[..cut].char_indices().next_back().map_or(cut, |(at, _)| at);
        }
        if cut == 0 {
            break;
        }
        out.push(&rest[..cut]);
        rest = &rest[cut..];
    }
    out.push(rest);
    out
}

/// A line with the searched text marked.
fn spans<'a>(model: &Model, pane: &LogPane, text: &'a str, role: Role, current: bool) -> Vec<Span<'a>> {
    let style = model.theme.style(role);
    if pane.needle.is_empty() {
        return vec![Span::styled(text, style)];
    }
    let exact = pane.needle.chars().any(char::is_uppercase);
    // Lower case may have another length; then the line is shown unmarked.
    let lower = text.to_lowercase();
    let hay = if exact { text } else { lower.as_str() };
    if hay.len() != text.len() {
        return vec![Span::styled(text, style)];
    }
    let marked =
        if current { model.theme.style(Role::Match) } else { style.patch(model.theme.style(Role::Bar)) };
    let (mut spans, mut from) = (Vec::new(), 0);
    for (at, found) in hay.match_indices(&pane.needle) {
        let to = at + found.len();
        if text.is_char_boundary(at) && text.is_char_boundary(to) {
            spans.push(Span::styled(&text[from..at], style));
            spans.push(Span::styled(&text[at..to], marked));
            from = to;
        }
    }
    spans.push(Span::styled(&text[from..], style));
    spans
}

fn status(model: &Model, pane: &LogPane, buffer: &mut Buffer, area: Rect) {
    let mut left = if pane.start == 0 {
        format!("line {} of {}", pane.place().min(pane.len()), pane.len())
    } else {
        format!("line {} of {} held, {}B before", pane.place(), pane.len(), text::short(pane.start))
    };
    if pane.loading && pane.len() > 0 {
        left.push_str("  loading older…");
    }
    let news =
        if pane.unseen > 0 { format!("  {} new below, f follows", pane.unseen) } else { String::new() };
    let on = |on: bool| if on { "on" } else { "off" };
    let mut right = String::new();
    if !pane.needle.is_empty() {
        let (at, of) = pane.tally();
        right.push_str(&format!("/{} {at} of {of}  ", text::line(&pane.needle)));
    }
    if pane.kind == Kind::Log {
        match &pane.ended {
            Some(why) => right.push_str(&format!("{why}  ")),
            None => right.push_str(&format!("follow {}  ", on(pane.follow))),
        }
    }
    right.push_str(&format!("wrap {}", on(pane.wrap)));
    let left = vec![
        Span::styled(left, model.theme.style(Role::Dim)),
        Span::styled(news, model.theme.style(Role::Strong)),
    ];
    put_both(buffer, area, 0, left, vec![Span::styled(right, model.theme.style(Role::Dim))]);
}
