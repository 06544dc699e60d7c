//! Runs: live ones first, then ended ones; what each does, for how long, and what it takes.

use dispatch_shared::protocol::runs::Run;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{more, over, put_both, words};
use crate::model::card::{phase_bar, run_mark};
use crate::model::marks::Thing;
use crate::model::{Model, text};
use crate::theme::Role;

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let list = &model.runs;
    if list.rows.is_empty() {
        let lines = if model.filter.is_empty() {
            vec![
                (Role::Strong, "No run yet.".to_owned()),
                (
                    Role::Plain,
                    "The built-in runner is off until it is switched on for a repository: 6, Enter, Settings; or `dispatch repos runner on OWNER/NAME`. Outside harnesses show as claims on their cards.".to_owned(),
                ),
            ]
        } else {
            vec![(Role::Plain, "No run has all of these words; Esc shows all.".to_owned())]
        };
        return words(model, buffer, area, &lines);
    }
    let live = list.rows.iter().filter(|id| model.data.runs.get(id).is_some_and(|r| !r.ended)).count();
    let left = format!("{live} live, {} ended", list.rows.len().saturating_sub(live));
    let right = super::filtered(model, model.run_sort.words());
    put_both(
        buffer,
        area,
        0,
        vec![Span::styled(left, model.theme.style(Role::Strong))],
        vec![Span::styled(right, model.theme.style(Role::Dim))],
    );
    let height = super::areas::list_rows(model);
    for (at, id) in list.rows.iter().skip(list.top).take(height).enumerate() {
        let row = u16::try_from(at + 1).unwrap_or(u16::MAX);
        if let Some(run) = model.data.runs.get(id) {
            let chosen = list.cursor.as_ref() == Some(id);
            line(model, buffer, area, row, run, chosen);
        }
    }
    let below = list.rows.len().saturating_sub(list.top + height);
    more(model, buffer, area, area.height.saturating_sub(1), below);
}

/// What it does now, or how it ended.
fn what(model: &Model, run: &Run) -> String {
    if run.stopping {
        return "stopping".to_owned();
    }
    if run.ended {
        return run.reason.clone().unwrap_or_else(|| run.title.clone());
    }
    if let Some(work) = model.data.work_of(run) {
        return work.words(model.now);
    }
    if run.waiting {
        return "waits for a slot, a thaw or the end of a pause".to_owned();
    }
    run.last_event.clone().unwrap_or_else(|| run.title.clone())
}

fn line(model: &Model, buffer: &mut Buffer, area: Rect, row: u16, run: &Run, chosen: bool) {
    let theme = model.theme;
    let dim = theme.style(Role::Dim);
    let mark = run_mark(run, model.now);
    let wide = area.width >= 150;
    let mut left = vec![
        Span::raw(super::lead(model, &Thing::Run(run.id), chosen)),
        Span::styled(mark.glyph(), theme.style(mark.role())),
        Span::raw(format!(" {:<7} {} ", run.id.to_string(), text::pad(&run.subject, 6))),
    ];
    if area.width >= 60 {
        left.push(Span::raw(format!("{} ", text::pad(&run.program, 13))));
    }
    if area.width >= 100 {
        left.push(Span::styled(format!("{} ", text::pad(&run.repo_full_name.to_string(), 16)), dim));
    }
    if wide {
        let attempt = format!("attempt {}", run.attempt.ordinal());
        left.push(Span::styled(
            format!("{} {} ", text::pad(run.agent_name.as_str(), 14), text::pad(&attempt, 10)),
            dim,
        ));
    }
    let (state, room) = match (run.ended, wide) {
        (true, _) => (run.state.clone(), if wide { 19 } else { 13 }),
        (false, true) => (format!("{} {}{}", phase_bar(run), run.state, phase_age(model, run)), 19),
        (false, false) => (phase_bar(run).to_owned(), if area.width >= 100 { 13 } else { 4 }),
    };
    let room = if run.ended && area.width < 100 { 10 } else { room };
    left.push(Span::styled(format!("{} ", text::pad(&state, room)), theme.style(mark.role())));
    left.push(Span::raw(what(model, run)));
    let age = text::age(model.now.since(run.ended_at.unwrap_or(run.created_at)));
    let about = if run.usage.estimated { "~" } else { "" };
    let cost = run.usage.cost_usd.map(|c| format!("{about}${c:.2}")).unwrap_or_default();
    let tokens = Some(run.usage.tokens()).filter(|t| *t > 0).map(text::short).unwrap_or_default();
    let right = if area.width >= 80 {
        format!(" {tokens:>5} {cost:>7} {age:>4}")
    } else {
        format!(" {cost:>7} {age:>4}")
    };
    put_both(buffer, area, row, left, vec![Span::styled(right, dim)]);
    if chosen {
        over(model, buffer, area, row, Role::Bar);
    }
}

/// How long it has been in its phase.
fn phase_age(model: &Model, run: &Run) -> String {
    run.phases.last().map_or_else(String::new, |p| format!(" {}", text::age(model.now.since(p.at))))
}
