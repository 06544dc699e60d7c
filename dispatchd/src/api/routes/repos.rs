//! `/api/automation/repos…` and `/api/sync`. A name in a path may be one segment with its slash escaped, as some clients send it.

use axum::extract::State;
use dispatch_shared::error::Code;
use dispatch_shared::id::RepoName;
use dispatch_shared::protocol::Ok as Done;
use dispatch_shared::protocol::automation::RepoDetail;
use dispatch_shared::protocol::repos::{AddRepoRequest, PatchRepoRequest, Repo, SyncAnswer, SyncRequest};
use std::sync::Arc;

use super::automation;
use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{Actor, Created, Json};
use crate::api::path::Path;
use crate::core::command::{Command, Track};
use crate::core::record::{self, ForgeKind, Source};
use crate::core::view;
use crate::core::world::World;

pub(super) fn name(text: &str) -> Result<RepoName> {
    text.parse().map_err(|e: String| failure(Code::BadRequest, e))
}

pub(super) fn tracked(world: &World, name: &RepoName) -> Result<Arc<record::Repo>> {
    world.repo_named(name).cloned().ok_or_else(|| {
        failure(Code::NotFound, format!("{name} is not tracked; add it with `dispatch repos add`"))
    })
}

pub(super) async fn list(State(app): State<App>) -> Json<Vec<Repo>> {
    let world = app.ledger.snapshot();
    let now = app.edges.clock.now();
    Json(world.tracked().map(|repo| view::repo(&world, repo, now)).collect())
}

pub(super) async fn one(State(app): State<App>, Path(name): Path<RepoName>) -> Result<Json<RepoDetail>> {
    let world = app.ledger.snapshot();
    let repo = tracked(&world, &name)?;
    Ok(Json(automation::detail(&app, &world, &repo)))
}

pub(super) async fn add(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<AddRepoRequest>,
) -> Result<Created<Repo>> {
    let forge = match request.forge.as_deref().filter(|f| !f.is_empty()) {
        None | Some("github") => ForgeKind::Github,
        Some("local") => ForgeKind::Local,
        Some(other) => {
            return Err(failure(Code::BadRequest, format!("forge `{other}`: there are github and local")));
        }
    };
    let full_name = request.full_name.as_deref().filter(|n| !n.is_empty());
    let path = request.path.as_deref().filter(|p| !p.is_empty());
    match (forge, full_name, path) {
        (ForgeKind::Github, None, _) => {
            return Err(failure(Code::BadRequest, "fullName is missing: write owner/name"));
        }
        (ForgeKind::Local, _, None) => {
            return Err(failure(Code::BadRequest, "path is missing: the git repository on disk"));
        }
        _ => {}
    }
    let named = full_name.map(name).transpose()?;
    if let Some(name) = named.as_ref().filter(|n| app.ledger.snapshot().repo_named(n).is_some()) {
        return Err(failure(Code::AlreadyExists, format!("{name} is tracked already")));
    }
    let path = path.map(std::path::Path::new);
    let (seen, path) = app.forges.look(forge, named.as_ref(), path).await?;
    let key = seen.key.clone();
    let track = Track { seen, forge, path, source: Source::User, runner_enabled: false, actor };
    // The sync sees by itself that there is a new repository and reads it at once.
    let (_, world) = app.ledger.submit(Command::Track(track)).await?;
    let repo = world
        .repos
        .get(&key)
        .ok_or_else(|| failure(Code::Internal, "the repository was added and is not there"))?;
    Ok(Created(view::repo(&world, repo, app.edges.clock.now())))
}

pub(super) async fn patch(
    State(app): State<App>,
    Path(name): Path<RepoName>,
    Actor(actor): Actor,
    Json(request): Json<PatchRepoRequest>,
) -> Result<Json<Repo>> {
    let key = tracked(&app.ledger.snapshot(), &name)?.key.clone();
    let command = Command::PatchRepo {
        repo: key.clone(),
        runner_enabled: request.runner_enabled,
        wip_limit: request.wip_limit,
        lanes: request.lanes,
        actor,
    };
    let (_, world) = app.ledger.submit(command).await?;
    let repo = tracked(&world, &name)?;
    Ok(Json(view::repo(&world, &repo, app.edges.clock.now())))
}

pub(super) async fn remove(
    State(app): State<App>,
    Path(name): Path<RepoName>,
    Actor(actor): Actor,
) -> Result<Json<Done>> {
    let repo = tracked(&app.ledger.snapshot(), &name)?.key.clone();
    app.ledger.submit(Command::Untrack { repo, actor }).await?;
    Ok(Json(Done::OK))
}

pub(super) async fn sync(
    State(app): State<App>,
    Json(request): Json<SyncRequest>,
) -> Result<Json<SyncAnswer>> {
    let key = match request.repo_full_name.as_deref().filter(|r| !r.is_empty()) {
        None => None,
        Some(text) => Some(tracked(&app.ledger.snapshot(), &name(text)?)?.key.clone()),
    };
    Ok(Json(app.forges.sync(key.as_ref()).await))
}
