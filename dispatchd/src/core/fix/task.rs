//! What the worker of a follow-up is told.

use dispatch_shared::id::AgentName;
use dispatch_shared::protocol::tasks::{PrFixItem, Task, TaskPull};
use dispatch_shared::task::TaskType;

use super::{Fix, pick, view};
use crate::core::record::Claim;
use crate::core::world::World;
use crate::core::{contract, view as records};

/// The task for `fix`, with the body of its issue; with its claim after a take, without after a look. `None` if its
/// repository is not known.
#[must_use]
pub fn followup(
    world: &World,
    agent: &AgentName,
    fix: &Fix,
    body: &str,
    claim: Option<&Claim>,
) -> Option<Task> {
    let repo = world.repos.get(&fix.key.repo)?;
    let pr = fix.key.pr;
    let card = pick::card(world, fix);
    let seen = pick::pull(world, &fix.key).map(|p| &p.seen);
    let branch = seen.map(|s| s.head_branch.clone()).or_else(|| fix.branch.clone());
    let base = seen.map_or_else(|| repo.default_branch.clone(), |s| s.base_branch.clone());
    let on = branch.as_ref().map_or_else(|| "its branch".to_owned(), |b| format!("its branch {b}"));
    let instructions = format!(
        "Bring pull request #{pr} of {name} back into shape: {reason}. Work on {on}, which goes to {base}. Deal with every \
         feedback item, push to the same branch without force, and report the outcome.",
        name = repo.name,
        reason = fix.reason
    );
    let mut reasons = vec![fix.reason.clone()];
    reasons.extend(fix.observed.iter().flat_map(|o| o.reasons.iter().cloned()));
    reasons.retain(|r| !r.is_empty());
    reasons.sort();
    reasons.dedup();
    Some(Task {
        lane: Some(pick::lane_of(world, fix)),
        issue: card.map(|card| contract::issue(repo, card, body)),
        pull_request: Some(TaskPull { repo_full_name: repo.name.clone(), number: pr, url: fix.url.clone() }),
        pr_fix_item: Some(PrFixItem {
            id: fix.key.id(),
            generation: Some(claim.and_then(|c| c.fix).map_or(fix.generation, |h| h.generation)),
        }),
        reasons,
        feedback_items: fix.feedback.clone(),
        head_sha: claim
            .and_then(|c| c.head_seen.clone())
            .or_else(|| seen.map(|s| s.head_sha.clone()))
            .or_else(|| fix.head.clone()),
        instructions,
        stop_after: "Stop after reporting one outcome for this pull request. Do not look for more work."
            .to_owned(),
        allowed_actions: vec![
            format!("read and change files of {} on {on}", repo.name),
            "run the repository's own checks".to_owned(),
            format!("push {on} without force, which updates pull request #{pr}"),
            "report blocked with a question if a person has to decide".to_owned(),
        ],
        related: contract::related(world, &pick::subject(world, fix), body, Some(pr)),
        answer: card.and_then(|c| c.answer.clone()),
        acceptance_criteria: contract::acceptance_criteria(body),
        task_id: claim.map(|c| c.id.to_string()),
        report_to: Some(contract::report_to(agent)),
        branch,
        base_branch: Some(base),
        claim: claim.map(records::claim),
        ranking_reason: Some(view::reason(fix)),
        ..contract::bare(TaskType::FollowupPr, agent)
    })
}
