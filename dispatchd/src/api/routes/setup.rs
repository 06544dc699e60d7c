//! `/api/setup`: what is configured; credentials in, never out.

use axum::extract::State;
use dispatch_shared::error::Code;
use dispatch_shared::protocol::setup::{Permissions, Setup, SetupRequest};

use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{Actor, Json};
use crate::core::command::Command;
use crate::core::record::{Repo, Write};
use crate::core::world::World;

pub(super) async fn show(State(app): State<App>) -> Json<Setup> {
    Json(shown(&app))
}

pub(super) async fn keep(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<SetupRequest>,
) -> Result<Json<Setup>> {
    let given = request.given();
    if given.is_empty() {
        return Ok(Json(shown(&app)));
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
    Ok(Json(shown(&app)))
}

fn shown(app: &App) -> Setup {
    let world = app.ledger.snapshot();
    Setup {
        auth_mode: app.doors.mode().to_owned(),
        runtime: app.files.engine(),
        repositories: world.tracked().map(|repo| permissions(&world, repo)).collect(),
        ..app.setup.show()
    }
}

/// What syncs and writes have shown so far.
fn permissions(world: &World, repo: &Repo) -> Permissions {
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
        note: repo.sync_error.clone().or(refused),
    }
}
