//! The API server: what is asked over HTTP, and what it answers.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::world::selected;
use super::{Fault, Node, Shared, TOKEN, node};

type Params = Query<HashMap<String, String>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let jobs = "/apis/batch/v1/namespaces/agents/jobs";
    let core = "/api/v1/namespaces/agents";
    Router::new()
        .route("/version", get(version))
        .route("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", post(review))
        .route(jobs, get(jobs_list).post(job_make))
        .route(&format!("{jobs}/{{name}}"), get(job_get).delete(job_end))
        .route(&format!("{core}/pods"), get(pods_list))
        .route(&format!("{core}/pods/{{name}}"), axum::routing::delete(pod_end))
        .route(&format!("{core}/pods/{{name}}/log"), get(log))
        .route(&format!("{core}/persistentvolumeclaims/{{name}}"), get(claim))
        .route(&format!("{core}/events"), get(events))
        .fallback(async || status(404, "NotFound", "the server could not find the requested resource"))
        .layer(middleware::from_fn_with_state(shared.clone(), gate))
        .with_state(shared)
}

fn status(code: u16, reason: &str, message: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    });
    let code = StatusCode::from_u16(code).expect("a status");
    (code, axum::Json(body)).into_response()
}

fn ok(body: Value) -> Response {
    axum::Json(body).into_response()
}

/// Notes the request, and lets only who knows the token through.
async fn gate(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let fault = shared.change(|w| {
        w.requests.push(line);
        w.takes(|f| matches!(f, Fault::Status(_)))
    });
    if let Some(Fault::Status(code)) = fault {
        return status(code, "", "told to");
    }
    if headers.get("authorization").is_none_or(|a| a != &format!("Bearer {TOKEN}")) {
        return status(401, "Unauthorized", "Unauthorized");
    }
    next.run(request).await
}

async fn version() -> Response {
    ok(json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "", "gitTreeState": "", "buildDate": "",
        "goVersion": "", "compiler": "", "platform": "linux/amd64",
    }))
}

async fn review(State(shared): State<Arc<Shared>>, body: axum::Json<Value>) -> Response {
    let mut body = body.0;
    let asked = &body["spec"]["resourceAttributes"];
    let forbidden =
        shared.world().forbidden.iter().any(|(v, r)| asked["verb"] == *v && asked["resource"] == *r);
    body["status"] = json!({"allowed": !forbidden});
    (StatusCode::CREATED, axum::Json(body)).into_response()
}

fn list(kind: &str, version: u64, items: Vec<Value>) -> Response {
    ok(
        json!({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": version.to_string()}, "items": items}),
    )
}

async fn jobs_list(State(shared): State<Arc<Shared>>, Query(q): Params) -> Response {
    let world = shared.world();
    let selector = q.get("labelSelector").map(String::as_str);
    let items = world.jobs.values().filter(|j| selected(j, selector)).cloned().collect();
    list("JobList", world.version(), items)
}

async fn job_make(State(shared): State<Arc<Shared>>, body: axum::Json<Value>) -> Response {
    let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let made = shared.change(|w| {
        if w.takes(|f| *f == Fault::NameTaken).is_some() {
            return None;
        }
        let made = w.make_job(body.0)?;
        let pod = made.1.and_then(|name| Some((name.clone(), w.pods.get(&name)?.clone())));
        Some((made.0, pod, w.node.clone(), w.takes(|f| *f == Fault::AnswerLost)))
    });
    let Some((job, pod, runs, lost)) = made else {
        return status(409, "AlreadyExists", &format!("jobs.batch \"{name}\" already exists"));
    };
    if let (Some((name, pod)), Node::Runs(claim)) = (pod, runs) {
        tokio::spawn(node::run(shared, name, pod, claim));
    }
    if lost.is_some() {
        return status(504, "Timeout", "the answer was lost");
    }
    (StatusCode::CREATED, axum::Json(job)).into_response()
}

async fn job_get(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    match shared.world().jobs.get(&name) {
        Some(job) => ok(job.clone()),
        None => status(404, "NotFound", &format!("jobs.batch \"{name}\" not found")),
    }
}

async fn job_end(State(shared): State<Arc<Shared>>, Path(name): Path<String>, body: Bytes) -> Response {
    let options: Value = serde_json::from_slice(&body).unwrap_or_default();
    if options["propagationPolicy"] != "Foreground" {
        return status(422, "Invalid", "a job whose pods stay behind is not what anybody here wants");
    }
    match shared.change(|w| w.end_job(&name)) {
        true => ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})),
        false => status(404, "NotFound", &format!("jobs.batch \"{name}\" not found")),
    }
}

async fn pod_end(State(shared): State<Arc<Shared>>, Path(name): Path<String>, body: Bytes) -> Response {
    let options: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(grace) = options["gracePeriodSeconds"].as_u64().filter(|g| *g > 0) else {
        return status(422, "Invalid", "a pod that is removed by force may still run");
    };
    match shared.change(|w| w.end_pod(&name, grace)) {
        true => ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})),
        false => status(404, "NotFound", &format!("pods \"{name}\" not found")),
    }
}

