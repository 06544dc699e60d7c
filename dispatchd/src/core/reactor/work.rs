//! Starting, checkpointing and finishing work: another face of the one lease record.

use std::sync::Arc;

use dispatch_shared::claim::{Checkpoint, WorkState};
use dispatch_shared::followup::PullState;
use dispatch_shared::id::{AgentName, ClaimId, RepoKey};
use dispatch_shared::issue::{Flag, Status, read_labels};
use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::protocol::tasks::ReportRequest;
use dispatch_shared::task::{Outcome, TaskType};

use super::settle::{self, Relabel};
use super::{claims, followup, groom, report, take};
use crate::core::command::{Evidence, Refusal, Reply, Report, Take};
use crate::core::draft::Draft;
use crate::core::fix::{reported, rules};
use crate::core::limits;
use crate::core::record::{CardKey, Claim, SeenPull};
use crate::core::transition::ClaimEvent;
use crate::core::work::{AgentRun, Notes, Which, Work};

pub(super) fn work(d: &mut Draft, work: &Work) -> Result<Reply, Refusal> {
    match work {
        Work::Start { agent, card, run, branch, slots, actor } => {
            let started = match card {
                Some(card) => start(d, card, agent, *slots, actor)?,
                None => go_on(d, agent, *slots)?,
            };
            note(d, started, run.as_deref(), branch.as_deref());
            Ok(Reply::Claimed { claim: started, run: None, repeated: false })
        }
        Work::Checkpoint { of, checkpoint, summary, blocker, branch } => {
            let claim = which(d, of)?;
            let told = Told {
                checkpoint: *checkpoint,
                summary: summary.as_deref(),
                blocker: blocker.as_deref(),
                branch: branch.as_deref(),
            };
            checkpointed(d, &claim, &told)
        }
        Work::Finish { of, state, summary, evidence } => {
            let claim = which(d, of)?;
            finish(d, &claim, *state, summary.as_deref(), evidence)
        }
        Work::Beat { agent, claim } => beat(d, agent, *claim),
        Work::Release { claims, reason, actor } => release(d, claims, reason, actor),
        Work::Record(run) => {
            let card = run.issue.as_ref().and_then(|id| d.world.card_by_id(id)).map(|c| c.key.clone());
            let said = format!("{} {}: {}", run.kind, run.status, run.summary.as_deref().unwrap_or_default());
            noted(d, &run.agent, "record_agent_run", card.as_ref(), &said);
            Ok(Reply::AgentRun(d.agent_run(run.clone())))
        }
    }
}

/// Claims a card for somebody who may hold no more than `slots`.
fn start(
    d: &mut Draft,
    key: &CardKey,
    agent: &AgentName,
    slots: usize,
    actor: &str,
) -> Result<ClaimId, Refusal> {
    let mine = d.world.held(key).is_some_and(|c| c.agent == *agent);
    if !mine && limits::held_by(&d.world, agent) >= slots {
        let held: Vec<String> = d.world.held_by(agent).map(|c| settle::name(d, &c.card)).collect();
        return Err(Refusal::Held(format!(
            "{agent} may hold {slots} at once and holds {}; finish that first",
            held.join(", ")
        )));
    }
    claimed(claims::claim(d, key, agent, false, actor)?)
}

/// The agent's newest claim, else the next task.
fn go_on(d: &mut Draft, agent: &AgentName, slots: usize) -> Result<ClaimId, Refusal> {
    if let Some(held) = d.world.held_by(agent).filter(|c| c.run.is_none()).last().cloned() {
        let again = claims::renewed(d, &held);
        d.claim(again);
        return Ok(held.id);
    }
    let next = Take {
        agent: agent.clone(),
        lane: None,
        kind: TaskType::Implement,
        repos: None,
        resume: false,
        idempotency_key: None,
        runner: false,
        slots,
        lifted: Default::default(),
    };
    match take::take(d, &next)? {
        Reply::Idle => {
            Err(Refusal::NotFound(format!("{agent} holds nothing, and there is nothing to start")))
        }
        reply => claimed(reply),
    }
}

fn claimed(reply: Reply) -> Result<ClaimId, Refusal> {
    match reply {
        Reply::Claimed { claim, .. } => Ok(claim),
        other => Err(Refusal::Illegal(format!("a claim was answered with {other:?}"))),
    }
}

