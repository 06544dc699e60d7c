//! Follow-up tasks: handing PR-fix items out, taking them back, and what a report means for them.

use dispatch_shared::followup::{FixStatus, PullState};
use dispatch_shared::id::{AgentName, ClaimId};
use dispatch_shared::protocol::tasks::PrFixResolution;
use dispatch_shared::task::{Outcome, TaskType};
use std::sync::Arc;

use super::report::{self as reports, Accepted};
use super::{fix as items, settle, sync};
use crate::core::command::{Evidence, Refusal, Reply, Report};
use crate::core::draft::Draft;
use crate::core::fix::ask::By;
use crate::core::fix::{Fix, FixKey, pick, reported, rules};
use crate::core::record::{Claim, HandOut, Taking};
use crate::core::transition::ClaimEvent;

/// Hands an item out by name: an agent that reads the queue itself says so before it works.
pub(super) fn ack(
    d: &mut Draft,
    key: &FixKey,
    agent: &AgentName,
    generation: Option<u64>,
) -> Result<Reply, Refusal> {
    let fix = items::item(d, key)?;
    let by = By { actor: agent.to_string(), agent: Some(agent.clone()), generation, claim: None };
    items::fence(d, &fix, &by)?;
    if let Some(claim) = fix.claim.and_then(|id| d.world.claims.get(&id)).cloned() {
        let expires_at = claim.expires_at.max(d.now + claim.lease);
        d.claim(Claim { expires_at, ..(*claim).clone() });
        return Ok(Reply::Claimed { claim: claim.id, run: None, repeated: true });
    }
    let subject = items::name(d, key);
    if let Some(why) = pick::withheld(&d.world, &fix) {
        return Err(Refusal::Illegal(format!("{subject} cannot be taken: {why}")));
    }
    if fix.handed.contains(agent) {
        return Err(Refusal::Illegal(format!(
            "{agent} had generation {} of {subject} already; another agent may take it, or an operator requeues it",
            fix.generation
        )));
    }
    let claim = hand_out(d, key, agent, None)?;
    Ok(Reply::Claimed { claim, run: None, repeated: false })
}

/// Makes the claim: on the linked card, else on the pull request itself. Moves no card and sets no label.
pub(super) fn hand_out(
    d: &mut Draft,
    key: &FixKey,
    agent: &AgentName,
    idempotency_key: Option<String>,
) -> Result<ClaimId, Refusal> {
    let mut fix = items::item(d, key)?;
    let subject = pick::subject(&d.world, &fix);
    let epoch = d.world.meta.epoch;
    let card = d.world.cards.get(&subject).map(|c| (**c).clone());
    let issue_seen = card.as_ref().map_or(d.now, |c| c.updated_at);
    let attempt = match card {
        Some(mut card) => {
            card.attempt = card.attempt.next(epoch);
            let attempt = card.attempt;
            d.card(card);
            attempt
        }
        None => {
            fix.attempt = fix.attempt.next(epoch);
            fix.attempt
        }
    };
    let id = d.next_claim();
    let lease = d.world.policy.lease_of(agent.as_str(), false);
    rules::hand_out(&mut fix, agent, id);
    rules::note(&mut fix, d.now, agent.as_str(), "hand_out", Some(id.to_string()));
    let (agent_name, kind) = (agent.clone(), TaskType::FollowupPr);
    let taking = Taking { id, card: subject, agent: agent_name, kind, attempt, lease };
    let claim = Claim {
        idempotency_key,
        issue_seen,
        fix: Some(HandOut { pr: key.pr, generation: fix.generation }),
        head_seen: pick::pull(&d.world, key).map(|p| p.seen.head_sha.clone()).or_else(|| fix.head.clone()),
        ..Claim::taken(taking, d.now)
    };
    let notes = format!("{id}, attempt {}", attempt.ordinal());
    d.audit(items::row(d, agent.as_str(), "claim_pr_fix", &fix, Some(&notes)));
    d.fix(fix);
    d.claim(claim);
    Ok(id)
}

/// Hands the same item out again to the same agent, under a higher attempt.
pub(super) fn resume(d: &mut Draft, old: &Arc<Claim>, hand_out: HandOut) -> Result<Reply, Refusal> {
    let key = FixKey { repo: old.card.repo.clone(), pr: hand_out.pr };
    let claim = self::hand_out(d, &key, &old.agent, old.idempotency_key.clone())?;
    if let Some(made) = d.world.claims.get(&claim).map(|c| (**c).clone()) {
        // What was pushed before the interruption counts.
        d.claim(Claim { checkpoint: old.checkpoint, head_seen: old.head_seen.clone(), ..made });
    }
    Ok(Reply::Claimed { claim, run: None, repeated: false })
}

