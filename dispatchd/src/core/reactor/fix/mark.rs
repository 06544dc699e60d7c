//! What people and agents say of an item: fixed, blocked, stale, or once more.

use dispatch_shared::followup::{FixLane, FixStatus, PullState};
use dispatch_shared::task::Outcome;

use super::{fence, item, lane, name, put, row, take_back, with_facts};
use crate::core::command::{Evidence, Refusal};
use crate::core::draft::Draft;
use crate::core::fix::ask::By;
use crate::core::fix::pick::{self, LaneAsk};
use crate::core::fix::{Fix, FixKey, rules};
use crate::core::reactor::sync;
use crate::core::transition::ClaimEvent;

/// Says where an item stands.
pub(super) fn mark(
    d: &mut Draft,
    key: &FixKey,
    by: &By,
    status: FixStatus,
    note: Option<&str>,
    evidence: &Evidence,
) -> Result<(), Refusal> {
    fence(d, &item(d, key)?, by)?;
    let head_seen =
        item(d, key)?.claim.and_then(|id| d.world.claims.get(&id)).and_then(|c| c.head_seen.clone());
    if let Evidence::Pull(seen) = evidence {
        sync::pull(d, &key.repo, seen)?;
    }
    let mut fix = item(d, key)?;
    let before = fix.status;
    let over = matches!(evidence, Evidence::Absent(_))
        || pick::pull(&d.world, key).is_some_and(|p| p.seen.state != PullState::Open);
    let repeat = before == status && !(status == FixStatus::Fixed && over);
    if repeat || matches!(before, FixStatus::Stale | FixStatus::Ignored) {
        return Ok(());
    }
    let outcome = match status {
        FixStatus::Fixed => Outcome::PrUpdated,
        FixStatus::Blocked => Outcome::Blocked,
        _ => Outcome::NoChangesNeeded,
    };
    let said = note.unwrap_or_default().to_owned();
    let mut why = if said.is_empty() { format!("{} says so", by.actor) } else { said };
    take_back(d, &mut fix, ClaimEvent::Finish(outcome))?;
    if status != FixStatus::Fixed {
        rules::settle(&mut fix, status);
    } else if over {
        rules::settle(&mut fix, FixStatus::Stale);
        why = format!("the pull request is merged, closed or gone; {why}");
    } else {
        why = settle_fixed(d, &mut fix, head_seen.as_deref(), evidence, why);
    }
    rules::note(&mut fix, d.now, &by.actor, "mark", Some(why.clone()));
    d.audit(row(d, &by.actor, "mark_pr_fix", &fix, Some(&format!("{}: {why}", fix.status.word()))));
    put(d, fix, Some(before), &by.actor, &why)
}

/// Somebody says fixed, and the forge shows a head, or cannot be asked; returns what came of it, in words.
pub(in crate::core::reactor) fn settle_fixed(
    d: &Draft,
    fix: &mut Fix,
    head_seen: Option<&str>,
    evidence: &Evidence,
    why: String,
) -> String {
    let fresh = matches!(evidence, Evidence::Pull(_));
    let generation = fix.generation;
    let moved = with_facts(d, fix, fresh, |fix, now| {
        let moved = if fresh { rules::moved(fix, head_seen, now.head) } else { None };
        rules::fixed(fix, moved, now);
        moved
    });
    if !fresh && fix.status == FixStatus::Fixed {
        fix.unverified = Some(d.now);
        if let Some(seen) = head_seen {
            fix.base_heads = vec![seen.to_owned()];
        }
    }
    match (moved, fix.status) {
        (Some(false), FixStatus::Queued) => format!("the head has not moved, so it waits again; {why}"),
        (Some(false), _) => {
            format!("the head has not moved, and {} attempts are enough; {why}", fix.attempts)
        }
        (_, FixStatus::Queued) if fix.generation != generation => format!("{why}; more came in meanwhile"),
        (_, FixStatus::Blocked) => {
            format!("more came in meanwhile, and {} attempts are enough; {why}", fix.attempts)
        }
        _ => why,
    }
}

/// Begins anew by a person's word.
pub(super) fn requeue(
    d: &mut Draft,
    key: &FixKey,
    by: &By,
    to_lane: Option<&str>,
    note: Option<&str>,
) -> Result<(), Refusal> {
    let mut fix = item(d, key)?;
    fence(d, &fix, by)?;
    let before = fix.status;
    if matches!(before, FixStatus::Stale | FixStatus::Ignored) {
        let subject = name(d, key);
        return Err(Refusal::Illegal(format!(
            "the PR-fix item of {subject} is {} and stays so",
            before.word()
        )));
    }
    let wanted = lane::read(d, to_lane)?;
    if let Some(wanted) = &wanted {
        fix.lane = lane::meant(d, &fix, wanted)?;
    }
    let why = note.unwrap_or("requeued by hand").to_owned();
    if wanted == Some(LaneAsk::Tier(FixLane::NeedsHuman)) {
        take_back(d, &mut fix, ClaimEvent::Revoke("a person has to look".into()))?;
        rules::settle(&mut fix, FixStatus::Blocked);
    } else if fix.claim.is_none() {
        with_facts(d, &mut fix, false, rules::requeue);
        // By a person's word: whoever set the label, it has been looked at.
        fix.flagged = true;
    }
    rules::note(&mut fix, d.now, &by.actor, "requeue", Some(why.clone()));
    d.audit(row(d, &by.actor, "requeue_pr_fix", &fix, Some(&why)));
    put(d, fix, Some(before), &by.actor, &why)
}
