//! `/api/agents/{agent}/…`: the loop of every harness.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use dispatch_shared::Timestamp;
use dispatch_shared::error::Code;
use dispatch_shared::id::{AgentName, ClaimId, IssueId};
use dispatch_shared::issue::{IssueState, Status};
use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::claims::{HeartbeatAnswer, HeartbeatRequest};
use dispatch_shared::protocol::queue::{QueueEntry, QueueIssue, QueueQuery};
use dispatch_shared::protocol::tasks::{NextTaskQuery, ReportAnswer, ReportRequest, TakeRequest, Task};
use dispatch_shared::task::{Outcome, TaskType};
use tokio::time::Instant;

use super::followup;
use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{self, Json, Query};
use crate::api::path::Path;
use crate::core::command::{Command, Evidence, Refusal, Reply, Report, Take};
use crate::core::fix::{self, pick};
use crate::core::rank::{self, Ask, Lifted};
use crate::core::record::{Card, CardKey};
use crate::core::work::Work;
use crate::core::world::World;
use crate::core::{contract, grooming, limits, view, work_view};

/// The longest that a request is held.
const WAIT_MAX: Duration = Duration::from_secs(300);

fn mode(query: &NextTaskQuery) -> Result<TaskType> {
    match query.mode.as_deref() {
        None | Some("implement") => Ok(TaskType::Implement),
        Some("groom") => Ok(TaskType::Groom),
        Some(other) => {
            Err(failure(Code::BadRequest, format!("mode `{other}`: there are implement and groom")))
        }
    }
}

pub(super) fn lane(world: &World, text: Option<&str>) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    match world.policy.lane(text) {
        Some(lane) => Ok(Some(lane.id.clone())),
        None => {
            let known: Vec<&str> = world.policy.lanes.iter().map(|l| l.id.as_str()).collect();
            Err(Refusal::UnknownLane(format!("there is no lane `{text}`; there are {}", known.join(", ")))
                .into())
        }
    }
}

pub(super) async fn peek(
    State(app): State<App>,
    Path(agent): Path<AgentName>,
    Query(query): Query<NextTaskQuery>,
) -> Result<Json<Task>> {
    let kind = mode(&query)?;
    let world = app.ledger.snapshot();
    let lane = lane(&world, query.lane.as_deref())?;
    if query.include_claimed == Some(true)
        && let Some(claim) = world.held_by(&agent).filter(|c| c.kind == kind).last()
    {
        return task(&app, &world, &agent, &claim.card, kind, Some(claim.id)).map(Json);
    }
    let full = limits::held_by(&world, &agent) >= world.policy.slots_of(agent.as_str());
    let fix =
        (kind == TaskType::Implement && !full).then(|| pick::next(&world, &agent, lane.as_deref())).flatten();
    if let Some(key) = fix {
        return followup::task(&app, &world, &agent, &key, None).map(Json);
    }
    match next(&app, &world, &agent, kind, lane.as_deref(), lifted(&query)) {
        None => Ok(Json(contract::idle(&world, app.edges.clock.now(), &agent, kind))),
        Some(key) => task(&app, &world, &agent, &key, kind, None).map(Json),
    }
}

/// What the caller would get now.
fn next(
    app: &App,
    world: &World,
    agent: &AgentName,
    kind: TaskType,
    lane: Option<&str>,
    lifted: Lifted,
) -> Option<CardKey> {
    if limits::held_by(world, agent) >= world.policy.slots_of(agent.as_str()) {
        return None;
    }
    let now = app.edges.clock.now();
    match kind {
        TaskType::Groom => grooming::next(world, now, lane, None),
        _ => rank::next_with(world, now, &Ask { agent, lane, repos: None }, lifted),
    }
}

fn lifted(query: &NextTaskQuery) -> Lifted {
    Lifted {
        renovate: query.include_renovate.unwrap_or(false),
        decomposed: query.exclude_decomposed == Some(false),
    }
}

