//! A card's details: what it says, who holds it, its runs, its pull request, and why it is or is not next.

use dispatch_shared::protocol::issues::{Issue, WriteState};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{areas, put, put_both};
use crate::model::card::{self, column_title, phase_bar, run_mark};
use crate::model::overlay::{CardPane, Overlay};
use crate::model::{Model, markdown, text};
use crate::theme::Role;

/// The width of the facts beside the text.
const FACTS: u16 = 38;

fn split(area: Rect) -> (Rect, Option<Rect>) {
    let inner = Rect { y: area.y + 3.min(area.height), height: area.height.saturating_sub(4), ..area };
    if area.width < 80 {
        return (inner, None);
    }
    let left = Rect { width: area.width - FACTS - 2, ..inner };
    (left, Some(Rect { x: area.x + area.width - FACTS, width: FACTS, ..inner }))
}

/// The text of the card in lines of `width`; the facts first where there is no room beside it.
fn content(model: &Model, pane: &CardPane, width: usize, with_facts: bool) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let issue = model.data.issues.get(&pane.issue);
    if let (true, Some(issue)) = (with_facts, issue) {
        lines.extend(facts(model, issue, width));
        lines.push(Line::default());
    }
    if let Some(question) = issue.and_then(|i| model.data.question_of(i)).and_then(|r| r.question.as_ref()) {
        lines.push(Line::styled("Asks you", model.theme.style(Role::Alarm)));
        lines.extend(text::wrap(question, width).into_iter().map(Line::raw));
        lines.push(Line::default());
    }
    match (&pane.body, &pane.failed) {
        (Some(body), _) if body.is_empty() => {
            lines.push(Line::styled("no description", model.theme.style(Role::Dim)));
        }
        (Some(body), _) => lines.extend(markdown::wrap(body, width)),
        (None, Some(why)) => {
            let why = text::wrap(&format!("The description could not be had: {why}"), width);
            lines.extend(why.into_iter().map(|l| Line::styled(l, model.theme.style(Role::Alarm))));
        }
        (None, None) => lines.push(Line::styled("loading…", model.theme.style(Role::Dim))),
    }
    if !pane.why.is_empty() {
        lines.push(Line::default());
        lines.push(Line::styled("Handed out?", model.theme.style(Role::Strong)));
        for rule in &pane.why {
            let (glyph, role) = if rule.holds { ("✓", Role::Done) } else { ("✗", Role::Alarm) };
            let mut words =
                text::wrap(&format!("{}  {}", rule.rule, rule.why), width.saturating_sub(3)).into_iter();
            lines.push(Line::from(vec![
                Span::styled(format!(" {glyph} "), model.theme.style(role)),
                Span::raw(words.next().unwrap_or_default()),
            ]));
            lines.extend(words.map(|w| Line::raw(format!("   {w}"))));
        }
    }
    lines
}

/// How far the topmost card may be scrolled.
pub(crate) fn scroll_limit(model: &Model) -> usize {
    let Some(pane) = model.overlays.iter().rev().find_map(|o| match o {
        Overlay::Card(pane) => Some(pane),
        _ => None,
    }) else {
        return 0;
    };
    let (left, beside) = split(areas::areas(model.size).full);
    let lines = content(model, pane, usize::from(left.width), beside.is_none());
    lines.len().saturating_sub(usize::from(left.height))
}

pub(super) fn draw(model: &Model, pane: &CardPane, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let Some(issue) = model.data.issues.get(&pane.issue) else {
        return put(buffer, area, 0, vec![Span::raw("This card is not on the board any more.")]);
    };
    let (age, alarm) = card::age(model, issue);
    let column = model.column_of(&issue.issue_id).unwrap_or(issue.column);
    let right = vec![
        Span::styled(issue.repo_full_name.to_string(), theme.style(Role::Dim)),
        Span::raw(format!("  {} {age}{alarm}", column_title(column))),
    ];
    let mark = card::mark(model, issue);
    let title = vec![
        Span::styled(mark.glyph(), theme.style(mark.role())),
        Span::styled(format!(" #{} {}", issue.number, issue.title), theme.style(Role::Strong)),
    ];
    put_both(buffer, area, 0, title, right);
    let labels = if issue.labels.is_empty() { "no labels".to_owned() } else { issue.labels.join("  ") };
    put(
        buffer,
        area,
        1,
        vec![Span::styled(text::fit(&labels, usize::from(area.width)), theme.style(Role::Dim))],
    );
    let (left, beside) = split(area);
    let lines = content(model, pane, usize::from(left.width), beside.is_none());
    for (row, line) in lines.iter().skip(pane.scroll).take(usize::from(left.height)).enumerate() {
        put(
            buffer,
            left,
            u16::try_from(row).unwrap_or(u16::MAX),
            line.spans.iter().map(|s| s.clone().patch_style(line.style)).collect(),
        );
    }
    let below = lines.len().saturating_sub(pane.scroll + usize::from(left.height));
    super::more(model, buffer, Rect { y: left.y + left.height, height: 1, ..left }, 0, below);
    if let Some(beside) = beside {
        for (row, line) in facts(model, issue, usize::from(beside.width)).iter().enumerate() {
            put(
                buffer,
                beside,
                u16::try_from(row).unwrap_or(u16::MAX),
                line.spans.iter().map(|s| s.clone().patch_style(line.style)).collect(),
            );
        }
    }
}

