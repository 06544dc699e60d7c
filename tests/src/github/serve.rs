//! The gate of the fake: accepts connections, looks at the credential, counts against the limit, keeps the log, and
//! fails when it was told to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{HeaderMap, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::fault::{self, Fault};
use super::look::{Exchange, Request};
use super::page::{Asked, Said, complaint, said};
use super::state::{LIMIT, now};
use super::{Shared, app, git, health, routes};

/// Serves until `stop`.
pub(super) fn run(listener: std::net::TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("the socket is non-blocking");
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else { continue };
            let shared = shared.clone();
            let service = hyper::service::service_fn(move |request| handle(shared.clone(), request));
            tokio::spawn(async move {
                // A connection that breaks is what some tests want.
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

async fn handle(shared: Arc<Shared>, request: hyper::Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let method = head.method.as_str().to_owned();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = |v: &hyper::header::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
    let entry = {
        let mut state = shared.state();
        let headers = head.headers.iter().map(|(k, v)| (k.as_str().to_owned(), text(v))).collect();
        state.turn += 1;
        let turn = state.turn;
        state.log.push(Request {
            method: method.clone(),
            path: path.clone(),
            headers,
            status: 0,
            bytes: 0,
            turn,
        });
        turn
    };
    let fault = fault::take(&mut shared.state().faults, &method, &path);
    let reset = || io::Error::new(io::ErrorKind::ConnectionReset, "a fault that was asked for");
    if let Some(Fault::Renamed(from, to)) = &fault {
        super::person::rename(&mut shared.state(), from, to);
    }
    let response = match fault {
        Some(Fault::Reset) => return Err(reset()),
        Some(Fault::Html502) => page(StatusCode::BAD_GATEWAY),
        Some(Fault::Html200) => page(StatusCode::OK),
        Some(Fault::Nonsense) => respond(&shared, said(200, serde_json::json!({ "odd": 1 }))),
        Some(
            ref f @ (Fault::Status(_)
            | Fault::PrimaryLimit(_)
            | Fault::SecondaryLimit
            | Fault::TooMany
            | Fault::Away(_)
            | Fault::RetryAfter(_)
            | Fault::RetryAfterDate(_)),
        ) => {
            let (refusal, left) = refusal(f);
            let mut response = respond(&shared, refusal);
            if let Some(reset_in) = left {
                let reset = now().0 / 1_000 + i64::try_from(reset_in.as_secs()).unwrap_or(3_600);
                put(&mut response, "x-ratelimit-remaining", "0");
                put(&mut response, "x-ratelimit-reset", &reset.to_string());
            }
            response
        }
        after => {
            let response = match git::wanted(&shared, head.uri.path()) {
                Some(wanted) => {
                    let query = head.uri.query().unwrap_or_default();
                    git::serve(&shared, &method, wanted, query, &head.headers, body).await
                }
                None if head.uri.path().starts_with("/_files/") => {
                    health::file(&shared, head.uri.path(), &head.headers)
                }
                None => {
                    let response = api(&shared, &head, &method, &body);
                    record(&shared, &method, &path, &body, response).await
                }
            };
            match after {
                Some(Fault::Lost) => return Err(reset()),
                Some(Fault::Slow(late)) => {
                    tokio::time::sleep(late).await;
                    response
                }
                Some(Fault::CutOff) => cut(response).await,
                Some(Fault::Nulls) => nulled(response).await,
                _ => response,
            }
        }
    };
    // The test may have taken the log away meanwhile.
    if let Some(entry) = shared.state().log.iter_mut().rev().find(|r| r.turn == entry) {
        entry.status = response.status().as_u16();
        entry.bytes = hyper::body::Body::size_hint(response.body()).lower();
    }
    Ok(response)
}

/// The API: credential, limit, answer, validator.
fn api(shared: &Shared, head: &hyper::http::request::Parts, method: &str, body: &Bytes) -> Response<Body> {
    let has = |name: &str| head.headers.contains_key(name);
    if !has("user-agent") {
        return respond(shared, complaint(403, "Request forbidden by administrative rules"));
    }
    if head.headers.get("x-github-api-version").is_none_or(|v| v != "2022-11-28") {
        return respond(shared, complaint(400, "The X-GitHub-Api-Version header is required here"));
    }
    let Some(path) = shared.below_mount(head.uri.path()) else {
        return respond(shared, complaint(404, "Not Found"));
    };
    let free = matches!(path, "/rate_limit" | "/graphql");
    if !free && shared.state().remaining == 0 {
        return respond(shared, complaint(403, "API rate limit exceeded for user ID 7."));
    }
    let url = reqwest::Url::parse(&format!("{}{}", shared.origin, head.uri)).ok();
    let asked = Asked {
        method: method.to_owned(),
        segments: segments(path),
        query: url.map(|u| u.query_pairs().into_owned().collect()).unwrap_or_default(),
        body: serde_json::from_slice(body).unwrap_or_default(),
        origin: format!("{}{}", shared.origin, shared.mount),
    };
    let token = bearer(&head.headers);
    if let Some(answer) = app::answer(shared, &asked, token.as_deref()) {
        return respond(shared, answer);
    }
    let Some(token) = token.filter(|t| shared.state().accepts(t)) else {
        return respond(shared, complaint(401, "Bad credentials"));
    };
    let forbidden = shared.state().forbids(&token, &asked);
    let mut answer = forbidden.unwrap_or_else(|| routes::answer(shared, &asked));
    answer.headers.extend(shared.state().scopes(&token).map(|s| ("x-oauth-scopes", s)));
    let cacheable = method == "GET" && answer.status == 200;
    let tag = if cacheable { etag(&token, &answer) } else { String::new() };
    let unchanged =
        cacheable && head.headers.get("if-none-match").is_some_and(|v| v.as_bytes() == tag.as_bytes());
    if !free && !unchanged {
        let mut state = shared.state();
        state.remaining = state.remaining.saturating_sub(1);
    }
    let mut response = if unchanged {
        let mut response = respond(shared, Said { status: 304, ..answer });
        *response.body_mut() = Body::empty();
        response.headers_mut().remove("content-type");
        response
    } else {
        respond(shared, answer)
    };
    if cacheable {
        put(&mut response, "etag", &tag);
    }
    response
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ").map(str::to_owned)
}

fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|s| !s.is_empty())
        .map(|s| percent_encoding::percent_decode_str(s).decode_utf8_lossy().into_owned())
        .collect()
}

/// Weak, and another one for every token.
fn etag(token: &str, answer: &Said) -> String {
    let mut hash = Sha256::new();
    hash.update(token);
    hash.update(answer.body.to_string());
    let hex: String = hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect();
    format!("W/\"{hex}\"")
}

fn put(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

fn respond(shared: &Shared, answer: Said) -> Response<Body> {
    let body = if answer.status == 204 { Body::empty() } else { Body::from(answer.body.to_string()) };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    put(&mut response, "content-type", "application/json; charset=utf-8");
    put(&mut response, "x-github-media-type", "github.v3; format=json");
    let state = shared.state();
    put(&mut response, "x-ratelimit-limit", &LIMIT.to_string());
    put(&mut response, "x-ratelimit-remaining", &state.remaining.to_string());
    put(&mut response, "x-ratelimit-reset", &(state.reset.0 / 1_000).to_string());
    put(&mut response, "x-ratelimit-resource", "core");
    for (name, value) in answer.headers {
        put(&mut response, name, &value);
    }
    response
}

/// What a fault says, and for a used-up hour when the next one begins.
fn refusal(fault: &Fault) -> (Said, Option<Duration>) {
    let after = |status, value: String| {
        let mut answer = complaint(status, "You have exceeded a secondary rate limit.");
        answer.headers.push(("retry-after", value));
        (answer, None)
    };
    match fault {
        Fault::PrimaryLimit(left) => (complaint(403, "API rate limit exceeded for user ID 7."), Some(*left)),
        Fault::SecondaryLimit => (complaint(403, "You have exceeded a secondary rate limit."), None),
        Fault::TooMany => (complaint(429, "Slow down."), None),
        Fault::Away(to) => {
            let mut answer = complaint(302, "Found");
            answer.headers.push(("location", to.clone()));
            (answer, None)
        }
        Fault::RetryAfter(wait) => after(429, wait.as_secs().to_string()),
        Fault::RetryAfterDate(wait) => after(403, http_date(*wait)),
        Fault::Status(401) => (complaint(401, "Bad credentials"), None),
        Fault::Status(404) => (complaint(404, "Not Found"), None),
        Fault::Status(422) => (complaint(422, "Validation Failed"), None),
        Fault::Status(403) => (complaint(403, "Resource not accessible by personal access token"), None),
        Fault::Status(other) => (complaint(*other, "A fault that was asked for"), None),
        _ => (complaint(500, "This fault has no answer"), None),
    }
}

fn http_date(ahead: Duration) -> String {
    let at = (now() + ahead).0.div_euclid(1_000);
    let days = at.div_euclid(86_400);
    let text = (now() + ahead).to_string();
    let (date, time) = text.split_once('T').unwrap_or(("1970-01-01", "00:00:00"));
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let month = month.and_then(|m| m.parse::<usize>().ok()).unwrap_or(1);
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // The first of January 1970 was a Thursday.
    let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let weekday = weekdays[usize::try_from(days.rem_euclid(7)).unwrap_or(0)];
    format!(
        "{weekday}, {} {} {} {} GMT",
        day.unwrap_or("01"),
        months[(month - 1).min(11)],
        year.unwrap_or("1970"),
        &time[..8]
    )
}

fn page(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from("<html><body><h1>Unicorn!</h1></body></html>"));
    *response.status_mut() = status;
    put(&mut response, "content-type", "text/html");
    response
}

/// Keeps an exchange, if a test wants them. GraphQL has a record of its own.
async fn record(
    shared: &Shared,
    method: &str,
    path: &str,
    request: &Bytes,
    response: Response<Body>,
) -> Response<Body> {
    let below = shared.below_mount(path).filter(|p| *p != "/graphql");
    let (Some(below), true) = (below, shared.state().exchanges.is_some()) else { return response };
    let (head, body) = response.into_parts();
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let json = |bytes: &Bytes| {
        let text = || serde_json::Value::String(String::from_utf8_lossy(bytes).into_owned());
        (!bytes.is_empty()).then(|| serde_json::from_slice(bytes).unwrap_or_else(|_| text()))
    };
    let exchange = Exchange {
        method: method.to_owned(),
        path: below.to_owned(),
        request: json(request),
        status: head.status.as_u16(),
        answer: json(&whole),
    };
    shared.state().exchanges.get_or_insert_default().push(exchange);
    Response::from_parts(head, Body::from(whole))
}

/// The same body without anything in it.
async fn nulled(response: Response<Body>) -> Response<Body> {
    fn null(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Array(all) => all.iter_mut().for_each(null),
            serde_json::Value::Object(fields) => fields.values_mut().for_each(null),
            other => *other = serde_json::Value::Null,
        }
    }
    let (head, body) = response.into_parts();
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut value = serde_json::from_slice(&whole).unwrap_or_default();
    null(&mut value);
    Response::from_parts(head, Body::from(value.to_string()))
}

/// Promises the whole body and sends half of it.
async fn cut(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    head.headers.insert("content-length", whole.len().max(2).into());
    let half = whole.slice(..whole.len() / 2);
    let chunks = futures_util::stream::iter([
        Ok::<Bytes, io::Error>(half),
        Err(io::Error::new(io::ErrorKind::ConnectionReset, "a fault that was asked for")),
    ]);
    Response::from_parts(head, Body::from_stream(chunks))
}
