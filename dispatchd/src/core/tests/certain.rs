//! What certainly happens on a forge that others use as well.

use dispatch_shared::followup::PullState;
use dispatch_shared::issue::{Flag, IssueState, Status};

use super::fixture::{Hand, START, agent, key, repo, report, seen, seen_pull};
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::tasks::ReportAnswer;
use dispatch_shared::run::{EndClass, RuntimeKind, Usage};
use dispatch_shared::task::Outcome;

use crate::core::command::{Command, Evidence, Refusal, Reply, Report, RunEnd, RunStep, Synced, Take};
use crate::core::problem::problems;
use crate::core::seen::{SeenIssue, SeenPull, SeenRepo};
use crate::core::standing::{Standing, Trouble};
use crate::core::waits::SeenBlocker;
use crate::core::work::Work;
use crate::core::{blockers, rank};

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

#[test]
fn a_pull_request_of_a_fork_means_review_and_is_never_handed_out() {
    let mut hand = Hand::new();
    let fork = SeenPull { from_fork: true, ..seen_pull(9, 1, PullState::Open, START) };
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![fork]);
    assert_eq!((hand.card(1).status, hand.card(1).linked_pull), (Status::InReview, Some(9)));
    hand.drain_outbox();
    assert_eq!(hand.take("kai"), None, "neither the issue nor the pull request");
    let health = crate::core::fix::health::Health {
        pr: 9,
        head_sha: "sha9".into(),
        from_fork: true,
        review_decision: Some("CHANGES_REQUESTED".into()),
        mergeable: Some("CONFLICTING".into()),
        ..Default::default()
    };
    let observe =
        crate::core::fix::ask::FixCommand::Observe { repo: repo(), health: Box::new(health), at: hand.now };
    hand.ok(&Command::Fix(Box::new(observe)));
    assert_eq!(hand.world.fixes.of(&repo()).count(), 0, "never enqueued");
    assert_eq!(hand.take("kai"), None);
}

/// A run of the built-in runner at work on issue 1.
fn at_work() -> (Hand, RunId) {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START), seen(2, &["status/ready"], START)], vec![]);
    let take = Take { runner: true, slots: 4, ..Hand::take_command("dispatch") };
    let Reply::Claimed { run: Some(id), .. } = hand.ok(&Command::Take(take)) else { panic!("a run is made") };
    hand.drain_outbox();
    let attempt = hand.world.runs.get(&id).expect("the run").attempt;
    for step in
        [RunStep::Preparing, RunStep::Started { runtime: RuntimeKind::Host, container: "pid 1".into() }]
    {
        hand.ok(&Command::Run { run: id, attempt, step });
    }
    (hand, id)
}

#[test]
fn where_no_work_can_be_done_runs_end_unpublished_and_history_stays() {
    let look = |standing| {
        let name = "local/sample".parse().expect("a name");
        let seen = SeenRepo { key: repo(), name, default_branch: "main".into(), standing };
        Command::Synced(Synced { repo: Some(repo()), seen: Some(seen), ..Synced::default() })
    };
    let denied = || {
        let error = "GitHub has no such thing".to_owned();
        Command::SyncFailed { repo: repo(), error, trouble: Trouble::Denied, stats: None }
    };
    let untrack = Command::Untrack { repo: repo(), actor: "op".into() };
    let ways = [
        ("archived", vec![look(Standing::Archived)]),
        ("disabled", vec![look(Standing::Disabled)]),
        ("deleted, or access lost", (0..30).map(|_| denied()).collect()),
        ("untracked", vec![untrack]),
    ];
    for (what, commands) in ways {
        let (mut hand, id) = at_work();
        for command in &commands {
            hand.pass(60);
            hand.ok(command);
        }
        let run = hand.world.runs.get(&id).expect("history stays").clone();
        let kill = run.kill.clone().unwrap_or_else(|| panic!("{what}: the run is told to stop"));
        assert!(kill.revoked && !kill.by.is_empty(), "{what}: {kill:?}");
        assert_eq!(hand.take("kai"), None, "{what}: no new tasks");
        let end = RunEnd {
            class: EndClass::Revoked,
            reason: Some(kill.by.clone()),
            exit_code: None,
            question: None,
            usage: Usage::default(),
            pull: None,
            retry_at: None,
            session: None,
            checked: None,
        };
        hand.ok(&Command::Run { run: id, attempt: run.attempt, step: RunStep::Ended(Box::new(end)) });
        let run = hand.world.runs.get(&id).expect("history stays");
        assert!(run.reason.is_some() && run.pull.is_none(), "{what}: unpublished, with the reason");
        assert!(hand.world.cards.contains_key(&key(2)), "{what}: the cards stay");
    }
}

