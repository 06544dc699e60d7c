//! `/api/health`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dispatch_shared::protocol::Health;
use hyper::StatusCode;

use crate::api::App;
use crate::api::extract::Json;
use crate::api::openapi::{Answers, Operation, Words};

pub(super) async fn health(State(app): State<App>) -> Serving {
    let failed = app.store_failed.borrow().clone();
    let ok = failed.is_none();
    Serving(Health {
        ok,
        database: failed.unwrap_or_else(|| "ok".to_owned()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        auth_mode: app.doors.mode().to_owned(),
        pid: std::process::id(),
    })
}

/// 200, or 503 with the same shape.
pub(super) struct Serving(Health);

impl IntoResponse for Serving {
    fn into_response(self) -> Response {
        let status = if self.0.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(self.0)).into_response()
    }
}

impl Answers for Serving {
    fn tell(operation: &mut Operation, words: &mut Words) {
        operation.answers_json::<Health>(words, 200);
        operation.answers_json::<Health>(words, 503);
    }
}
