//! What wants a person, most urgent first.

use dispatch_shared::protocol::control::{Problem, ProblemKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{over, put, put_both, words};
use crate::keymap::{Action, binding};
use crate::model::marks::Thing;
use crate::model::{Model, text};
use crate::theme::{Mark, Role};

/// Whether somebody waits for the operator, and not only something.
fn is_urgent(kind: ProblemKind) -> bool {
    matches!(kind, ProblemKind::Question | ProblemKind::Failed | ProblemKind::WriteRefused)
}

fn mark(kind: ProblemKind) -> (&'static str, Role) {
    match kind {
        ProblemKind::Question => (Mark::Asks.glyph(), Role::Alarm),
        ProblemKind::Failed => (Mark::Failed.glyph(), Role::Alarm),
        ProblemKind::WriteRefused => (Mark::Refused.glyph(), Role::Alarm),
        ProblemKind::Review => (Mark::Review.glyph(), Role::Review),
        ProblemKind::Sync => ("⟳", Role::Waiting),
        _ => (Mark::Waits.glyph(), Role::Waiting),
    }
}

/// What solves it: the key and its word.
fn remedy(model: &Model, problem: &Problem) -> String {
    let action = match problem.action.as_str() {
        "answer" => Action::Answer,
        "retry" => Action::Retry,
        "release" => Action::Release,
        "move" => Action::Move,
        "browser" => Action::Browser,
        "sync" => Action::Sync,
        _ => Action::Enter,
    };
    let word = match problem.action.as_str() {
        "resume" => "resume",
        "check" => "why",
        _ => binding(action).label,
    };
    format!("{} {word}", model.keys.name(action))
}

enum Row<'a> {
    Heading(String),
    Gap,
    Item(usize, &'a Problem),
}

fn rows(model: &Model) -> Vec<Row<'_>> {
    let shown: Vec<&Problem> = model.problems.rows.iter().filter_map(|id| model.problem(id)).collect();
    let urgent = shown.iter().filter(|p| is_urgent(p.kind)).count();
    let mut rows = Vec::new();
    let height = super::areas::problem_rows(model);
    let mut last = None;
    for (at, problem) in shown.iter().enumerate().skip(model.problems.top).take(height) {
        let group = is_urgent(problem.kind);
        if last != Some(group) {
            if last.is_some() {
                rows.push(Row::Gap);
            }
            let (title, count) =
                if group { ("Needs you now", urgent) } else { ("Waiting", shown.len() - urgent) };
            rows.push(Row::Heading(format!("{title} {count}")));
            last = Some(group);
        }
        rows.push(Row::Item(at, problem));
    }
    rows
}

/// The place in the list of what stands in a row of the view, counted from the second.
pub(super) fn row_at(model: &Model, row: usize) -> Option<usize> {
    match rows(model).get(row + 1) {
        Some(Row::Item(at, _)) => Some(*at),
        _ => None,
    }
}

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let all = rows(model);
    if all.is_empty() {
        let hidden = model.hidden.len();
        let mut lines = vec![(Role::Done, "✓ Nothing needs you.".to_owned())];
        if hidden > 0 {
            lines.push((Role::Dim, format!("{hidden} hidden until the next start")));
        }
        return words(model, buffer, area, &lines);
    }
    for (row, what) in all.iter().enumerate() {
        let row = u16::try_from(row).unwrap_or(u16::MAX);
        match what {
            Row::Gap => {}
            Row::Heading(words) => {
                let right = match (row, model.hidden.len()) {
                    (0, 0) => "most urgent first".to_owned(),
                    (0, hidden) => format!("most urgent first   {hidden} hidden"),
                    _ => String::new(),
                };
                let left = vec![Span::styled(words.clone(), theme.style(Role::Strong))];
                put_both(buffer, area, row, left, vec![Span::styled(right, theme.style(Role::Dim))]);
            }
            Row::Item(_, problem) => {
                let chosen = model.problems.cursor.as_ref() == Some(&problem.id);
                line(model, buffer, area, row, problem, chosen);
            }
        }
    }
    let running = model.data.live_runs();
    let done = model.columns[4].rows.len();
    let fine = format!("Fine: ▸ {running} running   ✓ {done} done");
    let last = u16::try_from(all.len() + 1).unwrap_or(u16::MAX);
    if last < area.height {
        put(buffer, area, last, vec![Span::styled(fine, theme.style(Role::Dim))]);
    }
    let beneath = Rect { y: area.y + last + 2, height: area.height.saturating_sub(last + 2), ..area };
    if beneath.height > 2
        && let Some(problem) = model.problems.cursor.as_ref().and_then(|id| model.problem(id))
    {
        whole(model, buffer, beneath, problem);
    }
}

