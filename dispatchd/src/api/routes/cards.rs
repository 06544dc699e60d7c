//! `/api/issues/status`, `…/claimed`, `…/reset-ready`, `…/label`, `…/unlabel`, `…/comment`, `…/refresh`, `…/reconcile`.

use axum::Extension;
use axum::extract::State;
use dispatch_shared::error::Code;
use dispatch_shared::id::AgentName;
use dispatch_shared::issue::{IssueState, Status};
use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::cards::{
    ClaimedIssue, ClaimedQuery, CommentAnswer, CommentRequest, LabelRequest, ReconcileAnswer, StatusAnswer,
    StatusRequest,
};
use dispatch_shared::protocol::issues::{Issue, LabelsAnswer};

use super::issues;
use crate::api::App;
use crate::api::auth::{Caller, UNNAMED};
use crate::api::error::{Result, failure};
use crate::api::extract::{self, Actor, Json, Query};
use crate::api::tier::Tier;
use crate::core::clerk::{Deed, Paper, Standing};
use crate::core::command::{Command, Synced};
use crate::core::reconcile::finding as contradiction;
use crate::core::record::CardKey;
use crate::core::work_view;
use crate::core::world::World;
use crate::edges::ForgeError;

/// Who acts if nobody says.
const OPERATOR: &str = "operator";

async fn submit(app: &App, card: &CardKey, deed: Deed, actor: String) -> Result<std::sync::Arc<World>> {
    let paper = Paper { card: card.clone(), deed, actor };
    Ok(app.ledger.submit(Command::Paper(Box::new(paper))).await?.1)
}

pub(super) async fn status(
    State(app): State<App>,
    Actor(actor): Actor,
    caller: Option<Extension<Caller>>,
    Json(request): Json<StatusRequest>,
) -> Result<Json<StatusAnswer>> {
    let world = app.ledger.snapshot();
    let card = extract::card(&world, &request.issue)?;
    let to = Standing::read(&request.status).ok_or_else(|| {
        let words: Vec<&str> = Status::ALL.iter().map(|s| s.word()).collect();
        let there = words.join(", ");
        failure(Code::BadRequest, format!("status `{}`: there are {there} and blocked", request.status))
    })?;
    let said = request.actor.filter(|a| !a.is_empty());
    let worker = caller.is_some_and(|Extension(caller)| caller.tier < Tier::Maintainer);
    let actor = said.unwrap_or(actor);
    let holder = world.held(&card).map(|c| c.agent.clone());
    let agent = match request.agent_name.as_deref().filter(|a| !a.is_empty()) {
        Some(name) => Some(extract::agent(name)?),
        // An old client that says nowhere who it is means the claim there is.
        None if worker && actor == UNNAMED && holder.is_some() => holder,
        // Whoever holds the card acts for itself, named or not.
        None if worker => Some(
            AgentName::parse(&actor)
                .ok()
                .filter(|a| a.as_str() != OPERATOR)
                .ok_or_else(|| failure(Code::BadRequest, "agentName is missing: a worker says who it is"))?,
        ),
        None => holder.filter(|h| AgentName::parse(&actor).is_ok_and(|a| a == *h)),
    };
    let reason = request.blocked_reason.filter(|r| !r.trim().is_empty());
    let deed = Deed::Status { to, agent, claim: request.claim_id, reason };
    let world = submit(&app, &card, deed, actor).await?;
    let labels = issues::labels(&world, &card)?;
    let status = match to {
        Standing::Blocked => "status/blocked".to_owned(),
        Standing::In(asked) => labels.status.unwrap_or_else(|| asked.label()),
    };
    Ok(Json(StatusAnswer { success: true, status, labels: labels.labels }))
}

pub(super) async fn claimed(
    State(app): State<App>,
    Query(query): Query<ClaimedQuery>,
) -> Result<Json<Vec<ClaimedIssue>>> {
    let agent = query.agent_name.as_deref().filter(|a| !a.is_empty()).map(extract::agent).transpose()?;
    let column = match query.status.as_deref().filter(|s| !s.is_empty()) {
        None => Status::InProgress,
        Some(text) => Status::read(text)
            .filter(|s| matches!(s, Status::InProgress | Status::Ready))
            .ok_or_else(|| failure(Code::BadRequest, format!("status `{text}`: in-progress or ready")))?,
    };
    Ok(Json(work_view::claimed(&app.ledger.snapshot(), agent.as_ref(), column)))
}

