//! Putting right what contradicts: see [`crate::core::reconcile`].

use dispatch_shared::id::RepoKey;

use super::settle;
use crate::core::command::{Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::reconcile::{Reconcile, Repair, Repaired, finding, sorted, undone};
use crate::core::record::{CardKey, Wish, Write};

/// Looks at every card of `repo`, or of all, that may be in contradiction.
pub(super) fn pass(d: &mut Draft, repo: Option<&RepoKey>, actor: &str) -> Result<Reply, Refusal> {
    let suspects: Vec<CardKey> =
        d.world.suspects().filter(|key| repo.is_none_or(|repo| key.repo == *repo)).cloned().collect();
    let mut repaired = 0;
    if d.world.policy.reconcile == Reconcile::Repair {
        for key in suspects {
            repaired += usize::from(repair(d, &key, actor)?);
        }
    }
    Ok(Reply::Reconciled(repaired))
}

fn repair(d: &mut Draft, key: &CardKey, actor: &str) -> Result<bool, Refusal> {
    let Some(card) = d.world.cards.get(key).cloned() else { return Ok(false) };
    let Some(found) = finding(&d.world, &card, d.now).filter(|_| !undone(&card)) else { return Ok(false) };
    let mut card = (*card).clone();
    card.repaired = Some(Repaired { labels: sorted(&card), at: d.now });
    match found.repair {
        Repair::GiveBack => {
            d.card(card);
            settle::give_back(d, key, actor, "reconcile_issue", Some(&found.text))?;
        }
        Repair::Labels { add, remove } => {
            let before = card.labels.clone();
            card.labels.retain(|l| !remove.contains(l));
            card.labels.extend(add.iter().cloned());
            settle::read_flags(&mut card);
            card.write = Some(Write::Pending);
            d.wish(&card, before.clone(), Wish::Labels { add, remove }, actor);
            let mut row = settle::row(d, actor, "reconcile_issue", key);
            row.before_labels = Some(before);
            row.after_labels = Some(card.labels.clone());
            row.notes = Some(found.text);
            d.card(card);
            d.audit(row);
        }
    }
    Ok(true)
}
