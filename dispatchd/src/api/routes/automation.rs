//! `/api/automation/…` besides the list of repositories, `/api/repos`, `/api/sync/scheduled`, `/api/labels/ensure`.
//!
//! Workflows, releases and packages are not read from the forge yet: their routes have their shape and say so.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dispatch_shared::error::Code;
use dispatch_shared::issue::{Flag, Priority, Status};
use dispatch_shared::protocol::automation::{
    AutomationEvent, AutomationEventsQuery, AutomationResult, AutomationSyncAnswer, AutomationSyncRequest,
    AutomationSynced, EnsureLabelsAnswer, EnsureLabelsRequest, NOT_READ, RepoDetail, RunActionAnswer,
    RunActionQuery, ScheduledAnswer, ScheduledIssues, ScheduledResult, Workflow,
};
use dispatch_shared::protocol::repos::{AddRepoRequest, Repo as RepoAnswer};
use hyper::HeaderMap;
use hyper::header::{HeaderValue, LINK};

use super::repos;
use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{Actor, Created, Json, Query};
use crate::api::openapi::{Answers, Operation, Words};
use crate::api::path::Path;
use crate::core::command::{Command, Reply};
use crate::core::policy::Policy;
use crate::core::record::Repo;
use crate::core::work::{AgentRun, Work};
use crate::core::world::World;
use crate::core::{view, work_view};
use crate::ledger::AuditFilter;

/// Who asks for a sync, among the agent runs.
const SYNC: &str = "sync";
/// The most entries of one answer.
const LIMIT: usize = 1_000;

pub(super) async fn sync(
    State(app): State<App>,
    Json(request): Json<AutomationSyncRequest>,
) -> Result<Json<AutomationSyncAnswer>> {
    let key = match request.repo.as_deref().filter(|r| !r.is_empty()) {
        None => None,
        Some(text) => Some(repos::tracked(&app.ledger.snapshot(), &repos::name(text)?)?.key.clone()),
    };
    let began = app.edges.clock.now();
    let synced = app.forges.sync(key.as_ref()).await;
    let mut results = Vec::new();
    for of in synced.results {
        let status = if of.error.is_some() { "failed" } else { "completed" };
        let run = AgentRun {
            finished_at: Some(app.edges.clock.now()),
            summary: Some(format!("{} issue(s) read", of.synced)),
            error: of.error.clone(),
            outcome: Some(of.repo.to_string()),
            ..AgentRun::new("dispatch", SYNC, status, began)
        };
        let (reply, _) = app.ledger.submit(Command::Work(Box::new(Work::Record(run)))).await?;
        let id = if let Reply::AgentRun(id) = reply { id.to_string() } else { String::new() };
        let result = AutomationResult { success: of.error.is_none(), sync_run_id: id, error: of.error };
        results.push(AutomationSynced { repo: of.repo, result });
    }
    let failed = results.iter().filter(|r| !r.result.success).count();
    Ok(Json(AutomationSyncAnswer { synced: results.len() - failed, failed, results }))
}

pub(super) async fn scheduled(State(app): State<App>) -> Json<ScheduledAnswer> {
    let synced = app.forges.sync(None).await;
    Json(ScheduledAnswer {
        success: synced.results.iter().all(|r| r.error.is_none()),
        issues: ScheduledIssues {
            repos: synced.results.len(),
            synced_count: synced.synced_count,
            results: synced
                .results
                .into_iter()
                .map(|r| ScheduledResult { repo: r.repo, synced: r.synced, error: r.error })
                .collect(),
        },
    })
}

/// A repository with everything that is known of it.
pub(super) fn detail(app: &App, world: &World, repo: &Repo) -> Result<RepoDetail> {
    let full = repo.name.to_string();
    let last = world.activity.newest().find(|r| r.kind == SYNC && r.outcome.as_deref() == Some(&full));
    Ok(RepoDetail {
        repo: view::repo(world, repo, app.edges.clock.now()),
        workflows: Vec::new(),
        releases: Vec::new(),
        packages: Vec::new(),
        failing_runs: Vec::new(),
        running_runs: Vec::new(),
        last_sync_run: last.map(|r| work_view::agent_run(r)),
        recent_events: recent(app, None, Some(repo.name.folded()), 20)?,
        note: NOT_READ.to_owned(),
    })
}

