//! `/api/pr-fix-queue/…`: pull requests that need work again.

use axum::extract::State;
use dispatch_shared::error::Code;
use dispatch_shared::followup::{FixLane, FixStatus, FixType};
use dispatch_shared::id::{AgentName, RepoName};
use dispatch_shared::protocol::followup::{
    EnqueueRequest, FeedbackItem, FixHistoryRow, FixItem, FixQuery, MarkRequest, Remark, Remarks,
};
use sha2::{Digest, Sha256};

use super::followup;
use crate::api::App;
use crate::api::auth::UNNAMED;
use crate::api::error::{Result, failure};
use crate::api::extract::{self, Actor, Json, Query};
use crate::core::command::{Command, Evidence, Refusal};
use crate::core::fix::ask::{By, Enqueue, FixCommand};
use crate::core::fix::pick::{self, LaneAsk};
use crate::core::fix::{FixKey, News, signal, view};
use crate::core::world::World;

/// The most rows of history in one answer.
const ROWS: usize = 1_000;

/// The item that a request names: by id, or by repository and pull request, or by both, which must agree.
fn key(world: &World, id: Option<&str>, repo: Option<&str>, pr: Option<u64>) -> Result<FixKey> {
    let by_id = match id.filter(|id| !id.is_empty()) {
        None => None,
        Some(id) => Some(
            FixKey::read(id)
                .ok_or_else(|| failure(Code::NotFound, format!("there is no PR-fix item {id}")))?,
        ),
    };
    let by_name = match (repo.filter(|r| !r.is_empty()), pr) {
        (Some(repo), Some(pr)) => {
            let name: RepoName = repo.parse().map_err(|e: String| failure(Code::BadRequest, e))?;
            let repo = world.repo_named(&name).ok_or_else(|| {
                failure(Code::NotFound, format!("{name} is not tracked; add it with `dispatch repos add`"))
            })?;
            Some(FixKey { repo: repo.key.clone(), pr })
        }
        _ => None,
    };
    match (by_id, by_name) {
        (Some(a), Some(b)) if a != b => {
            Err(failure(Code::BadRequest, "id and repo with pr name different pull requests"))
        }
        (Some(key), _) | (None, Some(key)) => Ok(key),
        (None, None) if repo.is_none_or(str::is_empty) => {
            Err(failure(Code::BadRequest, "repo is missing: write owner/name"))
        }
        (None, None) => Err(failure(Code::BadRequest, "pr is missing: the pull request's number")),
    }
}

/// The agent that acts: named in the body, else by header or token. The operator is none; nor is a worker that says nowhere
/// who it is, as old clients do: it means the hand-out there is.
fn agent(named: Option<&str>, actor: &str) -> Result<Option<AgentName>> {
    match named.filter(|n| !n.is_empty()) {
        Some(name) => extract::agent(name).map(Some),
        None if actor != "operator" && actor != UNNAMED => extract::agent(actor).map(Some),
        None => Ok(None),
    }
}

fn answer(world: &World, key: &FixKey) -> Result<Json<FixItem>> {
    world.fixes.get(key).and_then(|fix| view::item(world, fix)).map(Json).ok_or_else(|| {
        failure(Code::NotFound, format!("there is no PR-fix item {}; enqueue it first", key.id()))
    })
}

async fn submit(app: &App, command: FixCommand, key: &FixKey) -> Result<Json<FixItem>> {
    let (_, world) = app.ledger.submit(Command::Fix(Box::new(command))).await?;
    answer(&world, key)
}

pub(super) async fn enqueue(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<EnqueueRequest>,
) -> Result<Json<FixItem>> {
    let world = app.ledger.snapshot();
    let key = key(&world, request.id.as_deref(), request.repo.as_deref(), request.pr)?;
    let name = world.repos.get(&key.repo).map(|r| r.name.to_string()).unwrap_or_default();
    let news = news(&request, &name, &key)?;
    if pick::pull(&world, &key).is_none() {
        followup::refresh(&app, &key).await;
    }
    let command = FixCommand::Enqueue(Enqueue {
        key: key.clone(),
        news,
        lane: request.lane,
        issue: request.issue,
        branch: request.branch,
        url: request.url,
        title: request.title,
        author: request.author,
        actor,
        fresh: false,
        automatic: false,
    });
    submit(&app, command, &key).await
}

/// What a request says for its item. Without an evidence key the text itself is the evidence: said again it is known.
fn news(request: &EnqueueRequest, repo: &str, key: &FixKey) -> Result<News> {
    let fix_type = match request.kind.as_deref().filter(|k| !k.is_empty()) {
        None => FixType::Other,
        Some(text) => FixType::read(text).ok_or_else(|| {
            let known = "MERGE_CONFLICT, CI_FAILURE, REVIEW_FEEDBACK and OTHER";
            failure(Code::BadRequest, format!("type `{text}`: there are {known}"))
        })?,
    };
    let mut feedback: Vec<FeedbackItem> = match &request.feedback {
        None => Vec::new(),
        Some(Remarks::One(text)) => vec![FeedbackItem::text(text)],
        Some(Remarks::Many(many)) => many
            .iter()
            .map(|remark| match remark {
                Remark::Text(text) => FeedbackItem::text(text),
                Remark::Item(item) => item.clone(),
            })
            .collect(),
    };
    feedback.extend(request.feedback_items.iter().flatten().cloned());
    feedback.retain(|f| !f.text.trim().is_empty());
    let reason = request.reason.clone().unwrap_or_default();
    let mut keys: Vec<String> =
        request.evidence_key.iter().chain(request.evidence_keys.iter().flatten()).cloned().collect();
    keys.retain(|k| !k.trim().is_empty());
    if keys.is_empty() {
        let said: Vec<String> = feedback.iter().map(FeedbackItem::line_of_text).collect();
        let digest = Sha256::digest(format!("{fix_type:?}\n{reason}\n{}", said.join("\n")));
        let source: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
        keys.push(signal::evidence_key("manual", repo, key.pr, &source));
    }
    let reason = if reason.is_empty() { fix_type.words().to_owned() } else { reason };
    Ok(News { keys, fix_type, reason, feedback, head: request.head_sha.clone().filter(|h| !h.is_empty()) })
}

