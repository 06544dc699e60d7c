//! The PR-fix queue by example. The old mistakes of this field first, each by its name.

use dispatch_shared::followup::{FixStatus, FixType, PullState};
use dispatch_shared::issue::{Flag, Status};
use dispatch_shared::protocol::followup::FeedbackItem;
use dispatch_shared::protocol::tasks::{PrFixItem, ReportAnswer, ReportRequest};
use dispatch_shared::task::{Outcome, TaskType};

use super::fixture::{Hand, START, agent, key, repo, report, seen, seen_pull};
use crate::core::command::{Command, Evidence, Refusal, Reply, Report, Synced};
use crate::core::fix::ask::{By, Enqueue, FixCommand};
use crate::core::fix::{Fix, FixKey, News, pick, task, view};
use crate::core::record::Claim;
use crate::core::seen::{SeenPull, SyncCursor};

pub(super) const PR: u64 = 2;

pub(super) fn fix_key(pr: u64) -> FixKey {
    FixKey { repo: repo(), pr }
}

/// Issue 1 in review with its pull request 2.
pub(super) fn hand() -> Hand {
    let mut hand = Hand::new();
    hand.sync(vec![seen(1, &["status/in-review"], START)], vec![seen_pull(PR, 1, PullState::Open, START)]);
    hand
}

fn news(source: &str, fix_type: FixType) -> News {
    News {
        keys: vec![format!("test:local/sample#{PR}:{source}")],
        fix_type,
        reason: format!("because of {source}"),
        feedback: vec![FeedbackItem::text(format!("look at {source}"))],
        head: None,
    }
}

fn asked(pr: u64, news: News) -> Enqueue {
    Enqueue {
        key: fix_key(pr),
        news,
        lane: None,
        issue: None,
        branch: None,
        url: None,
        title: None,
        author: None,
        actor: "test".into(),
        fresh: false,
        automatic: false,
    }
}

fn command(command: FixCommand) -> Command {
    Command::Fix(Box::new(command))
}

pub(super) fn enqueue(hand: &mut Hand, source: &str) {
    hand.pass(1);
    hand.ok(&command(FixCommand::Enqueue(asked(PR, news(source, FixType::ReviewFeedback)))));
}

fn by(generation: Option<u64>) -> By {
    By { actor: "operator".into(), agent: None, generation, claim: None }
}

fn mark(status: FixStatus, evidence: Evidence) -> Command {
    command(FixCommand::Mark { key: fix_key(PR), by: by(None), status, note: None, evidence })
}

fn requeue() -> Command {
    command(FixCommand::Requeue { key: fix_key(PR), by: by(None), lane: None, note: None })
}

#[track_caller]
pub(super) fn item(hand: &Hand) -> Fix {
    (**hand.world.fixes.get(&fix_key(PR)).expect("the item is there")).clone()
}

/// What the forge shows of the pull request at `head`.
pub(super) fn at_head(hand: &Hand, head: &str) -> SeenPull {
    SeenPull { head_sha: head.into(), updated_at: hand.now, ..seen_pull(PR, 1, PullState::Open, START) }
}

fn shown(hand: &Hand, head: &str) -> Evidence {
    Evidence::Pull(Box::new(at_head(hand, head)))
}

fn follow_up(name: &str, outcome: Outcome, evidence: Evidence, generation: Option<u64>) -> Command {
    let pr_fix_item = generation.map(|g| PrFixItem { id: fix_key(PR).id(), generation: Some(g) });
    let request = ReportRequest { task_type: TaskType::FollowupPr, pr_fix_item, ..report(outcome) };
    Command::Report(Box::new(Report { agent: agent(name), card: None, request, evidence }))
}

#[track_caller]
fn answered(hand: &mut Hand, command: &Command) -> ReportAnswer {
    match hand.ok(command) {
        Reply::Reported { answer, .. } => serde_json::from_str(&answer).expect("an answer"),
        other => panic!("a report is answered, not {other:?}"),
    }
}

