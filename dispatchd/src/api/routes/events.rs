//! `/api/events`.

use axum::extract::FromRequestParts;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dispatch_shared::error::Code;
use dispatch_shared::event::Seq;
use dispatch_shared::protocol::events::{Change, EventsQuery, Progress, Snapshot};
use hyper::http::request::Parts;
use serde_json::json;

use crate::api::App;
use crate::api::error::{Failure, Result, failure};
use crate::api::extract::Query;
use crate::api::follow::{self, Start};
use crate::api::openapi::{Answers, Operation, Takes, Words};

pub(super) async fn events(
    State(app): State<App>,
    LastSeen(resumed): LastSeen,
    Query(query): Query<EventsQuery>,
) -> Result<Events> {
    let start = match (resumed.or(query.after), query.snapshot.as_deref()) {
        (Some(after), _) => Start::After(Seq(after)),
        (None, None) => Start::Now,
        (None, Some("board")) => Start::Snapshot { cards: true, all: false },
        (None, Some("runs")) => Start::Snapshot { cards: false, all: true },
        (None, Some("all")) => Start::Snapshot { cards: true, all: true },
        (None, Some(other)) => {
            return Err(failure(
                Code::BadRequest,
                format!("snapshot `{other}`: there are board, runs and all"),
            ));
        }
    };
    Ok(Events(follow::stream(app, start)))
}

/// The header by which a stream is resumed; one that cannot be read counts as absent.
pub(super) struct LastSeen(Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for LastSeen {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let value = parts.headers.get("last-event-id").and_then(|v| v.to_str().ok());
        Ok(Self(value.and_then(|v| v.parse().ok())))
    }
}

impl Takes for LastSeen {
    fn tell(operation: &mut Operation, _: &mut Words) {
        let what = "The last event that was seen: go on after it. Wins over `after`.";
        operation.takes_header("Last-Event-ID", what, json!({"type": "string"}));
    }
}

/// A stream of server-sent events.
pub(super) struct Events(Response);

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Answers for Events {
    fn tell(operation: &mut Operation, words: &mut Words) {
        operation.answers(200, "text/event-stream", json!({
            "type": "string",
            "description": "Events `snapshot`, `change`, `progress` and `reset`; the id is the number of the last change in it, \
                the data is JSON: `Snapshot`, `Change`, `Progress`, or `{}`."
        }));
        words.answers::<Snapshot>();
        words.answers::<Change>();
        words.answers::<Progress>();
    }
}