/// Claim, runs and pull request of a card.
pub(super) fn facts(model: &Model, issue: &Issue, width: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    let heading = |words: &str| Line::styled(words.to_owned(), theme.style(Role::Strong));
    let room = width.saturating_sub(2);
    let dim = |words: String| Line::styled(format!("  {}", text::fit(&words, room)), theme.style(Role::Dim));
    let mut lines = vec![heading("Claim")];
    match &issue.claim {
        Some(claim) => {
            let until = text::clock(claim.lease_expires_at, &model.zone);
            let words = format!("{}  attempt {}", claim.agent_name, claim.attempt.ordinal());
            lines.push(Line::raw(format!("  {}", text::fit(&words, room))));
            let step = claim.checkpoint.map(|c| format!("  {c:?}")).unwrap_or_default();
            lines.push(dim(format!("lease to {until}{step}")));
        }
        None => lines.push(dim("nobody".to_owned())),
    }
    lines.push(Line::default());
    lines.push(heading("Runs"));
    let mut runs: Vec<_> =
        model.data.runs.values().filter(|r| r.issue_id.as_ref() == Some(&issue.issue_id)).collect();
    runs.reverse();
    for run in runs.iter().take(5) {
        let mark = run_mark(run, model.now);
        let state = if run.ended { run.state.as_str() } else { phase_bar(run) };
        let cost = run.usage.cost_usd.map(|c| format!(" ${c:.2}")).unwrap_or_default();
        lines.push(Line::from(vec![
            Span::styled(format!("  {} ", mark.glyph()), theme.style(mark.role())),
            Span::raw(text::fit(
                &format!("{} {} {state}{cost}", run.id, run.program),
                room.saturating_sub(2),
            )),
        ]));
        if let Some(reason) = run.reason.as_ref().filter(|_| run.ended && run.state != "succeeded") {
            lines.push(dim(format!("  {reason}")));
        }
    }
    if runs.is_empty() {
        lines.push(dim("none by the built-in runner".to_owned()));
    }
    lines.push(Line::default());
    lines.push(heading("Pull request"));
    match &issue.linked_pr {
        Some(pull) => {
            let draft = if pull.is_draft { " draft" } else { "" };
            lines.push(Line::raw(format!("  {} {:?}{draft}", pull.number, pull.state)));
            let checks = &pull.checks;
            if checks.failed + checks.pending > 0 {
                lines.push(dim(format!("  {} checks failed, {} still run", checks.failed, checks.pending)));
            }
            lines.extend(pull.followup_reasons.iter().map(|why| dim(format!("  {why}"))));
            lines.push(dim(text::line(&pull.url)));
        }
        None => lines.push(dim("none yet".to_owned())),
    }
    for other in &issue.other_prs {
        lines.push(dim(format!("  also {} {:?}", other.number, other.state)));
    }
    if let Some(branch) = runs.first().and_then(|r| r.branch.clone()) {
        lines.push(dim(branch));
    }
    let write = match &issue.write {
        Some(WriteState::Pending) => Some(("label write pending".to_owned(), Role::Waiting)),
        Some(WriteState::Refused { reason }) => Some((format!("label write refused: {reason}"), Role::Alarm)),
        None => None,
    };
    let refused = model.refused.get(&issue.issue_id).map(|why| (format!("move refused: {why}"), Role::Alarm));
    for (words, role) in [write, refused].into_iter().flatten() {
        lines.push(Line::default());
        lines.extend(text::wrap(&words, width).into_iter().map(|l| Line::styled(l, theme.style(role))));
    }
    if issue.failures > 0 {
        lines.push(Line::default());
        lines.push(dim(format!("{} failed attempts", issue.failures)));
    }
    lines
}
