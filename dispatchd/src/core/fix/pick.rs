//! Which item is next for whom, what lane it is in, and whose pull requests count.

use std::sync::Arc;

use dispatch_shared::followup::{FixLane, FixStatus, PullState};
use dispatch_shared::id::{AgentName, RepoKey};
use dispatch_shared::issue::{Flag, IssueState};

use super::{ESCALATED, Fix, FixKey};
use crate::core::policy::Policy;
use crate::core::record::{Card, CardKey, Pull, Target};
use crate::core::world::World;

/// The pull request of an item, if it was read.
#[must_use]
pub fn pull<'a>(world: &'a World, key: &FixKey) -> Option<&'a Arc<Pull>> {
    world.pulls.get(&(key.repo.clone(), key.pr))
}

/// The number of the issue that an item belongs to: as named, or the card that its pull request is linked to.
#[must_use]
pub fn issue_of(world: &World, key: &FixKey, named: Option<u64>) -> Option<u64> {
    named.or_else(|| {
        let targets = pull(world, key)?.targets();
        let linked = |c: &&CardKey| world.cards.get(*c).is_some_and(|card| card.linked_pull == Some(key.pr));
        targets.iter().find(linked).map(|card| card.number)
    })
}

/// The open card that an item belongs to.
#[must_use]
pub fn card<'a>(world: &'a World, fix: &Fix) -> Option<&'a Arc<Card>> {
    let number = issue_of(world, &fix.key, fix.issue)?;
    let card = world.cards.get(&CardKey { repo: fix.key.repo.clone(), number })?;
    (card.state == IssueState::Open && !card.gone).then_some(card)
}

/// What a claim on the item is a claim on: the linked card, so that nobody implements what somebody repairs, else the pull
/// request itself.
#[must_use]
pub fn subject(world: &World, fix: &Fix) -> CardKey {
    card(world, fix).map_or_else(|| fix.key.subject(), |card| card.key.clone())
}

/// The tier that a configured lane belongs to; `None` if nothing is handed out from it, or it is not configured.
#[must_use]
pub fn tier(policy: &Policy, lane: &str) -> Option<FixLane> {
    if lane == ESCALATED {
        return Some(FixLane::Escalated);
    }
    let lane = policy.lanes.iter().find(|l| l.id == lane)?;
    let escalation = lane.role.as_deref() == Some("escalation");
    lane.claimable.then_some(if escalation { FixLane::Escalated } else { FixLane::Normal })
}

/// The lane for escalated items.
#[must_use]
pub fn escalation(policy: &Policy) -> &str {
    let lane = policy.lanes.iter().find(|l| l.claimable && l.role.as_deref() == Some("escalation"));
    lane.map_or(ESCALATED, |l| l.id.as_str())
}

/// The lane that an item is worked in: the one asked for, else its card's if work is handed out from that, else the
/// default.
#[must_use]
pub fn lane_of(world: &World, fix: &Fix) -> String {
    fix.lane.clone().unwrap_or_else(|| {
        let of_card = card(world, fix).map(|card| world.lane_of(card));
        of_card.filter(|l| tier(&world.policy, l).is_some()).unwrap_or(world.policy.default_lane()).to_owned()
    })
}

/// The tier that an item is shown in.
#[must_use]
pub fn shown_lane(world: &World, fix: &Fix) -> FixLane {
    match fix.status {
        FixStatus::Blocked => FixLane::NeedsHuman,
        _ => tier(&world.policy, &lane_of(world, fix)).unwrap_or(FixLane::Normal),
    }
}

/// What a request's `lane` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneAsk {
    /// A tier.
    Tier(FixLane),
    /// A configured lane, by id.
    Id(String),
}

/// Reads `lane`: a tier in any case, else a lane's id or alias.
///
/// # Errors
/// A sentence that names it and the ones there are.
pub fn read_lane(policy: &Policy, text: &str) -> Result<LaneAsk, String> {
    if let Some(tier) = FixLane::read(text) {
        return Ok(LaneAsk::Tier(tier));
    }
    policy.lane(text).map(|lane| LaneAsk::Id(lane.id.clone())).ok_or_else(|| {
        let known: Vec<&str> = policy.lanes.iter().map(|l| l.id.as_str()).collect();
        format!("there is no lane `{text}`; there are NORMAL, ESCALATED, NEEDS_HUMAN, {}", known.join(", "))
    })
}