pub(super) async fn reset_ready(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(named): Json<IssueRef>,
) -> Result<Json<LabelsAnswer>> {
    let card = extract::card(&app.ledger.snapshot(), &named)?;
    let world = submit(&app, &card, Deed::ResetReady, actor).await?;
    issues::labels(&world, &card).map(Json)
}

pub(super) async fn label(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<LabelRequest>,
) -> Result<Json<LabelsAnswer>> {
    let card = extract::card(&app.ledger.snapshot(), &request.issue)?;
    let world = submit(&app, &card, Deed::Label(request.label), actor).await?;
    issues::labels(&world, &card).map(Json)
}

pub(super) async fn unlabel(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<LabelRequest>,
) -> Result<Json<LabelsAnswer>> {
    let card = extract::card(&app.ledger.snapshot(), &request.issue)?;
    let world = submit(&app, &card, Deed::Unlabel(request.label), actor).await?;
    issues::labels(&world, &card).map(Json)
}

pub(super) async fn comment(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<CommentRequest>,
) -> Result<Json<CommentAnswer>> {
    let card = extract::card(&app.ledger.snapshot(), &request.issue)?;
    submit(&app, &card, Deed::Comment(request.body), actor).await?;
    Ok(Json(CommentAnswer { success: true, issue_id: card.id() }))
}

/// Reads the one issue from the forge, now.
pub(super) async fn refresh(State(app): State<App>, Json(named): Json<IssueRef>) -> Result<Json<Issue>> {
    let world = app.ledger.snapshot();
    let key = extract::card(&world, &named)?;
    let repo = world.repos.get(&key.repo).cloned();
    let repo = repo.ok_or_else(|| failure(Code::NotFound, "the repository of this issue is not tracked"))?;
    let mut synced =
        Synced { repo: Some(key.repo.clone()), read_at: Some(app.edges.clock.now()), ..Synced::default() };
    match app.forges.issue(&repo, key.number).await {
        Ok(seen) => synced.issues.push(seen),
        Err(ForgeError::NotFound(_)) => synced.gone.push(key.number),
        Err(error) => return Err(error.into()),
    }
    let (_, world) = app.ledger.submit(Command::Synced(synced)).await?;
    extract::known(&world, &key.id())?;
    issues::issue(&world, &key, Some(app.ledger.body(&key)?)).map(Json)
}

/// Reads every repository, puts right what contradicts, and says what differs from before.
pub(super) async fn reconcile(State(app): State<App>, Actor(actor): Actor) -> Result<Json<ReconcileAnswer>> {
    let began = app.edges.clock.now();
    let before = app.ledger.snapshot();
    let synced = app.forges.sync(None).await;
    let (_, after) = app.ledger.submit(Command::Reconcile { actor }).await?;
    let now = app.edges.clock.now();
    // The pass that ends every sync counts as well.
    let repaired = |card: &crate::core::record::Card| card.repaired.as_ref().is_some_and(|r| r.at >= began);
    let found = |key: &crate::core::record::CardKey| {
        let card = after.cards.get(key)?;
        let finding = contradiction(&after, card, now)?;
        let repo = after.repos.get(&key.repo)?;
        Some(format!("{}#{}: {}; {}", repo.name, key.number, finding.text, finding.wanted()))
    };
    let changed = |differs: &dyn Fn(&crate::core::record::Card, &crate::core::record::Card) -> bool| {
        after
            .cards
            .iter()
            .filter(|(key, new)| before.cards.get(*key).is_some_and(|old| differs(old, new)))
            .count()
    };
    let errors: Vec<String> = synced
        .results
        .iter()
        .filter_map(|r| r.error.as_ref().map(|error| format!("{}: {error}", r.repo)))
        .collect();
    Ok(Json(ReconcileAnswer {
        success: errors.is_empty(),
        repos_processed: synced.results.len(),
        issues_reconciled: after.cards.values().filter(|c| repaired(c)).count(),
        issues_closed: changed(&|old, new| old.state == IssueState::Open && new.state == IssueState::Closed),
        labels_changed: changed(&|old, new| old.labels != new.labels),
        errors,
        findings: after.suspects().filter_map(found).collect(),
    }))
}
