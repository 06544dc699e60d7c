//! Questions, menus and texts being typed: a bar and some rows at the bottom, above the footer.

use dispatch_shared::id::IssueId;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Span;
use ratatui::widgets::{Clear, Widget};

use super::areas::Areas;
use super::{filterbar, over, palette, put};
use crate::keymap::{self, Action};
use crate::model::overlay::{Bulk, Confirm, Input, Overlay, Pick, PickKind, Purpose};
use crate::model::{Model, agents, text};
use crate::theme::Role;
use crate::update::{picks, verbs};

/// Draws the layer if it is one of these; where the caret stands, if there is one.
pub(super) fn draw(model: &Model, overlay: &Overlay, buffer: &mut Buffer, areas: Areas) -> Option<Position> {
    match overlay {
        Overlay::Pick(pick) => menu(model, pick, buffer, areas),
        Overlay::Actions(menu) => {
            let verbs: Vec<_> = keymap::verbs().collect();
            let inner = open(model, buffer, areas, "What to do", verbs.len());
            let at = verbs.iter().position(|b| b.action == menu.choice).unwrap_or(0);
            let (top, height) = window(verbs.len(), at, inner);
            for (y, binding) in verbs.iter().skip(top).take(height).enumerate() {
                let why = verbs::why_not(model, binding.action);
                let words = format!("{:<9} {:<12}", model.keys.name(binding.action), binding.label);
                row(model, buffer, inner, y, &words, why.as_deref(), binding.action == menu.choice);
            }
        }
        Overlay::Confirm(confirm) => {
            let (title, lines) = question(model, confirm);
            sentences(model, buffer, areas, &title, &lines);
        }
        Overlay::Bulk(bulk) => many(model, bulk, buffer, areas),
        Overlay::Input(input) => return Some(typing(model, input, buffer, areas)),
        Overlay::Palette(palette) => return Some(palette::draw(model, palette, buffer, areas)),
        Overlay::Filter(bar) => return Some(filterbar::draw(model, bar, buffer, areas)),
        Overlay::Card(_) | Overlay::Log(_) | Overlay::Repo(_) | Overlay::Help(_) => {}
    }
    None
}

/// The first row shown and how many fit, so that row `at` of `count` is among them.
pub(super) fn window(count: usize, at: usize, area: Rect) -> (usize, usize) {
    let height = usize::from(area.height).max(1);
    ((at + 1).saturating_sub(height).min(count.saturating_sub(height)), height)
}

/// Which row of a menu stands at `y`.
pub(super) fn row_at(model: &Model, areas: Areas, overlay: &Overlay, y: u16) -> Option<usize> {
    let (count, choice) = match overlay {
        Overlay::Pick(pick) => {
            let rows = picks::rows(model, pick);
            (rows.len(), rows.iter().position(|r| r.id == pick.choice).unwrap_or(0))
        }
        Overlay::Actions(menu) => {
            let choice = keymap::verbs().position(|b| b.action == menu.choice).unwrap_or(0);
            (keymap::verbs().count(), choice)
        }
        _ => return None,
    };
    let full = areas.full;
    let height = count.min(usize::from(full.height.saturating_sub(1)));
    let first = full.y + full.height - u16::try_from(height).unwrap_or(full.height);
    let row = usize::from(y.checked_sub(first)?);
    let (top, _) =
        window(count, choice, Rect { height: u16::try_from(height).unwrap_or(full.height), ..full });
    (row < height).then_some(top + row)
}

