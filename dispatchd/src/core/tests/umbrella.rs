//! Umbrella issues and their children, by example.

use dispatch_shared::issue::{Flag, IssueState, Status};

use super::fixture::{Hand, START, agent, key, seen};
use crate::core::command::{Command, IntentResult, Refusal};
use crate::core::grooming::{Decompose, MakeChildren, NewChild};
use crate::core::rank::{self, Ask, Lifted};
use crate::core::record::Wish;

fn make(titles: &[&str]) -> Command {
    let child = |title: &&str| NewChild { title: (*title).into(), body: String::new(), labels: Vec::new() };
    Command::MakeChildren(MakeChildren {
        card: key(1),
        items: titles.iter().map(child).collect(),
        actor: "ada".into(),
    })
}

/// The forge makes every child that it is asked for, numbered from 11.
fn forge_makes_them(hand: &mut Hand) {
    while let Some(intent) = hand.world.intents.values().find(|i| matches!(i.wish, Wish::Child(_))).cloned() {
        let Wish::Child(wished) = &intent.wish else { return };
        let number = hand.world.cards.keys().map(|k| k.number).max().unwrap_or(0).max(10) + 1;
        let mut child = seen(number, &[], hand.now);
        child.title.clone_from(&wished.title);
        let result = IntentResult::Created { child: Box::new(child), unlinked: None };
        hand.ok(&Command::Intent { id: intent.id, result });
    }
}

fn close(hand: &mut Hand, number: u64) {
    hand.pass(1);
    let mut issue = seen(number, &[], hand.now);
    issue.title = hand.card(number).title;
    issue.state = IssueState::Closed;
    hand.sync(vec![issue], vec![]);
}

#[test]
fn an_umbrella_is_marked_when_all_its_children_are_closed_and_never_closed() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.ok(&make(&["First", "Second"]));
    assert_eq!(hand.take("kai"), None, "what is split is not handed out");
    forge_makes_them(&mut hand);
    let umbrella = hand.card(1).grooming.umbrella.unwrap();
    assert_eq!((umbrella.children.clone(), umbrella.pending.len()), (vec![key(11), key(12)], 0));
    hand.ok(&make(&["First", "Second"]));
    assert!(hand.world.intents.values().all(|i| !matches!(i.wish, Wish::Child(_))), "made once");
    close(&mut hand, 11);
    assert_eq!(hand.card(1).grooming.split().unwrap().complete_at, None);
    close(&mut hand, 12);
    let card = hand.card(1);
    assert!(card.grooming.split().unwrap().complete_at.is_some());
    assert_eq!((card.state, card.status), (IssueState::Open, Status::Ready), "marked, not closed");
    assert_eq!(card.flags, [Flag::NeedsHuman]);
    hand.drain_outbox();
    hand.sync(vec![seen(12, &[], hand.now)], vec![]);
    let card = hand.card(1);
    assert_eq!((card.grooming.split().unwrap().complete_at, card.question.clone()), (None, None));
    assert!(card.flags.is_empty(), "a child is open again");
}

#[test]
fn a_child_that_the_forge_refuses_leaves_no_umbrella_behind() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.ok(&make(&["Only"]));
    let intent = hand.world.intents.values().next().cloned().unwrap();
    hand.ok(&Command::Intent { id: intent.id, result: IntentResult::refused("403") });
    assert_eq!(hand.card(1).grooming.split(), None);
    assert_eq!(hand.take("kai").map(|c| c.card), Some(key(1)));
}

#[test]
fn follow_ups_are_named_by_their_addresses() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START), seen(2, &[], START)], vec![]);
    let split = |urls: &[&str], decomposed| {
        Command::Decompose(Decompose {
            card: key(1),
            decomposed,
            urls: Some(urls.iter().map(|u| (*u).into()).collect()),
            note: Some("too large".into()),
            actor: "ada".into(),
        })
    };
    hand.ok(&split(&["https://elsewhere/issues/9", "https://x/local/sample/issues/2"], true));
    assert_eq!(hand.card(1).grooming.split().unwrap().children, [key(2)]);
    close(&mut hand, 2);
    let complete = |hand: &Hand| hand.card(1).grooming.split().is_some_and(|u| u.complete_at.is_some());
    assert!(!complete(&hand), "one of them is not known here and may be open");
    let kai = agent("kai");
    let ask = Ask { agent: &kai, lane: None, repos: None };
    assert_eq!(rank::next(&hand.world, hand.now, &ask), None);
    let lifted = Lifted { decomposed: true, renovate: false };
    assert_eq!(rank::next_with(&hand.world, hand.now, &ask, lifted), Some(key(1)));
    hand.ok(&split(&["https://forge/2"], true));
    assert!(complete(&hand), "a card of the same repository is found by its own address");
    hand.ok(&split(&[], false));
    close(&mut hand, 1);
    assert!(matches!(hand.refused(&make(&["Late"])), Refusal::Closed(_)));
}
