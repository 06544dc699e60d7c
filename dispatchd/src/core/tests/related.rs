//! What a task says of what else touches it.

use dispatch_shared::followup::PullState;
use dispatch_shared::issue::IssueState;
use dispatch_shared::protocol::tasks::Related;

use super::fixture::{Hand, START, agent, key, seen, seen_pull};
use crate::core::contract;
use crate::core::seen::SeenIssue;

fn shown(related: &[Related]) -> Vec<String> {
    related.iter().map(|r| format!("{} {}", r.number, r.why)).collect()
}

#[test]
fn a_task_names_what_touches_it_once_and_not_itself() {
    let mut hand = Hand::new();
    let body = "Blocked by #2. Like #3, #2 and #1, see #22; not #99.";
    let first = SeenIssue { body: body.into(), ..seen(1, &["status/ready"], START) };
    let done = SeenIssue { state: IssueState::Closed, closed_at: Some(START), ..seen(3, &[], START) };
    let mut fork = seen_pull(21, 1, PullState::Open, START);
    fork.from_fork = true;
    let pulls = vec![
        seen_pull(20, 1, PullState::Closed, START),
        fork,
        seen_pull(22, 4, PullState::Merged, START),
        seen_pull(23, 2, PullState::Open, START),
        seen_pull(24, 3, PullState::Merged, START),
    ];
    hand.sync(vec![first, seen(2, &["status/backlog"], START), done, seen(4, &[], START)], pulls);
    let all = contract::related(&hand.world, &key(1), body, None);
    assert_eq!(
        shown(&all),
        [
            "21 open, for the same issue",
            "20 closed unmerged, for the same issue",
            "2 open, in-review, which comes before this",
            "3 closed, named in the text",
            "22 merged, named in the text",
            "23 open, for #2",
        ]
    );
    let own = contract::related(&hand.world, &key(1), body, Some(21));
    assert!(!own.iter().any(|r| r.number == 21), "the task's own pull request is no other");
    let task = contract::implement(&hand.world, hand.now, &agent("kai"), &hand.card(1), body, None);
    assert_eq!(task.related, all);
}

#[test]
fn what_touches_a_task_is_bounded() {
    let mut hand = Hand::new();
    let others: Vec<SeenIssue> = (2..200).map(|n| seen(n, &[], START)).collect();
    let body: String = (2..200).map(|n| format!("#{n} ")).collect();
    hand.sync(std::iter::once(seen(1, &["status/ready"], START)).chain(others).collect(), vec![]);
    assert_eq!(contract::related(&hand.world, &key(1), &body, None).len(), 20);
}
