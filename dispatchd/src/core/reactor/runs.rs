//! Runs of the built-in runner: how they go on, how they end, and what an operator does to them.

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::issue::{IssueState, Status};
use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::run::{EndClass, Phase, RunState};
use dispatch_shared::task::Outcome;

use super::settle::{self, AgentLabel, Relabel};
use super::{DONE, dispatch, repair, report, spend, sync};
use crate::core::command::{Refusal, Reply, RunEnd, RunStep, Worked};
use crate::core::draft::Draft;
use crate::core::record::{Card, Checked, Kill, Mark, Round, Run};
use crate::core::retry::{self, Consequence};
use crate::core::rounds;
use crate::core::transition::{self, CardEvent, ClaimEvent, RunEvent};

fn run(d: &Draft, id: RunId) -> Result<Run, Refusal> {
    d.world
        .runs
        .get(&id)
        .map(|r| (**r).clone())
        .ok_or_else(|| Refusal::NotFound(format!("there is no run {id}; `dispatch runs` lists them")))
}

fn fenced(d: &Draft, id: RunId, attempt: Option<Attempt>) -> Result<Run, Refusal> {
    let run = run(d, id)?;
    match attempt {
        Some(named) if named != run.attempt => Err(Refusal::Stale(format!(
            "run {id} is attempt {}, not {}; look again",
            run.attempt.ordinal(),
            named.ordinal()
        ))),
        _ => Ok(run),
    }
}

pub(super) fn step(d: &mut Draft, id: RunId, attempt: Attempt, step: &RunStep) -> Result<Reply, Refusal> {
    let mut run = fenced(d, id, Some(attempt))?;
    match step {
        RunStep::Preparing => enter(d, &mut run, Phase::Preparing)?,
        RunStep::Started { runtime, container } => {
            run.runtime = Some(*runtime);
            run.container = Some(container.clone());
            enter(d, &mut run, Phase::Running)?;
        }
        RunStep::Output { last_event, usage } => {
            if !run.state.is_live() {
                return Err(Refusal::Stale(format!("run {id} is over")));
            }
            run.last_event = Some(last_event.clone());
            run.last_output_at = Some(d.now);
            spend::used(d, &mut run, *usage);
            return Ok(DONE);
        }
        RunStep::Verifying(worked) => {
            enter(d, &mut run, Phase::Verifying)?;
            if let Some(worked) = worked {
                took_in(&mut run, worked);
                spend::used(d, &mut run, worked.usage);
                return Ok(DONE);
            }
        }
        RunStep::Again { checked, log } => return again(d, run, checked.as_ref(), *log),
        RunStep::Publishing => enter(d, &mut run, Phase::Publishing)?,
        RunStep::Ended(end) => return ended(d, run, end),
    }
    d.run(run);
    Ok(DONE)
}

fn enter(d: &Draft, run: &mut Run, phase: Phase) -> Result<(), Refusal> {
    let next = transition::run(run.state, RunEvent::Enter(phase))?;
    if run.state != next || run.phases.is_empty() {
        run.phases.push((phase, d.now));
    }
    run.state = next;
    Ok(())
}

fn took_in(run: &mut Run, worked: &Worked) {
    if let Some((session, total)) = &worked.session {
        run.session = Some(session.clone());
        run.session_total = *total;
    }
    run.model = worked.model.clone().or(run.model.take());
    run.turns = worked.turns;
    run.exit_code = worked.exit_code.or(run.exit_code);
}

/// The run goes back to its program. What it used and how far its logs are is kept, so that a restart goes on in the right
/// round.
fn again(d: &mut Draft, mut run: Run, checked: Option<&Checked>, log: Mark) -> Result<Reply, Refusal> {
    enter(d, &mut run, Phase::Preparing)?;
    run.round = Round { usage: run.usage, turns: run.turns, log };
    run.container = None;
    run.resume = checked.and_then(|_| rounds::same(&run));
    run.checks.extend(checked.cloned());
    let notes = match checked.and_then(|c| c.failed.as_deref()) {
        Some(why) => format!("{}: {why}; its program is told", run.id),
        None => format!("{}: its conversation could not be taken up, it begins anew", run.id),
    };
    let row = settle::row_of_run(d, run.agent.as_str(), "continue_run", &run);
    d.audit(AuditRow { notes: Some(notes), ..row });
    d.run(run);
    Ok(DONE)
}

