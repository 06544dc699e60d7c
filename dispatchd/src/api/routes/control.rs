//! `/api/control…`, `/api/problems` and `/api/lanes`.

use axum::extract::State;
use dispatch_shared::protocol::control::{Control, Problem};
use dispatch_shared::protocol::events::Lane;

use crate::api::App;
use crate::api::error::Result;
use crate::api::extract::{Actor, Json};
use crate::api::path::Path;
use crate::core::command::Command;
use crate::core::problem;

pub(super) async fn control(State(app): State<App>) -> Json<Control> {
    Json(app.control(&app.ledger.snapshot()))
}

async fn set(app: App, frozen: bool, actor: String) -> Result<Json<Control>> {
    let (_, world) = app.ledger.submit(Command::Freeze { frozen, actor }).await?;
    Ok(Json(app.control(&world)))
}

pub(super) async fn freeze(State(app): State<App>, Actor(actor): Actor) -> Result<Json<Control>> {
    set(app, true, actor).await
}

pub(super) async fn thaw(State(app): State<App>, Actor(actor): Actor) -> Result<Json<Control>> {
    set(app, false, actor).await
}

pub(super) async fn resume(
    State(app): State<App>,
    Path(program): Path<String>,
    Actor(actor): Actor,
) -> Result<Json<Control>> {
    let (_, world) = app.ledger.submit(Command::ResumePool { program, actor }).await?;
    Ok(Json(app.control(&world)))
}

pub(super) async fn problems(State(app): State<App>) -> Json<Vec<Problem>> {
    Json(problem::problems(&app.ledger.snapshot(), app.edges.clock.now()))
}

pub(super) async fn lanes(State(app): State<App>) -> Json<Vec<Lane>> {
    Json(app.ledger.snapshot().policy.lanes.clone())
}
