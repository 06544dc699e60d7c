//! The types of the protocol against what is frozen: they understand every answer and lose nothing of it, and the typed
//! client sends these requests.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use dispatch_shared::client::Client;
use dispatch_shared::endpoint::Endpoint;
use dispatch_shared::error::ApiError;
use dispatch_shared::id::{IssueId, RunId};
use dispatch_shared::protocol::{
    self as wire, actions, activity, agent_runs, automation, cards, claims, control, events, followup,
    grooming, issues, lanes, queue, repos, runs, setup, tasks, work,
};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::frozen::{self, Case};

/// Reads a value and writes it again: both must be the same.
fn same<T: DeserializeOwned + Serialize>(value: &Value) -> Result<(), String> {
    let read: T = serde_json::from_value(value.clone()).map_err(|e| e.to_string())?;
    let again = serde_json::to_value(read).map_err(|e| e.to_string())?;
    (again == *value).then_some(()).ok_or_else(|| format!("read and written it is {again:#}, not {value:#}"))
}

/// Reads an answer as one type; why not, if it cannot.
type Reader = fn(&Value) -> Result<(), String>;

/// The type of a route's answer.
fn answer(route: &str) -> Option<Reader> {
    Some(match route {
        "GET /api/health" => same::<wire::Health>,
        "GET /api/setup" | "PUT /api/setup" => same::<setup::Setup>,
        "GET /api/lanes" => same::<Vec<events::Lane>>,
        "GET /api/issues" => same::<Vec<issues::Issue>>,
        "GET /api/issues/{id}" | "POST /api/issues/refresh" => same::<issues::Issue>,
        "GET /api/issues/state" => same::<issues::IssueStateAnswer>,
        "GET /api/issues/claimed" => same::<Vec<cards::ClaimedIssue>>,
        "GET /api/issues/{id}/why" => same::<issues::Why>,
        "GET /api/issues/{id}/lane" | "POST /api/issues/{id}/lane" => same::<lanes::LaneAnswer>,
        "POST /api/issues/claim" => same::<claims::ClaimAnswer>,
        "POST /api/issues/unclaim"
        | "POST /api/issues/move"
        | "POST /api/issues/label"
        | "POST /api/issues/unlabel"
        | "POST /api/issues/reset-ready"
        | "POST /api/runs/{id}/retry"
        | "POST /api/runs/{id}/answer" => same::<issues::LabelsAnswer>,
        "POST /api/issues/status" => same::<cards::StatusAnswer>,
        "POST /api/issues/comment" => same::<cards::CommentAnswer>,
        "POST /api/issues/reconcile" => same::<cards::ReconcileAnswer>,
        "POST /api/issues/groom" => same::<grooming::GroomAnswer>,
        "POST /api/issues/actions/decompose" => same::<grooming::DecomposeAnswer>,
        "POST /api/issues/{id}/children" => same::<grooming::ChildrenAnswer>,
        "POST /api/groomer/run" | "GET /api/groomer/runs/{id}" => same::<grooming::GroomerRun>,
        "GET /api/groomer/runs" => same::<Vec<grooming::GroomerRun>>,
        "GET /api/agents/{agent}/next-task" | "POST /api/agents/{agent}/next-task" => same::<tasks::Task>,
        "POST /api/agents/{agent}/tasks/report" => same::<tasks::ReportAnswer>,
        "POST /api/agents/{agent}/heartbeat" => same::<claims::HeartbeatAnswer>,
        "GET /api/agents/{agent}/queue" => same::<Vec<queue::QueueEntry>>,
        "GET /api/agents/{agent}/active-work" => same::<work::ActiveWork>,
        "GET /api/agents/{agent}/in-progress" => same::<Vec<work::InProgress>>,
        "GET /api/agents/{agent}/work-summary" => same::<work::WorkSummary>,
        "GET /api/agent-work" => same::<work::WorkList>,
        "POST /api/agent-work" => same::<work::WorkActionAnswer>,
        "POST /api/agent-work/start" | "POST /api/agent-work/checkpoint" | "POST /api/agent-work/finish" => {
            same::<work::Work>
        }
        "POST /api/agent-work/sweep" => same::<work::SweepAnswer>,
        "GET /api/pr-fix-queue/queued" => same::<Vec<followup::FixItem>>,
        "GET /api/pr-fix-queue/history" => same::<Vec<followup::FixHistoryRow>>,
        "POST /api/pr-fix-queue/enqueue"
        | "POST /api/pr-fix-queue/mark"
        | "POST /api/pr-fix-queue/requeue"
        | "POST /api/pr-fix-queue/ack" => same::<followup::FixItem>,
        "POST /api/pr-followup/sync" => same::<followup::FollowupSyncAnswer>,
        "POST /api/pr-followup/webhook" | "POST /api/issues/webhook" => same::<followup::HookAnswer>,
        "GET /api/agent-runs" => same::<Vec<agent_runs::AgentRun>>,
        "POST /api/agent-runs" => same::<agent_runs::AgentRun>,
        "GET /api/overview" => same::<agent_runs::Overview>,
        "GET /api/runs" => same::<Vec<runs::Run>>,
        "GET /api/runs/{id}" | "POST /api/runs/{id}/kill" => same::<runs::Run>,
        "GET /api/automation/repos" | "GET /api/automation/repos/tracked" | "GET /api/repos" => {
            same::<Vec<repos::Repo>>
        }
        "POST /api/automation/repos"
        | "POST /api/repos"
        | "PATCH /api/automation/repos/{repo}"
        | "PATCH /api/automation/repos/{owner}/{repo}" => same::<repos::Repo>,
        "GET /api/automation/repos/{repo}" | "GET /api/automation/repos/{owner}/{repo}" => {
            same::<automation::RepoDetail>
        }
        "DELETE /api/automation/repos/{repo}" | "DELETE /api/automation/repos/{owner}/{repo}" => {
            same::<wire::Ok>
        }
        "POST /api/automation/sync" => same::<automation::AutomationSyncAnswer>,
        "GET /api/automation/workflows" => same::<Vec<actions::Workflow>>,
        "GET /api/automation/workflows/{id}" => same::<actions::Workflow>,
        "GET /api/automation/events" => same::<Vec<automation::AutomationEvent>>,
        "POST /api/automation/runs/{id}" => same::<automation::RunActionAnswer>,
        "POST /api/labels/ensure" => same::<automation::EnsureLabelsAnswer>,
        "POST /api/sync" => same::<repos::SyncAnswer>,
        "POST /api/sync/scheduled" => same::<automation::ScheduledAnswer>,
        "GET /api/audit" => same::<Vec<activity::AuditRow>>,
        "GET /api/control"
        | "POST /api/control/freeze"
        | "POST /api/control/thaw"
        | "POST /api/control/pools/{program}/resume" => same::<control::Control>,
        "GET /api/problems" => same::<Vec<control::Problem>>,
        "GET /api/orphans" => same::<Vec<control::Orphan>>,
        "POST /api/orphans/stop" => same::<control::StopOrphansAnswer>,
        "POST /api/dispatch" => same::<wire::dispatch::DispatchAnswer>,
        // Bytes, lines of text, a stream, and documents about the rest.
        "GET /api/openapi.json"
        | "GET /api/schema/task.json"
        | "GET /metrics"
        | "GET /api/runs/{id}/log"
        | "GET /api/runs/{id}/diff"
        | "GET /api/events" => |_| Ok(()),
        _ => return None,
    })
}

