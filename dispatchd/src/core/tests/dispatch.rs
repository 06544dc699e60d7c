//! Runs by hand: what may be started, what waits, and how it ends; and reports that nobody could check at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use dispatch_shared::claim::Checkpoint;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::RunId;
use dispatch_shared::issue::{Flag, Status};
use dispatch_shared::protocol::control::ProblemKind;
use dispatch_shared::run::{EndClass, Phase, RunState, Usage};
use dispatch_shared::task::{Outcome, TaskType};

use super::fixture::{Hand, START, agent, key, repo, report, seen, seen_pull};
use crate::core::command::{Command, Evidence, Refusal, Reply, Report, RunEnd, RunStep, Take};
use crate::core::dispatch::Dispatch;
use crate::core::policy::Policy;
use crate::core::record::{self, Run, Target};
use crate::core::seen::SeenPull;
use crate::core::{contract, problem};

fn ask(target: Target, issue: u64) -> Dispatch {
    let hand = record::Hand {
        task: "Count the lines.\nAll of them.".into(),
        template: "coding".into(),
        plan: None,
        persona: None,
        variables: BTreeMap::new(),
        by: "ada".into(),
    };
    Dispatch { repo: repo(), issue, target, program: Some("codex:big".into()), hand, answer: None }
}

fn branch(name: &str) -> Command {
    Command::Dispatch(Box::new(ask(Target::Branch(name.into()), 0)))
}

fn issue(number: u64) -> Command {
    Command::Dispatch(Box::new(ask(Target::Issue, number)))
}

fn pull(number: u64) -> Command {
    Command::Dispatch(Box::new(ask(Target::Pull(number), 0)))
}

impl Hand {
    #[track_caller]
    fn started(&mut self, command: &Command) -> (Run, Option<String>) {
        match self.ok(command) {
            Reply::Dispatched { run, waits_for } => (self.run(run), waits_for),
            other => panic!("a run is started, not {other:?}"),
        }
    }

    #[track_caller]
    fn run(&self, id: RunId) -> Run {
        (**self.world.runs.get(&id).expect("the run is there")).clone()
    }

    #[track_caller]
    fn end(&mut self, run: &Run, class: EndClass, pull: Option<SeenPull>) {
        let end = RunEnd {
            class,
            reason: Some("as told".into()),
            exit_code: Some(0),
            question: (class == EndClass::Blocked).then(|| "Which?".into()),
            usage: Usage::default(),
            retry_at: None,
            session: None,
            checked: None,
            pull: pull.map(Box::new),
        };
        let step = RunStep::Ended(Box::new(end));
        self.ok(&Command::Run { run: run.id, attempt: run.attempt, step });
    }

    fn slots(&mut self, runner_slots: usize) {
        self.world.set_policy(Arc::new(Policy { runner_slots, ..Policy::default() }));
    }
}

#[test]
fn an_issue_by_hand_is_claimed_whatever_its_column_and_flags() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/backlog", "needs-human"], START)], vec![]);
    let (run, waits) = hand.started(&issue(1));
    assert_eq!((waits, run.program.as_str(), run.target.clone()), (None, "codex:big", Target::Issue));
    let card = hand.card(1);
    assert_eq!((card.status, card.flags.clone(), card.last_run), (Status::InProgress, vec![], Some(run.id)));
    let held = hand.world.held(&key(1)).expect("claimed").clone();
    assert_eq!((held.run, Some(held.id), held.attempt), (Some(run.id), run.claim, run.attempt));
    assert!(
        matches!(hand.refused(&issue(1)), Refusal::Held(_)),
        "nobody else gets it, nor the same once more"
    );
    hand.end(&run, EndClass::Succeeded, Some(seen_pull(9, 1, PullState::Open, hand.now)));
    assert_eq!((hand.card(1).status, hand.card(1).linked_pull), (Status::InReview, Some(9)));
}

#[test]
fn what_somebody_else_holds_or_is_assigned_is_refused() {
    let mut hand = Hand::new();
    hand.sync(
        vec![seen(1, &["status/ready"], START), seen(2, &["status/ready", "agent/ben"], START)],
        vec![],
    );
    hand.take("kai").expect("issue 1");
    let said = hand.refused(&issue(1)).to_string();
    assert!(said.contains("held by kai"), "{said}");
    let said = hand.refused(&issue(2)).to_string();
    assert!(said.contains("assigned to ben"), "{said}");
    assert!(matches!(hand.refused(&issue(7)), Refusal::NotFound(_)));
    assert!(hand.world.runs.is_empty());
}

