//! A request before it is sent: what it is about, what it costs, and where it may be redirected.

use dispatch_shared::id::{RepoKey, RepoName};
use reqwest::Method;
use url::Url;

use super::link::repository_in;
use crate::core::record::Repo;
use crate::core::throttle::{Act, Resource};

/// One request. `what` completes the sentences "… was refused", "… failed".
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) what: &'a str,
    /// The repository that must answer; `None` takes whichever GitHub redirects to.
    pub(super) home: Option<&'a RepoKey>,
    /// The repository that it is about: says whose token goes out.
    pub(super) repo: Option<&'a RepoName>,
    pub(super) etag: Option<&'a str>,
    pub(super) body: Option<serde_json::Value>,
    /// What it is counted by.
    pub(super) resource: Resource,
    /// What it does, for the pace of writes.
    pub(super) act: Act,
}

impl<'a> Call<'a> {
    pub(super) fn get(url: Url, what: &'a str) -> Self {
        let (resource, act) = (Resource::Core, Act::Read);
        Self { method: Method::GET, url, what, home: None, repo: None, etag: None, body: None, resource, act }
    }

    pub(super) fn write(method: Method, url: Url, what: &'a str) -> Self {
        const CONTENT: [&str; 4] = ["issues", "comments", "pulls", "reviews"];
        let last = url.path_segments().and_then(|mut s| s.next_back());
        let creates = method == Method::POST && last.is_some_and(|l| CONTENT.contains(&l));
        let act = if creates { Act::Create } else { Act::Write };
        Self { method, act, ..Self::get(url, what) }
    }

    /// A GraphQL query: posted, but it changes nothing.
    pub(super) fn query(url: Url, what: &'a str, body: serde_json::Value) -> Self {
        let (method, body, resource) = (Method::POST, Some(body), Resource::Graphql);
        Self { method, body, resource, ..Self::get(url, what) }
    }

    /// Refuses to be redirected out of this repository: an issue that was transferred is another one there.
    pub(super) fn of(self, repo: &'a Repo) -> Self {
        let home = Some(&repo.key).filter(|k| !k.as_str().is_empty());
        Self { home, repo: Some(&repo.name), ..self }
    }

    pub(super) fn stays_home(&self, to: &Url) -> bool {
        let id = repository_in(to.as_str());
        self.home.is_none_or(|home| id.is_none_or(|id| home.as_str() == format!("gh{id}")))
    }
}
