//! What became of a write to the forge.

use dispatch_shared::id::IntentId;
use dispatch_shared::issue::{IssueState, Status, agent_label, read_labels};
use dispatch_shared::protocol::activity::AuditRow;

use super::{DONE, settle, sync, umbrella};
use crate::core::command::{IntentResult, Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::intent::{Decided, column, moved_beside, moved_by_person, named};
use crate::core::record::{Card, Intent, IntentState, Wish, Write};
use crate::core::seen::SeenIssue;
use crate::core::transition::{self, CardEvent};

pub(super) fn settle(d: &mut Draft, id: IntentId, result: &IntentResult) -> Result<Reply, Refusal> {
    let Some(intent) = d.world.intents.get(&id).cloned() else {
        return Err(Refusal::Stale(format!("intent {id} is not pending any more")));
    };
    let (to, error) = match result {
        IntentResult::Done { .. } | IntentResult::Created { .. } => (IntentState::Done, None),
        IntentResult::Superseded { .. } => (IntentState::Superseded, None),
        IntentResult::Refused { why, .. } => (IntentState::Refused(why.clone()), Some(why.clone())),
        IntentResult::Later { due, error, .. } => (IntentState::Pending(*due), Some(error.clone())),
    };
    let state = transition::intent(&intent.state, to)?;
    let mut wrote = intent.wrote.clone();
    let mut touched = intent.touched;
    let mut same = intent.same.clone();
    if let IntentResult::Later { wrote: now, touched: this, same: others, .. } = result {
        same.extend(others.iter().filter(|l| !intent.same.contains(l)).cloned());
        wrote.extend(now.iter().filter(|l| !intent.wrote.contains(l)).cloned());
        touched |= *this;
    }
    let tries = intent.tries + 1;
    d.intent(Intent { state, tries, last_error: error, wrote, touched, same, ..(*intent).clone() });
    match result {
        IntentResult::Done { live, same } => {
            done(d, &intent, live)?;
            yield_to(d, &intent, same)?;
        }
        IntentResult::Superseded { live, took } => superseded(d, &intent, live, took)?,
        IntentResult::Created { child, unlinked } => {
            umbrella::created(d, &intent, child, unlinked.as_deref())?;
        }
        IntentResult::Refused { why, live, same } => {
            refused(d, &intent, why, live.as_deref().map(|live| (live, same.as_slice())))?;
        }
        IntentResult::Later { .. } => {}
    }
    Ok(DONE)
}

/// The intent's card; none if it is gone, and then there is nothing to change.
fn known(d: &Draft, intent: &Intent) -> Option<Card> {
    d.world.cards.get(&intent.card).filter(|c| !c.gone).map(|c| (**c).clone())
}

fn decided(intent: &Intent) -> Option<Decided<'_>> {
    let Wish::Labels { add, remove } = &intent.wish else { return None };
    Some(Decided { seen: &intent.seen_labels, add, remove, wrote: &intent.wrote, took: &[] })
}

/// The live labels are the newest that is known of the card.
fn looked(d: &Draft, card: &mut Card, live: &SeenIssue) {
    card.forge_labels.clone_from(&live.labels);
    card.labels = sync::overlaid(d, &card.key, &live.labels);
    settle::read_flags(card);
    card.wrote_at = Some(d.now);
}

/// The write is there; the read-back is the newest that is known of the forge's labels. What it shows beside our own
/// change somebody else did, between the look before the write and the look after it, or while the write waited.
fn done(d: &mut Draft, intent: &Intent, live: &SeenIssue) -> Result<(), Refusal> {
    let Some(mut card) = known(d, intent) else { return Ok(()) };
    let last = d.world.pending(&intent.card).next().is_none();
    // A refusal that came since stays on the card until something is asked of it again.
    if last && card.write == Some(Write::Pending) {
        card.write = None;
    }
    let Some(decided) = decided(intent) else {
        d.card(card);
        // As good as any other reading of it.
        return sync::issue(d, &intent.card.repo, live, Some(d.now));
    };
    looked(d, &mut card, live);
    let turned = card.state != live.state;
    let theirs = moved_by_person(decided, decided.remove, &live.labels, card.status)
        .filter(|_| last && live.state == IssueState::Open);
    if let Some(to) = theirs.filter(|_| !turned) {
        overruled(d, intent, &mut card, to)?;
    }
    let open = card.state == IssueState::Open && last && !turned;
    d.card(card);
    if turned {
        return self::turned(d, intent, live, theirs);
    }
    if open {
        let had: Vec<String> = decided.seen.iter().chain(decided.add).cloned().collect();
        let had: Vec<String> = had.into_iter().filter(|l| !decided.remove.contains(l)).collect();
        person(d, intent, &had, live, theirs.is_some())?;
        // Reopened after it was labelled as done, which a sync has told already.
        if named(&live.labels).contains(&Status::Done) {
            settle::follow(d, &intent.card, &[])?;
        }
    }
    Ok(())
}

