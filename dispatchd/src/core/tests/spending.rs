//! Budgets, pacing and pools: by example, and by a random day against a count on paper.

use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::event::What;
use dispatch_shared::protocol::control::ProblemKind;
use dispatch_shared::run::{EndClass, RuntimeKind, Usage};
use proptest::prelude::*;

use super::fixture::{Hand, START, seen};
use crate::core::budget::{self, Budgets, Limit};
use crate::core::change::Change;
use crate::core::command::{Command, Reply, RunEnd, RunStep, Take};
use crate::core::pace::Pace;
use crate::core::policy::Policy;
use crate::core::reactor::decide;
use crate::core::record::Run;
use crate::core::world::World;
use crate::core::{gate, pool, problem, rank, view};
use dispatch_shared::id::RunId;

fn usd(dollars: u64) -> Limit {
    Limit { micros: Some(dollars * 1_000_000), tokens: None }
}

fn cost(dollars: f64) -> Usage {
    Usage { input_tokens: 1_000, output_tokens: 10, cost_usd: Some(dollars), ..Usage::default() }
}

fn hand(policy: Policy) -> Hand {
    let mut hand = Hand::new();
    hand.world.set_policy(Arc::new(Policy { runner_slots: 50, ..policy }));
    hand.sync((1..=40).map(|n| seen(n, &["status/ready"], START)).collect(), Vec::new());
    hand
}

fn budgets(budgets: Budgets) -> Policy {
    Policy { budgets, ..Policy::default() }
}

impl Hand {
    fn begin(&mut self) -> Option<RunId> {
        let take = Take { runner: true, slots: 50, ..Self::take_command("dispatch") };
        match self.ok(&Command::Take(take)) {
            Reply::Claimed { run, .. } => run,
            Reply::Idle => None,
            other => panic!("{other:?}"),
        }
    }

    fn of(&self, id: RunId) -> Run {
        (**self.world.runs.get(&id).expect("the run is there")).clone()
    }

    fn tell(&mut self, id: RunId, step: RunStep) {
        let attempt = self.of(id).attempt;
        self.ok(&Command::Run { run: id, attempt, step });
    }

    fn uses(&mut self, id: RunId, usage: Usage) {
        self.tell(id, RunStep::Output { last_event: "works".into(), usage });
    }

    fn starts(&mut self, id: RunId) {
        self.tell(id, RunStep::Preparing);
        self.tell(id, RunStep::Started { runtime: RuntimeKind::Host, container: "pid 1".into() });
    }

    fn ends(&mut self, id: RunId, class: EndClass, usage: Usage, retry_at: Option<Timestamp>) {
        let end = RunEnd {
            class,
            reason: Some("as told".into()),
            exit_code: Some(1),
            question: None,
            usage,
            retry_at,
            session: None,
            checked: None,
            pull: None,
        };
        self.tell(id, RunStep::Ended(Box::new(end)));
    }

    fn fails(&mut self, class: EndClass, after: u64) -> Option<RunId> {
        let id = self.begin()?;
        self.starts(id);
        self.pass(after);
        self.ends(id, class, Usage::default(), None);
        Some(id)
    }

    fn budget_problems(&self) -> Vec<String> {
        let all = problem::problems(&self.world, self.now);
        all.into_iter().filter(|p| p.kind == ProblemKind::Budget).map(|p| p.subject).collect()
    }

    /// What a start reads back: the rows, and nothing else.
    fn restarted(&self) -> World {
        let mut world = World::default();
        world.set_policy(self.world.policy.clone());
        for repo in self.world.repos.values() {
            world.apply(&Change::Repo((**repo).clone()));
        }
        for card in self.world.cards.values() {
            world.apply(&Change::Card(Box::new((**card).clone())));
        }
        for run in self.world.runs.values() {
            let bytes = rmp_serde::to_vec_named(&**run).expect("a run is written");
            world.apply(&Change::Run(Box::new(rmp_serde::from_slice(&bytes).expect("and read"))));
        }
        let bytes = rmp_serde::to_vec_named(&self.world.meta).expect("the facts are written");
        world.apply(&Change::Meta(rmp_serde::from_slice(&bytes).expect("and read")));
        world
    }
}

