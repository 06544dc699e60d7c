//! `/api/labels/ensure`: the labels that Dispatch goes by, made where they are missing.

use axum::extract::State;
use dispatch_shared::issue::{Flag, Priority, Status};
use dispatch_shared::protocol::automation::{EnsureLabelsAnswer, EnsureLabelsRequest};

use crate::api::App;
use crate::api::error::Result;
use crate::api::extract::{Actor, Json};
use crate::api::routes::repos;
use crate::core::command::Command;
use crate::core::policy::Policy;

/// The labels that Dispatch reads and writes.
fn wanted(policy: &Policy) -> Vec<String> {
    let status = Status::ALL.into_iter().map(Status::label);
    let flags = [Flag::Blocked, Flag::NeedsHuman, Flag::NeedsInfo].map(|f| f.label().to_owned());
    let priorities = (0..=4).map(|p| Priority(p).label());
    let lanes = policy.lanes.iter().map(|l| format!("lane/{}", l.id));
    status.chain(flags).chain(priorities).chain(lanes).collect()
}

pub(in crate::api::routes) async fn ensure(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<EnsureLabelsRequest>,
) -> Result<Json<EnsureLabelsAnswer>> {
    let world = app.ledger.snapshot();
    let repo = repos::tracked(&world, &repos::name(&request.repo_full_name)?)?;
    let dry_run = request.dry_run.unwrap_or(true);
    let there = app.forges.labels(&repo).await?;
    let is_there = |label: &String| match &there {
        Some(labels) => labels.iter().any(|l| l.eq_ignore_ascii_case(label)),
        None => true,
    };
    let (existing, missing): (Vec<String>, Vec<String>) =
        wanted(&world.policy).into_iter().partition(is_there);
    let mut created = Vec::new();
    for label in missing.iter().filter(|_| !dry_run) {
        app.forges.create_label(&repo, label).await?;
        created.push(label.clone());
    }
    if !created.is_empty() {
        let notes = format!("{}: {}", repo.name, created.join(", "));
        app.ledger.submit(Command::Noted { action: "ensure_labels", notes, actor }).await?;
    }
    let repo_full_name = repo.name.clone();
    Ok(Json(EnsureLabelsAnswer { success: true, repo_full_name, dry_run, existing, missing, created }))
}