/// Takes as `name`; the claim must be a follow-up's.
#[track_caller]
fn taken(hand: &mut Hand, name: &str) -> Claim {
    hand.pass(1);
    let claim = hand.take(name).expect("the item is handed out");
    assert_eq!(claim.kind, TaskType::FollowupPr);
    claim
}

#[test]
fn old_mistake_a_report_that_does_not_settle_its_item() {
    let outcomes = [
        (Outcome::PrUpdated, "fixed", FixStatus::Fixed),
        (Outcome::PrOpened, "fixed", FixStatus::Fixed),
        (Outcome::Blocked, "blocked", FixStatus::Blocked),
        (Outcome::Failed, "deferred", FixStatus::Queued),
        (Outcome::NoChangesNeeded, "blocked", FixStatus::Blocked),
        (Outcome::AlreadyAddressed, "blocked", FixStatus::Blocked),
        (Outcome::IssueClosed, "blocked", FixStatus::Blocked),
        (Outcome::IssueUpdated, "blocked", FixStatus::Blocked),
    ];
    for (outcome, action, status) in outcomes {
        // By the item's id and generation, and by the claim alone.
        for generation in [Some(1), None] {
            let mut hand = hand();
            enqueue(&mut hand, "a");
            taken(&mut hand, "kai");
            let moved = matches!(outcome, Outcome::PrUpdated | Outcome::PrOpened);
            let evidence = shown(&hand, if moved { "new" } else { "sha2" });
            let answer = answered(&mut hand, &follow_up("kai", outcome, evidence, generation));
            let resolution = answer.pr_fix_resolution;
            assert_eq!((resolution.matched, resolution.action.as_str()), (true, action), "{outcome:?}");
            assert_eq!(resolution.item_id, Some(fix_key(PR).id()));
            assert_eq!((item(&hand).status, item(&hand).claim), (status, None), "{outcome:?}");
            assert_eq!(hand.world.held_by(&agent("kai")).count(), 0, "the claim ends with the report");
            assert_eq!(hand.card(1).status, Status::InReview, "a follow-up moves no card");
        }
    }
}

#[test]
fn old_mistake_fixed_without_a_push() {
    let mut hand = hand();
    enqueue(&mut hand, "a");
    taken(&mut hand, "kai");
    let unmoved = shown(&hand, "sha2");
    let refused = hand.refused(&follow_up("kai", Outcome::PrUpdated, unmoved.clone(), Some(1)));
    assert!(matches!(&refused, Refusal::NotVerified(why) if why.contains("sha2")), "{refused}");
    assert!(item(&hand).claim.is_some(), "what is refused changes nothing");
    hand.ok(&mark(FixStatus::Fixed, unmoved));
    assert_eq!((item(&hand).status, item(&hand).generation), (FixStatus::Queued, 2));
    let moved = shown(&hand, "new");
    hand.ok(&mark(FixStatus::Fixed, moved));
    assert_eq!((item(&hand).status, item(&hand).generation), (FixStatus::Fixed, 2));
}

#[test]
fn fixed_while_the_forge_is_away_is_checked_later() {
    let mut hand = hand();
    enqueue(&mut hand, "a");
    taken(&mut hand, "kai");
    let away = Evidence::Unreachable("down".into());
    let answer = answered(&mut hand, &follow_up("kai", Outcome::PrUpdated, away, Some(1)));
    assert_eq!(answer.pr_fix_resolution.action, "fixed");
    assert_eq!(item(&hand).status, FixStatus::Fixed);
    hand.pass(1);
    hand.ok(&Command::Synced(Synced {
        repo: Some(repo()),
        read_at: Some(hand.now),
        cursor: Some(SyncCursor::default()),
        ..Synced::default()
    }));
    assert_eq!((item(&hand).status, item(&hand).generation), (FixStatus::Queued, 2), "nothing was pushed");
}