/// A claim has ended: if it was an item's hand-out and was not answered, the item waits again, or after too many such
/// ends for a person.
pub(super) fn handed_back(d: &mut Draft, claim: &Claim, expired: bool) -> Result<(), Refusal> {
    let Some(hand_out) = claim.fix else { return Ok(()) };
    let key = FixKey { repo: claim.card.repo.clone(), pr: hand_out.pr };
    let Some(mut fix) = d.world.fixes.get(&key).filter(|f| f.claim == Some(claim.id)).map(|f| (**f).clone())
    else {
        return Ok(());
    };
    let before = fix.status;
    rules::returned(&mut fix, expired, d.world.policy.followup.max_unanswered);
    let why = match (expired, fix.status) {
        (true, FixStatus::Blocked) => format!("{} hand-outs ran out without an answer", fix.unanswered),
        (true, _) => format!("{} did not answer in time", claim.agent),
        (false, _) => format!("{} gave it back, or it was taken away", claim.agent),
    };
    rules::note(&mut fix, d.now, "dispatch", "return", Some(why.clone()));
    items::put(d, fix, Some(before), "dispatch", &why)
}

/// The claim that a follow-up's report ends, and the item that it is about.
struct Subject {
    claim: Option<Arc<Claim>>,
    fix: Option<Fix>,
}

fn subject(d: &Draft, report: &Report) -> Result<Subject, Refusal> {
    let request = &report.request;
    let item = |claim: &Claim| d.world.fixes.get(&reported::of_claim(claim)?).map(|f| (**f).clone());
    if let Some(id) = request.claim_id {
        let claim = d.world.claims.get(&id).filter(|c| c.is_held() && c.agent == report.agent).cloned();
        let Some(claim) = claim else {
            let named = d.world.claims.get(&id);
            return Err(match named {
                Some(other) if other.is_held() => {
                    Refusal::Held(format!("claim {id} is held by {}, not by {}", other.agent, report.agent))
                }
                Some(ended) => settle::ended(d, &ended.card, id),
                None => Refusal::Stale(format!("claim {id} is not the live one; ask for the next task")),
            });
        };
        return Ok(Subject { fix: item(&claim), claim: Some(claim) });
    }
    let key = reported::item(&d.world, &report.agent, report.card.as_ref(), request);
    let fix = key.and_then(|key| d.world.fixes.get(&key)).map(|f| (**f).clone());
    let claim = fix.as_ref().and_then(|f| d.world.claims.get(&f.claim?)).cloned();
    Ok(Subject { claim, fix })
}

fn resolution(fix: Option<&Fix>, action: &str, reason: impl Into<String>) -> PrFixResolution {
    PrFixResolution {
        matched: fix.is_some(),
        action: action.into(),
        item_id: fix.map(|f| f.key.id()),
        reason: reason.into(),
    }
}

/// Takes in a follow-up's report: the item is settled, the card stays where it is.
pub(super) fn report(
    d: &mut Draft,
    report: &Report,
    payload: String,
    stored_key: Option<String>,
) -> Result<Reply, Refusal> {
    let Subject { claim, fix } = subject(d, report)?;
    if let Some(other) = claim.as_ref().filter(|c| c.agent != report.agent) {
        let name = settle::name(d, &other.card);
        return Err(Refusal::Held(format!("{name} is held by {}, not by {}", other.agent, report.agent)));
    }
    let request = &report.request;
    let named = request.pr_fix_item.as_ref().and_then(|i| i.generation);
    let seen = named.or(claim.as_ref().and_then(|c| c.fix).map(|h| h.generation));
    let current = fix.as_ref().filter(|f| seen == Some(f.generation)).cloned();
    if let Some(fix) = &current {
        verify(d, fix, claim.as_deref(), report)?;
    }
    let issue_changed = claim
        .as_ref()
        .and_then(|c| Some((c, d.world.cards.get(&c.card)?)))
        .is_some_and(|(c, card)| c.issue_seen < card.updated_at);
    let resolution = match (fix, current) {
        (_, Some(fix)) => settled(d, fix, claim.as_ref(), report)?,
        (Some(fix), None) => {
            let why = match seen {
                None => format!("the report names no generation; the item is at {}", fix.generation),
                Some(seen) => {
                    format!("the report is about generation {seen}, the item is at {}", fix.generation)
                }
            };
            resolution(Some(&fix), "skipped", why)
        }
        (None, None) => resolution(None, "none", "no PR-fix item belongs to this report"),
    };
    let key = resolution.item_id.as_deref().and_then(FixKey::read);
    let item = key.as_ref().and_then(|k| d.world.fixes.get(k)).cloned();
    let row = match (&item, &report.card, &claim) {
        (Some(fix), ..) => items::row(d, report.agent.as_str(), "report_task", fix, None),
        (None, Some(card), _) => settle::row(d, report.agent.as_str(), "report_task", card),
        (None, None, Some(claim)) => settle::row(d, report.agent.as_str(), "report_task", &claim.card),
        (None, None, None) => {
            return Err(Refusal::Invalid(
                "the report names no pull request, and its agent holds none; add prFixItem, or repoFullName and \
                 pullRequestNumber"
                    .into(),
            ));
        }
    };
    let done = Accepted {
        issue_id: row.issue_id.clone(),
        pull: key.map(|k| k.pr).or(request.pull_request_number),
        status: match request.outcome {
            Outcome::Failed => "failed",
            Outcome::Blocked => "blocked",
            _ => "completed",
        },
        issue_changed,
        resolution,
        unverified: None,
        row,
    };
    reports::accept(d, report, done, payload, stored_key)
}

