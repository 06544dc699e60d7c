//! Tracking repositories.

use dispatch_shared::event::What;
use dispatch_shared::id::RepoKey;
use dispatch_shared::protocol::activity::AuditRow;

use super::{DONE, settle};
use crate::core::command::{Refusal, Reply, Track};
use crate::core::draft::Draft;
use crate::core::record::{Access, Repo, SyncCursor};

pub(super) fn row(d: &Draft, actor: &str, action: &str, repo: &Repo) -> AuditRow {
    let key = crate::core::record::CardKey { repo: repo.key.clone(), number: 0 };
    AuditRow {
        repo_full_name: Some(repo.name.clone()),
        issue_number: None,
        issue_id: None,
        ..settle::row(d, actor, action, &key)
    }
}

pub(super) fn tracked(d: &Draft, key: &RepoKey) -> Result<Repo, Refusal> {
    match d.world.repos.get(key) {
        Some(repo) if repo.tracked => Ok((**repo).clone()),
        _ => Err(Refusal::NotFound(format!("repository {key} is not tracked"))),
    }
}

pub(super) fn track(d: &mut Draft, track: &Track) -> Result<Reply, Refusal> {
    let before = d.world.repos.get(&track.seen.key).cloned();
    if let Some(old) = before.as_ref().filter(|r| r.tracked) {
        return Err(Refusal::Exists(format!("{} is tracked already", old.name)));
    }
    if let Some(other) = d.world.repo_named(&track.seen.name) {
        return Err(Refusal::Exists(format!(
            "{} is tracked already, as {}; give the new one another name",
            track.seen.name,
            other.path.as_ref().map_or_else(|| other.forge.word().to_owned(), |p| p.display().to_string())
        )));
    }
    let repo = Repo {
        key: track.seen.key.clone(),
        name: track.seen.name.clone(),
        forge: track.forge,
        path: track.path.clone(),
        default_branch: track.seen.default_branch.clone(),
        source: track.source,
        tracked: true,
        runner_enabled: track.runner_enabled,
        wip_limit: before.as_ref().map_or(0, |r| r.wip_limit),
        cursor: SyncCursor::default(),
        last_synced_at: before.as_ref().and_then(|r| r.last_synced_at),
        sync_error: None,
        sync_failures: 0,
        added_at: d.now,
        access: Access::seen(track.seen.standing),
    };
    d.audit(row(d, &track.actor, "add_tracked_repo", &repo));
    d.repo(repo);
    settle::tell_cards(d, &track.seen.key);
    Ok(Reply::Repo(track.seen.key.clone()))
}

pub(super) fn untrack(d: &mut Draft, key: &RepoKey, actor: &str) -> Result<Reply, Refusal> {
    let repo = tracked(d, key)?;
    for card in d.world.cards_of(key) {
        settle::revoke(d, &card.key, "the repository is not tracked any more")?;
        d.tell(What::IssueGone(card.key.id()));
    }
    let pulls: Vec<_> = d.world.fixes.of(key).map(|f| f.key.subject()).collect();
    for subject in pulls {
        settle::revoke(d, &subject, "the repository is not tracked any more")?;
    }
    let why = "the repository is not tracked any more";
    let mut left: Vec<_> = d.world.live_runs().filter(|r| r.card.repo == *key).cloned().collect();
    for run in &left {
        settle::revoke(d, &run.card, why)?;
    }
    left.retain(|r| r.claim.is_none());
    for run in left {
        settle::stop_run(d, &run, why.to_owned());
    }
    d.audit(row(d, actor, "remove_tracked_repo", &repo));
    d.tell(What::RepoGone(repo.name.clone()));
    d.repo(Repo { tracked: false, runner_enabled: false, ..repo });
    Ok(DONE)
}

pub(super) fn patch(
    d: &mut Draft,
    key: &RepoKey,
    runner_enabled: Option<bool>,
    wip_limit: Option<u32>,
    actor: &str,
) -> Result<Reply, Refusal> {
    let mut repo = tracked(d, key)?;
    let mut notes = Vec::new();
    if let Some(on) = runner_enabled.filter(|on| *on != repo.runner_enabled) {
        repo.runner_enabled = on;
        notes.push(format!("runner {}", if on { "on" } else { "off" }));
    }
    if let Some(limit) = wip_limit.filter(|n| *n != repo.wip_limit) {
        repo.wip_limit = limit;
        notes.push(format!("WIP limit {limit}"));
    }
    if !notes.is_empty() {
        d.audit(AuditRow { notes: Some(notes.join(", ")), ..row(d, actor, "change_tracked_repo", &repo) });
        d.repo(repo);
    }
    Ok(DONE)
}
