//! `/api/pr-followup/sync`, and what the agents' routes need of follow-ups.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use dispatch_shared::error::Code;
use dispatch_shared::followup::{FixStatus, PullState};
use dispatch_shared::id::{AgentName, ClaimId};
use dispatch_shared::protocol::followup::{FollowupSyncAnswer, IgnoredPull};
use dispatch_shared::protocol::tasks::{ReportRequest, Task};
use dispatch_shared::task::Outcome;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::api::App;
use crate::api::error::{Result, failure};
use crate::api::extract::Json;
use crate::core::command::{Command, Evidence, Synced};
use crate::core::fix::{FixKey, pick, reported, task as tasks};
use crate::core::record::{CardKey, Claim, Repo};
use crate::core::world::World;

/// How long a forge may take to show one pull request before the caller goes on without.
const LOOK: Duration = Duration::from_secs(8);
const GLANCE: Duration = Duration::from_secs(3);
/// Items that one take looks at before it takes what the cache says.
const LOOKS: usize = 5;

/// The item that a claim is a hand-out of.
pub(super) fn key_of(claim: &Claim) -> Option<FixKey> {
    reported::of_claim(claim)
}

/// The task for an item, with its claim after a take.
pub(super) fn task(
    app: &App,
    world: &World,
    agent: &AgentName,
    key: &FixKey,
    claim: Option<ClaimId>,
) -> Result<Task> {
    let gone = || failure(Code::NotFound, format!("there is no PR-fix item {}", key.id()));
    let fix = world.fixes.get(key).ok_or_else(gone)?;
    let body = match pick::card(world, fix) {
        Some(card) => app.ledger.body(&card.key)?,
        None => String::new(),
    };
    let claim = claim.and_then(|id| world.claims.get(&id));
    tasks::followup(world, agent, fix, &body, claim.map(Arc::as_ref)).ok_or_else(gone)
}

/// What the forge shows of an item's pull request.
pub(super) async fn look(app: &App, world: &World, key: &FixKey) -> Evidence {
    look_for(app, world, key, LOOK).await
}

async fn look_for(app: &App, world: &World, key: &FixKey, most: Duration) -> Evidence {
    let Some(repo) = world.repos.get(&key.repo) else { return Evidence::NotNeeded };
    let subject = key.subject();
    let looked = app.forges.evidence(repo, &subject, Some(key.pr), "");
    match tokio::time::timeout(most, looked).await {
        Ok(evidence) => evidence,
        Err(_) => Evidence::Unreachable(format!("{} did not answer within {} s", repo.name, most.as_secs())),
    }
}

/// Reads an item's pull request anew; false if the forge could not be asked or does not show it.
pub(super) async fn refresh(app: &App, key: &FixKey) -> bool {
    let world = app.ledger.snapshot();
    let Evidence::Pull(seen) = look_for(app, &world, key, GLANCE).await else { return false };
    if pick::pull(&world, key).is_some_and(|p| p.seen == *seen) {
        return true;
    }
    let read = Synced { repo: Some(key.repo.clone()), pulls: vec![*seen], ..Synced::default() };
    app.ledger.submit(Command::Synced(read)).await.is_ok()
}

/// Before an item is handed out its pull request is read: one that was merged a minute ago is not handed out again.
pub(super) async fn look_before_take(app: &App, agent: &AgentName, lane: Option<&str>) {
    for _ in 0..LOOKS {
        let world = app.ledger.snapshot();
        if world.held_by(agent).count() >= world.policy.slots_of(agent.as_str()) {
            return;
        }
        let Some(key) = pick::next(&world, agent, lane) else { return };
        if !refresh(app, &key).await {
            return;
        }
        if pick::next(&app.ledger.snapshot(), agent, lane).as_ref() == Some(&key) {
            return;
        }
    }
}

/// What the forge shows for a follow-up's report; `None` if the report is about something else.
pub(super) async fn evidence(
    app: &App,
    world: &World,
    agent: &AgentName,
    card: Option<&CardKey>,
    request: &ReportRequest,
) -> Option<Evidence> {
    if !reported::is_followup(world, agent, card, request) {
        return None;
    }
    let wanted = matches!(
        request.outcome,
        Outcome::PrOpened | Outcome::PrUpdated | Outcome::NoChangesNeeded | Outcome::AlreadyAddressed
    );
    match reported::item(world, agent, card, request).filter(|_| wanted) {
        Some(key) => Some(look(app, world, &key).await),
        None => Some(Evidence::NotNeeded),
    }
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(default)]
pub(super) struct SyncBody {
    /// One repository, else all.
    #[serde(alias = "repoFullName")]
    repo: Option<String>,
}

/// Syncs, looks at the pull requests, and tells what was left out and what could not be seen.
pub(super) async fn sync(
    State(app): State<App>,
    Json(request): Json<SyncBody>,
) -> Result<Json<FollowupSyncAnswer>> {
    let world = app.ledger.snapshot();
    let repos: Vec<Arc<Repo>> = match request.repo.as_deref().filter(|r| !r.is_empty()) {
        None => world.tracked().cloned().collect(),
        Some(text) => {
            let name = text.parse().map_err(|e: String| failure(Code::BadRequest, e))?;
            let repo = world.repo_named(&name).cloned();
            vec![repo.ok_or_else(|| failure(Code::NotFound, format!("{name} is not tracked")))?]
        }
    };
    let stale = |world: &World| {
        let all = world.fixes.all().filter(|f| repos.iter().any(|r| r.key == f.key.repo));
        all.filter(|f| f.status == FixStatus::Stale).count()
    };
    let before = stale(&world);
    let mut answer = FollowupSyncAnswer {
        success: true,
        repos: repos.len(),
        checked: 0,
        queued: 0,
        stale: 0,
        ignored: Vec::new(),
        unavailable: Vec::new(),
        errors: Vec::new(),
    };
    for repo in &repos {
        let synced = app.forges.sync(Some(&repo.key)).await;
        answer.errors.extend(synced.results.into_iter().filter_map(|r| r.error));
        let open = |status: FixStatus| matches!(status, FixStatus::Queued | FixStatus::Blocked);
        let world = app.ledger.snapshot();
        for fix in world.fixes.of(&repo.key).filter(|f| open(f.status)) {
            refresh(&app, &fix.key).await;
        }
        answer.errors.extend(app.forges.look_at_pulls(&repo.key).await);
        let world = app.ledger.snapshot();
        for pull in world.pulls_of(&repo.key).filter(|p| p.seen.state == PullState::Open) {
            let seen = &pull.seen;
            for what in pull.health.iter().flat_map(|h| &h.blind) {
                if !answer.unavailable.contains(what) {
                    answer.unavailable.push(what.clone());
                }
            }
            if !pick::ours(&world, &repo.key, &seen.author, &seen.head_branch) {
                continue;
            }
            answer.checked += 1;
            if let Some(why) = pick::unfit(&world, &FixKey { repo: repo.key.clone(), pr: seen.number }) {
                let why = why.to_owned();
                answer.ignored.push(IgnoredPull { repo: repo.name.clone(), pr: seen.number, why });
            }
        }
        answer.queued += world.fixes.of(&repo.key).filter(|f| f.status == FixStatus::Queued).count();
    }
    answer.stale = stale(&app.ledger.snapshot()).saturating_sub(before);
    answer.success = answer.errors.is_empty();
    Ok(Json(answer))
}
