//! Facts, news and sync runs in memory, as many as the store keeps: each repository has a ring of its own, so that a busy
//! one pushes out nothing of a quiet one.

use std::sync::Arc;

use dispatch_shared::id::RepoKey;
use imbl::OrdMap;

use super::feed::Told;
use super::{Facts, SyncKind, SyncRun};

/// News kept of a repository.
pub const NEWS_KEPT: u64 = 200;
/// Sync runs kept of a repository.
pub const SYNCS_KEPT: u64 = 50;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Index {
    facts: OrdMap<RepoKey, Arc<Facts>>,
    news: OrdMap<(RepoKey, u64), Arc<Told>>,
    keys: OrdMap<(RepoKey, String), u64>,
    syncs: OrdMap<(RepoKey, u64), Arc<SyncRun>>,
}

impl Index {
    pub(in crate::core) fn put_facts(&mut self, facts: &Facts) {
        self.facts.insert(facts.repo.clone(), Arc::new(facts.clone()));
    }

    pub(in crate::core) fn put_news(&mut self, told: &Told) {
        self.keys.insert((told.repo.clone(), told.news.key.clone()), told.n);
        self.news.insert((told.repo.clone(), told.n), Arc::new(told.clone()));
        let out = told.n.checked_sub(NEWS_KEPT).and_then(|n| self.news.remove(&(told.repo.clone(), n)));
        if let Some(old) = out {
            self.keys.remove(&(old.repo.clone(), old.news.key.clone()));
        }
    }

    pub(in crate::core) fn put_sync(&mut self, run: &SyncRun) {
        self.syncs.insert((run.repo.clone(), run.n), Arc::new(run.clone()));
        if let Some(out) = run.n.checked_sub(SYNCS_KEPT) {
            self.syncs.remove(&(run.repo.clone(), out));
        }
    }

    /// What is known of a repository's automation.
    #[must_use]
    pub fn facts(&self, repo: &RepoKey) -> Option<&Arc<Facts>> {
        self.facts.get(repo)
    }

    /// What is known of all repositories.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Facts>> {
        self.facts.values()
    }

    /// The news of a repository, the last told first.
    pub fn news<'a>(&'a self, repo: &RepoKey) -> impl Iterator<Item = &'a Arc<Told>> + use<'a> {
        self.news.range((repo.clone(), 0)..=(repo.clone(), u64::MAX)).rev().map(|(_, told)| told)
    }

    /// Whether that was told, as far back as news are kept.
    #[must_use]
    pub fn was_told(&self, repo: &RepoKey, key: &str) -> bool {
        self.keys.contains_key(&(repo.clone(), key.to_owned()))
    }

    /// The sync runs of a repository, newest first.
    pub fn syncs<'a>(&'a self, repo: &RepoKey) -> impl Iterator<Item = &'a Arc<SyncRun>> + use<'a> {
        self.syncs.range((repo.clone(), 0)..=(repo.clone(), u64::MAX)).rev().map(|(_, run)| run)
    }

    /// A sync run of a repository by its id.
    #[must_use]
    pub fn sync(&self, repo: &RepoKey, id: u64) -> Option<&Arc<SyncRun>> {
        self.syncs(repo).find(|run| run.id == id)
    }

    /// Whether the last sync of this kind failed; `None` if there was none.
    #[must_use]
    pub fn failed_last(&self, repo: &RepoKey, kind: SyncKind) -> Option<bool> {
        self.syncs(repo).find(|run| run.kind == kind).map(|run| run.error.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::super::feed::News;
    use super::*;
    use dispatch_shared::Timestamp;

    #[test]
    fn each_repository_keeps_its_newest() {
        let mut index = Index::default();
        let told = |repo: &str, n: u64| Told {
            id: n,
            n,
            repo: RepoKey::new(repo),
            news: News {
                kind: "push".into(),
                key: format!("push:{n}"),
                number: None,
                actor: String::new(),
                message: String::new(),
                url: String::new(),
                at: Timestamp(0),
            },
        };
        index.put_news(&told("gh2", 1));
        (1..=NEWS_KEPT + 5).for_each(|n| index.put_news(&told("gh1", n)));
        let (busy, quiet) = (RepoKey::new("gh1"), RepoKey::new("gh2"));
        assert_eq!(index.news(&busy).count() as u64, NEWS_KEPT);
        assert_eq!(index.news(&busy).next().map(|t| t.n), Some(NEWS_KEPT + 5));
        assert!(!index.was_told(&busy, "push:5") && index.was_told(&busy, "push:6"));
        assert!(index.was_told(&quiet, "push:1"), "another repository's are left alone");
        // As a restart reads them: by their place in the ring, not by age.
        let mut again = Index::default();
        let mut rows: Vec<_> = index.news(&busy).cloned().collect();
        rows.sort_by_key(|t| t.n % NEWS_KEPT);
        rows.iter().for_each(|t| again.put_news(t));
        assert!(again.news(&busy).eq(index.news(&busy)));
    }
}
