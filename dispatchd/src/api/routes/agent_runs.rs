//! `/api/agent-runs` and `/api/overview`.

use axum::extract::State;
use dispatch_shared::error::Code;
use dispatch_shared::id::IssueId;
use dispatch_shared::protocol::agent_runs::{AgentRun, AgentRunRequest, AgentRunsQuery, Overview};

use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{Created, Json, Query};
use crate::core::command::{Command, Reply};
use crate::core::work::{self, Work};
use crate::core::{activity, work_view};
use crate::ledger::AuditFilter;

/// How many rows of each kind the overview shows.
const RECENT: usize = 20;

pub(super) async fn list(State(app): State<App>, Query(query): Query<AgentRunsQuery>) -> Json<Vec<AgentRun>> {
    let world = app.ledger.snapshot();
    let agent = query.agent.as_deref().filter(|a| !a.is_empty());
    let runs = world.activity.newest().filter(|r| agent.is_none_or(|a| a == r.agent));
    Json(runs.take(query.limit.unwrap_or(50).min(activity::KEPT)).map(|r| work_view::agent_run(r)).collect())
}

fn needed(name: &str, text: String) -> Result<String> {
    match text.trim() {
        "" => Err(failure(Code::BadRequest, format!("{name} is missing"))),
        text if text.chars().count() > 200 => {
            Err(failure(Code::BadRequest, format!("{name}: 200 characters at most")))
        }
        _ => Ok(text),
    }
}

pub(super) async fn record(
    State(app): State<App>,
    Json(request): Json<AgentRunRequest>,
) -> Result<Created<AgentRun>> {
    let now = app.edges.clock.now();
    let agent = needed("agentName", request.agent_name)?;
    let kind = needed("runType", request.run_type)?;
    let status = needed("status", request.status)?;
    let issue = request.issue_id.as_deref().filter(|i| !i.is_empty()).map(IssueId::parse).transpose();
    let issue = issue.map_err(|e| failure(Code::BadRequest, format!("issueId: {e}")))?;
    let run = work::AgentRun {
        started_at: request.started_at.unwrap_or(now),
        finished_at: request.finished_at,
        summary: request.summary,
        error: request.error_message,
        outcome: request.outcome,
        urls: request.touched_issue_urls.unwrap_or_default(),
        issue,
        ..work::AgentRun::new(&agent, &kind, &status, now)
    };
    let (reply, world) = app.ledger.submit(Command::Work(Box::new(Work::Record(run)))).await?;
    let Reply::AgentRun(id) = reply else {
        return Err(failure(Code::Internal, "an agent run was answered with something else"));
    };
    let run = world.activity.newest().find(|r| r.id == id).map(|r| work_view::agent_run(r));
    let run = run.ok_or_else(|| failure(Code::Internal, "the agent run was recorded and is not there"))?;
    Ok(Created(run))
}

pub(super) async fn overview(State(app): State<App>) -> Result<Json<Overview>> {
    let world = app.ledger.snapshot();
    let now = app.edges.clock.now();
    Ok(Json(Overview {
        by_status: work_view::by_status(&world, now),
        agents: work_view::agents(&world),
        stale_in_progress: work_view::stale_in_progress(&world, now),
        recent_runs: world.activity.newest().take(RECENT).map(|r| work_view::agent_run(r)).collect(),
        recent_audit: app.ledger.audit(&AuditFilter::default(), RECENT)?,
    }))
}
