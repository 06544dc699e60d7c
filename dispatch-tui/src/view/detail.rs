//! What the cursor is on, in a line or two above the footer, or in the pane beside a wide board; and toasts.

use dispatch_shared::protocol::activity::AuditRow;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::put;
use crate::keymap::Action;
use crate::model::activity::Tab;
use crate::model::overview::Key;
use crate::model::{Model, View, agents, card, text};
use crate::theme::Role;
use crate::update::verbs::{Target, target};

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let target = target(model);
    let (first, second) = lines(model, &target);
    put(buffer, area, 0, first);
    let width = usize::from(area.width);
    let (lines, room) = (text::wrap(&second, width), usize::from(area.height.saturating_sub(1)));
    for (row, line) in lines.iter().enumerate().take(room) {
        let cut = row + 1 == room && lines.len() > room;
        let line = if cut { format!("{}…", text::fit(line, width - 1)) } else { line.clone() };
        put(buffer, area, u16::try_from(row + 1).unwrap_or(u16::MAX), vec![Span::raw(line)]);
    }
    toast(
        model,
        buffer,
        Rect { y: area.y + area.height.saturating_sub(1), height: area.height.min(1), ..area },
    );
}

/// The toast, over whatever stands there.
pub(super) fn toast(model: &Model, buffer: &mut Buffer, area: Rect) {
    let Some(toast) = &model.toast else { return };
    let role = if toast.bad { Role::Alarm } else { Role::Strong };
    let room = usize::from(area.width);
    put(buffer, area, 0, vec![Span::raw(" ".repeat(room))]);
    let mark = if toast.bad { "✗ " } else { "✓ " };
    let words = text::fit(&format!("{mark}{}", toast.text), room);
    put(buffer, area, 0, vec![Span::styled(words, model.theme.style(role))]);
}

fn lines(model: &Model, target: &Target) -> (Vec<Span<'static>>, String) {
    let dim = model.theme.style(Role::Dim);
    if let Some(told) = told(model) {
        return told;
    }
    let Some(issue) = target.issue.as_ref().and_then(|id| model.data.issues.get(id)) else {
        let problem = target.problem.as_ref().and_then(|id| model.problem(id));
        let text = problem.map(|p| p.text.clone()).unwrap_or_default();
        let repo = target.repo.as_ref().map(ToString::to_string).unwrap_or_default();
        return (vec![Span::raw(repo)], text);
    };
    let run = target.run.and_then(|id| model.data.runs.get(&id));
    let mut first = vec![
        Span::styled(format!("#{} ", issue.number), model.theme.style(Role::Strong)),
        Span::raw(issue.repo_full_name.to_string()),
        Span::raw(format!("  {}", issue.title)),
    ];
    for flag in &issue.flags {
        let word = flag.label().trim_start_matches("status/");
        first.push(Span::styled(format!("  {word}"), model.theme.style(Role::Waiting)));
    }
    if let Some(run) = run {
        let cost = run.usage.cost_usd.map(|c| format!("  ${c:.2}")).unwrap_or_default();
        let words = format!("  {}  {} attempt {}{cost}", run.program, run.id, run.attempt.ordinal());
        first.push(Span::styled(words, dim));
    }
    (first, sentence(model, issue, run))
}

/// What a view that is not about cards says of the chosen row.
fn told(model: &Model) -> Option<(Vec<Span<'static>>, String)> {
    let strong = model.theme.style(Role::Strong);
    match (model.view, &model.numbers.cursor) {
        (View::Activity, _) if model.activity.tab == Tab::Audit => {
            of_row(model, model.activity.audit.get(&model.activity.rows.cursor?)?)
        }
        (View::Activity, _) => {
            let id = model.activity.events.cursor.as_ref()?;
            let event = model.activity.feed.iter().find(|e| e.id == *id)?;
            let at = text::clock(event.created_at, &model.zone);
            let first = Span::styled(format!("{at}  {}", event.kind), strong);
            let url = event.url.as_deref().unwrap_or_default();
            Some((vec![first], format!("{}  {url}", event.message.as_deref().unwrap_or_default())))
        }
        (View::Overview, Some(Key::Audit(id))) => of_row(model, model.activity.audit.get(id)?),
        (View::Agents, _) => of_key(model, model.agents.cursor.as_ref()?),
        (View::Repos, _) => {
            let repo = model.data.repos.get(model.repos.cursor.as_ref()?)?;
            let first = vec![
                Span::styled(repo.full_name.to_string(), strong),
                Span::raw(format!("  {}  {}", repo.forge, repo.path.as_deref().unwrap_or_default())),
            ];
            let failures = format!("{} failed reads in a row: ", repo.sync_failures);
            let error = repo.sync_error.as_ref().map(|e| format!("{failures}{e}"));
            Some((first, error.unwrap_or_else(|| "Enter opens workflows, releases and settings".to_owned())))
        }
        _ => None,
    }
}

