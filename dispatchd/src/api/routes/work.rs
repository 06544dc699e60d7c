//! `/api/agent-work…`, and what an agent asks of its own work.

use axum::extract::State;
use dispatch_shared::claim::WorkState;
use dispatch_shared::error::Code;
use dispatch_shared::id::{AgentName, ClaimId};
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::switch;
use dispatch_shared::protocol::work::{
    ActiveWork, CheckpointRequest, FinishRequest, InProgress, StartRequest, SweepAnswer, Work,
    WorkActionAnswer, WorkActionRequest, WorkList, WorkQuery, WorkSummary,
};

use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{self, Actor, Created, Json, Query};
use crate::api::path::Path;
use crate::core::command::{Command, Evidence, Refusal, Reply};
use crate::core::fix::pick;
use crate::core::record::CardKey;
use crate::core::work::{self as deed, Which};
use crate::core::world::World;
use crate::core::{contract, work_view};
use crate::ledger::Fault;

fn card(world: &World, named: &IssueRef) -> Result<Option<CardKey>> {
    if named.is_named() { extract::card(world, named).map(Some) } else { Ok(None) }
}

/// The one claim that a command answered with, as work.
fn one(world: &World, reply: &Reply) -> Result<Work> {
    let id = match reply {
        Reply::Claimed { claim, .. } => Some(*claim),
        Reply::Renewed(claims) => claims.first().copied(),
        _ => None,
    };
    let claim = id.and_then(|id| world.claims.get(&id));
    let claim = claim.ok_or_else(|| failure(Code::StaleClaim, "the claim has ended already; ask again"))?;
    Ok(work_view::work(world, claim))
}

pub(super) async fn list(State(app): State<App>, Query(query): Query<WorkQuery>) -> Json<WorkList> {
    let agent = query.agent.as_deref().filter(|a| !a.is_empty());
    let stale = switch(query.include_stale.as_deref()).unwrap_or(true);
    Json(work_view::list(&app.ledger.snapshot(), agent, stale))
}

pub(super) async fn start(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<StartRequest>,
) -> Result<Created<Work>> {
    let agent = extract::agent(&request.agent_name)?;
    let world = app.ledger.snapshot();
    let start = deed::Work::Start {
        card: card(&world, &request.issue)?,
        run: request.run_id.filter(|r| !r.is_empty()),
        branch: request.branch.filter(|b| !b.is_empty()),
        slots: world.policy.slots_of(agent.as_str()),
        actor,
        agent,
    };
    let (reply, world) = app.ledger.submit(Command::Work(Box::new(start))).await?;
    one(&world, &reply).map(Created)
}

pub(super) async fn checkpoint(
    State(app): State<App>,
    Json(request): Json<CheckpointRequest>,
) -> Result<Json<Work>> {
    let agent = extract::agent(&request.agent_name)?;
    let checkpoint = request.checkpoint.ok_or_else(|| {
        failure(
            Code::BadRequest,
            "checkpoint is missing: CLAIMED, REPO_PREPARED, BRANCH_CREATED, CHANGES_MADE…",
        )
    })?;
    let card = card(&app.ledger.snapshot(), &request.issue)?;
    let told = deed::Work::Checkpoint {
        of: Which { agent, claim: request.claim_id, card },
        checkpoint,
        summary: request.summary,
        blocker: request.blocker_reason,
        branch: request.branch.filter(|b| !b.is_empty()),
    };
    let (reply, world) = app.ledger.submit(Command::Work(Box::new(told))).await?;
    one(&world, &reply).map(Json)
}