#[test]
fn without_room_it_waits_and_goes_ahead_in_its_turn() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START), seen(2, &["status/ready"], START)], vec![]);
    hand.slots(1);
    let (first, waits) = hand.started(&branch("one"));
    assert_eq!(waits, None);
    let (second, waits) = hand.started(&issue(1));
    assert!(waits.expect("no slot is free").contains("1/1 slots"), "what it waits for is said");
    let (third, _) = hand.started(&branch("three"));
    assert!(second.waiting && third.waiting);
    assert_eq!(hand.ok(&Command::Proceed), Reply::Idle);
    let take = Command::Take(Take { runner: true, ..Hand::take_command("dispatch") });
    assert_eq!(hand.ok(&take), Reply::Idle, "what goes on by hand fills the slot");
    // A lease that nobody renews is renewed by time while the run waits.
    hand.pass(3_600);
    hand.ok(&Command::Tick { grace_until: None });
    let held = hand.world.held(&key(1)).expect("still claimed").clone();
    assert!(held.expires_at > hand.now);
    assert!(hand.world.next_due().is_some_and(|due| due <= held.expires_at));
    hand.end(&first, EndClass::Succeeded, None);
    assert_eq!(hand.ok(&Command::Proceed), Reply::Dispatched { run: second.id, waits_for: None });
    assert!(!hand.run(second.id).waiting && hand.run(third.id).waiting, "the oldest first");
    assert_eq!(hand.ok(&Command::Proceed), Reply::Idle);
}

#[test]
fn a_freeze_and_limits_bind_runs_by_hand() {
    let mut hand = Hand::new();
    hand.ok(&Command::Freeze { frozen: true, actor: "ada".into() });
    let (_, waits) = hand.started(&branch("one"));
    assert_eq!(waits.as_deref(), Some("the queue is frozen"));
    hand.ok(&Command::Freeze { frozen: false, actor: "ada".into() });
    let mut policy = Policy { runner_slots: 9, ..Policy::default() };
    policy.limits.models.insert("codex".into(), 1);
    hand.world.set_policy(Arc::new(policy));
    assert!(matches!(hand.ok(&Command::Proceed), Reply::Dispatched { .. }));
    let (_, waits) = hand.started(&branch("two"));
    assert!(waits.expect("the model is at its limit").contains("codex: 1/1"));
    let other = Dispatch { program: Some("claude".into()), ..ask(Target::Tag("v1".into()), 0) };
    assert_eq!(hand.started(&Command::Dispatch(Box::new(other))).1, None);
}

#[test]
fn a_run_that_waits_is_killed_or_revoked_at_once() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START), seen(2, &["status/ready"], START)], vec![]);
    hand.ok(&Command::Freeze { frozen: true, actor: "ada".into() });
    let (one, _) = hand.started(&issue(1));
    let (two, _) = hand.started(&issue(2));
    let (three, _) = hand.started(&branch("x"));
    hand.ok(&Command::Kill { run: one.id, attempt: None, now: false, actor: "ada".into() });
    assert_eq!(hand.run(one.id).state, RunState::Ended(EndClass::Killed));
    assert_eq!(hand.card(1).status, Status::Backlog);
    hand.ok(&Command::Move { card: key(2), to: Status::Ready, claim: None, actor: "ada".into() });
    assert_eq!(hand.run(two.id).state, RunState::Ended(EndClass::Revoked));
    hand.ok(&Command::Untrack { repo: repo(), actor: "ada".into() });
    assert_eq!(hand.run(three.id).state, RunState::Ended(EndClass::Revoked), "nothing goes on untracked");
}

#[test]
fn a_failure_by_hand_is_a_persons_matter_and_can_be_tried_again() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/backlog"], START)], vec![]);
    let (first, _) = hand.started(&issue(1));
    hand.end(&first, EndClass::Network, None);
    let card = hand.card(1);
    assert_eq!(
        (card.status, card.flags),
        (Status::Backlog, vec![Flag::NeedsHuman]),
        "the queue does not take it"
    );
    let retry = Command::Retry { run: first.id, actor: "ben".into() };
    let (second, _) = hand.started(&retry);
    assert!(second.attempt > first.attempt && second.hand.is_some() && second.program == first.program);
    hand.end(&second, EndClass::Blocked, None);
    let answer = Command::Answer { run: second.id, text: "The left one".into(), actor: "ben".into() };
    let (third, _) = hand.started(&answer);
    assert_eq!(third.answer.as_deref(), Some("The left one"));
    assert!(matches!(hand.refused(&retry), Refusal::Stale(_) | Refusal::Held(_)), "an old run is no start");
}

