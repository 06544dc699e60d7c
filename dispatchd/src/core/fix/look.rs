//! Which pull requests are looked at, and when. No look is free (it costs points of a budget of its own), so what changes
//! is looked at soon, what is quiet rarely, and all of it the slower, the less is left.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;

use super::health::Health;
use super::{FixKey, pick};
use crate::core::record::{ForgeKind, Pull};
use crate::core::world::World;

/// Two looks at one pull request are so far apart at least, however much happens there.
const GAP: Duration = Duration::from_secs(2);
/// The first look again while the forge has not found out if it can be merged; doubled for each further one.
const UNKNOWN: Duration = Duration::from_secs(2);
/// So often in a row that is asked again soon.
const UNKNOWN_MOST: u32 = 6;
/// While checks run.
const PENDING: Duration = Duration::from_secs(30);
const PENDING_MOST: Duration = Duration::from_secs(5 * 60);
/// While something speaks for work.
const WANTING: Duration = Duration::from_secs(2 * 60);
/// While nothing happens.
const QUIET: Duration = Duration::from_secs(5 * 60);
const QUIET_MOST: Duration = Duration::from_secs(60 * 60);
/// After a failure, doubled for each further one.
const FAILED: Duration = Duration::from_secs(30);
const FAILED_MOST: Duration = Duration::from_secs(30 * 60);
/// One that nobody is interested in now may become interesting.
const AGAIN: Duration = Duration::from_secs(60 * 60);

/// What is remembered of looking at one pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// When the last look began.
    pub at: Timestamp,
    /// The first look that showed what the last one showed.
    pub changed_at: Timestamp,
    /// What the last look showed.
    pub stance: Stance,
    /// Looks in a row that could not tell whether it can be merged.
    pub unknown: u32,
    /// Looks in a row that failed.
    pub failures: u32,
}

/// What a look showed, as far as the next one depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// Nothing happens.
    Quiet,
    /// Something speaks for work.
    Wanting,
    /// Checks run.
    Pending,
    /// There was no reason to look.
    Ignored,
}

impl Memory {
    /// After a look that began at `at`. `changed` says whether it showed something else than the one before.
    #[must_use]
    pub fn seen(before: Option<&Self>, at: Timestamp, health: &Health, wanting: bool, changed: bool) -> Self {
        let stance = match (health.pending > 0, wanting) {
            (true, _) => Stance::Pending,
            (false, true) => Stance::Wanting,
            (false, false) => Stance::Quiet,
        };
        let unknown = if health.merge_unknown() { before.map_or(0, |b| b.unknown) + 1 } else { 0 };
        let changed_at = before.filter(|_| !changed).map_or(at, |b| b.changed_at);
        Self { at, changed_at, stance, unknown, failures: 0 }
    }

    /// After a look that failed.
    #[must_use]
    pub fn failed(before: Option<&Self>, at: Timestamp) -> Self {
        let fresh = Self { at, changed_at: at, stance: Stance::Quiet, unknown: 0, failures: 0 };
        let before = before.unwrap_or(&fresh);
        Self { at, failures: before.failures.saturating_add(1), ..before.clone() }
    }

    /// One that is not looked at for now.
    #[must_use]
    pub fn ignored(at: Timestamp) -> Self {
        Self { at, changed_at: at, stance: Stance::Ignored, unknown: 0, failures: 0 }
    }
}

/// How many points are left of how many, and when there are new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Points {
    /// In all.
    pub limit: u64,
    /// Left.
    pub remaining: u64,
    /// When they are full again.
    pub reset_at: Timestamp,
}

impl Points {
    /// By how much pauses are stretched: not at all while half of the points are left, the more the less are left. In the
    /// last tenth only what somebody hinted at is looked at.
    #[must_use]
    pub fn stretch(&self, now: Timestamp) -> Option<u32> {
        if self.reset_at <= now || self.remaining * 2 >= self.limit {
            return Some(1);
        }
        match self.remaining * 10 / self.limit.max(1) {
            0 => None,
            1 => Some(8),
            2 => Some(4),
            _ => Some(2),
        }
    }

    /// Whether a look of any kind has to wait.
    #[must_use]
    pub fn are_spent(&self, now: Timestamp) -> bool {
        self.remaining < 5 && self.reset_at > now
    }
}

/// How long after the last look the next one is.
#[must_use]
pub fn pause(memory: &Memory) -> Duration {
    let double = |first: Duration, times: u32, most: Duration| {
        first.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1))).min(most)
    };
    if memory.failures > 0 {
        return double(FAILED, memory.failures, FAILED_MOST);
    }
    // What has been so for long will be so for a while.
    let age = memory.at.since(memory.changed_at);
    let usual = match memory.stance {
        Stance::Ignored => AGAIN,
        Stance::Pending => (age / 10).clamp(PENDING, PENDING_MOST),
        Stance::Wanting => (age / 10).clamp(WANTING, QUIET_MOST),
        Stance::Quiet => (age / 4).clamp(QUIET, QUIET_MOST),
    };
    match memory.unknown {
        1..=UNKNOWN_MOST => double(UNKNOWN, memory.unknown, usual),
        _ => usual,
    }
}

