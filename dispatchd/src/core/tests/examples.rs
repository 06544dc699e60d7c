//! By example: what certainly happens.

use dispatch_shared::followup::PullState;
use dispatch_shared::issue::{Flag, IssueState, Status};
use dispatch_shared::run::{EndClass, Phase, RunState, RuntimeKind, Usage};
use dispatch_shared::task::Outcome;

use super::fixture::{Hand, START, agent, key, repo, report, seen, seen_pull};
use crate::core::command::{Command, Evidence, IntentResult, Refusal, Reply, Report, RunEnd, RunStep, Take};
use crate::core::record::{ClaimState, Run, Wish, Write};
use crate::core::{problem, rank};

fn reported(outcome: Outcome, evidence: Evidence) -> Command {
    Command::Report(Box::new(Report {
        agent: agent("kai"),
        card: Some(key(1)),
        request: report(outcome),
        evidence,
    }))
}

fn move_to(number: u64, to: Status) -> Command {
    Command::Move { card: key(number), to, claim: None, actor: "operator".into() }
}

fn runner_take() -> Command {
    Command::Take(Take {
        runner: true,
        slots: 4,
        repos: Some(vec![repo()]),
        ..Hand::take_command("dispatch")
    })
}

fn start_run(hand: &mut Hand) -> Run {
    let Reply::Claimed { run: Some(id), .. } = hand.ok(&runner_take()) else {
        panic!("a run is made with the claim")
    };
    let run = (**hand.world.runs.get(&id).unwrap()).clone();
    for step in
        [RunStep::Preparing, RunStep::Started { runtime: RuntimeKind::Host, container: "pid 1".into() }]
    {
        hand.ok(&Command::Run { run: id, attempt: run.attempt, step });
    }
    (**hand.world.runs.get(&run.id).unwrap()).clone()
}

fn end(class: EndClass) -> RunStep {
    RunStep::Ended(Box::new(RunEnd {
        class,
        reason: Some("because".into()),
        exit_code: Some(0),
        question: (class == EndClass::Blocked).then(|| "half-even or half-up?".into()),
        usage: Usage::default(),
        retry_at: None,
        session: None,
        checked: None,
        pull: None,
    }))
}

fn end_run(hand: &mut Hand, run: &Run, class: EndClass) {
    hand.ok(&Command::Run { run: run.id, attempt: run.attempt, step: end(class) });
}

#[test]
fn taking_moves_labels_and_tells_the_forge() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready", "priority/p1", "theirs"], START)], vec![]);
    let claim = hand.take("kai").unwrap();
    let card = hand.card(1);
    assert_eq!(card.status, Status::InProgress);
    assert_eq!(card.labels, ["priority/p1", "theirs", "status/in-progress", "agent/kai"]);
    assert_eq!(claim.attempt.ordinal(), 1);
    let intent = hand.world.intents.values().next().unwrap();
    assert_eq!(
        intent.wish,
        Wish::Labels {
            add: vec!["status/in-progress".into(), "agent/kai".into()],
            remove: vec!["status/ready".into()]
        },
        "labels are added and removed one by one, never replaced as a set"
    );
    assert_eq!(hand.take("kai"), None, "one slot, one claim");
    assert_eq!(hand.take("other"), None, "nobody gets it twice");
}