fn note(d: &mut Draft, id: ClaimId, run: Option<&str>, branch: Option<&str>) {
    let Some(claim) = d.world.claims.get(&id).cloned() else { return };
    if run.is_none() && branch.is_none() {
        return;
    }
    let text = |new: Option<&str>, old: &Option<String>| new.map(ToOwned::to_owned).or_else(|| old.clone());
    let notes = Notes {
        run: text(run, &claim.notes.run),
        branch: text(branch, &claim.notes.branch),
        ..claim.notes.clone()
    };
    d.claim(Claim { notes, ..(*claim).clone() });
}

/// The live claim meant.
fn which(d: &Draft, of: &Which) -> Result<Arc<Claim>, Refusal> {
    let mut held = d.world.held_by(&of.agent);
    let found = match (of.claim, &of.card) {
        (Some(id), card) => held
            .find(|c| c.id == id && card.as_ref().is_none_or(|k| *k == c.card))
            .cloned()
            .ok_or_else(|| match d.world.claims.get(&id) {
                Some(claim) => settle::ended(d, &claim.card, id),
                None => {
                    Refusal::Stale(format!("claim {id} is not held by {}; ask for the next task", of.agent))
                }
            })?,
        (None, Some(card)) => held.find(|c| c.card == *card).cloned().ok_or_else(|| {
            Refusal::NotFound(format!("{} has no active work on {}", of.agent, settle::name(d, card)))
        })?,
        (None, None) => held
            .last()
            .cloned()
            .ok_or_else(|| Refusal::NotFound(format!("{} has no active work", of.agent)))?,
    };
    Ok(found)
}

/// What a worker said at a checkpoint.
struct Told<'a> {
    checkpoint: Checkpoint,
    summary: Option<&'a str>,
    blocker: Option<&'a str>,
    branch: Option<&'a str>,
}

fn checkpointed(d: &mut Draft, claim: &Arc<Claim>, told: &Told<'_>) -> Result<Reply, Refusal> {
    let blocked = told.checkpoint == Checkpoint::Blocked;
    if blocked && told.blocker.is_none_or(|b| b.trim().is_empty()) {
        return Err(Refusal::Invalid("blockerReason is missing: say what BLOCKED waits for".into()));
    }
    let actor = claim.agent.as_str();
    let was_blocked = claim.notes.blocker.is_some();
    let again = claims::renewed(d, claim);
    let text = |new: Option<&str>, old: &Option<String>| new.map(ToOwned::to_owned).or_else(|| old.clone());
    let notes = Notes {
        reached: if blocked { again.notes.reached } else { Some(told.checkpoint) },
        summary: text(told.summary, &claim.notes.summary),
        blocker: blocked.then(|| told.blocker.unwrap_or_default().to_owned()),
        branch: text(told.branch, &claim.notes.branch),
        ..again.notes.clone()
    };
    d.claim(Claim { checkpoint: Some(told.checkpoint), notes, ..again });
    let word = serde_json::to_value(told.checkpoint).ok().and_then(|v| v.as_str().map(ToOwned::to_owned));
    let said = told.blocker.filter(|_| blocked).or(told.summary).unwrap_or_default();
    let notes = format!("{}: {said}", word.unwrap_or_default());
    let known = d.world.cards.contains_key(&claim.card);
    if blocked && known {
        report::ask(d, &claim.card, actor, said)?;
    } else if was_blocked && known {
        let mut card = settle::card(d, &claim.card)?;
        card.question = None;
        let change = Relabel {
            clear: &[Flag::NeedsHuman],
            notes: Some("its worker goes on"),
            ..Relabel::new(actor, "move_issue")
        };
        settle::relabel(d, &mut card, &change)?;
    }
    let mut row = settle::row(d, actor, "agent_work_checkpoint", &claim.card);
    row.notes = Some(notes);
    d.audit(row);
    Ok(Reply::Renewed(vec![claim.id]))
}

