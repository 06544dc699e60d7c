//! `/api/orphans…`: what engines hold under our label and nobody knows.

use axum::extract::State;
use dispatch_shared::protocol::control::{Orphan, StopOrphansAnswer, StopOrphansRequest};

use crate::api::App;
use crate::api::error::Result;
use crate::api::extract::{Actor, Json};
use crate::core::record::Stray;

fn orphan(stray: Stray) -> Orphan {
    let Stray { engine, name, run, attempt, running, since } = stray;
    Orphan { name, runtime: engine, run_id: run, attempt, running, since }
}

pub(super) async fn list(State(app): State<App>) -> Result<Json<Vec<Orphan>>> {
    Ok(Json(app.engines.orphans().await?.into_iter().map(orphan).collect()))
}

pub(super) async fn stop(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<StopOrphansRequest>,
) -> Result<Json<StopOrphansAnswer>> {
    let (stopped, errors) = app.engines.stop(&request.names, &actor).await?;
    Ok(Json(StopOrphansAnswer { stopped: stopped.into_iter().map(orphan).collect(), errors }))
}