#[test]
fn priority_age_and_assignment_make_the_order() {
    let mut hand = Hand::new();
    let old = dispatch_shared::Timestamp(START.0 - 8 * 86_400_000);
    let mut aged = seen(3, &["status/ready", "priority/p2"], START);
    aged.created_at = old;
    hand.sync(
        vec![
            seen(1, &["status/ready"], START),
            seen(2, &["status/ready", "priority/p1"], START),
            aged,
            seen(4, &["status/ready", "priority/p1", "agent/kai"], START),
            seen(5, &["status/ready", "priority/p0", "agent/other"], START),
            seen(6, &["status/ready", "priority/p0", "needs-human"], START),
            seen(7, &["status/ready", "priority/p0", "lane/backlog"], START),
            seen(8, &["status/ready", "priority/p0", "lane/unheard-of"], START),
        ],
        vec![],
    );
    let kai = agent("kai");
    let ask = rank::Ask { agent: &kai, lane: None, repos: None };
    let order: Vec<u64> =
        rank::order(&hand.world, hand.now, &ask).into_iter().map(|r| r.key.number).collect();
    assert_eq!(order, [4, 3, 2, 1], "own label first, then p2 aged to p1 by age before p1, then none");
    assert_eq!(rank::next(&hand.world, hand.now, &ask), Some(key(4)));
    assert_eq!(rank::reason(&hand.card(3), hand.now, &kai), "p2, aged to p1 after 8 days, oldest first");
    let why = rank::why(&hand.world, &hand.card(8), hand.now);
    let lane = why.iter().find(|r| !r.holds).unwrap();
    assert_eq!(lane.why, "lane unheard-of is not configured");
}

#[test]
fn blockers_withhold_until_closed() {
    let mut hand = Hand::new();
    let mut blocked = seen(2, &["status/ready", "priority/p0"], START);
    blocked.body = "Depends on #1".into();
    hand.sync(vec![seen(1, &["status/backlog"], START), blocked], vec![]);
    assert_eq!(hand.take("kai"), None);
    let mut closed = seen(1, &["status/backlog"], hand.now);
    closed.state = IssueState::Closed;
    hand.sync(vec![closed], vec![]);
    assert_eq!(hand.take("kai").map(|c| c.card.number), Some(2));
}

#[test]
fn a_blocker_in_another_repository_withholds_and_says_so() {
    use crate::core::blockers::words;
    let mut hand = Hand::new();
    let on =
        |body: &str| crate::core::seen::SeenIssue { body: body.into(), ..seen(1, &["status/ready"], START) };
    hand.sync(vec![on("Depends on acme/web#7")], vec![]);
    assert_eq!(hand.take("kai"), None);
    let said = words(&hand.world, &hand.card(1));
    assert!(said.contains("acme/web#7") && said.contains("counts as open"), "{said}");
    let web = dispatch_shared::id::RepoKey::new("lo2");
    hand.ok(&Command::Track(crate::core::command::Track {
        seen: crate::core::seen::SeenRepo {
            key: web.clone(),
            name: "Acme/Web".parse().unwrap(),
            default_branch: "main".into(),
            standing: Default::default(),
        },
        forge: crate::core::record::ForgeKind::Local,
        path: None,
        source: crate::core::record::Source::User,
        runner_enabled: false,
        actor: "test".into(),
    }));
    let read = |hand: &mut Hand, state| {
        let issue = crate::core::seen::SeenIssue {
            state,
            body: "blocked by local/sample#1".into(),
            ..seen(7, &["status/ready"], hand.now)
        };
        let repo = Some(web.clone());
        hand.ok(&Command::Synced(crate::core::command::Synced {
            repo,
            issues: vec![issue],
            ..Default::default()
        }));
    };
    read(&mut hand, IssueState::Open);
    let said = words(&hand.world, &hand.card(1));
    assert_eq!(said, "acme/web#7 is open, and waits for this one in turn: a cycle");
    assert_eq!(hand.take("kai"), None);
    read(&mut hand, IssueState::Closed);
    assert_eq!(words(&hand.world, &hand.card(1)), "");
    assert!(hand.take("kai").is_some(), "free as soon as the blocker is closed");
}

#[test]
fn wip_limit_stops_handing_out() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/in-review"], START), seen(2, &["status/ready"], START)], vec![]);
    let patch = |limit| Command::PatchRepo {
        repo: repo(),
        runner_enabled: None,
        wip_limit: Some(limit),
        lanes: None,
        actor: "operator".into(),
    };
    hand.ok(&patch(1));
    assert_eq!(hand.take("kai"), None);
    hand.ok(&patch(2));
    assert!(hand.take("kai").is_some());
}