fn finish(
    d: &mut Draft,
    claim: &Arc<Claim>,
    state: WorkState,
    summary: Option<&str>,
    evidence: &Evidence,
) -> Result<Reply, Refusal> {
    if claim.kind == TaskType::FollowupPr && matches!(state, WorkState::Done | WorkState::Blocked) {
        return finish_followup(d, claim, state, summary, evidence);
    }
    let actor = claim.agent.as_str();
    let key = &claim.card;
    let said = summary.or(claim.notes.summary.as_deref());
    if let Some(summary) = summary {
        let notes = Notes { summary: Some(summary.to_owned()), ..claim.notes.clone() };
        d.claim(Claim { notes, ..(**claim).clone() });
    }
    let claim = d.world.claims.get(&claim.id).cloned().unwrap_or_else(|| claim.clone());
    match state {
        WorkState::Done => done(d, &claim, said, evidence)?,
        WorkState::Blocked => {
            settle::end_claim(d, &claim, ClaimEvent::Finish(Outcome::Blocked))?;
            let question = summary.or(claim.notes.blocker.as_deref()).unwrap_or("no question was given");
            report::ask(d, key, actor, question)?;
        }
        WorkState::Released => {
            settle::end_claim(d, &claim, ClaimEvent::Release(actor.to_owned()))?;
            settle::give_back_claim(d, &claim, actor, "unclaim_issue", said)?;
        }
        other => {
            return Err(Refusal::Invalid(format!(
                "state {other:?}: work is finished as DONE, BLOCKED or RELEASED"
            )));
        }
    }
    let status = match state {
        WorkState::Blocked => "blocked",
        WorkState::Released => "released",
        _ => "completed",
    };
    let run = AgentRun {
        started_at: claim.claimed_at,
        finished_at: Some(d.now),
        summary: said.map(ToOwned::to_owned),
        urls: d.world.cards.get(key).map(|c| c.url.clone()).into_iter().collect(),
        issue: Some(key.id()),
        ..AgentRun::new(actor, "agent-work", status, d.now)
    };
    d.agent_run(run);
    Ok(Reply::Renewed(vec![claim.id]))
}

/// The end of a follow-up is its report: a push that the forge shows makes it fixed; without one there was nothing to do, which is
/// right if the signal is gone.
fn finish_followup(
    d: &mut Draft,
    claim: &Arc<Claim>,
    state: WorkState,
    summary: Option<&str>,
    evidence: &Evidence,
) -> Result<Reply, Refusal> {
    let fix = reported::of_claim(claim).and_then(|key| d.world.fixes.get(&key)).cloned();
    let stands = |pull: &SeenPull| {
        let head = Some(pull.head_sha.as_str());
        let moved = fix.as_ref().and_then(|fix| rules::moved(fix, claim.head_seen.as_deref(), head));
        pull.state == PullState::Open && moved == Some(false)
    };
    let outcome = match (state, evidence) {
        (WorkState::Blocked, _) => Outcome::Blocked,
        (_, Evidence::Pull(pull)) if !stands(pull) => Outcome::PrUpdated,
        (_, Evidence::Unreachable(_)) => Outcome::PrUpdated,
        _ => Outcome::NoChangesNeeded,
    };
    let blocker = claim.notes.blocker.clone().filter(|_| state == WorkState::Blocked && summary.is_none());
    let request = ReportRequest {
        summary: summary.or(claim.notes.summary.as_deref()).map(ToOwned::to_owned),
        error: blocker,
        started_at: Some(claim.claimed_at.to_string()),
        claim_id: Some(claim.id),
        ..ReportRequest::new(TaskType::FollowupPr, outcome)
    };
    let said = Report { agent: claim.agent.clone(), card: None, request, evidence: evidence.clone() };
    followup::report(d, &said, String::new(), None)?;
    Ok(Reply::Renewed(vec![claim.id]))
}