/// Whether an item is in the lane asked for.
#[must_use]
pub fn in_lane(world: &World, fix: &Fix, ask: &LaneAsk) -> bool {
    match ask {
        LaneAsk::Tier(tier) => shown_lane(world, fix) == *tier,
        LaneAsk::Id(id) => lane_of(world, fix) == *id,
    }
}

/// Why nobody gets an item now; `None` if somebody may.
#[must_use]
pub fn withheld(world: &World, fix: &Fix) -> Option<&'static str> {
    if fix.status != FixStatus::Queued {
        return Some("it does not wait");
    }
    if !world.is_tracked(&fix.key.repo) {
        return Some("its repository is not tracked");
    }
    if !world.takes_work(&fix.key.repo) {
        return Some("its repository takes no work");
    }
    if fix.claim.is_some() || world.held(&subject(world, fix)).is_some() {
        return Some("somebody works on it");
    }
    if tier(&world.policy, &lane_of(world, fix)).is_none() {
        return Some("nothing is handed out from its lane");
    }
    if card(world, fix).is_some_and(|c| c.flags.contains(&Flag::NeedsHuman)) {
        return Some("its issue waits for a person");
    }
    unfit(world, &fix.key)
}

/// Why a pull request is none that an agent works on; `None` if it is fine, or was never read.
#[must_use]
pub fn unfit(world: &World, key: &FixKey) -> Option<&'static str> {
    let seen = &pull(world, key)?.seen;
    super::signal::unfit(seen.state, seen.draft, seen.from_fork, &seen.labels)
}

/// Whether `agent` may have an item now: one generation is not handed twice to the same agent.
#[must_use]
pub fn may_have(world: &World, fix: &Fix, agent: &AgentName) -> bool {
    !fix.handed.contains(agent) && withheld(world, fix).is_none()
}

/// The items that `agent` may have, in order: most urgent first, then oldest; of `lane` alone, if one is named.
pub fn order<'a>(
    world: &'a World,
    agent: &'a AgentName,
    lane: Option<&'a str>,
) -> impl Iterator<Item = &'a Arc<Fix>> + 'a {
    world
        .fixes
        .queued()
        .filter(move |_| !world.meta.frozen)
        .filter(move |fix| lane.is_none_or(|id| lane_of(world, fix) == id))
        .filter(move |fix| may_have(world, fix, agent))
}

/// The next item for `agent`.
#[must_use]
pub fn next(world: &World, agent: &AgentName, lane: Option<&str>) -> Option<FixKey> {
    order(world, agent, lane).next().map(|fix| fix.key.clone())
}

/// Whether a card's pull request waits for work or for a person: then nobody implements the issue anew.
#[must_use]
pub fn unsettled(world: &World, card: &Card) -> bool {
    let Some(pull) = world.linked_pull(card).filter(|p| p.seen.state == PullState::Open) else {
        return false;
    };
    let key = FixKey { repo: card.key.repo.clone(), pr: pull.seen.number };
    world.fixes.get(&key).is_some_and(|f| matches!(f.status, FixStatus::Queued | FixStatus::Blocked))
}

/// Whether a pull request is one that Dispatch looks after: of a configured identity, on a branch of a configured owner, or
/// on a branch of Dispatch's own.
#[must_use]
pub fn ours(world: &World, repo: &RepoKey, author: &str, branch: &str) -> bool {
    let policy = &world.policy.followup;
    is_identity(policy.bot_identities.iter().map(String::as_str), author)
        || policy
            .branch_owners
            .iter()
            .any(|o| branch.strip_prefix(o.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/')))
        || branch.starts_with("fix/issue-")
        || world.runs.values().any(|r| {
            // One run by hand on somebody's pull request does not make it ours.
            r.card.repo == *repo && r.branch == branch && !matches!(r.target, Target::Pull(_))
        })
}

/// Whether `login` is one of `identities`, however it is cased, with or without `[bot]`.
pub fn is_identity<'a>(identities: impl IntoIterator<Item = &'a str>, login: &str) -> bool {
    let bare = |text: &str| text.trim().to_ascii_lowercase().trim_end_matches("[bot]").to_owned();
    let login = bare(login);
    !login.is_empty() && identities.into_iter().any(|i| bare(i) == login)
}
