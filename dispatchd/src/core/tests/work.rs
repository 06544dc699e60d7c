//! Resumable work, statuses and labels by name, agent runs; and old mistakes that must not return.

use std::time::Duration;

use dispatch_shared::claim::{Checkpoint, WorkState};
use dispatch_shared::followup::PullState;
use dispatch_shared::issue::{Flag, Status};
use dispatch_shared::task::Outcome;

use super::fixture::{Hand, START, agent, key, repo, report, seen, seen_pull};
use crate::core::clerk::{Deed, Paper, Standing};
use crate::core::command::{Command, Evidence, Refusal, Reply, Report, Synced};
use crate::core::record::{Claim, ClaimState, Wish};
use crate::core::seen::SyncCursor;
use crate::core::work::{Which, Work};
use crate::core::{rank, work_view};

const DAY: u64 = 86_400;

fn work(work: Work) -> Command {
    Command::Work(Box::new(work))
}

fn of(name: &str) -> Which {
    Which { agent: agent(name), claim: None, card: None }
}

fn start(name: &str, card: Option<u64>, slots: usize) -> Command {
    work(Work::Start {
        agent: agent(name),
        card: card.map(key),
        run: Some("run-9".into()),
        branch: None,
        slots,
        actor: name.into(),
    })
}

fn checkpoint(name: &str, checkpoint: Checkpoint, blocker: Option<&str>) -> Command {
    work(Work::Checkpoint {
        of: of(name),
        checkpoint,
        summary: Some("so far so good".into()),
        blocker: blocker.map(Into::into),
        branch: Some("fix/issue-1-x".into()),
    })
}

fn finish(name: &str, state: WorkState, evidence: Evidence) -> Command {
    work(Work::Finish { of: of(name), state, summary: None, evidence })
}

fn beat(name: &str) -> Command {
    work(Work::Beat { agent: agent(name), claim: None })
}

fn claim(name: &str, number: u64) -> Command {
    Command::Claim { card: key(number), agent: agent(name), force: false, actor: name.into() }
}

fn paper(number: u64, deed: Deed) -> Command {
    Command::Paper(Box::new(Paper { card: key(number), deed, actor: "operator".into() }))
}

fn status(number: u64, to: Standing, name: Option<&str>) -> Command {
    let deed = Deed::Status { to, agent: name.map(agent), claim: None, reason: Some("why".into()) };
    paper(number, deed)
}

fn held(hand: &Hand, number: u64) -> Option<Claim> {
    hand.world.held(&key(number)).map(|c| (**c).clone())
}

/// A hand with `count` ready issues.
fn ready(count: u64) -> Hand {
    let mut hand = Hand::new();
    hand.sync((1..=count).map(|n| seen(n, &["status/ready"], START)).collect(), vec![]);
    hand
}

#[test]
fn work_is_the_lease_seen_from_its_worker() {
    let mut hand = ready(2);
    let Reply::Claimed { claim: id, .. } = hand.ok(&start("kai", Some(1), 1)) else { panic!("a claim") };
    let first = work_view::work(&hand.world, &held(&hand, 1).unwrap());
    assert_eq!((first.id, first.state, first.checkpoint), (id, WorkState::Claimed, Checkpoint::Claimed));
    assert_eq!((first.run_id.as_deref(), first.next_action.as_str()), (Some("run-9"), "prepare_repo"));
    assert_eq!(hand.ok(&start("kai", Some(1), 1)), Reply::Claimed { claim: id, run: None, repeated: false });
    assert!(matches!(hand.refused(&start("kai", Some(2), 1)), Refusal::Held(_)), "one slot, one claim");
    hand.pass(60);
    hand.ok(&checkpoint("kai", Checkpoint::BranchCreated, None));
    let now = held(&hand, 1).unwrap();
    assert_eq!(now.expires_at, hand.now + now.lease, "a checkpoint renews");
    let context = work_view::active(&hand.world, &agent("kai"), |_, _| false).unwrap();
    assert_eq!(
        (context.checkpoint.as_str(), context.next_action.as_str()),
        ("branch_created", "continue_changes")
    );
    assert_eq!((context.branch.as_deref(), context.lease_id), (Some("fix/issue-1-x"), id));
    assert_eq!(work_view::list(&hand.world, Some("kai"), true).active_work.len(), 1);
    assert!(work_view::active(&hand.world, &agent("other"), |_, _| false).is_none());
}