/// A row of the audit: when, and the labels before and after.
fn of_row(model: &Model, row: &AuditRow) -> Option<(Vec<Span<'static>>, String)> {
    let at = text::clock(row.created_at, &model.zone);
    let subject = super::activity::subject(row);
    let first = vec![
        Span::styled(format!("{at}  {} {}", row.actor, row.action), model.theme.style(Role::Strong)),
        Span::raw(format!("  {subject}")),
    ];
    let labels = |labels: &Option<Vec<String>>| labels.as_ref().map(|l| l.join(" "));
    let mut words = Vec::new();
    words.extend(row.error_message.clone());
    if let (Some(before), Some(after)) = (labels(&row.before_labels), labels(&row.after_labels)) {
        words.push(format!("before: {before}   after: {after}"));
    }
    words.extend(row.notes.clone());
    Some((first, words.join("   ")))
}

/// A program, lane or agent by name.
fn of_key(model: &Model, key: &agents::Key) -> Option<(Vec<Span<'static>>, String)> {
    let first = vec![Span::styled(key.name().to_owned(), model.theme.style(Role::Strong))];
    let second = match key {
        agents::Key::Pool(program) => match agents::pause(model, program) {
            Some(pause) => {
                format!("paused: {}; {} lets it go on", pause.reason, model.keys.name(Action::Resume))
            }
            None => {
                let waits = model.data.control.iter().flat_map(|c| &c.waits).find(|w| w.program == *program);
                waits.map_or("Enter shows its runs".to_owned(), |w| w.reason.clone())
            }
        },
        agents::Key::Lane(id) => {
            let lane = model.data.lanes.iter().find(|l| l.id == *id)?;
            lane.description.clone().unwrap_or_else(|| lane.title.clone())
        }
        agents::Key::Agent(_) => "Enter shows the cards that carry its label".to_owned(),
    };
    Some((first, second))
}

/// The most useful thing to say of a card beyond its title.
fn sentence(
    model: &Model,
    issue: &dispatch_shared::protocol::issues::Issue,
    run: Option<&dispatch_shared::protocol::runs::Run>,
) -> String {
    if let Some(question) = model.data.question_of(issue).and_then(|r| r.question.as_ref()) {
        return format!("asks: {}", question.replace('\n', " "));
    }
    if let Some(problem) = model.data.problems.iter().find(|p| p.issue_id.as_ref() == Some(&issue.issue_id)) {
        return problem.text.clone();
    }
    match run {
        Some(run) if !run.ended => run.last_event.clone().unwrap_or_else(|| run.state.clone()),
        _ => card::note(model, issue).0,
    }
}

/// The pane beside a wide board.
pub(super) fn pane(model: &Model, buffer: &mut Buffer, area: Rect) {
    let Some(issue) = target(model).issue.and_then(|id| model.data.issues.get(&id)) else { return };
    let width = usize::from(area.width);
    let mut lines: Vec<Line<'static>> = Vec::new();
    let strong = model.theme.style(Role::Strong);
    lines.push(Line::styled(
        format!("#{} {}", issue.number, issue.repo_full_name),
        model.theme.style(Role::Dim),
    ));
    lines.extend(text::wrap(&issue.title, width).into_iter().map(|l| Line::styled(l, strong)));
    lines.push(Line::default());
    if let Some(question) = model.data.question_of(issue).and_then(|r| r.question.as_ref()) {
        lines.push(Line::styled("Asks", model.theme.style(Role::Alarm)));
        lines.extend(text::wrap(question, width).into_iter().map(Line::raw));
        lines.push(Line::default());
    }
    lines.extend(super::card::facts(model, issue, width));
    let skip = model.detail_scroll.min(lines.len().saturating_sub(1));
    for (row, line) in lines.iter().skip(skip).take(usize::from(area.height)).enumerate() {
        put(buffer, area, u16::try_from(row).unwrap_or(u16::MAX), line.spans.clone());
    }
}
