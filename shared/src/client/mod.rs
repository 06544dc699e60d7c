//! A typed client for the daemon's API, over the local socket or TCP.
//!
//! Every method is one route and returns its typed answer, or an [`Error`] that says whether the daemon was not
//! there, or what it answered.

mod automation;
mod dispatch;
mod followup;
mod setup;
mod stream;
mod work;

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};

pub use stream::{EventStream, Message};

use crate::endpoint::Endpoint;
use crate::error::{ApiError, Code};
use crate::id::{IssueId, RepoName, RunId};
use crate::protocol::{self as wire, activity, claims, control, events, issues, queue, repos, runs, tasks};

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens, or the connection broke before an answer.
    #[error("no daemon answers at {endpoint}: {cause}")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// What the system said.
        cause: String,
    },
    /// The daemon answered with an error.
    #[error("{0}")]
    Api(#[from] ApiError),
    /// The daemon's answer could not be read: another version, or something else listens there.
    #[error("the answer from {endpoint} is not what this client understands: {cause}")]
    Garbled {
        /// Who answered.
        endpoint: String,
        /// What was wrong.
        cause: String,
    },
}

impl Error {
    /// The error code, if the daemon answered with one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Error::Api(e) => Some(e.code),
            _ => None,
        }
    }
}

/// The daemon gives a sign of life in the stream of events every twenty seconds. If none comes for so long the connection is dead,
/// whatever the system says.
const SILENCE: Duration = Duration::from_secs(60);

/// The client. Cheap to clone; connections are pooled.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// The same for the stream of events, which is never silent for long.
    streams: reqwest::Client,
    base: String,
    endpoint: Endpoint,
    token: Option<SecretString>,
    actor: Option<String>,
}

/// The result of every call.
pub type Result<T> = std::result::Result<T, Error>;

