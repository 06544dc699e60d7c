//! Items as the wire shows them.

use dispatch_shared::followup::FixStatus;
use dispatch_shared::protocol::followup::{FixItem, QueueFix};

use super::{Fix, pick};
use crate::core::view;
use crate::core::world::World;

/// Remarks and evidence keys that are shown.
const FEEDBACK_SHOWN: usize = 12;
const EVIDENCE_SHOWN: usize = 40;

fn newest<T: Clone>(list: &[T], most: usize) -> Vec<T> {
    list[list.len().saturating_sub(most)..].to_vec()
}

/// An item; `None` if its repository is not known.
#[must_use]
pub fn item(world: &World, fix: &Fix) -> Option<FixItem> {
    let repo = world.repos.get(&fix.key.repo)?;
    let feedback = newest(&fix.feedback, FEEDBACK_SHOWN);
    Some(FixItem {
        id: fix.key.id(),
        repo: repo.name.clone(),
        pr: fix.key.pr,
        issue: pick::issue_of(world, &fix.key, fix.issue),
        branch: fix.branch.clone(),
        url: fix.url.clone(),
        title: fix.title.clone(),
        lane: pick::shown_lane(world, fix),
        lane_id: pick::lane_of(world, fix),
        status: fix.status,
        fix_type: fix.fix_type,
        reason: fix.reason.clone(),
        feedback: feedback.iter().map(|f| f.line_of_text()).collect(),
        feedback_items: feedback,
        evidence_keys: newest(&fix.evidence, EVIDENCE_SHOWN),
        head_sha: fix.head.clone(),
        author: fix.author.clone(),
        generation: fix.generation,
        attempts: fix.attempts,
        queued_at: fix.queued_at,
        updated_at: fix.updated_at,
        claim: fix.claim.and_then(|id| world.claims.get(&id)).filter(|c| c.is_held()).map(|c| view::claim(c)),
        history: fix.history.clone(),
    })
}

/// An entry of an agent's queue.
#[must_use]
pub fn queue_entry(world: &World, fix: &Fix) -> Option<QueueFix> {
    Some(QueueFix {
        kind: "pr-review-fix".to_owned(),
        item: item(world, fix)?,
        next_action: match fix.status {
            FixStatus::Queued => "address_pr_feedback".to_owned(),
            FixStatus::Blocked => "wait_for_human".to_owned(),
            _ => "none".to_owned(),
        },
        ranking_reason: reason(fix),
    })
}

/// Why it stands where it stands, in words.
#[must_use]
pub fn reason(fix: &Fix) -> String {
    format!("{} of a pull request, before issues, oldest first", fix.fix_type.words())
}