async fn claim(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    if shared.world().claim != Some(name.as_str()) {
        return status(404, "NotFound", &format!("persistentvolumeclaims \"{name}\" not found"));
    }
    ok(
        json!({"kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": {"name": name}, "status": {"phase": "Bound"}}),
    )
}

async fn events(State(shared): State<Arc<Shared>>, Query(q): Params) -> Response {
    let wanted = q.get("fieldSelector").cloned().unwrap_or_default();
    let world = shared.world();
    let about = |e: &&Value| {
        let of = |key: &str| e["involvedObject"][key].as_str().unwrap_or_default().to_owned();
        wanted
            == format!("involvedObject.kind={},involvedObject.name={},type=Warning", of("kind"), of("name"))
    };
    list("EventList", world.version(), world.events.iter().filter(about).cloned().collect())
}

async fn pods_list(State(shared): State<Arc<Shared>>, Query(q): Params) -> Response {
    let selector = q.get("labelSelector").cloned();
    if q.get("watch").is_some_and(|w| w == "true") {
        let since = q.get("resourceVersion").and_then(|v| v.parse().ok()).unwrap_or(0);
        return watch(shared, selector, since);
    }
    let world = shared.world();
    let items = world.pods.values().filter(|p| selected(p, selector.as_deref())).cloned().collect();
    list("PodList", world.version(), items)
}

fn streamed(rx: mpsc::Receiver<io::Result<Bytes>>) -> Response {
    let stream = futures_util::stream::unfold(rx, async |mut rx| Some((rx.recv().await?, rx)));
    Body::from_stream(stream).into_response()
}

fn cut<T>() -> io::Result<T> {
    Err(io::Error::other("cut"))
}

fn watch(shared: Arc<Shared>, selector: Option<String>, mut since: u64) -> Response {
    let (tx, rx) = mpsc::channel(16);
    let mut changed = shared.changed.subscribe();
    let stop = shared.world().stop.clone();
    tokio::spawn(async move {
        loop {
            changed.mark_unchanged();
            let (events, fault) = {
                let mut world = shared.world();
                let news =
                    world.history.iter().filter(|(v, _, p)| *v > since && selected(p, selector.as_deref()));
                let news: Vec<_> = news.map(|(_, what, pod)| json!({"type": what, "object": pod})).collect();
                since = world.version();
                (news, world.takes(|f| matches!(f, Fault::WatchGone | Fault::WatchCut)))
            };
            if let Some(fault) = fault {
                let gone = json!({"type": "ERROR", "object": {
                    "kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old resource version"
                }});
                let last =
                    if fault == Fault::WatchGone { Ok(Bytes::from(format!("{gone}\n"))) } else { cut() };
                let _ = tx.send(last).await;
                return;
            }
            for event in events {
                if tx.send(Ok(Bytes::from(format!("{event}\n")))).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                told = changed.changed() => if told.is_err() { return },
                () = tx.closed() => return,
                () = stop.cancelled() => return,
            }
        }
    });
    streamed(rx)
}

async fn log(State(shared): State<Arc<Shared>>, Path(name): Path<String>, Query(q): Params) -> Response {
    let begun = shared.world().pods.get(&name).map(|p| p["status"]["phase"] != "Pending");
    match begun {
        None => return status(404, "NotFound", &format!("pods \"{name}\" not found")),
        Some(false) => {
            let why = format!("container \"agent\" in pod \"{name}\" is waiting to start: ContainerCreating");
            return status(400, "BadRequest", &why);
        }
        Some(true) => {}
    }
    let yes = |key: &str| q.get(key).is_some_and(|v| v == "true");
    let (follow, stamps) = (yes("follow"), yes("timestamps"));
    // Whole seconds, like the real thing.
    let since = q.get("sinceTime").and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let since = since.map_or(i64::MIN, |t| t.as_second() * 1_000);
    let (tx, rx) = mpsc::channel(16);
    let mut changed = shared.changed.subscribe();
    tokio::spawn(async move {
        let (mut at, mut fresh, mut sent) = (0, true, 0_usize);
        loop {
            changed.mark_unchanged();
            let (text, over, cut_at) = {
                let mut world = shared.world();
                let gone = !world.pods.contains_key(&name);
                let log = world.log(&name);
                let text = log.from(&mut at, &mut fresh, since, stamps);
                let over = gone || log.is_over() || !follow;
                let reached = sent + text.len();
                let cut_at = if follow {
                    world.takes(|f| matches!(f, Fault::LogCut(n) if *n <= reached))
                } else {
                    None
                };
                (text, over, cut_at)
            };
            if let Some(Fault::LogCut(n)) = cut_at {
                let part = text[..n.saturating_sub(sent).min(text.len())].to_vec();
                let _ = tx.send(Ok(Bytes::from(part))).await;
                let _ = tx.send(cut()).await;
                return;
            }
            sent += text.len();
            if !text.is_empty() && tx.send(Ok(Bytes::from(text))).await.is_err() {
                return;
            }
            if over {
                return;
            }
            tokio::select! {
                told = changed.changed() => if told.is_err() { return },
                () = tx.closed() => return,
            }
        }
    });
    streamed(rx)
}
