//! What must hold after every step. Tests call this after each; it is not run in production.

use std::collections::BTreeSet;

use dispatch_shared::issue::{IssueState, Status};
use dispatch_shared::run::RunState;

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
        let card = world.cards.get(&claim.card).ok_or_else(|| format!("{} is on no card", claim.id))?;
        if claim.attempt > card.attempt {
            return Err(format!("{} has an attempt that {} never handed out", claim.id, card.key.id()));
        }
        if claim.is_held() && !subjects.insert(claim.card.clone()) {
            return Err(format!("{} is held twice", claim.card.id()));
        }
        if claim.is_held() && card.state == IssueState::Closed {
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
    for run in world.runs.values() {
        let claim = world.claims.get(&run.claim);
        let live_claim = claim.is_some_and(|c| c.is_held());
        if run.state.is_live() && !live_claim && run.kill.is_none() {
            return Err(format!("{} lives without a claim and is not being stopped", run.id));
        }
        if matches!(run.state, RunState::Ended(_))
            && live_claim
            && claim.is_some_and(|c| c.run == Some(run.id))
        {
            return Err(format!("{} is over and {} is still held", run.id, run.claim));
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
