//! Runs that go back to their program, conversations that go on, and the time that went into an issue.

use std::time::Duration;

use dispatch_shared::id::RunId;
use dispatch_shared::issue::Status;
use dispatch_shared::run::{EndClass, RunState, RuntimeKind, Usage};
use dispatch_shared::task::Outcome;

use super::fixture::{Hand, START, agent, key, report, seen};
use crate::core::command::{Command, Evidence, Reply, Report, RunEnd, RunStep, Take, Worked};
use crate::core::record::{Because, Checked, Mark, Run};
use crate::core::rounds::{self, Allowance};
use crate::core::{effort, view};

fn usage(tokens: u64) -> Usage {
    Usage { input_tokens: tokens, ..Usage::default() }
}

impl Hand {
    fn take_run(&mut self) -> RunId {
        let take = Command::Take(Take { runner: true, slots: 4, ..Hand::take_command("dispatch") });
        let Reply::Claimed { run: Some(run), .. } = self.ok(&take) else { panic!("a run is made") };
        run
    }

    fn the_run(&self, id: RunId) -> Run {
        (**self.world.runs.get(&id).expect("the run is there")).clone()
    }

    fn step_of(&mut self, id: RunId, step: RunStep) {
        let attempt = self.the_run(id).attempt;
        self.ok(&Command::Run { run: id, attempt, step });
    }

    fn program_works(&mut self, id: RunId, seconds: u64, tokens: u64, session: &str) {
        self.step_of(id, RunStep::Preparing);
        self.step_of(id, RunStep::Started { runtime: RuntimeKind::Host, container: "pid 1".into() });
        self.pass(seconds);
        let worked = Worked {
            usage: usage(tokens),
            turns: tokens / 10,
            session: Some((session.into(), Some(usage(tokens)))),
            model: Some("m-1".into()),
            exit_code: Some(0),
        };
        self.step_of(id, RunStep::Verifying(Some(Box::new(worked))));
    }

    fn checks_fail(&mut self, id: RunId, raw: u64) {
        let checked =
            Checked { at: self.now, failed: Some("the checks failed".into()), output: "boom".into() };
        self.step_of(id, RunStep::Again { checked: Some(checked), log: Mark { raw, events: 3 } });
    }

    fn run_ends(&mut self, id: RunId, class: EndClass) {
        let end = RunEnd {
            class,
            reason: Some("as told".into()),
            exit_code: None,
            question: (class == EndClass::Blocked).then(|| "Which?".into()),
            usage: self.the_run(id).usage,
            retry_at: None,
            session: None,
            pull: None,
            checked: None,
        };
        self.step_of(id, RunStep::Ended(Box::new(end)));
    }
}

fn ready() -> Hand {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand
}

#[test]
fn a_run_goes_back_to_its_program_and_counts_on() {
    let mut hand = ready();
    let id = hand.take_run();
    hand.program_works(id, 100, 50, "s-1");
    hand.pass(1_000);
    hand.checks_fail(id, 700);
    let run = hand.the_run(id);
    assert_eq!(run.state.word(), "preparing");
    assert_eq!((run.round.usage.tokens(), run.round.turns, run.round.log.raw), (50, 5, 700));
    let resume = run.resume.clone().expect("the conversation goes on");
    assert_eq!((resume.session.as_str(), resume.because), ("s-1", Because::Checks));
    assert_eq!(resume.total, Some(usage(50)));
    assert_eq!(run.worked(hand.now), Duration::from_secs(100), "checking is not working");
    hand.program_works(id, 30, 80, "s-1");
    assert_eq!(hand.the_run(id).worked(hand.now), Duration::from_secs(130));
    assert_eq!(hand.card(1).status, Status::InProgress, "the claim is the same all along");
    hand.run_ends(id, EndClass::VerifyFailed);
    let shown = view::run(&hand.world, &hand.the_run(id)).expect("it is shown");
    assert_eq!((shown.checks.len(), shown.model.as_deref()), (1, Some("m-1")));
    assert_eq!(shown.usage.tokens(), 80);
    hand.pass(3_600);
    let next = hand.take_run();
    let run = hand.the_run(next);
    assert_eq!(run.resume, None, "after a failure it begins anew");
    assert_eq!(run.previous.as_deref(), Some("verify-failed: as told\n\nboom"));
}