fn recent(
    app: &App,
    kind: Option<String>,
    repo: Option<String>,
    limit: usize,
) -> Result<Vec<AutomationEvent>> {
    let filter = AuditFilter { action: kind, repo, ..AuditFilter::default() };
    let rows = app.ledger.audit(&filter, limit.min(LIMIT))?;
    Ok(rows
        .into_iter()
        .map(|row| AutomationEvent {
            id: row.id.to_string(),
            kind: row.action,
            repo_full_name: row.repo_full_name,
            issue_number: row.issue_number,
            actor: row.actor,
            message: row.error_message.or(row.notes),
            created_at: row.created_at,
        })
        .collect())
}

pub(super) async fn events(
    State(app): State<App>,
    Query(query): Query<AutomationEventsQuery>,
) -> Result<Json<Vec<AutomationEvent>>> {
    let set = |text: Option<String>| text.filter(|t| !t.is_empty());
    let repo = set(query.repo).map(|r| r.to_lowercase());
    recent(&app, set(query.kind), repo, query.limit.unwrap_or(50)).map(Json)
}

/// A list with a header that says why it is empty.
pub(super) struct Noted(Vec<Workflow>);

impl IntoResponse for Noted {
    fn into_response(self) -> Response {
        ([("x-dispatch-note", NOT_READ)], Json(self.0)).into_response()
    }
}

impl Answers for Noted {
    fn tell(operation: &mut Operation, words: &mut Words) {
        Json::<Vec<Workflow>>::tell(operation, words);
        operation.answers_header("x-dispatch-note", "Why the list is empty.");
    }
}

pub(super) async fn workflows() -> Noted {
    Noted(Vec::new())
}

pub(super) async fn workflow(Path(id): Path<String>) -> Result<Json<Workflow>> {
    Err(failure(Code::NotFound, format!("workflow {id} is not known: {NOT_READ}")))
}

pub(super) async fn run(
    State(app): State<App>,
    Path(run_id): Path<String>,
    Query(query): Query<RunActionQuery>,
) -> Result<Json<RunActionAnswer>> {
    let action = match query.action.as_deref() {
        Some(action @ ("rerun" | "dispatch")) => action.to_owned(),
        other => {
            let said = other.unwrap_or_default();
            return Err(failure(Code::BadRequest, format!("action `{said}`: there are rerun and dispatch")));
        }
    };
    let repo = query.repo_full_name.filter(|r| !r.is_empty());
    if let Some(text) = &repo {
        repos::tracked(&app.ledger.snapshot(), &repos::name(text)?)?;
    }
    let message = format!("{action} of run {run_id} is not available yet: {NOT_READ}");
    Ok(Json(RunActionAnswer { success: false, run_id, action, repo_full_name: repo, message }))
}

/// `POST /api/repos`: what `POST /api/automation/repos` does, with the word that it is the older way.
pub(super) async fn add_deprecated(
    app: State<App>,
    actor: Actor,
    request: Json<AddRepoRequest>,
) -> Deprecated<Result<Created<RepoAnswer>>> {
    Deprecated(repos::add(app, actor, request).await)
}

/// An answer, good or bad, with word of the newer way.
pub(super) struct Deprecated<T>(T);

impl<T: IntoResponse> IntoResponse for Deprecated<T> {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert("deprecation", HeaderValue::from_static("true"));
        headers.insert(LINK, HeaderValue::from_static("</api/automation/repos>; rel=\"successor-version\""));
        headers.insert(
            "warning",
            HeaderValue::from_static(
                "299 - \"POST /api/repos is deprecated; use POST /api/automation/repos\"",
            ),
        );
        (headers, self.0).into_response()
    }
}

impl<T: Answers> Answers for Deprecated<T> {
    fn tell(operation: &mut Operation, words: &mut Words) {
        T::tell(operation, words);
        operation.answers_header("Deprecation", "Always `true`.");
        operation.deprecate();
    }
}

/// The labels that Dispatch reads and writes.
fn wanted(policy: &Policy) -> Vec<String> {
    let status = Status::ALL.into_iter().map(Status::label);
    let flags = [Flag::Blocked, Flag::NeedsHuman, Flag::NeedsInfo].map(|f| f.label().to_owned());
    let priorities = (0..=4).map(|p| Priority(p).label());
    let lanes = policy.lanes.iter().map(|l| format!("lane/{}", l.id));
    status.chain(flags).chain(priorities).chain(lanes).collect()
}

pub(super) async fn ensure_labels(
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
