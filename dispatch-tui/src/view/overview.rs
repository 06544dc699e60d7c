//! Everything in numbers: cards by column, what is limited and how much of it is used, days and hours, agents, what is
//! stale, the newest runs and deeds. Blocks in one, two or three columns; what does not fit says how much is left out.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::charts::{bar, gauge, spark};
use super::{activity, more, over, put_both};
use crate::model::card::{column_title, run_mark};
use crate::model::overview::{self, Key};
use crate::model::{Model, agents, text};
use crate::theme::{Mark, Role};

struct Line {
    left: Vec<Span<'static>>,
    right: Vec<Span<'static>>,
    key: Option<Key>,
}

struct Block {
    title: String,
    right: String,
    lines: Vec<Line>,
    /// What is said if there are no lines.
    empty: &'static str,
}

impl Block {
    fn new(title: &str, empty: &'static str) -> Self {
        Self { title: title.to_owned(), right: String::new(), lines: Vec::new(), empty }
    }

    fn line(&mut self, left: Vec<Span<'static>>, right: Vec<Span<'static>>) {
        self.lines.push(Line { left, right, key: None });
    }

    /// Rows that it would like to have, its title and a gap included.
    fn wants(&self) -> usize {
        self.lines.len().max(1) + 2
    }
}

/// Makes a block, as wide as its column.
type Make = fn(&Model, u16) -> Block;

fn columns_of(width: u16) -> Vec<Vec<Make>> {
    match width {
        0..60 => vec![vec![cards, limits, week, stale, who, runs, deeds]],
        60..150 => vec![vec![cards, limits, week], vec![stale, who, runs, deeds]],
        _ => vec![vec![cards, limits, week], vec![stale, who], vec![runs, deeds]],
    }
}

/// The rows of each block: as many as it wants if there is room, else the longest give way first.
fn share(wants: &[usize], room: usize) -> Vec<usize> {
    let mut rows = wants.to_vec();
    while rows.iter().sum::<usize>() > room {
        let Some(longest) = rows.iter_mut().filter(|r| **r > 3).max() else { break };
        *longest -= 1;
    }
    rows
}

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let columns = columns_of(area.width);
    let count = u16::try_from(columns.len()).unwrap_or(1);
    for (at, makers) in columns.iter().enumerate() {
        let at = u16::try_from(at).unwrap_or(0);
        let x = area.width * at / count;
        let width = (area.width * (at + 1) / count - x).saturating_sub(if at + 1 < count { 2 } else { 0 });
        let column = Rect { x: area.x + x, width, ..area };
        let blocks: Vec<Block> = makers.iter().map(|make| make(model, width)).collect();
        let wants: Vec<usize> = blocks.iter().map(Block::wants).collect();
        let mut y = 0;
        for (block, rows) in blocks.iter().zip(share(&wants, usize::from(area.height) + 1)) {
            let rows = u16::try_from(rows).unwrap_or(u16::MAX).min(column.height.saturating_sub(y) + 1);
            let place = Rect { y: column.y + y, height: rows.saturating_sub(1), ..column };
            draw_block(model, buffer, place, block);
            y += rows;
        }
    }
}

fn draw_block(model: &Model, buffer: &mut Buffer, area: Rect, block: &Block) {
    let theme = model.theme;
    if area.height == 0 {
        return;
    }
    let title = vec![Span::styled(block.title.clone(), theme.style(Role::Strong))];
    put_both(buffer, area, 0, title, vec![Span::styled(block.right.clone(), theme.style(Role::Dim))]);
    if block.lines.is_empty() {
        let empty = vec![Span::styled(format!(" {}", block.empty), theme.style(Role::Dim))];
        return put_both(buffer, area, 1, empty, Vec::new());
    }
    let room = usize::from(area.height.saturating_sub(1));
    let shown = if block.lines.len() > room { room.saturating_sub(1) } else { room };
    let chosen = model.numbers.cursor.as_ref();
    let at = block.lines.iter().position(|l| l.key.is_some() && l.key.as_ref() == chosen).unwrap_or(0);
    let top = (at + 1).saturating_sub(shown.max(1));
    for (y, line) in block.lines.iter().skip(top).take(shown).enumerate() {
        let y = u16::try_from(y + 1).unwrap_or(u16::MAX);
        let is_chosen = line.key.is_some() && line.key.as_ref() == chosen;
        let mut left = line.left.clone();
        left.insert(0, Span::raw(if is_chosen { "›" } else { " " }));
        put_both(buffer, area, y, left, line.right.clone());
        if is_chosen {
            over(model, buffer, area, y, Role::Bar);
        }
    }
    let left_out = block.lines.len().saturating_sub(top + shown);
    more(model, buffer, area, area.height - 1, left_out);
}

