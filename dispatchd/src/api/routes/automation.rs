//! `/api/automation/…` besides the list of repositories, `/api/repos`, `/api/sync/scheduled`; `run`: asking the forge for
//! a run; `labels`: the labels of a repository.

pub(super) mod labels;
pub(super) mod run;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dispatch_shared::error::Code;
use dispatch_shared::protocol::actions::{SyncRun, Workflow};
use dispatch_shared::protocol::automation::{
    AutomationEvent, AutomationEventsQuery, AutomationResult, AutomationSyncAnswer, AutomationSyncRequest,
    AutomationSynced, RepoDetail, ScheduledAnswer, ScheduledIssues, ScheduledResult, WorkflowsQuery,
};
use dispatch_shared::protocol::repos::{AddRepoRequest, Repo as RepoAnswer, SyncResult};
use futures_util::future::join_all;
use hyper::HeaderMap;
use hyper::header::{HeaderValue, LINK};

use super::repos;
use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{Actor, Created, Json, Query};
use crate::api::openapi::{Answers, Operation, Words};
use crate::api::path::Path;
use crate::core::automation::view;
use crate::core::record::Repo;
use crate::core::world::World;

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
    let synced = app.forges.sync(key.as_ref()).await;
    let results = join_all(synced.results.into_iter().map(|of| with_automation(&app, of))).await;
    let failed = results.iter().filter(|r| !r.result.success).count();
    Ok(Json(AutomationSyncAnswer { synced: results.len() - failed, failed, results }))
}

/// Reads the automation of a repository whose issues have just been read.
async fn with_automation(app: &App, of: SyncResult) -> AutomationSynced {
    let key = app.ledger.snapshot().repo_named(&of.repo).map(|r| r.key.clone());
    let read = match &key {
        Some(key) => app.automation.read(key).await,
        None => None,
    };
    let world = app.ledger.snapshot();
    let shown = |id: u64| -> Option<SyncRun> {
        Some(view::sync_run(&world, world.automation.sync(key.as_ref()?, id)?))
    };
    let id = of.sync_run_id.unwrap_or_default();
    let result = AutomationResult {
        success: of.error.is_none(),
        sync_run: id.strip_prefix("s-").and_then(|n| shown(n.parse().ok()?)),
        sync_run_id: id,
        automation: read.and_then(shown),
        error: of.error,
    };
    AutomationSynced { repo: of.repo, result }
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
pub(super) fn detail(app: &App, world: &World, repo: &Repo) -> RepoDetail {
    view::detail(world, repo, app.edges.clock.now())
}

/// The repository that a query names, if it names one.
fn named(world: &World, repo: Option<String>) -> Result<Option<Arc<Repo>>> {
    repo.map(|text| repos::tracked(world, &repos::name(&text)?)).transpose()
}

pub(super) async fn events(
    State(app): State<App>,
    Query(query): Query<AutomationEventsQuery>,
) -> Result<Json<Vec<AutomationEvent>>> {
    let world = app.ledger.snapshot();
    let repo = named(&world, query.repo)?;
    let limit = query.limit.unwrap_or(50).min(LIMIT);
    Ok(Json(view::events(&world, repo.as_deref(), query.kind.as_deref(), limit)))
}

/// A list with a header that says what is missing from it.
pub(super) struct Noted {
    workflows: Vec<Workflow>,
    notes: Vec<String>,
}

impl IntoResponse for Noted {
    fn into_response(self) -> Response {
        // A header holds no line breaks and nothing beyond ASCII.
        let plain = |c: char| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' };
        let note: String = self.notes.join("; ").chars().map(plain).take(2_000).collect();
        let mut headers = HeaderMap::new();
        if let Some(value) = HeaderValue::try_from(note).ok().filter(|v| !v.is_empty()) {
            headers.insert("x-dispatch-note", value);
        }
        (headers, Json(self.workflows)).into_response()
    }
}

impl Answers for Noted {
    fn tell(operation: &mut Operation, words: &mut Words) {
        Json::<Vec<Workflow>>::tell(operation, words);
        operation.answers_header("x-dispatch-note", "What could not be read, and why.");
    }
}

/// The workflows of one repository or all; the header `x-dispatch-note` says what of them could not be read.
pub(super) async fn workflows(State(app): State<App>, Query(query): Query<WorkflowsQuery>) -> Result<Noted> {
    let (world, now) = (app.ledger.snapshot(), app.edges.clock.now());
    let limit = query.runs.unwrap_or(10).min(LIMIT);
    let repos: Vec<Arc<Repo>> = match named(&world, query.repo)? {
        Some(repo) => vec![repo],
        None => world.tracked().cloned().collect(),
    };
    let mut found: Vec<Workflow> = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    for repo in &repos {
        if let Some(facts) = world.automation.facts(&repo.key) {
            let shown = |w| view::workflow(repo, facts, w, now, query.branch.as_deref(), limit);
            found.extend(facts.workflows.iter().map(shown));
        }
        notes.extend(view::notes(&world, repo).into_values());
    }
    Ok(Noted { workflows: found, notes })
}

pub(super) async fn workflow(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<WorkflowsQuery>,
) -> Result<Json<Workflow>> {
    let (world, now) = (app.ledger.snapshot(), app.edges.clock.now());
    let named = named(&world, query.repo)?;
    let limit = query.runs.unwrap_or(30).min(LIMIT);
    let here = |repo: &&Arc<Repo>| named.as_ref().is_none_or(|n| n.key == repo.key);
    let found = world.tracked().filter(here).find_map(|repo| {
        let facts = world.automation.facts(&repo.key)?;
        let of = facts.workflow(&id)?;
        Some(view::workflow(repo, facts, of, now, query.branch.as_deref(), limit))
    });
    found.map(Json).ok_or_else(|| {
        failure(
            Code::NotFound,
            format!("workflow {id} is not known; GET /api/automation/workflows lists those that are"),
        )
    })
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
