//! Bodies and queries: an empty body is `{}`, Content-Type is not enforced, unknown fields are ignored, a known field of
//! the wrong type is 400 and named.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use dispatch_shared::error::Code;
use dispatch_shared::id::{AgentName, IssueId, RepoName};
use dispatch_shared::protocol::IssueRef;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::auth::Caller;
use super::error::{Failure, Result, failure};
use crate::core::record::CardKey;
use crate::core::world::World;

/// The largest body of a request.
pub const BODY_LIMIT: usize = 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body in, a JSON answer out.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(e) => failure(Code::Internal, format!("the answer cannot be written: {e}")).into_response(),
        }
    }
}

/// An answer of something new: 201.
#[derive(Debug)]
pub struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let bytes = whole(request.into_body()).await?;
        let bytes: &[u8] = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { &bytes };
        // Read as a list, a body would fill the fields in the order of the code.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(failure(Code::BadRequest, "the body cannot be read: it is no JSON object"));
        }
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
            let path = e.path().to_string();
            let at = if path == "." { String::new() } else { format!("field `{path}`: ") };
            failure(Code::BadRequest, format!("the body cannot be read: {at}{}", e.inner()))
        })?;
        reader.end().map_err(|e| failure(Code::BadRequest, format!("the body cannot be read: {e}")))?;
        Ok(Json(value))
    }
}

/// A body as a whole, if it is not too large and comes in time.
///
/// # Errors
/// 413, 408, or 400 if it broke off.
pub async fn whole(body: Body) -> Result<Bytes> {
    let limited = Limited::new(body, BODY_LIMIT);
    match tokio::time::timeout(BODY_TIMEOUT, limited.collect()).await {
        Err(_) => Err(failure(Code::Timeout, "the body did not arrive within 30 seconds")),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(e)) if e.is::<LengthLimitError>() => {
            Err(failure(Code::TooLarge, "the body is larger than 1 MiB"))
        }
        Ok(Err(e)) => Err(failure(Code::BadRequest, format!("the body broke off: {e}"))),
    }
}

/// The query string.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        // An empty value counts as absent, as old clients send `?lane=`.
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(parts.uri.query().unwrap_or(""))
            .map_err(|e| failure(Code::BadRequest, format!("the query cannot be read: {e}")))?;
        let kept: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let text = serde_urlencoded::to_string(kept)
            .map_err(|e| failure(Code::BadRequest, format!("the query cannot be read: {e}")))?;
        serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(form(&text))).map(Query).map_err(
            |e| {
                failure(
                    Code::BadRequest,
                    format!("the query field `{}` cannot be read: {}", e.path(), e.inner()),
                )
            },
        )
    }
}

fn form(text: &str) -> url::form_urlencoded::Parse<'_> {
    url::form_urlencoded::parse(text.as_bytes())
}

/// Who acts, for the audit: the header `x-agent-name`, else the worker, else the operator.
#[derive(Clone, Debug)]
pub struct Actor(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let caller = parts.extensions.get::<Caller>().and_then(|c| c.named.clone());
        let named = named(&parts.headers)?.or(caller);
        Ok(Actor(named.unwrap_or_else(|| "operator".to_owned())))
    }
}

fn named(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get("x-agent-name").filter(|v| !v.is_empty()) else { return Ok(None) };
    let text = value.to_str().unwrap_or("?");
    let name = AgentName::parse(text).map_err(|e| failure(Code::BadRequest, format!("x-agent-name: {e}")))?;
    Ok(Some(name.to_string()))
}

/// An agent's name.
///
/// # Errors
/// 400 if it is no agent name.
pub fn agent(text: &str) -> Result<AgentName> {
    AgentName::parse(text).map_err(|e| failure(Code::BadRequest, e))
}

/// The card that a request names by id, by repository and number, or by all three.
///
/// # Errors
/// 400 if it names none, or two different ones; 404 if it is not known.
pub fn card(world: &World, named: &IssueRef) -> Result<CardKey> {
    let id = named.issue_id.as_deref().filter(|id| !id.is_empty());
    let repo = named.repo_full_name.as_deref().filter(|r| !r.is_empty());
    let by_id = match id {
        None => None,
        Some(id) => Some(known(world, &IssueId::new(id))?),
    };
    let by_name = match (repo, named.issue_number) {
        (Some(repo), Some(number)) => {
            let name = repo.parse().map_err(|e: String| failure(Code::BadRequest, e))?;
            let repo = world.repo_named(&name).ok_or_else(|| {
                failure(Code::NotFound, format!("{name} is not tracked; add it with `dispatch repos add`"))
            })?;
            Some(CardKey { repo: repo.key.clone(), number })
        }
        (Some(repo), None) if by_id.is_none() => {
            return Err(failure(Code::BadRequest, format!("issueNumber is missing beside {repo}")));
        }
        (Some(repo), None) => {
            let name: RepoName = repo.parse().map_err(|e: String| failure(Code::BadRequest, e))?;
            let same = by_id.as_ref().is_some_and(|key| {
                world.repos.get(&key.repo).is_some_and(|r| r.name.folded() == name.folded())
            });
            if !same {
                let id = id.unwrap_or_default();
                return Err(failure(
                    Code::BadRequest,
                    format!("issueId {id} is of another repository than {name}"),
                ));
            }
            None
        }
        _ => None,
    };
    let key = match (by_id, by_name) {
        (Some(a), Some(b)) if a != b => {
            return Err(failure(
                Code::BadRequest,
                format!("issueId {} and repoFullName with issueNumber name different issues", a.id()),
            ));
        }
        (Some(key), _) | (None, Some(key)) => key,
        (None, None) => {
            return Err(failure(
                Code::BadRequest,
                "name the issue: issueId, or repoFullName and issueNumber",
            ));
        }
    };
    if let Some(number) = named.issue_number.filter(|n| *n != key.number) {
        return Err(failure(
            Code::BadRequest,
            format!("issueId {} and issueNumber {number} name different issues", key.id()),
        ));
    }
    known(world, &key.id())
}

/// The card with this id.
///
/// # Errors
/// 404 if it is not known.
pub fn known(world: &World, id: &IssueId) -> Result<CardKey> {
    match world.card_by_id(id).filter(|c| !c.gone && world.is_tracked(&c.key.repo)) {
        Some(card) => Ok(card.key.clone()),
        None => {
            Err(failure(Code::NotFound, format!("there is no issue {id}; sync its repository if it is new")))
        }
    }
}

/// Reads a span: `30s`, `2m`, `500ms`, or plain seconds; at most `most`.
///
/// # Errors
/// 400 that says how to write it.
pub fn span(text: &str, most: Duration) -> Result<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().unwrap_or(u64::MAX);
    let span = match &text[digits..] {
        "" | "s" => Duration::from_secs(number.min(1 << 32)),
        "ms" => Duration::from_millis(number.min(1 << 42)),
        "m" => Duration::from_secs(number.min(1 << 24) * 60),
        _ => {
            return Err(failure(
                Code::BadRequest,
                format!("`{text}` is no span of time: write 30s, 2m or 500ms"),
            ));
        }
    };
    if digits == 0 {
        return Err(failure(
            Code::BadRequest,
            format!("`{text}` is no span of time: write 30s, 2m or 500ms"),
        ));
    }
    Ok(span.min(most))
}