fn ended(d: &mut Draft, mut run: Run, end: &RunEnd) -> Result<Reply, Refusal> {
    run.state = transition::run(run.state, RunEvent::End(end.class))?;
    run.ended_at = Some(d.now);
    run.exit_code = end.exit_code.or(run.exit_code);
    run.reason.clone_from(&end.reason);
    run.question.clone_from(&end.question);
    let usage = if end.usage.tokens() == 0 && end.usage.cost_usd.is_none() { run.usage } else { end.usage };
    run.retry_at = end.retry_at;
    if let Some((session, total)) = &end.session {
        run.session = Some(session.clone());
        run.session_total = *total;
    }
    run.checks.extend(end.checked.clone());
    run.pull = end.pull.as_ref().map(|p| p.number);
    run.pull_url = end.pull.as_ref().map(|p| p.url.clone());
    run.kill = None;
    run.waiting = false;
    spend::used(d, &mut run, usage);
    spend::ended(d, &run, end);
    let notes = match &end.reason {
        Some(reason) => format!("{} {}: {reason}", run.id, end.class),
        None => format!("{} {}", run.id, end.class),
    };
    d.audit(AuditRow {
        notes: Some(notes),
        success: end.class == EndClass::Succeeded,
        ..settle::row_of_run(d, run.agent.as_str(), "report_task", &run)
    });
    if let Some(pull) = end.pull.as_ref().filter(|_| !run.is_on_issue()) {
        sync::pull(d, &run.card.repo, pull)?;
    }
    // A claim that is not this run's any more was taken away: the card belongs to whoever took it.
    let Some(claim) = d.world.held(&run.card).filter(|c| Some(c.id) == run.claim).cloned() else {
        return Ok(DONE);
    };
    if repair::ended(d, &run, &claim, end)? {
        return Ok(DONE);
    }
    settle::end_claim(d, &claim, ClaimEvent::Finish(outcome(end.class)))?;
    if run.is_on_issue() {
        settle_card(d, &run, end)?;
    }
    Ok(DONE)
}

fn outcome(class: EndClass) -> Outcome {
    match class {
        EndClass::Succeeded => Outcome::PrOpened,
        EndClass::Blocked => Outcome::Blocked,
        EndClass::NoChanges => Outcome::NoChangesNeeded,
        _ => Outcome::Failed,
    }
}

fn settle_card(d: &mut Draft, run: &Run, end: &RunEnd) -> Result<(), Refusal> {
    let (key, actor) = (&run.card, run.agent.as_str());
    if let Some(pull) = &end.pull {
        report::link(d, key, pull)?;
    }
    if settle::card(d, key)?.status == Status::Done {
        return Ok(());
    }
    let reason = end.reason.as_deref().unwrap_or(end.class.word());
    if end.class == EndClass::Succeeded && end.pull.is_some() {
        return report::in_review(d, key, actor);
    }
    let mut consequence = retry::consequence(end.class);
    // The task is not to blame for what others spent.
    if end.class == EndClass::Budget && end.retry_at.is_some() {
        consequence = Consequence::TryLater;
    }
    if consequence != Consequence::TryLater {
        let card = settle::card(d, key)?;
        if card.deferred > 0 {
            d.card(Card { deferred: 0, ..card });
        }
    }
    match consequence {
        // Whoever started it by hand says what is next: the queue does not make something else of it.
        Consequence::FailedAttempt | Consequence::TryLater if run.hand.is_some() => {
            report::needs_person(d, key, actor, &format!("run {}: {}: {reason}", run.id, end.class))
        }
        Consequence::Ask => report::ask(d, key, actor, end.question.as_deref().unwrap_or(reason)),
        Consequence::NeedsPerson => report::needs_person(d, key, actor, &format!("run {}: {reason}", run.id)),
        Consequence::FailedAttempt => report::failed(d, key, actor, &format!("{}: {reason}", end.class)),
        Consequence::TryLater => {
            let card = settle::card(d, key)?;
            let deferred = card.deferred + 1;
            let due = retry::again(end.class, deferred, d.now, end.retry_at);
            d.card(Card { not_before: Some(due), deferred, ..card });
            settle::give_back(d, key, actor, "unclaim_issue", Some(reason))
        }
        Consequence::PutAway => {
            let mut card = settle::card(d, key)?;
            let open_pull = settle::has_open_pull(d, &card);
            let change = Relabel {
                event: Some(CardEvent::Moved(if open_pull { Status::InReview } else { Status::Backlog })),
                agent: if open_pull { AgentLabel::Keep } else { AgentLabel::Clear },
                notes: Some(reason),
                ..Relabel::new(actor, "move_issue")
            };
            settle::relabel(d, &mut card, &change)
        }
        Consequence::Nothing => settle::give_back(d, key, actor, "unclaim_issue", Some(reason)),
    }
}

