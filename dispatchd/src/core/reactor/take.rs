//! Handing out tasks: select and claim in one step, so that two callers never get the same one.

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::{AgentName, ClaimId, RunId};
use dispatch_shared::issue::Flag;
use dispatch_shared::run::{EndClass, Phase, RunState, Usage};
use dispatch_shared::task::TaskType;
use std::sync::Arc;

use super::followup;
use super::groom;
use super::repair;
use super::settle::{self, AgentLabel, Relabel};
use crate::core::command::{Refusal, Reply, Take};
use crate::core::contract;
use crate::core::draft::Draft;
use crate::core::fix::pick;
use crate::core::limits;
use crate::core::rank::{self, Ask};
use crate::core::record::{Card, CardKey, Claim, ClaimState, Round, Run, Taking, Target};
use crate::core::rounds;
use crate::core::transition::{CardEvent, ClaimEvent};
use crate::core::work::Notes;

pub(super) fn take(d: &mut Draft, take: &Take) -> Result<Reply, Refusal> {
    let lane = match &take.lane {
        None => None,
        Some(text) => Some(lane_id(d, text)?),
    };
    if let Some(claim) = replayed(d, take) {
        return Ok(Reply::Claimed { claim: claim.id, run: claim.run, repeated: true });
    }
    if take.resume
        && !take.runner
        && let Some(claim) = own_work(d, take)
    {
        return resume(d, &claim, take.idempotency_key.clone());
    }
    if take.kind == TaskType::Groom {
        return groom::take(d, take, lane.as_deref());
    }
    if take.kind != TaskType::Implement || limits::held_by(&d.world, &take.agent) >= take.slots {
        return Ok(Reply::Idle);
    }
    if take.runner {
        if let Some(reply) = repair::take(d, take, lane.as_deref())? {
            return Ok(reply);
        }
    } else if let Some(key) = pick::next(&d.world, &take.agent, lane.as_deref()) {
        let claim = followup::hand_out(d, &key, &take.agent, take.idempotency_key.clone())?;
        return Ok(Reply::Claimed { claim, run: None, repeated: false });
    }
    let ask = Ask { agent: &take.agent, lane: lane.as_deref(), repos: take.repos.as_deref() };
    let Some(key) = rank::next_with(&d.world, d.now, &ask, take.lifted) else { return Ok(Reply::Idle) };
    let card = settle::card(d, &key)?;
    let maker = Maker {
        agent: &take.agent,
        actor: take.agent.as_str(),
        runner: take.runner,
        key: take.idempotency_key.clone(),
        clear: &[],
    };
    let (claim, run) = make(d, card, &maker)?;
    Ok(Reply::Claimed { claim, run, repeated: false })
}

fn lane_id(d: &Draft, text: &str) -> Result<String, Refusal> {
    d.world.policy.lane(text).map(|l| l.id.clone()).ok_or_else(|| {
        let known: Vec<&str> = d.world.policy.lanes.iter().map(|l| l.id.as_str()).collect();
        Refusal::UnknownLane(format!("there is no lane `{text}`; there are {}", known.join(", ")))
    })
}

/// The live claim that this very request made before, if its answer was lost.
fn replayed(d: &Draft, take: &Take) -> Option<Arc<Claim>> {
    let key = take.idempotency_key.as_deref()?;
    d.world.held_by(&take.agent).find(|c| c.idempotency_key.as_deref() == Some(key)).cloned()
}

fn own_work(d: &Draft, take: &Take) -> Option<Arc<Claim>> {
    d.world.held_by(&take.agent).filter(|c| c.run.is_none()).last().cloned()
}

/// Hands the same work out again under a higher attempt: whoever held the old one is fenced off.
fn resume(d: &mut Draft, old: &Arc<Claim>, idempotency_key: Option<String>) -> Result<Reply, Refusal> {
    settle::end_claim(d, old, ClaimEvent::Release("resumed".into()))?;
    if let Some(hand_out) = old.fix {
        return followup::resume(d, old, hand_out);
    }
    let mut card = settle::card(d, &old.card)?;
    card.attempt = card.attempt.next(d.world.meta.epoch);
    let id = d.next_claim();
    d.claim(Claim {
        id,
        attempt: card.attempt,
        state: ClaimState::Held,
        ended_at: None,
        idempotency_key,
        claimed_at: d.now,
        expires_at: d.now + old.lease,
        // Its progress is worth keeping; that somebody else renewed it is not.
        notes: Notes { renewed_at: None, ..old.notes.clone() },
        ..(**old).clone()
    });
    d.audit(settle::row(d, old.agent.as_str(), "resume_claim", &card.key));
    d.card(card);
    Ok(Reply::Claimed { claim: id, run: None, repeated: false })
}

/// On whose behalf a claim is made.
pub(super) struct Maker<'a> {
    pub(super) agent: &'a AgentName,
    pub(super) actor: &'a str,
    pub(super) runner: bool,
    pub(super) key: Option<String>,
    /// Flags that are answered by it.
    pub(super) clear: &'a [Flag],
}

