//! A random history against a reference model that knows only who holds what.
//!
//! After each step the invariants are checked by the hand; the model checks beyond them that exactly the claims that were
//! handed out and not ended are held, that attempts only grow, that a stale attempt changes nothing, and that a crash
//! (everything but the rows is thrown away, and the rows are read back in any order of tables) loses nothing.

use std::collections::BTreeMap;

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::{ClaimId, RunId};
use dispatch_shared::issue::Status;
use dispatch_shared::run::{EndClass, RunState, RuntimeKind, Usage};
use dispatch_shared::task::Outcome;
use proptest::prelude::*;

use super::fixture::{Hand, START, agent, key, repo, report, seen};
use crate::core::change::Change;
use crate::core::command::{Command, Evidence, Reply, Report, RunEnd, RunStep, Take};
use crate::core::record::Claim;
use crate::core::world::World;

#[derive(Clone, Debug)]
enum Step {
    Sync { issue: u64, label: usize, closed: bool },
    Take { agent: u8, runner: bool },
    Renew { nth: usize },
    Report { nth: usize, outcome: usize },
    Stale { nth: usize },
    Start { nth: usize },
    Exit { nth: usize, class: usize },
    Kill { nth: usize },
    Retry { nth: usize },
    Move { issue: u64, to: usize },
    Release { issue: u64 },
    Pass { minutes: u64 },
    Outbox,
    Crash,
}

const ISSUES: u64 = 4;
const LABELS: [&str; 5] =
    ["status/backlog", "status/ready", "status/in-progress", "status/in-review", "needs-human"];
const OUTCOMES: [Outcome; 4] =
    [Outcome::Failed, Outcome::Blocked, Outcome::NoChangesNeeded, Outcome::IssueClosed];
const CLASSES: [EndClass; 6] = [
    EndClass::Failed,
    EndClass::Blocked,
    EndClass::Killed,
    EndClass::NoChanges,
    EndClass::Network,
    EndClass::Revoked,
];

fn step() -> impl Strategy<Value = Step> {
    let n = 0..8usize;
    prop_oneof![
        3 => (1..=ISSUES, 0..LABELS.len(), prop::bool::weighted(0.1))
            .prop_map(|(issue, label, closed)| Step::Sync { issue, label, closed }),
        4 => (0..3u8, any::<bool>()).prop_map(|(agent, runner)| Step::Take { agent, runner }),
        1 => n.clone().prop_map(|nth| Step::Renew { nth }),
        2 => (n.clone(), 0..OUTCOMES.len()).prop_map(|(nth, outcome)| Step::Report { nth, outcome }),
        1 => n.clone().prop_map(|nth| Step::Stale { nth }),
        2 => n.clone().prop_map(|nth| Step::Start { nth }),
        2 => (n.clone(), 0..CLASSES.len()).prop_map(|(nth, class)| Step::Exit { nth, class }),
        1 => n.clone().prop_map(|nth| Step::Kill { nth }),
        1 => n.prop_map(|nth| Step::Retry { nth }),
        2 => (1..=ISSUES, 0..5usize).prop_map(|(issue, to)| Step::Move { issue, to }),
        1 => (1..=ISSUES).prop_map(|issue| Step::Release { issue }),
        2 => (1..50u64).prop_map(|minutes| Step::Pass { minutes }),
        2 => Just(Step::Outbox),
        1 => Just(Step::Crash),
    ]
}

/// What the model knows: every claim ever handed out, and the highest attempt of each issue.
#[derive(Default)]
struct Model {
    claims: Vec<Claim>,
    runs: Vec<(RunId, Attempt)>,
    highest: BTreeMap<u64, Attempt>,
}

impl Model {
    fn handed_out(&mut self, hand: &Hand, id: ClaimId) {
        let claim = (**hand.world.claims.get(&id).expect("a claim that was acknowledged is there")).clone();
        let before = self.highest.insert(claim.card.number, claim.attempt);
        assert!(before.is_none_or(|b| b < claim.attempt), "attempts only grow");
        assert!(self.claims.iter().all(|c| c.id != id), "an id is given once");
        self.claims.push(claim);
    }