#[test]
fn a_lapsed_lease_gives_the_card_back_and_fences_the_old_claim() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    let first = hand.take("kai").unwrap();
    hand.pass(29 * 60);
    hand.ok(&Command::Renew { agent: agent("kai"), claim: Some(first.id), checkpoint: None });
    hand.pass(29 * 60);
    hand.ok(&Command::Tick { grace_until: None });
    assert!(hand.world.held(&key(1)).is_some(), "a renewal reaches one lease beyond its time");
    hand.pass(2 * 60);
    hand.ok(&Command::Tick { grace_until: None });
    assert_eq!(hand.card(1).status, Status::Ready);
    assert!(!hand.card(1).labels.contains(&"agent/kai".to_owned()));
    let second = hand.take("other").unwrap();
    assert!(second.attempt > first.attempt);
    let stale = Command::Renew { agent: agent("kai"), claim: Some(first.id), checkpoint: None };
    assert!(matches!(hand.refused(&stale), Refusal::Stale(_)));
}

#[test]
fn after_a_suspend_leases_get_grace() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.take("kai").unwrap();
    hand.pass(8 * 3_600);
    let until = hand.now + std::time::Duration::from_secs(1_800);
    assert_eq!(hand.ok(&Command::Tick { grace_until: Some(until) }), Reply::NextTick(Some(until)));
    assert!(hand.world.held(&key(1)).is_some());
}

#[test]
fn a_persons_label_wins() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    let claim = hand.take("kai").unwrap();
    // Read before our write reached the forge: says nothing of a person.
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    assert!(hand.world.held(&key(1)).is_some());
    hand.drain_outbox();
    hand.sync(vec![seen(1, &["status/backlog", "agent/kai"], hand.now)], vec![]);
    assert_eq!(hand.card(1).status, Status::Backlog);
    let late = Command::Renew { agent: agent("kai"), claim: Some(claim.id), checkpoint: None };
    let Refusal::Revoked(why) = hand.refused(&late) else { panic!("a revoked claim says so") };
    assert!(why.contains("a person moved the card"), "{why}");
}

#[test]
fn a_removed_agent_label_takes_the_claim_away() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.take("kai").unwrap();
    hand.drain_outbox();
    hand.sync(vec![seen(1, &["status/in-progress"], hand.now)], vec![]);
    assert!(hand.world.held(&key(1)).is_none());
    assert_eq!(hand.card(1).status, Status::Ready);
}

#[test]
fn an_intent_that_a_person_overtook_is_superseded() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.take("kai").unwrap();
    let id = *hand.world.intents.keys().next().unwrap();
    let live = hand.live(1, &["status/backlog"]);
    hand.ok(&Command::Intent { id, result: IntentResult::Superseded { live, took: Vec::new() } });
    assert_eq!(hand.card(1).status, Status::Backlog);
    assert!(hand.world.held(&key(1)).is_none(), "the person wins, the claim goes");
}

#[test]
fn a_refused_write_reverts_a_free_card_and_leaves_a_claim_alone() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/backlog"], START), seen(2, &["status/ready"], START)], vec![]);
    hand.ok(&move_to(1, Status::Ready));
    let id = *hand.world.intents.keys().next().unwrap();
    hand.ok(&Command::Intent { id, result: IntentResult::refused("403") });
    let card = hand.card(1);
    assert_eq!((card.status, card.write), (Status::Backlog, Some(Write::Refused("403".into()))));
    hand.take("kai").unwrap();
    let id = *hand.world.intents.keys().next().unwrap();
    hand.ok(&Command::Intent { id, result: IntentResult::refused("403") });
    assert_eq!(hand.card(2).status, Status::InProgress);
    assert!(hand.world.held(&key(2)).is_some());
    hand.sync(vec![seen(2, &["status/ready"], hand.now)], vec![]);
    assert!(hand.world.held(&key(2)).is_some(), "what the forge had all along is no change by a person");
    let problems = problem::problems(&hand.world, hand.now);
    assert_eq!(problems.len(), 2, "both refusals are shown: {problems:?}");
}

