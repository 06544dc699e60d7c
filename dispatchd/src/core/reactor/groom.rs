//! Grooming: lanes set, decisions of groomers, and their claims, which move nothing.

use std::time::Duration;

use dispatch_shared::issue::{Flag, IssueState, Status};
use dispatch_shared::protocol::grooming::{GroomAction, GroomerRun};
use dispatch_shared::task::{Outcome, TaskType};

use super::settle::{self, AgentLabel, Relabel};
use crate::core::command::{Refusal, Reply, Take};
use crate::core::draft::Draft;
use crate::core::grooming::{self, Groom, LaneNote, SetLane};
use crate::core::record::{Card, CardKey, Claim, Taking, Wish};
use crate::core::transition::CardEvent;
use crate::core::{lane, limits, retry};
use dispatch_shared::protocol::activity::AuditRow;

/// How long a groomer is silent on an issue after a comment.
const COOLDOWN: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn configured(d: &Draft, text: &str) -> Result<String, Refusal> {
    d.world.policy.lane(text).map(|l| l.id.clone()).ok_or_else(|| {
        let known: Vec<&str> = d.world.policy.lanes.iter().map(|l| l.id.as_str()).collect();
        Refusal::UnknownLane(format!("there is no lane `{text}`; there are {}", known.join(", ")))
    })
}

fn never_rewritten(d: &Draft, card: &Card) -> Refusal {
    Refusal::Illegal(format!(
        "{} names the lane {}, which is not configured; a lane that is not known here is never rewritten by a program: \
         configure it, or set another by hand",
        settle::name(d, &card.key),
        d.world.lane_of(card)
    ))
}

fn put_lane(d: &Draft, card: &mut Card, id: String, note: LaneNote) -> String {
    let before = d.world.lane_of(card).to_owned();
    let by = note.model.as_deref().unwrap_or("by hand");
    let said =
        format!("lane {before} -> {id} ({} confidence, {by}): {}", note.confidence.word(), note.reason);
    card.lane_override = Some(id);
    card.grooming.lane = Some(note);
    said
}

pub(super) fn set_lane(d: &mut Draft, set: &SetLane) -> Result<Reply, Refusal> {
    let mut card = settle::card(d, &set.card)?;
    let id = configured(d, &set.lane)?;
    if set.model.is_some() && lane::is_unknown(&d.world, &card) {
        return Err(never_rewritten(d, &card));
    }
    let note = LaneNote {
        confidence: set.confidence,
        reason: set.reason.clone(),
        model: set.model.clone(),
        at: d.now,
    };
    let notes = put_lane(d, &mut card, id, note);
    d.card(card);
    d.audit(AuditRow { notes: Some(notes), ..settle::row(d, &set.actor, "set_lane", &set.card) });
    Ok(Reply::Done)
}

/// Selects the next card to groom and claims it; card and labels stay as they are.
pub(super) fn take(d: &mut Draft, take: &Take, lane: Option<&str>) -> Result<Reply, Refusal> {
    if limits::held_by(&d.world, &take.agent) >= take.slots {
        return Ok(Reply::Idle);
    }
    let Some(key) = grooming::next(&d.world, d.now, lane, take.repos.as_deref()) else {
        return Ok(Reply::Idle);
    };
    let mut card = settle::card(d, &key)?;
    let id = d.next_claim();
    card.attempt = card.attempt.next(d.world.meta.epoch);
    let lease = d.world.policy.lease_of(take.agent.as_str(), false);
    let (agent, kind, attempt) = (take.agent.clone(), TaskType::Groom, card.attempt);
    let claim = Claim {
        idempotency_key: take.idempotency_key.clone(),
        issue_seen: card.updated_at,
        ..Claim::taken(Taking { id, card: key.clone(), agent, kind, attempt, lease }, d.now)
    };
    d.card(card);
    d.claim(claim);
    let notes = Some(format!("{id}, to groom; the card stays where it is"));
    d.audit(AuditRow { notes, ..settle::row(d, take.agent.as_str(), "claim_issue", &key) });
    Ok(Reply::Claimed { claim: id, run: None, repeated: false })
}

/// What a groomer's report leaves: the card goes where its labels say, and is not groomed again, or later if it failed.
pub(super) fn reported(d: &mut Draft, key: &CardKey, outcome: Outcome) -> Result<(), Refusal> {
    let mut card = settle::card(d, key)?;
    if outcome == Outcome::Failed {
        card.grooming.failures = card.grooming.failures.saturating_add(1);
        card.grooming.not_before = Some(d.now + retry::backoff(card.grooming.failures));
    } else {
        card.grooming.groomed_at = Some(d.now);
        card.grooming.failures = 0;
        card.grooming.not_before = None;
    }
    d.card(card);
    Ok(())
}

/// Keeps a run of the hosted groomer; returns its number.
fn keep(d: &mut Draft, run: &GroomerRun) -> u64 {
    let id = d.meta(|m| {
        m.last_groomer_run += 1;
        m.last_groomer_run
    });
    d.groomer_run(GroomerRun { id, ..run.clone() });
    id
}

pub(super) fn keep_run(d: &mut Draft, run: &GroomerRun, counts: bool) -> Result<Reply, Refusal> {
    let id = keep(d, run);
    let key = run.issue_id.as_ref().and_then(|id| d.world.card_by_id(id)).map(|c| c.key.clone());
    if let Some(key) = key.filter(|_| counts) {
        reported(d, &key, Outcome::Failed)?;
    }
    Ok(Reply::Groomed { commented: false, run: Some(id) })
}

