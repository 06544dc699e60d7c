//! Claiming by name, giving back, renewing.

use dispatch_shared::claim::Checkpoint;
use dispatch_shared::id::{AgentName, ClaimId};
use dispatch_shared::issue::{IssueState, read_labels};
use dispatch_shared::task::TaskType;

use super::take::{self, Maker};
use super::{settle, standing};
use crate::core::command::{Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::record::{CardKey, Claim};
use crate::core::transition::ClaimEvent;
use crate::core::work::Notes;

pub(super) fn claim(
    d: &mut Draft,
    key: &CardKey,
    agent: &AgentName,
    force: bool,
    actor: &str,
) -> Result<Reply, Refusal> {
    let card = settle::card(d, key)?;
    let subject = settle::name(d, key);
    if card.state == IssueState::Closed {
        return Err(Refusal::Closed(format!("{subject} is closed; reopen it on the forge first")));
    }
    standing::takes_work(d, key)?;
    if let Some(held) = d.world.held(key).cloned() {
        if &held.agent == agent && held.run.is_none() && held.kind != TaskType::Groom {
            d.claim(renewed(d, &held));
            return Ok(Reply::Claimed { claim: held.id, run: None, repeated: true });
        }
        let own_grooming = &held.agent == agent && held.kind == TaskType::Groom;
        if !force && !own_grooming {
            return Err(Refusal::Held(format!(
                "{subject} is held by {} until {}; an operator can take it with force",
                held.agent, held.expires_at
            )));
        }
        if own_grooming {
            settle::end_claim(d, &held, ClaimEvent::Release(agent.to_string()))?;
        } else {
            settle::revoke(d, key, &format!("{actor} claimed it for {agent} by force"))?;
        }
    } else if !force {
        let others: Vec<AgentName> = read_labels(card.labels.iter().map(String::as_str))
            .agents
            .into_iter()
            .filter(|a| a != agent)
            .collect();
        if let Some(other) = others.first() {
            return Err(Refusal::Held(format!(
                "{subject} is assigned to {other} by its label; an operator can take it with force"
            )));
        }
    }
    let card = settle::card(d, key)?;
    let (id, run) = take::make(d, card, &Maker { agent, actor, runner: false, key: None, clear: &[] })?;
    Ok(Reply::Claimed { claim: id, run, repeated: false })
}

pub(super) fn unclaim(
    d: &mut Draft,
    key: &CardKey,
    agent: Option<&AgentName>,
    named: Option<ClaimId>,
    actor: &str,
) -> Result<Reply, Refusal> {
    settle::card(d, key)?;
    let subject = settle::name(d, key);
    let Some(held) = settle::fence(d, key, named)? else {
        if let Some(agent) = agent {
            settle::not_revoked(d, key, agent)?;
        }
        return unassign(d, key, agent, actor);
    };
    if let Some(agent) = agent.filter(|a| **a != held.agent) {
        return Err(Refusal::Invalid(format!("{subject} is held by {}, not by {agent}", held.agent)));
    }
    settle::end_claim(d, &held, ClaimEvent::Release(actor.to_owned()))?;
    if held.kind == TaskType::FollowupPr {
        d.audit(settle::row(d, actor, "unclaim_issue", key));
        return Ok(Reply::Done);
    }
    let action = if agent.is_some() { "unclaim_issue" } else { "unclaim_issue_by_operator" };
    settle::give_back_claim(d, &held, actor, action, None)?;
    Ok(Reply::Done)
}

/// A card without a live claim: a label that says somebody works on it may still be there (a lost store, a second
/// Dispatch); the operator may take it away.
fn unassign(d: &mut Draft, key: &CardKey, agent: Option<&AgentName>, actor: &str) -> Result<Reply, Refusal> {
    let card = settle::card(d, key)?;
    let subject = settle::name(d, key);
    let agents = read_labels(card.labels.iter().map(String::as_str)).agents;
    let mine = agent.is_none_or(|a| agents.contains(a));
    if agents.is_empty() || !mine {
        let who = agent.map_or("anybody", |a| a.as_str());
        return Err(Refusal::Invalid(format!("{subject} is not held by {who}")));
    }
    if card.state == IssueState::Closed {
        return Err(Refusal::Closed(format!("{subject} is closed")));
    }
    settle::give_back(d, key, actor, "unclaim_issue", Some("there was a label but no lease"))?;
    Ok(Reply::Done)
}

pub(super) fn renew(
    d: &mut Draft,
    agent: &AgentName,
    named: Option<ClaimId>,
    checkpoint: Option<Checkpoint>,
) -> Result<Reply, Refusal> {
    let held: Vec<_> = d.world.held_by(agent).cloned().collect();
    let chosen: Vec<_> = match named {
        None => held,
        Some(id) => {
            let Some(claim) = held.into_iter().find(|c| c.id == id) else {
                let card = d.world.claims.get(&id).map(|c| c.card.clone());
                return Err(match card {
                    Some(card) => settle::ended(d, &card, id),
                    None => {
                        Refusal::Stale(format!("claim {id} is not held by {agent}; ask for the next task"))
                    }
                });
            };
            vec![claim]
        }
    };
    let mut renewed = Vec::new();
    for claim in chosen {
        renewed.push(claim.id);
        let again = self::renewed(d, &claim);
        d.claim(Claim { checkpoint: checkpoint.or(claim.checkpoint), ..again });
    }
    Ok(Reply::Renewed(renewed))
}

/// The claim with its lease reaching at least one length beyond now, never less far than before.
pub(super) fn renewed(d: &Draft, claim: &Claim) -> Claim {
    let notes = Notes { renewed_at: Some(d.now), ..claim.notes.clone() };
    Claim { expires_at: claim.expires_at.max(d.now + claim.lease), notes, ..claim.clone() }
}
