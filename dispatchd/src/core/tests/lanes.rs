//! Lanes, grooming and limits, by example.

use std::sync::Arc;

use dispatch_shared::issue::{Flag, IssueState, Status};
use dispatch_shared::protocol::grooming::GroomAction;
use dispatch_shared::protocol::lanes::Confidence;
use dispatch_shared::task::{Outcome, TaskType};

use super::fixture::{Hand, START, agent, key, report, seen};
use crate::core::command::{Command, Evidence, Refusal, Reply, Report, Take};
use crate::core::grooming::{self, Groom, SetLane};
use crate::core::policy::Policy;
use crate::core::rank::{self, Ask, Lifted};
use crate::core::record::{Claim, ClaimState, Wish};
use crate::core::{lane, limits};

const DAY: u64 = 86_400;

fn set_lane(lane: &str, model: Option<&str>) -> Command {
    Command::SetLane(SetLane {
        card: key(1),
        lane: lane.into(),
        confidence: Confidence::Medium,
        reason: "as it seems".into(),
        model: model.map(Into::into),
        actor: "ada".into(),
    })
}

fn groom(number: u64, action: GroomAction) -> Groom {
    Groom {
        card: key(number),
        action,
        summary: Some("looked at".into()),
        reason: Some("which colour?".into()),
        labels: Vec::new(),
        lane: None,
        seen: None,
        run: None,
        actor: "groomer".into(),
    }
}

fn decided(groom: Groom) -> Command {
    Command::Groom(Box::new(groom))
}

fn take_to_groom(hand: &mut Hand, name: &str) -> Option<Claim> {
    let take = Take { kind: TaskType::Groom, ..Hand::take_command(name) };
    match hand.ok(&Command::Take(take)) {
        Reply::Claimed { claim, .. } => hand.world.claims.get(&claim).map(|c| (**c).clone()),
        _ => None,
    }
}

fn groomed(outcome: Outcome) -> Command {
    let mut request = report(outcome);
    request.task_type = TaskType::Groom;
    Command::Report(Box::new(Report {
        agent: agent("kai"),
        card: Some(key(1)),
        request,
        evidence: Evidence::NotNeeded,
    }))
}

fn with_policy(hand: &mut Hand, change: impl FnOnce(&mut Policy)) {
    let mut policy = (*hand.world.policy).clone();
    change(&mut policy);
    hand.world.set_policy(Arc::new(policy));
}

#[test]
fn a_lane_that_is_unknown_is_never_rewritten() {
    let mut hand = Hand::new();
    let labels = ["lane/warp", "status/ready", "security"];
    hand.sync(vec![seen(1, &labels, START)], vec![]);
    assert_eq!(hand.take("kai"), None, "nothing is handed out from it");
    assert!(matches!(hand.refused(&set_lane("local", Some("a-model"))), Refusal::Illegal(_)));
    assert!(matches!(hand.refused(&decided(groom(1, GroomAction::Escalate))), Refusal::Illegal(_)));
    let wanted = ("local".to_owned(), Confidence::High, "a-model".to_owned());
    hand.ok(&decided(Groom { lane: Some(wanted), ..groom(1, GroomAction::PromoteToReady) }));
    hand.pass(DAY);
    hand.sync(vec![seen(1, &labels, hand.now)], vec![]);
    with_policy(&mut hand, |policy| policy.lanes.retain(|l| l.id != "cloud"));
    let card = hand.card(1);
    assert_eq!(hand.world.lane_of(&card), "warp", "it is shown as it stands");
    assert!(card.labels.contains(&"lane/warp".to_owned()) && card.lane_override.is_none());
    let rewritten = hand.world.intents.values().any(|i| match &i.wish {
        Wish::Labels { add, remove } => add.iter().chain(remove).any(|l| l.starts_with("lane/")),
        _ => false,
    });
    assert!(!rewritten, "no write to the forge names a lane");
    let answer = lane::answer(&hand.world, &card, "");
    assert_eq!((answer.lane.as_str(), answer.configured), ("warp", false));
    hand.ok(&set_lane("local", None));
    assert_eq!(hand.world.lane_of(&hand.card(1)), "local", "a person may");
}

#[test]
fn a_lane_is_set_by_hand_and_by_the_forge_the_newer_counts() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready", "lane/cloud"], START)], vec![]);
    assert!(matches!(hand.refused(&set_lane("nowhere", None)), Refusal::UnknownLane(_)));
    hand.ok(&set_lane("gpt", Some("a-model")));
    let answer = lane::answer(&hand.world, &hand.card(1), "");
    assert_eq!((answer.lane.as_str(), answer.confidence), ("frontier", Confidence::Medium));
    assert_eq!(answer.model.as_deref(), Some("a-model"));
    hand.sync(vec![seen(1, &["status/ready", "lane/cloud", "bug"], hand.now)], vec![]);
    assert_eq!(hand.world.lane_of(&hand.card(1)), "frontier", "another label changes nothing");
    hand.sync(vec![seen(1, &["status/ready", "lane/local"], hand.now)], vec![]);
    assert_eq!(hand.world.lane_of(&hand.card(1)), "local");
}

