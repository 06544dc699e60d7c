//! Repositories and issues that the forge denies: nothing is believed at once, nothing is thrown away.

use dispatch_shared::protocol::control::ProblemKind;

use super::fixture::{Hand, START, key, repo, seen};
use crate::core::command::{Command, Refusal, Synced};
use crate::core::record::ClaimState;
use crate::core::seen::{SeenRepo, SyncCursor};
use crate::core::standing::{Standing, Trouble};
use crate::core::{problem, rank};

fn scene() -> Hand {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START), seen(2, &["status/ready"], START)], vec![]);
    hand
}

fn look(standing: Standing) -> Command {
    let seen = SeenRepo {
        key: repo(),
        name: "local/sample".parse().expect("a name"),
        default_branch: "main".into(),
        standing,
    };
    Command::Synced(Synced { repo: Some(repo()), seen: Some(seen), ..Synced::default() })
}

fn failed(trouble: Trouble) -> Command {
    Command::SyncFailed { repo: repo(), error: "GitHub has no such thing".into(), trouble, stats: None }
}

fn denied(number: u64) -> Command {
    Command::Synced(Synced { repo: Some(repo()), denied: vec![number], ..Synced::default() })
}

fn sync_problems(hand: &Hand) -> Vec<String> {
    let all = problem::problems(&hand.world, hand.now);
    all.into_iter().filter(|p| p.kind == ProblemKind::Sync).map(|p| p.text).collect()
}

#[test]
fn an_archived_repository_hands_nothing_out_and_ends_what_is_held() {
    let mut hand = scene();
    let claim = hand.take("kai").expect("a task");
    hand.ok(&look(Standing::Archived));
    let ended = hand.world.claims.get(&claim.id).expect("history stays").state.clone();
    assert_eq!(ended, ClaimState::Revoked("the repository is archived".into()));
    assert!(hand.take("ben").is_none());
    let why = rank::why(&hand.world, &hand.card(2), hand.now);
    let tracked = why.iter().find(|r| r.rule == "tracked").expect("the first rule");
    assert_eq!((tracked.holds, tracked.why.as_str()), (false, "local/sample is archived"));
    let take =
        Command::Claim { card: key(2), agent: super::fixture::agent("ben"), force: true, actor: "op".into() };
    assert!(matches!(hand.refused(&take), Refusal::Closed(said) if said.contains("is archived")));
    assert!(sync_problems(&hand)[0].contains("is archived"));
    assert_eq!(hand.world.cards.len(), 2, "the cards stay");

    hand.ok(&look(Standing::Active));
    assert_eq!(sync_problems(&hand), [] as [&str; 0]);
    assert!(hand.take("ben").is_some(), "work goes on where it can");
}

#[test]
fn only_a_repository_denied_again_and_again_is_lost() {
    let mut hand = scene();
    hand.take("kai").expect("a task");
    for _ in 0..3 {
        hand.ok(&failed(Trouble::Denied));
        hand.pass(60);
    }
    assert_eq!(hand.world.held(&key(1)).map(|c| c.agent.to_string()).as_deref(), Some("kai"), "an outage");
    assert_eq!(sync_problems(&hand), ["GitHub has no such thing"], "but somebody is told");
    hand.pass(600);
    hand.ok(&failed(Trouble::Passing));
    assert!(hand.world.held(&key(1)).is_some(), "being away says nothing");
    hand.ok(&failed(Trouble::Denied));
    assert!(hand.world.held(&key(1)).is_none());
    assert!(hand.take("ben").is_none());
    assert!(hand.world.cards.values().all(|c| !c.gone), "access that is lost deletes nothing");
    hand.ok(&look(Standing::Active));
    assert!(hand.take("ben").is_some(), "it came back");
}

#[test]
fn a_failure_that_passes_is_told_after_an_hour() {
    let mut hand = scene();
    let cursor = Some(SyncCursor::default());
    hand.ok(&Command::Synced(Synced { repo: Some(repo()), cursor, ..Synced::default() }));
    for _ in 0..10 {
        hand.ok(&failed(Trouble::Passing));
    }
    assert_eq!(sync_problems(&hand), [] as [&str; 0]);
    hand.pass(3_600);
    assert_eq!(sync_problems(&hand), ["GitHub has no such thing"]);
    hand.ok(&Command::Synced(Synced {
        repo: Some(repo()),
        cursor: Some(SyncCursor::default()),
        ..Synced::default()
    }));
    assert_eq!(sync_problems(&hand), [] as [&str; 0]);
}

#[test]
fn an_issue_is_gone_when_it_is_denied_twice_and_not_seen_in_between() {
    let mut hand = scene();
    hand.take("kai").expect("a task");
    hand.ok(&denied(1));
    hand.ok(&denied(1));
    assert!(!hand.card(1).gone && hand.world.held(&key(1)).is_some(), "twice in one breath is once");
    hand.pass(60);
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.ok(&denied(1));
    assert!(!hand.card(1).gone, "it was seen since");
    hand.pass(60);
    hand.ok(&denied(1));
    assert!(hand.card(1).gone && hand.world.held(&key(1)).is_none());
}

#[test]
fn a_read_that_breaks_off_is_not_fresh_and_goes_on_from_there() {
    let mut hand = scene();
    let fresh = hand.world.repos.get(&repo()).expect("tracked").last_synced_at;
    hand.pass(60);
    let resume = SyncCursor { since: Some(START), pulls_due: true, ..SyncCursor::default() };
    let part = Synced { repo: Some(repo()), resume: Some(resume.clone()), ..Synced::default() };
    hand.ok(&Command::Synced(part));
    let now = hand.world.repos.get(&repo()).expect("tracked");
    assert_eq!((&now.cursor, now.last_synced_at), (&resume, fresh));
}
