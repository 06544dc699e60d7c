//! Eligibility and order.

use dispatch_shared::issue::{IssueState, Status};
use dispatch_shared::protocol::issues::WhyRule;

use super::record::Card;
use super::world::World;

/// The rules that hold or not whatever the time and the asker.
#[must_use]
pub fn fixed_rules(_world: &World, card: &Card) -> Vec<WhyRule> {
    vec![WhyRule {
        rule: "ready".into(),
        holds: card.state == IssueState::Open && card.status == Status::Ready,
        why: String::new(),
    }]
}