#[test]
fn old_mistake_a_merged_pull_request_handed_out_again() {
    for end in [PullState::Merged, PullState::Closed] {
        let mut hand = hand();
        enqueue(&mut hand, "a");
        let claim = taken(&mut hand, "kai");
        hand.pass(1);
        let over = seen_pull(PR, 1, end, hand.now);
        hand.sync(vec![], vec![SeenPull { updated_at: hand.now, ..over.clone() }]);
        assert_eq!(item(&hand).status, FixStatus::Stale);
        let mut late = follow_up("kai", Outcome::PrUpdated, Evidence::NotNeeded, None);
        if let Command::Report(report) = &mut late {
            report.request.claim_id = Some(claim.id);
        }
        assert!(matches!(hand.refused(&late), Refusal::Revoked(_)), "whoever works on it is told to stop");
        assert_eq!(hand.take("other"), None);
        enqueue(&mut hand, "late comment");
        assert_eq!(item(&hand).status, FixStatus::Stale, "stale stays");
        assert!(matches!(hand.refused(&requeue()), Refusal::Illegal(_)));
        hand.ok(&mark(FixStatus::Fixed, Evidence::Pull(Box::new(over))));
        assert_eq!((item(&hand).status, item(&hand).generation), (FixStatus::Stale, 1));
        assert_eq!(hand.take("other"), None);
    }
}

#[test]
fn old_mistake_an_endless_fix_loop() {
    let mut hand = hand();
    for round in 1..=5 {
        enqueue(&mut hand, &format!("round {round}"));
        assert_eq!((item(&hand).status, item(&hand).generation), (FixStatus::Queued, round));
        taken(&mut hand, "kai");
        let evidence = shown(&hand, &format!("push{round}"));
        answered(&mut hand, &follow_up("kai", Outcome::PrUpdated, evidence, None));
        assert_eq!(item(&hand).status, FixStatus::Fixed);
    }
    enqueue(&mut hand, "round 6");
    assert_eq!((item(&hand).status, item(&hand).attempts), (FixStatus::Blocked, 5));
    assert!(hand.card(1).flags.contains(&Flag::NeedsHuman), "a person is asked");
    assert_eq!(hand.take("kai"), None);
    enqueue(&mut hand, "round 7");
    assert_eq!(item(&hand).status, FixStatus::Blocked);
    hand.ok(&requeue());
    assert_eq!((item(&hand).status, item(&hand).attempts), (FixStatus::Queued, 0), "a person's word");
    assert!(!hand.card(1).flags.contains(&Flag::NeedsHuman));
    taken(&mut hand, "kai");
}

#[test]
fn attempts_that_fail_or_push_nothing_end_too() {
    let mut hand = hand();
    enqueue(&mut hand, "a");
    for round in 1..=4 {
        taken(&mut hand, &format!("agent-{round}"));
        let failed = follow_up(&format!("agent-{round}"), Outcome::Failed, Evidence::NotNeeded, Some(1));
        assert_eq!(answered(&mut hand, &failed).pr_fix_resolution.action, "deferred");
        assert_eq!((item(&hand).status, item(&hand).attempts), (FixStatus::Queued, round));
    }
    let unmoved = shown(&hand, "sha2");
    hand.ok(&mark(FixStatus::Fixed, unmoved));
    assert_eq!((item(&hand).status, item(&hand).attempts), (FixStatus::Blocked, 5));
}

#[test]
fn old_mistake_comment_churn_requeueing() {
    let mut hand = hand();
    enqueue(&mut hand, "comment 1");
    taken(&mut hand, "kai");
    let evidence = shown(&hand, "new");
    answered(&mut hand, &follow_up("kai", Outcome::PrUpdated, evidence, Some(1)));
    let settled = item(&hand);
    for _ in 0..3 {
        // Edited, delivered twice, found again by a sync: the same comment.
        enqueue(&mut hand, "comment 1");
        assert_eq!(item(&hand), settled, "known evidence changes nothing");
    }
    let mut outdated = asked(PR, news("check", FixType::CiFailure));
    outdated.news.head = Some("sha2".into());
    outdated.fresh = true;
    hand.ok(&command(FixCommand::Enqueue(outdated)));
    assert_eq!(item(&hand).status, FixStatus::Fixed, "a check of a commit that was pushed over");
    enqueue(&mut hand, "comment 2");
    assert_eq!((item(&hand).status, item(&hand).generation), (FixStatus::Queued, 2));
    for n in 3..10 {
        enqueue(&mut hand, &format!("comment {n}"));
    }
    assert_eq!((item(&hand).generation, item(&hand).attempts), (2, 1), "what waits already waits once");
    hand.ok(&mark(FixStatus::Ignored, Evidence::NotNeeded));
    enqueue(&mut hand, "comment 11");
    assert_eq!((item(&hand).status, item(&hand).generation), (FixStatus::Ignored, 2), "ignored stays");
}

