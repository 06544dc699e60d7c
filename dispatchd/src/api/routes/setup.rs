//! `/api/setup`: what is configured; credentials in, never out.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use dispatch_shared::error::Code;
use dispatch_shared::protocol::setup::{Permissions, Setup, SetupQuery, SetupRequest};

use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{Actor, Json, Query};
use crate::core::command::Command;
use crate::core::record::{Repo, Write};
use crate::core::world::World;

/// How long a look at the permissions may take.
const PATIENCE: Duration = Duration::from_secs(8);

pub(super) async fn show(State(app): State<App>, Query(query): Query<SetupQuery>) -> Json<Setup> {
    if query.check {
        let repos: Vec<Arc<Repo>> = app.ledger.snapshot().tracked().cloned().collect();
        // What is not found by then shows the next time.
        let _ = tokio::time::timeout(PATIENCE, app.forges.check_access(&repos)).await;
    }
    Json(shown(&app).await)
}

pub(super) async fn keep(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<SetupRequest>,
) -> Result<Json<Setup>> {
    let given = request.given();
    if given.is_empty() {
        return Ok(Json(shown(&app).await));
    }
    let odd = |c: char| c.is_control();
    if let Some((name, _)) = given.iter().find(|(_, text)| text.trim().contains(odd) || text.len() > 4_096) {
        let sentence = format!("field `{name}`: a credential is one line of at most 4096 characters");
        return Err(failure(Code::BadRequest, sentence));
    }
    let word = |text: &str| if text.trim().is_empty() { "removed" } else { "set" };
    let notes: Vec<String> = given.iter().map(|(name, text)| format!("{name} {}", word(text))).collect();
    let desk = app.setup.clone();
    let kept = tokio::task::spawn_blocking(move || desk.keep(&request)).await;
    kept.map_err(std::io::Error::other).and_then(|kept| kept).map_err(|e| {
        failure(Code::Unavailable, format!("the credentials cannot be kept in the state directory: {e}"))
    })?;
    let noted = Command::Noted { action: "change_setup", notes: notes.join(", "), actor };
    app.ledger.submit(noted).await?;
    Ok(Json(shown(&app).await))
}

async fn shown(app: &App) -> Setup {
    let world = app.ledger.snapshot();
    Setup {
        auth_mode: app.doors.mode().to_owned(),
        github_token: app.forges.credential().await,
        runtime: app.files.engine(),
        repositories: world.tracked().map(|repo| permissions(app, &world, repo)).collect(),
        ..app.setup.show()
    }
}

/// What syncs and writes have shown so far, and the last look at the permissions.
fn permissions(app: &App, world: &World, repo: &Repo) -> Permissions {
    let looked = app.forges.access(&repo.key);
    let cards = world.cards_of(&repo.key);
    let refused = cards.iter().find_map(|c| match &c.write {
        Some(Write::Refused(why)) => Some(why.clone()),
        _ => None,
    });
    let wrote = cards.iter().any(|c| c.wrote_at.is_some());
    Permissions {
        repo_full_name: repo.name.clone(),
        forge: repo.forge.word().to_owned(),
        read: match (&repo.sync_error, repo.last_synced_at) {
            (Some(_), _) => Some(false),
            (None, Some(_)) => Some(true),
            (None, None) => None,
        },
        write: if refused.is_some() { Some(false) } else { wrote.then_some(true) },
        note: repo.sync_error.clone().or(refused).or_else(|| looked.as_ref()?.failed.clone()),
        token_kind: looked.as_ref().and_then(|l| l.kind.map(ToOwned::to_owned)),
        checked_at: looked.as_ref().map(|l| l.at),
        missing: looked.map(|l| l.missing).unwrap_or_default(),
    }
}
