//! The incremental read of a repository.
//!
//! 1. A probe at a fixed address with the validator of the last sync, for what changed last: 304 means that nothing did,
//!    and that was all. A page that reaches back beyond the cursor is all there is to read, and that was all as well.
//! 2. Else the issues since the cursor, oldest change first, page by page. While pages are read, an issue that changes
//!    moves to the end and those behind it move up by one, over the edge of a page that was read already. So the next
//!    page is asked for from the last change seen on (`since` is inclusive), and the numbered page that `Link` gives is
//!    followed only where a whole page carries one and the same time. A read that breaks off goes on from there.
//! 3. Pull requests are among them without what matters of them: if one is, their own list is read, down to its cursor.
//!
//! The validator is the one from before the first page: what changes while pages are read is found by the next probe.
//! Names are lent: before anything is taken in, the answer must come from the repository that was meant.

use std::time::Duration;

use dispatch_shared::Timestamp;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::link::{escape, last_page, link, repository_in};
use super::{GithubForge, limit, wire};
use crate::core::record::Repo;
use crate::core::seen::{SeenIssue, SyncCursor};
use crate::edges::{ForgeError, IssuePage};

/// Changes become visible out of order by some seconds: read the last minutes again.
const OVERLAP: Duration = Duration::from_secs(120);
const PER_PAGE: u64 = 100;

/// How long after a second nothing more is said to have changed in it.
const SETTLED: Duration = Duration::from_secs(5);
/// What the probe asks for: what changes between two looks mostly fits.
const PROBE: u64 = 30;

/// What one page hands to the next; opaque to the caller.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    /// The page to read now.
    url: String,
    /// The validator from before the first page.
    etag: Option<String>,
    /// The newest change seen.
    newest: Option<Timestamp>,
    /// Whether a pull request was among them.
    pulls: bool,
    /// Issues and pull requests read.
    read: u64,
    /// How many there seemed to be at the first page.
    total: Option<u64>,
}

impl GithubForge {
    pub(super) async fn read_changes(
        &self,
        repo: &Repo,
        page: Option<&str>,
    ) -> Result<IssuePage, ForgeError> {
        let what = format!("listing the issues of {}", repo.name);
        match page {
            None => self.first_page(repo, &what).await,
            Some(token) => {
                let progress = serde_json::from_str(token).map_err(|e| {
                    ForgeError::Unreachable(format!("{what} failed: `{token}` names no page: {e}"))
                })?;
                self.one_page(repo, progress, &what).await
            }
        }
    }

    async fn first_page(&self, repo: &Repo, what: &str) -> Result<IssuePage, ForgeError> {
        let cursor = &repo.cursor;
        let query = format!("state=all&sort=updated&direction=desc&per_page={PROBE}");
        let probe = self.client.url(&format!("/repos/{}/issues?{query}", repo.name))?;
        let scope = self.client.scope(repo, &probe, what).await?;
        let known = cursor.etag.as_deref().and_then(|e| e.strip_prefix(&scope)?.strip_prefix(' '));
        let answer = self.client.call(Call { etag: known, ..Call::get(probe, what).of(repo) }).await?;
        let mut page = IssuePage { requests: 1, moved: answer.moved, ..IssuePage::default() };
        if answer.status == StatusCode::NOT_MODIFIED {
            page.cursor = Some(cursor.clone());
            page.unchanged = 1;
            return Ok(page);
        }
        let list: Vec<wire::Issue> = answer.json(what)?;
        let etag = answer.etag().filter(|_| !still_now(&list, &answer)).map(|e| format!("{scope} {e}"));
        if !list.is_empty() {
            page.requests += self.is_meant(repo, &answer, what).await?;
        }
        let since = cursor.since.map(|s| s - OVERLAP);
        let reaches = since.is_some_and(|s| list.last().is_some_and(|last| last.updated_at < s));
        if reaches || link(&answer.headers, "next").is_none() {
            let fresh: Vec<wire::Issue> =
                list.into_iter().filter(|i| since.is_none_or(|s| i.updated_at >= s)).collect();
            let read = fresh.len() as u64;
            let pulls = cursor.pulls_due || fresh.iter().any(wire::Issue::is_pull);
            let newest = fresh.iter().map(|i| i.updated_at).max().max(cursor.since);
            page.issues = seen(fresh);
            page.progress = Some((read, read));
            return self
                .last_page(repo, page, SyncCursor { since: newest, etag, ..cursor.clone() }, pulls)
                .await;
        }
        let progress = Progress {
            url: self.list_url(repo, since)?,
            etag,
            newest: cursor.since,
            pulls: cursor.pulls_due,
            read: 0,
            total: None,
        };
        let first = self.one_page(repo, progress, what).await?;
        Ok(IssuePage { requests: first.requests + page.requests, moved: page.moved, ..first })
    }

