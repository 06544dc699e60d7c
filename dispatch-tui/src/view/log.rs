//! A run on the whole screen: its log, its events or its diff. The phases are in `phases`.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

use super::{areas, diff, phases, put, put_both};
use crate::keymap::Action;
use crate::model::card::{phase_bar, run_mark};
use crate::model::log::{Kind, LogPane, Shown};
use crate::model::logline::{Level, LogLine};
use crate::model::{Model, text};
use crate::theme::Role;

/// Columns that the time of a line takes.
const TIME: usize = 10;

pub(super) fn draw(model: &Model, pane: &LogPane, buffer: &mut Buffer, area: Rect) {
    title(model, pane, buffer, area);
    if pane.kind == Kind::Phases {
        let inner = Rect { y: area.y + 2.min(area.height), height: area.height.saturating_sub(2), ..area };
        return phases::draw(model, pane, buffer, inner);
    }
    let (height, width) = areas::log_window(model);
    let (mut row, mut id) = (0, pane.top);
    while row < height {
        let Some(line) = pane.line(id) else { break };
        if pane.is_shown(id) {
            row += draw_line(model, pane, &line, id, (buffer, area), (row, height, width));
        }
        id += 1;
    }
    if pane.len() == 0 || row == 0 {
        let words = match (&pane.ended, pane.loading) {
            _ if pane.len() > 0 => {
                format!("no such line is loaded; {} shows others", model.keys.name(Action::Level))
            }
            (Some(why), _) => why.clone(),
            (None, true) => "loading…".to_owned(),
            (None, false) => "nothing was put out yet".to_owned(),
        };
        put(buffer, area, 2, vec![Span::styled(words, model.theme.style(Role::Dim))]);
    }
    status(model, pane, buffer, Rect { y: area.y + area.height.saturating_sub(1), height: 1, ..area });
}

/// Draws one line and returns how many rows it took.
fn draw_line(
    model: &Model,
    pane: &LogPane,
    line: &LogLine,
    id: u64,
    (buffer, area): (&mut Buffer, Rect),
    (row, height, width): (usize, usize, usize),
) -> usize {
    let theme = model.theme;
    let role = match line.level {
        Level::Plain => Role::Plain,
        Level::Tool => Role::Running,
        Level::Error | Level::Removed => Role::Alarm,
        Level::Note => Role::Dim,
        Level::Added => Role::Done,
        Level::File => Role::Strong,
    };
    let indent = if pane.times { TIME } else { 0 };
    let room = width.saturating_sub(indent).max(1);
    let pieces = if pane.wrap {
        pieces(&line.text, room)
    } else {
        let rest = text::skip(&line.text, pane.left);
        std::iter::once(line.text.len() - rest.len()..line.text.len()).collect()
    };
    let mut style = theme.style(role);
    if line.level == Level::Removed && !theme.mono {
        style = style.remove_modifier(Modifier::BOLD);
    }
    let cuts = highlights(model, pane, line, style, pane.current == Some(id));
    let mut used = 0;
    for piece in pieces {
        if row + used >= height {
            break;
        }
        let at = u16::try_from(row + used + 2).unwrap_or(u16::MAX);
        let mut spans = Vec::new();
        if pane.times {
            let time = line.time.filter(|_| used == 0).map(|t| text::clock_seconds(t, &model.zone));
            let time = format!("{:<TIME$}", time.unwrap_or_default());
            spans.push(Span::styled(time, theme.style(Role::Dim)));
        }
        spans.extend(paint(&line.text, piece, style, &cuts));
        put(buffer, area, at, spans);
        used += 1;
    }
    used
}

/// A tab above what is shown of a run.
#[derive(Clone, Debug)]
pub(super) struct Tab {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) range: Range<u16>,
}

/// The tabs: each has the key that leads there.
pub(super) fn tabs(model: &Model, pane: &LogPane) -> Vec<Tab> {
    let mut x = 0_u16;
    let mut out = Vec::new();
    for kind in Kind::ALL {
        let key = model.keys.name(match kind {
            Kind::Log => Action::OpenLog,
            Kind::Events => Action::Events,
            Kind::Diff => Action::Diff,
            Kind::Phases => Action::Phases,
        });
        let text = format!("{key} {}", kind.title());
        let text = if kind == pane.kind { format!("[{text}]") } else { text };
        let end = x.saturating_add(u16::try_from(text::width(&text)).unwrap_or(0));
        out.push(Tab { kind, text, range: x..end });
        x = end.saturating_add(2);
    }
    out
}

fn title(model: &Model, pane: &LogPane, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    for tab in tabs(model, pane) {
        let role = if tab.kind == pane.kind { Role::Strong } else { Role::Plain };
        let x = tab.range.start.min(area.width);
        let place = Rect { x: area.x + x, width: area.width - x, ..area };
        put(buffer, place, 1, vec![Span::styled(tab.text, theme.style(role))]);
    }
    let Some(run) = model.data.runs.get(&pane.run) else {
        return put(buffer, area, 0, vec![Span::raw(format!("Run {}", pane.run))]);
    };
    let mark = run_mark(run, model.now);
    let left = vec![
        Span::styled(mark.glyph(), theme.style(mark.role())),
        Span::styled(format!(" Run {}", run.id), theme.style(Role::Strong)),
        Span::raw(format!("  {} {}", run.subject, run.title)),
    ];
    let mut words = format!("{}  attempt {}", run.program, run.attempt.ordinal());
    if let Some(runtime) = run.runtime.filter(|_| model.size.0 >= 100) {
        words.push_str(&format!("  {runtime}"));
    }
    words.push_str(&format!("  since {}", text::clock(run.created_at, &model.zone)));
    put_both(buffer, area, 0, left, vec![Span::styled(words, theme.style(Role::Dim))]);
    let mut state = if run.ended { run.state.clone() } else { format!("{} {}", run.state, phase_bar(run)) };
    let tokens = run.usage.input_tokens + run.usage.output_tokens;
    if tokens > 0 {
        state.push_str(&format!("  {} tokens", text::short(tokens)));
    }
    if let Some(cost) = run.usage.cost_usd {
        state.push_str(&format!("  ${cost:.2}"));
    }
    let used = tabs(model, pane).last().map_or(0, |t| t.range.end + 2).min(area.width);
    let right = Rect {
        x: area.x + used,
        width: area.width - used,
        y: area.y + 1,
        height: area.height.min(2).saturating_sub(1),
    };
    put_both(buffer, right, 0, Vec::new(), vec![Span::styled(state, theme.style(Role::Dim))]);
}