#[test]
fn starting_without_a_name_goes_on_or_takes_the_next() {
    let mut hand = ready(1);
    hand.ok(&start("kai", None, 1));
    let first = held(&hand, 1).unwrap();
    hand.ok(&start("kai", None, 1));
    assert_eq!(held(&hand, 1).unwrap().id, first.id);
    assert!(matches!(hand.refused(&start("lee", None, 1)), Refusal::NotFound(_)));
    assert!(matches!(hand.refused(&checkpoint("lee", Checkpoint::Done, None)), Refusal::NotFound(_)));
    assert!(matches!(
        hand.refused(&finish("lee", WorkState::Done, Evidence::NotNeeded)),
        Refusal::NotFound(_)
    ));
}

#[test]
fn a_block_says_what_it_waits_for_and_ends_with_the_next_checkpoint() {
    let mut hand = ready(1);
    hand.take("kai");
    assert!(matches!(hand.refused(&checkpoint("kai", Checkpoint::Blocked, None)), Refusal::Invalid(_)));
    assert!(matches!(hand.refused(&checkpoint("kai", Checkpoint::Blocked, Some(" "))), Refusal::Invalid(_)));
    hand.ok(&checkpoint("kai", Checkpoint::ChangesMade, None));
    hand.ok(&checkpoint("kai", Checkpoint::Blocked, Some("which rounding?")));
    let card = hand.card(1);
    assert_eq!((card.status, card.flags), (Status::InProgress, vec![Flag::NeedsHuman]));
    assert_eq!(card.question.as_deref(), Some("which rounding?"));
    let blocked = work_view::work(&hand.world, &held(&hand, 1).unwrap());
    assert_eq!(
        (blocked.state, blocked.blocker_reason.as_deref()),
        (WorkState::Blocked, Some("which rounding?"))
    );
    let context = work_view::active(&hand.world, &agent("kai"), |_, _| false).unwrap();
    assert_eq!(context.checkpoint, "changes_made", "what was reached before the block");
    hand.ok(&checkpoint("kai", Checkpoint::TestsRunning, None));
    assert!(hand.card(1).flags.is_empty() && hand.card(1).question.is_none());
}

#[test]
fn finishing_goes_where_the_work_went() {
    let mut hand = ready(4);
    for (number, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
        hand.ok(&claim(name, number));
    }
    let pull = seen_pull(9, 1, PullState::Open, START);
    hand.ok(&finish("a", WorkState::Done, Evidence::Pull(Box::new(pull))));
    assert_eq!((hand.card(1).status, hand.card(1).linked_pull), (Status::InReview, Some(9)));
    hand.ok(&finish("b", WorkState::Done, Evidence::Absent("none".into())));
    assert_eq!((hand.card(2).status, hand.card(2).flags), (Status::Backlog, vec![Flag::NeedsHuman]));
    hand.ok(&finish("c", WorkState::Blocked, Evidence::NotNeeded));
    assert_eq!((hand.card(3).status, hand.card(3).flags), (Status::InProgress, vec![Flag::NeedsHuman]));
    assert!(matches!(hand.refused(&finish("d", WorkState::Stale, Evidence::NotNeeded)), Refusal::Invalid(_)));
    hand.ok(&finish("d", WorkState::Released, Evidence::NotNeeded));
    assert_eq!(hand.card(4).labels, ["status/ready"], "released work is free again");
    let runs: Vec<String> = hand.world.activity.newest().map(|r| r.status.clone()).collect();
    assert_eq!(runs, ["released", "blocked", "completed", "completed"]);
    assert!((1..=4).all(|n| held(&hand, n).is_none()));
}

