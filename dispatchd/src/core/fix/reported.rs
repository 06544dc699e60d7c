//! Which item a report is about.

use dispatch_shared::id::AgentName;
use dispatch_shared::protocol::tasks::ReportRequest;
use dispatch_shared::task::TaskType;

use super::FixKey;
use crate::core::record::{CardKey, Claim};
use crate::core::world::World;

/// The item that a claim is a hand-out of.
#[must_use]
pub fn of_claim(claim: &Claim) -> Option<FixKey> {
    claim.fix.map(|hand_out| FixKey { repo: claim.card.repo.clone(), pr: hand_out.pr })
}

/// Whether a report is about a follow-up: it says so, or the claim that it ends is one.
#[must_use]
pub fn is_followup(
    world: &World,
    agent: &AgentName,
    card: Option<&CardKey>,
    request: &ReportRequest,
) -> bool {
    if request.task_type == TaskType::FollowupPr {
        return true;
    }
    let claim = match (request.claim_id, card) {
        (Some(id), _) => world.claims.get(&id),
        (None, Some(card)) => world.held(card).filter(|c| c.agent == *agent),
        (None, None) => world.held_by(agent).last(),
    };
    claim.is_some_and(|c| c.fix.is_some())
}

/// The item that a follow-up's report is about: by its claim, by the item's id, by the pull request that it names, by the
/// card, else the agent's newest follow-up.
#[must_use]
pub fn item(
    world: &World,
    agent: &AgentName,
    card: Option<&CardKey>,
    request: &ReportRequest,
) -> Option<FixKey> {
    if let Some(id) = request.claim_id {
        return world.claims.get(&id).and_then(|c| of_claim(c));
    }
    if let Some(named) = &request.pr_fix_item {
        return FixKey::read(&named.id);
    }
    if let Some(key) = pull(world, agent, card, request) {
        return Some(key);
    }
    match card {
        Some(card) => world.held(card).and_then(|c| of_claim(c)),
        None => world.held_by(agent).filter_map(|c| of_claim(c)).last(),
    }
}

/// The pull request that a report names by number or address, in the repository that it names.
fn pull(world: &World, agent: &AgentName, card: Option<&CardKey>, request: &ReportRequest) -> Option<FixKey> {
    let url = request.pull_request_url.as_deref().map(|u| u.trim_end_matches('/'));
    let pr = request.pull_request_number.or_else(|| url?.rsplit('/').next()?.parse().ok())?;
    let named = request.repo_full_name.as_deref().and_then(|n| n.parse().ok());
    let named = named.and_then(|name| world.repo_named(&name)).map(|r| r.key.clone());
    let by_held = || {
        let held = world.held_by(agent).filter_map(|c| of_claim(c));
        held.filter(|key| key.pr == pr).last().map(|key| key.repo)
    };
    let repo = named.or_else(|| card.map(|c| c.repo.clone())).or_else(by_held)?;
    Some(FixKey { repo, pr })
}
