//! Tracked repositories: how many cards stand where, who may work, and how fresh it is.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{more, over, put_both, words};
use crate::model::marks::Thing;
use crate::model::{Model, text};
use crate::theme::Role;

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let list = &model.repos;
    if list.rows.is_empty() {
        let lines = [
            (Role::Strong, "No repository is tracked yet.".to_owned()),
            (Role::Plain, "`dispatch repos add OWNER/NAME`, or `dispatch repos add PATH`.".to_owned()),
        ];
        return words(model, buffer, area, &lines);
    }
    let heading = vec![Span::styled(
        format!(
            "  {:<24} {:>5} {:>5} {:>5} {:>6} {:>5} {:>4}  runner",
            "repository", "back", "ready", "work", "review", "done", "PRs"
        ),
        theme.style(Role::Strong),
    )];
    put_both(buffer, area, 0, heading, vec![Span::styled("synced", theme.style(Role::Strong))]);
    let height = super::areas::list_rows(model);
    for (at, name) in list.rows.iter().skip(list.top).take(height).enumerate() {
        let y = u16::try_from(at + 1).unwrap_or(u16::MAX);
        let Some(repo) = model.data.repos.get(name) else { continue };
        let chosen = list.cursor.as_ref() == Some(name);
        let [back, ready, work, review, done] = repo.columns;
        let mut left = vec![
            Span::raw(super::lead(model, &Thing::Repo(name.clone()), chosen)),
            Span::raw(" "),
            Span::raw(format!("{:<24} ", text::fit(&name.to_string(), 24))),
            Span::raw(format!(
                "{back:>5} {ready:>5} {work:>5} {review:>6} {done:>5} {:>4}  ",
                repo.open_pr_count
            )),
            Span::raw(if repo.runner_enabled { "on " } else { "off" }),
        ];
        if !matches!(repo.standing.as_str(), "" | "active") {
            left.push(Span::styled(format!("  {}", repo.standing), theme.style(Role::Alarm)));
        }
        if let Some(error) = &repo.sync_error {
            left.push(Span::styled(format!("  ✗ {error}"), theme.style(Role::Alarm)));
        }
        let synced = repo.last_synced_at.map_or("never".to_owned(), |at| text::age(model.now.since(at)));
        put_both(buffer, area, y, left, vec![Span::styled(synced, theme.style(Role::Dim))]);
        if chosen {
            over(model, buffer, area, y, Role::Bar);
        }
    }
    let below = list.rows.len().saturating_sub(list.top + height);
    more(model, buffer, area, area.height.saturating_sub(1), below);
}
