//! `/api/events`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use dispatch_shared::error::Code;
use dispatch_shared::event::Seq;
use dispatch_shared::protocol::events::EventsQuery;

use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::Query;
use crate::api::follow::{self, Start};

pub(super) async fn events(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Result<Response> {
    let resumed = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
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
    Ok(follow::stream(app, start))
}