#[test]
fn a_day_that_is_spent_starts_nothing_until_it_turns() {
    let mut hand = hand(budgets(Budgets { day: usd(10), ..Budgets::default() }));
    let one = hand.begin().expect("there is work");
    hand.starts(one);
    hand.uses(one, cost(7.9));
    assert!(hand.budget_problems().is_empty());
    hand.uses(one, cost(8.0));
    assert_eq!(hand.budget_problems(), ["day"], "a warning at 80 %");
    assert_eq!(hand.world.meta.alarms.len(), 1);
    let two = hand.begin().expect("and work goes on");
    hand.starts(two);
    hand.uses(two, cost(2.0));
    let until = hand.world.policy.budgets.zone.next_day(hand.now);
    assert_eq!(hand.begin(), None, "the day is spent");
    let ends = |hand: &Hand, id| budget::ends(&hand.world, hand.now, &hand.of(id)).is_some();
    assert!(ends(&hand, one) && ends(&hand, two), "and what runs is to end");
    let closed = gate::closed(&hand.world, hand.now, "claude").expect("closed");
    assert_eq!(closed.until, until);
    assert!(closed.why.contains("$10.00 of $10.00"), "{}", closed.why);
    let why = rank::why_for(&hand.world, &hand.card(5), hand.now, &super::fixture::agent("dispatch"));
    assert!(why.iter().any(|rule| !rule.holds && rule.why.contains("budget of the day")), "{why:?}");
    let idle = crate::core::contract::idle(
        &hand.world,
        hand.now,
        &super::fixture::agent("dispatch"),
        dispatch_shared::task::TaskType::Implement,
    );
    assert!(idle.reason.is_some_and(|r| r.contains("budget of the day")));
    let control = view::control(&hand.world, hand.now, Default::default(), String::new());
    assert_eq!((control.budgets[0].percent, control.budgets[0].left_usd), (100, Some(0.0)));
    assert_eq!((control.waits[0].program.as_str(), control.cost_today_usd), ("claude", 10.0));
    // Somebody else's money is not ours to count.
    assert!(hand.take("outsider").is_some());
    // The runs that it ended go on when the day turns, and it is no fault of theirs.
    hand.ends(one, EndClass::Budget, cost(8.0), Some(until));
    let card = hand.card(hand.of(one).card.number);
    assert_eq!((card.not_before, card.failures), (Some(until), 0));
    assert_eq!(
        gate::all(&hand.restarted(), hand.now),
        gate::all(&hand.world, hand.now),
        "a restart forgets nothing"
    );
    hand.now = until;
    assert!(hand.world.next_due().is_some_and(|due| due <= until), "somebody is woken then");
    hand.ok(&Command::Tick { grace_until: None });
    assert!(hand.world.meta.alarms.is_empty() && hand.budget_problems().is_empty());
    assert!(hand.begin().is_some());
}

#[test]
fn what_a_run_uses_after_midnight_is_the_next_days() {
    let mut hand = hand(budgets(Budgets { day: usd(10), ..Budgets::default() }));
    let run = hand.begin().expect("there is work");
    hand.starts(run);
    hand.uses(run, cost(9.0));
    hand.now = hand.world.policy.budgets.zone.next_day(hand.now) + Duration::from_secs(60);
    hand.uses(run, cost(12.0));
    let today = budget::spent(&hand.world, hand.now, |_| true);
    assert_eq!((today.micros(), today.usage.input_tokens), (3_000_000, 0));
    assert!(budget::exhausted(&hand.world, hand.now, "claude").is_none());
    assert_eq!(hand.of(run).usage, cost(12.0));
}

