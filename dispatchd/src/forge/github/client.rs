//! One request to GitHub: headers, redirects, bounds on time and size, and what an answer means as an error.
//!
//! The token goes into one header of requests to the configured host and nowhere else: not into an address, a log line
//! or an error.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use dispatch_shared::id::RepoName;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION, USER_AGENT};
use reqwest::{Method, StatusCode};
use secrecy::zeroize::Zeroizing;
use serde::de::DeserializeOwned;
use url::Url;

use super::access::{Access, Bearer, Credential};
use super::answer::Answer;
use super::call::Call;
use super::gates::Gates;
use super::judge::{cause, limited};
use super::limit;
use super::pages::Pages;
use crate::core::record::Repo;
use crate::core::throttle::{Ask, Left, Priority, Resource, SILENCE, Wait};
use crate::edges::{Edges, ForgeError};

/// A page of 100 issues with the longest bodies is about 26 MB.
const MOST_BYTES: usize = 32 << 20;
/// Renamed and moved repositories answer with one redirect; more than a few are a loop.
const MOST_REDIRECTS: usize = 5;
pub(super) const AGENT: &str = concat!("dispatchd/", env!("CARGO_PKG_VERSION"));
const JSON: &str = "application/vnd.github+json";
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28"));

/// See the module. Clones share the connections, the credential and the gates.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) http: reqwest::Client,
    pub(super) api: Url,
    pub(super) access: Arc<Access>,
    pub(super) timeout: Duration,
    pub(super) edges: Edges,
    pub(super) gates: Arc<Gates>,
    pub(super) pages: Arc<Pages>,
    /// Whose installation questions about no repository go to.
    speaks_for: Option<RepoName>,
    priority: Priority,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("api", &self.api.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(
        mut api: Url,
        credential: Credential,
        edges: Edges,
        timeout: Duration,
    ) -> Result<Self, ForgeError> {
        // Another part of the process may have installed it already: then that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if api.cannot_be_a_base() || !matches!(api.scheme(), "http" | "https") {
            return Err(ForgeError::Refused(format!(
                "`{api}` is no address of GitHub's API: write https://…"
            )));
        }
        let _ = api.set_password(None);
        let _ = api.set_username("");
        api.set_query(None);
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .timeout(timeout);
        if api.host_str().is_some_and(|h| h == "127.0.0.1" || h == "localhost" || h == "[::1]") {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|e| {
            ForgeError::Unreachable(format!(
                "no connection to GitHub can be made here: {}; install the system's root certificates",
                cause(&e)
            ))
        })?;
        Ok(Self {
            http,
            api,
            access: Arc::new(Access::new(credential)),
            speaks_for: None,
            timeout,
            gates: Arc::new(Gates::new(edges.clone())),
            edges,
            pages: Arc::default(),
            priority: Priority::Interactive,
        })
    }

    /// The same client for requests of this urgency.
    pub(super) fn at(&self, priority: Priority) -> Self {
        Self { priority, ..self.clone() }
    }

    /// The same client for GraphQL queries about what the owner of `repo` has.
    pub(super) fn speaking_for(&self, repo: &RepoName) -> Self {
        Self { speaks_for: Some(repo.clone()), ..self.clone() }
    }

    /// Where people see GitHub and git is served.
    pub(super) fn web(&self) -> String {
        super::web_base(&self.api)
    }

    /// What a validator is valid for: this address, whoever asks for the repository, and this `Accept`.
    pub(super) async fn scope(&self, repo: &Repo, url: &Url, what: &str) -> Result<String, ForgeError> {
        let bearer = self.bearer(Some(&repo.name), what).await?;
        Ok(self.access.scope(url, JSON, &bearer))
    }

    /// What requests about `repo` go out with. What GitHub has just refused is not tried again at once.
    pub(super) async fn bearer(&self, repo: Option<&RepoName>, what: &str) -> Result<Bearer, ForgeError> {
        let bearer = match &self.access.credential {
            Credential::Nobody => return Ok(Bearer::of("token", None)),
            Credential::Token(source) => self.access.from(source, false).await?,
            Credential::App(app) => self.installation(app, repo, None, what).await?,
        };
        match self.access.refused(&bearer, self.edges.clock.now()) {
            None => Ok(bearer),
            Some(said) => Err(ForgeError::Unauthorized(format!("{what} failed: {said}"))),
        }
    }

    /// What to go out with after a 401: read, or made, anew.
    async fn another(&self, call: &Call<'_>, refused: &Bearer) -> Result<Bearer, ForgeError> {
        match &self.access.credential {
            Credential::Nobody => Ok(refused.clone()),
            Credential::Token(source) => self.access.from(source, true).await,
            Credential::App(app) => self.installation(app, call.repo, refused.secret(), call.what).await,
        }
    }

    /// What is left of each resource, and why reads in the background are slowed.
    pub(super) fn budget(&self) -> (Vec<(Resource, Left)>, Option<Wait>) {
        self.gates.budget()
    }

    /// Where GraphQL is served: `/graphql` beside the REST API, on Enterprise `/api/graphql` beside `/api/v3`.
    pub(super) fn graphql_url(&self) -> Url {
        let mut url = self.api.clone();
        let base = url.path().trim_end_matches('/');
        let base = base.strip_suffix("/v3").unwrap_or(base).to_owned();
        url.set_path(&format!("{base}/graphql"));
        url
    }

    /// Sends a GraphQL query (`{query, variables}`). The answer is 200; what stands in its `errors` is for the caller to
    /// judge, but for a limit, which is [`ForgeError::RateLimited`] here as everywhere.
    pub(super) async fn query(&self, body: serde_json::Value, what: &str) -> Result<Answer, ForgeError> {
        let call = Call { repo: self.speaks_for.as_ref(), ..Call::query(self.graphql_url(), what, body) };
        let (answer, bearer) = self.ask(&call).await?;
        let answer = self.judge(answer, &call, &bearer)?;
        if let Some(said) = answer.graphql_limit() {
            let now = self.edges.clock.now();
            let reset = limit::left(&answer.headers, now).map(|(_, left)| left.reset_at);
            let until =
                self.gates.of(&bearer.who).exhausted(Resource::Graphql, reset.unwrap_or(now + SILENCE));
            return Err(limited(until, what, &said));
        }
        Ok(answer)
    }

    /// An address below the API's. `path` starts with a slash and is escaped already.
    pub(super) fn url(&self, path: &str) -> Result<Url, ForgeError> {
        let base = self.api.as_str().trim_end_matches('/');
        format!("{base}{path}")
            .parse()
            .map_err(|e| ForgeError::Refused(format!("`{path}` makes no address at GitHub: {e}")))
    }

    /// An address that GitHub gave; only those on its own host are followed, for the token goes along.
    pub(super) fn given(&self, address: &str, what: &str) -> Result<Url, ForgeError> {
        let url = self.api.join(address).map_err(|e| {
            ForgeError::Unreachable(format!("{what} failed: GitHub pointed to `{address}`, no address: {e}"))
        })?;
        if url.origin() != self.api.origin() {
            return Err(ForgeError::Unreachable(format!(
                "{what} failed: GitHub pointed to another host, {}, which is not followed; if it moved there, set \
                 GITHUB_API_URL to it",
                url.origin().ascii_serialization()
            )));
        }
        Ok(url)
    }

    /// Reads JSON of a repository's own.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        repo: &Repo,
        url: Url,
        what: &str,
    ) -> Result<T, ForgeError> {
        self.call(Call::get(url, what).of(repo)).await?.json(what)
    }

    /// Sends a request and follows redirects. An answer is 2xx, or 304 if `etag` was given.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Answer, ForgeError> {
        let (answer, bearer) = self.ask(&call).await?;
        self.judge(answer, &call, &bearer)
    }

    /// The same, with whatever answer comes, and what it went out with. A 401 of GitHub's own has the credential read anew and
    /// the request sent once more: what is not let in has no effect.
    pub(super) async fn ask(&self, call: &Call<'_>) -> Result<(Answer, Bearer), ForgeError> {
        let mut bearer = self.bearer(call.repo, call.what).await?;
        let (mut url, mut again, mut moved) = (call.url.clone(), bearer.token.is_some(), false);
        for _ in 0..=MOST_REDIRECTS {
            let mut answer = self.send(call, &url, &bearer).await?;
            if answer.status == StatusCode::UNAUTHORIZED && answer.complaint().is_some() && again {
                again = false;
                bearer = self.another(call, &bearer).await?;
                continue;
            }
            let follow = match answer.status {
                StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => call.method == Method::GET,
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
                _ => false,
            };
            let to = answer.headers.get(LOCATION).and_then(|l| l.to_str().ok());
            match to.filter(|_| follow) {
                Some(to) => {
                    moved |= matches!(
                        answer.status,
                        StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT
                    );
                    url = self.given(to, call.what)?;
                    if !call.stays_home(&url) {
                        return Err(ForgeError::NotFound(format!(
                            "{} failed: it was moved to another repository; follow it there",
                            call.what
                        )));
                    }
                }
                None => {
                    answer.moved = moved;
                    return Ok((answer, bearer));
                }
            }
        }
        Err(ForgeError::Unreachable(format!("{} failed: GitHub redirects in a circle", call.what)))
    }

    /// One request with this bearer, nothing followed or judged.
    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        url: &Url,
        bearer: &Bearer,
    ) -> Result<Answer, ForgeError> {
        let gate = self.gates.of(&bearer.who);
        let ask = Ask {
            priority: self.priority,
            resource: call.resource,
            act: call.act,
            conditional: call.etag.is_some(),
        };
        let _pass = gate.enter(ask, call.what).await?;
        let mut request = self
            .http
            .request(call.method.clone(), url.clone())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, JSON)
            .header(VERSION.0, VERSION.1);
        if let Some(token) = &bearer.token {
            let value = Zeroizing::new(format!("Bearer {}", token.secret.expose()));
            let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| {
                let (from, remedy) = (&token.source, token.source.remedy());
                let said = format!("the token from {from} holds characters that no token has: {remedy}");
                self.access.trouble(&bearer.who, said)
            })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(etag) = call.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(|e| self.broken(&e, call.what))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(&e, call.what))? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(ForgeError::Unreachable(format!(
                    "{} failed: GitHub's answer is larger than {} MiB",
                    call.what,
                    MOST_BYTES >> 20
                )));
            }
            body.extend_from_slice(&chunk);
        }
        let left = limit::left(&headers, self.edges.clock.now());
        if let Some((resource, left)) = left {
            gate.learn(resource, left);
        }
        tracing::debug!(
            method = %call.method,
            path = url.path(),
            status = status.as_u16(),
            left = left.map(|(_, l)| l.remaining),
            priority = ?self.priority,
            "github"
        );
        Ok(Answer { status, headers, body: body.freeze(), moved: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn client(api: &str) -> Client {
        let token = Credential::from(Some(Secret::new("ghp_x")));
        Client::new(api.parse().unwrap(), token, Edges::default(), Duration::from_secs(1)).unwrap()
    }

    #[test]
    fn graphql_is_beside_the_api() {
        for (api, graphql) in [
            ("https://api.github.com", "https://api.github.com/graphql"),
            ("https://git.acme.io/api/v3", "https://git.acme.io/api/graphql"),
            ("https://git.acme.io/api/v3/", "https://git.acme.io/api/graphql"),
            ("https://api.acme.ghe.com/", "https://api.acme.ghe.com/graphql"),
            ("http://127.0.0.1:4567", "http://127.0.0.1:4567/graphql"),
        ] {
            assert_eq!(client(api).graphql_url().as_str(), graphql);
        }
    }

    #[test]
    fn addresses_are_below_the_api() {
        let client = client("https://git.acme.io/api/v3/");
        let url = client.url("/repos/acme/api").unwrap();
        assert_eq!(url.as_str(), "https://git.acme.io/api/v3/repos/acme/api");
        let other = client.given("https://evil.example/repositories/1", "reading").unwrap_err();
        assert!(other.to_string().contains("another host"), "{other}");
        assert!(client.given("https://git.acme.io:8443/x", "reading").is_err(), "a port is another host");
        assert!(client.given("http://git.acme.io/x", "reading").is_err(), "never without TLS");
    }

    #[tokio::test]
    async fn a_validator_is_of_one_address_and_one_token() {
        let one = client("https://git.acme.io/api/v3");
        let repo = Repo::unknown("acme/api".parse().unwrap());
        let scope =
            async |of: &Client, path: &str| of.scope(&repo, &of.url(path).unwrap(), "x").await.unwrap();
        assert_ne!(scope(&one, "/a").await, scope(&one, "/b").await);
        let token = Credential::from(Some(Secret::new("ghp_y")));
        let other = Client::new(one.api.clone(), token, Edges::default(), Duration::from_secs(1)).unwrap();
        assert_ne!(scope(&one, "/a").await, scope(&other, "/a").await);
        assert!(!scope(&one, "/a").await.contains("ghp_x"));
    }
}