    /// Refuses an answer of another repository that has taken the name since. Returns the requests that it took: pages
    /// name the repository that they are of, a list without pages does not.
    async fn is_meant(&self, repo: &Repo, answer: &Answer, what: &str) -> Result<usize, ForgeError> {
        if repo.key.as_str().is_empty() || answer.moved {
            // A redirect is followed to the repository that was meant alone.
            return Ok(0);
        }
        if let Some(id) = link(&answer.headers, "next").and_then(|next| repository_in(&next)) {
            if repo.key.as_str() == format!("gh{id}") {
                return Ok(0);
            }
            return Err(ForgeError::NotFound(format!(
                "{what} failed: {} is another repository by now (gh{id}, not {})",
                repo.name, repo.key
            )));
        }
        let now = self.read_repository(repo).await?;
        if now.name.folded() == repo.name.folded() {
            return Ok(1);
        }
        Err(ForgeError::NotFound(format!("{what} failed: the repository is called {} by now", now.name)))
    }

    fn list_url(&self, repo: &Repo, since: Option<Timestamp>) -> Result<String, ForgeError> {
        let since = since.map(|s| format!("&since={}", escape(&whole_seconds(s)))).unwrap_or_default();
        let query = format!("state=all&sort=updated&direction=asc&per_page={PER_PAGE}{since}");
        Ok(self.client.url(&format!("/repos/{}/issues?{query}", repo.name))?.into())
    }

    async fn one_page(&self, repo: &Repo, progress: Progress, what: &str) -> Result<IssuePage, ForgeError> {
        let url = self.client.given(&progress.url, what)?;
        let answer = self.client.call(Call::get(url, what).of(repo)).await?;
        let list: Vec<wire::Issue> = answer.json(what)?;
        let (first, last) = (list.first().map(|i| i.updated_at), list.last().map(|i| i.updated_at));
        let next = match link(&answer.headers, "next") {
            Some(next) if !self.is_of(repo, &next) => {
                return Err(ForgeError::NotFound(format!(
                    "{what} failed: {} is another repository by now ({next})",
                    repo.name
                )));
            }
            // Only onwards: whoever answers the same page again would be asked for ever.
            Some(_) if first < last && last > progress.newest => Some(self.list_url(repo, last)?),
            other => other,
        };
        let read = progress.read + list.len() as u64;
        let newest = list.iter().map(|i| i.updated_at).max().max(progress.newest);
        let pulls = progress.pulls || list.iter().any(wire::Issue::is_pull);
        let total = progress.total.or_else(|| last_page(&answer.headers).map(|n| n * PER_PAGE));
        let page = IssuePage {
            issues: seen(list),
            requests: 1,
            progress: total.map(|t| (read, t.max(read))),
            ..IssuePage::default()
        };
        let cursor = SyncCursor { since: newest, etag: None, ..repo.cursor.clone() };
        let Some(url) = next else {
            return self.last_page(repo, page, SyncCursor { etag: progress.etag, ..cursor }, pulls).await;
        };
        let resume = Some(SyncCursor { pulls_due: pulls, ..cursor });
        let progress = Progress { url, newest, pulls, read, total, ..progress };
        let token = serde_json::to_string(&progress);
        let next = token.map_err(|e| ForgeError::Unreachable(format!("{what} failed: {e}")))?;
        Ok(IssuePage { next: Some(next), resume, ..page })
    }

    /// Reads the pull requests, if one has changed, and ends the read.
    async fn last_page(
        &self,
        repo: &Repo,
        mut page: IssuePage,
        mut cursor: SyncCursor,
        pulls: bool,
    ) -> Result<IssuePage, ForgeError> {
        if pulls {
            let since = cursor.pulls_since.map(|s| s - OVERLAP);
            let (seen, requests) = self.read_pulls(repo, since).await?;
            cursor.pulls_since = seen.iter().map(|p| p.updated_at).max().max(cursor.pulls_since);
            page.pulls = seen;
            page.requests += requests;
        }
        cursor.pulls_due = false;
        page.cursor = Some(cursor);
        Ok(page)
    }

    /// Whether an address that GitHub gave is of this repository, as far as it says.
    fn is_of(&self, repo: &Repo, address: &str) -> bool {
        repo.key.as_str().is_empty()
            || repository_in(address).is_none_or(|id| repo.key.as_str() == format!("gh{id}"))
    }
}

/// Whether all of a full probe changed in one second that is hardly over: what changes in the rest of it may stand behind
/// the probe's end, where its validator does not reach.
fn still_now(list: &[wire::Issue], answer: &Answer) -> bool {
    let (Some(first), Some(last)) = (list.first(), list.last()) else { return false };
    let full = list.len() as u64 >= PROBE && first.updated_at == last.updated_at;
    full && limit::sent(&answer.headers).is_none_or(|sent| sent.since(first.updated_at) <= SETTLED)
}

fn seen(list: Vec<wire::Issue>) -> Vec<SeenIssue> {
    list.into_iter().filter(|i| !i.is_pull()).map(wire::Issue::seen).collect()
}

/// GitHub's times have no fractions; rounding down reads a second twice rather than not at all.
fn whole_seconds(at: Timestamp) -> String {
    let text = Timestamp(at.0.div_euclid(1_000) * 1_000).to_string();
    text.replace(".000Z", "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_written_as_github_reads_it() {
        let at = Timestamp::parse("2026-11-20T10:00:07.999Z").unwrap();
        assert_eq!(whole_seconds(at), "2026-11-20T10:00:07Z");
    }
}
