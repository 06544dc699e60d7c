//! The table of routes. Handlers live in one file per resource.

mod activity;
mod agent_runs;
mod agents;
mod automation;
mod cards;
mod claims;
mod control;
mod events;
mod fixes;
mod followup;
mod grooming;
mod health;
mod issues;
mod lanes;
mod log;
mod metrics;
mod repos;
mod runs;
mod setup;
mod work;

use axum::Router;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use dispatch_shared::error::Code;
use hyper::Method;

use super::App;
use super::auth::Entrance;
use super::error::failure;
pub use super::table::Row;
use super::table::{Table, get, post};

/// All routes, as one door serves them.
pub fn router(app: App, door: Entrance) -> Router {
    table().serve(app, door)
}

/// The list of all routes.
#[must_use]
pub fn rows() -> Vec<Row> {
    table().rows()
}

/// The table. Who may use a route says [`tier`](super::tier).
fn table() -> Table {
    Table::new()
        .route("/api/health", get(health::health))
        .route("/metrics", get(metrics::metrics))
        .route("/api/setup", get(setup::show).put(setup::keep))
        .route("/api/lanes", get(control::lanes))
        .route("/api/issues", get(issues::list))
        .route("/api/issues/state", get(issues::state))
        .route("/api/issues/move", post(issues::move_card))
        .route("/api/issues/claim", post(claims::claim))
        .route("/api/issues/unclaim", post(claims::unclaim))
        .route("/api/issues/status", post(cards::status))
        .route("/api/issues/claimed", get(cards::claimed))
        .route("/api/issues/reset-ready", post(cards::reset_ready))
        .route("/api/issues/label", post(cards::label))
        .route("/api/issues/unlabel", post(cards::unlabel))
        .route("/api/issues/comment", post(cards::comment))
        .route("/api/issues/refresh", post(cards::refresh))
        .route("/api/issues/reconcile", post(cards::reconcile))
        .route("/api/issues/{id}", get(issues::one))
        .route("/api/issues/{id}/why", get(issues::why))
        .route("/api/issues/{id}/lane", get(lanes::get).post(lanes::set))
        .route("/api/issues/groom", post(grooming::groom))
        .route("/api/issues/actions/decompose", post(grooming::decompose))
        .route("/api/issues/{id}/children", post(grooming::children))
        .route("/api/groomer/run", post(grooming::run))
        .route("/api/groomer/runs", get(grooming::runs))
        .route("/api/groomer/runs/{id}", get(grooming::one_run))
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
        .route("/api/agents/{agent}/active-work", get(work::active))
        .route("/api/agents/{agent}/in-progress", get(work::in_progress))
        .route("/api/agents/{agent}/work-summary", get(work::summary))
        .route("/api/agent-work", get(work::list).post(work::act))
        .route("/api/agent-work/start", post(work::start))
        .route("/api/agent-work/checkpoint", post(work::checkpoint))
        .route("/api/agent-work/finish", post(work::finish))
        .route("/api/agent-work/sweep", post(work::sweep))
        .route("/api/agent-runs", get(agent_runs::list).post(agent_runs::record))
        .route("/api/overview", get(agent_runs::overview))
        .route("/api/runs", get(runs::list))
        .route("/api/runs/{id}", get(runs::one))
        .route("/api/runs/{id}/log", get(log::log))
        .route("/api/runs/{id}/diff", get(runs::diff))
        .route("/api/runs/{id}/kill", post(runs::kill))
        .route("/api/runs/{id}/retry", post(runs::retry))
        .route("/api/runs/{id}/answer", post(runs::answer))
        .route("/api/automation/repos", get(repos::list).post(repos::add))
        .route("/api/automation/repos/tracked", get(repos::list))
        .route(
            "/api/automation/repos/{repo}",
            get(repos::one_escaped).patch(repos::patch_escaped).delete(repos::remove_escaped),
        )
        .route(
            "/api/automation/repos/{owner}/{repo}",
            get(repos::one).patch(repos::patch).delete(repos::remove),
        )
        .route("/api/automation/sync", post(automation::sync))
        .route("/api/automation/workflows", get(automation::workflows))
        .route("/api/automation/workflows/{id}", get(automation::workflow))
        .route("/api/automation/events", get(automation::events))
        .route("/api/automation/runs/{id}", post(automation::run))
        .route("/api/repos", get(repos::list).post(automation::add_deprecated))
        .route("/api/labels/ensure", post(automation::ensure_labels))
        .route("/api/sync", post(repos::sync))
        .route("/api/sync/scheduled", post(automation::scheduled))
        .route("/api/audit", get(activity::audit))
        .route("/api/control", get(control::control))
        .route("/api/control/freeze", post(control::freeze))
        .route("/api/control/thaw", post(control::thaw))
        .route("/api/control/pools/{program}/resume", post(control::resume))
        .route("/api/problems", get(control::problems))
        .route("/api/events", get(events::events))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
}

async fn no_route(uri: Uri) -> Response {
    failure(Code::NoRoute, format!("there is no route {}", uri.path())).into_response()
}

async fn no_method(method: Method, uri: Uri) -> Response {
    failure(Code::MethodNotAllowed, format!("{} does not take {method}", uri.path())).into_response()
}

#[cfg(test)]
mod tests {
    use crate::api::tier;

    #[test]
    fn every_route_has_a_tier() {
        let rows = super::rows();
        assert!(rows.len() > 20);
        let none: Vec<_> = rows.iter().filter(|r| tier::of(r.method.as_str(), r.path).is_none()).collect();
        assert!(none.is_empty(), "name the tier of these in api/tier.rs: {none:?}");
    }
}
