//! The table of routes. Handlers live in one file per resource.

mod activity;
mod agents;
mod claims;
mod control;
mod events;
mod fixes;
mod followup;
mod health;
mod issues;
mod log;
mod repos;
mod runs;

use axum::Router;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use dispatch_shared::error::Code;
use hyper::Method;

use super::App;
use super::error::failure;

/// All routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/api/health", get(health::health))
        .route("/api/lanes", get(control::lanes))
        .route("/api/issues", get(issues::list))
        .route("/api/issues/state", get(issues::state))
        .route("/api/issues/move", post(issues::move_card))
        .route("/api/issues/claim", post(claims::claim))
        .route("/api/issues/unclaim", post(claims::unclaim))
        .route("/api/issues/{id}", get(issues::one))
        .route("/api/issues/{id}/why", get(issues::why))
        .route("/api/agents/{agent}/next-task", get(agents::peek).post(agents::take))
        .route("/api/agents/{agent}/tasks/report", post(agents::report))
        .route("/api/agents/{agent}/heartbeat", post(agents::heartbeat))
        .route("/api/agents/{agent}/queue", get(agents::queue))
        .route("/api/pr-fix-queue/enqueue", post(fixes::enqueue))
        .route("/api/pr-fix-queue/mark", post(fixes::mark))
        .route("/api/pr-fix-queue/requeue", post(fixes::requeue))
        .route("/api/pr-fix-queue/ack", post(fixes::ack))
        .route("/api/pr-fix-queue/queued", get(fixes::queued))
        .route("/api/pr-fix-queue/history", get(fixes::history))
        .route("/api/pr-followup/sync", post(followup::sync))
        .route("/api/pr-followup/webhook", post(followup::webhook))
        .route("/api/issues/webhook", post(followup::webhook))
        .route("/api/runs", get(runs::list))
        .route("/api/runs/{id}", get(runs::one))
        .route("/api/runs/{id}/log", get(log::log))
        .route("/api/runs/{id}/diff", get(runs::diff))
        .route("/api/runs/{id}/kill", post(runs::kill))
        .route("/api/runs/{id}/retry", post(runs::retry))
        .route("/api/runs/{id}/answer", post(runs::answer))
        .route("/api/automation/repos", get(repos::list).post(repos::add))
        .route(
            "/api/automation/repos/{owner}/{repo}",
            get(repos::one).patch(repos::patch).delete(repos::remove),
        )
        .route("/api/sync", post(repos::sync))
        .route("/api/audit", get(activity::audit))
        .route("/api/control", get(control::control))
        .route("/api/control/freeze", post(control::freeze))
        .route("/api/control/thaw", post(control::thaw))
        .route("/api/problems", get(control::problems))
        .route("/api/events", get(events::events))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(app)
}

async fn no_route(uri: Uri) -> Response {
    failure(Code::NoRoute, format!("there is no route {}", uri.path())).into_response()
}

async fn no_method(method: Method, uri: Uri) -> Response {
    failure(Code::MethodNotAllowed, format!("{} does not take {method}", uri.path())).into_response()
}
