//! What became of a write to the forge.

use dispatch_shared::id::IntentId;
use dispatch_shared::issue::{IssueState, Status, read_labels};
use dispatch_shared::protocol::activity::AuditRow;

use super::{DONE, settle, sync, umbrella};
use crate::core::command::{IntentResult, Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::record::{Intent, IntentState, Wish, Write};
use crate::core::transition::{self, CardEvent};

pub(super) fn settle(d: &mut Draft, id: IntentId, result: &IntentResult) -> Result<Reply, Refusal> {
    let Some(intent) = d.world.intents.get(&id).cloned() else {
        return Err(Refusal::Stale(format!("intent {id} is not pending any more")));
    };
    let (to, error) = match result {
        IntentResult::Done { .. } | IntentResult::Created { .. } => (IntentState::Done, None),
        IntentResult::Superseded { .. } => (IntentState::Superseded, None),
        IntentResult::Refused(why) => (IntentState::Refused(why.clone()), Some(why.clone())),
        IntentResult::Later { due, error } => (IntentState::Pending(*due), Some(error.clone())),
    };
    let state = transition::intent(&intent.state, to)?;
    d.intent(Intent { state, tries: intent.tries + 1, last_error: error, ..(*intent).clone() });
    match result {
        IntentResult::Done { labels } => done(d, &intent, labels),
        IntentResult::Superseded { labels } => superseded(d, &intent, labels)?,
        IntentResult::Created { child, unlinked } => {
            umbrella::created(d, &intent, child, unlinked.as_deref())?;
        }
        IntentResult::Refused(why) => refused(d, &intent, why)?,
        IntentResult::Later { .. } => {}
    }
    Ok(DONE)
}

/// The write is there; the read-back is the newest that is known of the forge's labels.
fn done(d: &mut Draft, intent: &Intent, labels: &[String]) {
    let Some(mut card) = d.world.cards.get(&intent.card).map(|c| (**c).clone()) else { return };
    if matches!(intent.wish, Wish::Labels { .. }) {
        card.forge_labels = labels.to_vec();
        card.labels = sync::overlaid(d, &intent.card, labels);
        settle::read_flags(&mut card);
        card.wrote_at = Some(d.now);
    }
    if d.world.pending(&intent.card).next().is_none() {
        card.write = None;
    }
    d.card(card);
}

/// A person changed the status meanwhile: the card stands where the person put it.
fn superseded(d: &mut Draft, intent: &Intent, labels: &[String]) -> Result<(), Refusal> {
    let facts = read_labels(labels.iter().map(String::as_str));
    let mut card = settle::card(d, &intent.card)?;
    card.forge_labels = labels.to_vec();
    card.labels = sync::overlaid(d, &intent.card, labels);
    settle::read_flags(&mut card);
    card.write = None;
    let before = card.status;
    if card.state == IssueState::Open {
        let to = facts.status.filter(|s| *s != Status::Done).unwrap_or(Status::Backlog);
        card.status = transition::card(card.status, CardEvent::Moved(to))?;
    }
    if card.status != before {
        card.since = d.now;
    }
    let status = card.status;
    d.card(card);
    d.audit(AuditRow {
        success: false,
        error_message: Some("superseded: a person changed the status first".into()),
        notes: Some(format!("{} of {}; the card stands in {status}", intent.id, intent.actor)),
        after_labels: Some(labels.to_vec()),
        ..settle::row(d, "dispatch", "supersede_write", &intent.card)
    });
    sync::after_person(d, &intent.card, &facts)
}

/// The forge said no: the card goes back to where it was, but a live claim is left alone.
fn refused(d: &mut Draft, intent: &Intent, why: &str) -> Result<(), Refusal> {
    let mut card = settle::card(d, &intent.card)?;
    let labels = card.labels.clone();
    card.labels = sync::overlaid(d, &intent.card, &card.forge_labels);
    settle::read_flags(&mut card);
    card.write = Some(Write::Refused(why.to_owned()));
    if d.world.held(&intent.card).is_none()
        && card.state == IssueState::Open
        && card.status != intent.revert_to
    {
        card.status = transition::card(card.status, CardEvent::Moved(intent.revert_to))?;
        card.since = d.now;
    }
    let after = card.labels.clone();
    d.card(card);
    if let Wish::Child(child) = &intent.wish {
        umbrella::not_created(d, intent, &child.title)?;
    }
    d.audit(AuditRow {
        success: false,
        error_message: Some(why.to_owned()),
        before_labels: Some(labels),
        after_labels: Some(after),
        notes: Some(format!("{} of {}", intent.id, intent.actor)),
        ..settle::row(d, "dispatch", "refuse_write", &intent.card)
    });
    Ok(())
}