/// Refuses a report of a push that the forge does not show.
fn verify(d: &Draft, fix: &Fix, claim: Option<&Claim>, report: &Report) -> Result<(), Refusal> {
    if !matches!(report.request.outcome, Outcome::PrOpened | Outcome::PrUpdated) {
        return Ok(());
    }
    if let Some(other) = report.request.pull_request_number.filter(|n| *n != fix.key.pr) {
        return Err(Refusal::NotVerified(format!(
            "the task was pull request #{}, the report names #{other}; a follow-up opens no new one",
            fix.key.pr
        )));
    }
    match &report.evidence {
        Evidence::Absent(seen) => Err(Refusal::NotVerified(seen.clone())),
        Evidence::Pull(pull) if pull.state == PullState::Open => {
            let head_seen = claim.and_then(|c| c.head_seen.as_deref());
            match rules::moved(fix, head_seen, Some(&pull.head_sha)) {
                Some(false) => Err(Refusal::NotVerified(format!(
                    "pull request {} still stands at {}, as when the task was taken; push first",
                    items::name(d, &fix.key),
                    pull.head_sha
                ))),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Ends the hand-out and settles the item as the outcome demands.
fn settled(
    d: &mut Draft,
    fix: Fix,
    claim: Option<&Arc<Claim>>,
    report: &Report,
) -> Result<PrFixResolution, Refusal> {
    let request = &report.request;
    let actor = report.agent.as_str();
    let said = [&request.error, &request.evidence, &request.summary].into_iter().flatten().next();
    let said = said.map_or("no reason was given", String::as_str).to_owned();
    let head_seen = claim.and_then(|c| c.head_seen.clone());
    if let Some(claim) = claim {
        d.fix(Fix { claim: None, ..fix.clone() });
        settle::end_claim(d, claim, ClaimEvent::Finish(request.outcome))?;
    }
    if let Evidence::Pull(seen) = &report.evidence {
        sync::pull(d, &fix.key.repo, seen)?;
    }
    let mut fix = items::item(d, &fix.key)?;
    let before = fix.status;
    if !matches!(before, FixStatus::Queued | FixStatus::Blocked) {
        return Ok(resolution(Some(&fix), "skipped", format!("the item is {}", before.word())));
    }
    let (action, why) = match request.outcome {
        Outcome::PrOpened | Outcome::PrUpdated => {
            ("fixed", items::settle_fixed(d, &mut fix, head_seen.as_deref(), &report.evidence, said))
        }
        Outcome::Blocked => {
            rules::settle(&mut fix, FixStatus::Blocked);
            ("blocked", said)
        }
        Outcome::Failed => {
            items::with_facts(d, &mut fix, false, rules::deferred);
            let why = format!(
                "attempt failed ({} of {}): {said}",
                fix.attempts, d.world.policy.followup.max_attempts
            );
            (if fix.status == FixStatus::Blocked { "blocked" } else { "deferred" }, why)
        }
        _ => nothing_to_do(d, &mut fix, claim, head_seen.as_deref(), report, said),
    };
    rules::note(&mut fix, d.now, actor, "report", Some(format!("{action}: {why}")));
    let answer = resolution(Some(&fix), action, why.clone());
    items::put(d, fix, Some(before), actor, &why)?;
    Ok(answer)
}

/// The worker found nothing to do: right if the signal is gone as far as is known, else a person looks.
fn nothing_to_do(
    d: &Draft,
    fix: &mut Fix,
    claim: Option<&Arc<Claim>>,
    head_seen: Option<&str>,
    report: &Report,
    said: String,
) -> (&'static str, String) {
    let head = match &report.evidence {
        Evidence::Pull(seen) => Some(seen.head_sha.as_str()),
        _ => None,
    };
    let since = claim.map_or(fix.queued_at, |c| c.claimed_at);
    let moved = rules::moved(fix, head_seen, head);
    if rules::signal_gone(fix, since, moved) {
        items::with_facts(d, fix, head.is_some(), |fix, now| rules::fixed(fix, None, now));
        ("fixed", format!("the signal is gone: {said}"))
    } else {
        rules::settle(fix, FixStatus::Blocked);
        ("blocked", format!("nothing to do, says {}, but the signal still stands: {said}", report.agent))
    }
}
