//! How often a repository is looked at: often while something goes on there, rarely while nothing does.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoKey;

use super::world::World;

/// The longest pause of a quiet repository, in usual pauses.
const LONGEST: u32 = 10;
/// A repository rests for this part of the time for which it has been quiet.
const PART: u32 = 20;

/// The pause after a look that went well. `changed` is when something last changed there, as far as is known; `busy` says
/// that Dispatch itself waits for something there.
#[must_use]
pub fn pause(every: Duration, changed: Option<Timestamp>, busy: bool, now: Timestamp) -> Duration {
    let quiet = changed.map_or(Duration::MAX, |at| now.since(at));
    if busy { every } else { (quiet / PART).clamp(every, every.saturating_mul(LONGEST)) }
}

/// Whether Dispatch waits for something in a repository: work is under way, a write waits, or a review is open.
#[must_use]
pub fn busy(world: &World, repo: &RepoKey) -> bool {
    world.open_reviews(repo) > 0
        || world.leases().any(|c| &c.card.repo == repo)
        || world.intents.values().any(|i| &i.card.repo == repo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_repository_is_looked_at_rarely() {
        let (now, every) = (Timestamp(1_800_000_000_000), Duration::from_secs(60));
        let after =
            |minutes: u64| pause(every, Some(now - Duration::from_secs(minutes * 60)), false, now).as_secs();
        assert_eq!([0, 10, 20, 60, 200, 100_000].map(after), [60, 60, 60, 180, 600, 600]);
        assert_eq!(pause(every, None, false, now).as_secs(), 600, "nothing ever happened there");
        assert_eq!(pause(every, None, true, now), every, "somebody waits");
        let ahead = pause(every, Some(now + every), false, now);
        assert_eq!(ahead, every, "the forge's clock is ahead");
    }
}