/// The task for a card, with its claim after a take.
fn task(
    app: &App,
    world: &World,
    agent: &AgentName,
    key: &CardKey,
    kind: TaskType,
    claim: Option<ClaimId>,
) -> Result<Task> {
    let card = world
        .cards
        .get(key)
        .ok_or_else(|| failure(Code::NotFound, format!("there is no issue {}", key.id())))?;
    let body = app.ledger.body(key)?;
    let claim = claim.and_then(|id| world.claims.get(&id));
    let now = app.edges.clock.now();
    // Work that is resumed may be of another kind than was asked for.
    if claim.map_or(kind, |c| c.kind) == TaskType::Groom {
        return Ok(contract::groom(world, agent, card, &body, claim.map(Arc::as_ref)));
    }
    Ok(contract::implement(world, now, agent, card, &body, claim.map(Arc::as_ref)))
}

pub(super) async fn take(
    State(app): State<App>,
    Path(agent): Path<AgentName>,
    Query(query): Query<NextTaskQuery>,
    Json(request): Json<TakeRequest>,
) -> Result<Json<Task>> {
    let kind = mode(&query)?;
    let key = idempotency_key(request.idempotency_key)?;
    let wait = query.wait.as_deref().map(|w| extract::span(w, WAIT_MAX)).transpose()?.unwrap_or_default();
    let deadline = Instant::now() + wait;
    let mut commits = app.ledger.commits();
    let world = app.ledger.snapshot();
    let lane = lane(&world, query.lane.as_deref())?;
    let take = Take {
        agent: agent.clone(),
        lane: lane.clone(),
        kind,
        repos: None,
        resume: query.resume.unwrap_or(false),
        idempotency_key: key,
        runner: false,
        slots: world.policy.slots_of(agent.as_str()),
        lifted: lifted(&query),
    };
    loop {
        commits.mark_unchanged();
        if kind == TaskType::Implement {
            followup::look_before_take(&app, &agent, lane.as_deref()).await;
        }
        match app.ledger.submit(Command::Take(take.clone())).await? {
            (Reply::Claimed { claim, .. }, world) => {
                if let Some(fix) = world.claims.get(&claim).and_then(|c| followup::key_of(c)) {
                    return followup::task(&app, &world, &agent, &fix, Some(claim)).map(Json);
                }
                let key = world.claims.get(&claim).map(|c| c.card.clone());
                let key =
                    key.ok_or_else(|| failure(Code::StaleClaim, "the claim has ended already; ask again"))?;
                return task(&app, &world, &agent, &key, kind, Some(claim)).map(Json);
            }
            (_, world) if Instant::now() >= deadline => {
                return Ok(Json(contract::idle(&world, app.edges.clock.now(), &agent, kind)));
            }
            _ => {}
        }
        if !there_is_work(&app, &mut commits, deadline, &take).await {
            return Ok(Json(contract::idle(&app.ledger.snapshot(), app.edges.clock.now(), &agent, kind)));
        }
    }
}

/// Waits, without touching the writer, until the queue has something for the caller; false at the deadline or when the
/// daemon goes down.
async fn there_is_work(
    app: &App,
    commits: &mut tokio::sync::watch::Receiver<dispatch_shared::event::Seq>,
    deadline: Instant,
    take: &Take,
) -> bool {
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return false,
            () = tokio::time::sleep_until(deadline) => return false,
            changed = commits.changed() => if changed.is_err() { return false },
        }
        let world = app.ledger.snapshot();
        let lane = take.lane.as_deref();
        let free = limits::held_by(&world, &take.agent) < take.slots;
        let fix = free && take.kind == TaskType::Implement && pick::next(&world, &take.agent, lane).is_some();
        if fix || next(app, &world, &take.agent, take.kind, lane, take.lifted).is_some() {
            return true;
        }
    }
}

fn idempotency_key(key: Option<String>) -> Result<Option<String>> {
    match key {
        Some(key) if key.is_empty() || key.chars().count() > 200 => {
            Err(failure(Code::BadRequest, "idempotencyKey: 1 to 200 characters"))
        }
        key => Ok(key),
    }
}

