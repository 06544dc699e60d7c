//! `POST /api/automation/runs/{id}`: has the forge run something again, or start a workflow. Asked once, and the audit
//! tells of it whatever came of it.

use std::sync::Arc;

use axum::extract::State;
use dispatch_shared::error::Code;
use dispatch_shared::protocol::automation::{RunActionAnswer, RunActionQuery, RunActionRequest};
use serde_json::Value;

use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{Actor, Json, Query};
use crate::api::path::Path;
use crate::api::routes::repos;
use crate::core::automation::Ask;
use crate::core::command::Command;
use crate::core::record::{ForgeKind, Repo};
use crate::core::world::World;
use crate::edges::{ForgeError, Rerun};

/// GitHub takes no more.
const MOST_INPUTS: usize = 25;

pub(in crate::api::routes) async fn act(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<RunActionQuery>,
    Actor(actor): Actor,
    Json(request): Json<RunActionRequest>,
) -> Result<Json<RunActionAnswer>> {
    let world = app.ledger.snapshot();
    let action = match query.action.as_deref() {
        Some(action @ ("rerun" | "dispatch")) => action.to_owned(),
        other => {
            let said = other.unwrap_or_default();
            return Err(failure(Code::BadRequest, format!("action `{said}`: there are rerun and dispatch")));
        }
    };
    let repo = match query.repo_full_name.filter(|r| !r.is_empty()) {
        Some(text) => repos::tracked(&world, &repos::name(&text)?)?,
        None => home(&world, &id)?,
    };
    if repo.forge == ForgeKind::Local {
        let said = format!("{} lives on this disk and has no workflows", repo.name);
        return Err(failure(Code::NotVerified, said));
    }
    let message = if action == "rerun" {
        rerun(&app, &repo, &id, actor).await?
    } else {
        dispatch(&app, &world, &repo, &id, &request, actor).await?
    };
    app.automation.hint(&repo.key);
    let repo_full_name = Some(repo.name.to_string());
    Ok(Json(RunActionAnswer { success: true, run_id: id, action, repo_full_name, message }))
}

/// The tracked repository that has the run or workflow `id`.
fn home(world: &World, id: &str) -> Result<Arc<Repo>> {
    let has = |repo: &&Arc<Repo>| {
        world.automation.facts(&repo.key).is_some_and(|f| f.run(id).is_some() || f.workflow(id).is_some())
    };
    let mut found = world.tracked().filter(has);
    match (found.next(), found.next()) {
        (Some(repo), None) => Ok(repo.clone()),
        (Some(_), Some(_)) => Err(failure(
            Code::BadRequest,
            format!("several repositories have {id}: name one in repoFullName"),
        )),
        (None, _) => Err(failure(
            Code::NotFound,
            format!("no run and no workflow {id} is known: name its repository in repoFullName"),
        )),
    }
}

async fn rerun(app: &App, repo: &Repo, id: &str, actor: String) -> Result<String> {
    let done = app.automation.rerun(repo, id).await;
    let what = match &done {
        Ok(Rerun::Running) => {
            return Ok(format!("run {id} of {} is running: nothing was asked for", repo.name));
        }
        Ok(Rerun::Failed) => format!("the failed jobs of run {id} run again"),
        Ok(Rerun::All) => format!("all jobs of run {id} run again"),
        Err(_) => format!("run {id} again"),
    };
    told(app, repo, "rerun_workflow_run", &what, done.map(drop), actor).await?;
    Ok(what)
}

async fn dispatch(
    app: &App,
    world: &World,
    repo: &Repo,
    id: &str,
    request: &RunActionRequest,
    actor: String,
) -> Result<String> {
    let inputs = inputs(request)?;
    let facts = world.automation.facts(&repo.key);
    let run = facts.and_then(|f| f.run(id));
    let known = facts.and_then(|f| f.workflow(run.map_or(id, |r| r.workflow_id.as_str())));
    // One that nobody has read yet is named as it was given: the forge knows.
    let workflow = known.map(|w| w.id.as_str()).or(run.map(|r| r.workflow_id.as_str())).unwrap_or(id);
    let given = request.git_ref.as_deref().filter(|r| !r.is_empty());
    // A run of a pull request from a fork has a branch that is not here.
    let of_run = run.filter(|r| !r.event.starts_with("pull_request")).and_then(|r| r.branch.as_deref());
    let git_ref = given.or(of_run).unwrap_or(&repo.default_branch);
    let name = known.map_or(workflow, |w| w.name.as_str());
    let mut what = format!("workflow {name} starts on {git_ref}");
    if !inputs.is_empty() {
        // Names alone: a value may be a secret.
        let names: Vec<&str> = inputs.iter().map(|(name, _)| name.as_str()).collect();
        what.push_str(&format!(" with {}", names.join(", ")));
    }
    let done = app.automation.dispatch(repo, workflow, git_ref, &inputs).await;
    told(app, repo, "dispatch_workflow", &what, done, actor).await?;
    Ok(what)
}

fn inputs(request: &RunActionRequest) -> Result<Vec<(String, String)>> {
    let mut inputs = Vec::new();
    for (name, value) in &request.inputs {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Array(_) | Value::Object(_) => {
                let said = format!("field `inputs.{name}`: an input is a text, a number, true or false");
                return Err(failure(Code::BadRequest, said));
            }
        };
        inputs.push((name.clone(), text));
    }
    if inputs.len() > MOST_INPUTS {
        return Err(failure(Code::BadRequest, format!("a workflow takes at most {MOST_INPUTS} inputs")));
    }
    Ok(inputs)
}

/// Writes into the audit what was asked for and what came of it, and hands on why it was not done.
async fn told(
    app: &App,
    repo: &Repo,
    action: &'static str,
    what: &str,
    done: std::result::Result<(), ForgeError>,
    actor: String,
) -> Result<()> {
    let error = done.as_ref().err().map(ToString::to_string);
    let asked = Ask::Asked { repo: repo.key.clone(), action, notes: what.to_owned(), error, actor };
    app.ledger.submit(Command::Automation(asked)).await?;
    Ok(done?)
}