#[test]
fn a_day_turns_at_the_operators_midnight() {
    let zone: dispatch_shared::time::Zone = "Asia/Tokyo".parse().expect("a zone");
    let mut hand = hand(budgets(Budgets { zone: zone.clone(), day: usd(1), ..Budgets::default() }));
    let run = hand.begin().expect("there is work");
    hand.uses(run, cost(1.0));
    let closed = gate::closed(&hand.world, hand.now, "claude").expect("closed");
    assert_eq!(closed.until, zone.next_day(hand.now));
    assert_eq!(closed.until.0.rem_euclid(86_400_000), 15 * 3_600_000, "midnight there is 15:00 UTC");
}

#[test]
fn a_program_that_is_spent_leaves_the_others() {
    let mut policy = budgets(Budgets { programs: [("claude".into(), usd(5))].into(), ..Budgets::default() });
    policy.lane_programs = [("frontier".to_owned(), "codex".to_owned())].into();
    policy.default_program = "claude:opus".into();
    let mut hand = hand(policy);
    hand.sync(vec![seen(50, &["status/ready", "lane/frontier"], START)], Vec::new());
    let run = hand.begin().expect("there is work");
    hand.uses(run, cost(5.0));
    let next = hand.begin().expect("codex has money");
    assert_eq!((hand.of(next).program.as_str(), hand.of(next).lane.as_deref()), ("codex", Some("frontier")));
    assert_eq!(hand.begin(), None);
    assert!(budget::ends(&hand.world, hand.now, &hand.of(next)).is_none());
}

#[test]
fn a_run_has_a_budget_of_its_own_in_tokens_too() {
    let limit = Limit { micros: None, tokens: Some(2_000) };
    let mut hand = hand(budgets(Budgets { run: limit, ..Budgets::default() }));
    let run = hand.begin().expect("there is work");
    let tokens = |n| Usage { input_tokens: n, ..Usage::default() };
    hand.uses(run, tokens(1_599));
    assert!(hand.budget_problems().is_empty());
    let step = RunStep::Output { last_event: "x".into(), usage: tokens(1_600) };
    let attempt = hand.of(run).attempt;
    let decided =
        decide(&hand.world, hand.now, &Command::Run { run, attempt, step: step.clone() }).expect("taken");
    let warned = |c: &Change| matches!(c, Change::Audit(row) if row.action == "budget_warning");
    let told = |c: &Change| matches!(c, Change::Event(e) if e.what == What::Control);
    assert!(decided.changes.iter().any(warned) && decided.changes.iter().any(told));
    hand.tell(run, step);
    assert_eq!(hand.budget_problems(), ["run r-1"]);
    assert!(budget::ends(&hand.world, hand.now, &hand.of(run)).is_none());
    hand.uses(run, tokens(2_000));
    assert!(budget::ends(&hand.world, hand.now, &hand.of(run)).is_some());
    hand.ends(run, EndClass::Budget, tokens(2_000), None);
    let card = hand.card(hand.of(run).card.number);
    assert!(card.not_before.is_none() && !card.flags.is_empty(), "a person decides whether it gets more");
}

#[test]
fn tokens_without_a_price_are_said_not_hidden() {
    let mut hand = hand(budgets(Budgets { day: usd(1), ..Budgets::default() }));
    let run = hand.begin().expect("there is work");
    hand.uses(run, Usage { input_tokens: 5_000_000, ..Usage::default() });
    let states = budget::states(&hand.world, hand.now);
    assert_eq!((states[0].percent(), states[0].spent.unpriced), (0, 1));
    assert!(states[0].words().contains("1 runs of unknown price"), "{}", states[0].words());
}

