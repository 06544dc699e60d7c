//! `/metrics`: numbers in the text format that Prometheus reads. They are taken from the state as it is when asked; nothing
//! is counted for their sake but requests and commits.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::header;
use serde_json::json;

use crate::api::App;
use crate::api::openapi::{Answers, Operation, Words};

/// The text under construction.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let escaped = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.value(name, &[], value);
    }
}

pub(super) async fn metrics(State(app): State<App>) -> Page {
    page(&app)
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], self.0).into_response()
    }
}

impl Answers for Page {
    fn tell(operation: &mut Operation, _: &mut Words) {
        operation.answers(200, "text/plain", json!({"type": "string"}));
    }
}

fn page(app: &App) -> Page {
    let world = app.ledger.snapshot();
    let now = app.edges.clock.now();
    let control = app.control(&world);
    let mut page = Page::default();
    page.family("dispatch_build_info", "gauge", "The daemon's version.");
    page.value("dispatch_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.gauge("dispatch_claims_live", "Claims that are held.", world.leases().count());
    page.gauge("dispatch_queue_ready", "Cards that are ready and eligible.", control.ready);
    page.gauge("dispatch_frozen", "1 while nothing is handed out.", u8::from(control.frozen));
    page.gauge("dispatch_writes_pending", "Writes that wait for the forge.", control.writes_pending);
    page.gauge("dispatch_run_slots", "Runs that may live at once.", control.slots);
    page.gauge("dispatch_cost_today_usd", "US dollars spent today.", control.cost_today_usd);

    page.family("dispatch_runs", "gauge", "Runs that are kept, by state.");
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for run in world.runs.values() {
        *states.entry(run.state.word()).or_default() += 1;
    }
    for (state, count) in states {
        page.value("dispatch_runs", &[("state", state)], count);
    }

    page.family("dispatch_repo_sync_age_seconds", "gauge", "Since the last sync that succeeded.");
    for repo in world.tracked() {
        if let Some(at) = repo.last_synced_at {
            let labels = [("repo", repo.name.to_string())];
            let labels = labels.each_ref().map(|(k, v)| (*k, v.as_str()));
            page.value("dispatch_repo_sync_age_seconds", &labels, now.since(at).as_secs_f64());
        }
    }
    page.family("dispatch_repo_sync_failures", "gauge", "Consecutive syncs that failed.");
    for repo in world.tracked() {
        page.value("dispatch_repo_sync_failures", &[("repo", &repo.name.to_string())], repo.sync_failures);
    }

    page.family("dispatch_store_commits_total", "counter", "Durable commits since the start.");
    page.value("dispatch_store_commits_total", &[], app.ledger.committed());

    page.family("dispatch_http_requests_total", "counter", "Requests answered, by route and status.");
    for (method, route, status, count) in app.doors.requests.all() {
        let labels = [("method", method.as_str()), ("route", &route), ("status", &status.to_string())];
        page.value("dispatch_http_requests_total", &labels, count);
    }

    let resources = &control.budget.resources;
    page.family("dispatch_forge_rate_limit_remaining", "gauge", "Points left at GitHub, by resource.");
    for limit in resources {
        let of = [("resource", limit.resource.as_str())];
        page.value("dispatch_forge_rate_limit_remaining", &of, limit.remaining);
    }
    page.family("dispatch_forge_rate_limit", "gauge", "Points that GitHub allows an hour, by resource.");
    for limit in resources {
        page.value("dispatch_forge_rate_limit", &[("resource", limit.resource.as_str())], limit.limit);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.value("x", &[("a", "q\"\\\n"), ("b", "y")], 1.5);
        assert_eq!(page.0, "x{a=\"q\\\"\\\\\\n\",b=\"y\"} 1.5\n");
    }
}