#[test]
fn old_mistake_a_stale_generation_settling() {
    let mut hand = hand();
    enqueue(&mut hand, "a");
    let old = taken(&mut hand, "kai");
    // The operator settles it, and it comes back.
    hand.ok(&mark(FixStatus::Blocked, Evidence::NotNeeded));
    hand.ok(&requeue());
    assert_eq!((item(&hand).status, item(&hand).generation), (FixStatus::Queued, 2));
    let live = taken(&mut hand, "other");
    let before = item(&hand);
    let evidence = shown(&hand, "new");
    let mut fenced = follow_up("kai", Outcome::PrUpdated, evidence, Some(1));
    assert!(matches!(hand.refused(&fenced), Refusal::Held(_)), "somebody else holds the subject");
    if let Command::Report(report) = &mut fenced {
        report.request.claim_id = Some(old.id);
    }
    assert!(matches!(hand.refused(&fenced), Refusal::Stale(_)));
    let marked = FixCommand::Mark {
        key: fix_key(PR),
        by: by(Some(1)),
        status: FixStatus::Fixed,
        note: None,
        evidence: Evidence::NotNeeded,
    };
    assert!(matches!(hand.refused(&command(marked)), Refusal::Stale(_)));
    let ack = FixCommand::Ack { key: fix_key(PR), agent: agent("third"), generation: Some(1) };
    assert!(matches!(hand.refused(&command(ack)), Refusal::Stale(_)));
    assert_eq!(item(&hand), before);
    let evidence = shown(&hand, "new");
    let answer = answered(&mut hand, &follow_up("other", Outcome::PrUpdated, evidence, Some(1)));
    assert_eq!(answer.pr_fix_resolution.action, "skipped", "its own claim, but another generation");
    assert_eq!((item(&hand).status, item(&hand).claim), (FixStatus::Queued, Some(live.id)));
}

#[test]
fn a_report_that_names_no_generation_and_holds_nothing_is_skipped() {
    let mut hand = hand();
    enqueue(&mut hand, "a");
    let mut said = follow_up("kai", Outcome::PrUpdated, Evidence::NotNeeded, None);
    if let Command::Report(report) = &mut said {
        report.request.repo_full_name = Some("Local/Sample".into());
        report.request.pull_request_number = Some(PR);
    }
    let resolution = answered(&mut hand, &said).pr_fix_resolution;
    assert_eq!((resolution.matched, resolution.action.as_str()), (true, "skipped"));
    assert_eq!(item(&hand).status, FixStatus::Queued);
}

#[test]
fn old_mistake_evidence_lost_during_a_run() {
    let mut hand = hand();
    enqueue(&mut hand, "first");
    taken(&mut hand, "kai");
    enqueue(&mut hand, "second");
    let mut of_this_push = asked(PR, news("check of an older push", FixType::CiFailure));
    of_this_push.news.head = Some("between".into());
    hand.ok(&command(FixCommand::Enqueue(of_this_push)));
    assert_eq!(
        item(&hand).feedback,
        [FeedbackItem::text("look at first")],
        "the run keeps what it was given"
    );
    let evidence = shown(&hand, "new");
    let answer = answered(&mut hand, &follow_up("kai", Outcome::PrUpdated, evidence, Some(1)));
    assert_eq!(answer.pr_fix_resolution.action, "fixed");
    let after = item(&hand);
    assert_eq!((after.status, after.generation), (FixStatus::Queued, 2));
    assert_eq!(after.feedback, [FeedbackItem::text("look at second")], "and not what was pushed over");
    let next = taken(&mut hand, "kai");
    assert_eq!(next.head_seen.as_deref(), Some("new"));
    enqueue(&mut hand, "third");
    answered(&mut hand, &follow_up("kai", Outcome::Failed, Evidence::NotNeeded, Some(2)));
    assert!(item(&hand).feedback.contains(&FeedbackItem::text("look at third")), "kept also over a failure");
}

