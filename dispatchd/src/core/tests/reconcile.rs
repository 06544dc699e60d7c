//! Contradictions between labels and what is known: what is put right, what is only shown, and that a person wins.

use std::sync::Arc;

use dispatch_shared::issue::{IssueState, Status};

use super::fixture::{Hand, START, key, seen};
use crate::core::command::{Command, IntentResult, Reply};
use crate::core::policy::Policy;
use crate::core::problem::problems;
use crate::core::reconcile::Reconcile;
use crate::core::record::Wish;
use crate::core::seen::SeenIssue;

fn reconcile(hand: &mut Hand) -> usize {
    match hand.ok(&Command::Reconcile { actor: "op".into() }) {
        Reply::Reconciled(count) => count,
        other => panic!("{other:?}"),
    }
}

fn wishes(hand: &Hand) -> Vec<Wish> {
    hand.world.intents.values().map(|i| i.wish.clone()).collect()
}

fn labels(add: &[&str], remove: &[&str]) -> Wish {
    let list = |l: &[&str]| l.iter().map(|l| (*l).to_owned()).collect();
    Wish::Labels { add: list(add), remove: list(remove) }
}

fn closed(number: u64, with: &[&str]) -> SeenIssue {
    SeenIssue { state: IssueState::Closed, closed_at: Some(START), ..seen(number, with, START) }
}

fn only(hand: &mut Hand, what: Reconcile) {
    hand.world.set_policy(Arc::new(Policy { reconcile: what, ..Policy::default() }));
}

#[test]
fn closed_issues_become_done_and_what_was_never_labelled_is_left_alone() {
    let mut hand = Hand::new();
    hand.sync(vec![closed(1, &["bug", "status/in-review", "agent/kai"]), closed(2, &["bug"])], vec![]);
    assert_eq!(wishes(&hand), [labels(&["status/done"], &["status/in-review", "agent/kai"])]);
    assert_eq!(hand.card(1).labels, ["bug", "status/done"]);
    hand.drain_outbox();
    assert_eq!(reconcile(&mut hand), 0, "once is enough");
}

#[test]
fn two_columns_at_once_become_the_one_that_counts() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready", "status/backlog", "bug"], START)], vec![]);
    assert_eq!(hand.card(1).status, Status::Ready);
    assert_eq!(wishes(&hand), [labels(&[], &["status/backlog"])]);
    hand.drain_outbox();
    // A person who adds another one means that.
    hand.sync(vec![seen(1, &["bug", "status/ready", "status/backlog"], hand.now)], vec![]);
    assert_eq!(hand.card(1).status, Status::Backlog);
    assert_eq!(wishes(&hand), [labels(&[], &["status/ready"])]);
}

#[test]
fn an_open_issue_is_not_labelled_as_done() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/done"], START)], vec![]);
    assert_eq!(hand.card(1).status, Status::Backlog);
    assert_eq!(wishes(&hand), [labels(&["status/backlog"], &["status/done"])]);
}

#[test]
fn what_nobody_works_on_is_given_back_after_a_lease() {
    let mut hand = Hand::new();
    let of_a_person = SeenIssue { assignees: vec!["ada".into()], ..seen(3, &["status/in-progress"], START) };
    let all = vec![
        seen(1, &["status/in-progress"], START),
        seen(2, &["status/in-progress", "agent/zoe"], START),
        of_a_person,
    ];
    hand.sync(all, vec![]);
    assert_eq!(reconcile(&mut hand), 0, "somebody may be about to say who does it");
    hand.pass(31 * 60);
    assert_eq!(reconcile(&mut hand), 1);
    let columns: Vec<Status> = (1..=3).map(|n| hand.card(n).status).collect();
    assert_eq!(columns, [Status::Ready, Status::InProgress, Status::InProgress]);
    assert_eq!(wishes(&hand), [labels(&["status/ready"], &["status/in-progress"])]);
    let shown = problems(&hand.world, hand.now);
    assert!(
        shown.iter().any(|p| p.subject.ends_with("#2") && p.text.contains("nobody holds it")),
        "{shown:?}"
    );
    assert_eq!(hand.take("zoe").map(|c| c.card), Some(key(1)), "an agent's label alone is withheld");
}

#[test]
fn a_repair_that_a_person_undid_is_shown_and_not_repeated() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/in-progress"], START)], vec![]);
    hand.pass(31 * 60);
    assert_eq!(reconcile(&mut hand), 1);
    hand.drain_outbox();
    hand.sync(vec![seen(1, &["status/in-progress"], hand.now)], vec![]);
    assert_eq!(hand.card(1).status, Status::InProgress);
    hand.pass(31 * 60);
    assert_eq!(reconcile(&mut hand), 0, "the person wins");
    let shown = problems(&hand.world, hand.now);
    assert!(shown.iter().any(|p| p.text.contains("would be given back")), "{shown:?}");
}

#[test]
fn several_agents_are_shown_and_withheld() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready", "agent/kai", "agent/zoe"], START)], vec![]);
    assert_eq!((reconcile(&mut hand), hand.take("kai"), hand.take("zoe")), (0, None, None));
    let shown = problems(&hand.world, hand.now);
    assert!(shown.iter().any(|p| p.text.contains("agent/kai, agent/zoe")), "{shown:?}");
}

#[test]
fn reporting_changes_nothing_and_says_what_would_be_done() {
    let mut hand = Hand::new();
    only(&mut hand, Reconcile::Report);
    hand.sync(
        vec![seen(1, &["status/ready", "status/backlog"], START), closed(2, &["status/ready"])],
        vec![],
    );
    assert_eq!((reconcile(&mut hand), wishes(&hand)), (0, vec![]));
    let said: Vec<String> = problems(&hand.world, hand.now).into_iter().map(|p| p.text).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().any(|s| s.contains("would remove status/backlog")), "{said:?}");
    assert!(said.iter().any(|s| s.contains("it is closed") && s.contains("add status/done")), "{said:?}");
    only(&mut hand, Reconcile::Off);
    assert_eq!((reconcile(&mut hand), problems(&hand.world, hand.now)), (0, vec![]));
}

#[test]
fn a_refused_repair_is_not_tried_for_ever() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready", "status/backlog"], START)], vec![]);
    let id = *hand.world.intents.keys().next().expect("a repair");
    hand.ok(&Command::Intent { id, result: IntentResult::refused("403") });
    assert_eq!((reconcile(&mut hand), wishes(&hand)), (0, vec![]));
    assert!(problems(&hand.world, hand.now).iter().any(|p| p.text.contains("403")));
}