/// `text` in pieces of at most `width` columns, cut anywhere: a log is shown as it is.
fn pieces(text: &str, width: usize) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut from = 0;
    while text::width(&text[from..]) > width {
        let rest = &text[from..];
        let after = text::skip(rest, width);
        let mut cut = rest.len() - after.len();
        if text::width(&rest[..cut]) > width {
            cut = rest[..cut].char_indices().next_back().map_or(cut, |(at, _)| at);
        }
        if cut == 0 {
            break;
        }
        out.push(from..from + cut);
        from += cut;
    }
    out.push(from..text.len());
    out
}

/// What stands out in a line, in order: words that changed, and what was searched for.
fn highlights(
    model: &Model,
    pane: &LogPane,
    line: &LogLine,
    style: Style,
    current: bool,
) -> Vec<(Range<usize>, Style)> {
    let theme = model.theme;
    let changed = style.patch(theme.style(Role::Strong)).add_modifier(Modifier::UNDERLINED);
    let mut out: Vec<_> = line.marks.iter().map(|range| (range.clone(), changed)).collect();
    if pane.needle.is_empty() {
        return out;
    }
    let exact = pane.needle.chars().any(char::is_uppercase);
    // Lower case may have another length; then the line is shown unmarked.
    let lower = line.text.to_lowercase();
    let hay = if exact { line.text.as_str() } else { lower.as_str() };
    if hay.len() != line.text.len() {
        return out;
    }
    let found = if current { theme.style(Role::Match) } else { style.patch(theme.style(Role::Bar)) };
    let matches = hay.match_indices(&pane.needle).map(|(at, m)| at..at + m.len());
    let matches: Vec<_> = matches
        .filter(|m| line.text.is_char_boundary(m.start) && line.text.is_char_boundary(m.end))
        .collect();
    // A match covers a changed word.
    out.retain(|(range, _)| matches.iter().all(|m| m.end <= range.start || m.start >= range.end));
    out.extend(matches.into_iter().map(|m| (m, found)));
    out.sort_by_key(|(range, _)| range.start);
    out
}

/// The piece of a line, with what stands out in it.
fn paint<'a>(
    text: &'a str,
    piece: Range<usize>,
    style: Style,
    cuts: &[(Range<usize>, Style)],
) -> Vec<Span<'a>> {
    let (mut spans, mut from) = (Vec::new(), piece.start);
    for (range, over) in cuts {
        let (start, end) = (range.start.max(from), range.end.min(piece.end));
        if start < end {
            spans.push(Span::styled(&text[from..start], style));
            spans.push(Span::styled(&text[start..end], *over));
            from = end;
        }
    }
    spans.push(Span::styled(&text[from..piece.end], style));
    spans
}

fn status(model: &Model, pane: &LogPane, buffer: &mut Buffer, area: Rect) {
    let mut left = if pane.kind == Kind::Diff {
        diff::place(pane)
    } else if pane.start == 0 && !pane.detached {
        format!("line {} of {}", pane.place().min(pane.len()), pane.len())
    } else {
        let at = pane.line(pane.top).map_or(pane.start, |l| l.at);
        let of = pane.known_end.max(1);
        format!("at {}B of {}B, {}%", text::short(at), text::short(of), at.min(of) * 100 / of)
    };
    if pane.loading && pane.len() > 0 {
        left.push_str("  loading…");
    }
    let follows = model.keys.name(Action::Follow);
    let news = match pane.unseen {
        0 => String::new(),
        n => format!("  {n} new below, {follows} follows"),
    };
    let on = |on: bool| if on { "on" } else { "off" };
    let mut right = String::new();
    if !pane.needle.is_empty() {
        let (at, of) = pane.tally();
        right.push_str(&format!("/{} {at} of {of}  ", text::line(&pane.needle)));
    }
    if pane.kind.streams() {
        match &pane.ended {
            Some(why) => right.push_str(&format!("{why}  ")),
            None => right.push_str(&format!("follow {}  ", on(pane.follow))),
        }
    } else if let Some(why) = &pane.ended {
        right.push_str(&format!("{why}  "));
    }
    right.push_str(&format!("wrap {}", on(pane.wrap)));
    if pane.shown != Shown::All || model.size.0 >= 100 {
        right.push_str(&format!("  level {}", pane.shown.word()));
    }
    let left = vec![
        Span::styled(left, model.theme.style(Role::Dim)),
        Span::styled(news, model.theme.style(Role::Strong)),
    ];
    put_both(buffer, area, 0, left, vec![Span::styled(right, model.theme.style(Role::Dim))]);
}
