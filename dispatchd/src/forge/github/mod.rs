//! github.com and GitHub Enterprise.
//!
//! - `call`: a request before it is sent; `client`: sending it: headers, redirects, bounds; `pages`: what is asked for again and
//!   again; `download`: files; `answer`: what came back; `judge`: what it means if it is not a yes.
//! - `access`: what requests go out with, read anew when it is not accepted; `installation`, `jwt`: a GitHub App's tokens;
//!   `permission`, `permissions`: what a token lacks, in words.
//! - `gate`: the one way out, where requests wait for their turn; `gates`: one for each identity; `limit`: what GitHub says of its rate limits.
//! - `changes`: the incremental read: a conditional probe, then pages.
//! - `actions`: workflows, runs, releases and the like.
//! - `issues`, `pulls`: single reads and the writes; `comments`: what people said under an issue; `create`: issues that are made, and texts that change;
//!   `wire`: GitHub's JSON as plain observations.
//! - `health`: how many pull requests are, by GraphQL (`query`: what is asked, `graph`: what is answered, `assemble`: what
//!   comes of it), or by REST (`health_rest`); `jobs`: why a job failed.
//!
//! Deliberately absent: merging a pull request, closing an issue, replacing a set of labels.

mod access;
mod actions;
mod answer;
mod assemble;
mod call;
mod changes;
mod client;
mod comments;
mod create;
mod download;
mod gate;
mod gates;
mod graph;
mod health;
mod health_rest;
mod installation;
mod issues;
mod jobs;
mod judge;
mod jwt;
mod labels;
mod limit;
mod link;
mod pages;
mod permission;
mod permissions;
mod pulls;
mod query;
mod wire;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoName;
use dispatch_shared::protocol::control::{Budget, ResourceLimit, Slowed};
use tokio::sync::watch;
use url::Url;

pub use self::access::{App, Credential, Troubles};
use self::client::Client;
pub use self::permissions::Allowed;
use crate::core::record::Repo;
use crate::core::seen::{SeenIssue, SeenPull, SeenRepo};
use crate::core::throttle::Priority;
use crate::core::waits::SeenBlocker;
use crate::edges::{
    Automation, Comments, Edges, Forge, ForgeError, GitRemote, HealthAsk, HealthLook, IssuePage, JobLog,
    LabelEvent, NewIssue, NewPull, Source,
};
use crate::secret::Secret;

/// How long one request may take, its body included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub struct GithubForge {
    client: Client,
    /// Until when GraphQL is not asked, because it was not there.
    no_graphql: Arc<Mutex<Option<Timestamp>>>,
    /// What must not stand in an excerpt of a log.
    secrets: Arc<[Secret]>,
}

impl GithubForge {
    /// A forge at `api_url` (`https://api.github.com`, `https://HOST/api/v3`), where `credential` says whom GitHub sees.
    ///
    /// # Errors
    /// If no TLS client can be made here (there are no root certificates), or the address can carry no path.
    pub fn new(api_url: Url, credential: impl Into<Credential>, edges: Edges) -> Result<Self, ForgeError> {
        Self::with_timeout(api_url, credential, edges, TIMEOUT)
    }

    /// The same with another limit for the time that one request may take.
    ///
    /// # Errors
    /// As [`GithubForge::new`].
    pub fn with_timeout(
        api_url: Url,
        credential: impl Into<Credential>,
        edges: Edges,
        timeout: Duration,
    ) -> Result<Self, ForgeError> {
        let client = Client::new(api_url, credential.into(), edges, timeout)?;
        Ok(Self { client, no_graphql: Arc::default(), secrets: Arc::default() })
    }

    /// The same forge, which masks these, besides its own token, in what it keeps of other people's logs.
    #[must_use]
    pub fn masking(self, secrets: Vec<Secret>) -> Self {
        Self { secrets: secrets.into(), ..self }
    }

    /// What is wrong with the credential now, and every change of that.
    #[must_use]
    pub fn troubles(&self) -> watch::Receiver<Troubles> {
        self.client.access.troubles()
    }

    /// Where the credential in use was found, and why it is not the newest one there, if it is not.
    ///
    /// # Errors
    /// [`ForgeError::Unauthorized`] if there is none.
    pub async fn source(&self) -> Result<(Source, Option<String>), ForgeError> {
        self.client.access.source().await
    }

    /// Forgets the tokens of installations: what an App may has changed.
    pub fn forget_installations(&self) {
        self.client.access.forget();
    }

    /// Whom GitHub sees when it is asked about `repo`: questions of the same can be put into one GraphQL query.
    #[must_use]
    pub fn identity(&self, repo: &RepoName) -> Arc<str> {
        self.client.access.who(Some(repo))
    }

