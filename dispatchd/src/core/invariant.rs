//! What must hold after every step. Tests call this after each; it is not run in production.

use std::collections::BTreeSet;

use dispatch_shared::followup::FixStatus;
use dispatch_shared::issue::{IssueState, Status};
use dispatch_shared::run::{Phase, RunState};

use super::fix::FixKey;
use super::rank;
use super::record::ClaimState;
use super::world::World;

/// Checks everything.
///
/// # Errors
/// The first thing that does not hold, in words.
pub fn check(world: &World) -> Result<(), String> {
    let mut subjects = BTreeSet::new();
    for claim in world.claims.values() {
        let card = world.cards.get(&claim.card);
        let fix =
            claim.fix.and_then(|h| world.fixes.get(&FixKey { repo: claim.card.repo.clone(), pr: h.pr }));
        let pull = world.pulls.contains_key(&(claim.card.repo.clone(), claim.card.number));
        if card.is_none() && fix.is_none() && !pull {
            return Err(format!("{} is on no card and on no pull request", claim.id));
        }
        let highest = card.map(|c| c.attempt).or(fix.map(|f| f.attempt));
        if highest.is_some_and(|h| claim.attempt > h) {
            return Err(format!("{} has an attempt that {} never handed out", claim.id, claim.card.id()));
        }
        if claim.is_held() && claim.fix.is_some() != fix.is_some_and(|f| f.claim == Some(claim.id)) {
            return Err(format!("{} and its PR-fix item do not know each other", claim.id));
        }
        if claim.is_held() && !subjects.insert(claim.card.clone()) {
            return Err(format!("{} is held twice", claim.card.id()));
        }
        if claim.is_held() && card.is_some_and(|c| c.state == IssueState::Closed) {
            return Err(format!("{} holds a closed issue", claim.id));
        }
        if claim.is_held() == claim.ended_at.is_some() {
            return Err(format!("{} is {:?} and ended at {:?}", claim.id, claim.state, claim.ended_at));
        }
    }
    for card in world.cards.values() {
        if (card.status == Status::Done) != (card.state == IssueState::Closed) {
            return Err(format!("{} is {:?} and stands in {}", card.key.id(), card.state, card.status));
        }
    }
    for fix in world.fixes.all() {
        let held = fix.claim.and_then(|id| world.claims.get(&id)).filter(|c| c.is_held());
        if fix.claim.is_some() && (held.is_none() || fix.status != FixStatus::Queued) {
            return Err(format!("{} is {:?} and handed out as {:?}", fix.key.id(), fix.status, fix.claim));
        }
    }
    for run in world.runs.values() {
        let claim = run.claim.and_then(|id| world.claims.get(&id));
        let live_claim = claim.is_some_and(|c| c.is_held());
        if run.state.is_live() && run.claim.is_some() && !live_claim && run.kill.is_none() {
            return Err(format!("{} lives without a claim and is not being stopped", run.id));
        }
        if matches!(run.state, RunState::Ended(_))
            && live_claim
            && claim.is_some_and(|c| c.run == Some(run.id))
        {
            return Err(format!("{} is over and {:?} is still held", run.id, run.claim));
        }
        if run.waiting && run.state != RunState::Live(Phase::Queued) {
            return Err(format!("{} waits and is {}", run.id, run.state.word()));
        }
        if matches!(run.state, RunState::Ended(_)) != run.ended_at.is_some() {
            return Err(format!("{} is {} and ended at {:?}", run.id, run.state.word(), run.ended_at));
        }
    }
    let indexed: usize = world.ready().map(|(_, set)| set.len()).sum();
    let ready = world.cards.values().filter(|c| rank::withheld_by(world, c).is_none()).count();
    if indexed != ready {
        return Err(format!("{ready} cards are ready, the index has {indexed}"));
    }
    for claim in world.leases() {
        if claim.state != ClaimState::Held {
            return Err(format!("{} has a lease and is {:?}", claim.id, claim.state));
        }
    }
    Ok(())
}
