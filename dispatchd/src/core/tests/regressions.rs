//! Mistakes that were made once, each held by a test of its own.

use dispatch_shared::followup::PullState;
use dispatch_shared::issue::{Flag, IssueState, Status};
use dispatch_shared::run::{EndClass, Usage};
use dispatch_shared::task::Outcome;

use super::fixture::{Hand, START, agent, key, repo, report, seen, seen_pull};
use crate::core::command::{Command, Evidence, IntentResult, Refusal, Reply, Report, RunEnd, RunStep, Take};
use crate::core::{problem, rank};

fn move_to(number: u64, to: Status) -> Command {
    Command::Move { card: key(number), to, claim: None, actor: "operator".into() }
}

fn intent_done(hand: &mut Hand, labels: &[&str]) {
    let intent = hand.world.intents.values().next().expect("a pending intent").clone();
    let live = hand.live(intent.card.number, labels);
    hand.pass(1);
    hand.ok(&Command::Intent { id: intent.id, result: IntentResult::Done { live, same: Vec::new() } });
}

fn from_kai(outcome: Outcome, evidence: Evidence) -> Command {
    Command::Report(Box::new(Report {
        agent: agent("kai"),
        card: Some(key(1)),
        request: report(outcome),
        evidence,
    }))
}

#[test]
fn two_runs_never_share_a_checkout() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    let take = Command::Take(Take { runner: true, slots: 4, ..Hand::take_command("dispatch") });
    let Reply::Claimed { run: Some(run), .. } = hand.ok(&take) else { panic!("a run is made") };
    hand.ok(&move_to(1, Status::Ready));
    assert_eq!(hand.ok(&take), Reply::Idle, "the first program is still being ended");
    let why = rank::why(&hand.world, &hand.card(1), hand.now);
    assert!(why.iter().any(|r| !r.holds && r.rule == "no run under way"), "{why:?}");
    let attempt = hand.world.runs.get(&run).expect("the run").attempt;
    let end = RunEnd {
        class: EndClass::Revoked,
        reason: None,
        exit_code: None,
        question: None,
        usage: Usage::default(),
        retry_at: None,
        session: None,
        checked: None,
        pull: None,
    };
    hand.ok(&Command::Run { run, attempt, step: RunStep::Ended(Box::new(end)) });
    assert!(matches!(hand.ok(&take), Reply::Claimed { .. }));
}

#[test]
fn a_move_between_our_look_and_our_read_back_is_the_persons() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.take("kai").expect("a task");
    intent_done(&mut hand, &["status/in-progress", "agent/kai", "status/backlog"]);
    assert_eq!(hand.card(1).status, Status::Backlog);
    assert!(hand.world.held(&key(1)).is_none(), "the claim goes with the card");
}

#[test]
fn a_move_while_a_flag_waits_to_be_written_is_not_swallowed() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.take("kai").expect("a task");
    hand.drain_outbox();
    hand.ok(&from_kai(Outcome::Blocked, Evidence::NotNeeded));
    hand.sync(vec![seen(1, &["status/backlog", "agent/kai"], hand.now)], vec![]);
    intent_done(&mut hand, &["status/backlog", "agent/kai", "needs-human"]);
    assert_eq!((hand.card(1).status, hand.card(1).flags), (Status::Backlog, vec![Flag::NeedsHuman]));
}

#[test]
fn a_revoked_holder_that_names_no_claim_undoes_nothing() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.take("kai").expect("a task");
    hand.drain_outbox();
    hand.sync(vec![seen(1, &["status/backlog", "agent/kai"], hand.now)], vec![]);
    let failed = from_kai(Outcome::Failed, Evidence::NotNeeded);
    assert!(matches!(hand.refused(&failed), Refusal::Revoked(_)));
    let give = Command::Unclaim { card: key(1), agent: Some(agent("kai")), claim: None, actor: "kai".into() };
    assert!(matches!(hand.refused(&give), Refusal::Revoked(_)));
    assert_eq!(hand.card(1).status, Status::Backlog);
}

#[test]
fn a_report_does_not_end_the_claim_of_a_run() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.ok(&Command::Take(Take { runner: true, slots: 4, ..Hand::take_command("dispatch") }));
    let request = report(Outcome::Failed);
    let forged =
        Report { agent: agent("dispatch"), card: Some(key(1)), request, evidence: Evidence::NotNeeded };
    assert!(matches!(hand.refused(&Command::Report(Box::new(forged))), Refusal::Held(_)));
}

#[test]
fn a_lease_that_was_about_to_end_gets_grace_as_well() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.take("kai").expect("a task");
    hand.pass(30 * 60 - 5);
    let until = hand.now + std::time::Duration::from_secs(1_800);
    hand.ok(&Command::Tick { grace_until: Some(until) });
    assert_eq!(hand.world.held(&key(1)).map(|c| c.expires_at), Some(until));
}

#[test]
fn two_refused_writes_leave_the_card_where_the_forge_has_it() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/backlog"], START)], vec![]);
    hand.ok(&move_to(1, Status::Ready));
    hand.ok(&move_to(1, Status::InProgress));
    for _ in 0..2 {
        let id = *hand.world.intents.keys().next().expect("a pending intent");
        hand.ok(&Command::Intent { id, result: IntentResult::refused("403") });
    }
    assert_eq!(hand.card(1).status, Status::Backlog);
}

#[test]
fn a_pull_request_known_by_report_alone_is_followed() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.take("kai").expect("a task");
    let mut pull = seen_pull(9, 1, PullState::Open, hand.now);
    pull.head_branch = "elsewhere".into();
    pull.closes = vec![];
    hand.ok(&from_kai(Outcome::PrOpened, Evidence::Pull(Box::new(pull.clone()))));
    hand.drain_outbox();
    hand.pass(1);
    hand.sync(
        vec![],
        vec![crate::core::seen::SeenPull { state: PullState::Closed, updated_at: hand.now, ..pull }],
    );
    assert_eq!(hand.card(1).status, Status::Backlog);
    assert_eq!(hand.card(1).flags, [Flag::NeedsHuman]);
}

#[test]
fn an_intent_of_a_card_that_is_gone_ends() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.take("kai").expect("a task");
    hand.ok(&Command::Synced(crate::core::command::Synced {
        repo: Some(repo()),
        gone: vec![1],
        ..Default::default()
    }));
    let id = *hand.world.intents.keys().next().expect("a pending intent");
    hand.ok(&Command::Intent { id, result: IntentResult::refused("404") });
    assert!(hand.world.intents.is_empty());
}

#[test]
fn what_was_in_review_when_it_was_closed_reopens_in_the_backlog() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/in-review", "agent/kai"], START)], vec![]);
    let mut closed = seen(1, &["status/in-review", "agent/kai"], hand.now);
    closed.state = IssueState::Closed;
    hand.sync(vec![closed], vec![]);
    assert_eq!(hand.card(1).labels, ["status/done"], "the agent label goes when a card is done");
    hand.drain_outbox();
    hand.sync(vec![seen(1, &["status/done"], hand.now)], vec![]);
    assert_eq!(hand.card(1).status, Status::Backlog);
}

#[test]
fn in_progress_without_a_holder_is_shown() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/in-progress", "agent/kai"], START)], vec![]);
    let problems = problem::problems(&hand.world, hand.now);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].text.contains("nobody holds it"));
    assert_eq!(hand.take("kai"), None, "withheld, never reset by itself");
}