#[test]
fn stale_work_is_listed_until_somebody_takes_it() {
    let mut hand = ready(1);
    hand.take("kai");
    hand.pass(31 * 60);
    hand.ok(&Command::Tick { grace_until: None });
    let list = work_view::list(&hand.world, None, true);
    assert_eq!((list.active_work.len(), list.stale_leases.len()), (0, 1));
    assert_eq!(list.stale_leases[0].state, WorkState::Stale);
    assert!(work_view::list(&hand.world, None, false).stale_leases.is_empty());
    hand.take("lee");
    let list = work_view::list(&hand.world, None, true);
    assert_eq!((list.active_work.len(), list.stale_leases.len()), (1, 0));
}

#[test]
fn an_operator_releases_work_and_says_why() {
    let mut hand = ready(2);
    hand.ok(&claim("kai", 1));
    hand.ok(&claim("kai", 2));
    let claims: Vec<_> = hand.world.held_by(&agent("kai")).map(|c| c.id).collect();
    let release =
        work(Work::Release { claims: claims.clone(), reason: "lunch".into(), actor: "operator".into() });
    assert_eq!(hand.ok(&release), Reply::Renewed(claims.clone()));
    assert!((1..=2).all(|n| hand.card(n).labels == ["status/ready"]));
    assert_eq!(hand.ok(&release), Reply::Renewed(vec![]), "once");
    let late = Command::Renew { agent: agent("kai"), claim: Some(claims[0]), checkpoint: None };
    assert!(matches!(hand.refused(&late), Refusal::Revoked(_)));
}

#[test]
fn a_status_by_its_holder_ends_the_claim() {
    for (to, column) in [
        (Status::InReview, Status::InReview),
        (Status::Ready, Status::Ready),
        (Status::Backlog, Status::Backlog),
        (Status::Done, Status::Backlog),
    ] {
        let mut hand = ready(1);
        hand.take("kai");
        assert!(matches!(hand.refused(&status(1, Standing::In(to), Some("lee"))), Refusal::Held(_)));
        hand.ok(&status(1, Standing::In(to), Some("kai")));
        assert!(held(&hand, 1).is_none(), "{to}");
        let card = hand.card(1);
        assert_eq!(card.status, column);
        assert_eq!(card.labels.iter().any(|l| l == "agent/kai"), to == Status::InReview, "{to}");
        assert_eq!(card.flags.contains(&Flag::NeedsHuman), to == Status::Done, "{to}");
    }
}

#[test]
fn blocked_is_a_flag_that_leaves_the_claim_alone() {
    let mut hand = ready(1);
    hand.take("kai");
    hand.ok(&status(1, Standing::Blocked, Some("kai")));
    assert_eq!((hand.card(1).status, hand.card(1).flags), (Status::InProgress, vec![Flag::Blocked]));
    assert!(held(&hand, 1).is_some());
    hand.ok(&status(1, Standing::In(Status::Ready), Some("kai")));
    assert_eq!(hand.card(1).labels, ["status/ready"]);
    hand.ok(&status(1, Standing::In(Status::InProgress), Some("kai")));
    assert!(held(&hand, 1).is_some(), "an agent that says it works on a free card holds it");
}

#[test]
fn labels_go_one_by_one_and_what_is_more_than_a_label_goes_its_own_way() {
    let mut hand = ready(1);
    hand.take("kai");
    hand.drain_outbox();
    hand.ok(&paper(1, Deed::Label("area/parser".into())));
    let wish = hand.world.intents.values().next().unwrap().wish.clone();
    assert_eq!(wish, Wish::Labels { add: vec!["area/parser".into()], remove: vec![] });
    hand.ok(&paper(1, Deed::Label("AREA/parser".into())));
    assert_eq!(hand.world.intents.len(), 1, "a label that is there is no change");
    assert!(matches!(hand.refused(&paper(1, Deed::Label("agent/lee".into()))), Refusal::Held(_)));
    assert!(matches!(hand.refused(&paper(1, Deed::Label("x".repeat(51)))), Refusal::Invalid(_)));
    assert!(matches!(hand.refused(&paper(1, Deed::Label("status/done".into()))), Refusal::Illegal(_)));
    hand.ok(&paper(1, Deed::Unlabel("agent/kai".into())));
    assert!(held(&hand, 1).is_none(), "without its label nobody is assigned");
    assert_eq!(hand.card(1).status, Status::Ready);
    hand.ok(&paper(1, Deed::Unlabel("area/parser".into())));
    assert_eq!(hand.card(1).labels, ["status/ready"]);
}

