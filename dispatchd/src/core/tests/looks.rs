//! Looks at pull requests by example: what they change, and what they leave alone.

use dispatch_shared::Timestamp;
use dispatch_shared::followup::{FixStatus, FixType, PullState};
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::followup::FeedbackItem;

use super::fixture::{Hand, START, key, repo, seen, seen_pull};
use crate::core::command::Command;
use crate::core::fix::ask::{Enqueue, FixCommand};
use crate::core::fix::health::{Check, Health, Remark, Thread};
use crate::core::fix::{Fix, FixKey, News};
use crate::core::reactor::decide;
use crate::core::seen::SeenPull;
use crate::core::{problem, view};

const PR: u64 = 2;

fn hand() -> Hand {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/in-review"], START)], vec![seen_pull(PR, 1, PullState::Open, START)]);
    hand
}

fn well() -> Health {
    Health { pr: PR, head_sha: "sha2".into(), author: "ada".into(), ..Health::default() }
}

fn red(id: &str, text: Option<&str>) -> Health {
    let check = Check {
        id: id.into(),
        name: "ci".into(),
        conclusion: "FAILURE".into(),
        text: text.map(str::to_owned),
        job: None,
    };
    Health { checks: vec![check], ..well() }
}

fn asked(id: &str) -> Vec<Thread> {
    let item = FeedbackItem { author: Some("bob".into()), ..FeedbackItem::text(format!("remark {id}")) };
    vec![Thread { id: format!("t{id}"), said: vec![Remark { id: id.into(), item }] }]
}

fn observe(hand: &Hand, health: &Health) -> Command {
    let health = Box::new(health.clone());
    Command::Fix(Box::new(FixCommand::Observe { repo: repo(), health, at: hand.now }))
}

#[track_caller]
fn look(hand: &mut Hand, health: &Health) {
    hand.pass(1);
    hand.ok(&observe(hand, health));
    hand.pass(1);
    let again = decide(&hand.world, hand.now, &observe(hand, health)).expect("a look is taken");
    assert!(again.changes.is_empty(), "the same look again writes nothing: {:?}", again.changes);
}

fn item(hand: &Hand) -> Option<Fix> {
    hand.world.fixes.get(&FixKey { repo: repo(), pr: PR }).map(|f| (**f).clone())
}

fn status(hand: &Hand) -> Option<(FixStatus, u64)> {
    item(hand).map(|f| (f.status, f.generation))
}

fn enqueue(key: &str) -> Command {
    let news = News {
        keys: vec![key.into()],
        fix_type: FixType::ReviewFeedback,
        reason: "somebody commented".into(),
        feedback: vec![FeedbackItem::text("please look")],
        head: None,
    };
    Command::Fix(Box::new(FixCommand::Enqueue(Enqueue {
        key: FixKey { repo: repo(), pr: PR },
        news,
        lane: None,
        issue: None,
        branch: None,
        url: None,
        title: None,
        author: None,
        actor: "test".into(),
        fresh: false,
        automatic: true,
    })))
}

#[test]
fn what_a_look_finds_is_shown_and_what_is_gone_is_settled() {
    let mut hand = hand();
    look(&mut hand, &well());
    assert_eq!(item(&hand), None, "nothing speaks for work");
    look(&mut hand, &red("7", None));
    assert_eq!(status(&hand), Some((FixStatus::Queued, 1)));
    let shown =
        view::issue(&hand.world, &hand.card(1), None).and_then(|i| i.linked_pr).expect("it is linked");
    assert_eq!((shown.checks.failed, shown.needs_followup, shown.followup_reasons.len()), (1, true, 1));
    assert!(shown.checked_at.is_some());
    look(&mut hand, &well());
    assert_eq!(status(&hand), Some((FixStatus::Fixed, 1)), "nobody starts on what is gone");
    look(&mut hand, &red("7", None));
    assert_eq!(status(&hand), Some((FixStatus::Fixed, 1)), "what is known never requeues");
    look(&mut hand, &red("8", None));
    assert_eq!(status(&hand), Some((FixStatus::Queued, 2)));
}

#[test]
fn a_look_settles_only_what_it_could_see() {
    let mut hand = hand();
    hand.ok(&enqueue("issue_comment:local/sample#2:9"));
    look(&mut hand, &red("7", None));
    look(&mut hand, &well());
    assert_eq!(status(&hand), Some((FixStatus::Queued, 1)), "a comment is seen by no look");

    let mut hand = self::hand();
    look(&mut hand, &Health { threads: asked("5"), ..well() });
    look(&mut hand, &Health { blind: vec!["reviewThreads".into()], ..well() });
    assert_eq!(status(&hand), Some((FixStatus::Queued, 1)), "not seen is not gone");
    look(&mut hand, &Health { draft: true, ..well() });
    assert_eq!(status(&hand), Some((FixStatus::Queued, 1)), "a draft says nothing");
    look(&mut hand, &Health { blind: vec!["statusCheckRollup".into()], threads: asked("5"), ..well() });
    look(&mut hand, &well());
    assert_eq!(status(&hand), Some((FixStatus::Fixed, 1)));
}

#[test]
fn what_can_be_seen_is_settled_where_something_else_never_can() {
    let mut hand = hand();
    let by_rest = |health: Health| Health { blind: vec!["reviewThreads".into()], ..health };
    look(&mut hand, &by_rest(red("7", None)));
    look(&mut hand, &by_rest(well()));
    assert_eq!(status(&hand), Some((FixStatus::Fixed, 1)), "the check is seen to be green");
}

