//! Asks the daemon, judges the answer by the contract, and writes both down with everything volatile made plain.

use std::collections::BTreeMap;

use dispatch_tests::daemon::{Daemon, Place};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::frozen::Case;
use super::plain::Plain;
use super::{BEN, MAINTAINER, WORKER, shapes};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Maintainer,
    Worker,
    /// The worker whose token is bound to the name `ben`.
    Ben,
    /// Without a token: over TCP alone.
    Nobody,
}

impl Who {
    fn token(self) -> Option<&'static str> {
        match self {
            Who::Maintainer => Some(MAINTAINER),
            Who::Worker => Some(WORKER),
            Who::Ben => Some(BEN),
            Who::Nobody => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Who::Maintainer => "maintainer",
            Who::Worker => "worker",
            Who::Ben => "worker bound to ben",
            Who::Nobody => "nobody",
        }
    }
}

/// The headers that are part of an answer's meaning.
const HEADERS: [&str; 8] = [
    "content-type",
    "deprecation",
    "link",
    "retry-after",
    "warning",
    "www-authenticate",
    "x-dispatch-note",
    "x-log-offset",
];

/// See the module.
pub(super) struct Scribe {
    http: [(reqwest::Client, String); 2],
    pub(super) daemon: Daemon,
    plain: Plain,
    /// What was written down, by route.
    pub(super) cases: BTreeMap<String, Vec<Case>>,
    turn: usize,
}

/// An answer as it came.
pub(super) struct Answer {
    pub(super) value: Value,
    pub(super) headers: header::HeaderMap,
}

impl Scribe {
    pub(super) fn new(place: &Place, daemon: Daemon, url: &str, forge: &str) -> Self {
        let tcp = reqwest::Client::builder().no_proxy().build().expect("a client");
        let local = reqwest::Client::builder().unix_socket(place.socket()).no_proxy().build();
        Self {
            http: [(tcp, url.to_owned()), (local.expect("a client"), "http://dispatch".to_owned())],
            daemon,
            plain: Plain::new(forge, &place.path().display().to_string()),
            cases: BTreeMap::new(),
            turn: 0,
        }
    }

    /// A request on a route of the table, `POST /api/issues/claim`; `case` says in which case.
    pub(super) fn on<'a>(&'a mut self, route: &'a str, case: &'a str) -> Ask<'a> {
        let (method, path) = route.split_once(' ').expect("a route is a method and a path");
        Ask {
            method: method.parse().expect("a method"),
            path: path.to_owned(),
            scribe: self,
            route,
            case,
            who: Who::Maintainer,
            body: None,
            headers: Vec::new(),
            tcp: false,
        }
    }

    async fn send(&self, door: usize, ask: &Sent) -> (StatusCode, header::HeaderMap, String) {
        let (http, base) = &self.http[door];
        let mut request = http.request(ask.method.clone(), format!("{base}{}", ask.path));
        if let Some(token) = ask.who.token() {
            request = request.bearer_auth(token);
        }
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
        let answer = request.send().await.unwrap_or_else(|e| panic!("{} is not answered: {e:?}", ask.path));
        let (status, headers) = (answer.status(), answer.headers().clone());
        // A stream of events never ends: its first event is enough.
        if headers.get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"text/event-stream")) {
            return (status, headers, first_event(answer).await);
        }
        (status, headers, answer.text().await.expect("a body"))
    }
}

async fn first_event(mut answer: reqwest::Response) -> String {
    let mut text = Vec::new();
    while let Some(piece) = answer.chunk().await.expect("the stream goes on") {
        text.extend_from_slice(&piece);
        let so_far = String::from_utf8_lossy(&text);
        if let Some((event, _)) = so_far.split_once("\n\n") {
            return event.to_owned();
        }
    }
    panic!("the stream ended before its first event");
}

/// What goes over the wire.
struct Sent {
    method: Method,
    path: String,
    who: Who,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

/// A request to be sent.
pub(super) struct Ask<'a> {
    scribe: &'a mut Scribe,
    route: &'a str,
    case: &'a str,
    method: Method,
    path: String,
    who: Who,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
    tcp: bool,
}

impl Ask<'_> {
    /// The path with its parameters, and a query.
    pub(super) fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    pub(super) fn by(mut self, who: Who) -> Self {
        self.who = who;
        self
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Through this door whosever turn it is.
    pub(super) fn over_tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Sends it, holds the answer to `status` and to the contract's shape of the route, and writes it down. What only looks
    /// is asked through both doors; what changes something goes through them by turns.
    pub(super) async fn is(self, status: u16) -> Value {
        self.whole(status).await.value
    }

    /// The same, with the headers.
    pub(super) async fn whole(self, expected: u16) -> Answer {
        let Self { scribe, route, case, method, path, who, body, headers, tcp } = self;
        let looks = method == Method::GET;
        let sent = Sent { method, path, who, headers, body: body.as_ref().map(ToString::to_string) };
        scribe.turn += 1;
        let door = if who == Who::Nobody || tcp { 0 } else { scribe.turn % 2 };
        let (status, headers, text) = scribe.send(door, &sent).await;
        let what = format!("{route} ({case}), at {}", sent.path);
        assert_eq!(status.as_u16(), expected, "{what}: {text}");
        let kind = headers.get(header::CONTENT_TYPE).and_then(|t| t.to_str().ok()).unwrap_or("").to_owned();
        let value = match kind.as_str() {
            "application/json" => {
                serde_json::from_str(&text).unwrap_or_else(|e| panic!("{what}: {e}: {text}"))
            }
            _ => Value::String(text),
        };
        if status.is_success() {
            shapes::hold(route, &value).unwrap_or_else(|why| panic!("{what}: {why}\n{value:#}"));
        } else {
            shapes::error(&value).unwrap_or_else(|why| panic!("{what}: {why}\n{value:#}"));
        }
        let answer = shapes::shown(route, &scribe.plain.value(&value));
        if looks && who != Who::Nobody {
            let (other, _, text) = scribe.send(1 - door, &sent).await;
            let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
            let value = shapes::shown(route, &scribe.plain.value(&value));
            assert_eq!((other, &value), (status, &answer), "{what}: the doors differ");
        }
        let case = Case {
            case: case.to_owned(),
            who: who.word().to_owned(),
            method: sent.method.to_string(),
            path: scribe.plain.text(&sent.path),
            body: body.map(|b| scribe.plain.value(&b)),
            status: expected,
            headers: HEADERS
                .into_iter()
                .filter_map(|name| {
                    Some((name.to_owned(), scribe.plain.text(headers.get(name)?.to_str().ok()?)))
                })
                .collect(),
            answer,
        };
        scribe.cases.entry(route.to_owned()).or_default().push(case);
        Answer { value, headers }
    }
}

/// The three fields by which old clients name an issue.
pub(super) fn named(issue: &Value, more: Value) -> Value {
    let mut body = json!({"issueId": issue["issueId"], "repoFullName": issue["repoFullName"], "issueNumber": issue["number"]});
    with(&mut body, more);
    body
}

pub(super) fn with(body: &mut Value, more: Value) {
    if let (Value::Object(body), Value::Object(more)) = (body, more) {
        body.extend(more);
    }
}
