//! The incremental read of a repository.
//!
//! 1. A probe at a fixed address with the validator of the last sync: 304 means nothing changed, and that was all.
//! 2. Else the issues since the cursor, oldest change first, page by page. While pages are read, an issue that changes
//!    moves to the end and those behind it move up by one, over the edge of a page that was read already. So the next
//!    page is asked for from the last change seen on (`since` is inclusive), and the numbered page that `Link` gives is
//!    followed only where a whole page carries one and the same time.
//! 3. Pull requests are among them without what matters of them: if one is, their own list is read, down to the cursor.
//!
//! The validator is the one from before the first page: what changes while pages are read is found by the next probe.

use std::time::Duration;

use dispatch_shared::Timestamp;
use reqwest::StatusCode;
use reqwest::header::ETAG;
use serde::{Deserialize, Serialize};

use super::client::Call;
use super::link::{escape, last_page, link};
use super::{GithubForge, wire};
use crate::core::record::Repo;
use crate::core::seen::SyncCursor;
use crate::edges::{ForgeError, IssuePage};

/// Changes become visible out of order by some seconds: read the last minutes again.
const OVERLAP: Duration = Duration::from_secs(120);
const PER_PAGE: u64 = 100;

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
        let probe = self
            .client
            .url(&format!("/repos/{}/issues?state=all&sort=updated&direction=desc&per_page=1", repo.name))?;
        let known =
            repo.cursor.etag.as_deref().and_then(|e| e.strip_prefix(self.client.scope())?.strip_prefix(' '));
        let answer = self.client.call(Call { etag: known, ..Call::get(probe, what).of(repo) }).await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(IssuePage { cursor: Some(repo.cursor.clone()), requests: 1, ..IssuePage::default() });
        }
        let etag = answer.headers.get(ETAG).and_then(|e| e.to_str().ok());
        let etag = etag.map(|e| format!("{} {e}", self.client.scope()));
        if answer.json::<Vec<wire::Issue>>(what)?.is_empty() {
            let cursor = SyncCursor { since: repo.cursor.since, etag };
            return Ok(IssuePage { cursor: Some(cursor), requests: 1, ..IssuePage::default() });
        }
        let since = repo.cursor.since.map(|s| s - OVERLAP);
        let progress = Progress {
            url: self.list_url(repo, since)?,
            etag,
            newest: repo.cursor.since,
            pulls: false,
            read: 0,
            total: None,
        };
        let mut page = self.one_page(repo, progress, what).await?;
        page.requests += 1;
        Ok(page)
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
            // Only onwards: whoever answers the same page again would be asked for ever.
            Some(_) if first < last && last > progress.newest => Some(self.list_url(repo, last)?),
            other => other,
        };
        let read = progress.read + list.len() as u64;
        let newest = list.iter().map(|i| i.updated_at).max().max(progress.newest);
        let pulls = progress.pulls || list.iter().any(wire::Issue::is_pull);
        let total = progress.total.or_else(|| last_page(&answer.headers).map(|n| n * PER_PAGE));
        let mut page = IssuePage {
            issues: list.into_iter().filter(|i| !i.is_pull()).map(wire::Issue::seen).collect(),
            requests: 1,
            progress: total.map(|t| (read, t.max(read))),
            ..IssuePage::default()
        };
        if let Some(url) = next {
            let progress = Progress { url, newest, pulls, read, total, ..progress };
            let token = serde_json::to_string(&progress);
            page.next = Some(token.map_err(|e| ForgeError::Unreachable(format!("{what} failed: {e}")))?);
            return Ok(page);
        }
        if pulls {
            let since = repo.cursor.since.map(|s| s - OVERLAP);
            let (seen, requests) = self.read_pulls(repo, since).await?;
            page.pulls = seen;
            page.requests += requests;
        }
        page.cursor = Some(SyncCursor { since: newest, etag: progress.etag });
        Ok(page)
    }
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