/// Clears room for `rows` rows under a bar with `title`, and returns it. A toast stays visible on the bar's other end.
pub(super) fn open(model: &Model, buffer: &mut Buffer, areas: Areas, title: &str, rows: usize) -> Rect {
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
pub(super) fn row(
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

fn number(model: &Model, id: &IssueId) -> String {
    model.data.issues.get(id).map_or_else(|| "a card that is gone".to_owned(), |i| format!("#{}", i.number))
}

/// One card by its number, several by their count.
fn about(model: &Model, issues: &[IssueId]) -> String {
    match issues {
        [one] => number(model, one),
        many => format!("{} cards", many.len()),
    }
}

fn menu(model: &Model, pick: &Pick, buffer: &mut Buffer, areas: Areas) {
    let cards = about(model, &pick.issues);
    let title = match pick.kind {
        PickKind::Move => format!("Move {cards} to"),
        PickKind::Priority => format!("Priority of {cards}"),
        PickKind::Labels => {
            format!("Labels of {cards}; {} switches one and goes on", model.keys.name(Action::Mark))
        }
        PickKind::Lane => format!("Lane of {cards}"),
        PickKind::Copy => "Copy".to_owned(),
        PickKind::Start => format!("Start a run on {cards}"),
        PickKind::Options => "How the board is shown".to_owned(),
        PickKind::Theme => "Colours".to_owned(),
        PickKind::Resume => "Let a paused program go on".to_owned(),
    };
    let rows = picks::rows(model, pick);
    let inner = open(model, buffer, areas, &title, rows.len());
    let at = rows.iter().position(|r| r.id == pick.choice).unwrap_or(0);
    let (top, height) = window(rows.len(), at, inner);
    for (y, entry) in rows.iter().skip(top).take(height).enumerate() {
        let key = entry.key.map(String::from).unwrap_or_default();
        let on = match entry.on {
            Some(true) => "[x] ",
            Some(false) => "[ ] ",
            None => "",
        };
        let words = format!("{key:<2}{on}{}", entry.words);
        let words = text::fit(&words, usize::from(inner.width).saturating_sub(2));
        row(model, buffer, inner, y, &words, entry.why.as_deref(), entry.id == pick.choice);
    }
}

fn sentences(model: &Model, buffer: &mut Buffer, areas: Areas, title: &str, lines: &[String]) {
    let width = usize::from(areas.full.width).saturating_sub(2);
    let lines: Vec<String> = lines.iter().flat_map(|l| text::wrap(l, width)).collect();
    let inner = open(model, buffer, areas, title, lines.len());
    for (y, line) in lines.into_iter().enumerate() {
        put(buffer, inner, u16::try_from(y).unwrap_or(u16::MAX), vec![Span::raw(line)]);
    }
}

/// What is done to which things, and which are left out and why; as many names as there is room for.
fn many(model: &Model, bulk: &Bulk, buffer: &mut Buffer, areas: Areas) {
    let room = usize::from(areas.full.height).saturating_sub(2).max(2);
    let part = |lines: Vec<String>, room: usize| {
        let more = lines.len().saturating_sub(room.max(1));
        let mut out: Vec<String> = lines.into_iter().take(room.max(1)).collect();
        if more > 0 {
            out.pop();
            out.push(format!("  and {} more", more + 1));
        }
        out
    };
    let left_out: Vec<String> = bulk.excluded.iter().map(|(name, why)| format!("  {name}: {why}")).collect();
    let space = if left_out.is_empty() { room } else { room / 2 };
    let width = usize::from(areas.full.width).saturating_sub(2);
    let fit = |line: String| text::fit(&line, width);
    let mut lines = part(bulk.steps.iter().map(|(name, _)| fit(format!("  {name}"))).collect(), space);
    if !left_out.is_empty() {
        lines.push(format!("Left out, {}:", left_out.len()));
        let space = room.saturating_sub(lines.len());
        lines.extend(part(left_out.into_iter().map(fit).collect(), space));
    }
    let title = format!("{}: {}? {}", bulk.what, bulk.steps.len(), yes_no(model));
    let inner = open(model, buffer, areas, &title, lines.len());
    for (y, line) in lines.into_iter().enumerate() {
        let role = if line.starts_with("Left out") { Role::Waiting } else { Role::Plain };
        put(
            buffer,
            inner,
            u16::try_from(y).unwrap_or(u16::MAX),
            vec![Span::styled(line, model.theme.style(role))],
        );
    }
}

fn yes_no(model: &Model) -> String {
    format!("{} yes, {} no", model.keys.name(Action::Yes), model.keys.name(Action::No))
}

fn question(model: &Model, confirm: &Confirm) -> (String, Vec<String>) {
    let yes_no = yes_no(model);
    match confirm {
        Confirm::Kill { run, attempt } => {
            let about = model
                .data
                .runs
                .get(run)
                .map_or_else(String::new, |r| format!("{} {}, {}", r.subject, r.title, r.program));
            let stopping = model.data.runs.get(run).is_some_and(|r| r.stopping);
            let what = if stopping {
                format!(
                    "It is being stopped already; {} ends it without the grace.",
                    model.keys.name(Action::Now)
                )
            } else {
                "It gets TERM, a grace, then KILL. Nothing is published; the workspace stays.".to_owned()
            };
            (format!("Kill {run}, attempt {}? {yes_no}", attempt.ordinal()), vec![about, what])
        }
        Confirm::Release { issue, agent, .. } => (
            format!("Take {} away from {agent}? {yes_no}", number(model, issue)),
            vec!["Its lease is live. Whatever it reports later is refused; a run of ours stops.".to_owned()],
        ),
        Confirm::ForceClaim { issue, agent, why } => {
            (format!("Claim {} for {agent} nevertheless? {yes_no}", number(model, issue)), vec![why.clone()])
        }
        Confirm::Untrack { repo } => (
            format!("Track {repo} no longer? {yes_no}"),
            vec!["Its cards leave the board, its live runs end unpublished; its history stays.".to_owned()],
        ),
        Confirm::RunnerOn { repo } => {
            let ready = model.data.repos.get(repo).map_or(0, |r| r.columns[1]);
            (
                format!("Let the built-in runner work on {repo}? {yes_no}"),
                vec![format!("It takes what is ready, {ready} cards now, and that may cost money.")],
            )
        }
        Confirm::Quit { why } => {
            let runs = model.data.live_runs();
            (
                format!("Quit all the same? {yes_no}"),
                vec![format!("Not done: {why}."), format!("{runs} runs go on in the daemon.")],
            )
        }
        Confirm::Labels { repo, labels, missing } => {
            let mut lines: Vec<String> = missing.iter().map(|m| format!("✗ {m}")).collect();
            if labels.is_empty() {
                let yes = model.keys.name(Action::Yes);
                return (format!("{repo} is tracked, but not everything is allowed; {yes} goes on"), lines);
            }
            lines.push(format!(
                "They are the columns, lanes and flags that are read from: {}",
                labels.join(", ")
            ));
            (format!("{repo} is tracked. Make its {} missing labels? {yes_no}", labels.len()), lines)
        }
        Confirm::Resume { program } => {
            let pause = agents::pause(model, program);
            let why = pause.map_or_else(String::new, |p| {
                format!("Paused to {}: {}", text::clock(p.until, &model.zone), p.reason)
            });
            (format!("Let {program} go on? {yes_no}"), vec![why])
        }
    }
}

fn typing(model: &Model, input: &Input, buffer: &mut Buffer, areas: Areas) -> Position {
    let title = match &input.purpose {
        Purpose::Claim(issues) => format!("Claim {} for the agent named", about(model, issues)),
        Purpose::Answer(run) => format!("Answer {run}: the agent goes on with it"),
        Purpose::Comment(issue) => format!("Comment on {}, Markdown", number(model, issue)),
        Purpose::Note(issue) => format!("{} is split into others: why, and into what", number(model, issue)),
        Purpose::Block(issue) => format!("{} is blocked: what it waits for", number(model, issue)),
        Purpose::Label(issues) => format!("Put another label on {}", about(model, issues)),
        Purpose::Program(issue) => {
            format!("Start a run on {} with: program or program:model", number(model, issue))
        }
        Purpose::Start { issue, program } => {
            let with = program.as_ref().map(|p| format!(" with {p}")).unwrap_or_default();
            format!("Start a run on {}{with}: what is to be done", number(model, issue))
        }
        Purpose::KillAll(runs) => format!("Kill all {} runs? Type their number", runs.len()),
        Purpose::WipLimit(repo) => {
            format!("Cards of {repo} in review before no more is handed out; 0 is no limit")
        }
        Purpose::SaveFilter => format!("Keep `{}` under the name", model.filter),
        Purpose::Goto => "Go to card number, or run r-…".to_owned(),
        Purpose::Lanes(repo) => format!("Lanes that {repo} hands out from, with commas; none is all"),
        Purpose::Workflow { repo, .. } => {
            format!("Start in {repo}: ref=BRANCH and NAME=VALUE for each input")
        }
        Purpose::Track => "Track a directory with a git repository, or OWNER/NAME on GitHub".to_owned(),
        Purpose::Token(what) => {
            format!("GitHub's token, to track {what}: the daemon keeps it, in a file that only you can read")
        }
        Purpose::Search => "Search (a capital letter makes it exact)".to_owned(),
        Purpose::Words => String::new(),
    };
    let mut asked = Vec::new();
    let width = usize::from(areas.full.width).saturating_sub(2);
    match &input.purpose {
        Purpose::Answer(run) => {
            if let Some(question) = model.data.runs.get(run).and_then(|r| r.question.as_ref()) {
                asked = text::wrap(question, width);
                asked.truncate(6);
            }
        }
        Purpose::KillAll(runs) => {
            let subject = |run| model.data.runs.get(run).map_or(String::new(), |r| r.subject.clone());
            let names: Vec<String> = runs.iter().map(|(run, _)| format!("{run} {}", subject(run))).collect();
            asked = text::wrap(&names.join(", "), width);
            asked.truncate(6);
        }
        _ => {}
    }
    let room = width.saturating_sub(1).max(1);
    let want = if input.is_long() { hard_wrap(&input.text, room).len().clamp(3, 8) } else { 1 };
    let inner = open(model, buffer, areas, &title, asked.len() + want);
    for (y, line) in asked.iter().enumerate() {
        let span = Span::styled(line.clone(), model.theme.style(Role::Dim));
        put(buffer, inner, u16::try_from(y).unwrap_or(u16::MAX), vec![span]);
    }
    let above = u16::try_from(asked.len()).unwrap_or(u16::MAX).min(inner.height.saturating_sub(1));
    let rest = Rect { y: inner.y + above, height: inner.height.saturating_sub(above), ..inner };
    field(input, buffer, rest)
}

/// The text itself, and where its caret stands. Rows break where the screen ends, so the caret is easy to place.
pub(super) fn field(input: &Input, buffer: &mut Buffer, area: Rect) -> Position {
    let width = usize::from(area.width).saturating_sub(1).max(1);
    let height = usize::from(area.height).max(1);
    let hide = |text: String| if input.is_secret() { "*".repeat(text.chars().count()) } else { text };
    let before = hide(input.text.chars().take(input.caret).collect());
    let lines = hard_wrap(&hide(input.text.clone()), width);
    let up_to = hard_wrap(&before, width);
    let caret_row = up_to.len().saturating_sub(1);
    let top = (caret_row + 1).saturating_sub(height);
    for (y, line) in lines.iter().skip(top).take(height).enumerate() {
        put(buffer, area, u16::try_from(y).unwrap_or(u16::MAX), vec![Span::raw(line.clone())]);
    }
    let x = up_to.last().map_or(0, |l| text::width(l)).min(width);
    let y = (caret_row - top).min(usize::from(area.height.saturating_sub(1)));
    Position {
        x: area.x + u16::try_from(x).unwrap_or(0).min(area.width.saturating_sub(1)),
        y: area.y + u16::try_from(y).unwrap_or(0),
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