#[test]
fn evidence_while_a_person_is_asked_is_there_afterwards() {
    let mut hand = hand();
    enqueue(&mut hand, "a");
    hand.ok(&mark(FixStatus::Blocked, Evidence::NotNeeded));
    let found = Enqueue { automatic: true, ..asked(PR, news("b", FixType::ReviewFeedback)) };
    hand.ok(&command(FixCommand::Enqueue(found)));
    assert_eq!((item(&hand).status, item(&hand).generation), (FixStatus::Blocked, 1));
    hand.ok(&requeue());
    assert!(item(&hand).feedback.contains(&FeedbackItem::text("look at b")));
}

#[test]
fn old_mistake_one_re_handed_item_starving_a_lane() {
    let mut hand = hand();
    hand.sync(vec![seen(5, &["status/in-review"], START)], vec![seen_pull(6, 5, PullState::Open, START)]);
    enqueue(&mut hand, "a");
    hand.ok(&command(FixCommand::Enqueue(asked(6, news("b", FixType::Other)))));
    let first = taken(&mut hand, "kai");
    assert_eq!(first.fix.map(|h| h.pr), Some(PR), "review feedback before anything else");
    hand.pass(31 * 60);
    hand.ok(&Command::Tick { grace_until: None });
    assert_eq!((item(&hand).status, item(&hand).unanswered), (FixStatus::Queued, 1), "it returns");
    let second = taken(&mut hand, "kai");
    assert_eq!(second.fix.map(|h| h.pr), Some(6), "one generation is not handed twice to the same agent");
    for n in 2..=4 {
        taken(&mut hand, &format!("agent-{n}"));
        hand.pass(31 * 60);
        hand.ok(&Command::Tick { grace_until: None });
    }
    assert_eq!(item(&hand).status, FixStatus::Blocked, "three returns, then a person");
    assert_eq!(hand.card(1).status, Status::InReview, "a lost follow-up moves no card");
}

#[test]
fn old_mistake_a_blocked_pull_request_served_as_implement() {
    let mut hand = hand();
    enqueue(&mut hand, "a");
    hand.ok(&mark(FixStatus::Blocked, Evidence::NotNeeded));
    assert_eq!(
        view::item(&hand.world, &item(&hand)).map(|i| i.lane),
        Some(dispatch_shared::followup::FixLane::NeedsHuman)
    );
    assert!(hand.card(1).labels.contains(&"needs-human".to_owned()));
    hand.drain_outbox();
    // Somebody, or an older system, makes the card ready and takes the flag away.
    hand.sync(vec![seen(1, &["status/ready"], hand.now)], vec![]);
    assert_eq!((hand.card(1).status, hand.card(1).flags.len()), (Status::Ready, 0));
    assert_eq!(hand.take("kai"), None);
    let why = crate::core::rank::why(&hand.world, &hand.card(1), hand.now);
    assert!(why.iter().any(|r| !r.holds && r.rule.contains("repair")), "and it says why");
    hand.ok(&mark(FixStatus::Ignored, Evidence::NotNeeded));
    assert_eq!(hand.take("kai").map(|c| c.kind), Some(TaskType::Implement), "once it is settled it is free");
}