#[test]
fn a_grooming_claim_moves_nothing() {
    let mut hand = Hand::new();
    let issues = vec![
        seen(1, &["bug"], START),
        seen(2, &["status/backlog"], START),
        seen(3, &["needs-info"], START),
        seen(4, &["renovate"], START),
    ];
    hand.sync(issues, vec![]);
    assert_eq!(grooming::waiting(&hand.world), 1);
    let before = hand.card(1);
    let claim = take_to_groom(&mut hand, "kai").unwrap();
    assert_eq!((claim.card.clone(), claim.kind), (key(1), TaskType::Groom));
    assert_eq!(take_to_groom(&mut hand, "other"), None, "nobody gets it twice");
    let card = hand.card(1);
    assert_eq!((card.status, &card.labels), (before.status, &before.labels));
    assert!(hand.world.intents.is_empty());
    // The groomer changes labels itself: its claim stays.
    hand.sync(vec![seen(1, &["bug", "status/ready", "priority/p1"], hand.now)], vec![]);
    assert!(hand.world.held(&key(1)).is_some());
    hand.ok(&groomed(Outcome::IssueUpdated));
    let card = hand.card(1);
    assert_eq!(card.status, Status::Ready, "the card goes where its labels say");
    assert!(card.grooming.groomed_at.is_some());
    assert_eq!(hand.take("kai").map(|c| c.card), Some(key(1)));
}

#[test]
fn a_grooming_claim_that_lapses_or_fails_leaves_the_card_in_backlog() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &[], START)], vec![]);
    take_to_groom(&mut hand, "kai").unwrap();
    hand.pass(3_600);
    hand.ok(&Command::Tick { grace_until: None });
    assert_eq!(hand.card(1).status, Status::Backlog);
    for _ in 0..grooming::TRIES {
        let claim = take_to_groom(&mut hand, "kai").unwrap();
        hand.ok(&groomed(Outcome::Failed));
        assert!(matches!(hand.world.claims.get(&claim.id).unwrap().state, ClaimState::Finished(_)));
        assert_eq!(take_to_groom(&mut hand, "kai"), None, "not again at once");
        hand.pass(DAY);
    }
    assert_eq!(take_to_groom(&mut hand, "kai"), None, "and not for ever");
    assert_eq!(hand.card(1).status, Status::Backlog);
}

#[test]
fn every_decision_of_a_groomer_is_carried_out() {
    use GroomAction as A;
    for (action, status, flags) in [
        (A::PromoteToReady, Status::Ready, &[][..]),
        (A::Escalate, Status::Backlog, &[]),
        (A::MarkNotReady, Status::Backlog, &[]),
        (A::MarkNeedsInfo, Status::Backlog, &[Flag::NeedsInfo]),
        (A::MarkBlocked, Status::Backlog, &[Flag::Blocked]),
    ] {
        let mut hand = Hand::new();
        hand.sync(vec![seen(1, &["bug"], START)], vec![]);
        let reply = hand.ok(&decided(groom(1, action)));
        assert_eq!(reply, Reply::Groomed { commented: true, run: None });
        let card = hand.card(1);
        assert_eq!((card.status, card.flags.as_slice()), (status, flags), "{action:?}");
        let home = if action == A::Escalate { "frontier" } else { "local" };
        assert_eq!(hand.world.lane_of(&card), home);
        assert_eq!(take_to_groom(&mut hand, "kai"), None, "groomed once");
        let comments = |hand: &Hand| {
            hand.world.intents.values().filter(|i| matches!(i.wish, Wish::Comment { .. })).count()
        };
        assert_eq!(comments(&hand), 1);
        hand.pass(DAY - 60);
        let reply = hand.ok(&decided(groom(1, action)));
        assert_eq!(reply, Reply::Groomed { commented: false, run: None }, "silent for 24 hours");
        hand.pass(120);
        let reply = hand.ok(&decided(groom(1, action)));
        assert_eq!(reply, Reply::Groomed { commented: true, run: None });
    }
}

