//! Whether a run of a program may start now: its pool is not paused, its pace allows it, and no budget is used up. Binds the
//! built-in runner alone, for outside harnesses spend their own.

use std::collections::BTreeSet;

use dispatch_shared::Timestamp;

use super::pace::Why;
use super::world::World;
use super::{budget, pool};

/// Why no run of a program starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Until when; time alone opens it then.
    pub until: Timestamp,
    /// In words.
    pub why: String,
}

/// Why no run of `program` may start at `now`; `None` if one may. Of several reasons the one that lasts longest.
#[must_use]
pub fn closed(world: &World, now: Timestamp, program: &str) -> Option<Closed> {
    let paused = pool::pause(world, now, program).map(|pause| Closed {
        until: pause.until,
        why: format!("{} is paused until {}: {}", pool::name(program), pause.until, pause.why),
    });
    let spent = budget::exhausted(world, now, program).and_then(|state| {
        let until = state.resets_at?;
        let why =
            format!("the budget of the {} is used up until {until}: {}", state.scope.name(), state.words());
        Some(Closed { until, why })
    });
    [paused, spent, paced(world, now, program)].into_iter().flatten().max_by_key(|c| c.until)
}

fn paced(world: &World, now: Timestamp, program: &str) -> Option<Closed> {
    let ours = world.policy.pacing.iter().filter(|(name, _)| budget::is_about(name, program));
    let waits = ours.filter_map(|(name, pace)| {
        let begun = pace.last_reset(now);
        let recent = world.runs.values().rev().filter(|r| r.began_at.is_some_and(|at| at >= begun - LONG));
        let starts: Vec<Timestamp> =
            recent.filter(|r| budget::is_about(name, &r.program)).filter_map(|r| r.began_at).collect();
        let (until, why) = pace.waits(&starts, now)?;
        let why = match why {
            Why::Daily => format!("{name} has had its {} starts of the day, until {until}", pace.daily_limit),
            Why::Delay => format!("{name} is paced: the next run starts at {until}"),
        };
        Some(Closed { until, why })
    });
    waits.max_by_key(|c| c.until)
}

/// No delay between two starts is longer.
const LONG: std::time::Duration = std::time::Duration::from_secs(2 * 86_400);

/// The programs that the queue may start.
fn programs(world: &World) -> BTreeSet<&str> {
    let policy = &world.policy;
    policy.lanes.iter().map(|l| policy.program_for(&l.id)).chain([policy.default_program.as_str()]).collect()
}

/// Everything that waits so, by program.
#[must_use]
pub fn all(world: &World, now: Timestamp) -> Vec<(String, Closed)> {
    let waiting = world.waiting_runs().map(|r| r.program.as_str());
    let names: BTreeSet<&str> = programs(world).into_iter().chain(waiting).collect();
    names.into_iter().filter_map(|name| Some((name.to_owned(), closed(world, now, name)?))).collect()
}

/// When time alone next opens a gate.
#[must_use]
pub fn opens_at(world: &World, now: Timestamp) -> Option<Timestamp> {
    all(world, now).into_iter().map(|(_, closed)| closed.until).min()
}
