//! `/api/issues/claim` and `…/unclaim`.

use axum::extract::State;
use dispatch_shared::error::Code;
use dispatch_shared::protocol::claims::{ClaimAnswer, ClaimRequest};
use dispatch_shared::protocol::issues::LabelsAnswer;

use super::issues;
use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{self, Actor, Json};
use crate::core::command::Command;
use crate::core::view;

pub(super) async fn claim(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<ClaimRequest>,
) -> Result<Json<ClaimAnswer>> {
    let card = extract::card(&app.ledger.snapshot(), &request.issue)?;
    let agent = extract::agent(&request.agent_name)?;
    let command = Command::Claim { card: card.clone(), agent, force: request.force.unwrap_or(false), actor };
    let (_, world) = app.ledger.submit(command).await?;
    let claim = world.held(&card).map(|c| view::claim(c)).ok_or_else(|| {
        failure(Code::StaleClaim, "the claim was made and has ended already; look at the audit")
    })?;
    Ok(Json(ClaimAnswer { success: true, labels: issues::labels(&world, &card)?.labels, claim }))
}

pub(super) async fn unclaim(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<ClaimRequest>,
) -> Result<Json<LabelsAnswer>> {
    let card = extract::card(&app.ledger.snapshot(), &request.issue)?;
    // Without a name it is the operator who releases, whoever holds it.
    let agent = match request.agent_name.as_str() {
        "" => None,
        name => Some(extract::agent(name)?),
    };
    let command = Command::Unclaim { card: card.clone(), agent, claim: request.claim_id, actor };
    let (_, world) = app.ledger.submit(command).await?;
    issues::labels(&world, &card).map(Json)
}
