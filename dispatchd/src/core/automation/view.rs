//! Automation as the wire shows it.

use dispatch_shared::Timestamp;
use dispatch_shared::protocol::actions::{self as wire, Notes};
use dispatch_shared::protocol::automation::{AutomationEvent, RepoDetail};

use super::feed::{self, Told};
use super::{Facts, SyncKind, SyncRun, Workflow, rates};
use crate::core::record::{ForgeKind, Repo};
use crate::core::view;
use crate::core::world::World;

/// Of each list in a repository's details.
const SHOWN: usize = 20;
/// Runs of each workflow in a repository's details.
const RUNS_SHOWN: usize = 5;

/// A repository with everything that is known of it.
#[must_use]
pub fn detail(world: &World, repo: &Repo, now: Timestamp) -> RepoDetail {
    let known = world.automation.facts(&repo.key);
    let none = Facts::new(repo.key.clone());
    let facts = known.map_or(&none, |f| f.as_ref());
    let notes = notes(world, repo);
    let note = notes.values().map(String::as_str).collect::<Vec<_>>().join("; ");
    let syncs: Vec<_> =
        world.automation.syncs(&repo.key).take(SHOWN).map(|run| sync_run(world, run)).collect();
    let latest = latest_release(facts);
    let pre = facts.releases.iter().find(|r| !r.draft);
    RepoDetail {
        repo: view::repo(world, repo, now),
        latest_commit: facts.commit.clone(),
        workflows: facts.workflows.iter().map(|w| workflow(repo, facts, w, now, None, RUNS_SHOWN)).collect(),
        latest_prerelease: pre
            .filter(|p| p.prerelease && latest.is_none_or(|l| l.published_at < p.published_at))
            .map(|p| p.tag.clone()),
        releases: facts.releases.clone(),
        packages: facts.packages.clone(),
        failing_runs: rates::failing(facts, &repo.default_branch, now).into_iter().cloned().collect(),
        running_runs: rates::running(facts).cloned().collect(),
        recent_runs: facts.runs.iter().take(SHOWN).cloned().collect(),
        artifacts: facts.artifacts.clone(),
        deployments: facts.deployments.clone(),
        last_sync_run: syncs.first().cloned(),
        sync_runs: syncs,
        recent_events: events(world, Some(repo), None, SHOWN),
        automation_read_at: facts.read_at,
        notes,
        note,
    }
}

/// What is not there of a repository's automation, and why, by what it is.
#[must_use]
pub fn notes(world: &World, repo: &Repo) -> Notes {
    if repo.forge == ForgeKind::Local {
        let said = format!("{} lives on this disk: it has no workflows, releases or packages", repo.name);
        return [("automation".to_owned(), said)].into();
    }
    let Some(facts) = world.automation.facts(&repo.key) else {
        return [("automation".to_owned(), format!("{} has not been read yet", repo.name))].into();
    };
    let parts = facts.notes.iter().map(|(part, why)| (part.word().to_owned(), why.clone()));
    let broken = facts.error.iter().map(|why| ("automation".to_owned(), why.clone()));
    parts.chain(broken).collect()
}

/// The newest release that is for everybody.
#[must_use]
pub fn latest_release(facts: &Facts) -> Option<&wire::Release> {
    facts.releases.iter().filter(|r| !r.draft && !r.prerelease).max_by_key(|r| r.published_at)
}

/// A workflow with what its runs come to; `branch` narrows the runs that are listed, not what is counted.
#[must_use]
pub fn workflow(
    repo: &Repo,
    facts: &Facts,
    of: &Workflow,
    now: Timestamp,
    branch: Option<&str>,
    limit: usize,
) -> wire::Workflow {
    let runs = || facts.runs.iter().filter(|r| r.workflow_id == of.id);
    let fares = rates::rates(runs(), now);
    let failing = rates::failing(facts, &repo.default_branch, now);
    let on = |run: &&wire::WorkflowRun| branch.is_none_or(|b| run.branch.as_deref() == Some(b));
    wire::Workflow {
        id: of.id.clone(),
        name: of.name.clone(),
        repo_full_name: Some(repo.name.clone()),
        state: of.state.clone(),
        path: of.path.clone(),
        url: of.url.clone(),
        badge_url: of.badge_url.clone(),
        triggers: of.triggers.clone(),
        triggers_note: of.triggers_note.clone(),
        dispatchable: of.is_dispatchable(),
        latest_run: runs().next().cloned(),
        recent_runs: runs().filter(on).take(limit).cloned().collect(),
        jobs: of.jobs.clone(),
        failing: failing.iter().any(|r| r.workflow_id == of.id),
        running: runs().filter(|r| rates::is_running(r)).count(),
        success_rate: fares.success,
        mean_duration_seconds: fares.mean_seconds,
        runs_counted: fares.counted,
        window_days: rates::WINDOW_DAYS,
    }
}

/// A sync run.
#[must_use]
pub fn sync_run(world: &World, run: &SyncRun) -> wire::SyncRun {
    wire::SyncRun {
        sync_run_id: format!("s-{}", run.id),
        kind: match run.kind {
            SyncKind::Issues => "issues",
            SyncKind::Automation => "automation",
        }
        .to_owned(),
        repo_full_name: world.repos.get(&run.repo).map(|r| r.name.clone()),
        status: if run.error.is_some() { "failed" } else { "completed" }.to_owned(),
        started_at: run.stats.began,
        finished_at: run.finished_at,
        requests: run.stats.requests,
        points: run.stats.points,
        items: run.stats.items,
        error: run.error.clone(),
    }
}

/// What happened, newest first: in one repository, else in all that are tracked.
#[must_use]
pub fn events(world: &World, repo: Option<&Repo>, kind: Option<&str>, limit: usize) -> Vec<AutomationEvent> {
    let repos: Vec<_> = match repo {
        Some(repo) => vec![repo.key.clone()],
        None => world.tracked().map(|r| r.key.clone()).collect(),
    };
    let wanted = |told: &&std::sync::Arc<Told>| kind.is_none_or(|k| feed::wanted(&told.news.kind, k));
    let mut found: Vec<_> =
        repos.iter().flat_map(|key| world.automation.news(key)).filter(wanted).cloned().collect();
    found.sort_by_key(|told| std::cmp::Reverse((told.news.at, told.id)));
    found.truncate(limit);
    found.iter().map(|told| event(world, told)).collect()
}

fn event(world: &World, told: &Told) -> AutomationEvent {
    AutomationEvent {
        id: format!("e-{}", told.id),
        kind: told.news.kind.clone(),
        repo_full_name: world.repos.get(&told.repo).map(|r| r.name.clone()),
        issue_number: told.news.number,
        actor: told.news.actor.clone(),
        message: Some(told.news.message.clone()),
        url: Some(told.news.url.clone()).filter(|u| !u.is_empty()),
        created_at: told.news.at,
    }
}