/// Cards in each column.
fn cards(model: &Model, width: u16) -> Block {
    let mut block = Block::new("Cards", "no cards");
    let counts = overview::columns(model);
    let most = counts.iter().copied().max().unwrap_or(0);
    let room = usize::from(width).saturating_sub(20).min(40);
    let roles = [Role::Dim, Role::Plain, Role::Running, Role::Review, Role::Done];
    for (at, status) in dispatch_shared::issue::Status::ALL.into_iter().enumerate() {
        let words = format!("{} {:>5}  ", text::pad(column_title(status), 11), counts[at]);
        let bar = Span::styled(bar(counts[at], most, room), model.theme.style(roles[at]));
        block.line(vec![Span::raw(words), bar], Vec::new());
    }
    block.right = format!("{} in all", counts.iter().sum::<u64>());
    block
}

/// What is limited, and how much of it is used: slots, the forge, budgets.
fn limits(model: &Model, width: u16) -> Block {
    let mut block = Block::new("Limits", "nothing is known yet");
    let Some(control) = &model.data.control else { return block };
    let theme = model.theme;
    let room = usize::from(width).saturating_sub(38).clamp(6, 24);
    let mut put = |name: &str, part: u64, whole: u64, words: String, alarm: bool| {
        let role = if alarm { Role::Alarm } else { Role::Running };
        let left = vec![
            Span::raw(format!("{} ", text::pad(name, 11))),
            Span::styled(gauge(part, whole, room), theme.style(role)),
        ];
        block.line(left, vec![Span::raw(words)]);
    };
    let (running, slots) = (control.running as u64, control.slots as u64);
    put("slots", running, slots, format!("{running}/{slots}"), false);
    let until = |at| text::clock(at, &model.zone);
    for limit in control.budget.resources.iter().filter(|r| r.limit > 0) {
        let used = limit.limit.saturating_sub(limit.remaining);
        let name = if limit.resource == "core" { "github" } else { limit.resource.as_str() };
        let words = format!("{} left to {}", limit.remaining, until(limit.reset_at));
        put(name, used, limit.limit, words, limit.remaining * 5 < limit.limit);
    }
    if control.budget.resources.is_empty()
        && let Some(limit) = control.rate_limit.filter(|l| l.limit > 0)
    {
        let used = limit.limit.saturating_sub(limit.remaining);
        let words = format!("{} left to {}", limit.remaining, until(limit.reset_at));
        put("github", used, limit.limit, words, limit.remaining * 5 < limit.limit);
    }
    for budget in &control.budgets {
        let spent = match (budget.limit_usd, budget.limit_tokens) {
            (Some(limit), _) => format!("${:.2} of ${limit:.2}", budget.used.cost_usd.unwrap_or(0.0)),
            (None, Some(limit)) => {
                format!("{} of {}", text::short(budget.used.tokens()), text::short(limit))
            }
            (None, None) => format!("{}%", budget.percent),
        };
        let name = budget.name.strip_prefix("program ").unwrap_or(&budget.name);
        put(name, budget.percent, 100, spent, budget.percent >= 80);
    }
    if let Some(slowed) = &control.budget.slowed {
        let words = format!("sync slow to {}: {}", until(slowed.until), slowed.reason);
        block.line(vec![Span::styled(words, theme.style(Role::Waiting))], Vec::new());
    }
    if control.sync.failing > 0 || control.sync.unread > 0 {
        let words = format!("{} syncs fail, {} not read yet", control.sync.failing, control.sync.unread);
        block.line(vec![Span::styled(words, theme.style(Role::Waiting))], Vec::new());
    }
    block.right = control.runtime.clone();
    block
}

/// What the last week and the last day brought.
fn week(model: &Model, width: u16) -> Block {
    let title = if width >= 50 { "Throughput and cost" } else { "Throughput" };
    let mut block = Block::new(title, "no run yet");
    let theme = model.theme;
    let mut put = |name: &str, values: &[u64], wide: usize, total: String| {
        let left = vec![
            Span::raw(format!("{} ", text::pad(name, 11))),
            Span::styled(spark(values, wide), theme.style(Role::Running)),
        ];
        block.line(left, vec![Span::raw(total)]);
    };
    let hours = overview::ended_by_hour(model, 24, None);
    let days = overview::days(model);
    let wide = usize::from(width).saturating_sub(30) / 7;
    let wide = wide.clamp(1, 3);
    if !days.is_empty() {
        let runs: Vec<u64> = days.iter().map(|d| d.1).collect();
        let cents: Vec<u64> = days.iter().map(|d| d.2).collect();
        let total: u64 = cents.iter().sum();
        put("runs, 7d", &runs, wide, runs.iter().sum::<u64>().to_string());
        put("cost, 7d", &cents, wide, format!("${}.{:02}", total / 100, total % 100));
    }
    let shown = if width >= 44 { 24 } else { 12 };
    let recent = &hours[hours.len() - shown..];
    put(&format!("ended, {shown}h"), recent, 1, recent.iter().sum::<u64>().to_string());
    if let Some(control) = &model.data.control {
        let about = if control.today.estimated { "~" } else { "" };
        block.right = format!(
            "today {about}${:.2}, {} tokens",
            control.cost_today_usd,
            text::short(control.today.tokens())
        );
    }
    block
}