#[test]
fn only_a_stranded_card_is_reset() {
    let mut hand = Hand::new();
    hand.sync(
        vec![
            seen(1, &["status/in-progress", "agent/kai"], START),
            seen(2, &["status/in-progress", "agent/kai", "needs-human"], START),
            seen(3, &["status/ready"], START),
            seen(4, &["status/backlog"], START),
        ],
        vec![],
    );
    assert_eq!(work_view::stranded(&hand.world, &agent("kai")).count(), 1);
    hand.ok(&paper(1, Deed::ResetReady));
    assert_eq!(hand.card(1).labels, ["status/ready"]);
    assert!(
        matches!(hand.refused(&paper(2, Deed::ResetReady)), Refusal::Illegal(_)),
        "it waits for a person"
    );
    hand.ok(&paper(3, Deed::ResetReady));
    assert!(matches!(hand.refused(&paper(4, Deed::ResetReady)), Refusal::Illegal(_)));
    hand.ok(&claim("lee", 1));
    assert!(matches!(hand.refused(&paper(1, Deed::ResetReady)), Refusal::Held(_)));
}

#[test]
fn renovate_is_withheld_unless_asked_for() {
    let mut hand = Hand::new();
    let mut bot = seen(1, &["status/ready", "priority/p0", "dependencies"], START);
    bot.author = "renovate[bot]".into();
    hand.sync(vec![bot, seen(2, &["status/ready"], START)], vec![]);
    let lifted = rank::Lifted { renovate: true, ..rank::Lifted::default() };
    let kai = agent("kai");
    let ask = rank::Ask { agent: &kai, lane: None, repos: None };
    let numbers = |found: Vec<rank::Ranked>| found.into_iter().map(|r| r.key.number).collect::<Vec<_>>();
    assert_eq!(numbers(rank::order(&hand.world, hand.now, &ask)), [2]);
    assert_eq!(numbers(rank::order_with(&hand.world, hand.now, &ask, lifted)), [1, 2]);
    let take = crate::core::command::Take { lifted, ..Hand::take_command("kai") };
    hand.ok(&Command::Take(take));
    assert!(held(&hand, 1).is_some());
}

#[test]
fn a_report_is_remembered_among_the_agent_runs() {
    let mut hand = ready(1);
    hand.take("kai");
    hand.pass(600);
    let mut request = report(Outcome::Failed);
    request.started_at = Some(START.to_string());
    let told = Report { agent: agent("kai"), card: None, request, evidence: Evidence::NotNeeded };
    let Reply::Reported { answer, .. } = hand.ok(&Command::Report(Box::new(told))) else {
        panic!("an answer")
    };
    let run = hand.world.activity.newest().next().unwrap();
    assert_eq!((run.kind.as_str(), run.status.as_str(), run.started_at), ("implement", "failed", START));
    assert!(answer.contains(&format!("\"agentRunId\":\"{}\"", run.id)), "{answer}");
}