#[test]
fn what_a_webhook_told_is_seen_by_the_look_after_it() {
    let mut hand = hand();
    hand.ok(&enqueue("pull_request_review_comment:local/sample#2:5"));
    look(&mut hand, &Health { threads: asked("5"), ..well() });
    look(&mut hand, &well());
    assert_eq!(status(&hand), Some((FixStatus::Fixed, 1)));
}

#[test]
fn a_look_during_a_hand_out_takes_nothing_away() {
    let mut hand = hand();
    look(&mut hand, &red("7", None));
    hand.pass(1);
    let claim = hand.take("kai").expect("the item");
    look(&mut hand, &well());
    assert_eq!(item(&hand).and_then(|f| f.claim), Some(claim.id));
    let observed = item(&hand).and_then(|f| f.observed).expect("it was looked at");
    assert!(observed.at > claim.claimed_at, "the report goes by a look after the take");
}

#[test]
fn the_log_of_a_failed_check_stays_once_it_was_read() {
    let mut hand = hand();
    let texts =
        |hand: &Hand| item(hand).map(|f| f.feedback.iter().map(|i| i.text.clone()).collect::<Vec<_>>());
    look(&mut hand, &red("7", None));
    assert_eq!(texts(&hand).expect("an item"), ["ci ended with failure"]);
    look(&mut hand, &red("7", Some("error: moved")));
    assert_eq!(texts(&hand).expect("an item"), ["ci ended with failure:\nerror: moved"]);
    hand.pass(1);
    hand.ok(&observe(&hand, &red("7", None)));
    assert_eq!(texts(&hand).expect("an item"), ["ci ended with failure:\nerror: moved"]);
}

#[test]
fn a_look_knows_the_head_before_the_sync_does() {
    let mut hand = hand();
    let newer = Timestamp(START.0 + 60_000);
    let pushed = Health { head_sha: "sha3".into(), updated_at: Some(newer), ..red("7", None) };
    look(&mut hand, &pushed);
    let pull = hand.world.pulls.get(&(repo(), PR)).cloned().expect("it is there");
    assert_eq!((pull.seen.head_sha.as_str(), pull.seen.updated_at), ("sha3", newer));
    let older = SeenPull { updated_at: START, ..seen_pull(PR, 1, PullState::Open, START) };
    hand.sync(vec![], vec![older]);
    let pull = hand.world.pulls.get(&(repo(), PR)).cloned().expect("it is there");
    assert_eq!(pull.seen.head_sha, "sha3", "what was read before the push is older");
    let merged = Health { state: Some(PullState::Merged), ..pushed };
    look(&mut hand, &merged);
    assert_eq!(status(&hand), Some((FixStatus::Stale, 1)));
}

#[test]
fn the_forges_closing_references_link_and_unlink() {
    let mut hand = hand();
    hand.sync(vec![seen(5, &["status/ready"], START)], vec![]);
    look(&mut hand, &Health { closes: Some(vec![5]), ..well() });
    assert_eq!((hand.card(5).linked_pull, hand.card(5).status), (Some(PR), Status::InReview));
    let reread = SeenPull {
        title: "Again".into(),
        updated_at: Timestamp(START.0 + 1),
        ..seen_pull(PR, 1, PullState::Open, START)
    };
    hand.sync(vec![], vec![reread]);
    assert_eq!(hand.card(5).linked_pull, Some(PR), "a sync does not know and does not forget");
    look(&mut hand, &Health { closes: Some(vec![]), ..well() });
    assert_eq!((hand.card(5).linked_pull, hand.card(1).linked_pull), (None, Some(PR)));
}

#[test]
fn of_others_pull_requests_the_health_is_shown_and_nothing_enqueued() {
    let mut hand = Hand::new();
    let theirs = SeenPull { head_branch: "patch-1".into(), ..seen_pull(PR, 1, PullState::Open, START) };
    hand.sync(vec![seen(1, &[], START)], vec![theirs]);
    look(&mut hand, &red("7", None));
    assert_eq!(item(&hand), None);
    let shown =
        view::issue(&hand.world, &hand.card(1), None).and_then(|i| i.linked_pr).expect("it is linked");
    assert_eq!((shown.checks.failed, shown.needs_followup), (1, true));
}

#[test]
fn old_mistake_a_merged_reference_handed_out_again() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.pass(60);
    // Opened and merged between two syncs: `Refs #1`, so the issue stays open.
    let merged = SeenPull { closes: vec![], ..seen_pull(PR, 1, PullState::Merged, hand.now) };
    hand.sync(vec![], vec![merged]);
    assert_eq!(hand.card(1).status, Status::InReview);
    assert_eq!(hand.take("kai"), None, "out of the queue");
    let problems = problem::problems(&hand.world, hand.now);
    assert!(problems.iter().any(|p| p.text.contains("merged, but the issue is still open")), "{problems:?}");
    // A person knows better.
    hand.ok(&Command::Move { card: key(1), to: Status::Ready, claim: None, actor: "ada".into() });
    hand.drain_outbox();
    let reread = SeenPull {
        title: "Again".into(),
        updated_at: hand.now,
        closes: vec![],
        ..seen_pull(PR, 1, PullState::Merged, START)
    };
    hand.sync(vec![], vec![reread]);
    assert_eq!(hand.card(1).status, Status::Ready);
    // What was merged long before the repository was tracked says nothing.
    let mut hand = Hand::new();
    let old = seen_pull(PR, 1, PullState::Merged, START);
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![old]);
    assert_eq!(hand.card(1).status, Status::Ready);
}