#[test]
fn a_branch_by_hand_shows_as_a_problem_until_it_is_tried_again() {
    let mut hand = Hand::new();
    let (first, _) = hand.started(&branch("next"));
    assert_eq!((first.claim, first.title.as_str()), (None, "Count the lines."));
    let said = hand.refused(&branch("next")).to_string();
    assert!(said.contains("r-1 works on branch next"), "{said}");
    hand.end(&first, EndClass::Blocked, None);
    let problems = problem::problems(&hand.world, hand.now);
    let found: Vec<_> = problems.iter().map(|p| (p.kind, p.run_id, p.text.as_str())).collect();
    assert_eq!(found, [(ProblemKind::Question, Some(first.id), "Which?")]);
    let answer = Command::Answer { run: first.id, text: "This".into(), actor: "ben".into() };
    let (second, _) = hand.started(&answer);
    assert_eq!((second.answer.as_deref(), second.attempt > first.attempt), (Some("This"), true));
    assert!(problem::problems(&hand.world, hand.now).is_empty());
    hand.end(&second, EndClass::Failed, None);
    let problems = problem::problems(&hand.world, hand.now);
    assert_eq!(problems.first().map(|p| (p.kind, p.action.as_str())), Some((ProblemKind::Failed, "retry")));
    hand.started(&Command::Retry { run: second.id, actor: "ben".into() });
}

#[test]
fn neither_the_default_branch_nor_what_git_would_misread_is_taken() {
    let mut hand = Hand::new();
    for (name, why) in
        [("main", "default branch"), ("-f", "no name"), ("a..b", "no name"), ("a b", "no name")]
    {
        let said = hand.refused(&branch(name)).to_string();
        assert!(said.contains(why), "{name}: {said}");
    }
    let tag = ask(Target::Tag("v1:x".into()), 0);
    assert!(matches!(hand.refused(&Command::Dispatch(Box::new(tag))), Refusal::Invalid(_)));
    assert!(hand.world.runs.is_empty());
}

#[test]
fn a_pull_request_by_hand_is_held_and_moves_no_card() {
    let mut hand = Hand::new();
    let fork = SeenPull { from_fork: true, ..seen_pull(4, 3, PullState::Open, START) };
    let shut = seen_pull(5, 3, PullState::Closed, START);
    let loose =
        SeenPull { closes: vec![], head_branch: "theirs".into(), ..seen_pull(8, 3, PullState::Open, START) };
    hand.sync(
        vec![seen(1, &["status/in-review"], START)],
        vec![seen_pull(9, 1, PullState::Open, START), fork, shut, loose],
    );
    assert!(hand.refused(&pull(4)).to_string().contains("fork"));
    assert!(hand.refused(&pull(5)).to_string().contains("not open"));
    assert!(matches!(hand.refused(&pull(77)), Refusal::NotFound(_)));
    let (run, _) = hand.started(&pull(9));
    assert_eq!((run.card.clone(), run.branch.as_str()), (key(1), "fix/issue-1-x"));
    let claim = hand.world.held(&key(1)).expect("its card is held").clone();
    assert_eq!((claim.kind, claim.run), (TaskType::FollowupPr, Some(run.id)));
    let before = hand.card(1);
    // The labels say nothing of it, and a sync that sees so takes nothing away.
    hand.sync(vec![seen(1, &["status/in-review", "priority/p1"], hand.now)], vec![]);
    assert!(hand.world.held(&key(1)).is_some());
    assert!(
        matches!(hand.refused(&branch("fix/issue-1-x")), Refusal::Held(_)),
        "the same branch by another name"
    );
    hand.end(&run, EndClass::Failed, None);
    assert_eq!((hand.card(1).status, hand.card(1).flags), (before.status, before.flags));
    assert!(hand.world.held(&key(1)).is_none());
    let (run, _) = hand.started(&pull(8));
    assert_eq!(run.card, key(8), "no issue is linked: the pull request itself is held");
    assert!(matches!(hand.refused(&pull(8)), Refusal::Held(_)));
    let moved = SeenPull {
        head_sha: "sha8b".into(),
        updated_at: hand.now,
        ..seen_pull(8, 3, PullState::Open, START)
    };
    hand.end(
        &run,
        EndClass::Succeeded,
        Some(SeenPull { closes: vec![], head_branch: "theirs".into(), ..moved }),
    );
    assert_eq!(hand.world.pulls.get(&(repo(), 8)).map(|p| p.seen.head_sha.as_str()), Some("sha8b"));
}