/// Somebody else did the `same` as `intent` meanwhile, and so has said what further changes, decided before that, must not
/// undo.
fn yield_to(d: &mut Draft, intent: &Intent, same: &[String]) -> Result<(), Refusal> {
    let said = named(same).into_iter().find(|s| decided(intent).is_some_and(|w| named(w.add).contains(s)));
    if !let_go(d, intent, |label| same.contains(label) || said.is_some() && column(label).is_some()) {
        return Ok(());
    }
    let Some(mut card) = known(d, intent) else { return Ok(()) };
    card.labels = sync::overlaid(d, &intent.card, &card.forge_labels);
    settle::read_flags(&mut card);
    match said.filter(|_| card.state == IssueState::Open) {
        Some(to) => overruled(d, intent, &mut card, to)?,
        None => say_superseded(d, intent, &card),
    }
    d.card(card);
    Ok(())
}

/// Changes of the same card that wait behind `intent` let go of labels. Whether there were any.
fn let_go(d: &mut Draft, intent: &Intent, of: impl Fn(&String) -> bool) -> bool {
    let later: Vec<_> = d.world.pending(&intent.card).cloned().collect();
    let mut any = false;
    for later in later {
        let Wish::Labels { add, remove } = &later.wish else { continue };
        let keep = |labels: &[String]| labels.iter().filter(|l| !of(l)).cloned().collect::<Vec<_>>();
        let wish = Wish::Labels { add: keep(add), remove: keep(remove) };
        if wish != later.wish {
            any = true;
            d.intent(Intent { wish, ..(*later).clone() });
        }
    }
    any
}

/// Changes of the same card that wait behind `intent` were decided as if it had been carried out. It was not: they start
/// from `base`, and what needs no change there is not theirs to change later.
fn rebase(d: &mut Draft, intent: &Intent, base: &[String]) {
    let later: Vec<_> = d.world.pending(&intent.card).cloned().collect();
    let mut labels = base.to_vec();
    for later in later {
        let Wish::Labels { add, remove } = &later.wish else { continue };
        let add: Vec<String> = add.iter().filter(|l| !labels.contains(l)).cloned().collect();
        let remove: Vec<String> = remove.iter().filter(|l| labels.contains(l)).cloned().collect();
        let seen_labels = labels.clone();
        labels.retain(|l| !remove.contains(l));
        labels.extend(add.iter().cloned());
        d.intent(Intent { wish: Wish::Labels { add, remove }, seen_labels, ..(*later).clone() });
    }
}

/// The issue was closed or reopened meanwhile.
fn turned(d: &mut Draft, intent: &Intent, live: &SeenIssue, theirs: Option<Status>) -> Result<(), Refusal> {
    sync::issue(d, &intent.card.repo, live, Some(d.now))?;
    let Some(mut card) = known(d, intent) else { return Ok(()) };
    if card.state == IssueState::Closed {
        return Ok(());
    }
    // Reopened: of what its labels say only what a person said since counts.
    let before = named(&intent.seen_labels);
    if let Some(to) = theirs.filter(|s| named(&live.labels).contains(s) && !before.contains(s)) {
        card.status = transition::card(card.status, CardEvent::Moved(to))?;
    }
    d.card(card);
    settle::follow(d, &intent.card, &[])
}

/// What a person changed beside our write: a claim that does not fit any more goes, and so do labels that say otherwise.
/// `had` are the labels that there would be without the person.
fn person(
    d: &mut Draft,
    intent: &Intent,
    had: &[String],
    live: &SeenIssue,
    moved: bool,
) -> Result<(), Refusal> {
    let Some(card) = known(d, intent) else { return Ok(()) };
    let agents = read_labels(had.iter().map(String::as_str)).agents;
    let mut facts = read_labels(live.labels.iter().map(String::as_str));
    facts.status = Some(card.status);
    let agent = sync::after_person(d, &intent.card, &agents, &facts)?;
    if moved {
        let label: Vec<String> = agent.iter().map(agent_label).collect();
        settle::follow(d, &intent.card, &label)?;
    }
    Ok(())
}

/// Puts the card where a person put it, and says so.
fn overruled(d: &mut Draft, intent: &Intent, card: &mut Card, to: Status) -> Result<(), Refusal> {
    let before = card.status;
    card.status = transition::card(card.status, CardEvent::Moved(to))?;
    if card.status != before {
        card.since = d.now;
    }
    say_superseded(d, intent, card);
    Ok(())
}

fn say_superseded(d: &mut Draft, intent: &Intent, card: &Card) {
    d.audit(AuditRow {
        success: false,
        error_message: Some("superseded: a person changed the issue first".into()),
        notes: Some(format!("{} of {}; the card stands in {}", intent.id, intent.actor, card.status)),
        before_labels: Some(intent.seen_labels.clone()),
        after_labels: Some(card.forge_labels.clone()),
        ..settle::row(d, "dispatch", "supersede_write", &intent.card)
    });
}

