//! The first two rows: the connection and the numbers that matter, and the tabs.

use std::ops::Range;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{put, put_both};
use crate::model::{Link, Model, View, text};
use crate::theme::Role;

pub(super) fn draw(model: &Model, buffer: &mut Buffer, header: Rect, bar: Rect) {
    let theme = model.theme;
    let (word, role) = link(model);
    let mut left = vec![
        Span::styled("dispatch", theme.style(Role::Strong)),
        Span::raw("  "),
        Span::styled(word, theme.style(role)),
    ];
    if model.data.control.as_ref().is_some_and(|c| c.frozen) {
        left.push(Span::raw("  "));
        left.push(Span::styled(" FROZEN ", theme.style(Role::Alarm).patch(theme.style(Role::Bar))));
    }
    let used: usize = left.iter().map(Span::width).sum();
    // Long work is told of as well: what matters least gives way to it.
    let others = model.data.progress.len().saturating_sub(1);
    let others = if others > 0 { format!(" +{others}") } else { String::new() };
    let work = model.data.progress.first().map(|work| format!("{}{others}", work.words(model.now)));
    let width = usize::from(header.width);
    let kept = work.as_ref().map_or(0, |words| (text::width(words) + 2).min(width / 3));
    let numbers = numbers(model, width.saturating_sub(used + kept + 2));
    let taken: usize = numbers.iter().map(Span::width).sum();
    if let Some(words) = work {
        let words = text::fit(&words, width.saturating_sub(used + taken + 4));
        left.push(Span::styled(format!("  {words}"), theme.style(Role::Dim)));
    }
    put_both(buffer, header, 0, left, numbers);
    for tab in tabs(model) {
        let role = match () {
            () if tab.view == model.view => Role::Strong,
            () => Role::Plain,
        };
        let place = Rect { x: tab.range.start, width: bar.width.saturating_sub(tab.range.start), ..bar };
        put(buffer, place, 0, vec![Span::styled(tab.text, theme.style(role))]);
    }
}

/// The state of the connection in a few words.
fn link(model: &Model) -> (String, Role) {
    match &model.link {
        Link::Connecting(None) => ("connecting…".to_owned(), Role::Waiting),
        Link::Connecting(Some(_)) => ("no daemon, retrying".to_owned(), Role::Alarm),
        Link::Live => ("live".to_owned(), Role::Done),
        Link::Stale { since, .. } => {
            let age = model.now.since(*since);
            let age = if age < Duration::from_secs(60) {
                format!("{}s", age.as_secs() / 10 * 10)
            } else {
                text::age(age)
            };
            (format!("stale {age}, retrying"), Role::Alarm)
        }
    }
}

