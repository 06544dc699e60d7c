//! Moving a card by hand.

use dispatch_shared::id::ClaimId;
use dispatch_shared::issue::{IssueState, Status};

use super::settle::{self, AgentLabel, Relabel};
use crate::core::command::{Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::record::CardKey;
use crate::core::transition::{CardEvent, ClaimEvent};

/// Puts the card into `to`. Out of in-progress this ends a live claim: into in-review as given back, else taken away.
/// Into ready it clears what withheld the card: flags, the pause after a failure, and the count of failures.
pub(super) fn to(
    d: &mut Draft,
    key: &CardKey,
    to: Status,
    named: Option<ClaimId>,
    actor: &str,
) -> Result<Reply, Refusal> {
    let mut card = settle::card(d, key)?;
    let subject = settle::name(d, key);
    if card.state == IssueState::Closed {
        return Err(Refusal::Closed(format!("{subject} is closed; reopen it on the forge first")));
    }
    if to == Status::Done {
        return Err(Refusal::Illegal(format!(
            "{subject} is open, and only closed means done; close it on the forge"
        )));
    }
    let held = settle::fence(d, key, named)?;
    let withheld = !card.flags.is_empty() || card.not_before.is_some() || card.failures > 0;
    if card.status == to && held.is_none() && !(to == Status::Ready && withheld) {
        return Ok(Reply::Done);
    }
    if let Some(claim) = held.filter(|_| to != Status::InProgress) {
        let event = match to {
            Status::InReview => ClaimEvent::Release(actor.to_owned()),
            _ => ClaimEvent::Revoke(format!("{actor} moved the card to {to}")),
        };
        settle::end_claim(d, &claim, event)?;
    }
    if to == Status::Ready {
        card.failures = 0;
        card.not_before = None;
        card.question = None;
    }
    let change = Relabel {
        event: Some(CardEvent::Moved(to)),
        agent: match to {
            Status::Backlog | Status::Ready => AgentLabel::Clear,
            _ => AgentLabel::Keep,
        },
        clear: if to == Status::Ready { &settle::STOPPERS } else { &[] },
        ..Relabel::new(actor, "move_issue")
    };
    settle::relabel(d, &mut card, &change)?;
    Ok(Reply::Done)
}
