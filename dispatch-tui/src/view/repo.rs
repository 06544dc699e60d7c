//! A repository opened: its workflows and their runs, releases, what happened, and how it is worked on.

use dispatch_shared::Timestamp;
use dispatch_shared::protocol::actions::{Workflow, WorkflowRun};
use dispatch_shared::protocol::automation::RepoDetail;
use dispatch_shared::protocol::repos::Repo;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{areas, more, over, put, put_both, words};
use crate::model::repo::{RepoPane, Setting, Tab};
use crate::model::{Model, text};
use crate::theme::Role;

type Sides = (Vec<Span<'static>>, Vec<Span<'static>>);

pub(super) fn draw(model: &Model, pane: &RepoPane, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let known = model.data.repos.get(&pane.repo);
    title(model, pane, known, buffer, area);
    let mut left = Vec::new();
    for tab in Tab::ALL {
        let role = if tab == pane.tab { Role::Strong } else { Role::Dim };
        let title = if tab == pane.tab { format!("[{}]", tab.title()) } else { tab.title().to_owned() };
        left.push(Span::styled(format!("{title}  "), theme.style(role)));
    }
    put_both(buffer, area, 1, left, vec![Span::styled("Tab turns", theme.style(Role::Dim))]);
    let body = Rect { y: area.y + 3, height: area.height.saturating_sub(5), ..area };
    let detail = pane.detail.as_deref();
    if let (None, true) = (detail, pane.tab != Tab::Settings) {
        let sentence = match &pane.failed {
            Some(why) => (Role::Alarm, format!("{} could not be read: {why}; C-r tries again", pane.repo)),
            None => (Role::Dim, "loading…".to_owned()),
        };
        return words(model, buffer, body, &[sentence]);
    }
    let list = pane.list();
    if list.rows.is_empty() {
        let empty = match pane.tab {
            Tab::Workflows => "No workflow is known here.",
            Tab::Runs => "No CI run is known here.",
            Tab::Releases => "No release, package or deployment is known here.",
            Tab::Events | Tab::Settings => "Nothing has happened here yet.",
        };
        words(model, buffer, body, &[(Role::Plain, empty.to_owned())]);
    }
    let height = areas::repo_rows(model);
    for (at, key) in list.rows.iter().skip(list.top).take(height).enumerate() {
        let y = u16::try_from(at).unwrap_or(u16::MAX);
        let (mut left, right) = match (pane.tab, detail, known) {
            (Tab::Settings, _, Some(repo)) => setting(model, repo, key),
            (_, Some(detail), _) => row(model, detail, pane.tab, key, area.width),
            _ => continue,
        };
        let chosen = list.cursor.as_ref() == Some(key);
        left.insert(0, Span::raw(if chosen { "›" } else { " " }));
        put_both(buffer, body, y, left, right);
        if chosen {
            over(model, buffer, body, y, Role::Bar);
        }
    }
    more(
        model,
        buffer,
        area,
        area.height.saturating_sub(2),
        list.rows.len().saturating_sub(list.top + height),
    );
    if let Some(words) = beneath(model, pane) {
        put(buffer, area, area.height.saturating_sub(1), vec![Span::styled(words, theme.style(Role::Dim))]);
    }
}

/// Its name, its head, and how fresh that is.
fn title(model: &Model, pane: &RepoPane, known: Option<&Repo>, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let mut left = vec![Span::styled(pane.repo.to_string(), theme.style(Role::Strong))];
    if let Some(commit) = pane.detail.as_ref().and_then(|d| d.latest_commit.as_ref()) {
        let sha = commit.sha.get(..7).unwrap_or(&commit.sha);
        left.push(Span::styled(format!("  {} {sha} ", commit.branch), theme.style(Role::Dim)));
        left.push(Span::raw(commit.title.clone()));
    }
    let right = match known {
        Some(Repo { sync_error: Some(_), .. }) => Span::styled("✗ sync fails", theme.style(Role::Alarm)),
        Some(repo) => {
            let synced = repo.last_synced_at.map_or("never".to_owned(), |at| age(model, at));
            Span::styled(format!("synced {synced}"), theme.style(Role::Dim))
        }
        None => Span::raw(""),
    };
    put_both(buffer, area, 0, left, vec![right]);
}

fn age(model: &Model, at: Timestamp) -> String {
    text::age(model.now.since(at))
}

