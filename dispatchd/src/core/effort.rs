//! How long was worked on an issue: the time of all claims on it, and for the built-in runner's of their runs alone, from when
//! they went ahead. A live claim counts up to its last sign of life.

use std::time::Duration;

use super::record::{CardKey, Claim, ClaimState};
use super::world::World;

/// How long this claim was worked under.
#[must_use]
pub fn of(world: &World, claim: &Claim) -> Duration {
    let run = claim.run.and_then(|id| world.runs.get(&id));
    // A run that waited for a slot and never got one took no time.
    let from = match run {
        Some(run) => run.began_at,
        None => Some(claim.claimed_at),
    };
    let seen = claim.expires_at - claim.lease;
    let until = match &claim.state {
        ClaimState::Held => seen,
        // Nobody was there any more long before it ran out.
        ClaimState::Expired => claim.ended_at.map_or(seen, |ended| ended.min(seen)),
        _ => claim.ended_at.unwrap_or(seen),
    };
    from.map_or(Duration::ZERO, |from| until.since(from))
}

/// How long was worked on what `key` names.
#[must_use]
pub fn on(world: &World, key: &CardKey) -> Duration {
    world.newest_claim(key).map_or(Duration::ZERO, |claim| claim.before.saturating_add(of(world, claim)))
}
