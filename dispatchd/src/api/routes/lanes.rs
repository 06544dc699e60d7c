//! `/api/issues/{id}/lane`.

use axum::extract::State;
use dispatch_shared::error::Code;
use dispatch_shared::id::IssueId;
use dispatch_shared::protocol::lanes::{LaneAnswer, LaneRequest};

use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{self, Actor, Json};
use crate::api::path::Path;
use crate::core::command::Command;
use crate::core::grooming::SetLane;
use crate::core::lane;
use crate::core::record::CardKey;
use crate::core::world::World;

/// The longest reason and model name that are kept.
const TEXT_MAX: usize = 2_000;

fn answer(app: &App, world: &World, key: &CardKey) -> Result<Json<LaneAnswer>> {
    let card = world
        .cards
        .get(key)
        .ok_or_else(|| failure(Code::NotFound, format!("there is no issue {}", key.id())))?;
    Ok(Json(lane::answer(world, card, &app.ledger.body(key)?)))
}

pub(super) async fn get(State(app): State<App>, Path(id): Path<IssueId>) -> Result<Json<LaneAnswer>> {
    let world = app.ledger.snapshot();
    let key = extract::known(&world, &id)?;
    answer(&app, &world, &key)
}

pub(super) async fn set(
    State(app): State<App>,
    Path(id): Path<IssueId>,
    Actor(actor): Actor,
    Json(request): Json<LaneRequest>,
) -> Result<Json<LaneAnswer>> {
    let world = app.ledger.snapshot();
    let key = extract::known(&world, &id)?;
    let cut = |text: String| text.chars().take(TEXT_MAX).collect::<String>();
    let model = request.model.filter(|m| !m.trim().is_empty()).map(cut);
    let (found, model) = match request.classification {
        Some(found) => (found, model),
        None => {
            let card = world
                .cards
                .get(&key)
                .ok_or_else(|| failure(Code::NotFound, format!("there is no issue {}", key.id())))?;
            let body = app.ledger.body(&key)?;
            let found = lane::classify(&world.policy, &card.labels, &card.title, &body);
            (found, Some(model.unwrap_or_else(|| "heuristics".to_owned())))
        }
    };
    let reason = match found.reason.trim() {
        "" => format!("set by {actor}"),
        text => cut(text.to_owned()),
    };
    let set =
        SetLane { card: key.clone(), lane: found.lane, confidence: found.confidence, reason, model, actor };
    let (_, world) = app.ledger.submit(Command::SetLane(set)).await?;
    answer(&app, &world, &key)
}