pub(super) async fn report(
    State(app): State<App>,
    Path(agent): Path<AgentName>,
    Json(mut request): Json<ReportRequest>,
) -> Result<Json<ReportAnswer>> {
    request.idempotency_key = idempotency_key(request.idempotency_key)?;
    let world = app.ledger.snapshot();
    let named = IssueRef {
        issue_id: request.issue_id.clone(),
        repo_full_name: request.repo_full_name.clone(),
        issue_number: request.issue_number,
    };
    let names_issue =
        named.issue_id.as_deref().is_some_and(|i| !i.is_empty()) || named.issue_number.is_some();
    let card = if names_issue { Some(extract::card(&world, &named)?) } else { None };
    let evidence = match followup::evidence(&app, &world, &agent, card.as_ref(), &request).await {
        Some(of_followup) => of_followup,
        None => evidence(&app, &world, &agent, card.as_ref(), &request).await,
    };
    let outcome = request.outcome;
    let groomed = request.task_type == TaskType::Groom;
    let command = Command::Report(Box::new(Report { agent, card: card.clone(), request, evidence }));
    let (reply, _) = app.ledger.submit(command).await?;
    if (outcome == Outcome::IssueClosed || groomed)
        && let Some(card) = card
    {
        app.forges.hint(&card.repo);
    }
    let Reply::Reported { answer, duplicate } = reply else {
        return Err(failure(Code::Internal, "a report was answered with something else"));
    };
    let mut answer: ReportAnswer = serde_json::from_str(&answer)
        .map_err(|e| failure(Code::Internal, format!("the stored answer cannot be read: {e}")))?;
    answer.duplicate = duplicate.then_some(true);
    Ok(Json(answer))
}

/// Asks the forge for the pull request that the report speaks of, before the core judges it.
async fn evidence(
    app: &App,
    world: &World,
    agent: &AgentName,
    card: Option<&CardKey>,
    request: &ReportRequest,
) -> Evidence {
    if !matches!(request.outcome, Outcome::PrOpened | Outcome::PrUpdated) {
        return Evidence::NotNeeded;
    }
    let by_claim = request.claim_id.and_then(|id| world.claims.get(&id));
    let held = by_claim.or_else(|| world.held_by(agent).last()).map(|c| &c.card);
    let Some(key) = card.or(held) else { return Evidence::NotNeeded };
    let (Some(repo), Some(record)) = (world.repos.get(&key.repo), world.cards.get(key)) else {
        return Evidence::NotNeeded;
    };
    let by_url = request
        .pull_request_url
        .as_deref()
        .and_then(|u| u.trim_end_matches('/').rsplit('/').next()?.parse().ok());
    let number = request.pull_request_number.or(by_url);
    let branch = contract::branch_name(key.number, &record.title);
    app.forges.evidence(repo, key, number, &branch).await
}

pub(super) async fn heartbeat(
    State(app): State<App>,
    Path(agent): Path<AgentName>,
    Json(request): Json<HeartbeatRequest>,
) -> Result<Json<HeartbeatAnswer>> {
    let started_at = app.edges.clock.now();
    let beat = Work::Beat { agent: agent.clone(), claim: request.claim_id };
    let (reply, world) = app.ledger.submit(Command::Work(Box::new(beat))).await?;
    let renewed = match reply {
        Reply::Renewed(claims) => claims,
        _ => Vec::new(),
    };
    let cards: Vec<_> = renewed
        .iter()
        .filter_map(|id| world.claims.get(id))
        .filter_map(|claim| world.cards.get(&claim.card))
        .collect();
    // What is held matters most; who holds nothing looks for work anywhere. Nobody waits for it here.
    let held = renewed.iter().filter_map(|id| world.claims.get(id));
    let mut repos: BTreeSet<_> = held.map(|c| &c.card.repo).collect();
    if repos.is_empty() {
        repos = world.tracked().map(|r| &r.key).collect();
    }
    for repo in repos {
        app.forges.hint(repo);
    }
    let warnings = warnings(&world, &agent);
    Ok(Json(HeartbeatAnswer {
        status: if warnings.is_empty() { "ok" } else { "warning" }.to_owned(),
        summary: summary(&world, &renewed, &agent),
        agent_name: agent,
        started_at,
        finished_at: app.edges.clock.now(),
        warnings,
        errors: Vec::new(),
        touched_issue_urls: cards.iter().map(|c| c.url.clone()).collect(),
    }))
}