#[test]
fn three_quick_failures_pause_a_pool_for_half_an_hour() {
    for class in [EndClass::Auth, EndClass::Quota, EndClass::Network, EndClass::Crashed] {
        let mut hand = hand(Policy::default());
        for _ in 0..3 {
            assert!(gate::all(&hand.world, hand.now).is_empty(), "{class}");
            hand.fails(class, 59).expect("there is work");
        }
        let paused = pool::pause(&hand.world, hand.now, "claude:opus").expect("paused");
        assert_eq!(paused.until, hand.now + pool::PAUSE);
        assert_eq!(hand.begin(), None);
        let problems = problem::problems(&hand.world, hand.now);
        let pools: Vec<_> = problems.iter().filter(|p| p.kind == ProblemKind::Pool).collect();
        assert_eq!((pools.len(), pools[0].action.as_str()), (1, "resume"));
        assert_eq!(gate::all(&hand.restarted(), hand.now), gate::all(&hand.world, hand.now));
        let mut resumed = Hand { world: hand.world.clone(), now: hand.now };
        resumed.ok(&Command::ResumePool { program: "claude".into(), actor: "me".into() });
        assert!(resumed.fails(class, 1).is_some() && gate::all(&resumed.world, resumed.now).is_empty());
        assert_eq!(hand.world.next_due().map(|at| at <= paused_until(&hand)), Some(true));
        hand.now = paused_until(&hand);
        hand.ok(&Command::Tick { grace_until: None });
        assert!(hand.world.meta.pools.is_empty() && hand.begin().is_some());
    }
}

fn paused_until(hand: &Hand) -> Timestamp {
    hand.world.meta.pools[0].paused.as_ref().expect("paused").until
}

#[test]
fn what_says_nothing_of_the_program_pauses_nothing() {
    let classes = [
        (EndClass::Failed, 1),
        (EndClass::VerifyFailed, 1),
        (EndClass::RateLimited, 1),
        (EndClass::Turns, 1),
        (EndClass::Auth, 60),
        (EndClass::Crashed, 3_000),
        (EndClass::NoChanges, 1),
    ];
    for (class, after) in classes {
        let mut hand = hand(Policy::default());
        hand.fails(EndClass::Auth, 1);
        hand.fails(EndClass::Auth, 1);
        hand.fails(class, after).expect("there is work");
        hand.fails(EndClass::Auth, 1);
        hand.fails(EndClass::Auth, 1).expect("two in a row are not three");
        assert!(gate::all(&hand.world, hand.now).is_empty(), "{class} after {after} s");
    }
    // Somebody's kill neither counts nor clears.
    let mut hand = hand(Policy::default());
    for class in [EndClass::Auth, EndClass::Killed, EndClass::Auth, EndClass::Killed, EndClass::Auth] {
        hand.fails(class, 1).expect("there is work");
    }
    assert!(!gate::all(&hand.world, hand.now).is_empty());
}

#[test]
fn a_model_that_asks_to_wait_is_heard() {
    let mut hand = hand(Policy::default());
    let run = hand.begin().expect("there is work");
    hand.starts(run);
    let until = hand.now + Duration::from_secs(7_500);
    hand.ends(run, EndClass::Quota, Usage::default(), Some(until));
    assert_eq!(hand.card(hand.of(run).card.number).not_before, Some(until));
    assert_eq!(gate::closed(&hand.world, hand.now, "claude").map(|c| c.until), Some(until));
    assert_eq!(gate::opens_at(&hand.world, hand.now), Some(until));
    assert_eq!(hand.begin(), None, "the whole account waits");
}

#[test]
fn a_run_by_hand_waits_as_well() {
    let mut hand = hand(budgets(Budgets { day: usd(1), ..Budgets::default() }));
    let run = hand.begin().expect("there is work");
    hand.uses(run, cost(1.0));
    let waiting = Run { waiting: true, began_at: None, id: RunId(99), ..hand.of(run) };
    let why = crate::core::dispatch::waits_for(&hand.world, hand.now, &waiting);
    assert!(why.is_some_and(|w| w.contains("budget of the day")));
}

