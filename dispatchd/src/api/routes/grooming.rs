//! `/api/issues/groom`, `/api/groomer/…`, `/api/issues/actions/decompose` and `/api/issues/{id}/children`.

use axum::extract::State;
use dispatch_shared::error::Code;
use dispatch_shared::id::{AgentName, IssueId};
use dispatch_shared::protocol::grooming::{
    Child, ChildItem, ChildrenAnswer, ChildrenRequest, DecomposeAnswer, DecomposeRequest, GroomAction,
    GroomAnswer, GroomRequest, GroomerRun, GroomerRunRequest,
};

use super::issues;
use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::{self, Actor, Json, Query};
use crate::api::path::Path;
use crate::core::command::{Command, Reply};
use crate::core::grooming::{Decompose, Groom, MakeChildren, NewChild};
use crate::core::record::{Card, CardKey};
use crate::core::umbrella;
use crate::core::world::World;

/// The longest summary, reason or note that is kept.
const TEXT_MAX: usize = 8_000;
/// The most follow-ups of one issue.
const URLS_MAX: usize = 200;

fn text(given: Option<String>) -> Option<String> {
    given.map(|t| t.trim().chars().take(TEXT_MAX).collect::<String>()).filter(|t| !t.is_empty())
}

/// Who acts: named in the body, else the request's actor.
fn who(named: Option<&str>, actor: String) -> Result<String> {
    match named.filter(|n| !n.is_empty()) {
        None => Ok(actor),
        Some(name) => AgentName::parse(name)
            .map(|n| n.to_string())
            .map_err(|e| failure(Code::BadRequest, format!("agentName: {e}"))),
    }
}

fn found<'a>(world: &'a World, key: &CardKey) -> Result<&'a Card> {
    let card = world.cards.get(key);
    card.map(AsRef::as_ref).ok_or_else(|| failure(Code::NotFound, format!("there is no issue {}", key.id())))
}

pub(super) async fn groom(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<GroomRequest>,
) -> Result<Json<GroomAnswer>> {
    let card = extract::card(&app.ledger.snapshot(), &request.issue)?;
    let summary = text(request.grooming_summary);
    let (field, reason) = match request.action {
        GroomAction::PromoteToReady | GroomAction::Escalate => ("", None),
        GroomAction::MarkNotReady => ("notReadyReason", text(request.not_ready_reason)),
        GroomAction::MarkNeedsInfo => ("needsInfoReason", text(request.needs_info_reason)),
        GroomAction::MarkBlocked => ("blockedReason", text(request.blocked_reason)),
    };
    if !field.is_empty() && reason.is_none() && summary.is_none() {
        return Err(failure(Code::BadRequest, format!("{field} is missing: say why")));
    }
    let groom = Groom {
        card: card.clone(),
        action: request.action,
        summary,
        reason,
        labels: Vec::new(),
        lane: None,
        seen: None,
        run: None,
        actor: who(request.agent_name.as_deref(), actor)?,
    };
    let (reply, world) = app.ledger.submit(Command::Groom(Box::new(groom))).await?;
    let issue = issues::issue(&world, &card, None)?;
    Ok(Json(GroomAnswer {
        success: true,
        issue_id: issue.issue_id,
        action: request.action,
        labels: issue.labels,
        status: issue.status,
        lane: issue.lane,
        groomed_at: issue.groomed_at,
        commented: matches!(reply, Reply::Groomed { commented: true, .. }),
    }))
}

pub(super) async fn decompose(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(mut request): Json<DecomposeRequest>,
) -> Result<Json<DecomposeAnswer>> {
    let world = app.ledger.snapshot();
    request.issue.repo_full_name =
        request.repo.take().filter(|r| !r.is_empty()).or(request.issue.repo_full_name);
    let key = extract::card(&world, &request.issue)?;
    let urls = request.follow_up_urls.map(|urls| {
        let mut kept: Vec<String> = Vec::new();
        for url in urls.iter().map(|u| u.trim()).filter(|u| !u.is_empty() && u.len() <= 2_000) {
            if !kept.iter().any(|k| k == url) {
                kept.push(url.to_owned());
            }
        }
        kept
    });
    if urls.as_ref().is_some_and(|u| u.len() > URLS_MAX) {
        return Err(failure(Code::BadRequest, format!("followUpUrls: at most {URLS_MAX}")));
    }
    let named = request.actor.filter(|a| !a.is_empty()).or(request.agent_name);
    let split = Decompose {
        card: key.clone(),
        decomposed: request.decomposed.unwrap_or(true),
        urls,
        note: text(request.note),
        actor: who(named.as_deref(), actor)?,
    };
    let (_, world) = app.ledger.submit(Command::Decompose(split)).await?;
    let umbrella = found(&world, &key)?.grooming.umbrella.clone().unwrap_or_default();
    Ok(Json(DecomposeAnswer {
        success: true,
        issue_id: key.id(),
        decomposed: umbrella.decomposed,
        follow_up_urls: umbrella.urls,
        decomposed_note: umbrella.note,
        children_closed: umbrella.complete_at.is_some(),
    }))
}