#[test]
fn the_protocol_understands_every_answer() {
    let mut wrong = Vec::new();
    for route in frozen::all() {
        for case in &route.cases {
            let read = match case.status {
                200..300 => answer(&route.route)
                    .ok_or("its answer has no type here".to_owned())
                    .and_then(|r| r(&case.answer)),
                _ => serde_json::from_value::<ApiError>(case.answer.clone())
                    .map(drop)
                    .map_err(|e| e.to_string()),
            };
            if let Err(why) = read {
                wrong.push(format!("{} ({}): {why}", route.route, case.case));
            }
            let kind = &case.headers["content-type"];
            assert!(kind == "application/json" || case.status < 300, "{}: an error is JSON", route.route);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is frozen, by method.
type Frozen = Arc<BTreeMap<String, Vec<Case>>>;

fn pairs(path: &str) -> (String, Vec<(String, String)>) {
    let url = reqwest::Url::parse(&format!("http://dispatch{path}")).expect("a path");
    let mut pairs: Vec<_> = url.query_pairs().into_owned().collect();
    pairs.sort();
    (url.path().to_owned(), pairs)
}

/// Answers a request as it is frozen; 404 with what was sent, if it is not.
async fn replay(frozen: Frozen, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let bytes = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    let body = serde_json::from_slice(&bytes).unwrap_or(json!({}));
    let found = frozen.get(&method).into_iter().flatten().find(|case| {
        let same = case.body.as_ref().map_or_else(|| body == json!({}), |b| *b == body);
        case.status < 300 && same && pairs(&case.path) == pairs(&path)
    });
    let (status, answer) = match found {
        Some(case) => (case.status, case.answer.clone()),
        None => (404, json!({"error": format!("{method} {path} {body} is not frozen"), "code": "not_found"})),
    };
    let bytes = Full::new(Bytes::from(answer.to_string()));
    Ok(Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(bytes)
        .expect("an answer"))
}

/// A client of a server that knows what is frozen, and nothing else.
async fn client() -> Client {
    let mut frozen: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in frozen::all().into_iter().flat_map(|r| r.cases) {
        frozen.entry(case.method.clone()).or_default().push(case);
    }
    let frozen = Arc::new(frozen);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let frozen = frozen.clone();
            let service = hyper::service::service_fn(move |request| replay(frozen.clone(), request));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    let endpoint = Endpoint::parse(&format!("http://{address}")).expect("an address");
    Client::new(endpoint, None, None).expect("a client")
}

/// The typed body of the frozen request of this name.
fn body<T: DeserializeOwned>(route: &str, case: &str) -> T {
    let found = frozen::all()
        .into_iter()
        .find(|r| r.route == route)
        .and_then(|r| r.cases.into_iter().find(|c| c.case == case).and_then(|c| c.body));
    let found = found.unwrap_or_else(|| panic!("{route} ({case}) is not frozen with a body"));
    serde_json::from_value(found).unwrap_or_else(|e| panic!("{route} ({case}): {e}"))
}

/// Calls the client; whatever it sends must be frozen.
macro_rules! sent {
    ($($call:expr),* $(,)?) => { $( $call.await.unwrap_or_else(|e| panic!("{}: {e}", stringify!($call))); )* };
}

#[tokio::test]
async fn the_typed_client_sends_what_is_frozen() {
    let c = client().await;
    let issue = IssueId::new("gh1001-1");
    let run: RunId = "r-1".parse().expect("an id");
    let killed: RunId = "r-3".parse().expect("an id");
    let (api, web) = ("acme/api".parse().expect("a name"), "acme/web".parse().expect("a name"));
    let text = |t: &str| Some(t.to_owned());
    sent!(
        c.health(),
        c.setup(),
        c.put_setup(&body("PUT /api/setup", "a credential")),
        c.issue(&issue),
        c.why(&issue),
        c.issues(&issues::IssuesQuery {
            repo: text("acme/api"),
            status: text("in-review"),
            ..Default::default()
        }),
        c.move_issue(&body("POST /api/issues/move", "to a column by its word")),
        c.claim(&body("POST /api/issues/claim", "by id, repository and number")),
        c.unclaim(&body("POST /api/issues/unclaim", "by its holder")),
        c.set_status(&body("POST /api/issues/status", "blocked")),
        c.reset_ready(&body("POST /api/issues/reset-ready", "stranded")),
        c.refresh(&body("POST /api/issues/refresh", "from the forge")),
        c.label(&body("POST /api/issues/label", "a label"), true),
        c.label(&body("POST /api/issues/unlabel", "a label"), false),
        c.comment(&body("POST /api/issues/comment", "a comment")),
        c.peek("kai", &tasks::NextTaskQuery { lane: text("cloud"), ..Default::default() }),
        c.peek("kai", &tasks::NextTaskQuery { include_claimed: Some(true), ..Default::default() }),
        c.take(
            "gil",
            &tasks::NextTaskQuery { mode: text("groom"), ..Default::default() },
            &Default::default()
        ),
        c.take(
            "kai",
            &tasks::NextTaskQuery { resume: Some(true), ..Default::default() },
            &Default::default()
        ),
        c.take(
            "kai",
            &Default::default(),
            &body("POST /api/agents/{agent}/next-task", "the answer was lost")
        ),
        c.report("kai", &body("POST /api/agents/{agent}/tasks/report", "blocked")),
        c.report("eve", &body("POST /api/agents/{agent}/tasks/report", "a push")),
        c.heartbeat("ben", &Default::default()),
        c.queue("kai", &Default::default()),
        c.active_work("ben"),
        c.work_summary("ben"),
        c.agent_work(&work::WorkQuery { agent: text("ben"), include_stale: text("false") }),
        c.start_work(&body("POST /api/agent-work/start", "an issue")),
        c.checkpoint(&body("POST /api/agent-work/checkpoint", "TESTS_RUNNING")),
        c.finish_work(&body("POST /api/agent-work/finish", "released")),
        c.act_on_work(&body("POST /api/agent-work", "to another")),
        c.agent_runs(&agent_runs::AgentRunsQuery { agent: text("ben"), ..Default::default() }),
        c.overview(),
        c.enqueue_fix(&body("POST /api/pr-fix-queue/enqueue", "by an outside watcher")),
        c.mark_fix(&body("POST /api/pr-fix-queue/mark", "blocked")),
        c.requeue_fix(&body("POST /api/pr-fix-queue/requeue", "by an operator, to another tier")),
        c.ack_fix(&body("POST /api/pr-fix-queue/ack", "by its reader")),
        c.queued_fixes(&followup::FixQuery { include_blocked: Some(true), ..Default::default() }),
        c.fix_history(&followup::FixQuery { repo: text("Acme/Api"), pr: Some(6), ..Default::default() }),
        c.sync_followups(),
        c.runs(&runs::RunsQuery { state: text("ended"), limit: Some(1), ..Default::default() }),
        c.run(run),
        c.log(run, &runs::LogQuery { stream: text("raw"), tail: Some(1), ..Default::default() }),
        c.diff("r-2".parse().expect("an id")),
        c.kill(killed, &body("POST /api/runs/{id}/kill", "without grace")),
        c.retry(killed),
        c.answer(run, "Two spaces."),
        c.problems(),
        c.control(),
        c.freeze(true),
        c.freeze(false),
        c.resume_pool("scribe"),
        c.orphans(),
        c.stop_orphans(Vec::new()),
        c.repos(),
        c.tracked_repos(),
        c.add_repo(&body("POST /api/automation/repos", "on GitHub")),
        c.patch_repo(&api, &body("PATCH /api/automation/repos/{owner}/{repo}", "a limit")),
        c.remove_repo(&web),
        c.sync(Some(&api)),
        c.sync(None),
        c.automation_sync(Some(&"Acme/api".parse().expect("a name"))),
        c.ensure_labels(&body("POST /api/labels/ensure", "in earnest")),
        c.audit(&activity::AuditQuery { limit: Some(1), ..Default::default() }),
    );
}