#[test]
fn starts_keep_their_distance() {
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let pace = Pace {
        reset: 6 * 60,
        daily_limit: 3,
        min_delay: minutes(1),
        sustained_delay: minutes(60),
        burst_window: minutes(120),
        burst_delay: minutes(5),
    };
    let at = |text: &str| Timestamp::parse(text).expect("a time");
    let waits = |starts: &[&str], now: &str| {
        let starts: Vec<Timestamp> = starts.iter().map(|s| at(s)).collect();
        pace.waits(&starts, at(now)).map(|(until, _)| until.to_string()[5..16].to_owned())
    };
    assert_eq!(waits(&[], "2026-11-20T10:00:00Z"), None);
    assert_eq!(waits(&["2026-11-20T10:00:00Z"], "2026-11-20T10:59:59Z").as_deref(), Some("11-20T11:00"));
    assert_eq!(waits(&["2026-11-20T10:00:00Z"], "2026-11-20T11:00:00Z"), None);
    // Two hours before the reset what is left may go faster.
    assert_eq!(waits(&["2026-11-20T03:50:00Z"], "2026-11-20T03:55:00Z").as_deref(), Some("11-20T04:00"));
    assert_eq!(waits(&["2026-11-20T04:00:00Z"], "2026-11-20T04:01:00Z").as_deref(), Some("11-20T04:05"));
    assert_eq!(waits(&["2026-11-20T04:00:00Z"], "2026-11-20T04:05:00Z"), None);
    // Three a day, and the day begins at six.
    let three = ["2026-11-20T06:00:00Z", "2026-11-20T09:00:00Z", "2026-11-20T12:00:00Z"];
    assert_eq!(waits(&three, "2026-11-20T20:00:00Z").as_deref(), Some("11-21T06:00"));
    assert_eq!(waits(&three, "2026-11-21T06:00:00Z"), None);
    let before = ["2026-11-20T03:00:00Z", "2026-11-20T04:00:00Z", "2026-11-20T05:00:00Z"];
    assert_eq!(waits(&before, "2026-11-20T06:01:00Z"), None, "the day before is over");
}