pub(super) fn kill(
    d: &mut Draft,
    id: RunId,
    attempt: Option<Attempt>,
    now: bool,
    actor: &str,
) -> Result<Reply, Refusal> {
    let mut run = fenced(d, id, attempt)?;
    if run.state == RunState::Ended(EndClass::Killed) {
        return Ok(DONE);
    }
    if let RunState::Ended(class) = run.state {
        return Err(Refusal::Illegal(format!("run {id} is over: {class}")));
    }
    if run.waiting {
        d.audit(AuditRow {
            notes: Some(format!("{id}, before it began")),
            ..settle::row_of_run(d, actor, "kill_run", &run)
        });
        let reason = Some(format!("it was killed by {actor} before it began"));
        let (class, usage) = (EndClass::Killed, run.usage);
        return ended(
            d,
            run,
            &RunEnd {
                class,
                reason,
                exit_code: None,
                question: None,
                usage,
                retry_at: None,
                session: None,
                checked: None,
                pull: None,
            },
        );
    }
    let before = run.kill.take();
    let again = before.is_some();
    run.kill =
        Some(Kill { by: actor.to_owned(), now: now || again, revoked: before.is_some_and(|k| k.revoked) });
    let notes = format!("{id}{}", if now || again { ", without grace" } else { "" });
    d.audit(AuditRow { notes: Some(notes), ..settle::row_of_run(d, actor, "kill_run", &run) });
    d.run(run);
    Ok(DONE)
}

pub(super) fn retry(d: &mut Draft, id: RunId, actor: &str) -> Result<Reply, Refusal> {
    let run = run(d, id)?;
    if run.hand.is_some() || !run.is_on_issue() {
        return dispatch::again(d, &repair::by_hand(&run, actor), actor, "retry_run", None);
    }
    make_ready(d, &run, actor, "retry_run", None)?;
    Ok(DONE)
}

pub(super) fn answer(d: &mut Draft, id: RunId, text: &str, actor: &str) -> Result<Reply, Refusal> {
    let run = run(d, id)?;
    if text.trim().is_empty() {
        return Err(Refusal::Invalid("the answer is empty; write what the agent should do".into()));
    }
    if run.state != RunState::Ended(EndClass::Blocked) {
        return Err(Refusal::Illegal(format!("run {id} asks nothing: it is {}", run.state.word())));
    }
    if run.hand.is_some() || !run.is_on_issue() {
        return dispatch::again(d, &repair::by_hand(&run, actor), actor, "answer_run", Some(text));
    }
    make_ready(d, &run, actor, "answer_run", Some(text))?;
    Ok(DONE)
}

/// The card of an ended run becomes ready, as if it had not failed before.
fn make_ready(
    d: &mut Draft,
    run: &Run,
    actor: &str,
    action: &str,
    answer: Option<&str>,
) -> Result<(), Refusal> {
    let mut card = settle::card(d, &run.card)?;
    let subject = settle::name(d, &run.card);
    if run.state.is_live() {
        return Err(Refusal::Illegal(format!("run {} is still {}; kill it first", run.id, run.state.word())));
    }
    if card.last_run != Some(run.id) {
        let newer = card.last_run.map_or_else(String::new, |id| format!(", {id} is"));
        return Err(Refusal::Stale(format!("run {} is not the newest of {subject}{newer}", run.id)));
    }
    if card.state == IssueState::Closed {
        return Err(Refusal::Closed(format!("{subject} is closed; reopen it on the forge first")));
    }
    if let Some(held) = d.world.held(&run.card) {
        return Err(Refusal::Held(format!("{subject} is held by {}; release it first", held.agent)));
    }
    card.failures = 0;
    card.deferred = 0;
    card.not_before = None;
    card.question = None;
    if let Some(text) = answer {
        card.answer = Some(text.to_owned());
    }
    let change = Relabel {
        event: Some(CardEvent::Moved(Status::Ready)),
        agent: AgentLabel::Clear,
        clear: &settle::STOPPERS,
        notes: Some(answer.unwrap_or("")).filter(|n| !n.is_empty()),
        ..Relabel::new(actor, action)
    };
    settle::relabel(d, &mut card, &change)
}