#[test]
fn closing_revokes_and_reopening_starts_from_the_backlog() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.take("kai").unwrap();
    hand.drain_outbox();
    let mut closed = seen(1, &["status/done"], hand.now);
    closed.state = IssueState::Closed;
    hand.sync(vec![closed], vec![]);
    assert_eq!(hand.card(1).status, Status::Done);
    assert!(hand.world.held(&key(1)).is_none());
    assert!(matches!(hand.refused(&move_to(1, Status::Ready)), Refusal::Closed(_)));
    hand.sync(vec![seen(1, &["status/done"], hand.now)], vec![]);
    assert_eq!(hand.card(1).status, Status::Backlog);
    assert!(matches!(hand.refused(&move_to(1, Status::Done)), Refusal::Illegal(_)));
}

#[test]
fn a_reported_pull_request_puts_the_card_into_review() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    let claim = hand.take("kai").unwrap();
    let pull = seen_pull(9, 1, PullState::Open, hand.now);
    let command = reported(Outcome::PrOpened, Evidence::Pull(Box::new(pull)));
    hand.ok(&command);
    assert_eq!(hand.card(1).status, Status::InReview);
    assert_eq!(hand.card(1).linked_pull, Some(9));
    assert!(hand.card(1).labels.contains(&"agent/kai".to_owned()), "the agent label stays in review");
    assert_eq!(hand.world.claims.get(&claim.id).unwrap().state, ClaimState::Finished(Outcome::PrOpened));
    hand.drain_outbox();
    hand.pass(1);
    let closed = seen_pull(9, 1, PullState::Closed, hand.now);
    hand.sync(vec![], vec![closed]);
    let card = hand.card(1);
    assert_eq!(
        (card.status, card.flags),
        (Status::Backlog, vec![Flag::NeedsHuman]),
        "closed unmerged is never silently ready"
    );
}

#[test]
fn a_report_names_what_is_not_there() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.take("kai").unwrap();
    let mut request = report(Outcome::PrOpened);
    request.pull_request_number = Some(9);
    let absent = Evidence::Absent("there is no pull request #9".into());
    let named = Command::Report(Box::new(Report {
        agent: agent("kai"),
        card: Some(key(1)),
        request,
        evidence: absent.clone(),
    }));
    assert!(matches!(hand.refused(&named), Refusal::NotVerified(_)));
    let command = reported(Outcome::PrOpened, absent);
    hand.ok(&command);
    assert_eq!(
        (hand.card(1).status, hand.card(1).failures),
        (Status::Ready, 1),
        "an unverified claim of success is a failed attempt"
    );
}

#[test]
fn three_failures_ask_for_a_person() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    for failures in 1..=3 {
        hand.take("kai").unwrap();
        let command = reported(Outcome::Failed, Evidence::NotNeeded);
        hand.ok(&command);
        assert_eq!(hand.card(1).failures, failures);
        assert_eq!(hand.take("kai"), None, "a pause follows a failure");
        hand.pass(3_600);
    }
    let card = hand.card(1);
    assert_eq!((card.status, card.flags), (Status::Backlog, vec![Flag::NeedsHuman]));
    hand.ok(&move_to(1, Status::Ready));
    assert_eq!(hand.card(1).failures, 0);
    assert_eq!(hand.take("kai").unwrap().attempt.ordinal(), 4, "attempts only grow");
}

#[test]
fn an_idempotent_report_replays_its_answer() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    hand.take("kai").unwrap();
    let mut request = report(Outcome::Blocked);
    request.idempotency_key = Some("k".into());
    let command = |request| {
        Command::Report(Box::new(Report {
            agent: agent("kai"),
            card: Some(key(1)),
            request,
            evidence: Evidence::NotNeeded,
        }))
    };
    let Reply::Reported { answer, duplicate: false } = hand.ok(&command(request.clone())) else { panic!() };
    assert_eq!(hand.ok(&command(request.clone())), Reply::Reported { answer, duplicate: true });
    request.outcome = Outcome::Failed;
    assert!(matches!(hand.refused(&command(request)), Refusal::KeyReused(_)));
    assert_eq!(hand.card(1).status, Status::InProgress, "blocked stays where it is");
}