#[test]
fn items_come_before_issues_most_urgent_first() {
    let mut hand = hand();
    let pulls = (10..14).map(|n| seen_pull(n, n + 10, PullState::Open, START)).collect();
    hand.sync(vec![seen(9, &["status/ready", "priority/p0"], START)], pulls);
    let kinds = [
        (10, FixType::Other),
        (11, FixType::CiFailure),
        (12, FixType::MergeConflict),
        (13, FixType::CiFailure),
    ];
    for (pr, kind) in kinds {
        hand.pass(1);
        hand.ok(&command(FixCommand::Enqueue(asked(pr, news(&format!("{pr}"), kind)))));
    }
    let mut order = Vec::new();
    for n in 0..5 {
        let claim = hand.take(&format!("agent-{n}")).expect("work");
        order.push(claim.fix.map_or(claim.card.number, |h| h.pr));
    }
    assert_eq!(order, [12, 11, 13, 10, 9]);
    assert_eq!(hand.world.held(&fix_key(12).subject()).map(|c| c.agent.clone()), Some(agent("agent-0")));
}

#[test]
fn one_subject_has_one_claim() {
    let mut hand = hand();
    enqueue(&mut hand, "a");
    let claim = taken(&mut hand, "kai");
    assert_eq!(claim.card, key(1), "the linked card is the subject");
    let taken_over =
        Command::Claim { card: key(1), agent: agent("other"), force: false, actor: "other".into() };
    assert!(matches!(hand.refused(&taken_over), Refusal::Held(_)));
    hand.ok(&Command::Renew { agent: agent("kai"), claim: Some(claim.id), checkpoint: None });
    hand.ok(&Command::Unclaim {
        card: key(1),
        agent: Some(agent("kai")),
        claim: Some(claim.id),
        actor: "kai".into(),
    });
    assert_eq!((item(&hand).claim, item(&hand).unanswered), (None, 0), "given back is not unanswered");
    assert_eq!(hand.card(1).status, Status::InReview);
    let mut taken_again = Hand::take_command("other");
    let Reply::Claimed { claim: first, .. } = hand.ok(&Command::Take(taken_again.clone())) else {
        panic!("work")
    };
    taken_again.resume = true;
    let Reply::Claimed { claim: resumed, .. } = hand.ok(&Command::Take(taken_again)) else {
        panic!("its own work")
    };
    assert_ne!(first, resumed);
    assert_eq!((item(&hand).claim, item(&hand).generation), (Some(resumed), 1));
}

#[test]
fn who_enqueues_to_a_person_blocks_and_forks_are_left_alone() {
    let mut hand = hand();
    let mut ask = asked(PR, news("a", FixType::Other));
    ask.lane = Some("needs-human".into());
    hand.ok(&command(FixCommand::Enqueue(ask)));
    assert_eq!(item(&hand).status, FixStatus::Blocked);
    let fork = SeenPull { from_fork: true, ..seen_pull(8, 7, PullState::Open, START) };
    hand.sync(vec![], vec![fork]);
    let refused = hand.refused(&command(FixCommand::Enqueue(asked(8, news("b", FixType::Other)))));
    assert!(matches!(refused, Refusal::Illegal(_)));
    let found = Enqueue { automatic: true, ..asked(8, news("b", FixType::Other)) };
    hand.ok(&command(FixCommand::Enqueue(found)));
    assert!(hand.world.fixes.get(&fix_key(8)).is_none());
}

#[test]
fn lanes_are_tiers_and_ids() {
    let mut hand = hand();
    let mut ask = asked(PR, news("a", FixType::Other));
    ask.lane = Some("escalated".into());
    hand.ok(&command(FixCommand::Enqueue(ask)));
    assert_eq!(pick::lane_of(&hand.world, &item(&hand)), "frontier");
    let ask = |text: &str| {
        pick::in_lane(&hand.world, &item(&hand), &pick::read_lane(&hand.world.policy, text).unwrap())
    };
    assert!(ask("ESCALATED") && ask("frontier") && ask("gpt"));
    assert!(!ask("normal") && !ask("local") && !ask("needs_human"));
    assert!(pick::read_lane(&hand.world.policy, "nowhere").is_err());
    assert_eq!(pick::next(&hand.world, &agent("kai"), Some("local")), None);
    assert_eq!(pick::next(&hand.world, &agent("kai"), Some("frontier")), Some(fix_key(PR)));
    let mut nowhere = asked(PR, news("b", FixType::Other));
    nowhere.lane = Some("backlog".into());
    assert!(matches!(hand.refused(&command(FixCommand::Enqueue(nowhere))), Refusal::Invalid(_)));
}