#[test]
fn another_round_needs_retries_time_turns_and_money() {
    let mut hand = ready();
    let id = hand.take_run();
    hand.program_works(id, 100, 50, "s-1");
    let run = hand.the_run(id);
    let free = Allowance { retries: 1, ..Allowance::default() };
    let may = |run: &Run, allowance: Allowance| rounds::again(run, &allowance, hand.now);
    assert_eq!(may(&run, free), Ok(()));
    assert_eq!(may(&run, Allowance::default()), Err(None), "it was never to");
    assert!(may(&run, Allowance { timeout: Some(Duration::from_secs(100)), ..free }).is_err());
    assert_eq!(may(&run, Allowance { timeout: Some(Duration::from_secs(101)), ..free }), Ok(()));
    assert!(may(&run, Allowance { turns: Some(5), ..free }).is_err());
    assert!(may(&run, Allowance { tokens: Some(50), ..free }).is_err());
    let dear = Run { usage: Usage { cost_usd: Some(2.0), ..run.usage }, ..run.clone() };
    assert!(may(&dear, Allowance { usd: Some(2.0), ..free }).is_err());
    let again = Run {
        checks: vec![Checked { at: hand.now, failed: Some("x".into()), output: String::new() }],
        ..run
    };
    assert!(may(&again, free).is_err());
    assert_eq!(may(&again, Allowance { retries: 2, ..free }), Ok(()));
}

#[test]
fn a_conversation_goes_on_after_an_answer_and_where_there_is_more_to_do() {
    let mut hand = ready();
    let id = hand.take_run();
    hand.program_works(id, 10, 50, "s-1");
    hand.run_ends(id, EndClass::Blocked);
    let last = hand.the_run(id);
    let program = last.program.clone();
    assert_eq!(rounds::next(&last, &program, false), None, "nobody answered");
    assert_eq!(rounds::next(&last, "another", true), None);
    hand.ok(&Command::Answer { run: id, text: "The second.".into(), actor: "op".into() });
    let run = hand.take_run();
    let run = hand.the_run(run);
    let resume = run.resume.expect("it goes on");
    assert_eq!((resume.session.as_str(), resume.because), ("s-1", Because::Answer));
    for (class, goes_on) in [
        (EndClass::Succeeded, true),
        (EndClass::Failed, false),
        (EndClass::VerifyFailed, false),
        (EndClass::ContextOverflow, false),
        (EndClass::Killed, false),
    ] {
        let last = Run { state: RunState::Ended(class), ..last.clone() };
        assert_eq!(rounds::next(&last, &program, false).is_some(), goes_on, "{class}");
    }
}

#[test]
fn a_program_that_lost_its_conversation_begins_anew_in_the_same_run() {
    let mut hand = ready();
    let id = hand.take_run();
    hand.program_works(id, 10, 50, "s-1");
    hand.checks_fail(id, 7);
    hand.step_of(id, RunStep::Again { checked: None, log: Mark { raw: 9, events: 3 } });
    let run = hand.the_run(id);
    assert_eq!((run.resume, run.checks.len(), run.round.log.raw), (None, 1, 9));
    let rows = hand.world.runs.len();
    assert_eq!(rows, 1, "no other run was made");
}

#[test]
fn the_time_of_an_issue_is_the_sum_of_its_runs_and_claims() {
    let mut hand = ready();
    let spent = |hand: &Hand| effort::on(&hand.world, &key(1)).as_secs();
    assert_eq!(spent(&hand), 0);
    let id = hand.take_run();
    hand.program_works(id, 100, 50, "s-1");
    hand.run_ends(id, EndClass::Failed);
    assert_eq!(spent(&hand), 100);
    hand.pass(3_600);
    let claim = hand.take("kai").expect("it is ready again");
    assert_eq!(spent(&hand), 100, "nothing was heard of it yet");
    hand.pass(60);
    hand.ok(&Command::Renew { agent: agent("kai"), claim: Some(claim.id), checkpoint: None });
    assert_eq!(spent(&hand), 160, "up to the last sign of life");
    hand.pass(40);
    let reported = Report {
        agent: agent("kai"),
        card: Some(key(1)),
        request: report(Outcome::Failed),
        evidence: Evidence::NotNeeded,
    };
    hand.ok(&Command::Report(Box::new(reported)));
    assert_eq!(spent(&hand), 200);
    hand.pass(7_200);
    let third = hand.take("noor").expect("it is ready again");
    hand.pass(100_000);
    hand.ok(&Command::Tick { grace_until: None });
    assert!(hand.world.held(&key(1)).is_none_or(|c| c.id != third.id), "its lease ran out");
    assert_eq!(spent(&hand), 200, "who never gave a sign of life did not work");
    let shown = view::issue(&hand.world, &hand.card(1), None).expect("it is shown");
    assert_eq!(shown.time_spent_seconds, 200);
}
