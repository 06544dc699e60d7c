//! The throttle by example and by property.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const READ: Ask =
    Ask { priority: Priority::Scheduled, resource: Resource::Core, act: Act::Read, conditional: false };

fn at(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

fn ask(priority: Priority, act: Act) -> Ask {
    Ask { priority, act, ..READ }
}

/// Lets it go or says how many seconds it waits and why.
fn go(t: &mut Throttle, ask: Ask, now: Timestamp) -> Result<Ticket, (Option<u64>, Why)> {
    let ticket = t.ask(ask);
    match t.poll(ticket, now) {
        Ok(()) => Ok(ticket),
        Err(wait) => {
            t.over(ticket);
            Err((wait.until.map(|u| u.since(now).as_secs()), wait.why))
        }
    }
}

#[test]
fn the_more_urgent_goes_first() {
    let mut t = Throttle::default();
    let flying: Vec<Ticket> = (0..AT_ONCE - SPARE).map(|_| go(&mut t, READ, NOW).unwrap()).collect();
    let late = t.ask(READ);
    assert_eq!(t.poll(late, NOW), Err(Wait { until: None, why: Why::Busy }));
    let urgent = t.ask(ask(Priority::Interactive, Act::Read));
    assert_eq!(t.poll(urgent, NOW), Ok(()), "some room is kept for what somebody waits for");
    let hinted = t.ask(ask(Priority::Hinted, Act::Read));
    t.over(flying[0]);
    t.over(flying[1]);
    assert_eq!(t.poll(late, NOW).unwrap_err().why, Why::Turn, "the hinted one came later and goes first");
    assert_eq!(t.poll(hinted, NOW), Ok(()));
    t.over(urgent);
    assert_eq!(t.poll(late, NOW), Ok(()));
}

#[test]
fn writes_go_one_by_one_in_a_burst_and_then_one_a_second() {
    let mut t = Throttle::default();
    let write = ask(Priority::Write, Act::Write);
    let first = go(&mut t, write, NOW).unwrap();
    assert_eq!(go(&mut t, write, NOW), Err((None, Why::Writes)), "one at a time");
    t.over(first);
    for _ in 1..BURST + 1 {
        let ticket = go(&mut t, write, NOW).unwrap();
        t.over(ticket);
    }
    assert_eq!(go(&mut t, write, NOW), Err((Some(1), Why::Writes)));
    assert!(go(&mut t, READ, NOW).is_ok(), "reads do not wait for writes");
    assert!(go(&mut t, write, at(1)).is_ok());
}

#[test]
fn the_last_points_of_the_hour_are_kept_for_people() {
    let mut t = Throttle::default();
    let left = |remaining| Left { limit: 5_000, remaining, reset_at: at(600) };
    let may = |remaining: u64| {
        [Priority::Interactive, Priority::Write, Priority::Hinted, Priority::Scheduled, Priority::Health].map(
            |p| {
                let mut t = Throttle::default();
                t.learn(Resource::Core, left(remaining));
                u8::from(go(&mut t, ask(p, Act::Read), NOW).is_ok())
            },
        )
    };
    assert_eq!(may(1_100), [1, 1, 1, 1, 1]);
    assert_eq!(may(999), [1, 1, 1, 1, 0]);
    assert_eq!(may(499), [1, 1, 1, 0, 0]);
    assert_eq!(may(249), [1, 1, 0, 0, 0]);
    assert_eq!(may(100), [1, 0, 0, 0, 0]);
    assert_eq!(may(0), [0, 0, 0, 0, 0]);
    t.learn(Resource::Core, left(300));
    assert_eq!(go(&mut t, READ, NOW), Err((Some(600), Why::Scarce(Resource::Core, left(300)))));
    assert!(go(&mut t, Ask { conditional: true, ..READ }, NOW).is_ok(), "a question that is free is asked");
    assert!(go(&mut t, Ask { resource: Resource::Graphql, ..READ }, NOW).is_ok(), "counted by itself");
    assert!(go(&mut t, READ, at(600)).is_ok(), "a new hour");
}

#[test]
fn what_is_scarce_is_spread_over_the_hour() {
    let mut t = Throttle::default();
    let left = Left { limit: 5_000, remaining: 1_100, reset_at: at(1_200) };
    t.learn(Resource::Core, left);
    let first = go(&mut t, READ, NOW).unwrap();
    t.over(first);
    assert_eq!(go(&mut t, READ, NOW), Err((Some(2), Why::Spread(Resource::Core, left))), "600 in 1,200 s");
    assert!(
        go(&mut t, ask(Priority::Hinted, Act::Read), NOW).is_ok(),
        "what is known to have changed is read"
    );
    let slowed = t.slowed(NOW).unwrap();
    assert!(slowed.why.to_string().contains("1100 of 5000 core points"), "{}", slowed.why);
}

#[test]
fn silence_is_kept_and_doubles_until_it_helped() {
    let mut t = Throttle::default();
    assert_eq!(t.silence(None, NOW), at(60));
    assert_eq!(t.silence(None, NOW), at(60), "met together, counted once");
    assert_eq!(go(&mut t, ask(Priority::Interactive, Act::Read), NOW), Err((Some(60), Why::Silence)));
    t.went_well(at(1));
    assert_eq!(t.silence(None, at(60)), at(180), "an answer from before the silence ends no series");
    t.went_well(at(180));
    assert_eq!(t.silence(None, at(180)), at(240));
    assert_eq!(t.silence(Some(at(900_000)), at(240)), at(240 + 7_200), "no limit lasts for days");
}

#[test]
fn a_clock_that_goes_back_takes_the_rest_along() {
    let mut t = Throttle::default();
    t.silence(Some(at(30)), NOW);
    assert!(go(&mut t, READ, NOW).is_err());
    let back = NOW - Duration::from_secs(86_400);
    assert_eq!(go(&mut t, READ, back), Err((Some(30), Why::Silence)));
    assert!(go(&mut t, READ, back + Duration::from_secs(30)).is_ok());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(Ask),
    Poll,
    Over(usize),
    Pass(u64),
    Left(Resource, u64, u64),
    Silence(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let resource = prop_oneof![Just(Resource::Core), Just(Resource::Graphql)];
    let priority = prop_oneof![
        Just(Priority::Interactive),
        Just(Priority::Write),
        Just(Priority::Hinted),
        Just(Priority::Scheduled),
        Just(Priority::Health)
    ];
    let act = prop_oneof![3 => Just(Act::Read), 1 => Just(Act::Write), 2 => Just(Act::Create)];
    let ask = (priority, resource.clone(), act, any::<bool>())
        .prop_map(|(priority, resource, act, conditional)| Ask { priority, resource, act, conditional });
    let step = prop_oneof![
        6 => ask.prop_map(Step::Ask),
        6 => Just(Step::Poll),
        4 => any::<usize>().prop_map(Step::Over),
        3 => (0_u64..20_000).prop_map(Step::Pass),
        1 => (resource, 0_u64..5_000, 1_u64..3_600).prop_map(|(r, left, s)| Step::Left(r, left, s)),
        1 => (1_u64..120).prop_map(Step::Silence),
    ];
    prop::collection::vec(step, 1..400)
}

/// What went, to be counted by other means than the machine's own.
#[derive(Default)]
struct Log {
    went: Vec<(Timestamp, Ask)>,
    flying: Vec<(Ticket, Ask)>,
    waiting: Vec<(Ticket, Ask)>,
    left: BTreeMap<Resource, Left>,
    silent: Option<Timestamp>,
}

impl Log {
    fn within(
        &self,
        now: Timestamp,
        span: Duration,
        wanted: impl Fn(&Ask) -> bool,
    ) -> impl Iterator<Item = Ask> {
        self.went.iter().filter(move |(at, a)| *at + span > now && wanted(a)).map(|(_, a)| *a)
    }

    /// Asks everybody who waits, the least urgent first, as a crowd that wakes up does.
    fn poll(&mut self, t: &mut Throttle, now: Timestamp) -> usize {
        let mut went = 0;
        for (ticket, ask) in std::mem::take(&mut self.waiting).into_iter().rev() {
            if t.poll(ticket, now).is_err() {
                self.waiting.insert(0, (ticket, ask));
                continue;
            }
            went += 1;
            assert!(self.silent.is_none_or(|until| until <= now), "nothing goes during a silence");
            if let Some(left) = self.left.get(&ask.resource).filter(|l| l.reset_at > now) {
                assert!(left.remaining > reserve(&ask, left.limit), "{ask:?} took of the reserve: {left:?}");
            }
            self.flying.push((ticket, ask));
            self.went.push((now, ask));
            assert!(self.flying.len() <= AT_ONCE);
            let writes = self.flying.iter().filter(|(_, a)| a.act != Act::Read).count();
            assert!(writes <= 1, "writes go one by one");
            for resource in Resource::ALL {
                let points: u32 =
                    self.within(now, MINUTE, |a| a.resource == resource).map(|a| a.act.points()).sum();
                assert!(points <= resource.a_minute(), "{points} points of {resource:?} in a minute");
            }
            assert!(self.within(now, MINUTE, |a| a.act == Act::Create).count() <= CREATED_A_MINUTE);
            assert!(self.within(now, HOUR, |a| a.act == Act::Create).count() <= CREATED_AN_HOUR);
        }
        went
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_limit_is_passed_and_nobody_waits_for_ever(steps in steps()) {
        let (mut t, mut log, mut now) = (Throttle::default(), Log::default(), NOW);
        for step in steps {
            match step {
                Step::Ask(ask) => {
                    let ticket = t.ask(ask);
                    let at = log.waiting.partition_point(|(other, _)| *other < ticket);
                    log.waiting.insert(at, (ticket, ask));
                }
                Step::Poll => { log.poll(&mut t, now); }
                Step::Over(which) if !log.flying.is_empty() => {
                    let (ticket, _) = log.flying.swap_remove(which % log.flying.len());
                    t.over(ticket);
                }
                Step::Over(_) => {}
                Step::Pass(millis) => now = now + Duration::from_millis(millis),
                Step::Left(resource, remaining, seconds) => {
                    let left = Left { limit: 5_000, remaining, reset_at: now + Duration::from_secs(seconds) };
                    t.learn(resource, left);
                    log.left.insert(resource, left);
                }
                Step::Silence(seconds) => {
                    let until = t.silence(Some(now + Duration::from_secs(seconds)), now);
                    prop_assert!(log.silent.is_none_or(|there| there <= until), "a silence is never shortened");
                    log.silent = Some(until);
                }
            }
        }
        // Everything ends, and time goes on: everybody comes to his turn, each when he was told or before.
        for _ in 0..20_000 {
            for (ticket, _) in log.flying.drain(..) {
                t.over(ticket);
            }
            if log.waiting.is_empty() {
                return Ok(());
            }
            if log.poll(&mut t, now) == 0 {
                let waits = log.waiting.iter().map(|(ticket, _)| t.poll(*ticket, now).unwrap_err());
                let next = waits.filter_map(|w| w.until).min();
                prop_assert!(next.is_some_and(|n| n > now), "somebody knows until when: {next:?} at {now}");
                now = next.unwrap_or(now);
            }
        }
        prop_assert!(false, "{} still wait", log.waiting.len());
    }
}