/// A person changed the status meanwhile: the card stands where the person put it.
fn superseded(d: &mut Draft, intent: &Intent, live: &SeenIssue, took: &[String]) -> Result<(), Refusal> {
    let Some(mut card) = known(d, intent) else { return Ok(()) };
    let Some(decided) = decided(intent) else { return Ok(()) };
    // What was decided after it, and before the person's change was known, goes with it.
    let agents = |label: &String| label.to_ascii_lowercase().starts_with("agent/");
    let_go(d, intent, |label| column(label).is_some() || agents(label) && !live.labels.contains(label));
    rebase(d, intent, &live.labels);
    looked(d, &mut card, live);
    card.write = None;
    let theirs = moved_by_person(decided, took, &live.labels, card.status);
    if card.state != live.state {
        d.card(card.clone());
        turned(d, intent, live, theirs)?;
        if let Some(card) = known(d, intent) {
            say_superseded(d, intent, &card);
        }
        return Ok(());
    }
    if card.state == IssueState::Closed {
        say_superseded(d, intent, &card);
        d.card(card);
        return Ok(());
    }
    let to = theirs.unwrap_or(card.status);
    overruled(d, intent, &mut card, to)?;
    d.card(card);
    // A claim whose label was not written for it is as good as one whose label was taken away.
    let had: Vec<String> = decided.seen.iter().chain(decided.add).cloned().collect();
    person(d, intent, &had, live, true)
}

/// The forge said no: the card goes back to what the forge and the writes that still wait say, but a live claim is left
/// alone. Of what was looked at afterwards, `same` had been done by somebody else.
fn refused(
    d: &mut Draft,
    intent: &Intent,
    why: &str,
    looked_at: Option<(&SeenIssue, &[String])>,
) -> Result<(), Refusal> {
    let Some(mut card) = known(d, intent) else { return Ok(()) };
    let labels = card.labels.clone();
    if let Some((_, same)) = looked_at {
        let said = same.iter().any(|l| column(l).is_some());
        let_go(d, intent, |label| same.contains(label) || said && column(label).is_some());
    }
    rebase(d, intent, looked_at.map_or(&card.forge_labels, |(live, _)| &live.labels));
    match looked_at {
        Some((live, _)) => looked(d, &mut card, live),
        None => {
            card.labels = sync::overlaid(d, &intent.card, &card.forge_labels);
            settle::read_flags(&mut card);
        }
    }
    card.write = Some(Write::Refused(why.to_owned()));
    d.audit(AuditRow {
        success: false,
        error_message: Some(why.to_owned()),
        before_labels: Some(labels),
        after_labels: Some(card.labels.clone()),
        notes: Some(format!("{} of {}", intent.id, intent.actor)),
        ..settle::row(d, "dispatch", "refuse_write", &intent.card)
    });
    if let Wish::Child(child) = &intent.wish {
        d.card(card);
        return umbrella::not_created(d, intent, &child.title);
    }
    let free = d.world.held(&intent.card).is_none() && card.state == IssueState::Open;
    let (Some(decided), Some((live, same))) = (decided(intent), looked_at) else {
        let to = column_of(&card.labels);
        if free && card.status != to {
            card.status = transition::card(card.status, CardEvent::Moved(to))?;
            card.since = d.now;
        }
        d.card(card);
        return Ok(());
    };
    if card.state != live.state {
        d.card(card);
        return turned(d, intent, live, None);
    }
    half_written(d, intent, decided, card, (live, same))
}

/// Some of a change that was refused may be there. The card goes where a person put it meanwhile, else where it was; what
/// was added and is not wanted now is taken back, once: that adds nothing itself.
fn half_written(
    d: &mut Draft,
    intent: &Intent,
    decided: Decided<'_>,
    mut card: Card,
    (live, same): (&SeenIssue, &[String]),
) -> Result<(), Refusal> {
    let add: Vec<String> = decided.add.iter().filter(|l| !same.contains(l)).cloned().collect();
    let half = Decided { add: &add, ..decided };
    let free = d.world.held(&intent.card).is_none();
    let theirs = moved_beside(half, &live.labels).filter(|_| card.state == IssueState::Open);
    if let Some(to) = theirs {
        overruled(d, intent, &mut card, to)?;
    } else if free && card.state == IssueState::Open && !half.add.is_empty() {
        let there = named(&card.labels);
        let before = column_of(half.seen);
        let to = if there.contains(&before) || there.is_empty() { before } else { column_of(&card.labels) };
        if card.status != to {
            card.status = transition::card(card.status, CardEvent::Moved(to))?;
            card.since = d.now;
        }
    }
    d.card(card);
    // What was to be added and was not says nothing of a person.
    let had: Vec<String> = half.seen.iter().filter(|l| !half.remove.contains(l)).cloned().collect();
    person(d, intent, &had, live, theirs.is_some())?;
    if add.is_empty() || d.world.held(&intent.card).is_some() {
        return Ok(());
    }
    let ours: Vec<String> = add.iter().filter(|l| !half.seen.contains(l)).cloned().collect();
    settle::follow(d, &intent.card, &ours)
}

fn column_of(labels: &[String]) -> Status {
    let facts = read_labels(labels.iter().map(String::as_str));
    facts.status.filter(|s| *s != Status::Done).unwrap_or(Status::Backlog)
}