#[test]
fn what_is_shown_is_bounded() {
    let mut hand = hand();
    for n in 0..50 {
        enqueue(&mut hand, &format!("{n:02}"));
    }
    enqueue(&mut hand, "00");
    let shown = view::item(&hand.world, &item(&hand)).expect("an item");
    assert_eq!((shown.feedback.len(), shown.evidence_keys.len()), (12, 40));
    assert_eq!(shown.feedback.last().map(String::as_str), Some("look at 49"));
    assert_eq!(item(&hand).generation, 1);
}

#[test]
fn the_task_carries_the_feedback() {
    let mut hand = hand();
    let mut ask = asked(PR, news("a", FixType::ReviewFeedback));
    ask.news.feedback = vec![FeedbackItem {
        author: Some("ada".into()),
        path: Some("src/a.rs".into()),
        line: Some(7),
        text: "Why?".into(),
    }];
    hand.ok(&command(FixCommand::Enqueue(ask)));
    let claim = taken(&mut hand, "kai");
    let task = task::followup(&hand.world, &agent("kai"), &item(&hand), "", Some(&claim)).expect("a task");
    let wire = serde_json::to_value(&task).expect("JSON");
    assert_eq!((&wire["type"], &wire["shouldRun"]), (&"followup-pr".into(), &true.into()));
    assert_eq!(
        wire["pullRequest"],
        serde_json::json!({"repoFullName": "local/sample", "number": 2, "url": "https://forge/pull/2"})
    );
    assert_eq!(wire["prFixItem"], serde_json::json!({"id": "fix-lo1-2", "generation": 1}));
    assert_eq!(wire["reasons"], serde_json::json!(["because of a"]));
    assert_eq!(
        wire["feedbackItems"][0],
        serde_json::json!({"author": "ada", "path": "src/a.rs", "line": 7, "text": "Why?"})
    );
    assert_eq!(
        (&wire["headSha"], &wire["branch"], &wire["issue"]["number"]),
        (&"sha2".into(), &"fix/issue-1-x".into(), &1.into())
    );
    assert_eq!(
        wire["forbids"],
        serde_json::json!(["merge_pull_request", "open_pull_request", "claim_another"])
    );
}

#[test]
fn a_delivery_counts_once() {
    let mut hand = hand();
    let deliver = |source: &str| {
        let found = Enqueue { automatic: true, ..asked(PR, news(source, FixType::ReviewFeedback)) };
        command(FixCommand::Deliver { id: "d-1".into(), news: vec![found] })
    };
    assert_eq!(hand.ok(&deliver("a")), Reply::Done);
    let once = item(&hand);
    assert_eq!(hand.ok(&deliver("b")), Reply::Repeated);
    assert_eq!(item(&hand), once);
}

#[test]
fn work_that_is_a_follow_up_is_finished_like_any_other() {
    use crate::core::work::{Which, Work};
    use dispatch_shared::claim::WorkState;
    let finish = |claim: &Claim, state, evidence| {
        let of = Which { agent: claim.agent.clone(), claim: Some(claim.id), card: None };
        Command::Work(Box::new(Work::Finish { of, state, summary: Some("as told".into()), evidence }))
    };
    for (state, head, status) in [
        (WorkState::Done, Some("moved"), FixStatus::Fixed),
        (WorkState::Done, None, FixStatus::Blocked),
        (WorkState::Blocked, None, FixStatus::Blocked),
        (WorkState::Released, None, FixStatus::Queued),
    ] {
        let mut hand = hand();
        enqueue(&mut hand, "a");
        let claim = taken(&mut hand, "kai");
        let unmoved = format!("sha{PR}");
        let evidence = shown(&hand, head.unwrap_or(&unmoved));
        hand.ok(&finish(&claim, state, evidence));
        assert_eq!(item(&hand).status, status, "{state:?} at {head:?}");
        assert!(hand.world.held(&key(1)).is_none(), "{state:?}: the claim has ended");
        assert_eq!(hand.card(1).status, Status::InReview, "a follow-up moves no card");
    }
}