/// The mark and the role of how a run stands.
fn verdict(status: &str, conclusion: Option<&str>) -> (&'static str, Role) {
    match (status, conclusion) {
        (_, Some("success")) => ("✓", Role::Done),
        (_, Some("failure" | "timed_out" | "startup_failure")) => ("✗", Role::Alarm),
        (_, Some("cancelled")) => ("▪", Role::Dim),
        (_, Some("action_required")) => ("?", Role::Alarm),
        (_, Some(_)) => ("∅", Role::Dim),
        ("in_progress", None) => ("▸", Role::Running),
        _ => ("⧗", Role::Waiting),
    }
}

fn took(run: &WorkflowRun) -> String {
    run.duration_seconds.map_or_else(String::new, |s| text::span(std::time::Duration::from_secs(s)))
}

fn row(model: &Model, detail: &RepoDetail, tab: Tab, key: &str, width: u16) -> Sides {
    let found = match tab {
        Tab::Workflows => detail.workflows.iter().find(|w| w.id == key).map(|w| workflow(model, w, width)),
        Tab::Runs => detail.recent_runs.iter().find(|r| r.id == key).map(|r| ci_run(model, r, width)),
        Tab::Releases => release(model, detail, key),
        Tab::Events => detail.recent_events.iter().find(|e| e.id == key).map(|event| {
            let left = vec![
                Span::styled(format!(" {} ", text::pad(&event.kind, 15)), model.theme.style(Role::Strong)),
                Span::raw(event.message.clone().unwrap_or_default()),
            ];
            (left, dim(model, format!("{} {:>4}", event.actor, age(model, event.created_at))))
        }),
        Tab::Settings => None,
    };
    found.unwrap_or_default()
}

fn dim(model: &Model, words: String) -> Vec<Span<'static>> {
    vec![Span::styled(words, model.theme.style(Role::Dim))]
}

fn workflow(model: &Model, workflow: &Workflow, width: u16) -> Sides {
    let theme = model.theme;
    let latest = workflow.latest_run.as_ref();
    let (mark, role) = latest.map_or(("∙", Role::Dim), |r| verdict(&r.status, r.conclusion.as_deref()));
    let mut left = vec![
        Span::styled(mark, theme.style(role)),
        Span::raw(format!(" {} ", text::pad(&workflow.name, if width >= 100 { 28 } else { 18 }))),
    ];
    // Newest first as they come; told from the oldest to the newest.
    let marks = workflow.recent_runs.iter().take(10).rev();
    for run in marks {
        let (mark, role) = verdict(&run.status, run.conclusion.as_deref());
        left.push(Span::styled(mark, theme.style(role)));
    }
    let mut words = String::new();
    if let Some(rate) = workflow.success_rate {
        words.push_str(&format!("  {:.0}% of {}", rate * 100.0, workflow.runs_counted));
    }
    if let Some(mean) = workflow.mean_duration_seconds {
        let mean = std::time::Duration::try_from_secs_f64(mean).unwrap_or_default();
        words.push_str(&format!(", {} each", text::span(mean)));
    }
    if workflow.running > 0 {
        words.push_str(&format!(", {} running", workflow.running));
    }
    if !matches!(workflow.state.as_str(), "active" | "") {
        words.push_str(&format!("  {}", workflow.state));
    }
    left.push(Span::styled(words, theme.style(Role::Dim)));
    let start = if workflow.dispatchable { "s start " } else { "" };
    let at = latest.and_then(|r| r.updated_at).map_or(String::new(), |at| age(model, at));
    (left, dim(model, format!("{start}{at:>4}")))
}

fn ci_run(model: &Model, run: &WorkflowRun, width: u16) -> Sides {
    let theme = model.theme;
    let (mark, role) = verdict(&run.status, run.conclusion.as_deref());
    let state = run.conclusion.as_deref().unwrap_or(&run.status);
    let mut left = vec![
        Span::styled(mark, theme.style(role)),
        Span::raw(format!(" {} #{:<5}", text::pad(&run.name, 16), run.run_number)),
        Span::styled(format!(" {} ", text::pad(state, 12)), theme.style(role)),
    ];
    if width >= 100 {
        let branch = run.branch.as_deref().unwrap_or("-");
        left.push(Span::styled(
            format!("{} {} ", text::pad(branch, 22), text::pad(&run.event, 14)),
            theme.style(Role::Dim),
        ));
    }
    let attempt = if run.run_attempt > 1 { format!("attempt {} ", run.run_attempt) } else { String::new() };
    left.push(Span::raw(format!("{attempt}{}", run.title)));
    let at = run.updated_at.map_or(String::new(), |at| age(model, at));
    (left, dim(model, format!("{:>5} {at:>4}", took(run))))
}

