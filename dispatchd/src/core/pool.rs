//! Pools: the runs of one program share an account and an image. When these are broken every run fails at once, so three
//! quick failures in a row pause the pool instead of burning through the queue.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::run::{EndClass, Phase};
use serde::{Deserialize, Serialize};

use super::record::Run;
use super::world::World;

/// Quick failures in a row that pause a pool.
pub const STRIKES: u32 = 3;
/// A failure is quick if it came within this.
pub const QUICK: Duration = Duration::from_secs(60);
/// How long a pool is paused.
pub const PAUSE: Duration = Duration::from_secs(30 * 60);

/// What is known of a program's pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The program, without its model.
    pub program: String,
    /// Quick failures in a row.
    #[serde(default)]
    pub strikes: u32,
    /// Set while it is paused.
    #[serde(default)]
    pub paused: Option<Pause>,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why, in words.
    pub why: String,
}

/// The pool of `program`: `claude` of `claude:opus`, `codex` of `codex:review`.
#[must_use]
pub fn name(program: &str) -> &str {
    program.split(':').next().unwrap_or_default()
}

/// The pause of the pool of `program` that is on at `now`.
#[must_use]
pub fn pause<'a>(world: &'a World, now: Timestamp, program: &str) -> Option<&'a Pause> {
    let pool = world.meta.pools.iter().find(|p| p.program == name(program))?;
    pool.paused.as_ref().filter(|p| p.until > now)
}

/// What the end of a run says of its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It works.
    Fine,
    /// It may be broken.
    Strike,
    /// Nothing.
    None,
}

/// What it says that `run` ended so after `lived`. What went wrong while the work was published says nothing of the program,
/// and neither does what somebody ended.
#[must_use]
pub fn sign(run: &Run, class: EndClass, lived: Duration) -> Sign {
    let began = run.phases.iter().any(|(phase, _)| *phase == Phase::Running);
    let published = run.phases.last().is_some_and(|(p, _)| matches!(p, Phase::Verifying | Phase::Publishing));
    match class {
        EndClass::Killed | EndClass::Revoked | EndClass::Lost => Sign::None,
        EndClass::Auth | EndClass::Quota | EndClass::Network if began && !published => quick(lived),
        EndClass::Crashed if !published => quick(lived),
        EndClass::Auth | EndClass::Network | EndClass::Crashed if !began || published => Sign::None,
        _ => Sign::Fine,
    }
}

fn quick(lived: Duration) -> Sign {
    if lived < QUICK { Sign::Strike } else { Sign::Fine }
}
