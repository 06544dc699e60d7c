//! `/api/health`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dispatch_shared::protocol::Health;
use hyper::StatusCode;

use crate::api::App;
use crate::api::extract::Json;

pub(super) async fn health(State(app): State<App>) -> Response {
    let failed = app.store_failed.borrow().clone();
    let ok = failed.is_none();
    let health = Health {
        ok,
        database: failed.unwrap_or_else(|| "ok".to_owned()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        auth_mode: app.doors.mode().to_owned(),
        pid: std::process::id(),
    };
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}