pub(super) async fn finish(State(app): State<App>, Json(request): Json<FinishRequest>) -> Result<Json<Work>> {
    let agent = extract::agent(&request.agent_name)?;
    let state = request
        .state
        .ok_or_else(|| failure(Code::BadRequest, "state is missing: DONE, BLOCKED or RELEASED"))?;
    let world = app.ledger.snapshot();
    let card = card(&world, &request.issue)?;
    let of = Which { agent, claim: request.claim_id, card };
    let evidence =
        if state == WorkState::Done { evidence(&app, &world, &of).await } else { Evidence::NotNeeded };
    let finish = deed::Work::Finish { of, state, summary: request.summary, evidence };
    let (reply, world) = app.ledger.submit(Command::Work(Box::new(finish))).await?;
    one(&world, &reply).map(Json)
}

/// The pull request that work which is done should have led to, asked of the forge before the core judges.
async fn evidence(app: &App, world: &World, of: &Which) -> Evidence {
    let mut held = world.held_by(&of.agent);
    let claim = match (of.claim, &of.card) {
        (Some(id), _) => held.find(|c| c.id == id),
        (None, Some(card)) => held.find(|c| c.card == *card),
        (None, None) => held.last(),
    };
    let Some(claim) = claim else { return Evidence::NotNeeded };
    let Some(repo) = world.repos.get(&claim.card.repo) else { return Evidence::NotNeeded };
    // A follow-up was handed out for one pull request, which may be no issue's.
    let pull = claim.fix.map(|hand_out| hand_out.pr);
    let named = world.cards.get(&claim.card).map(|c| contract::branch_name(c.key.number, &c.title));
    let Some(branch) = claim.notes.branch.clone().or(named).or(pull.map(|_| String::new())) else {
        return Evidence::NotNeeded;
    };
    app.forges.evidence(repo, &claim.card, pull, &branch).await
}

pub(super) async fn sweep(State(app): State<App>) -> Result<Json<SweepAnswer>> {
    let before: Vec<ClaimId> = app.ledger.snapshot().leases().map(|c| c.id).collect();
    let (_, world) = app.ledger.submit(Command::Tick { grace_until: None }).await?;
    let ended: Vec<Work> = before
        .iter()
        .filter_map(|id| world.claims.get(id))
        .map(|claim| work_view::work(&world, claim))
        .filter(|work| work.state == WorkState::Stale)
        .collect();
    Ok(Json(SweepAnswer { success: true, swept: ended.len(), stale_leases: ended }))
}

pub(super) async fn act(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<WorkActionRequest>,
) -> Result<Json<WorkActionAnswer>> {
    let world = app.ledger.snapshot();
    let agent = match request.agent_name.as_str() {
        "" => None,
        name => Some(extract::agent(name)?),
    };
    let to = match (request.action.as_str(), agent.as_ref()) {
        ("release", _) => None,
        ("reassign", Some(to)) => Some(to.clone()),
        ("reassign", None) => {
            return Err(failure(Code::BadRequest, "agentName is missing: to whom the work goes"));
        }
        (other, _) => {
            return Err(failure(
                Code::BadRequest,
                format!("action `{other}`: there are release and reassign"),
            ));
        }
    };
    let reason = request.reason.clone().filter(|r| !r.is_empty()).unwrap_or_else(|| "no reason given".into());
    let card = card(&world, &request.issue)?;
    let chosen = chosen(&world, &request, agent.as_ref(), card.as_ref())?;
    let held = |id: &ClaimId| world.claims.get(id).map(|c| (c.card.clone(), c.agent.clone()));
    match to.filter(|to| !chosen.iter().filter_map(held).any(|(_, holder)| holder == *to)) {
        Some(to) => {
            let card = card.or_else(|| chosen.first().and_then(held).map(|(card, _)| card));
            let card =
                card.ok_or_else(|| failure(Code::BadRequest, "name the work: issueId, workId or leaseId"))?;
            reassign(&app, card, to, actor, reason, chosen.len()).await
        }
        None => release(&app, chosen, card, agent, actor, reason).await,
    }
}