/// The chosen problem in full, and what comes of its remedy.
fn whole(model: &Model, buffer: &mut Buffer, area: Rect, problem: &Problem) {
    let width = usize::from(area.width);
    let run = problem.run_id.and_then(|id| model.data.runs.get(&id));
    let text = run.and_then(|r| r.question.as_deref()).unwrap_or(&problem.text);
    let mut lines: Vec<(Role, String)> =
        text::wrap(text, width).into_iter().map(|line| (Role::Plain, line)).collect();
    if let Some(then) = consequence(model, problem) {
        lines.truncate(usize::from(area.height).saturating_sub(2).max(1));
        lines.push((Role::Plain, String::new()));
        lines.extend(text::wrap(&then, width).into_iter().map(|line| (Role::Dim, line)));
    }
    for (y, (role, line)) in lines.into_iter().take(usize::from(area.height)).enumerate() {
        let y = u16::try_from(y).unwrap_or(u16::MAX);
        put(buffer, area, y, vec![Span::styled(line, model.theme.style(role))]);
    }
}

/// What comes of the remedy.
fn consequence(model: &Model, problem: &Problem) -> Option<String> {
    let issue = problem.issue_id.as_ref().and_then(|id| model.data.issues.get(id));
    let name = issue.map_or_else(|| problem.subject.clone(), |i| format!("#{}", i.number));
    Some(match problem.action.as_str() {
        "answer" => format!("Answering returns {name} to Ready; the next attempt keeps the workspace."),
        "retry" => {
            format!("A retry returns {name} to Ready with its failures forgotten; the workspace stays.")
        }
        "move" => format!("Moving {name} to the column where it belongs settles it."),
        "release" => format!("A release makes {name} ready for the next one who asks."),
        "browser" => "Only a person reviews and merges; the card goes on when the forge says so.".to_owned(),
        "sync" => format!("Enter shows the reads of {name}; S reads it now."),
        "resume" => format!("Enter lets {name} go on at once, without waiting for the end of the pause."),
        "check" => "A budget is raised in the configuration; until it begins anew no run starts.".to_owned(),
        _ => return None,
    })
}

fn line(model: &Model, buffer: &mut Buffer, area: Rect, row: u16, problem: &Problem, chosen: bool) {
    let theme = model.theme;
    let (glyph, role) = mark(problem.kind);
    let age = model.now.since(problem.since);
    let limit = match problem.kind {
        ProblemKind::Question => 30 * 60,
        ProblemKind::Review => 24 * 3600,
        _ => u64::MAX / 2,
    };
    let alarm = match age.as_secs() {
        s if s >= 2 * limit => "!!",
        s if s >= limit => "!",
        _ => "",
    };
    let age = format!("{}{alarm}", text::age(age));
    let subject =
        if area.width >= 60 { format!("{:<18} ", text::fit(&problem.subject, 18)) } else { String::new() };
    let mut left = vec![
        Span::raw(super::lead(model, &Thing::Problem(problem.id.clone()), chosen)),
        Span::styled(glyph, theme.style(role)),
        Span::styled(
            format!(" {age:<6} "),
            theme.style(if alarm.is_empty() { Role::Dim } else { Role::Strong }),
        ),
        Span::raw(subject),
    ];
    let remedy = remedy(model, problem);
    let used: usize = left.iter().map(Span::width).sum::<usize>() + text::width(&remedy) + 1;
    left.push(Span::raw(text::fit(&problem.text, usize::from(area.width).saturating_sub(used))));
    put_both(buffer, area, row, left, vec![Span::styled(remedy, theme.style(Role::Dim))]);
    if chosen {
        over(model, buffer, area, row, Role::Bar);
    }
}