pub(super) async fn mark(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<MarkRequest>,
) -> Result<Json<FixItem>> {
    let world = app.ledger.snapshot();
    let key = key(&world, request.id.as_deref(), request.repo.as_deref(), request.pr)?;
    let text = request.status.as_deref().unwrap_or_default();
    let status = FixStatus::read(text).ok_or_else(|| {
        failure(
            Code::BadRequest,
            format!("status `{text}`: there are FIXED, BLOCKED, STALE, IGNORED and QUEUED"),
        )
    })?;
    let evidence = match status {
        FixStatus::Fixed if world.fixes.get(&key).is_some() => followup::look(&app, &world, &key).await,
        _ => Evidence::NotNeeded,
    };
    let by = by(&actor, &request)?;
    submit(&app, FixCommand::Mark { key: key.clone(), by, status, note: request.note, evidence }, &key).await
}

fn by(actor: &str, request: &MarkRequest) -> Result<By> {
    let agent = agent(request.agent_name.as_deref(), actor)?;
    Ok(By {
        actor: agent.as_ref().map_or_else(|| actor.to_owned(), ToString::to_string),
        agent,
        generation: request.generation,
        claim: request.claim_id,
    })
}

pub(super) async fn requeue(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<MarkRequest>,
) -> Result<Json<FixItem>> {
    let world = app.ledger.snapshot();
    let key = key(&world, request.id.as_deref(), request.repo.as_deref(), request.pr)?;
    // A requeue is a person's word: whoever works on it now is not asked.
    let by = By { agent: None, ..by(&actor, &request)? };
    submit(&app, FixCommand::Requeue { key: key.clone(), by, lane: request.lane, note: request.note }, &key)
        .await
}

pub(super) async fn ack(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<MarkRequest>,
) -> Result<Json<FixItem>> {
    let world = app.ledger.snapshot();
    let key = key(&world, request.id.as_deref(), request.repo.as_deref(), request.pr)?;
    let named = agent(request.agent_name.as_deref(), &actor)?;
    let agent = named.unwrap_or_else(|| AgentName::new(actor));
    submit(&app, FixCommand::Ack { key: key.clone(), agent, generation: request.generation }, &key).await
}

pub(super) async fn queued(
    State(app): State<App>,
    Actor(actor): Actor,
    Query(query): Query<FixQuery>,
) -> Result<Json<Vec<FixItem>>> {
    let world = app.ledger.snapshot();
    let lane = query.lane.as_deref().map(|text| pick::read_lane(&world.policy, text)).transpose();
    let lane = lane.map_err(Refusal::UnknownLane)?;
    let agent = agent(query.agent.as_deref(), &actor)?;
    let for_person = lane == Some(LaneAsk::Tier(FixLane::NeedsHuman));
    let blocked = query.include_blocked.unwrap_or(for_person);
    let waiting = world
        .fixes
        .queued()
        .filter(|fix| fix.claim.is_none() && agent.as_ref().is_none_or(|a| !fix.handed.contains(a)));
    let mut found: Vec<_> = waiting
        .chain(world.fixes.blocked().filter(|_| blocked))
        .filter(|fix| world.is_tracked(&fix.key.repo))
        .filter(|fix| lane.as_ref().is_none_or(|lane| pick::in_lane(&world, fix, lane)))
        .collect();
    if query.prioritize_by_type.unwrap_or(false) {
        found.sort_by_key(|f| (f.fix_type, f.queued_at));
    } else {
        found.sort_by_key(|f| f.queued_at);
    }
    let items = found.into_iter().filter_map(|fix| view::item(&world, fix));
    Ok(Json(items.take(query.limit.unwrap_or(usize::MAX)).collect()))
}

pub(super) async fn history(
    State(app): State<App>,
    Query(query): Query<FixQuery>,
) -> Result<Json<Vec<FixHistoryRow>>> {
    let world = app.ledger.snapshot();
    let repo = match query.repo.as_deref() {
        None => None,
        Some(text) => {
            let name: RepoName = text.parse().map_err(|e: String| failure(Code::BadRequest, e))?;
            let repo = world.repo_named(&name).map(|r| r.key.clone());
            Some(repo.ok_or_else(|| failure(Code::NotFound, format!("{name} is not tracked")))?)
        }
    };
    let mut rows = Vec::new();
    for fix in world.fixes.all() {
        let fits =
            repo.as_ref().is_none_or(|r| *r == fix.key.repo) && query.pr.is_none_or(|pr| pr == fix.key.pr);
        let Some(record) = world.repos.get(&fix.key.repo).filter(|r| fits && r.tracked) else { continue };
        rows.extend(fix.history.iter().rev().map(|entry| FixHistoryRow {
            item_id: fix.key.id(),
            repo: record.name.clone(),
            pr: fix.key.pr,
            entry: entry.clone(),
        }));
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.entry.at));
    rows.truncate(query.limit.unwrap_or(ROWS).min(ROWS));
    Ok(Json(rows))
}