#[test]
fn phases_are_gone_through_as_by_any_run() {
    let mut hand = Hand::new();
    let (run, _) = hand.started(&branch("x"));
    for step in [RunStep::Preparing, RunStep::Verifying(None), RunStep::Publishing] {
        hand.ok(&Command::Run { run: run.id, attempt: run.attempt, step });
    }
    let phases: Vec<Phase> = hand.run(run.id).phases.iter().map(|(p, _)| *p).collect();
    assert_eq!(phases, [Phase::Queued, Phase::Preparing, Phase::Verifying, Phase::Publishing]);
}

fn told(outcome: Outcome, number: Option<u64>) -> Command {
    let mut request = report(outcome);
    request.pull_request_number = number;
    let evidence = Evidence::Unreachable("connection refused".into());
    Command::Report(Box::new(Report { agent: agent("kai"), card: Some(key(1)), request, evidence }))
}

#[test]
fn what_could_not_be_checked_is_checked_after_the_next_sync() {
    for (there, status) in [(true, Status::InReview), (false, Status::Ready)] {
        let mut hand = Hand::new();
        hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
        hand.take("kai").expect("a task");
        hand.drain_outbox();
        hand.ok(&told(Outcome::PrOpened, Some(9)));
        hand.drain_outbox();
        assert_eq!(hand.card(1).status, Status::InReview, "believed as long as nobody can look");
        let problems = problem::problems(&hand.world, hand.now);
        assert_eq!(problems.first().map(|p| p.kind), Some(ProblemKind::Unverified));
        let pulls = if there { vec![seen_pull(9, 7, PullState::Open, hand.now)] } else { vec![] };
        hand.sync(vec![], pulls);
        let card = hand.card(1);
        assert_eq!((card.status, card.unverified), (status, None));
        assert_eq!(card.linked_pull, there.then_some(9), "it counts whatever its text says");
        assert_eq!(card.failures, u32::from(!there));
    }
}

#[test]
fn a_push_that_nobody_could_check_has_to_have_moved_the_head() {
    for (head, failures) in [("sha9", 1), ("sha9b", 0)] {
        let mut hand = Hand::new();
        hand.sync(vec![seen(1, &["status/ready"], START)], vec![seen_pull(9, 1, PullState::Open, START)]);
        hand.ok(&Command::Move { card: key(1), to: Status::Ready, claim: None, actor: "ada".into() });
        hand.drain_outbox();
        hand.take("kai").expect("a task");
        hand.drain_outbox();
        hand.ok(&told(Outcome::PrUpdated, None));
        hand.drain_outbox();
        let pull = SeenPull { head_sha: head.into(), ..seen_pull(9, 1, PullState::Open, hand.now) };
        hand.sync(vec![], vec![pull]);
        assert_eq!((hand.card(1).failures, hand.card(1).unverified), (failures, None), "{head}");
    }
}

#[test]
fn whoever_lost_a_claim_to_force_is_told_that_it_was_taken_away() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    let lost = hand.take("kai").expect("a task");
    let force = Command::Claim { card: key(1), agent: agent("ben"), force: true, actor: "ada".into() };
    hand.ok(&force);
    let renew = |checkpoint| Command::Renew { agent: agent("kai"), claim: Some(lost.id), checkpoint };
    assert!(matches!(hand.refused(&renew(None)), Refusal::Revoked(_)));
    assert!(matches!(hand.refused(&renew(Some(Checkpoint::ChangesMade))), Refusal::Revoked(_)));
    for named in [Some(lost.id), None] {
        let mut request = report(Outcome::Failed);
        request.claim_id = named;
        let late = Report { agent: agent("kai"), card: Some(key(1)), request, evidence: Evidence::NotNeeded };
        let said = hand.refused(&Command::Report(Box::new(late)));
        assert!(matches!(said, Refusal::Revoked(_)), "{named:?}: {said:?}");
    }
    let again = Command::Claim { card: key(1), agent: agent("eve"), force: true, actor: "ada".into() };
    hand.ok(&again);
    assert!(hand.world.claims.len() <= 2, "what was lost earlier is forgotten");
}

#[test]
fn the_reason_of_a_task_is_that_of_before_it_was_taken() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready", "priority/p2"], START)], vec![]);
    hand.pass(8 * 86_400);
    let claim = hand.take("kai").expect("a task");
    let card = hand.card(1);
    let task = contract::implement(&hand.world, hand.now, &agent("kai"), &card, "", Some(&claim));
    let reason = task.ranking_reason.expect("a reason");
    assert!(!reason.contains("assigned to you") && reason.contains("aged to p1"), "{reason}");
}