fn release(model: &Model, detail: &RepoDetail, key: &str) -> Option<Sides> {
    let theme = model.theme;
    let at = |time: Option<Timestamp>| time.map_or(String::new(), |at| age(model, at));
    let (kind, id) = key.split_once(' ')?;
    Some(match kind {
        "release" => {
            let release = detail.releases.iter().find(|r| r.id == id)?;
            let flag = match (release.draft, release.prerelease) {
                (true, _) => "draft",
                (_, true) => "prerelease",
                _ => "release",
            };
            let left = vec![
                Span::styled(format!(" {} ", text::pad(flag, 11)), theme.style(Role::Dim)),
                Span::styled(format!("{} ", text::pad(&release.tag, 16)), theme.style(Role::Strong)),
                Span::raw(format!("{}  {} files", release.name, release.assets.len())),
            ];
            (left, dim(model, format!("{} {:>4}", release.author, at(release.published_at))))
        }
        "package" => {
            let package = detail.packages.iter().find(|p| p.id == id)?;
            let left = vec![
                Span::styled(format!(" {} ", text::pad(&package.kind, 11)), theme.style(Role::Dim)),
                Span::styled(format!("{} ", text::pad(&package.name, 16)), theme.style(Role::Strong)),
                Span::raw(format!("{} versions, {}", package.versions, package.visibility)),
            ];
            (left, dim(model, format!("{:>4}", at(package.updated_at))))
        }
        _ => {
            let deployment = detail.deployments.iter().find(|d| d.id == id)?;
            let state = deployment.state.as_deref().unwrap_or("-");
            let left = vec![
                Span::styled(format!(" {} ", text::pad("deployment", 11)), theme.style(Role::Dim)),
                Span::styled(
                    format!("{} ", text::pad(&deployment.environment, 16)),
                    theme.style(Role::Strong),
                ),
                Span::raw(format!("{state}  {}", deployment.git_ref)),
            ];
            let when = deployment.updated_at.or(deployment.created_at);
            (left, dim(model, format!("{} {:>4}", deployment.creator, at(when))))
        }
    })
}

fn setting(model: &Model, repo: &Repo, key: &str) -> Sides {
    let Some(setting) = Setting::of_key(key) else { return Sides::default() };
    let (name, now, then) = match setting {
        Setting::Board => {
            let cards: usize = repo.columns.iter().sum();
            ("board", format!("{cards} cards"), "Enter shows them alone")
        }
        Setting::Runner if repo.runner_enabled => {
            ("runner", "on: its issues are worked on here".to_owned(), "Enter switches it off")
        }
        Setting::Runner => ("runner", "off: left to outside harnesses".to_owned(), "Enter switches it on"),
        Setting::Wip => {
            let limit = if repo.wip_limit == 0 { "no limit".to_owned() } else { repo.wip_limit.to_string() };
            ("in review", format!("{limit}, {} now", repo.columns[3]), "Enter changes the limit")
        }
        Setting::Lanes => {
            let lanes =
                if repo.lanes.is_empty() { "every claimable one".to_owned() } else { repo.lanes.join(", ") };
            ("lanes", lanes, "Enter changes them")
        }
        Setting::Untrack => {
            let forge =
                repo.path.as_ref().map_or_else(|| repo.forge.clone(), |p| format!("{} {p}", repo.forge));
            ("tracked", format!("{forge}, by {}", repo.source), "Enter untracks it")
        }
    };
    let left = vec![
        Span::styled(format!(" {} ", text::pad(name, 11)), model.theme.style(Role::Strong)),
        Span::raw(now),
    ];
    (left, dim(model, then.to_owned()))
}

/// One more line of what is chosen: a failed job, a note, the last read.
fn beneath(model: &Model, pane: &RepoPane) -> Option<String> {
    let detail = pane.detail.as_ref()?;
    if let Some(workflow) = pane.workflow() {
        let failed = workflow.jobs.iter().find(|j| j.conclusion.as_deref() == Some("failure"));
        let triggers: Vec<&str> = workflow.triggers.iter().map(|t| t.event.as_str()).collect();
        return Some(match failed {
            Some(job) => {
                let step = job.failed_step.as_deref().map(|s| format!(" at {s}")).unwrap_or_default();
                format!("job {} failed{step}", job.name)
            }
            None => format!("{}  on {}", workflow.path, triggers.join(", ")),
        });
    }
    if !detail.note.is_empty() {
        return Some(detail.note.clone());
    }
    let read = detail.last_sync_run.as_ref()?;
    let error = read.error.as_deref().map(|e| format!(": {e}")).unwrap_or_default();
    let (at, status) = (text::clock(read.finished_at, &model.zone), &read.status);
    Some(format!("last read at {at}: {status}{error}, {} requests, {} items", read.requests, read.items))
}
