//! Runs: live ones first, then ended ones, the newest first.

use dispatch_shared::protocol::runs::Run;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{more, over, put, put_both, words};
use crate::model::card::{phase_bar, run_mark};
use crate::model::marks::Thing;
use crate::model::{Model, text};
use crate::theme::Role;

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let list = &model.runs;
    if list.rows.is_empty() {
        let lines = [
            (Role::Strong, "No run yet.".to_owned()),
            (
                Role::Plain,
                "The built-in runner is off until it is switched on for a repository: `dispatch repos runner on OWNER/NAME`. Outside harnesses show as claims on their cards.".to_owned(),
            ),
        ];
        return words(model, buffer, area, &lines);
    }
    let live = model.data.live_runs();
    let heading = format!("{live} live, {} ended", list.rows.len().saturating_sub(live));
    put(buffer, area, 0, vec![Span::styled(heading, model.theme.style(Role::Strong))]);
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

fn line(model: &Model, buffer: &mut Buffer, area: Rect, row: u16, run: &Run, chosen: bool) {
    let theme = model.theme;
    let mark = run_mark(run, model.now);
    let state = if run.ended { run.state.as_str() } else { phase_bar(run) };
    let what = if run.stopping {
        "stopping".to_owned()
    } else if run.ended {
        run.reason.clone().unwrap_or_else(|| run.title.clone())
    } else {
        run.last_event.clone().unwrap_or_else(|| run.title.clone())
    };
    let mut left = vec![
        Span::raw(super::lead(model, &Thing::Run(run.id), chosen)),
        Span::styled(mark.glyph(), theme.style(mark.role())),
        Span::raw(format!(" {:<7} {:<6} ", run.id.to_string(), text::fit(&run.subject, 20))),
    ];
    if area.width >= 60 {
        left.push(Span::raw(format!("{:<13} ", text::fit(&run.program, 13))));
    }
    if area.width >= 100 {
        left.push(Span::styled(
            format!("{:<18} ", text::fit(&run.repo_full_name.to_string(), 18)),
            theme.style(Role::Dim),
        ));
    }
    left.push(Span::styled(format!("{:<13} ", text::fit(state, 13)), theme.style(mark.role())));
    left.push(Span::raw(what));
    let age = text::age(model.now.since(run.ended_at.unwrap_or(run.created_at)));
    let cost = run.usage.cost_usd.map(|c| format!("${c:.2}")).unwrap_or_default();
    put_both(
        buffer,
        area,
        row,
        left,
        vec![Span::styled(format!("{cost:>7} {age:>4}"), theme.style(Role::Dim))],
    );
    if chosen {
        over(model, buffer, area, row, Role::Bar);
    }
}