#[test]
fn a_pace_binds_the_queue_and_survives_a_restart() {
    let pace = Pace { sustained_delay: Duration::from_secs(600), ..Pace::default() };
    let mut hand = hand(Policy { pacing: [("claude".to_owned(), pace)].into(), ..Policy::default() });
    hand.begin().expect("there is work");
    let until = hand.now + Duration::from_secs(600);
    hand.pass(30);
    assert_eq!(hand.begin(), None);
    assert_eq!(gate::opens_at(&hand.restarted(), hand.now), Some(until));
    hand.now = until;
    assert!(hand.begin().is_some());
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Use(usize, u64),
    End(usize, usize, u64),
    Pass(u64),
    Tick,
    Resume,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Begin),
        4 => (0_usize..4, 1_u64..3_000).prop_map(|(n, cents)| Step::Use(n, cents)),
        4 => (0_usize..4, 0_usize..8, 0_u64..90).prop_map(|(n, class, s)| Step::End(n, class, s)),
        3 => (1_u64..40_000).prop_map(Step::Pass),
        2 => Just(Step::Tick),
        1 => Just(Step::Resume),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever happens: no run starts while a gate is closed, every cent is in one day, the pause comes with the third quick
    /// failure in a row and at no other time, and a restart changes none of it.
    #[test]
    fn a_random_day_is_kept_to(steps in prop::collection::vec(step(), 1..60)) {
        const CLASSES: [EndClass; 8] = [
            EndClass::Auth, EndClass::Quota, EndClass::Network, EndClass::Crashed,
            EndClass::Failed, EndClass::Succeeded, EndClass::Killed, EndClass::TimedOut,
        ];
        let pace = Pace { min_delay: Duration::from_secs(20), daily_limit: 12, reset: 75, ..Pace::default() };
        let budgets = Budgets { day: usd(40), run: usd(25), ..Budgets::default() };
        let mut hand = hand(Policy { budgets, pacing: [("claude".to_owned(), pace)].into(), ..Policy::default() });
        let mut live: Vec<RunId> = Vec::new();
        let mut starts: Vec<Timestamp> = Vec::new();
        let mut ledger: Vec<(Timestamp, RunId, f64)> = Vec::new();
        let (mut strikes, mut paused) = (0_u32, None::<Timestamp>);
        for step in steps {
            match step {
                Step::Begin => {
                    let today = hand.now.0.div_euclid(86_400_000);
                    let spent: f64 =
                        ledger.iter().filter(|e| e.0.0.div_euclid(86_400_000) == today).map(|e| e.2).sum();
                    let reset = pace.last_reset(hand.now);
                    let may = spent < 40.0 - 1e-6
                        && paused.is_none_or(|until| until <= hand.now)
                        && starts.iter().filter(|at| **at >= reset).count() < 12
                        && starts.last().is_none_or(|at| *at + pace.min_delay <= hand.now);
                    let left = rank::order(
                        &hand.world, hand.now,
                        &rank::Ask { agent: &super::fixture::agent("x"), lane: None, repos: None },
                    );
                    let begun = hand.begin();
                    prop_assert_eq!(begun.is_some(), may && !left.is_empty(), "spent {}", spent);
                    if let Some(id) = begun {
                        hand.starts(id);
                        live.push(id);
                        starts.push(hand.now);
                    }
                }
                Step::Use(n, cents) if n < live.len() => {
                    let id = live[n];
                    let more = cents as f64 / 100.0;
                    let before = hand.of(id).usage;
                    let usage = Usage {
                        cost_usd: Some(before.cost_usd.unwrap_or(0.0) + more),
                        input_tokens: before.input_tokens + cents,
                        ..before
                    };
                    hand.uses(id, usage);
                    ledger.push((hand.now, id, more));
                }
                Step::End(n, class, after) if n < live.len() => {
                    let id = live.remove(n);
                    hand.pass(after);
                    let class = CLASSES[class];
                    let run = hand.of(id);
                    let quick = hand.now.since(run.began_at.expect("it began")) < pool::QUICK;
                    hand.ends(id, class, run.usage, None);
                    match class {
                        EndClass::Killed => {}
                        EndClass::Auth | EndClass::Quota | EndClass::Network | EndClass::Crashed if quick => strikes += 1,
                        _ => strikes = 0,
                    }
                    if strikes == 3 {
                        strikes = 0;
                        paused = Some(hand.now + pool::PAUSE);
                    }
                }
                Step::Pass(seconds) => hand.pass(seconds),
                Step::Tick => {
                    hand.ok(&Command::Tick { grace_until: None });
                    if paused.is_some_and(|until| until <= hand.now) {
                        (strikes, paused) = (0, None);
                    }
                }
                Step::Resume => {
                    hand.ok(&Command::ResumePool { program: "claude:opus".into(), actor: "me".into() });
                    (strikes, paused) = (0, None);
                }
                _ => {}
            }
            for run in hand.world.runs.values() {
                let days = run.spent.iter().fold(Usage::default(), |sum, (_, used)| sum.plus(*used));
                prop_assert!((days.cost_usd.unwrap_or(0.0) - run.usage.cost_usd.unwrap_or(0.0)).abs() < 1e-6);
                prop_assert_eq!(days.tokens(), run.usage.tokens());
            }
            prop_assert_eq!(gate::all(&hand.restarted(), hand.now), gate::all(&hand.world, hand.now));
            if let Some(due) = gate::opens_at(&hand.world, hand.now) {
                prop_assert!(due > hand.now, "a closed gate opens later, not before");
            }
        }
    }
}
