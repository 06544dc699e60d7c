//! The built-in runner works on PR-fix items as any harness does: it is handed one, and how its run ends is its report.

use std::sync::Arc;

use dispatch_shared::id::RunId;
use dispatch_shared::protocol::tasks::ReportRequest;
use dispatch_shared::run::EndClass;
use dispatch_shared::task::{Outcome, TaskType};

use super::{followup, settle, take};
use crate::core::command::{Evidence, Refusal, Reply, Report, RunEnd, Take};
use crate::core::dispatch;
use crate::core::draft::Draft;
use crate::core::fix::{Fix, pick, reported};
use crate::core::record::{Claim, Hand, Run, Target};
use crate::core::repair;
use crate::core::retry::{self, Consequence};
use crate::core::transition::ClaimEvent;

/// Hands the runner the most urgent item that it may have and that there is room for; `None` if there is none.
pub(super) fn take(d: &mut Draft, take: &Take, lane: Option<&str>) -> Result<Option<Reply>, Refusal> {
    let Some(repos) = take.repos.as_deref() else { return Ok(None) };
    let due = repair::candidates(&d.world, &take.agent, lane, repos)
        .into_iter()
        .filter(|c| c.not_before.is_none_or(|at| at <= d.now));
    let fits = |key: &_| {
        let fix = d.world.fixes.get(key)?;
        let run = run(d, RunId(0), fix, take)?;
        dispatch::waits_for(&d.world, d.now, &run).is_none().then_some(run)
    };
    let Some((key, run)) = due.into_iter().find_map(|c| fits(&c.key).map(|run| (c.key, run))) else {
        return Ok(None);
    };
    let claim = followup::hand_out(d, &key, &take.agent, take.idempotency_key.clone())?;
    let id = d.next_run();
    let lease = d.world.policy.lease_of(take.agent.as_str(), true);
    let Some(made) = d.world.claims.get(&claim).cloned() else { return Ok(None) };
    let run = Run { id, claim: Some(claim), attempt: made.attempt, ..run };
    d.claim(Claim { run: Some(id), lease, expires_at: d.now + lease, ..(*made).clone() });
    d.run(run);
    Ok(Some(Reply::Claimed { claim, run: Some(id), repeated: false }))
}

/// The run on an item's pull request; none if that was never read.
fn run(d: &Draft, id: RunId, fix: &Fix, take: &Take) -> Option<Run> {
    let pull = pick::pull(&d.world, &fix.key)?;
    let lane = pick::lane_of(&d.world, fix);
    let subject = pick::subject(&d.world, fix);
    let last = repair::runs(&d.world, &fix.key).next().map(|run| run.id);
    let attempt = Default::default();
    Some(Run {
        title: pull.seen.title.clone(),
        target: Target::Pull(fix.key.pr),
        program: d.world.policy.program_for(&lane).to_owned(),
        lane: Some(lane),
        branch: pull.seen.head_branch.clone(),
        base_branch: pull.seen.base_branch.clone(),
        previous: take::previous_failure(d, last),
        ..take::blank(d, id, subject, attempt, take.agent.clone())
    })
}

/// Settles the item that an ended run was handed, as its report would. Returns whether it was handed one.
pub(super) fn ended(d: &mut Draft, run: &Run, claim: &Arc<Claim>, end: &RunEnd) -> Result<bool, Refusal> {
    let Some(key) = reported::of_claim(claim).filter(|_| claim.fix.is_some()) else { return Ok(false) };
    let outcome = match end.class {
        EndClass::Succeeded => Some(Outcome::PrUpdated),
        EndClass::NoChanges => Some(Outcome::NoChangesNeeded),
        _ if repair::later(run) => None,
        class => match retry::consequence(class) {
            Consequence::Ask | Consequence::NeedsPerson => Some(Outcome::Blocked),
            Consequence::FailedAttempt => Some(Outcome::Failed),
            Consequence::TryLater | Consequence::PutAway | Consequence::Nothing => None,
        },
    };
    let Some(outcome) = outcome else {
        settle::end_claim(d, claim, ClaimEvent::Release(run.agent.to_string()))?;
        // It was not the item's fault: the same runner may have it again.
        if let Some(fix) = d.world.fixes.get(&key).filter(|_| repair::later(run)).cloned() {
            let handed = fix.handed.iter().filter(|agent| **agent != run.agent).cloned().collect();
            d.fix(Fix { handed, ..(*fix).clone() });
        }
        return Ok(true);
    };
    let said = end.question.clone().or_else(|| end.reason.clone()).unwrap_or_else(|| end.class.word().into());
    let said = format!("run {}: {said}", run.id);
    let failed = matches!(outcome, Outcome::Failed | Outcome::Blocked);
    let request = ReportRequest {
        error: failed.then(|| said.clone()),
        summary: (!failed).then_some(said),
        started_at: Some(claim.claimed_at.to_string()),
        claim_id: Some(claim.id),
        ..ReportRequest::new(TaskType::FollowupPr, outcome)
    };
    let evidence = match &end.pull {
        Some(pull) => Evidence::Pull(pull.clone()),
        None => Evidence::NotNeeded,
    };
    let report = Report { agent: run.agent.clone(), card: None, request, evidence };
    followup::report(d, &report, String::new(), None)?;
    Ok(true)
}

/// The same run as if `actor` had asked for it by hand: how one is started again after it asked something or failed.
pub(super) fn by_hand(run: &Run, actor: &str) -> Run {
    let hand = Hand {
        task: String::new(),
        template: repair::TEMPLATE.into(),
        plan: None,
        persona: None,
        variables: Default::default(),
        by: actor.to_owned(),
    };
    Run { hand: Some(run.hand.clone().unwrap_or(hand)), ..run.clone() }
}