/// The numbers that fit into `room` columns; the less they matter the sooner they go.
fn numbers(model: &Model, room: usize) -> Vec<Span<'static>> {
    let Some(control) = &model.data.control else { return Vec::new() };
    let theme = model.theme;
    let wide = model.size.0 >= 100;
    let needs = model.data.problems.len();
    let mut parts: Vec<(u8, Span<'static>)> = Vec::new();
    if needs > 0 {
        parts.push((0, Span::styled(format!("! {needs} need you"), theme.style(Role::Alarm))));
    }
    let running = format!("{}/{} running", control.running, control.slots);
    let role = if control.running > 0 { Role::Running } else { Role::Plain };
    parts.push((1, Span::styled(running, theme.style(role))));
    parts.push((4, Span::raw(format!("{} ready", control.ready))));
    if let Some(limit) = control.rate_limit.filter(|l| l.limit > 0) {
        let slowed = control.budget.slowed.as_ref();
        let alarm = slowed.is_some() || limit.remaining * 5 < limit.limit;
        let role = if alarm { Role::Alarm } else { Role::Plain };
        let mut words = if wide {
            format!("gh {}/{}", limit.remaining, limit.limit)
        } else {
            format!("gh {}%", limit.remaining * 100 / limit.limit)
        };
        if let Some(slowed) = slowed {
            words.push_str(&format!(", sync slow for {}", text::age(slowed.until.since(model.now))));
        }
        parts.push((3, Span::styled(words, theme.style(role))));
    }
    if control.writes_pending > 0 {
        parts.push((
            5,
            Span::styled(format!("~{} writes", control.writes_pending), theme.style(Role::Waiting)),
        ));
    }
    parts.push((2, spent(model, wide)));
    if let Some(wait) = control.waits.first() {
        let more = control.waits.len().saturating_sub(1);
        let more = if more > 0 { format!(" +{more}") } else { String::new() };
        parts.push((6, Span::styled(format!("{} waits{more}", wait.program), theme.style(Role::Waiting))));
    }
    let cost = |parts: &[(u8, Span<'static>)]| parts.iter().map(|(_, s)| s.width() + 3).sum::<usize>();
    while cost(&parts) > room + 3 {
        let Some(least) = parts.iter().map(|(rank, _)| *rank).max() else { break };
        parts.retain(|(rank, _)| *rank != least);
    }
    let mut spans = Vec::new();
    for (_, span) in parts {
        if !spans.is_empty() {
            spans.push(Span::raw("   "));
        }
        spans.push(span);
    }
    spans
}

/// What was spent today, and of how much where there is a budget; a sum that is partly reckoned says so.
fn spent(model: &Model, wide: bool) -> Span<'static> {
    let Some(control) = &model.data.control else { return Span::raw("") };
    let about = if control.today.estimated { "~" } else { "" };
    let spent = format!("{about}${:.2}", control.cost_today_usd);
    let today = if wide { " today" } else { "" };
    let near = control.budgets.iter().any(|b| b.percent >= 80);
    let role = if near { Role::Alarm } else { Role::Plain };
    match control.budgets.iter().find(|b| b.name == "day") {
        Some(day) => {
            let of = day.limit_usd.map_or_else(|| format!(" ({}%)", day.percent), |l| format!("/{l:.0}"));
            Span::styled(format!("{spent}{of}{today}"), model.theme.style(role))
        }
        None => Span::styled(format!("{spent}{today}"), model.theme.style(role)),
    }
}

/// A tab and its place.
#[derive(Clone, Debug)]
pub(crate) struct Tab {
    pub(crate) view: View,
    pub(crate) text: String,
    pub(crate) range: Range<u16>,
}

/// How much of a tab is written out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Titles {
    /// With all that is counted.
    All,
    /// Only with what wants a person.
    Urgent,
    /// Numbers alone, but for the one that is shown.
    Current,
}

/// The tabs, as wide as they may be.
pub(crate) fn tabs(model: &Model) -> Vec<Tab> {
    let ways = [(Titles::All, 2), (Titles::All, 1), (Titles::Urgent, 1), (Titles::Current, 1)];
    let mut laid = ways.into_iter().map(|(titles, gap)| lay(model, titles, gap));
    let fits = |tabs: &Vec<Tab>| tabs.last().is_some_and(|t| t.range.end <= model.size.0);
    laid.find(fits).unwrap_or_else(|| lay(model, Titles::Current, 1))
}

fn lay(model: &Model, titles: Titles, gap: u16) -> Vec<Tab> {
    let mut x = 0;
    let mut out = Vec::new();
    for (at, view) in View::ALL.into_iter().enumerate() {
        let number = at + 1;
        let current = view == model.view;
        let count = match view {
            View::Problems => Some(model.data.problems.len()).filter(|n| *n > 0).map(|n| n.to_string()),
            View::Runs => Some(model.data.live_runs()).filter(|n| *n > 0).map(|n| n.to_string()),
            View::Queue => {
                model.data.control.as_ref().map(|c| c.ready).filter(|n| *n > 0).map(|n| n.to_string())
            }
            View::Repos => model.data.repos.values().any(|r| r.sync_error.is_some()).then(|| "!".to_owned()),
            _ => None,
        };
        let mut text = number.to_string();
        if current || titles != Titles::Current {
            text = format!("{number} {}", view.title());
            let counts = titles != Titles::Urgent || matches!(view, View::Problems | View::Repos);
            if let Some(count) = count.filter(|_| counts) {
                text = format!("{text} {count}");
            }
        }
        if current {
            text = format!("[{text}]");
        }
        let width = u16::try_from(text::width(&text)).unwrap_or(u16::MAX);
        out.push(Tab { view, text, range: x..x.saturating_add(width) });
        x = x.saturating_add(width + gap);
    }
    out
}