    fn pick<T>(list: &[T], nth: usize) -> Option<&T> {
        if list.is_empty() { None } else { list.get(list.len().saturating_sub(1 + nth % list.len())) }
    }
}

fn play(hand: &mut Hand, model: &mut Model, step: &Step) {
    match step {
        Step::Sync { issue, label, closed } => {
            let mut issue = seen(*issue, &[LABELS[*label]], hand.now);
            if *closed {
                issue.state = dispatch_shared::issue::IssueState::Closed;
            }
            hand.sync(vec![issue], vec![]);
        }
        Step::Take { agent: n, runner } => {
            let name = if *runner { "dispatch".to_owned() } else { format!("a{n}") };
            let slots = if *runner { 3 } else { 1 };
            let take = Take { runner: *runner, slots, ..Hand::take_command(&name) };
            if let Reply::Claimed { claim, run, repeated: false } = hand.ok(&Command::Take(take)) {
                model.handed_out(hand, claim);
                if let Some(run) = run {
                    model.runs.push((run, hand.world.claims.get(&claim).expect("just made").attempt));
                }
            }
        }
        Step::Renew { nth } => {
            if let Some(claim) = Model::pick(&model.claims, *nth).cloned() {
                let renewed = hand.submit(&Command::Renew {
                    agent: claim.agent.clone(),
                    claim: Some(claim.id),
                    checkpoint: None,
                });
                let held = hand.world.held(&claim.card).is_some_and(|c| c.id == claim.id);
                assert_eq!(renewed.is_ok(), held, "only the live claim is renewed");
            }
        }
        Step::Report { nth, outcome } => {
            if let Some(claim) = Model::pick(&model.claims, *nth).cloned() {
                let live = hand.world.held(&claim.card).is_some_and(|c| c.id == claim.id);
                let mut request = report(OUTCOMES[*outcome]);
                request.claim_id = Some(claim.id);
                let command = Command::Report(Box::new(Report {
                    agent: claim.agent.clone(),
                    card: Some(claim.card.clone()),
                    request,
                    evidence: Evidence::NotNeeded,
                }));
                let runs = claim.run.is_some();
                if !runs {
                    assert_eq!(hand.submit(&command).is_ok(), live, "a stale claim cannot report");
                }
            }
        }
        Step::Stale { nth } => {
            if let Some((run, attempt)) = Model::pick(&model.runs, *nth).copied() {
                let before = hand.world.clone();
                let stale = Command::Run { run, attempt: Attempt(attempt.0 + 1), step: RunStep::Publishing };
                hand.refused(&stale);
                assert_eq!(hand.world.meta, before.meta, "a stale attempt changes nothing");
                assert_eq!(hand.world.runs, before.runs, "a stale attempt changes nothing");
            }
        }
        Step::Start { nth } => {
            if let Some((run, attempt)) = Model::pick(&model.runs, *nth).copied() {
                let live = hand.world.runs.get(&run).is_some_and(|r| r.state.is_live());
                let step = RunStep::Started { runtime: RuntimeKind::Host, container: "x".into() };
                assert_eq!(hand.submit(&Command::Run { run, attempt, step }).is_ok(), live, "done is done");
            }
        }
        Step::Exit { nth, class } => {
            if let Some((run, attempt)) = Model::pick(&model.runs, *nth).copied() {
                let record = hand.world.runs.get(&run).cloned().expect("runs are kept");
                let held = hand.world.held(&record.card).is_some_and(|c| Some(c.id) == record.claim);
                let class = if held { CLASSES[*class] } else { EndClass::Revoked };
                let before = hand.card(record.card.number).status;
                let end = RunEnd {
                    class,
                    reason: None,
                    exit_code: None,
                    question: None,
                    usage: Usage::default(),
                    retry_at: None,
                    session: None,
                    checked: None,
                    pull: None,
                };
                let ended = hand.submit(&Command::Run { run, attempt, step: RunStep::Ended(Box::new(end)) });
                assert_eq!(ended.is_ok(), record.state.is_live(), "a run ends once");
                if !held {
                    assert_eq!(
                        hand.card(record.card.number).status,
                        before,
                        "a run without its claim moves nothing"
                    );
                }
            }
        }
        Step::Kill { nth } => {
            if let Some((run, _)) = Model::pick(&model.runs, *nth).copied() {
                let state = hand.world.runs.get(&run).map(|r| r.state);
                let fine = state.is_some_and(|s| s.is_live() || s == RunState::Ended(EndClass::Killed));
                let kill = Command::Kill { run, attempt: None, now: false, actor: "op".into() };
                assert_eq!(hand.submit(&kill).is_ok(), fine, "a repeat is fine, ending what is over is not");
            }
        }
        Step::Retry { nth } => {
            if let Some((run, _)) = Model::pick(&model.runs, *nth).copied() {
                drop(hand.submit(&Command::Retry { run, actor: "op".into() }));
            }
        }
        Step::Move { issue, to } => {
            let command =
                Command::Move { card: key(*issue), to: Status::ALL[*to], claim: None, actor: "op".into() };
            drop(hand.submit(&command));
        }
        Step::Release { issue } => {
            let command =
                Command::Unclaim { card: key(*issue), agent: None, claim: None, actor: "op".into() };
            drop(hand.submit(&command));
        }
        Step::Pass { minutes } => {
            hand.pass(minutes * 60);
            hand.ok(&Command::Tick { grace_until: None });
        }
        Step::Outbox => hand.drain_outbox(),
        Step::Crash => crash(hand),
    }
}