#[test]
fn runs_end_in_the_column_that_their_class_demands() {
    for (class, status, flags, failures) in [
        (EndClass::Blocked, Status::InProgress, vec![Flag::NeedsHuman], 0),
        (EndClass::NoChanges, Status::Backlog, vec![Flag::NeedsHuman], 0),
        (EndClass::Failed, Status::Ready, vec![], 1),
        (EndClass::Lost, Status::Ready, vec![], 1),
        (EndClass::RateLimited, Status::Ready, vec![], 0),
        (EndClass::Killed, Status::Backlog, vec![], 0),
    ] {
        let mut hand = Hand::new();
        hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
        let run = start_run(&mut hand);
        assert_eq!(run.state, RunState::Live(Phase::Running));
        end_run(&mut hand, &run, class);
        let card = hand.card(1);
        assert_eq!((card.status, card.flags.clone(), card.failures), (status, flags, failures), "{class}");
        assert!(hand.world.held(&key(1)).is_none(), "{class}");
        let again = Command::Run { run: run.id, attempt: run.attempt, step: end(EndClass::Succeeded) };
        assert!(matches!(hand.refused(&again), Refusal::Illegal(_)), "done is done");
    }
}

#[test]
fn an_answer_goes_into_the_next_run() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    let run = start_run(&mut hand);
    end_run(&mut hand, &run, EndClass::Blocked);
    hand.ok(&Command::Answer { run: run.id, text: "half-even".into(), actor: "operator".into() });
    let next = start_run(&mut hand);
    assert_eq!(next.answer.as_deref(), Some("half-even"));
    assert!(next.attempt > run.attempt);
}

#[test]
fn moving_a_running_card_stops_its_run() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    let run = start_run(&mut hand);
    hand.ok(&move_to(1, Status::Backlog));
    let stopping = hand.world.runs.get(&run.id).unwrap().kill.clone().unwrap();
    assert!(stopping.revoked);
    end_run(&mut hand, &run, EndClass::Revoked);
    assert_eq!(hand.card(1).status, Status::Backlog, "the card is where the person put it");
}

#[test]
fn a_second_kill_skips_the_grace_and_a_stale_one_is_refused() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START)], vec![]);
    let run = start_run(&mut hand);
    let kill = |attempt| Command::Kill { run: run.id, attempt, now: false, actor: "operator".into() };
    assert!(matches!(hand.refused(&kill(Some(run.attempt.next(9)))), Refusal::Stale(_)));
    hand.ok(&kill(Some(run.attempt)));
    assert!(!hand.world.runs.get(&run.id).unwrap().kill.clone().unwrap().now);
    hand.ok(&kill(None));
    assert!(hand.world.runs.get(&run.id).unwrap().kill.clone().unwrap().now);
    end_run(&mut hand, &run, EndClass::Killed);
    let seq = hand.world.meta.seq;
    assert_eq!(hand.ok(&kill(None)), Reply::Done, "a repeat of something done is no error");
    assert_eq!(hand.world.meta.seq, seq, "and changes nothing");
}

#[test]
fn a_lost_answer_is_asked_for_again() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START), seen(2, &["status/ready"], START)], vec![]);
    let take = Command::Take(Take { idempotency_key: Some("k".into()), ..Hand::take_command("kai") });
    let Reply::Claimed { claim, repeated: false, .. } = hand.ok(&take) else { panic!() };
    assert_eq!(hand.ok(&take), Reply::Claimed { claim, run: None, repeated: true });
    let resume = Command::Take(Take { resume: true, ..Hand::take_command("kai") });
    let Reply::Claimed { claim: resumed, .. } = hand.ok(&resume) else { panic!() };
    assert_ne!(resumed, claim, "resuming raises the attempt and fences the first process off");
}

#[test]
fn untracking_keeps_history_and_takes_claims_away() {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/ready"], START), seen(2, &["status/ready"], START)], vec![]);
    hand.take("kai").unwrap();
    hand.ok(&Command::Untrack { repo: repo(), actor: "operator".into() });
    assert!(hand.world.held(&key(1)).is_none());
    assert_eq!(hand.take("kai"), None);
    assert!(hand.world.cards.contains_key(&key(2)));
}