impl Client {
    /// A client for `endpoint`; `token` is sent as a bearer token, `actor` names who acts in the audit.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the HTTP stack cannot be set up.
    pub fn new(endpoint: Endpoint, token: Option<String>, actor: Option<String>) -> Result<Self> {
        // Without a provider the HTTP stack panics at its first use; a second installation is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let unreachable = |cause: reqwest::Error| Error::Unreachable {
            endpoint: endpoint.to_string(),
            cause: cause.to_string(),
        };
        let builder = || {
            let builder = reqwest::Client::builder()
                .connect_timeout(Duration::from_secs(5))
                .user_agent(concat!("dispatch/", env!("CARGO_PKG_VERSION")))
                .no_proxy();
            match &endpoint {
                Endpoint::Local(path) => builder.unix_socket(path.clone()),
                Endpoint::Url(_) => builder,
            }
        };
        let base = match &endpoint {
            Endpoint::Local(_) => "http://dispatch".to_owned(),
            Endpoint::Url(url) => url.as_str().trim_end_matches('/').to_owned(),
        };
        let http = builder().build().map_err(unreachable)?;
        let streams = builder().read_timeout(SILENCE).build().map_err(unreachable)?;
        Ok(Self { http, streams, base, endpoint, token: token.map(SecretString::from), actor })
    }

    /// Where this client looks for the daemon.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.request_by(&self.http, method, path)
    }

    fn request_by(
        &self,
        http: &reqwest::Client,
        method: reqwest::Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let mut request = http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(actor) = &self.actor {
            request = request.header("x-agent-name", actor);
        }
        request
    }

    /// Sends a request and hands back the answer if its status is 2xx.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        let answer = request.send().await.map_err(|e| self.unreachable(&e))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body = answer.bytes().await.map_err(|e| self.unreachable(&e))?;
        Err(match serde_json::from_slice::<ApiError>(&body) {
            Ok(error) => Error::Api(error),
            Err(_) => self.garbled(format!("status {status} without an error of ours")),
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Error::Unreachable { endpoint: self.endpoint.to_string(), cause: cause.to_string() }
    }

    fn garbled(&self, cause: impl ToString) -> Error {
        Error::Garbled { endpoint: self.endpoint.to_string(), cause: cause.to_string() }
    }

    async fn read<T: DeserializeOwned>(&self, answer: reqwest::Response) -> Result<T> {
        let bytes = answer.bytes().await.map_err(|e| self.unreachable(&e))?;
        serde_json::from_slice(&bytes).map_err(|e| self.garbled(e))
    }

    /// Any GET route.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &(impl Serialize + ?Sized)) -> Result<T> {
        let path = with_query(path, query).map_err(|e| self.garbled(e))?;
        let answer = self.send(self.request(reqwest::Method::GET, &path)).await?;
        self.read(answer).await
    }

    /// Any route with another method and a JSON body.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T> {
        let method = method.parse().map_err(|_| self.garbled(format!("`{method}` is no HTTP method")))?;
        let answer = self.send(self.request(method, path).json(body)).await?;
        self.read(answer).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<T> {
        self.call("POST", path, body).await
    }

    /// `GET /api/health`.
    ///
    /// # Errors
    /// See [`Error`]; the same holds for every method below.
    pub async fn health(&self) -> Result<wire::Health> {
        self.get("/api/health", &()).await
    }

    /// `GET /api/issues`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn issues(&self, query: &issues::IssuesQuery) -> Result<Vec<issues::Issue>> {
        self.get("/api/issues", query).await
    }

    /// `GET /api/issues/{id}`: one card with its body.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn issue(&self, id: &IssueId) -> Result<issues::Issue> {
        self.get(&format!("/api/issues/{id}"), &()).await
    }

    /// `GET /api/issues/{id}/why`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn why(&self, id: &IssueId) -> Result<issues::Why> {
        self.get(&format!("/api/issues/{id}/why"), &()).await
    }

    /// `POST /api/issues/move`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn move_issue(&self, request: &issues::MoveRequest) -> Result<issues::LabelsAnswer> {
        self.post("/api/issues/move", request).await
    }

    /// `POST /api/issues/claim`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn claim(&self, request: &claims::ClaimRequest) -> Result<claims::ClaimAnswer> {
        self.post("/api/issues/claim", request).await
    }

    /// `POST /api/issues/unclaim`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn unclaim(&self, request: &claims::ClaimRequest) -> Result<issues::LabelsAnswer> {
        self.post("/api/issues/unclaim", request).await
    }

    /// `GET …/next-task`: looks, claims nothing.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn peek(&self, agent: &str, query: &tasks::NextTaskQuery) -> Result<tasks::Task> {
        self.get(&format!("/api/agents/{agent}/next-task"), query).await
    }

    /// `POST …/next-task`: selects and claims in one step.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn take(
        &self,
        agent: &str,
        query: &tasks::NextTaskQuery,
        body: &tasks::TakeRequest,
    ) -> Result<tasks::Task> {
        let path =
            with_query(&format!("/api/agents/{agent}/next-task"), query).map_err(|e| self.garbled(e))?;
        self.post(&path, body).await
    }

    /// `POST …/tasks/report`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn report(&self, agent: &str, body: &tasks::ReportRequest) -> Result<tasks::ReportAnswer> {
        self.post(&format!("/api/agents/{agent}/tasks/report"), body).await
    }

    /// `POST …/heartbeat`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn heartbeat(
        &self,
        agent: &str,
        body: &claims::HeartbeatRequest,
    ) -> Result<claims::HeartbeatAnswer> {
        self.post(&format!("/api/agents/{agent}/heartbeat"), body).await
    }

    /// `GET …/queue`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn queue(&self, agent: &str, query: &queue::QueueQuery) -> Result<Vec<queue::QueueEntry>> {
        self.get(&format!("/api/agents/{agent}/queue"), query).await
    }

    /// `GET /api/runs`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn runs(&self, query: &runs::RunsQuery) -> Result<Vec<runs::Run>> {
        self.get("/api/runs", query).await
    }

    /// `GET /api/runs/{id}`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn run(&self, id: RunId) -> Result<runs::Run> {
        self.get(&format!("/api/runs/{id}"), &()).await
    }

    /// `GET /api/runs/{id}/log`: the bytes as they come.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn log(&self, id: RunId, query: &runs::LogQuery) -> Result<LogBytes> {
        let path = with_query(&format!("/api/runs/{id}/log"), query).map_err(|e| self.garbled(e))?;
        let answer = self.send(self.request(reqwest::Method::GET, &path)).await?;
        let number = |name: &str| answer.headers().get(name)?.to_str().ok()?.parse().ok();
        Ok(LogBytes {
            offset: number("x-log-offset").unwrap_or(0),
            answer,
            endpoint: self.endpoint.to_string(),
        })
    }

    /// `GET /api/runs/{id}/diff`: a unified diff.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn diff(&self, id: RunId) -> Result<String> {
        let answer = self.send(self.request(reqwest::Method::GET, &format!("/api/runs/{id}/diff"))).await?;
        answer.text().await.map_err(|e| self.unreachable(&e))
    }

    /// `POST /api/runs/{id}/kill`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn kill(&self, id: RunId, body: &runs::KillRequest) -> Result<runs::Run> {
        self.post(&format!("/api/runs/{id}/kill"), body).await
    }

    /// `POST /api/runs/{id}/retry`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn retry(&self, id: RunId) -> Result<issues::LabelsAnswer> {
        self.post(&format!("/api/runs/{id}/retry"), &serde_json::json!({})).await
    }

    /// `POST /api/runs/{id}/answer`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn answer(&self, id: RunId, text: &str) -> Result<issues::LabelsAnswer> {
        self.post(&format!("/api/runs/{id}/answer"), &runs::AnswerRequest { text: text.to_owned() }).await
    }

    /// `GET /api/problems`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn problems(&self) -> Result<Vec<control::Problem>> {
        self.get("/api/problems", &()).await
    }

    /// `GET /api/orphans`: asks the engines.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn orphans(&self) -> Result<Vec<control::Orphan>> {
        self.get("/api/orphans", &()).await
    }

    /// `POST /api/orphans/stop`: these names, or all of them.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn stop_orphans(&self, names: Vec<String>) -> Result<control::StopOrphansAnswer> {
        self.post("/api/orphans/stop", &control::StopOrphansRequest { names }).await
    }

    /// `GET /api/control`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn control(&self) -> Result<control::Control> {
        self.get("/api/control", &()).await
    }

    /// `POST /api/control/freeze` or `…/thaw`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn freeze(&self, frozen: bool) -> Result<control::Control> {
        let path = if frozen { "/api/control/freeze" } else { "/api/control/thaw" };
        self.post(path, &serde_json::json!({})).await
    }

    /// `GET /api/automation/repos`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn repos(&self) -> Result<Vec<repos::Repo>> {
        self.get("/api/automation/repos", &()).await
    }

    /// `POST /api/automation/repos`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn add_repo(&self, body: &repos::AddRepoRequest) -> Result<repos::Repo> {
        self.post("/api/automation/repos", body).await
    }

    /// `DELETE /api/automation/repos/{owner}/{repo}`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn remove_repo(&self, repo: &RepoName) -> Result<wire::Ok> {
        self.call("DELETE", &format!("/api/automation/repos/{repo}"), &serde_json::json!({})).await
    }

    /// `PATCH /api/automation/repos/{owner}/{repo}`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn patch_repo(&self, repo: &RepoName, body: &repos::PatchRepoRequest) -> Result<repos::Repo> {
        self.call("PATCH", &format!("/api/automation/repos/{repo}"), body).await
    }

    /// `POST /api/sync`: waits until it is done.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn sync(&self, repo: Option<&RepoName>) -> Result<repos::SyncAnswer> {
        let body = repos::SyncRequest { repo_full_name: repo.map(ToString::to_string) };
        self.post("/api/sync", &body).await
    }

    /// `GET /api/audit`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn audit(&self, query: &activity::AuditQuery) -> Result<Vec<activity::AuditRow>> {
        self.get("/api/audit", query).await
    }

    /// `GET /api/events`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn events(&self, query: &events::EventsQuery) -> Result<EventStream> {
        let path = with_query("/api/events", query).map_err(|e| self.garbled(e))?;
        let answer = self.send(self.request_by(&self.streams, reqwest::Method::GET, &path)).await?;
        Ok(EventStream::new(answer, self.endpoint.to_string()))
    }
}

/// A log as it comes in.
#[derive(Debug)]
pub struct LogBytes {
    /// The byte in the whole log at which this starts.
    pub offset: u64,
    answer: reqwest::Response,
    endpoint: String,
}

impl LogBytes {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the connection broke.
    pub async fn next(&mut self) -> Result<Option<bytes::Bytes>> {
        self.answer
            .chunk()
            .await
            .map_err(|e| Error::Unreachable { endpoint: self.endpoint.clone(), cause: e.to_string() })
    }
}

/// Appends `query`'s fields to `path`; absent ones are left out.
fn with_query(
    path: &str,
    query: &(impl Serialize + ?Sized),
) -> std::result::Result<String, serde_json::Error> {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    if let serde_json::Value::Object(fields) = serde_json::to_value(query)? {
        for (name, value) in fields {
            match value {
                serde_json::Value::Null => {}
                serde_json::Value::String(text) => drop(pairs.append_pair(&name, &text)),
                other => drop(pairs.append_pair(&name, &other.to_string())),
            }
        }
    }
    let pairs = pairs.finish();
    Ok(if pairs.is_empty() { path.to_owned() } else { format!("{path}?{pairs}") })
}