/// Throws away everything but the rows, and reads them back.
fn crash(hand: &mut Hand) {
    let old = hand.world.clone();
    let mut rows: Vec<Change> = vec![Change::Meta(old.meta.clone())];
    rows.extend(old.repos.values().map(|r| Change::Repo((**r).clone())));
    rows.extend(old.cards.values().map(|c| Change::Card(Box::new((**c).clone()))));
    rows.extend(old.pulls.values().map(|p| Change::Pull((**p).clone())));
    rows.extend(old.claims.values().map(|c| Change::Claim((**c).clone())));
    rows.extend(old.runs.values().map(|r| Change::Run(Box::new((**r).clone()))));
    rows.extend(old.intents.values().map(|i| Change::Intent((**i).clone())));
    rows.extend(old.reports.values().map(|r| Change::Report((**r).clone())));
    let mut world = World::default();
    for row in &rows {
        world.apply(row);
    }
    let ready = |w: &World| w.ready().map(|(b, s)| (b.clone(), s.clone())).collect::<Vec<_>>();
    assert_eq!(ready(&world), ready(&old), "the index is rebuilt as it was");
    assert_eq!(world.leases().collect::<Vec<_>>(), old.leases().collect::<Vec<_>>());
    hand.world = world;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_what_was_promised(steps in prop::collection::vec(step(), 1..80)) {
        let mut hand = Hand::new();
        let mut model = Model::default();
        let issues = (1..=ISSUES).map(|n| seen(n, &["status/ready"], START)).collect();
        hand.sync(issues, vec![]);
        for step in &steps {
            play(&mut hand, &mut model, step);
            for claim in &model.claims {
                let highest = model.highest[&claim.card.number];
                if let Some(held) = hand.world.held(&claim.card) {
                    prop_assert_eq!(held.attempt, highest, "only the newest claim of a subject can be live");
                }
            }
            prop_assert!(hand.world.is_tracked(&repo()));
        }
        prop_assert!(model.claims.iter().all(|c| c.agent == agent("dispatch") || c.run.is_none()));
    }
}
