//! `/api/runs…`, but the log.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dispatch_shared::error::Code;
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::issues::LabelsAnswer;
use dispatch_shared::protocol::runs::{AnswerRequest, KillRequest, Run, RunsQuery};
use hyper::header;
use serde_json::json;

use super::issues;
use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{Actor, Json, Query};
use crate::api::openapi::{Answers, Operation, Words};
use crate::api::path::Path;
use crate::core::command::{Command, Reply};
use crate::core::record;
use crate::core::view;
use crate::core::world::World;

/// The run, or 404.
pub(super) fn record(world: &World, id: RunId) -> Result<std::sync::Arc<record::Run>> {
    world
        .runs
        .get(&id)
        .cloned()
        .ok_or_else(|| failure(Code::NotFound, format!("there is no run {id}; `dispatch runs` lists them")))
}

fn shown(world: &World, id: RunId) -> Result<Run> {
    let run = record(world, id)?;
    view::run(world, &run)
        .ok_or_else(|| failure(Code::NotFound, format!("the repository of run {id} is not known")))
}

pub(super) async fn list(State(app): State<App>, Query(query): Query<RunsQuery>) -> Result<Json<Vec<Run>>> {
    let world = app.ledger.snapshot();
    let wanted = |run: &Run| {
        let state = match query.state.as_deref() {
            None => true,
            Some("live") => !run.ended,
            Some("ended") => run.ended,
            Some(word) => run.state == word,
        };
        state && query.agent.as_deref().is_none_or(|a| run.agent_name.as_str() == a)
    };
    let runs = world.runs.values().rev().filter_map(|run| view::run(&world, run)).filter(wanted);
    Ok(Json(runs.take(query.limit.unwrap_or(50)).collect()))
}

pub(super) async fn one(State(app): State<App>, Path(run): Path<RunId>) -> Result<Json<Run>> {
    shown(&app.ledger.snapshot(), run).map(Json)
}

pub(super) async fn diff(State(app): State<App>, Path(run): Path<RunId>) -> Result<Diff> {
    let world = app.ledger.snapshot();
    let run = record(&world, run)?;
    let repo = world
        .repos
        .get(&run.card.repo)
        .ok_or_else(|| failure(Code::NotFound, format!("the repository of run {} is not known", run.id)))?;
    let text = app.files.diff(repo, &run).await.map_err(|e| failure(Code::Unavailable, e))?;
    Ok(Diff(text))
}

/// A unified diff.
pub(super) struct Diff(String);

impl IntoResponse for Diff {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "text/x-diff; charset=utf-8")], self.0).into_response()
    }
}

impl Answers for Diff {
    fn tell(operation: &mut Operation, _: &mut Words) {
        operation.answers(200, "text/x-diff", json!({"type": "string"}));
    }
}

pub(super) async fn kill(
    State(app): State<App>,
    Path(run): Path<RunId>,
    Actor(actor): Actor,
    Json(request): Json<KillRequest>,
) -> Result<Json<Run>> {
    let command = Command::Kill { run, attempt: request.attempt, now: request.now, actor };
    let (_, world) = app.ledger.submit(command).await?;
    shown(&world, run).map(Json)
}

pub(super) async fn retry(
    State(app): State<App>,
    Path(run): Path<RunId>,
    Actor(actor): Actor,
) -> Result<Json<LabelsAnswer>> {
    let (reply, world) = app.ledger.submit(Command::Retry { run, actor }).await?;
    again(&world, run, &reply).map(Json)
}

pub(super) async fn answer(
    State(app): State<App>,
    Path(run): Path<RunId>,
    Actor(actor): Actor,
    Json(request): Json<AnswerRequest>,
) -> Result<Json<LabelsAnswer>> {
    let (reply, world) = app.ledger.submit(Command::Answer { run, text: request.text, actor }).await?;
    again(&world, run, &reply).map(Json)
}

/// The card's labels, where there is a card, and which run goes on where one was started by hand.
fn again(world: &World, run: RunId, reply: &Reply) -> Result<LabelsAnswer> {
    let card = &record(world, run)?.card;
    let labels = match world.cards.contains_key(card) {
        true => issues::labels(world, card)?,
        false => LabelsAnswer { success: true, labels: Vec::new(), status: None, status_note: None },
    };
    let Reply::Dispatched { run, waits_for } = reply else { return Ok(labels) };
    let note = match waits_for {
        None => format!("{run} goes on"),
        Some(why) => format!("{run} waits: {why}"),
    };
    Ok(LabelsAnswer { status_note: Some(note), ..labels })
}
