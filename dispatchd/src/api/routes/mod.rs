//! The table of routes. Handlers live in one file per resource.

mod activity;
mod agent_runs;
mod agents;
mod automation;
mod cards;
mod claims;
mod control;
mod dispatch;
mod events;
mod fixes;
mod followup;
mod grooming;
mod health;
mod issues;
mod lanes;
mod log;
mod metrics;
mod openapi;
mod orphans;
mod repos;
mod runs;
mod setup;
mod webhook;
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
use super::table::{Methods, Table, get, post};

/// All routes, as one door serves them.
pub fn router(app: App, door: Entrance) -> Router {
    table().serve(app, door)
}

/// The list of all routes.
#[must_use]
pub fn rows() -> Vec<Row> {
    table().rows()
}

/// Refusals of what is about a card, a claim or an item: not there, or not any more as the caller believes.
const CARD: &[u16] = &[404, 409];
/// The same, and the forge may see it otherwise.
const LIVE: &[u16] = &[404, 409, 422];

/// One tracked repository, however its name is written in the path.
fn repo() -> Methods {
    get(repos::one, "One tracked repository, with all that is known of it.", &[404])
        .patch(repos::patch, "Changes how a repository is worked on.", &[404])
        .delete(repos::remove, "Tracks a repository no longer; its history stays.", &[404, 409])
}

