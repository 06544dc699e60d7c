//! What became of a write to the forge.

use dispatch_shared::id::IntentId;
use dispatch_shared::issue::{IssueState, LabelFacts, Status, read_labels};
use dispatch_shared::protocol::activity::AuditRow;

use super::{DONE, settle, sync, umbrella};
use crate::core::command::{IntentResult, Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::record::{Card, Intent, IntentState, Wish, Write};
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
        IntentResult::Done { labels } => done(d, &intent, labels)?,
        IntentResult::Superseded { labels } => superseded(d, &intent, labels)?,
        IntentResult::Created { child, unlinked } => {
            umbrella::created(d, &intent, child, unlinked.as_deref())?;
        }
        IntentResult::Refused(why) => refused(d, &intent, why)?,
        IntentResult::Later { .. } => {}
    }
    Ok(DONE)
}

/// The write is there; the read-back is the newest that is known of the forge's labels. What it shows beside our own
/// change somebody else did, between the look before the write and the look after it, or while the write waited.
fn done(d: &mut Draft, intent: &Intent, labels: &[String]) -> Result<(), Refusal> {
    let Some(mut card) = known(d, intent) else { return Ok(()) };
    let last = d.world.pending(&intent.card).next().is_none();
    if last {
        card.write = None;
    }
    if !matches!(intent.wish, Wish::Labels { .. }) {
        d.card(card);
        return Ok(());
    }
    card.forge_labels = labels.to_vec();
    card.labels = sync::overlaid(d, &intent.card, labels);
    settle::read_flags(&mut card);
    card.wrote_at = Some(d.now);
    let facts = read_labels(labels.iter().map(String::as_str));
    let theirs = theirs(intent, labels, card.status);
    if !last || card.state == IssueState::Closed {
        d.card(card);
        return Ok(());
    }
    if let Some(to) = theirs {
        card.status = transition::card(card.status, CardEvent::Moved(to))?;
        card.since = d.now;
    }
    d.card(card);
    sync::after_person(d, &intent.card, &LabelFacts { status: theirs.or(facts.status), ..facts })
}

/// The column that a person put the card into, if the labels read back name another one than `ours` that was not there
/// before our write, or that our write took away.
fn theirs(intent: &Intent, labels: &[String], ours: Status) -> Option<Status> {
    let Wish::Labels { remove, .. } = &intent.wish else { return None };
    let named = columns(labels);
    if named.is_empty() {
        return (ours != Status::Backlog).then_some(Status::Backlog);
    }
    let (seen, removed) = (columns(&intent.seen_labels), columns(remove));
    named.into_iter().find(|s| *s != ours && (!seen.contains(s) || removed.contains(s)))
}

/// The columns that labels name; one that says done on an open issue names none.
fn columns(labels: &[String]) -> Vec<Status> {
    let named = labels.iter().filter(|l| l.to_ascii_lowercase().starts_with("status/"));
    named.filter_map(|l| Status::read(l)).filter(|s| *s != Status::Done).collect()
}

/// The intent's card; none if it is gone, and then there is nothing to change.
fn known(d: &Draft, intent: &Intent) -> Option<Card> {
    d.world.cards.get(&intent.card).filter(|c| !c.gone).map(|c| (**c).clone())
}

/// A person changed the status meanwhile: the card stands where the person put it.
fn superseded(d: &mut Draft, intent: &Intent, labels: &[String]) -> Result<(), Refusal> {
    let facts = read_labels(labels.iter().map(String::as_str));
    let Some(mut card) = known(d, intent) else { return Ok(()) };
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

/// The forge said no: the card goes back to what the forge and the writes that still wait say, but a live claim is left
/// alone.
fn refused(d: &mut Draft, intent: &Intent, why: &str) -> Result<(), Refusal> {
    let Some(mut card) = known(d, intent) else { return Ok(()) };
    let labels = card.labels.clone();
    card.labels = sync::overlaid(d, &intent.card, &card.forge_labels);
    settle::read_flags(&mut card);
    card.write = Some(Write::Refused(why.to_owned()));
    let facts = read_labels(card.labels.iter().map(String::as_str));
    let to = facts.status.filter(|s| *s != Status::Done).unwrap_or(Status::Backlog);
    if d.world.held(&intent.card).is_none() && card.state == IssueState::Open && card.status != to {
        card.status = transition::card(card.status, CardEvent::Moved(to))?;
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