/// In progress, and nothing came of it for a day.
fn stale(model: &Model, _: u16) -> Block {
    let mut block = Block::new("Stale in progress", "nothing: all work was renewed or pushed within a day");
    for issue in model.overview.iter().flat_map(|o| &o.stale_in_progress) {
        let who = issue.agent.as_deref().map(|a| a.trim_start_matches("agent/").to_owned());
        let who = who.or_else(|| issue.claim.as_ref().map(|c| c.agent_name.to_string())).unwrap_or_default();
        let left = vec![
            Span::styled(Mark::Silent.glyph(), model.theme.style(Role::Waiting)),
            Span::raw(format!(" #{} {}", issue.number, issue.title)),
        ];
        let right = format!("{who} {:>4}", text::age(model.now.since(issue.since)));
        let right = vec![Span::styled(right, model.theme.style(Role::Dim))];
        block.lines.push(Line { left, right, key: Some(Key::Stale(issue.issue_id.clone())) });
    }
    block
}

/// What each agent is about.
fn who(model: &Model, width: u16) -> Block {
    let mut block = Block::new("Agents", "nobody has asked for work yet");
    for key in &model.agents.rows {
        let agents::Key::Agent(name) = key else { continue };
        let (said, held) = agents::agent(model, name);
        let count = |status: &str| said.by_status.get(status).copied().unwrap_or(0);
        let (working, review, slots) = (count("in-progress"), count("in-review"), said.slots.max(1));
        let words = if width >= 50 {
            format!(" {} {held}/{slots} held, {working} working, {review} review", text::pad(name, 16))
        } else {
            format!(" {} {held}/{slots} held, {working} working", text::pad(name, 12))
        };
        let mark = if held > 0 { Mark::Fresh } else { Mark::Ready };
        let seen = said.last_seen_at.map_or("-".to_owned(), |at| text::age(model.now.since(at)));
        block.line(
            vec![Span::styled(mark.glyph(), model.theme.style(mark.role())), Span::raw(words)],
            vec![Span::styled(seen, model.theme.style(Role::Dim))],
        );
    }
    block
}

fn runs(model: &Model, width: u16) -> Block {
    let mut block = Block::new("Recent runs", "no run yet");
    for key in &model.numbers.rows {
        let Key::Run(id) = key else { continue };
        let Some(run) = model.data.runs.get(id) else { continue };
        let mark = run_mark(run, model.now);
        let program = if width >= 50 { format!("{} ", text::pad(&run.program, 12)) } else { String::new() };
        let left = vec![
            Span::styled(mark.glyph(), model.theme.style(mark.role())),
            Span::raw(format!(" {:<7} {} {program}", run.id.to_string(), text::pad(&run.subject, 6))),
            Span::styled(run.state.clone(), model.theme.style(mark.role())),
        ];
        let age = text::age(model.now.since(run.ended_at.unwrap_or(run.created_at)));
        let cost = run.usage.cost_usd.map(|c| format!("${c:.2}")).unwrap_or_default();
        let right = vec![Span::styled(format!("{cost:>7} {age:>4}"), model.theme.style(Role::Dim))];
        block.lines.push(Line { left, right, key: Some(key.clone()) });
    }
    block
}

fn deeds(model: &Model, width: u16) -> Block {
    let mut block = Block::new("Recent activity", "nothing was done yet");
    for key in &model.numbers.rows {
        let Key::Audit(id) = key else { continue };
        let Some(row) = model.activity.audit.get(id) else { continue };
        let (left, right) = if width >= 60 {
            activity::of_row(model, row, width)
        } else {
            let (mark, role) = if row.success { ("✓", Role::Done) } else { ("✗", Role::Alarm) };
            let subject = row.issue_number.map(|n| format!("#{n} ")).unwrap_or_default();
            let left = vec![
                Span::styled(mark, model.theme.style(role)),
                Span::raw(format!(" {} {subject}{}", text::pad(&row.actor, 10), row.action)),
            ];
            let age = text::age(model.now.since(row.created_at));
            (left, vec![Span::styled(age, model.theme.style(Role::Dim))])
        };
        block.lines.push(Line { left, right, key: Some(key.clone()) });
    }
    block
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn the_longest_block_gives_way_first() {
        assert_eq!(share(&[5, 6], 20), [5, 6], "there is room for all");
        assert_eq!(share(&[5, 20], 15), [5, 10]);
        assert_eq!(share(&[20, 20], 20).iter().sum::<usize>(), 20);
        assert_eq!(share(&[3, 3, 3], 5), [3, 3, 3], "a title and a line each, whatever fits of them");
    }
}
