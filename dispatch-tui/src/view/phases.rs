//! The phases of a run as a timeline: when each began, how long it took, and what came of it all.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::protocol::runs::Run;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::put;
use crate::model::log::LogPane;
use crate::model::{Model, text};
use crate::theme::Role;

/// A phase: its word, when it began, and when it was over.
struct Stretch {
    word: &'static str,
    from: Timestamp,
    to: Timestamp,
    over: bool,
}

fn stretches(run: &Run, now: Timestamp) -> Vec<Stretch> {
    let end = run.ended_at.unwrap_or(now);
    let mut out = Vec::new();
    for (n, phase) in run.phases.iter().enumerate() {
        let next = run.phases.get(n + 1).map(|p| p.at);
        let over = next.is_some() || run.ended;
        out.push(Stretch { word: phase.phase.word(), from: phase.at, to: next.unwrap_or(end), over });
    }
    out
}

/// `4s`, `12m 05s`, `3h 20m`.
fn span(d: Duration) -> String {
    match d.as_secs() {
        s if s < 60 => format!("{s}s"),
        s if s < 3600 => format!("{}m {:02}s", s / 60, s % 60),
        s => format!("{}h {:02}m", s / 3600, s % 3600 / 60),
    }
}

pub(super) fn draw(model: &Model, pane: &LogPane, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let mut row = 0;
    let mut say = |spans: Vec<Span<'static>>| {
        put(buffer, area, row, spans);
        row += 1;
    };
    let dim = theme.style(Role::Dim);
    let Some(run) = model.data.runs.get(&pane.run) else {
        return say(vec![Span::styled("this run is not known here any more", dim)]);
    };
    let stretches = stretches(run, model.now);
    if stretches.is_empty() {
        say(vec![Span::styled("it has not begun", dim)]);
    }
    let longest = stretches.iter().map(|s| s.to.since(s.from).as_secs()).max().unwrap_or(0).max(1);
    let room = u64::from(area.width.saturating_sub(40).min(60));
    for stretch in &stretches {
        let took = stretch.to.since(stretch.from);
        let bar = usize::try_from(took.as_secs() * room / longest).unwrap_or(0).max(1);
        let (mark, role) = if stretch.over { ("✓", Role::Done) } else { ("▸", Role::Running) };
        let role = if stretch.over && run.ended && run.state != "succeeded" { Role::Plain } else { role };
        say(vec![
            Span::styled(format!("{}  ", text::clock_seconds(stretch.from, &model.zone)), dim),
            Span::styled(format!("{mark} {:<11}", stretch.word), theme.style(role)),
            Span::raw(format!("{:>9}  ", span(took))),
            Span::styled("▰".repeat(bar), theme.style(role)),
        ]);
    }
    if let Some(at) = run.ended_at {
        let role = if run.state == "succeeded" { Role::Done } else { Role::Alarm };
        say(vec![
            Span::styled(format!("{}  ", text::clock_seconds(at, &model.zone)), dim),
            Span::styled(format!("  {}", run.state), theme.style(role)),
            Span::styled(format!("  in all {}", span(at.since(run.created_at))), dim),
        ]);
    }
    say(Vec::new());
    for (word, fact) in facts(run, model) {
        for (n, line) in text::wrap(&fact, usize::from(area.width.saturating_sub(14))).into_iter().enumerate()
        {
            let word = if n == 0 { word } else { "" };
            say(vec![Span::styled(format!("{word:<12}  "), dim), Span::raw(line)]);
        }
    }
}

fn facts(run: &Run, model: &Model) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    let mut tell = |word, fact: Option<String>| out.extend(fact.filter(|f| !f.is_empty()).map(|f| (word, f)));
    tell("reason", run.reason.clone());
    tell("question", run.question.clone());
    tell("exit code", run.exit_code.map(|c| c.to_string()));
    let place = run.container.clone().unwrap_or_default();
    tell("runs in", run.runtime.map(|r| format!("{r} {place}").trim_end().to_owned()));
    tell("workspace", Some(run.workspace.clone()));
    tell("branch", run.branch.clone());
    tell("pull request", run.pull_request_url.clone());
    let usage = &run.usage;
    let cost = usage.cost_usd.map(|c| format!(", ${c:.2}")).unwrap_or_default();
    let tokens = format!(
        "{} tokens read, {} written{cost}",
        text::short(usage.input_tokens),
        text::short(usage.output_tokens)
    );
    tell("usage", (usage.input_tokens + usage.output_tokens > 0).then_some(tokens));
    tell("last said", run.last_event.clone());
    let output = run.last_output_at.filter(|_| !run.ended);
    tell("last output", output.map(|at| format!("at {}", text::clock_seconds(at, &model.zone))));
    tell("again at", run.retry_at.map(|at| text::clock(at, &model.zone)));
    tell("started by", run.by_hand.clone());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_and_exact() {
        let said = [4, 65, 12_000].map(|s| span(Duration::from_secs(s)));
        assert_eq!(said, ["4s", "1m 05s", "3h 20m"]);
    }
}
