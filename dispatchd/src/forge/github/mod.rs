//! github.com and GitHub Enterprise.
//!
//! - `client`: one request: headers, redirects, bounds; `answer`: what came back, and what it means as an error.
//! - `limit`: what GitHub says of its rate limits, and the pace of writes.
//! - `changes`: the incremental read: a conditional probe, then pages.
//! - `issues`, `pulls`: single reads and the writes; `create`: issues that are made, and texts that change;
//!   `wire`: GitHub's JSON as plain observations.
//!
//! Deliberately absent: merging a pull request, closing an issue, replacing a set of labels.

mod answer;
mod changes;
mod client;
mod create;
mod issues;
mod labels;
mod limit;
mod link;
mod pulls;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use dispatch_shared::protocol::control::RateLimit;
use url::Url;

use self::client::Client;
use crate::core::record::Repo;
use crate::core::seen::{SeenIssue, SeenPull, SeenRepo};
use crate::edges::{Edges, Forge, ForgeError, GitRemote, IssuePage, NewIssue, NewPull};
use crate::secret::Secret;

/// How long one request may take, its body included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub struct GithubForge {
    client: Client,
}

impl GithubForge {
    /// A forge at `api_url` (`https://api.github.com`, `https://HOST/api/v3`). Without a token only public repositories
    /// can be read.
    ///
    /// # Errors
    /// If no TLS client can be made here (there are no root certificates), or the address can carry no path.
    pub fn new(api_url: Url, token: Option<Secret>, edges: Edges) -> Result<Self, ForgeError> {
        Self::with_timeout(api_url, token, edges, TIMEOUT)
    }

    /// The same with another limit for the time that one request may take.
    ///
    /// # Errors
    /// As [`GithubForge::new`].
    pub fn with_timeout(
        api_url: Url,
        token: Option<Secret>,
        edges: Edges,
        timeout: Duration,
    ) -> Result<Self, ForgeError> {
        Ok(Self { client: Client::new(api_url, token, edges, timeout)? })
    }

    /// What is left of the hour's requests, as the newest answer said; `None` before the first one.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.client.rate_limit()
    }

    fn hook(&self, step: &'static str, what: &str) -> Result<(), ForgeError> {
        let hook = &self.client.edges.hook;
        hook.before(step).map_err(|e| ForgeError::Unreachable(format!("{what} was interrupted: {e}")))
    }
}

#[async_trait]
impl Forge for GithubForge {
    async fn repository(&self, repo: &Repo) -> Result<SeenRepo, ForgeError> {
        self.read_repository(repo).await
    }

    async fn changes(&self, repo: &Repo, page: Option<&str>) -> Result<IssuePage, ForgeError> {
        self.read_changes(repo, page).await
    }

    async fn issue(&self, repo: &Repo, number: u64) -> Result<SeenIssue, ForgeError> {
        self.read_issue(repo, number).await
    }

    async fn add_labels(
        &self,
        repo: &Repo,
        number: u64,
        labels: &[String],
    ) -> Result<Vec<String>, ForgeError> {
        self.post_labels(repo, number, labels).await
    }

    async fn remove_label(&self, repo: &Repo, number: u64, label: &str) -> Result<(), ForgeError> {
        self.delete_label(repo, number, label).await
    }

    async fn labels(&self, repo: &Repo) -> Result<Option<Vec<String>>, ForgeError> {
        self.read_labels(repo).await.map(Some)
    }

    async fn create_label(&self, repo: &Repo, label: &str) -> Result<(), ForgeError> {
        self.make_label(repo, label).await
    }

    async fn comment(&self, repo: &Repo, number: u64, body: &str, marker: &str) -> Result<(), ForgeError> {
        self.post_comment(repo, number, body, marker).await
    }

    async fn create_issue(&self, repo: &Repo, issue: &NewIssue) -> Result<SeenIssue, ForgeError> {
        self.post_issue(repo, issue).await
    }

    async fn set_body(&self, repo: &Repo, number: u64, body: &str) -> Result<(), ForgeError> {
        self.patch_body(repo, number, body).await
    }

    async fn pull(&self, repo: &Repo, number: u64) -> Result<SeenPull, ForgeError> {
        self.read_pull(repo, number).await
    }

    async fn find_pull(&self, repo: &Repo, head: &str) -> Result<Option<SeenPull>, ForgeError> {
        self.search_pull(repo, head).await
    }

    async fn open_pull(&self, repo: &Repo, pull: &NewPull) -> Result<SeenPull, ForgeError> {
        self.post_pull(repo, pull).await
    }

    async fn remote(&self, repo: &Repo) -> Result<GitRemote, ForgeError> {
        Ok(GitRemote {
            url: format!("{}/{}.git", clone_base(self.client.api()), repo.name),
            credential: self.client.token().map(|t| ("x-access-token".to_owned(), t.expose().to_owned())),
        })
    }
}

/// Where git is served, by the address of the API: github.com, an Enterprise host, a data residency host, or the very
/// same origin.
fn clone_base(api: &Url) -> String {
    let host = api.host_str().unwrap_or_default();
    if host == "api.github.com" {
        return "https://github.com".to_owned();
    }
    if let Some(tenant) = host.strip_prefix("api.").filter(|t| t.ends_with(".ghe.com")) {
        return format!("https://{tenant}");
    }
    api.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_served_beside_the_api() {
        for (api, base) in [
            ("https://api.github.com", "https://github.com"),
            ("https://git.acme.io/api/v3", "https://git.acme.io"),
            ("https://api.acme.ghe.com/", "https://acme.ghe.com"),
            ("http://127.0.0.1:4567", "http://127.0.0.1:4567"),
        ] {
            assert_eq!(clone_base(&api.parse().unwrap()), base);
        }
    }
}