/// The table. Who may use a route says [`tier`](super::tier).
fn table() -> Table {
    Table::new()
        .route("/api/health", get(health::health, "Whether the daemon serves.", &[]))
        .route("/metrics", get(metrics::metrics, "Numbers for Prometheus.", &[]))
        .route("/api/openapi.json", get(openapi::document, "This document.", &[]))
        .route(
            "/api/schema/task.json",
            get(openapi::task, "The JSON Schema of a task as it is handed out.", &[]),
        )
        .route(
            "/api/setup",
            get(setup::show, "What is configured; no credential among it.", &[]).put(
                setup::keep,
                "Keeps credentials, or removes them.",
                &[],
            ),
        )
        .route("/api/lanes", get(control::lanes, "The configured lanes.", &[]))
        .route("/api/issues", get(issues::list, "Cards, the last changed first.", &[]))
        .route("/api/issues/state", get(issues::state, "Whether an issue is open.", &[404]))
        .route("/api/issues/move", post(issues::move_card, "Moves a card to another column.", CARD))
        .route(
            "/api/issues/claim",
            post(claims::claim, "Claims a card for an agent, or renews its claim.", CARD),
        )
        .route("/api/issues/unclaim", post(claims::unclaim, "Gives a claim back.", CARD))
        .route(
            "/api/issues/status",
            post(cards::status, "Sets a card's status, on behalf of an agent.", CARD),
        )
        .route("/api/issues/claimed", get(cards::claimed, "Cards that are claimed.", &[]))
        .route(
            "/api/issues/reset-ready",
            post(cards::reset_ready, "Makes a stranded card ready again.", CARD),
        )
        .route("/api/issues/label", post(cards::label, "Adds a label.", CARD))
        .route("/api/issues/unlabel", post(cards::unlabel, "Takes a label away.", CARD))
        .route("/api/issues/comment", post(cards::comment, "Comments on an issue.", CARD))
        .route("/api/issues/refresh", post(cards::refresh, "Reads one issue from the forge, now.", LIVE))
        .route(
            "/api/issues/reconcile",
            post(cards::reconcile, "Reads every repository and tells what differed.", &[]),
        )
        .route("/api/issues/{id}", get(issues::one, "One card.", &[]))
        .route("/api/issues/{id}/why", get(issues::why, "Why a card may or may not be handed out.", &[]))
        .route(
            "/api/issues/{id}/lane",
            get(lanes::get, "The lane of an issue, and how sure that is.", &[]).post(
                lanes::set,
                "Sets the lane of an issue, or has it suggested.",
                CARD,
            ),
        )
        .route("/api/issues/groom", post(grooming::groom, "What a groomer decided about an issue.", CARD))
        .route(
            "/api/issues/actions/decompose",
            post(grooming::decompose, "Marks an issue as split into others.", CARD),
        )
        .route(
            "/api/issues/{id}/children",
            post(grooming::children, "Makes child issues, after a dry run.", CARD),
        )
        .route("/api/groomer/run", post(grooming::run, "Has the hosted groomer look at one issue.", CARD))
        .route("/api/groomer/runs", get(grooming::runs, "What the hosted groomer did, newest first.", &[]))
        .route("/api/groomer/runs/{id}", get(grooming::one_run, "One run of the hosted groomer.", &[]))
        .route(
            "/api/agents/{agent}/next-task",
            get(agents::peek, "What the agent would get: claims nothing.", &[404]).post(
                agents::take,
                "Takes the next task: selects and claims in one step.",
                CARD,
            ),
        )
        .route("/api/agents/{agent}/tasks/report", post(agents::report, "Reports what came of a task.", LIVE))
        .route("/api/agents/{agent}/heartbeat", post(agents::heartbeat, "Renews the agent's leases.", CARD))
        .route("/api/agents/{agent}/queue", get(agents::queue, "What the agent would get, in order.", &[]))
        .route(
            "/api/pr-fix-queue/enqueue",
            post(fixes::enqueue, "Enqueues a pull request that needs work again.", CARD),
        )
        .route("/api/pr-fix-queue/mark", post(fixes::mark, "Settles an item.", CARD))
        .route("/api/pr-fix-queue/requeue", post(fixes::requeue, "Puts an item back into the queue.", CARD))
        .route("/api/pr-fix-queue/ack", post(fixes::ack, "Says that an agent works on an item.", CARD))
        .route("/api/pr-fix-queue/queued", get(fixes::queued, "Items that wait.", &[]))
        .route(
            "/api/pr-fix-queue/history",
            get(fixes::history, "What happened to items, newest first.", &[404]),
        )
        .route("/api/pr-followup/sync", post(followup::sync, "Reads the pull requests anew.", &[404]))
        .route("/api/pr-followup/webhook", post(webhook::receive, "A webhook of the forge.", &[]))
        .route("/api/issues/webhook", post(webhook::receive, "A webhook of the forge.", &[]))
        .route(
            "/api/agents/{agent}/active-work",
            get(work::active, "What the agent works on, to go on with it.", &[]),
        )
        .route(
            "/api/agents/{agent}/in-progress",
            get(work::in_progress, "The agent's cards in progress.", &[]),
        )
        .route("/api/agents/{agent}/work-summary", get(work::summary, "The agent's work in numbers.", &[]))
        .route(
            "/api/agent-work",
            get(work::list, "What is held, and leases that ran out.", &[]).post(
                work::act,
                "Releases work, or gives it to another agent.",
                CARD,
            ),
        )
        .route("/api/agent-work/start", post(work::start, "Starts on an issue, or on the next task.", CARD))
        .route("/api/agent-work/checkpoint", post(work::checkpoint, "Says how far the work is.", CARD))
        .route("/api/agent-work/finish", post(work::finish, "Ends the work.", LIVE))
        .route("/api/agent-work/sweep", post(work::sweep, "Ends leases that ran out.", &[]))
        .route(
            "/api/agent-runs",
            get(agent_runs::list, "What agents did, newest first.", &[]).post(
                agent_runs::record,
                "Records what an agent did.",
                &[],
            ),
        )
        .route("/api/overview", get(agent_runs::overview, "Everything in numbers.", &[]))
        .route(
            "/api/dispatch",
            post(dispatch::dispatch, "Starts one run by hand, or shows its prompt.", LIVE),
        )
        .route("/api/orphans", get(orphans::list, "Containers of ours that no run is known for.", &[]))
        .route("/api/orphans/stop", post(orphans::stop, "Ends and removes such containers.", &[]))
        .route("/api/runs", get(runs::list, "Runs of the built-in runner, newest first.", &[]))
        .route("/api/runs/{id}", get(runs::one, "One run.", &[]))
        .route(
            "/api/runs/{id}/log",
            get(log::log, "A run's log; `follow` holds the answer open until its end.", &[]),
        )
        .route("/api/runs/{id}/diff", get(runs::diff, "What a run's branch changes.", &[]))
        .route("/api/runs/{id}/kill", post(runs::kill, "Ends a run.", CARD))
        .route("/api/runs/{id}/retry", post(runs::retry, "Has a run's card worked on again.", CARD))
        .route("/api/runs/{id}/answer", post(runs::answer, "Answers the question of a blocked run.", CARD))
        .route(
            "/api/automation/repos",
            get(repos::list, "Tracked repositories.", &[]).post(repos::add, "Tracks a repository.", LIVE),
        )
        .route("/api/automation/repos/tracked", get(repos::list, "Tracked repositories.", &[]))
        .route("/api/automation/repos/{repo}", repo())
        .route("/api/automation/repos/{owner}/{repo}", repo())
        .route("/api/automation/sync", post(automation::sync, "Reads one repository or all.", &[404]))
        .route("/api/automation/workflows", get(automation::workflows, "Workflows of the forge.", &[404]))
        .route("/api/automation/workflows/{id}", get(automation::workflow, "One workflow.", &[404]))
        .route(
            "/api/automation/events",
            get(automation::events, "What happened on the forge, newest first.", &[404]),
        )
        .route(
            "/api/automation/runs/{id}",
            post(automation::run::act, "Runs a workflow again, or starts one.", LIVE),
        )
        .route(
            "/api/repos",
            get(repos::list, "Tracked repositories.", &[]).post(
                automation::add_deprecated,
                "Tracks a repository: the older way.",
                LIVE,
            ),
        )
        .route(
            "/api/labels/ensure",
            post(automation::labels::ensure, "Makes the labels that Dispatch uses.", LIVE),
        )
        .route("/api/sync", post(repos::sync, "Reads one repository or all, and waits.", &[404]))
        .route("/api/sync/scheduled", post(automation::scheduled, "Reads all repositories, and waits.", &[]))
        .route("/api/audit", get(activity::audit, "Who did what, newest first.", &[]))
        .route("/api/control", get(control::control, "Slots, pools, budgets.", &[]))
        .route("/api/control/freeze", post(control::freeze, "Hands nothing out until thawed.", &[]))
        .route("/api/control/thaw", post(control::thaw, "Hands out again.", &[]))
        .route(
            "/api/control/pools/{program}/resume",
            post(control::resume, "Ends the pause of a program.", &[404, 409]),
        )
        .route("/api/problems", get(control::problems, "What wants a person, most urgent first.", &[]))
        .route("/api/events", get(events::events, "Everything that happens, as it happens.", &[]))
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