#[test]
fn old_mistake_a_claim_stolen_through_a_stale_cache() {
    let mut hand = ready(1);
    hand.pass(10);
    let read_at = Some(hand.now);
    let stale = seen(1, &["status/ready"], hand.now);
    hand.pass(1);
    let kai = hand.take("kai").unwrap();
    hand.drain_outbox();
    // A sync that began before the claim was written hands in what it read then.
    let late = |hand: &mut Hand, issue| {
        hand.ok(&Command::Synced(Synced {
            repo: Some(repo()),
            read_at,
            issues: vec![issue],
            cursor: Some(SyncCursor::default()),
            ..Synced::default()
        }));
    };
    late(&mut hand, stale);
    assert_eq!(held(&hand, 1).map(|c| c.id), Some(kai.id));
    assert_eq!(hand.take("lee"), None, "the cache says ready, the lease says held");
    assert!(matches!(hand.refused(&claim("lee", 1)), Refusal::Held(_)));
    assert!(matches!(hand.refused(&start("lee", Some(1), 1)), Refusal::Held(_)));
    let now = hand.now;
    late(&mut hand, seen(1, &["status/ready", "agent/lee"], now));
    assert!(matches!(hand.refused(&claim("lee", 1)), Refusal::Held(_)));
    assert_eq!(held(&hand, 1).map(|c| c.agent), Some(agent("kai")));
}

#[test]
fn old_mistake_unclaim_clobbering_labels() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready", "bug"], START)], vec![]);
    hand.take("kai");
    hand.drain_outbox();
    let unclaim =
        Command::Unclaim { card: key(1), agent: Some(agent("kai")), claim: None, actor: "kai".into() };
    hand.ok(&unclaim);
    let wish = hand.world.intents.values().next().unwrap().wish.clone();
    let wanted = Wish::Labels {
        add: vec!["status/ready".into()],
        remove: vec!["status/in-progress".into(), "agent/kai".into()],
    };
    assert_eq!(wish, wanted, "what a person added meanwhile is not named, so it stays");
    assert!(matches!(hand.refused(&unclaim), Refusal::Invalid(_)), "a non-holder is refused");
}

#[test]
fn old_mistake_a_heartbeat_that_does_not_extend_the_lease() {
    let mut hand = ready(2);
    hand.ok(&claim("kai", 1));
    hand.ok(&claim("kai", 2));
    for _ in 0..10 {
        hand.pass(20 * 60);
        hand.ok(&beat("kai"));
        for number in [1, 2] {
            let claim = held(&hand, number).unwrap();
            assert_eq!(claim.expires_at, hand.now + claim.lease);
            assert_eq!(claim.notes.renewed_at, Some(hand.now));
        }
        hand.ok(&Command::Tick { grace_until: None });
    }
    assert_eq!(hand.world.held_by(&agent("kai")).count(), 2, "alive after hours");
    assert!(hand.world.activity.newest().take(10).all(|r| r.kind == "heartbeat" && r.status == "ok"));
    assert_eq!(hand.world.activity.newest().count(), 10);
}

#[test]
fn old_mistake_a_new_claim_inheriting_an_old_heartbeat() {
    let mut hand = ready(1);
    hand.take("kai");
    hand.pass(60);
    hand.ok(&checkpoint("kai", Checkpoint::ChangesMade, None));
    hand.ok(&beat("kai"));
    hand.ok(&Command::Unclaim { card: key(1), agent: Some(agent("kai")), claim: None, actor: "kai".into() });
    hand.pass(3 * 3_600);
    for name in ["kai", "lee"] {
        let claim = hand.take(name).unwrap();
        assert_eq!((claim.claimed_at, claim.expires_at), (hand.now, hand.now + claim.lease));
        assert_eq!((claim.checkpoint, claim.notes), (None, Default::default()), "{name} starts anew");
        let shown = work_view::work(&hand.world, &held(&hand, 1).unwrap());
        assert_eq!(shown.last_heartbeat_at, hand.now);
        hand.ok(&Command::Unclaim {
            card: key(1),
            agent: Some(agent(name)),
            claim: None,
            actor: name.into(),
        });
    }
    let first = hand.take("kai").unwrap();
    hand.pass(60);
    hand.ok(&beat("kai"));
    hand.pass(60);
    let resumed = crate::core::command::Take { resume: true, ..Hand::take_command("kai") };
    hand.ok(&Command::Take(resumed));
    let second = held(&hand, 1).unwrap();
    assert!(second.id != first.id && second.attempt > first.attempt);
    assert_eq!((second.notes.renewed_at, second.claimed_at), (None, hand.now), "also when it is resumed");
}

