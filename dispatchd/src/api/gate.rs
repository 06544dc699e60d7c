//! What every request passes before any handler:
//!
//! 1. What needs no token passes.
//! 2. Who asks is found out, or 401. With `auth = "off"` pages of browsers are turned away.
//! 3. A tier that is too low is 403 and told which one it takes; a bound token acts for no other name.
//! 4. On TCP an actor's changes are counted; too many are 429.
//! 5. A worker's body is read: some things it may not ask for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dispatch_shared::error::{ApiError, Code};
use hyper::header::{HOST, HeaderValue, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::auth::{Caller, Doors, Entrance, UNNAMED};
use super::error::{Failure, failure};
use super::extract;
use super::tier::{self, Tier};
use super::worker::{self, No};

/// One door and its guard.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) doors: Arc<Doors>,
    pub(super) door: Entrance,
    pub(super) tiers: Arc<HashMap<(Method, &'static str), Tier>>,
}

/// See the module. Counts the answer, whatever it is.
pub(super) async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let answer = match gate.check(request, path.as_ref().map(MatchedPath::as_str)).await {
        Ok(request) => next.run(request).await,
        Err(refused) => *refused,
    };
    gate.doors.requests.count(&method, path.as_ref().map(MatchedPath::as_str), answer.status());
    answer
}

impl Gate {
    /// The request with its [`Caller`], or the answer that refuses it.
    async fn check(&self, mut request: Request, path: Option<&str>) -> Result<Request, Box<Response>> {
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        // What is no route is told so to whoever has any token.
        let route = path.and_then(|p| self.tiers.iter().find(|((m, known), _)| m == method && *known == p));
        let needed = route.map_or(Tier::Worker, |(_, tier)| *tier);
        let known = route.is_some();
        if needed == Tier::Open {
            request.extensions_mut().insert(Caller::anybody());
            return Ok(request);
        }
        if self.door == Entrance::Tcp && self.doors.off {
            no_page(request.headers())?;
        }
        let mut caller = self.doors.identify(self.door, request.headers()).map_err(unauthorized)?;
        let route = || format!("{} {}", request.method(), request.uri().path());
        if caller.tier < needed {
            return Err(forbidden(needed, &format!("{} takes a {needed} token", route())));
        }
        let agent = path.and_then(|p| path_agent(p, request.uri().path()));
        let header = request.headers().get("x-agent-name").and_then(|v| v.to_str().ok());
        let header = header.filter(|v| !v.is_empty());
        if let Some(bound) = &caller.bound {
            for (what, name) in [("the path", agent.as_deref()), ("x-agent-name", header)] {
                if name.is_some_and(|name| name != bound.as_str()) {
                    let name = name.unwrap_or_default();
                    return Err(forbidden(
                        Tier::Maintainer,
                        &format!(
                            "this token acts for {bound} alone, and {what} names {name}; that takes a maintainer token"
                        ),
                    ));
                }
            }
        }
        caller.named = match (&caller.bound, caller.tier) {
            (Some(bound), _) => Some(bound.to_string()),
            (None, Tier::Worker) => agent.clone().or_else(|| Some(UNNAMED.to_owned())),
            _ => None,
        };
        if !known || !tier::mutates(request.method().as_str()) {
            request.extensions_mut().insert(caller);
            return Ok(request);
        }
        if self.door == Entrance::Tcp {
            let name = header.or(agent.as_deref()).unwrap_or_default();
            let actor = format!("{}/{name}", caller.key);
            self.doors.limiter.admit(&actor, Instant::now()).map_err(slow_down)?;
        }
        if caller.tier == Tier::Worker {
            request = look_inside(request, path.unwrap_or_default(), &mut caller, agent.is_some()).await?;
        }
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

/// The agent that a path names, if its route has one.
fn path_agent(pattern: &str, path: &str) -> Option<String> {
    pattern.strip_prefix("/api/agents/{")?;
    let name = path.strip_prefix("/api/agents/")?.split('/').next()?;
    Some(percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned())
}

/// Reads a worker's body, checks what it says, and puts it back.
async fn look_inside(
    request: Request,
    path: &str,
    caller: &mut Caller,
    named_by_path: bool,
) -> Result<Request, Box<Response>> {
    let (parts, body) = request.into_parts();
    let bytes = extract::whole(body).await.map_err(|e| Box::new(e.into_response()))?;
    let said: Map<String, Value> = if bytes.iter().all(u8::is_ascii_whitespace) {
        Map::new()
    } else {
        // What cannot be checked does not pass: a handler may be more lenient than this.
        serde_json::from_slice(&bytes).map_err(|e| {
            let sentence = format!("the body cannot be read: {e}");
            Box::new(failure(Code::BadRequest, sentence).into_response())
        })?
    };
    worker::may(caller.bound.as_ref(), path, &said).map_err(|no| match no {
        No::Maintainer(what) => {
            forbidden(Tier::Maintainer, &format!("{what} takes a maintainer token; this is a worker's"))
        }
        No::Name(why) => forbidden(Tier::Maintainer, &format!("{why}; that takes a maintainer token")),
    })?;
    if caller.bound.is_none()
        && !named_by_path
        && let Some(agent) = worker::speaks_for(&said)
    {
        caller.named = Some(agent.to_string());
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// With `auth = "off"` a page in a browser on this machine could send requests here: its origin, or a host name that was made
/// to point here, gives it away.
fn no_page(headers: &HeaderMap) -> Result<(), Box<Response>> {
    let host = headers.get(HOST).and_then(|h| h.to_str().ok()).unwrap_or("localhost");
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let local = name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    if local && !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    Err(forbidden(
        Tier::Maintainer,
        "pages in a browser are not served while auth is off; configure tokens, and send a maintainer token",
    ))
}

fn unauthorized(refused: Failure) -> Box<Response> {
    let mut answer = refused.into_response();
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Box::new(answer)
}

fn forbidden(needed: Tier, sentence: &str) -> Box<Response> {
    let error = ApiError::new(Code::Forbidden, sentence);
    let mut body = serde_json::to_value(&error).unwrap_or_default();
    body["tierNeeded"] = needed.word().into();
    Box::new((StatusCode::FORBIDDEN, extract::Json(body)).into_response())
}

fn slow_down(wait: Duration) -> Box<Response> {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let sentence = format!("too many changes in a short time; go on in {seconds} s");
    let mut answer = failure(Code::TooMany, sentence).into_response();
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    Box::new(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_in_a_browser_gives_itself_away() {
        let from = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().expect("a header"));
            origin.map(|o| headers.insert(ORIGIN, o.parse().expect("a header")));
            no_page(&headers).is_ok()
        };
        assert!(from("127.0.0.1:8080", None) && from("localhost", None) && from("[::1]:80", None));
        assert!(!from("127.0.0.1:8080", Some("https://evil.example")));
        assert!(!from("evil.example:8080", None), "a name that was made to point here");
    }

    #[test]
    fn the_agent_of_a_path_is_read_as_the_handler_reads_it() {
        assert_eq!(
            path_agent("/api/agents/{agent}/queue", "/api/agents/k%61i/queue").as_deref(),
            Some("kai")
        );
        assert_eq!(path_agent("/api/issues/{id}", "/api/issues/7"), None);
    }
}