#[test]
fn grooming_takes_nothing_from_a_worker_and_nothing_that_has_changed() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    let stale = Groom { seen: Some(hand.now), ..groom(1, GroomAction::MarkNotReady) };
    assert!(matches!(hand.refused(&decided(stale)), Refusal::Stale(_)));
    hand.take("kai").unwrap();
    assert!(matches!(hand.refused(&decided(groom(1, GroomAction::MarkNotReady))), Refusal::Held(_)));
    let mut closed = seen(1, &[], hand.now);
    closed.state = IssueState::Closed;
    hand.sync(vec![closed], vec![]);
    assert!(matches!(hand.refused(&decided(groom(1, GroomAction::Escalate))), Refusal::Closed(_)));
}

#[test]
fn limits_hold_by_weight_and_say_so() {
    let mut hand = Hand::new();
    with_policy(&mut hand, |policy| {
        policy.limits = limits::Limits {
            total: 3,
            lanes: [("frontier".to_owned(), 1)].into(),
            repositories: [("local/sample".to_owned(), 3)].into(),
            weights: [("size/xl".to_owned(), 2)].into(),
            models: [("claude".to_owned(), 1)].into(),
        };
        policy.slots = [("kai".to_owned(), 3)].into();
    });
    let ready = "status/ready";
    hand.sync(
        vec![
            seen(1, &[ready, "priority/p0", "lane/frontier"], START),
            seen(2, &[ready, "priority/p1", "lane/frontier"], START),
            seen(3, &[ready, "priority/p2", "size/xl"], START),
            seen(4, &[ready, "priority/p3"], START),
        ],
        vec![],
    );
    assert_eq!(hand.take("one").map(|c| c.card), Some(key(1)));
    assert_eq!(hand.take("two").map(|c| c.card), Some(key(3)), "the lane frontier is full");
    assert_eq!(hand.take("three"), None, "three slots are in use");
    let words = rank::why(&hand.world, &hand.card(2), hand.now);
    let failing: Vec<&str> = words.iter().filter(|r| !r.holds).map(|r| r.rule.as_str()).collect();
    assert_eq!(
        failing,
        ["below the limit of all work", "below the lane's limit", "below the repository's limit"]
    );
    assert!(words.iter().any(|r| r.why == "frontier: 1/1 slots in use, this one takes 1"), "{words:?}");
    let for_two = rank::why_for(&hand.world, &hand.card(4), hand.now, &agent("two"));
    assert_eq!(for_two[1].why, "2/1 slots in use, this one takes 1");
    assert!(!for_two[1].holds);
}

#[test]
fn what_is_excluded_can_be_asked_for() {
    let mut hand = Hand::new();
    let mut dashboard = seen(2, &["status/ready"], START);
    dashboard.title = "Dependency Dashboard".into();
    hand.sync(vec![seen(1, &["status/ready", "renovate"], START), dashboard], vec![]);
    let kai = agent("kai");
    let ask = Ask { agent: &kai, lane: None, repos: None };
    assert_eq!(rank::next(&hand.world, hand.now, &ask), None);
    let all = Lifted { renovate: true, decomposed: false };
    assert_eq!(rank::order_with(&hand.world, hand.now, &ask, all).len(), 2);
    let rule = rank::why(&hand.world, &hand.card(1), hand.now).into_iter().find(|r| !r.holds).unwrap();
    assert_eq!((rule.rule.as_str(), rule.why.is_empty()), ("no update of dependencies", false));
    let take = Take { lifted: all, ..Hand::take_command("kai") };
    assert!(matches!(hand.ok(&Command::Take(take)), Reply::Claimed { .. }));
}

#[test]
fn the_first_rule_that_withholds_a_card_is_told_in_words() {
    let mut hand = Hand::new();
    let ready = "status/ready";
    hand.sync(
        vec![
            seen(1, &[ready], START),
            seen(2, &[ready, "status/blocked"], START),
            seen(3, &[ready, "agent/zoe"], START),
            seen(4, &["status/backlog"], START),
            seen(5, &[ready, "renovate"], START),
        ],
        vec![],
    );
    let kai = agent("kai");
    let told = |hand: &Hand, number| rank::why_not(&hand.world, &hand.card(number), hand.now, &kai);
    assert_eq!(told(&hand, 1), None, "nothing withholds it");
    assert_eq!(told(&hand, 2).as_deref(), Some("status/blocked"));
    assert_eq!(told(&hand, 3).as_deref(), Some("not: no other agent's label: zoe"));
    assert_eq!(told(&hand, 4).as_deref(), Some("stands in backlog"));
    assert_eq!(told(&hand, 5).as_deref(), Some("from Renovate, or a dependency dashboard"));
    hand.ok(&Command::Freeze { frozen: true, actor: "operator".into() });
    assert_eq!(told(&hand, 1).as_deref(), Some("the queue is frozen"));
}
