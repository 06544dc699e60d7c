//! Umbrella issues: split into children, which are made on the forge, followed, and told of when all are closed. The
//! umbrella itself is marked then; it is a person who closes it.

use dispatch_shared::issue::{Flag, IssueState};
use dispatch_shared::protocol::activity::AuditRow;

use super::settle::{self, Relabel};
use super::{DONE, standing, sync};
use crate::core::command::{Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::grooming::{Decompose, MakeChildren, NewChild, Umbrella};
use crate::core::record::{Card, CardKey, Intent, Wish};
use crate::core::seen::SeenIssue;
use crate::core::world::World;

const COMPLETE: &str = "all children are closed; close this issue if nothing is left to do";

pub(super) fn decompose(d: &mut Draft, split: &Decompose) -> Result<Reply, Refusal> {
    let mut card = settle::card(d, &split.card)?;
    let mut umbrella = card.grooming.umbrella.take().unwrap_or_default();
    umbrella.decomposed = split.decomposed;
    if let Some(note) = &split.note {
        umbrella.note = Some(note.clone());
    }
    if let Some(urls) = &split.urls {
        umbrella.children = urls.iter().filter_map(|url| find(&d.world, &card, url)).collect();
        umbrella.urls.clone_from(urls);
    }
    let notes = format!(
        "{}, {} follow-up(s){}",
        if split.decomposed { "split" } else { "not split any more" },
        umbrella.urls.len(),
        split.note.as_deref().map(|n| format!(": {n}")).unwrap_or_default()
    );
    card.grooming.umbrella = Some(umbrella);
    d.card(card);
    d.audit(AuditRow { notes: Some(notes), ..settle::row(d, &split.actor, "decompose_issue", &split.card) });
    judge(d, &split.card)?;
    Ok(DONE)
}

/// The card that an address names: `…/owner/name/issues/7`, or the address of a card of the same repository.
fn find(world: &World, card: &Card, url: &str) -> Option<CardKey> {
    let mut parts = url.trim_end_matches('/').rsplit('/');
    let mut by_name = || {
        let number = parts.next()?.parse().ok()?;
        parts.next().filter(|word| *word == "issues")?;
        let (name, owner) = (parts.next()?, parts.next()?);
        let repo = world.repo_named(&format!("{owner}/{name}").parse().ok()?)?;
        Some(CardKey { repo: repo.key.clone(), number })
    };
    let found = by_name().filter(|key| world.cards.contains_key(key));
    let same = || world.cards_of(&card.key.repo).into_iter().find(|c| c.url == url).map(|c| c.key.clone());
    found.or_else(same).filter(|key| *key != card.key)
}

pub(super) fn make(d: &mut Draft, make: &MakeChildren) -> Result<Reply, Refusal> {
    let mut card = settle::card(d, &make.card)?;
    let subject = settle::name(d, &make.card);
    if card.state == IssueState::Closed {
        return Err(Refusal::Closed(format!("{subject} is closed; reopen it on the forge first")));
    }
    standing::takes_work(d, &make.card)?;
    let mut umbrella = card.grooming.umbrella.take().unwrap_or_default();
    let known = titles(&d.world, &umbrella);
    let fresh: Vec<&NewChild> = make.items.iter().filter(|i| !known.contains(&i.title)).collect();
    umbrella.decomposed |= !make.items.is_empty();
    umbrella.complete_at = None;
    umbrella.pending.extend(fresh.iter().map(|i| i.title.clone()));
    let notes = format!("{} to be made, {} there already", fresh.len(), make.items.len() - fresh.len());
    card.grooming.umbrella = Some(umbrella);
    d.card(card.clone());
    for child in fresh {
        d.wish(&card, card.labels.clone(), Wish::Child(child.clone()), &make.actor);
    }
    d.audit(AuditRow { notes: Some(notes), ..settle::row(d, &make.actor, "create_children", &make.card) });
    Ok(DONE)
}

/// The titles of the children that are there or on their way.
fn titles(world: &World, umbrella: &Umbrella) -> Vec<String> {
    let there = umbrella.children.iter().filter_map(|key| world.cards.get(key)).map(|c| c.title.clone());
    there.chain(umbrella.pending.iter().cloned()).collect()
}

/// The forge has made a child; `unlinked` says why its parent's text does not name it.
pub(super) fn created(
    d: &mut Draft,
    intent: &Intent,
    child: &SeenIssue,
    unlinked: Option<&str>,
) -> Result<(), Refusal> {
    sync::issue(d, &intent.card.repo, child, None)?;
    let mut card = settle::card(d, &intent.card)?;
    let mut umbrella = card.grooming.umbrella.take().unwrap_or_default();
    if let Wish::Child(wished) = &intent.wish {
        umbrella.pending.retain(|t| *t != wished.title);
    }
    let key = CardKey { repo: intent.card.repo.clone(), number: child.number };
    if !umbrella.children.contains(&key) {
        umbrella.children.push(key);
        umbrella.urls.push(child.url.clone());
    }
    card.grooming.umbrella = Some(umbrella);
    if d.world.pending(&intent.card).next().is_none() {
        card.write = None;
    }
    d.card(card);
    let notes = match unlinked {
        None => format!("#{} {}", child.number, child.title),
        Some(why) => format!("#{} {}; the parent's text does not name it: {why}", child.number, child.title),
    };
    d.audit(AuditRow { notes: Some(notes), ..settle::row(d, &intent.actor, "create_child", &intent.card) });
    judge(d, &intent.card)
}

/// The forge will not make a child.
pub(super) fn not_created(d: &mut Draft, intent: &Intent, title: &str) -> Result<(), Refusal> {
    let mut card = settle::card(d, &intent.card)?;
    if let Some(umbrella) = &mut card.grooming.umbrella {
        umbrella.pending.retain(|t| t != title);
        umbrella.decomposed &= !(umbrella.urls.is_empty() && umbrella.pending.is_empty());
    }
    d.card(card);
    judge(d, &intent.card)
}

/// A card was closed, reopened or lost: its parents may be complete now, or not any more.
pub(super) fn child_changed(d: &mut Draft, child: &CardKey) -> Result<(), Refusal> {
    let parents: Vec<CardKey> = d.world.grooming.parents(child).cloned().collect();
    parents.iter().try_for_each(|parent| judge(d, parent))
}

/// Marks an umbrella whose children are all closed, once; takes the mark away when one is open again.
fn judge(d: &mut Draft, key: &CardKey) -> Result<(), Refusal> {
    let Some(card) = d.world.cards.get(key).filter(|c| !c.gone).cloned() else { return Ok(()) };
    let Some(umbrella) = card.grooming.split() else { return Ok(()) };
    // A follow-up that Dispatch does not know may be open.
    let known = !umbrella.children.is_empty() && umbrella.children.len() == umbrella.urls.len();
    let closed =
        |key: &CardKey| d.world.cards.get(key).is_some_and(|c| c.gone || c.state == IssueState::Closed);
    let complete = known && umbrella.pending.is_empty() && umbrella.children.iter().all(closed);
    if complete == umbrella.complete_at.is_some() || card.state == IssueState::Closed {
        return Ok(());
    }
    let mut card = (*card).clone();
    let now = d.now;
    if let Some(umbrella) = &mut card.grooming.umbrella {
        umbrella.complete_at = complete.then_some(now);
    }
    let ours = card.question.as_deref() == Some(COMPLETE);
    let mut change = Relabel::new("dispatch", "mark_umbrella");
    if complete {
        card.question.get_or_insert_with(|| COMPLETE.to_owned());
        change = Relabel { raise: &[Flag::NeedsHuman], notes: Some(COMPLETE), ..change };
    } else {
        if ours {
            card.question = None;
            change.clear = &[Flag::NeedsHuman];
        }
        change.notes = Some("a child is open again");
    }
    settle::relabel(d, &mut card, &change)
}
