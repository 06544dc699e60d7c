//! Who can work: programs and why one waits, lanes, agents by name.

use std::time::Duration;

use dispatch_shared::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::charts::{gauge, spark};
use super::rows::{self, Row, heading};
use super::words;
use crate::model::agents::{self, Key};
use crate::model::{Model, overview, text};
use crate::theme::{Mark, Role};

type Sides = (Vec<Span<'static>>, Vec<Span<'static>>);

fn all(model: &Model, width: u16) -> Vec<Row<Key>> {
    let mut out = vec![slots(model, width)];
    let mut last = None;
    for key in &model.agents.rows {
        let part = std::mem::discriminant(key);
        if last != Some(part) {
            last = Some(part);
            let (title, right) = match key {
                Key::Pool(_) => ("Programs", "today"),
                Key::Lane(_) => ("Lanes", "today"),
                Key::Agent(_) => ("Agents", "last seen"),
            };
            out.push(Row::Gap);
            out.push(heading(model, title, right));
        }
        out.push(Row::Item(key.clone()));
    }
    out
}

/// The place in the list of what stands in row `y` of the view.
pub(super) fn place_at(model: &Model, area: Rect, y: usize) -> Option<usize> {
    rows::place_at(&all(model, area.width), &model.agents, usize::from(area.height), y)
}

/// The first row: slots in use, and how many runs ended, hour by hour.
fn slots(model: &Model, width: u16) -> Row<Key> {
    let theme = model.theme;
    let Some(control) = &model.data.control else { return Row::Gap };
    let bar = gauge(control.running as u64, control.slots as u64, 8);
    let mut left = vec![
        Span::styled("Slots ", theme.style(Role::Strong)),
        Span::styled(bar, theme.style(Role::Running)),
        Span::raw(format!(" {}/{} running, {} ready", control.running, control.slots, control.ready)),
    ];
    if control.frozen {
        left.push(Span::styled("  frozen: F thaws", theme.style(Role::Alarm)));
    }
    let hours = if width >= 60 { 24 } else { 8 };
    let by_hour = overview::ended_by_hour(model, hours, None);
    let right = format!("ended in {hours}h {} {}", spark(&by_hour, 1), by_hour.iter().sum::<u64>());
    let right = super::filtered(model, &right);
    Row::Heading(left, vec![Span::styled(right, theme.style(Role::Dim))])
}

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    if model.agents.rows.is_empty() {
        let sentence = if model.filter.is_empty() {
            "Nobody has asked for work yet. `dispatch next --agent NAME` is how a harness does."
        } else {
            "No program, lane or agent has all of these words; Esc shows all."
        };
        return words(model, buffer, area, &[(Role::Plain, sentence.to_owned())]);
    }
    rows::draw(
        model,
        buffer,
        area,
        &all(model, area.width),
        &model.agents,
        |_| None,
        |key| match key {
            Key::Pool(program) => pool(model, program, area.width),
            Key::Lane(lane) => of_lane(model, lane, area.width),
            Key::Agent(agent) => of_agent(model, agent, area.width),
        },
    );
}

/// Runs, tokens and dollars of today.
fn today(model: &Model, by: &str, name: &str, width: u16) -> Vec<Span<'static>> {
    let Some(row) = agents::used(model, by, name) else { return Vec::new() };
    let about = if row.usage.estimated { "~" } else { "" };
    let cost = row.usage.cost_usd.map(|c| format!("{about}${c:.2}")).unwrap_or_default();
    let tokens = text::short(row.usage.tokens());
    let runs = if row.runs == 1 { "1 run".to_owned() } else { format!("{} runs", row.runs) };
    let words =
        if width >= 80 { format!("{runs:>8} {tokens:>6} {cost:>8}") } else { format!("{runs} {cost}") };
    vec![Span::styled(words, model.theme.style(Role::Dim))]
}