/// What a person, or the agent itself, should look at.
fn warnings(world: &World, agent: &AgentName) -> Vec<String> {
    let name = |card: &Card| match world.repos.get(&card.key.repo) {
        Some(repo) => format!("{}#{}", repo.name, card.key.number),
        None => card.key.id().to_string(),
    };
    let stranded = work_view::stranded(world, agent)
        .map(|c| format!("{} stands in progress with your label, but you hold no lease", name(c)));
    let held = world.held_by(agent).filter_map(|c| world.cards.get(&c.card));
    let broken = held
        .filter_map(|c| world.repos.get(&c.key.repo))
        .filter_map(|repo| repo.sync_error.as_ref().map(|e| format!("{} cannot be synced: {e}", repo.name)));
    stranded.chain(broken).collect()
}

fn summary(world: &World, renewed: &[ClaimId], agent: &AgentName) -> String {
    let until: Option<Timestamp> =
        renewed.iter().filter_map(|id| world.claims.get(id)).map(|c| c.expires_at).min();
    match until {
        None => format!("{agent} holds nothing"),
        Some(until) => format!("{} lease(s) of {agent} renewed, the first until {until}", renewed.len()),
    }
}

pub(super) async fn queue(
    State(app): State<App>,
    Path(agent): Path<AgentName>,
    Query(query): Query<QueueQuery>,
) -> Result<Json<Vec<QueueEntry>>> {
    let world = app.ledger.snapshot();
    let now = app.edges.clock.now();
    let lane = lane(&world, query.lane.as_deref())?;
    let ask = Ask { agent: &agent, lane: lane.as_deref(), repos: None };
    let lifted = Lifted {
        renovate: query.include_renovate.unwrap_or(false),
        decomposed: query.exclude_decomposed == Some(false),
    };
    let mut entries: Vec<QueueIssue> = rank::order_with(&world, now, &ask, lifted)
        .into_iter()
        .filter_map(|ranked| {
            let card = world.cards.get(&ranked.key)?;
            let mut entry = view::queue_issue(&world, card, &agent, now, !world.meta.frozen)?;
            entry.withheld = world.meta.frozen.then(|| "the queue is frozen".to_owned());
            Some(entry)
        })
        .collect();
    if query.include_claimed.unwrap_or(false) {
        let taken = world.cards.values().filter(|c| in_work(&world, c));
        entries.extend(
            taken
                .filter(|card| lane.as_deref().is_none_or(|l| l == world.lane_of(card)))
                .filter_map(|card| view::queue_issue(&world, card, &agent, now, false)),
        );
    }
    if query.include_withheld.unwrap_or(false) {
        entries.extend(withheld(&world, &entries, &ask, now));
    }
    if query.exclude_decomposed == Some(true) {
        entries.retain(|e| !e.decomposed);
    }
    let fixes =
        pick::order(&world, &agent, lane.as_deref()).filter_map(|fix| fix::view::queue_entry(&world, fix));
    let fixes = fixes.map(|entry| QueueEntry::Fix(Box::new(entry)));
    Ok(Json(fixes.chain(entries.into_iter().map(|issue| QueueEntry::Issue(Box::new(issue)))).collect()))
}

/// What is ready and yet not handed out, each with the reason; what a freeze withholds stands in the order already.
fn withheld(world: &World, listed: &[QueueIssue], ask: &Ask<'_>, now: Timestamp) -> Vec<QueueIssue> {
    let listed: BTreeSet<&IssueId> = listed.iter().map(|e| &e.issue_id).collect();
    let ready = world.cards.values().filter(|c| {
        let open = c.state == IssueState::Open && !c.gone && world.is_tracked(&c.key.repo);
        open && c.status == Status::Ready
    });
    let mut cards: Vec<_> = ready
        .filter(|c| ask.lane.is_none_or(|l| l == world.lane_of(c)))
        .filter(|c| !listed.contains(&c.key.id()))
        .collect();
    cards.sort_by_key(|c| c.since);
    let entry = |card: &Arc<Card>| {
        let why = rank::why_not(world, card, now, ask.agent);
        let entry = view::queue_issue(world, card, ask.agent, now, false)?;
        Some(QueueIssue { withheld: Some(why.unwrap_or_else(|| "withheld".to_owned())), ..entry })
    };
    cards.into_iter().filter_map(entry).collect()
}

/// Held, or in progress by its label; never one that is flagged.
fn in_work(world: &World, card: &Card) -> bool {
    let open = card.state == IssueState::Open && !card.gone && world.is_tracked(&card.key.repo);
    let taken = card.status == Status::InProgress || world.held(&card.key).is_some();
    open && taken && card.flags.is_empty()
}
