//! Tracked repositories: how many cards stand where, who may work, how its CI is, and how fresh it is.

use dispatch_shared::protocol::repos::Repo;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{more, over, put_both, words};
use crate::keymap::Action;
use crate::model::marks::Thing;
use crate::model::{Model, text};
use crate::theme::Role;

/// A repository that was not read for so long is behind.
const BEHIND: u64 = 3600;

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let list = &model.repos;
    if list.rows.is_empty() {
        let lines = [
            (Role::Strong, "No repository is tracked yet.".to_owned()),
            (
                Role::Plain,
                format!(
                    "{} tracks one: OWNER/NAME, or the path of a git repository on this disk.",
                    model.keys.name(Action::Track)
                ),
            ),
        ];
        return words(model, buffer, area, &lines);
    }
    let name = name_width(area.width);
    let wide = if area.width >= 150 { format!(" {:<16} {:<12}", "lanes", "release") } else { String::new() };
    let wip = if area.width >= 100 { " limit" } else { "" };
    let heading = format!(
        "  {} {:>4} {:>5} {:>4} {:>6}{wip} {:>4} {:>3}  runner{wide} CI",
        text::pad("repository", name),
        "back",
        "ready",
        "work",
        "review",
        "done",
        "PRs",
    );
    let heading = vec![Span::styled(heading, theme.style(Role::Strong))];
    put_both(buffer, area, 0, heading, vec![Span::styled("synced", theme.style(Role::Strong))]);
    let height = super::areas::list_rows(model);
    for (at, name) in list.rows.iter().skip(list.top).take(height).enumerate() {
        let y = u16::try_from(at + 1).unwrap_or(u16::MAX);
        let Some(repo) = model.data.repos.get(name) else { continue };
        let chosen = list.cursor.as_ref() == Some(name);
        let (mut left, right) = line(model, repo, area.width);
        left.insert(0, Span::raw(format!("{} ", super::lead(model, &Thing::Repo(name.clone()), chosen))));
        put_both(buffer, area, y, left, right);
        if chosen {
            over(model, buffer, area, y, Role::Bar);
        }
    }
    let below = list.rows.len().saturating_sub(list.top + height);
    more(model, buffer, area, area.height.saturating_sub(1), below);
}

fn name_width(width: u16) -> usize {
    match width {
        0..60 => 16,
        60..100 => 22,
        _ => 28,
    }
}

fn line(model: &Model, repo: &Repo, width: u16) -> (Vec<Span<'static>>, Vec<Span<'static>>) {
    let theme = model.theme;
    let [back, ready, work, review, done] = repo.columns;
    let full = repo.wip_limit > 0 && review >= repo.wip_limit as usize;
    let limit = match (width >= 100, repo.wip_limit) {
        (false, _) => String::new(),
        (true, 0) => "     -".to_owned(),
        (true, limit) => format!("{limit:>6}"),
    };
    let mut left = vec![
        Span::raw(format!("{} ", text::pad(&repo.full_name.to_string(), name_width(width)))),
        Span::raw(format!("{back:>4} {ready:>5} {work:>4} ")),
        Span::styled(
            format!("{review:>6}{limit}"),
            theme.style(if full { Role::Waiting } else { Role::Plain }),
        ),
        Span::raw(format!(" {done:>4} {:>3}  ", repo.open_pr_count)),
        match repo.runner_enabled {
            true => Span::styled("on    ", theme.style(Role::Running)),
            false => Span::styled("off   ", theme.style(Role::Dim)),
        },
    ];
    if width >= 150 {
        let lanes = if repo.lanes.is_empty() { "all".to_owned() } else { repo.lanes.join(" ") };
        let release = repo.latest_release.as_deref().unwrap_or("-");
        left.push(Span::styled(
            format!(" {} {}", text::pad(&lanes, 16), text::pad(release, 12)),
            theme.style(Role::Dim),
        ));
    }
    left.push(match (repo.failing_count, repo.running_count) {
        (0, 0) => Span::styled(" ∙", theme.style(Role::Dim)),
        (0, running) => Span::styled(format!(" ▸{running}"), theme.style(Role::Running)),
        (failing, _) => Span::styled(format!(" ✗{failing}"), theme.style(Role::Alarm)),
    });
    if !matches!(repo.standing.as_str(), "" | "active") {
        left.push(Span::styled(format!("  {}", repo.standing), theme.style(Role::Alarm)));
    }
    let working = format!("sync {}", repo.full_name);
    if let Some(work) = model.data.progress.iter().find(|w| w.progress.what == working) {
        let words = work.words(model.now);
        let words = words.strip_prefix("sync ").unwrap_or(&words).to_owned();
        left.push(Span::styled(format!("  syncing {words}"), theme.style(Role::Running)));
    } else if let Some(error) = &repo.sync_error {
        left.push(Span::styled(format!("  ✗ {error}"), theme.style(Role::Alarm)));
    }
    let (synced, role) = match repo.last_synced_at {
        None => ("never".to_owned(), Role::Waiting),
        Some(at) => {
            let age = model.now.since(at);
            let role = if age.as_secs() >= BEHIND { Role::Waiting } else { Role::Dim };
            (text::age(age), role)
        }
    };
    (left, vec![Span::styled(synced, theme.style(role))])
}
