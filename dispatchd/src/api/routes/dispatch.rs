//! `POST /api/dispatch`: one run by hand.

use axum::extract::State;
use dispatch_shared::error::Code;
use dispatch_shared::id::RepoName;
use dispatch_shared::protocol::dispatch::{DispatchAnswer, DispatchRequest};
use dispatch_shared::run::EndClass;

use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{Actor, Json};
use crate::core::command::{Command, Reply};
use crate::core::dispatch::Dispatch;
use crate::core::reactor;
use crate::core::record::{Hand, Repo, Run, Target};
use crate::core::world::World;

/// The longest task, and the longest of all variables together, in bytes.
const TEXT_MAX: usize = 64 << 10;

fn bad(sentence: impl Into<String>) -> crate::api::error::Failure {
    failure(Code::BadRequest, sentence)
}

/// A field that is there and not empty.
fn given(text: Option<String>) -> Option<String> {
    text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty())
}

fn repository<'a>(world: &'a World, repo: &str, org: Option<&str>) -> Result<&'a Repo> {
    let text = match org.map(str::trim).filter(|o| !o.is_empty()) {
        Some(org) if !repo.contains('/') => format!("{org}/{repo}"),
        Some(org) if !repo.to_lowercase().starts_with(&format!("{}/", org.to_lowercase())) => {
            return Err(bad(format!(
                "repo {repo} is not in org {org}; leave org out, or name the repository alone"
            )));
        }
        _ => repo.to_owned(),
    };
    if text.is_empty() {
        return Err(bad("repo is missing: write owner/name"));
    }
    let name: RepoName =
        text.parse().map_err(|e: String| bad(format!("repo: {e}, or name the org beside it")))?;
    world.repo_named(&name).map(AsRef::as_ref).ok_or_else(|| {
        let known: Vec<String> = world.tracked().map(|r| r.name.to_string()).collect();
        let there = if known.is_empty() {
            "none is; `dispatch repos add` tracks one".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        failure(Code::NotFound, format!("{name} is not tracked; {there}"))
    })
}

fn target(request: &DispatchRequest) -> Result<(Target, u64)> {
    let branch = given(request.branch.clone());
    let tag = given(request.tag.clone());
    match (request.issue, request.pr, branch, tag) {
        (Some(number), None, None, None) => Ok((Target::Issue, number)),
        (None, Some(number), None, None) => Ok((Target::Pull(number), 0)),
        (None, None, Some(name), None) => Ok((Target::Branch(name), 0)),
        (None, None, None, Some(name)) => Ok((Target::Tag(name), 0)),
        _ => Err(bad("name exactly one of issue, pr, branch and tag")),
    }
}

pub(super) async fn dispatch(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<DispatchRequest>,
) -> Result<Json<DispatchAnswer>> {
    let world = app.ledger.snapshot();
    let repo = repository(&world, request.repo.trim(), request.org.as_deref())?.clone();
    let (target, issue) = target(&request)?;
    let task = request.task.trim();
    if task.is_empty() {
        return Err(bad("task is missing: say what is to be done"));
    }
    let variables = request.variables.unwrap_or_default();
    let size: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if task.len() > TEXT_MAX || size > TEXT_MAX {
        return Err(bad(format!(
            "task and variables may have {TEXT_MAX} bytes each; put more into a file of the repository"
        )));
    }
    let hand = Hand {
        task: task.to_owned(),
        template: given(request.template).unwrap_or_else(|| app.hands.template()),
        plan: given(request.plan_template),
        persona: given(request.persona),
        variables,
        by: actor,
    };
    let program = given(request.agent);
    app.hands.check(program.as_deref(), &target, &hand).map_err(bad)?;
    let ask = Command::Dispatch(Box::new(Dispatch {
        repo: repo.key.clone(),
        issue,
        target,
        program,
        hand,
        answer: None,
    }));
    if request.dry_run == Some(true) {
        // Decided as it would be, and thrown away.
        let decided = reactor::decide(&world, app.edges.clock.now(), &ask)?;
        let (run, _) = made(&decided.world, &decided.reply)?;
        let prompt = app.hands.rehearse(&repo, &run).await.map_err(|(class, why)| {
            let code = if class == EndClass::Network { Code::Unavailable } else { Code::NotVerified };
            failure(code, format!("the workspace cannot be prepared: {why}"))
        })?;
        let answer = answer(&app, &repo, &run);
        return Ok(Json(DispatchAnswer { prompt: Some(prompt), run_id: None, output_file: None, ..answer }));
    }
    let (reply, world) = app.ledger.submit(ask).await?;
    let (run, waits_for) = made(&world, &reply)?;
    let answer = answer(&app, &repo, &run);
    Ok(Json(DispatchAnswer { queued: Some(waits_for.is_some()), waits_for, ..answer }))
}

fn made(world: &World, reply: &Reply) -> Result<(Run, Option<String>)> {
    let found = match reply {
        Reply::Dispatched { run, waits_for } => {
            world.runs.get(run).map(|r| ((**r).clone(), waits_for.clone()))
        }
        _ => None,
    };
    found.ok_or_else(|| failure(Code::Internal, "the run was made and is not there"))
}

fn answer(app: &App, repo: &Repo, run: &Run) -> DispatchAnswer {
    let (workspace, output) = app.hands.places(repo, run);
    DispatchAnswer {
        success: true,
        agent: run.program.clone(),
        repo: repo.name.to_string(),
        workspace_dir: workspace.display().to_string(),
        prompt: None,
        run_id: Some(run.id),
        pid: None,
        output_file: Some(output.display().to_string()),
        queued: None,
        waits_for: None,
    }
}
