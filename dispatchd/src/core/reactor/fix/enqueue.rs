//! What speaks for work on a pull request: an item is made, or told more.

use dispatch_shared::followup::{FixLane, FixStatus, PullState};
use dispatch_shared::issue::Flag;

use super::{Facts, describe, lane, name, put, row, take_back, with_facts};
use crate::core::command::Refusal;
use crate::core::draft::Draft;
use crate::core::fix::ask::Enqueue;
use crate::core::fix::pick::{self, LaneAsk};
use crate::core::fix::rules::{self, Effect};
use crate::core::fix::{Fix, FixKey};
use crate::core::transition::ClaimEvent;

/// Puts news to an item, or makes one.
pub(super) fn enqueue(d: &mut Draft, ask: &Enqueue) -> Result<(), Refusal> {
    let key = &ask.key;
    if !d.world.is_tracked(&key.repo) {
        return Err(Refusal::NotFound(format!("{} is in a repository that is not tracked", name(d, key))));
    }
    let wanted = lane::read(d, ask.lane.as_deref())?;
    let seen = pick::pull(&d.world, key).map(|p| p.seen.clone());
    if !ask.automatic && seen.as_ref().is_some_and(|s| s.from_fork) {
        let why = "comes from a fork: such pull requests are never handed out";
        return Err(Refusal::Illegal(format!("{} {why}", name(d, key))));
    }
    let old = d.world.fixes.get(key).map(|f| (**f).clone());
    let before = old.as_ref().map(|f| f.status);
    let ended = seen.as_ref().is_some_and(|s| s.state != PullState::Open);
    if ask.automatic && !ended && waits_for_person(d, key, old.as_ref()) {
        return keep(d, old, ask);
    }
    if ask.automatic && old.is_none() && pick::unfit(&d.world, key).is_some() {
        return Ok(());
    }
    let known_before = old.is_some();
    let (mut fix, effect) = match old {
        None => {
            let facts = Facts::of(d, key, ask.fresh);
            (rules::new(key.clone(), ask.news.clone(), facts.now()), Effect::Added)
        }
        Some(mut fix) => {
            let effect =
                with_facts(d, &mut fix, ask.fresh, |fix, now| rules::take_in(fix, ask.news.clone(), now));
            (fix, effect)
        }
    };
    let settled = matches!(fix.status, FixStatus::Stale | FixStatus::Ignored);
    let to_person = wanted == Some(LaneAsk::Tier(FixLane::NeedsHuman)) && !settled;
    if effect == Effect::Known && !(to_person && fix.status != FixStatus::Blocked) && !ended {
        return Ok(());
    }
    fill(&mut fix, ask);
    fix.issue = pick::issue_of(&d.world, key, fix.issue);
    if let Some(seen) = &seen {
        describe(&mut fix, seen);
    }
    if let Some(wanted) = &wanted {
        fix.lane = lane::meant(d, &fix, wanted)?;
    }
    if ended && !settled {
        take_back(d, &mut fix, ClaimEvent::Revoke("the pull request is merged or closed".into()))?;
        rules::settle(&mut fix, FixStatus::Stale);
    } else if to_person {
        take_back(d, &mut fix, ClaimEvent::Revoke("a person has to look".into()))?;
        rules::settle(&mut fix, FixStatus::Blocked);
    }
    let action = if known_before { "evidence" } else { "enqueue" };
    let said = format!("{}{}", ask.news.reason, effect_words(effect));
    rules::note(&mut fix, d.now, &ask.actor, action, Some(said));
    d.audit(row(d, &ask.actor, "enqueue_pr_fix", &fix, Some(&ask.news.reason)));
    let why = match effect {
        Effect::Exhausted => format!("{} attempts did not settle it: {}", fix.attempts, fix.reason),
        _ => ask.news.reason.clone(),
    };
    put(d, fix, before, &ask.actor, &why)
}

fn effect_words(effect: Effect) -> &'static str {
    match effect {
        Effect::Kept => " (kept for after the hand-out)",
        Effect::Outdated => " (about a commit that is not the head any more)",
        Effect::Exhausted => " (enough attempts)",
        _ => "",
    }
}

/// Whether a person has been asked to look at the pull request or its issue.
fn waits_for_person(d: &Draft, key: &FixKey, fix: Option<&Fix>) -> bool {
    let labelled = |labels: &[String]| labels.iter().any(|l| Flag::read(l) == Some(Flag::NeedsHuman));
    let pull = pick::pull(&d.world, key).is_some_and(|p| labelled(&p.seen.labels));
    pull || fix.and_then(|f| pick::card(&d.world, f)).is_some_and(|c| c.flags.contains(&Flag::NeedsHuman))
}

/// What Dispatch finds while a person is asked changes nothing, but is there when the item is requeued.
fn keep(d: &mut Draft, old: Option<Fix>, ask: &Enqueue) -> Result<(), Refusal> {
    let Some(mut fix) = old.filter(|f| f.status == FixStatus::Blocked) else { return Ok(()) };
    if rules::keep(&mut fix, ask.news.clone()) == Effect::Kept {
        rules::note(&mut fix, d.now, &ask.actor, "evidence", Some(format!("{} (kept)", ask.news.reason)));
        d.fix(fix);
    }
    Ok(())
}

fn fill(fix: &mut Fix, ask: &Enqueue) {
    let set = |to: &mut Option<String>, from: &Option<String>| {
        if from.is_some() {
            to.clone_from(from);
        }
    };
    set(&mut fix.branch, &ask.branch);
    set(&mut fix.url, &ask.url);
    set(&mut fix.title, &ask.title);
    set(&mut fix.author, &ask.author);
    set(&mut fix.head, &ask.news.head);
    fix.issue = ask.issue.or(fix.issue);
}