pub(super) fn groom(d: &mut Draft, groom: &Groom) -> Result<Reply, Refusal> {
    let mut card = settle::card(d, &groom.card)?;
    let subject = settle::name(d, &groom.card);
    may_be_groomed(d, &card, groom, &subject)?;
    let mut notes = vec![groom.action.word().to_owned()];
    if let Some((id, note)) = wanted_lane(d, &card, groom)? {
        notes.push(put_lane(d, &mut card, id, note));
    }
    card.grooming.groomed_at = Some(d.now);
    card.grooming.failures = 0;
    card.grooming.not_before = None;
    let (event, raise, clear): (_, &[Flag], &[Flag]) = match groom.action {
        GroomAction::PromoteToReady => {
            card.failures = 0;
            card.not_before = None;
            card.question = None;
            (Some(CardEvent::Moved(Status::Ready)), &[], &settle::STOPPERS)
        }
        GroomAction::Escalate => (None, &[], &[]),
        GroomAction::MarkNotReady => (Some(CardEvent::Moved(Status::Backlog)), &[], &[]),
        GroomAction::MarkNeedsInfo => (None, &[Flag::NeedsInfo], &[]),
        GroomAction::MarkBlocked => (None, &[Flag::Blocked], &[]),
    };
    if !raise.is_empty() {
        card.question = groom.reason.clone().or_else(|| groom.summary.clone());
    }
    let comment =
        comment(groom).filter(|_| card.grooming.commented_at.is_none_or(|at| at + COOLDOWN <= d.now));
    if comment.is_some() {
        card.grooming.commented_at = Some(d.now);
    }
    notes.extend(groom.summary.clone());
    notes.extend(groom.reason.clone());
    let notes = notes.join("; ");
    let change = Relabel {
        event,
        agent: if event.is_some() { AgentLabel::Clear } else { AgentLabel::Keep },
        raise,
        clear,
        add: &groom.labels,
        notes: Some(&notes),
        ..Relabel::new(&groom.actor, "groom_issue")
    };
    settle::relabel(d, &mut card, &change)?;
    let commented = comment.is_some();
    if let Some(body) = comment {
        d.wish(&card, card.labels.clone(), Wish::Comment { body }, &groom.actor);
    }
    let run = groom.run.as_ref().map(|run| keep(d, run));
    Ok(Reply::Groomed { commented, run })
}

fn may_be_groomed(d: &Draft, card: &Card, groom: &Groom, subject: &str) -> Result<(), Refusal> {
    if card.state == IssueState::Closed {
        return Err(Refusal::Closed(format!("{subject} is closed; reopen it on the forge first")));
    }
    if groom.seen.is_some_and(|seen| seen != card.updated_at) {
        return Err(Refusal::Stale(format!("{subject} changed while it was looked at; look again")));
    }
    if let Some(held) = d.world.held(&groom.card)
        && (held.kind != TaskType::Groom || groom.seen.is_some())
    {
        return Err(Refusal::Held(format!("{subject} is held by {}; release it first", held.agent)));
    }
    let moves = matches!(groom.action, GroomAction::PromoteToReady | GroomAction::MarkNotReady);
    if moves && settle::has_open_pull(d, card) {
        return Err(Refusal::Illegal(format!("{subject} has an open pull request; it stays in review")));
    }
    Ok(())
}

/// The lane that the decision sets, if it sets one. What is not known here is never rewritten.
fn wanted_lane(d: &Draft, card: &Card, groom: &Groom) -> Result<Option<(String, LaneNote)>, Refusal> {
    let unknown = lane::is_unknown(&d.world, card);
    let reason = groom.reason.clone().or_else(|| groom.summary.clone()).unwrap_or_default();
    let note = |confidence, model| LaneNote { confidence, reason: reason.clone(), model, at: d.now };
    if groom.action == GroomAction::Escalate {
        let Some(up) = lane::escalation(&d.world.policy) else {
            return Err(Refusal::Invalid(
                "no lane has the role escalation; give it to one in the configuration".into(),
            ));
        };
        if unknown {
            return Err(never_rewritten(d, card));
        }
        let model = groom.lane.as_ref().map(|(_, _, model)| model.clone());
        return Ok(Some((up.to_owned(), note(dispatch_shared::protocol::lanes::Confidence::High, model))));
    }
    let Some((text, confidence, model)) = groom.lane.as_ref().filter(|_| !unknown) else { return Ok(None) };
    let id = configured(d, text)?;
    let same = d.world.lane_of(card) == id;
    Ok((!same).then(|| (id, note(*confidence, Some(model.clone())))))
}

fn comment(groom: &Groom) -> Option<String> {
    let heading = match groom.action {
        GroomAction::PromoteToReady => "ready to be worked on",
        GroomAction::Escalate => "escalated",
        GroomAction::MarkNotReady => "not ready",
        GroomAction::MarkNeedsInfo => "needs information",
        GroomAction::MarkBlocked => "blocked",
    };
    let said: Vec<&str> = [groom.summary.as_deref(), groom.reason.as_deref()].into_iter().flatten().collect();
    (!said.is_empty()).then(|| format!("**Groomed: {heading}**\n\n{}", said.join("\n\n")))
}
