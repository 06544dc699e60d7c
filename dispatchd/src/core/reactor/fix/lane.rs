//! The lane that a request names for an item: a tier or a configured lane.

use dispatch_shared::followup::FixLane;

use crate::core::command::Refusal;
use crate::core::draft::Draft;
use crate::core::fix::Fix;
use crate::core::fix::pick::{self, LaneAsk};

/// The lane that a request means: `None` leaves it to the card.
pub(super) fn meant(d: &Draft, fix: &Fix, ask: &LaneAsk) -> Result<Option<String>, Refusal> {
    let policy = &d.world.policy;
    match ask {
        LaneAsk::Tier(FixLane::NeedsHuman) => Ok(fix.lane.clone()),
        LaneAsk::Tier(FixLane::Escalated) => Ok(Some(pick::escalation(policy).to_owned())),
        LaneAsk::Tier(FixLane::Normal) => {
            let of_card = Fix { lane: None, ..fix.clone() };
            let own = pick::lane_of(&d.world, &of_card);
            let fits = pick::tier(policy, &own) == Some(FixLane::Normal);
            Ok((!fits).then(|| policy.default_lane().to_owned()))
        }
        LaneAsk::Id(id) if pick::tier(policy, id).is_some() => Ok(Some(id.clone())),
        LaneAsk::Id(id) => {
            Err(Refusal::Invalid(format!("nothing is handed out from lane {id}; name another")))
        }
    }
}

/// Reads the lane that a request names.
pub(super) fn read(d: &Draft, text: Option<&str>) -> Result<Option<LaneAsk>, Refusal> {
    text.map(|t| pick::read_lane(&d.world.policy, t)).transpose().map_err(Refusal::UnknownLane)
}
