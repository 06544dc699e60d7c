//! The built-in runner on PR-fix items, by example.

use dispatch_shared::followup::FixStatus;
use dispatch_shared::id::RunId;
use dispatch_shared::issue::Status;
use dispatch_shared::run::{EndClass, RunState, Usage};
use dispatch_shared::task::TaskType;

use super::fixture::{Hand, agent, repo};
use super::followups::{PR, at_head, enqueue, fix_key, hand, item};
use crate::core::command::{Command, Reply, RunEnd, RunStep, Take};
use crate::core::record::{Run, Target};
use crate::core::repair;

fn take(hand: &mut Hand) -> Option<Run> {
    let take = Take { runner: true, slots: 4, repos: Some(vec![repo()]), ..Hand::take_command("dispatch") };
    match hand.ok(&Command::Take(take)) {
        Reply::Claimed { run: Some(id), .. } => Some((**hand.world.runs.get(&id).expect("the run")).clone()),
        Reply::Idle => None,
        other => panic!("{other:?}"),
    }
}

fn end(hand: &mut Hand, run: &Run, class: EndClass, head: Option<&str>) {
    let pull = head.map(|head| Box::new(at_head(hand, head)));
    let end = RunEnd {
        class,
        reason: Some("because".into()),
        exit_code: None,
        question: (class == EndClass::Blocked).then(|| "Which one?".into()),
        usage: Usage::default(),
        retry_at: None,
        session: None,
        pull,
        checked: None,
    };
    hand.ok(&Command::Run { run: run.id, attempt: run.attempt, step: RunStep::Ended(Box::new(end)) });
}

fn queued() -> Hand {
    let mut hand = hand();
    enqueue(&mut hand, "a");
    hand.pass(1);
    hand
}

#[test]
fn an_item_is_a_run_on_its_pull_request_and_a_push_settles_it() {
    let mut hand = queued();
    let run = take(&mut hand).expect("the item is taken");
    let pull = at_head(&hand, "x");
    assert_eq!((&run.target, &run.branch, &run.hand), (&Target::Pull(PR), &pull.head_branch, &None));
    let claim = hand.world.claims.get(&run.claim.expect("a claim")).expect("it is there").clone();
    assert_eq!((claim.kind, claim.run, claim.attempt), (TaskType::FollowupPr, Some(run.id), run.attempt));
    assert!(claim.fix.is_some() && claim.is_held());
    assert!(take(&mut hand).is_none(), "it is handed out once");
    end(&mut hand, &run, EndClass::Succeeded, Some("new"));
    assert_eq!((item(&hand).status, item(&hand).claim), (FixStatus::Fixed, None));
    assert_eq!(hand.world.held_by(&agent("dispatch")).count(), 0);
    assert_eq!(hand.card(1).status, Status::InReview, "a follow-up moves no card");
}

#[test]
fn every_end_says_what_becomes_of_the_item() {
    let table = [
        (EndClass::NoChanges, FixStatus::Blocked),
        (EndClass::Blocked, FixStatus::Blocked),
        (EndClass::Budget, FixStatus::Blocked),
        (EndClass::Failed, FixStatus::Queued),
        (EndClass::VerifyFailed, FixStatus::Queued),
        (EndClass::RateLimited, FixStatus::Queued),
        (EndClass::Killed, FixStatus::Queued),
    ];
    for (class, status) in table {
        let mut hand = queued();
        let run = take(&mut hand).expect("the item is taken");
        end(&mut hand, &run, class, None);
        let fix = item(&hand);
        assert_eq!((fix.status, fix.claim), (status, None), "{class}");
        assert_eq!(hand.world.runs.get(&run.id).map(|r| r.state), Some(RunState::Ended(class)));
        // Nobody is handed the same generation twice, unless it could do nothing about the end.
        let again = class == EndClass::RateLimited;
        assert_eq!(!fix.handed.contains(&agent("dispatch")), again, "{class}");
        assert!(take(&mut hand).is_none(), "{class}: not at once");
    }
}

#[test]
fn a_model_that_said_later_is_asked_later_and_less_often_each_time() {
    let mut hand = queued();
    let mut pauses = Vec::new();
    for _ in 0..3 {
        let run = take(&mut hand).expect("its time has come");
        end(&mut hand, &run, EndClass::RateLimited, None);
        let next = repair::candidates(&hand.world, &agent("dispatch"), None, &[repo()]);
        let at = next.first().and_then(|c| c.not_before).expect("it waits");
        pauses.push(at.since(hand.now).as_secs());
        hand.pass(at.since(hand.now).as_secs());
    }
    assert!(pauses.is_sorted() && pauses[0] < pauses[2], "{pauses:?}");
}

#[test]
fn only_where_the_runner_is_on_and_nothing_runs_on_the_branch() {
    let mut hand = queued();
    let dispatch = agent("dispatch");
    assert_eq!(repair::candidates(&hand.world, &dispatch, None, &[]), []);
    let first = take(&mut hand).expect("the item is taken");
    end(&mut hand, &first, EndClass::Blocked, None);
    let again = Command::Answer { run: first.id, text: "the blue one".into(), actor: "operator".into() };
    hand.ok(&again);
    let second = hand.world.runs.get(&RunId(first.id.0 + 1)).expect("an answer starts it again").clone();
    assert_eq!((&second.target, second.answer.as_deref()), (&Target::Pull(PR), Some("the blue one")));
    assert_eq!(second.hand.as_ref().map(|h| h.template.as_str()), Some(repair::TEMPLATE));
    assert!(hand.world.fixes.get(&fix_key(PR)).is_some());
    assert_eq!(repair::candidates(&hand.world, &dispatch, None, &[repo()]), []);
}