/// The live claims that a request means.
fn chosen(
    world: &World,
    request: &WorkActionRequest,
    agent: Option<&AgentName>,
    card: Option<&CardKey>,
) -> Result<Vec<ClaimId>> {
    if let Some(id) = request.work_id.or(request.lease_id) {
        return match world.claims.get(&id) {
            Some(claim) if claim.is_held() => Ok(vec![id]),
            _ => Err(failure(Code::NotFound, format!("there is no active work {id}"))),
        };
    }
    if let Some(card) = card {
        return Ok(world.held(card).map(|c| c.id).into_iter().collect());
    }
    match agent {
        Some(agent) if request.release_all == Some(true) && request.action == "release" => {
            Ok(world.held_by(agent).map(|c| c.id).collect())
        }
        _ => Err(failure(
            Code::BadRequest,
            "name the work: issueId, workId or leaseId, or releaseAll with an agentName",
        )),
    }
}

async fn release(
    app: &App,
    claims: Vec<ClaimId>,
    card: Option<CardKey>,
    agent: Option<AgentName>,
    actor: String,
    reason: String,
) -> Result<Json<WorkActionAnswer>> {
    let mut answer = WorkActionAnswer {
        success: true,
        reason: reason.clone(),
        released_leases: 0,
        released_work: 0,
        work: None,
    };
    if let (true, Some(card)) = (claims.is_empty(), card) {
        // A label without a lease: an operator may take that away too, and nothing to take away is fine.
        let unassign = Command::Unclaim { card, agent, claim: None, actor };
        match app.ledger.submit(unassign).await {
            Ok(_) => answer.released_work = 1,
            Err(Fault::Refused(
                Refusal::Invalid(_) | Refusal::Closed(_) | Refusal::Stale(_) | Refusal::Revoked(_),
            )) => {}
            Err(fault) => return Err(fault.into()),
        }
        return Ok(Json(answer));
    }
    let release = deed::Work::Release { claims, reason, actor };
    let (reply, _) = app.ledger.submit(Command::Work(Box::new(release))).await?;
    if let Reply::Renewed(ended) = reply {
        answer.released_leases = ended.len();
        answer.released_work = ended.len();
    }
    Ok(Json(answer))
}

async fn reassign(
    app: &App,
    card: CardKey,
    to: AgentName,
    actor: String,
    reason: String,
    leases: usize,
) -> Result<Json<WorkActionAnswer>> {
    let claim = Command::Claim { card, agent: to, force: true, actor };
    let (reply, world) = app.ledger.submit(claim).await?;
    Ok(Json(WorkActionAnswer {
        success: true,
        reason,
        released_leases: leases,
        released_work: leases,
        work: Some(one(&world, &reply)?),
    }))
}

pub(super) async fn active(State(app): State<App>, Path(agent): Path<AgentName>) -> Result<Json<ActiveWork>> {
    let context = work_view::active(&app.ledger.snapshot(), &agent, pick::unsettled);
    Ok(Json(ActiveWork { has_active_work: context.is_some(), context }))
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(super) struct LaneQuery {
    /// Only this lane.
    lane: Option<String>,
}

pub(super) async fn in_progress(
    State(app): State<App>,
    Path(agent): Path<AgentName>,
    Query(query): Query<LaneQuery>,
) -> Result<Json<Vec<InProgress>>> {
    let world = app.ledger.snapshot();
    let lane = super::agents::lane(&world, query.lane.as_deref())?;
    let cards = work_view::claimed(&world, Some(&agent), Status::InProgress).into_iter();
    let found = cards.filter(|c| lane.as_deref().is_none_or(|l| l == c.current_lane)).map(|c| InProgress {
        repo_full_name: c.repo_full_name,
        issue_number: c.number,
        issue_id: c.issue_id,
    });
    Ok(Json(found.collect()))
}

pub(super) async fn summary(
    State(app): State<App>,
    Path(agent): Path<AgentName>,
) -> Result<Json<WorkSummary>> {
    Ok(Json(work_view::summary(&app.ledger.snapshot(), &agent, app.edges.clock.now())))
}