#[test]
fn old_mistake_p2_work_starved_for_weeks() {
    let mut hand = Hand::new();
    let mut waiting = seen(1, &["status/ready", "priority/p2"], START);
    waiting.updated_at = START;
    hand.sync(vec![waiting], vec![]);
    // Every day one more p1 comes in, and there is time for one issue a day.
    for day in 1..=30 {
        hand.pass(DAY);
        hand.sync(vec![seen(1 + day, &["status/ready", "priority/p1"], hand.now)], vec![]);
        let taken = hand.take("kai").unwrap();
        if taken.card.number == 1 {
            assert!((7..=8).contains(&day), "taken on day {day}");
            return;
        }
        let told = Report {
            agent: agent("kai"),
            card: Some(taken.card.clone()),
            request: report(Outcome::NoChangesNeeded),
            evidence: Evidence::NotNeeded,
        };
        hand.ok(&Command::Report(Box::new(told)));
        assert!(matches!(
            hand.world.newest_claim(&taken.card).map(|c| c.state.clone()),
            Some(ClaimState::Finished(_))
        ));
    }
    panic!("the p2 issue waited for 30 days");
}

#[test]
fn a_day_without_a_word_is_stale() {
    let mut hand = ready(1);
    hand.take("kai");
    assert!(work_view::stale_in_progress(&hand.world, hand.now + Duration::from_secs(DAY - 60)).is_empty());
    hand.pass(20 * 60);
    hand.ok(&beat("kai"));
    let later = |seconds| hand.now + Duration::from_secs(seconds);
    assert!(work_view::stale_in_progress(&hand.world, later(DAY - 1)).is_empty());
    assert_eq!(work_view::stale_in_progress(&hand.world, later(DAY)).len(), 1);
}

#[test]
fn an_issue_that_is_only_updated_goes_back_and_in_the_end_to_a_person() {
    let mut hand = ready(1);
    for round in 1..=3 {
        hand.pass(DAY);
        let claim = hand.take("kai").expect("it is ready again");
        hand.drain_outbox();
        let mut request = report(Outcome::IssueUpdated);
        request.claim_id = Some(claim.id);
        let said = Report { agent: agent("kai"), card: None, request, evidence: Evidence::NotNeeded };
        hand.ok(&Command::Report(Box::new(said)));
        assert!(held(&hand, 1).is_none());
        if round < 3 {
            assert_eq!(
                (hand.card(1).status, hand.card(1).labels),
                (Status::Ready, vec!["status/ready".into()])
            );
            assert_eq!(hand.take("zoe"), None, "it rests first");
        }
        hand.drain_outbox();
    }
    assert_eq!((hand.card(1).status, hand.card(1).flags), (Status::Backlog, vec![Flag::NeedsHuman]));
}

#[test]
fn a_repository_hands_out_of_its_lanes_alone() {
    let mut hand = Hand::new();
    hand.sync(
        vec![seen(1, &["status/ready"], START), seen(2, &["status/ready", "lane/frontier"], START)],
        vec![],
    );
    let lanes = |lanes: &[&str]| Command::PatchRepo {
        repo: repo(),
        runner_enabled: None,
        wip_limit: None,
        lanes: Some(lanes.iter().map(|l| (*l).to_owned()).collect()),
        actor: "operator".into(),
    };
    assert!(matches!(hand.refused(&lanes(&["no-such"])), Refusal::UnknownLane(_)));
    hand.ok(&lanes(&["escalated"]));
    let why = rank::why(&hand.world, &hand.card(1), hand.now);
    assert!(why.iter().any(|r| !r.holds && r.why.contains("hands nothing out from lane local")), "{why:?}");
    assert_eq!(hand.take("kai").map(|c| c.card), Some(key(2)), "an alias names the lane");
    assert_eq!(hand.take("zoe"), None);
    hand.ok(&lanes(&[]));
    assert_eq!(hand.take("zoe").map(|c| c.card), Some(key(1)), "empty is every lane");
}