/// When a pull request is looked at next. `hinted` says that something happened there since the last look; `None` that
/// nothing is due before there are new points.
#[must_use]
pub fn next(
    memory: Option<&Memory>,
    hinted: bool,
    points: Option<Points>,
    now: Timestamp,
) -> Option<Timestamp> {
    let Some(memory) = memory else { return Some(now) };
    let failing = memory.failures > 0;
    if hinted && !failing {
        return Some(memory.at + GAP);
    }
    let stretch = points.map_or(Some(1), |p| p.stretch(now))?;
    Some(memory.at + pause(memory).saturating_mul(stretch))
}

/// Whether a pull request is worth a look: open, on a forge that can tell, and either Dispatch looks after it, or its health
/// is shown with an issue.
#[must_use]
pub fn is_wanted(world: &World, pull: &Pull) -> bool {
    let seen = &pull.seen;
    let there = world.repos.get(&pull.repo).is_some_and(|r| r.tracked && r.forge == ForgeKind::Github);
    let key = FixKey { repo: pull.repo.clone(), pr: seen.number };
    there
        && seen.state == PullState::Open
        && (world.fixes.get(&key).is_some()
            || pull.targets().iter().any(|card| world.cards.contains_key(card))
            || pick::ours(world, &pull.repo, &seen.author, &seen.head_branch))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn memory(stance: Stance, age: u64) -> Memory {
        let changed_at = NOW - Duration::from_secs(age);
        Memory { at: NOW, changed_at, stance, unknown: 0, failures: 0 }
    }

    #[test]
    fn what_happens_is_looked_at_sooner_than_what_rests() {
        let seconds = |stance, age| pause(&memory(stance, age)).as_secs();
        for (stance, age, wait) in [
            (Stance::Pending, 0, 30),
            (Stance::Pending, 1_200, 120),
            (Stance::Pending, 86_400, 300),
            (Stance::Wanting, 0, 120),
            (Stance::Wanting, 864_000, 3_600),
            (Stance::Quiet, 0, 300),
            (Stance::Quiet, 4_000, 1_000),
            (Stance::Quiet, 864_000, 3_600),
            (Stance::Ignored, 0, 3_600),
        ] {
            assert_eq!(seconds(stance, age), wait, "{stance:?} for {age} s");
        }
    }

    #[test]
    fn an_unknown_merge_is_asked_again_soon_but_not_for_ever() {
        let unknown = Health { mergeable: Some("UNKNOWN".into()), ..Health::default() };
        let mut last: Option<Memory> = None;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let seen = Memory::seen(last.as_ref(), NOW, &unknown, false, false);
            pauses.push(pause(&seen).as_secs());
            last = Some(seen);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 300, 300]);
        let known = Health { mergeable: Some("MERGEABLE".into()), ..Health::default() };
        assert_eq!(Memory::seen(last.as_ref(), NOW, &known, false, false).unknown, 0);
    }

    #[test]
    fn failures_slow_down_also_for_hints() {
        let mut last: Option<Memory> = None;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let failed = Memory::failed(last.as_ref(), NOW);
            pauses.push(pause(&failed).as_secs());
            assert_eq!(next(Some(&failed), true, None, NOW), Some(NOW + pause(&failed)));
            last = Some(failed);
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1_800, 1_800, 1_800]);
    }

    #[test]
    fn few_points_slow_down_and_the_last_are_for_hints() {
        let left =
            |remaining| Some(Points { limit: 5_000, remaining, reset_at: NOW + Duration::from_secs(60) });
        let quiet = memory(Stance::Quiet, 0);
        let wait = |points, hinted| next(Some(&quiet), hinted, points, NOW).map(|at| at.since(NOW).as_secs());
        assert_eq!(wait(None, false), Some(300));
        assert_eq!(wait(left(4_000), false), Some(300));
        assert_eq!(wait(left(2_000), false), Some(600));
        assert_eq!(wait(left(1_200), false), Some(1_200));
        assert_eq!(wait(left(600), false), Some(2_400));
        assert_eq!(wait(left(400), false), None);
        assert_eq!(wait(left(400), true), Some(2), "a hint comes through");
        assert!(left(4).is_some_and(|p| p.are_spent(NOW) && !p.are_spent(NOW + Duration::from_secs(61))));
        assert_eq!(next(None, false, left(4_000), NOW), Some(NOW), "what was never looked at comes first");
        let over = Points { reset_at: NOW, ..left(0).unwrap() };
        assert_eq!(over.stretch(NOW), Some(1), "a new hour has begun");
    }
}