#[test]
fn a_renamed_or_transferred_repository_is_the_same_one() {
    let (mut hand, id) = at_work();
    let name: dispatch_shared::id::RepoName = "other/renamed".parse().expect("a name");
    let seen = SeenRepo {
        key: repo(),
        name: name.clone(),
        default_branch: "trunk".into(),
        standing: Standing::Active,
    };
    hand.ok(&Command::Synced(Synced { repo: Some(repo()), seen: Some(seen), ..Synced::default() }));
    assert_eq!(hand.world.repo_named(&name).map(|r| r.key.clone()), Some(repo()));
    assert!(hand.world.repo_named(&"local/sample".parse().expect("a name")).is_none());
    assert!(hand.world.runs.get(&id).is_some_and(|r| r.kill.is_none()), "what runs goes on");
    assert_eq!(hand.take("kai").map(|c| c.card), Some(key(2)));
}

#[test]
fn an_issue_edited_during_the_work_is_told_of_in_the_report() {
    let said = |edited: bool| {
        let mut hand = Hand::new();
        hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
        let claim = hand.take("kai").expect("a task");
        hand.drain_outbox();
        hand.pass(60);
        if edited {
            let labels = ["status/in-progress", "agent/kai"];
            hand.sync(vec![SeenIssue { body: "Other words".into(), ..seen(1, &labels, hand.now) }], vec![]);
            assert!(hand.world.held(&key(1)).is_some(), "an edit takes nothing away");
        }
        let mut request = report(Outcome::NoChangesNeeded);
        request.claim_id = Some(claim.id);
        let report = Report { agent: agent("kai"), card: None, request, evidence: Evidence::NotNeeded };
        match hand.ok(&Command::Report(Box::new(report))) {
            Reply::Reported { answer, .. } => {
                serde_json::from_str::<ReportAnswer>(&answer).expect("an answer").report.issue_changed
            }
            other => panic!("a report is answered, not {other:?}"),
        }
    };
    assert_eq!((said(true), said(false)), (true, false), "our own labels are no edit");
}

#[test]
fn the_claim_of_an_outside_harness_can_only_be_taken_away() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    let claim = hand.take("kai").expect("a task");
    assert!(hand.world.runs.is_empty(), "there is no run that could be killed");
    let kill = Command::Kill { run: RunId(1), attempt: None, now: true, actor: "op".into() };
    assert!(matches!(hand.refused(&kill), Refusal::NotFound(_)));
    let release = Work::Release { claims: vec![claim.id], reason: "it hangs".into(), actor: "op".into() };
    hand.ok(&Command::Work(Box::new(release)));
    let late = Command::Renew { agent: claim.agent.clone(), claim: Some(claim.id), checkpoint: None };
    let refused = hand.refused(&late);
    assert!(matches!(&refused, Refusal::Revoked(said) if said.contains("it hangs")), "{refused:?}");
}

#[test]
fn a_card_with_two_agent_labels_is_withheld_and_shown() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready", "agent/kai", "agent/zoe"], START)], vec![]);
    assert_eq!((hand.take("kai"), hand.take("zoe")), (None, None));
    let why = rank::why(&hand.world, &hand.card(1), hand.now);
    let agents = why.iter().find(|r| !r.holds).expect("a reason");
    assert!(agents.why.contains("agent/kai") && agents.why.contains("agent/zoe"), "{agents:?}");
    assert!(texts(&hand).contains("agent"), "{}", texts(&hand));
}

#[test]
fn blockers_of_the_forge_withhold_until_it_is_known_that_none_is_open() {
    let mut hand = Hand::new();
    let counted = |n| SeenIssue { open_blockers: n, ..seen(2, &["status/ready"], START) };
    hand.sync(vec![seen(1, &["status/backlog"], START), counted(Some(1))], vec![]);
    assert_eq!(hand.take("kai"), None);
    assert!(blockers::words(&hand.world, &hand.card(2)).contains("not read yet"));
    let listed = |number, open| SeenBlocker { repo: "Local/Sample".parse().expect("a name"), number, open };
    hand.ok(&Command::Blockers { card: key(2), seen: Ok(vec![listed(1, true)]) });
    assert_eq!(blockers::words(&hand.world, &hand.card(2)), "#1 is open");
    let closed = SeenIssue { state: IssueState::Closed, ..seen(1, &[], hand.now) };
    hand.sync(vec![closed], vec![]);
    assert_eq!(hand.take("kai").map(|c| c.card), Some(key(2)), "though the count still says one");
}
