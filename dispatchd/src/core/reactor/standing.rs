//! What becomes of a repository, and of an issue, that the forge denies.

use dispatch_shared::event::What;
use dispatch_shared::id::RepoKey;
use dispatch_shared::protocol::activity::AuditRow;

use super::{automation, repos, settle, umbrella};
use crate::core::automation::{Stats, SyncKind};
use crate::core::command::{Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::record::{Card, CardKey, Repo};
use crate::core::standing::{self, Access, Trouble};

/// Takes in a sync that failed.
pub(super) fn failed(
    d: &mut Draft,
    key: &RepoKey,
    error: &str,
    trouble: Trouble,
    stats: Option<Stats>,
) -> Result<Reply, Refusal> {
    let mut repo = repos::tracked(d, key)?;
    repo.sync_failures = repo.sync_failures.saturating_add(1);
    repo.sync_error = Some(error.to_owned());
    let access = repo.access.after(trouble, d.now);
    become_of(d, &mut repo, access)?;
    d.repo(repo.clone());
    let stats = stats.unwrap_or(Stats { began: d.now, ..Stats::default() });
    Ok(Reply::SyncRun(automation::sync(d, &repo, SyncKind::Issues, stats, Some(error))))
}

/// Takes in what is known now of a repository's standing. Where no work can be done any more, live claims end and nothing
/// of theirs is published; cards, runs and pull requests stay.
pub(super) fn become_of(d: &mut Draft, repo: &mut Repo, access: Access) -> Result<(), Refusal> {
    let (before, after) = (repo.access.standing, access.standing);
    repo.access = access;
    if before == after {
        return Ok(());
    }
    let why = format!("the repository {}", after.words());
    d.audit(AuditRow { notes: Some(why.clone()), ..repos::row(d, "dispatch", "repository_standing", repo) });
    // The index of ready cards follows the repository.
    d.repo(repo.clone());
    if !after.takes_work() {
        repos::end_work(d, &repo.key, &why)?;
    }
    settle::tell_cards(d, &repo.key);
    Ok(())
}

/// Refuses new work where none can be done.
pub(super) fn takes_work(d: &Draft, card: &CardKey) -> Result<(), Refusal> {
    let subject = settle::name(d, card);
    match d.world.repos.get(&card.repo).filter(|r| r.tracked) {
        None => Err(Refusal::NotFound(format!("{subject} is in a repository that is not tracked"))),
        Some(repo) if !repo.access.standing.takes_work() => Err(Refusal::Closed(format!(
            "{subject} takes no work: the repository {}",
            repo.access.standing.words()
        ))),
        Some(_) => Ok(()),
    }
}

/// The forge said of an issue that it is not there: the first time it is noted, a while later it is believed.
pub(super) fn denied(d: &mut Draft, key: &CardKey) -> Result<(), Refusal> {
    let Some(card) = d.world.cards.get(key).filter(|c| !c.gone).cloned() else { return Ok(()) };
    match card.denied {
        None => d.card(Card { denied: Some(d.now), ..(*card).clone() }),
        Some(first) if standing::gone(first, d.now) => gone(d, key)?,
        Some(_) => {}
    }
    Ok(())
}

/// An issue is not there any more.
pub(super) fn gone(d: &mut Draft, key: &CardKey) -> Result<(), Refusal> {
    let Some(card) = d.world.cards.get(key).filter(|c| !c.gone).cloned() else { return Ok(()) };
    settle::revoke(d, key, "the issue is gone from the forge")?;
    d.tell(What::IssueGone(key.id()));
    d.card(Card { gone: true, ..(*card).clone() });
    umbrella::child_changed(d, key)
}