fn pool(model: &Model, program: &str, width: u16) -> Sides {
    let theme = model.theme;
    let pool = agents::pool(model, program);
    let mark = match () {
        () if pool.paused.is_some() || pool.wait.is_some() => Mark::Waits,
        () if pool.live > 0 => Mark::Fresh,
        () => Mark::Ready,
    };
    let mut left = vec![
        Span::styled(mark.glyph(), theme.style(mark.role())),
        Span::raw(format!(" {} ", text::pad(program, 16))),
    ];
    let waiting = theme.style(Role::Waiting);
    // In whole minutes, so that it does not tick.
    let left_of = |until: Timestamp| text::span(until.since(model.now).max(Duration::from_secs(60)));
    if let Some(pause) = pool.paused {
        let until = text::clock(pause.until, &model.zone);
        let words = format!("paused to {until}, {} left: {}", left_of(pause.until), pause.reason);
        left.push(Span::styled(words, waiting));
        return (left, vec![Span::styled("p resume", theme.style(Role::Strong))]);
    }
    if let Some(wait) = pool.wait {
        let until = text::clock(wait.until, &model.zone);
        let words = format!("waits to {until}, {} left: {}", left_of(wait.until), wait.reason);
        left.push(Span::styled(words, waiting));
        return (left, today(model, "program", program, width));
    }
    let role = if pool.live > 0 { Role::Running } else { Role::Dim };
    left.push(Span::styled(format!("{} live  ", pool.live), theme.style(role)));
    let (ended, well) = pool.ended;
    if ended > 0 && width >= 60 {
        left.push(Span::styled(format!("✓{well}"), theme.style(Role::Done)));
        if ended > well {
            left.push(Span::styled(format!(" ✗{}", ended - well), theme.style(Role::Alarm)));
        }
        left.push(Span::raw("  "));
    }
    if width >= 100 {
        let by_hour = overview::ended_by_hour(model, 24, Some(program));
        left.push(Span::styled(spark(&by_hour, 1), theme.style(Role::Running)));
        left.push(Span::styled(" 24h", theme.style(Role::Dim)));
    }
    (left, today(model, "program", program, width))
}

fn of_lane(model: &Model, id: &str, width: u16) -> Sides {
    let theme = model.theme;
    let lane = model.data.lanes.iter().find(|l| l.id == id);
    let (ready, in_progress, live) = agents::lane(model, id);
    let claimable = lane.is_some_and(|l| l.claimable);
    let mark = if claimable { Mark::Ready } else { Mark::Backlog };
    let role = if claimable { Role::Plain } else { Role::Dim };
    let mut left = vec![
        Span::styled(mark.glyph(), theme.style(mark.role())),
        Span::styled(format!(" {} ", text::pad(id, 16)), theme.style(role)),
        Span::raw(format!("{ready:>3} ready {in_progress:>3} in progress {live:>2} live")),
    ];
    if let Some(lane) = lane.filter(|_| width >= 60) {
        let role = lane.role.as_deref().map(|r| format!("  {r}")).unwrap_or_default();
        let agent = lane.default_agent.as_deref().map(|a| format!("  for {a}")).unwrap_or_default();
        let not = if claimable { "" } else { "  nothing is handed out" };
        left.push(Span::styled(format!("{role}{agent}{not}"), theme.style(Role::Dim)));
        if let Some(description) = lane.description.as_ref().filter(|_| width >= 120) {
            left.push(Span::styled(format!("  {description}"), theme.style(Role::Dim)));
        }
    }
    (left, today(model, "lane", id, width))
}

fn of_agent(model: &Model, name: &str, width: u16) -> Sides {
    let theme = model.theme;
    let (said, held) = agents::agent(model, name);
    let mark = if held > 0 { Mark::Fresh } else { Mark::Ready };
    let slots = said.slots.max(1);
    let mut left = vec![
        Span::styled(mark.glyph(), theme.style(mark.role())),
        Span::raw(format!(" {} ", text::pad(name, 16))),
        Span::styled(
            gauge(held as u64, slots as u64, slots.min(8)),
            theme.style(if held > 0 { Role::Running } else { Role::Dim }),
        ),
        Span::raw(format!(" {held}/{slots} held")),
    ];
    if width >= 60 {
        let counts: Vec<String> = said
            .by_status
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(status, n)| format!("{n} {status}"))
            .collect();
        left.push(Span::styled(format!("   {}", counts.join("  ")), theme.style(Role::Dim)));
    }
    let seen = said.last_seen_at.map_or("-".to_owned(), |at| text::age(model.now.since(at)));
    let used = if width >= 100 { today(model, "agent", name, width) } else { Vec::new() };
    let right = used.into_iter().chain([Span::styled(format!("{seen:>6}"), theme.style(Role::Dim))]);
    (left, right.collect())
}