    /// The same forge for requests of this urgency; both go through one gate.
    #[must_use]
    pub fn at(&self, priority: Priority) -> Self {
        Self {
            client: self.client.at(priority),
            no_graphql: self.no_graphql.clone(),
            secrets: self.secrets.clone(),
        }
    }

    /// What is left of each resource's points, as the newest answers said, and why reads in the background are slowed.
    #[must_use]
    pub fn budget(&self) -> Budget {
        let (left, slowed) = self.client.budget();
        let left = left.into_iter().map(|(resource, left)| ResourceLimit {
            resource: resource.word().to_owned(),
            limit: left.limit,
            remaining: left.remaining,
            reset_at: left.reset_at,
        });
        let slowed = slowed.and_then(|w| Some(Slowed { until: w.until?, reason: w.why.to_string() }));
        Budget { resources: left.collect(), slowed }
    }

    /// Asks GraphQL: `body` is `{query, variables}`, `what` completes the sentence "… failed". Returns the answer as it
    /// came, `data` and `errors`, which both may be there.
    ///
    /// # Errors
    /// As every read; a limit that GraphQL tells of in its answer is [`ForgeError::RateLimited`] as well.
    pub async fn graphql(
        &self,
        body: serde_json::Value,
        what: &str,
    ) -> Result<serde_json::Value, ForgeError> {
        self.client.query(body, what).await?.json(what)
    }

    /// The same as whoever is asked for `repo`; see [`GithubForge::identity`].
    ///
    /// # Errors
    /// As [`GithubForge::graphql`].
    pub async fn graphql_as(
        &self,
        repo: &RepoName,
        body: serde_json::Value,
        what: &str,
    ) -> Result<serde_json::Value, ForgeError> {
        self.client.speaking_for(repo).query(body, what).await?.json(what)
    }

    fn hook(&self, step: &'static str, what: &str) -> Result<(), ForgeError> {
        let hook = &self.client.edges.hook;
        hook.before(step).map_err(|e| ForgeError::Unreachable(format!("{what} was interrupted: {e}")))
    }
}

#[async_trait]
impl Forge for GithubForge {
    fn at(&self, priority: Priority) -> Option<Arc<dyn Forge>> {
        Some(Arc::new(GithubForge::at(self, priority)))
    }

    async fn repository(&self, repo: &Repo) -> Result<SeenRepo, ForgeError> {
        self.read_repository(repo).await
    }

    async fn alive(&self) -> Result<(), ForgeError> {
        self.whoami().await
    }

    async fn changes(&self, repo: &Repo, page: Option<&str>) -> Result<IssuePage, ForgeError> {
        self.read_changes(repo, page).await
    }

    async fn issue(&self, repo: &Repo, number: u64) -> Result<SeenIssue, ForgeError> {
        self.read_issue(repo, number).await
    }

    async fn blockers(&self, repo: &Repo, number: u64) -> Result<Vec<SeenBlocker>, ForgeError> {
        self.read_blockers(repo, number).await
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

    async fn label_events(
        &self,
        repo: &Repo,
        number: u64,
        since: Timestamp,
    ) -> Result<Vec<LabelEvent>, ForgeError> {
        self.read_label_events(repo, number, since).await
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

    async fn comments(&self, repo: &Repo, number: u64) -> Result<Comments, ForgeError> {
        self.read_comments(repo, number).await
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

    async fn health(&self, asked: &[HealthAsk]) -> Result<HealthLook, ForgeError> {
        self.read_health(asked).await
    }

    async fn job_log(&self, repo: &Repo, job: u64) -> Result<Option<JobLog>, ForgeError> {
        self.read_job_log(repo, job).await
    }

    async fn size(&self, repo: &Repo) -> Result<Option<u64>, ForgeError> {
        self.read_size(repo).await
    }

    async fn push_denied(&self, repo: &Repo) -> Option<String> {
        self.denied_push(repo).await
    }

    fn automation(&self) -> Option<&dyn Automation> {
        Some(self)
    }

    async fn remote(&self, repo: &Repo) -> Result<GitRemote, ForgeError> {
        let what = format!("fetching and pushing {}", repo.name);
        let bearer = self.client.bearer(Some(&repo.name), &what).await?;
        Ok(GitRemote {
            url: format!("{}/{}.git", self.client.web(), repo.name),
            credential: bearer.token.map(|t| ("x-access-token".to_owned(), t.secret)),
        })
    }
}

/// Where git is served and people look, by the address of the API: github.com, an Enterprise host, a data residency host,
/// or the very same origin.
#[must_use]
pub fn web_base(api: &Url) -> String {
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
            assert_eq!(web_base(&api.parse().unwrap()), base);
        }
    }
}