pub(super) async fn children(
    State(app): State<App>,
    Path(id): Path<IssueId>,
    Actor(actor): Actor,
    Json(request): Json<ChildrenRequest>,
) -> Result<Json<ChildrenAnswer>> {
    let mut world = app.ledger.snapshot();
    let key = extract::known(&world, &id)?;
    let items = wanted(found(&world, &key)?, request.items, &app.ledger.body(&key)?)?;
    let dry_run = request.dry_run.unwrap_or(true);
    if !dry_run {
        let make = MakeChildren { card: key.clone(), items: items.clone(), actor };
        world = app.ledger.submit(Command::MakeChildren(make)).await?.1;
    }
    let parent = found(&world, &key)?;
    let children = items.into_iter().map(|item| shown(&world, parent, item)).collect();
    Ok(Json(ChildrenAnswer { success: true, dry_run, issue_id: key.id(), children }))
}

/// The children asked for: those named, else the open items of the parent's check-list.
fn wanted(parent: &Card, items: Vec<ChildItem>, body: &str) -> Result<Vec<NewChild>> {
    let items = match items.is_empty() {
        true => umbrella::open_items(body).into_iter().map(ChildItem::Title).collect(),
        false => items,
    };
    if items.is_empty() {
        return Err(failure(
            Code::BadRequest,
            "items is empty, and the issue has no open check-list item: name the children",
        ));
    }
    if items.len() > umbrella::CHILDREN_MAX {
        let most = umbrella::CHILDREN_MAX;
        return Err(failure(Code::BadRequest, format!("items: at most {most} children at once")));
    }
    let mut found: Vec<NewChild> = Vec::new();
    for item in items {
        let (title, body, labels) = match item {
            ChildItem::Title(title) => (title, String::new(), Vec::new()),
            ChildItem::Whole { title, body, labels } => (title, body, labels),
        };
        let title = umbrella::title(&title);
        if title.is_empty() {
            return Err(failure(Code::BadRequest, "items: a child needs a title"));
        }
        if let Some(label) = labels.iter().find(|l| l.trim().is_empty() || l.chars().count() > 50) {
            return Err(failure(
                Code::BadRequest,
                format!("items: `{label}` is no label: 1 to 50 characters"),
            ));
        }
        if labels.iter().any(|l| l.to_ascii_lowercase().starts_with("agent/")) {
            return Err(failure(Code::BadRequest, "items: a label agent/… is set by claiming, not here"));
        }
        if !found.iter().any(|c| c.title == title) {
            let body = body.chars().take(60_000).collect();
            found.push(NewChild { labels: umbrella::labels(parent, &labels), title, body });
        }
    }
    Ok(found)
}

fn shown(world: &World, parent: &Card, item: NewChild) -> Child {
    let umbrella = parent.grooming.umbrella.as_deref();
    let mut there = umbrella.into_iter().flat_map(|u| &u.children).filter_map(|key| world.cards.get(key));
    let made = there.find(|card| card.title == item.title);
    let state = match made {
        Some(_) => "there already",
        None if umbrella.is_some_and(|u| u.pending.contains(&item.title)) => "pending",
        None => "planned",
    };
    Child {
        body: umbrella::body(&item, parent.key.number),
        title: item.title,
        labels: item.labels,
        state: state.to_owned(),
        number: made.map(|c| c.key.number),
        url: made.map(|c| c.url.clone()),
    }
}

pub(super) async fn run(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<GroomerRunRequest>,
) -> Result<Json<GroomerRun>> {
    let Some(groomer) = &app.groomer else {
        return Err(failure(
            Code::Unavailable,
            "the hosted groomer is not configured: set DISPATCH_HOSTED_GROOMER_ENABLED=true, DISPATCH_LLM_BASE_URL and \
             DISPATCH_GROOMER_MODEL (and DISPATCH_LLM_API_KEY), and start dispatchd again",
        ));
    };
    let world = app.ledger.snapshot();
    let repo = match request.repo_full_name.as_deref().filter(|r| !r.is_empty()) {
        None => None,
        Some(text) => {
            let name = text.parse().map_err(|e: String| failure(Code::BadRequest, e))?;
            let known = world.repo_named(&name);
            Some(known.ok_or_else(|| failure(Code::NotFound, format!("{name} is not tracked")))?.key.clone())
        }
    };
    let card = match (&repo, request.issue_number) {
        (_, None) => None,
        (Some(repo), Some(number)) => {
            let key = CardKey { repo: repo.clone(), number };
            Some(extract::known(&world, &key.id())?)
        }
        (None, Some(_)) => {
            return Err(failure(Code::BadRequest, "repoFullName is missing beside issueNumber"));
        }
    };
    let ask = crate::api::GroomerAsk {
        dry_run: request.dry_run,
        repo,
        card,
        force: request.force.unwrap_or(false),
        actor,
    };
    Ok(Json(groomer.run(ask).await?))
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(super) struct RunsQuery {
    /// At most so many, newest first; 50 if absent.
    limit: Option<usize>,
}

pub(super) async fn runs(
    State(app): State<App>,
    Query(query): Query<RunsQuery>,
) -> Result<Json<Vec<GroomerRun>>> {
    let world = app.ledger.snapshot();
    let newest = world.grooming.runs.values().rev().take(query.limit.unwrap_or(50));
    Ok(Json(newest.map(|run| (**run).clone()).collect()))
}

pub(super) async fn one_run(State(app): State<App>, Path(id): Path<u64>) -> Result<Json<GroomerRun>> {
    let world = app.ledger.snapshot();
    let run = world.grooming.runs.get(&id).cloned();
    run.map(|run| Json((*run).clone()))
        .ok_or_else(|| failure(Code::NotFound, format!("there is no run {id} of the hosted groomer")))
}
