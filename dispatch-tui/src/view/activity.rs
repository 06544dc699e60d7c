//! Who did what, with the labels before and after; and what happened on the forges.

use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::protocol::automation::AutomationEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{more, over, put_both, words};
use crate::model::activity::{Tab, labels_changed};
use crate::model::{Model, text};
use crate::theme::Role;

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let activity = &model.activity;
    let mut left = Vec::new();
    for tab in Tab::ALL {
        let role = if tab == activity.tab { Role::Strong } else { Role::Dim };
        let title = if tab == activity.tab { format!("[{}]", tab.title()) } else { tab.title().to_owned() };
        left.push(Span::styled(format!("{title}  "), theme.style(role)));
    }
    if activity.unseen > 0 {
        left.push(Span::styled(
            format!("{} new above, g follows", activity.unseen),
            theme.style(Role::Waiting),
        ));
    }
    let (count, top) = match activity.tab {
        Tab::Audit => (activity.rows.rows.len(), activity.rows.top),
        Tab::Feed => (activity.events.rows.len(), activity.events.top),
    };
    let hint = if area.width >= 100 && model.filter.is_empty() {
        "/ filters: actor: action: repo: issue: or any words"
    } else {
        "newest first"
    };
    let right = Span::styled(super::filtered(model, hint), theme.style(Role::Dim));
    put_both(buffer, area, 0, left, vec![right]);
    if count == 0 {
        let inner = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let sentence = match () {
            () if model.wants.awaits(activity.tab.part()) => "loading…",
            () if !model.filter.is_empty() => "Nothing here has all of these words; Esc shows all.",
            () if activity.tab == Tab::Feed => "No forge has told of anything yet.",
            () => "Nothing was done yet.",
        };
        return words(model, buffer, inner, &[(Role::Plain, sentence.to_owned())]);
    }
    let height = super::areas::list_rows(model);
    for y in 0..height.min(count.saturating_sub(top)) {
        let row = u16::try_from(y + 1).unwrap_or(u16::MAX);
        let at = top + y;
        let (line, chosen) = match activity.tab {
            Tab::Audit => {
                let Some(id) = activity.rows.rows.get(at) else { continue };
                let Some(row) = activity.audit.get(id) else { continue };
                (of_row(model, row, area.width), activity.rows.cursor == Some(*id))
            }
            Tab::Feed => {
                let Some(id) = activity.events.rows.get(at) else { continue };
                let Some(event) = activity.feed.iter().find(|e| e.id == *id) else { continue };
                (of_event(model, event, area.width), activity.events.cursor.as_ref() == Some(id))
            }
        };
        let (mut left, right) = line;
        left.insert(0, Span::raw(if chosen { "›" } else { " " }));
        put_both(buffer, area, row, left, right);
        if chosen {
            over(model, buffer, area, row, Role::Bar);
        }
    }
    more(model, buffer, area, area.height.saturating_sub(1), count.saturating_sub(top + height));
}

type Sides = (Vec<Span<'static>>, Vec<Span<'static>>);

/// What a row is about: `acme/api#377`.
pub(super) fn subject(row: &AuditRow) -> String {
    match (&row.repo_full_name, row.issue_number) {
        (Some(repo), Some(number)) => format!("{repo}#{number}"),
        (Some(repo), None) => repo.to_string(),
        (None, Some(number)) => format!("#{number}"),
        (None, None) => String::new(),
    }
}

/// A row of the audit in a line.
pub(super) fn of_row(model: &Model, row: &AuditRow, width: u16) -> Sides {
    let theme = model.theme;
    let age = text::age(model.now.since(row.created_at));
    let (mark, role) = if row.success { ("✓", Role::Done) } else { ("✗", Role::Alarm) };
    let (who, what) = if width >= 100 { (18, 24) } else { (12, 18) };
    let mut left = vec![
        Span::styled(mark, theme.style(role)),
        Span::styled(format!(" {age:>4} "), theme.style(Role::Dim)),
        Span::raw(format!("{} ", text::pad(&row.actor, who))),
        Span::styled(format!("{} ", text::pad(&row.action, what)), theme.style(Role::Strong)),
    ];
    if width >= 60 {
        left.push(Span::raw(format!("{} ", text::pad(&subject(row), if width >= 100 { 22 } else { 16 }))));
    }
    let (said, role) = match (&row.error_message, labels_changed(row)) {
        (Some(why), _) => (why.clone(), Role::Alarm),
        (None, labels) if !labels.is_empty() => (labels, Role::Plain),
        (None, _) => (row.notes.clone().unwrap_or_default(), Role::Dim),
    };
    left.push(Span::styled(said, theme.style(role)));
    (left, Vec::new())
}

fn of_event(model: &Model, event: &AutomationEvent, width: u16) -> Sides {
    let theme = model.theme;
    let role = match event.kind.as_str() {
        kind if kind.ends_with("_failed") => Role::Alarm,
        "run_succeeded" | "pr_merged" | "issue_closed" | "release" => Role::Done,
        "run_started" => Role::Running,
        kind if kind.starts_with("pr_") => Role::Review,
        _ => Role::Plain,
    };
    let repo = event.repo_full_name.as_ref().map(ToString::to_string).unwrap_or_default();
    let number = event.issue_number.map(|n| format!("#{n}")).unwrap_or_default();
    let (subject, room) = (format!("{repo}{number}"), if width >= 100 { 24 } else { 16 });
    let age = text::age(model.now.since(event.created_at));
    let mut left = vec![
        Span::styled(format!(" {age:>4} "), theme.style(Role::Dim)),
        Span::styled(format!("{} ", text::pad(&event.kind, 15)), theme.style(role)),
        Span::raw(format!("{} ", text::pad(&subject, room))),
    ];
    if width >= 60 {
        left.push(Span::styled(format!("{} ", text::pad(&event.actor, 12)), theme.style(Role::Dim)));
    }
    left.push(Span::raw(event.message.clone().unwrap_or_default()));
    (left, Vec::new())
}