/// Makes the claim, moves the card, and for the built-in runner makes the run.
pub(super) fn make(
    d: &mut Draft,
    mut card: Card,
    maker: &Maker<'_>,
) -> Result<(ClaimId, Option<RunId>), Refusal> {
    let id = d.next_claim();
    let run = maker.runner.then(|| d.next_run());
    card.attempt = card.attempt.next(d.world.meta.epoch);
    card.unverified = None;
    if let Some(run) = run {
        card.last_run = Some(run);
    }
    let lease = d.world.policy.lease_of(maker.agent.as_str(), maker.runner);
    let taking = Taking {
        id,
        card: card.key.clone(),
        agent: maker.agent.clone(),
        kind: TaskType::Implement,
        attempt: card.attempt,
        lease,
    };
    let claim = Claim {
        run,
        idempotency_key: maker.key.clone(),
        issue_seen: card.updated_at,
        // The card is about to get the label of whoever takes it, and to begin another column.
        ranking: Some(rank::reason(&card, d.now, maker.agent)),
        head_seen: d.world.linked_pull(&card).map(|p| p.seen.head_sha.clone()),
        ..Claim::taken(taking, d.now)
    };
    if let Some(run) = run {
        let record = new_run(d, &card, &claim, run);
        d.run(record);
    }
    let notes = format!("{id}, attempt {}", claim.attempt.ordinal());
    d.claim(claim);
    let change = Relabel {
        event: Some(CardEvent::Taken),
        agent: AgentLabel::Set(maker.agent),
        clear: maker.clear,
        notes: Some(&notes),
        ..Relabel::new(maker.actor, "claim_issue")
    };
    settle::relabel(d, &mut card, &change)?;
    Ok((id, run))
}

fn new_run(d: &Draft, card: &Card, claim: &Claim, id: RunId) -> Run {
    let repo = d.world.repos.get(&card.key.repo);
    let branch = d
        .world
        .linked_pull(card)
        .filter(|p| !p.seen.from_fork && p.seen.state == dispatch_shared::followup::PullState::Open)
        .map_or_else(|| contract::branch_name(card.key.number, &card.title), |p| p.seen.head_branch.clone());
    let program = d.world.policy.program_for(d.world.lane_of(card)).to_owned();
    let last = d.world.cards.get(&card.key).and_then(|c| c.last_run);
    let earlier = last.and_then(|id| d.world.runs.get(&id));
    Run {
        title: card.title.clone(),
        lane: Some(d.world.lane_of(card).to_owned()),
        claim: Some(claim.id),
        resume: earlier.and_then(|r| rounds::next(r, &program, card.answer.is_some())),
        program,
        branch,
        base_branch: repo.map_or_else(|| "main".to_owned(), |r| r.default_branch.clone()),
        previous: previous_failure(d, last),
        answer: card.answer.clone(),
        ..blank(d, id, card.key.clone(), claim.attempt, claim.agent.clone())
    }
}

/// A run of which nothing is known yet.
pub(super) fn blank(d: &Draft, id: RunId, card: CardKey, attempt: Attempt, agent: AgentName) -> Run {
    Run {
        id,
        card,
        target: Target::Issue,
        hand: None,
        waiting: false,
        title: String::new(),
        claim: None,
        attempt,
        agent,
        program: String::new(),
        state: RunState::Live(Phase::Queued),
        phases: vec![(Phase::Queued, d.now)],
        created_at: d.now,
        ended_at: None,
        runtime: None,
        container: None,
        branch: String::new(),
        base_branch: String::new(),
        previous: None,
        answer: None,
        exit_code: None,
        reason: None,
        question: None,
        usage: Usage::default(),
        spent: Vec::new(),
        began_at: Some(d.now),
        lane: None,
        session: None,
        session_total: None,
        resume: None,
        model: None,
        turns: 0,
        round: Round::default(),
        checks: Vec::new(),
        retry_at: None,
        pull: None,
        pull_url: None,
        last_event: None,
        last_output_at: None,
        kill: None,
    }
}

/// A failure with what the checks put out.
fn told(why: &str, output: Option<&str>) -> String {
    match output.map(str::trim).filter(|o| !o.is_empty()) {
        Some(output) => format!("{why}\n\n{output}"),
        None => why.to_owned(),
    }
}

/// How an earlier run failed, for the next prompt.
pub(super) fn previous_failure(d: &Draft, last: Option<RunId>) -> Option<String> {
    let run = d.world.runs.get(&last?)?;
    let RunState::Ended(class) = run.state else { return None };
    let said = run.checks.last().filter(|_| class == EndClass::VerifyFailed).map(|c| c.output.as_str());
    class.counts_as_failure().then(|| match &run.reason {
        Some(reason) => told(&format!("{class}: {reason}"), said),
        None => told(class.word(), said),
    })
}
