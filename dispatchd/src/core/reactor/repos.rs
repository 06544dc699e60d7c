//! Tracking repositories.

use dispatch_shared::event::What;
use dispatch_shared::id::RepoKey;
use dispatch_shared::protocol::activity::AuditRow;

use super::{DONE, groom, settle};
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
        lanes: before.as_ref().map(|r| r.lanes.clone()).unwrap_or_default(),
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
    end_work(d, key, "the repository is not tracked any more")?;
    for card in d.world.cards_of(key) {
        d.tell(What::IssueGone(card.key.id()));
    }
    d.audit(row(d, actor, "remove_tracked_repo", &repo));
    d.tell(What::RepoGone(repo.name.clone()));
    d.repo(Repo { tracked: false, runner_enabled: false, ..repo });
    Ok(DONE)
}

/// Ends every claim and every run in a repository where no work can be done any more; nothing of theirs is published.
pub(super) fn end_work(d: &mut Draft, key: &RepoKey, why: &str) -> Result<(), Refusal> {
    for card in d.world.cards_of(key) {
        settle::revoke(d, &card.key, why)?;
    }
    let pulls: Vec<_> = d.world.fixes.of(key).map(|f| f.key.subject()).collect();
    for subject in pulls {
        settle::revoke(d, &subject, why)?;
    }
    let mut left: Vec<_> = d.world.live_runs().filter(|r| r.card.repo == *key).cloned().collect();
    for run in &left {
        settle::revoke(d, &run.card, why)?;
    }
    // A run by hand on a branch or a tag holds nothing.
    left.retain(|r| r.claim.is_none());
    for run in left {
        settle::stop_run(d, &run, why.to_owned());
    }
    Ok(())
}

/// What is to change of a repository; what is `None` stays.
pub(super) struct Switches<'a> {
    pub(super) runner: Option<bool>,
    pub(super) wip: Option<u32>,
    pub(super) lanes: Option<&'a [String]>,
}

pub(super) fn patch(
    d: &mut Draft,
    key: &RepoKey,
    switches: &Switches<'_>,
    actor: &str,
) -> Result<Reply, Refusal> {
    let mut repo = tracked(d, key)?;
    let mut notes = Vec::new();
    if let Some(named) = switches.lanes {
        let mut lanes = Vec::new();
        for text in named {
            let id = groom::configured(d, text)?;
            if !lanes.contains(&id) {
                lanes.push(id);
            }
        }
        if lanes != repo.lanes {
            notes.push(if lanes.is_empty() {
                "every lane".into()
            } else {
                format!("lanes {}", lanes.join(", "))
            });
            repo.lanes = lanes;
        }
    }
    if let Some(on) = switches.runner.filter(|on| *on != repo.runner_enabled) {
        repo.runner_enabled = on;
        notes.push(format!("runner {}", if on { "on" } else { "off" }));
    }
    if let Some(limit) = switches.wip.filter(|n| *n != repo.wip_limit) {
        repo.wip_limit = limit;
        notes.push(format!("WIP limit {limit}"));
    }
    if !notes.is_empty() {
        d.audit(AuditRow { notes: Some(notes.join(", ")), ..row(d, actor, "change_tracked_repo", &repo) });
        d.repo(repo);
    }
    Ok(DONE)
}