/// The worker says that it is done: with an open pull request a person reviews, without one a person looks why.
fn done(d: &mut Draft, claim: &Arc<Claim>, said: Option<&str>, evidence: &Evidence) -> Result<(), Refusal> {
    let (actor, key) = (claim.agent.as_str(), &claim.card);
    if claim.kind == TaskType::Groom {
        settle::end_claim(d, claim, ClaimEvent::Finish(Outcome::IssueUpdated))?;
        let row = settle::row(d, actor, "finish_work", key);
        d.audit(AuditRow { notes: Some(format!("{}, groomed", claim.id)), ..row });
        return groom::reported(d, key, Outcome::IssueUpdated);
    }
    if let Evidence::Pull(pull) = evidence {
        report::link(d, key, pull)?;
    }
    let card = settle::card(d, key)?;
    let open = settle::has_open_pull(d, &card)
        || matches!(evidence, Evidence::Pull(pull) if pull.state == PullState::Open)
        || matches!(evidence, Evidence::Unreachable(_));
    let outcome = if open { Outcome::PrOpened } else { Outcome::NoChangesNeeded };
    settle::end_claim(d, claim, ClaimEvent::Finish(outcome))?;
    if card.status == Status::Done {
        Ok(())
    } else if open {
        report::in_review(d, key, actor)?;
        if matches!(evidence, Evidence::Unreachable(_)) {
            report::remember(d, key, &claim.agent, None, None)?;
        }
        Ok(())
    } else {
        let said = said.unwrap_or("no summary was given");
        report::needs_person(d, key, actor, &format!("done without a pull request, says {actor}: {said}"))
    }
}

/// Renews, looks at what stands crooked, and leaves a trace among the agent runs.
fn beat(d: &mut Draft, agent: &AgentName, named: Option<ClaimId>) -> Result<Reply, Refusal> {
    let reply = claims::renew(d, agent, named, None)?;
    let Reply::Renewed(renewed) = &reply else { return Ok(reply) };
    let cards: Vec<_> = renewed
        .iter()
        .filter_map(|id| d.world.claims.get(id))
        .filter_map(|claim| d.world.cards.get(&claim.card))
        .map(|card| (card.key.id(), card.url.clone()))
        .collect();
    let crooked = stranded(d, agent);
    let summary = match cards.len() {
        0 => format!("{agent} holds nothing"),
        n => format!("{n} lease(s) of {agent} renewed"),
    };
    let first = renewed.first().and_then(|id| d.world.claims.get(id)).map(|claim| claim.card.clone());
    let one = first.filter(|key| renewed.len() == 1 && d.world.cards.contains_key(key));
    noted(d, agent.as_str(), "heartbeat", one.as_ref(), &summary);
    let run = AgentRun {
        finished_at: Some(d.now),
        summary: Some(summary),
        error: (!crooked.is_empty()).then(|| crooked.join("; ")),
        issue: cards.first().map(|(id, _)| id.clone()),
        urls: cards.into_iter().map(|(_, url)| url).collect(),
        ..AgentRun::new(agent.as_str(), "heartbeat", if crooked.is_empty() { "ok" } else { "warning" }, d.now)
    };
    d.agent_run(run);
    Ok(reply)
}

/// Writes an audit row about a card, or about none.
fn noted(d: &mut Draft, actor: &str, action: &str, card: Option<&CardKey>, notes: &str) {
    let nothing = CardKey { repo: RepoKey::new(""), number: 0 };
    let row = settle::row(d, actor, action, card.unwrap_or(&nothing));
    let (issue_id, issue_number) = (row.issue_id.clone(), row.issue_number);
    let of_card = card.is_some();
    d.audit(AuditRow {
        issue_id: issue_id.filter(|_| of_card),
        issue_number: issue_number.filter(|_| of_card),
        notes: Some(notes.to_owned()),
        ..row
    });
}

/// Cards that say that `agent` works on them, and nobody holds them.
fn stranded(d: &Draft, agent: &AgentName) -> Vec<String> {
    crate::core::work_view::stranded(&d.world, agent)
        .map(|card| {
            format!(
                "{} stands in progress with your label, but you hold no lease",
                settle::name(d, &card.key)
            )
        })
        .collect()
}

/// Takes claims away on behalf of an operator; the cards go back where claims end without a result.
fn release(d: &mut Draft, claims: &[ClaimId], reason: &str, actor: &str) -> Result<Reply, Refusal> {
    let mut ended = Vec::new();
    for id in claims {
        let Some(claim) = d.world.claims.get(id).filter(|c| c.is_held()).cloned() else { continue };
        settle::end_claim(d, &claim, ClaimEvent::Revoke(format!("{actor} released it: {reason}")))?;
        settle::give_back_claim(d, &claim, actor, "unclaim_issue_by_operator", Some(reason))?;
        ended.push(*id);
    }
    Ok(Reply::Renewed(ended))
}

/// The agents that a card's labels name.
pub(super) fn labelled(card: &crate::core::record::Card) -> Vec<AgentName> {
    read_labels(card.labels.iter().map(String::as_str)).agents
}
