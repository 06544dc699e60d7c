//! What certainly happens on a forge that others use as well.

use dispatch_shared::followup::PullState;
use dispatch_shared::issue::{Flag, IssueState, Status};

use super::fixture::{Hand, START, agent, key, repo, seen, seen_pull};
use crate::core::command::{Command, Refusal, Synced};
use crate::core::problem::problems;
use crate::core::seen::{SeenIssue, SeenPull};

fn texts(hand: &Hand) -> String {
    problems(&hand.world, hand.now).into_iter().map(|p| p.text).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_pull_request_closed_without_a_merge_asks_for_a_person() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![seen_pull(9, 1, PullState::Open, START)]);
    assert_eq!(hand.card(1).status, Status::InReview);
    hand.drain_outbox();
    let closed = seen_pull(9, 1, PullState::Closed, hand.now);
    hand.sync(vec![], vec![closed]);
    assert_eq!((hand.card(1).status, hand.card(1).flags), (Status::Backlog, vec![Flag::NeedsHuman]));
    assert!(texts(&hand).contains("#9 was closed without a merge"), "{}", texts(&hand));
    assert_eq!(hand.take("kai"), None, "never silently ready");
}

#[test]
fn a_merge_that_leaves_the_issue_open_is_out_of_the_queue_and_shown() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![seen_pull(9, 1, PullState::Open, START)]);
    hand.drain_outbox();
    let merged = seen_pull(9, 1, PullState::Merged, hand.now);
    hand.sync(vec![], vec![merged]);
    assert_eq!(hand.take("kai"), None);
    assert!(texts(&hand).contains("#9 is merged, but the issue is still open"), "{}", texts(&hand));
}

#[test]
fn of_two_pull_requests_the_newest_open_one_counts() {
    let mut hand = Hand::new();
    let later = START + std::time::Duration::from_secs(60);
    let other_branch = SeenPull { head_branch: "patch-1".into(), ..seen_pull(8, 1, PullState::Open, later) };
    let first = seen_pull(7, 1, PullState::Open, START);
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![first, other_branch]);
    assert_eq!((hand.card(1).status, hand.card(1).linked_pull), (Status::InReview, Some(8)));
    hand.drain_outbox();
    hand.pass(120);
    let closed = SeenPull {
        state: PullState::Closed,
        updated_at: hand.now,
        ..seen_pull(8, 1, PullState::Closed, later)
    };
    hand.sync(vec![], vec![closed]);
    assert_eq!((hand.card(1).status, hand.card(1).linked_pull), (Status::InReview, Some(7)));
}

#[test]
fn what_was_deleted_or_closed_takes_its_claim_along() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START), seen(2, &["status/ready"], START)], vec![]);
    let first = hand.take("kai").expect("a task");
    let second = hand.take("zoe").expect("a task");
    hand.drain_outbox();
    hand.ok(&Command::Synced(Synced {
        repo: Some(repo()),
        gone: vec![first.card.number],
        ..Synced::default()
    }));
    let labels = ["status/in-progress", "agent/zoe"];
    let closed = SeenIssue { state: IssueState::Closed, ..seen(second.card.number, &labels, hand.now) };
    hand.sync(vec![closed], vec![]);
    for claim in [first, second] {
        let late = Command::Renew { agent: claim.agent.clone(), claim: Some(claim.id), checkpoint: None };
        assert!(matches!(hand.refused(&late), Refusal::Revoked(_)));
    }
}

#[test]
fn a_lost_store_resets_nobodys_assignment() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/in-progress", "agent/kai"], START)], vec![]);
    hand.pass(7 * 86_400);
    hand.sync(vec![], vec![]);
    assert!(hand.world.intents.is_empty(), "never reset by itself");
    assert_eq!((hand.card(1).status, hand.take("zoe")), (Status::InProgress, None));
    assert!(texts(&hand).contains("nobody holds it"), "{}", texts(&hand));
    let operator = Command::Unclaim { card: key(1), agent: None, claim: None, actor: "op".into() };
    hand.ok(&operator);
    assert_eq!((hand.card(1).status, hand.card(1).labels), (Status::Ready, vec!["status/ready".to_owned()]));
    assert_eq!(hand.take("zoe").map(|c| c.agent), Some(agent("zoe")));
}

#[test]
fn of_two_priorities_the_higher_counts() {
    let mut hand = Hand::new();
    let both = ["status/ready", "priority/p3", "priority/p1"];
    hand.sync(vec![seen(1, &["status/ready", "priority/p2"], START), seen(2, &both, START)], vec![]);
    assert_eq!(hand.take("kai").map(|c| c.card), Some(key(2)));
}
