//! Taking in what was read of a repository's automation, what any read took, and what happened meanwhile.

use dispatch_shared::event::What;
use dispatch_shared::id::RepoKey;
use dispatch_shared::protocol::activity::AuditRow;

use super::settle;
use crate::core::automation::feed::{self, News};
use crate::core::automation::index::NEWS_KEPT;
use crate::core::automation::{Ask, Facts, Stats, SyncKind, SyncRun};
use crate::core::command::{Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::record::{CardKey, Repo};

pub(super) fn ask(d: &mut Draft, ask: &Ask) -> Result<Reply, Refusal> {
    match ask {
        Ask::Read { facts, stats } => read(d, facts, *stats),
        Ask::Asked { repo, action, notes, error, actor } => {
            let key = CardKey { repo: repo.clone(), number: 0 };
            let row = settle::row(d, actor, action, &key);
            d.audit(AuditRow {
                issue_number: None,
                issue_id: None,
                success: error.is_none(),
                error_message: error.clone(),
                notes: Some(notes.clone()),
                ..row
            });
            Ok(Reply::Done)
        }
    }
}

fn read(d: &mut Draft, facts: &Facts, stats: Stats) -> Result<Reply, Refusal> {
    let Some(repo) = d.world.repos.get(&facts.repo).filter(|r| r.tracked).cloned() else {
        return Err(Refusal::NotFound(format!("repository {} is not tracked any more", facts.repo)));
    };
    let old = d.world.automation.facts(&facts.repo).cloned();
    tell(d, &repo, feed::between(old.as_deref(), facts));
    let id = sync(d, &repo, SyncKind::Automation, stats, facts.error.as_deref());
    d.facts(facts.clone());
    let shown = |f: &Facts| {
        (f.commit.clone(), f.runs.clone(), f.workflows.clone(), f.releases.clone(), f.notes.clone())
    };
    if old.is_none_or(|old| shown(&old) != shown(facts)) {
        d.tell(What::Repo(repo.name.clone()));
    }
    Ok(Reply::SyncRun(id))
}

/// Keeps what a read took, and tells if its luck has turned. Returns its id.
pub(super) fn sync(d: &mut Draft, repo: &Repo, kind: SyncKind, stats: Stats, error: Option<&str>) -> u64 {
    let before = d.world.automation.failed_last(&repo.key, kind);
    let news = feed::of_sync(kind, before, error, d.now);
    tell(d, repo, news);
    let n = d.world.automation.syncs(&repo.key).next().map_or(1, |run| run.n + 1);
    let id = d.meta(|m| {
        m.next_sync_run += 1;
        m.next_sync_run - 1
    });
    let error = error.map(ToOwned::to_owned);
    d.sync_run(SyncRun { id, n, repo: repo.key.clone(), kind, finished_at: d.now, stats, error });
    id
}

/// Tells what happened, unless it was told or lies too far back.
pub(super) fn tell(d: &mut Draft, repo: &Repo, news: impl IntoIterator<Item = News>) {
    for news in news {
        if news.at < feed::since(repo) || d.world.automation.was_told(&repo.key, &news.key) {
            continue;
        }
        let told = || d.world.automation.news(&repo.key);
        let last = told().next().map_or(0, |t| t.n);
        // A full ring has forgotten what is older than all that is in it: that may have been told.
        let full = last >= NEWS_KEPT;
        if !(full && told().all(|t| news.at < t.news.at)) {
            d.news(&repo.key, last + 1, news);
        }
    }
}

/// The repository that something is told of; nobody tells of one that is not tracked.
pub(super) fn teller(d: &Draft, key: &RepoKey) -> Option<Repo> {
    d.world.repos.get(key).filter(|r| r.tracked).map(|r| (**r).clone())
}
