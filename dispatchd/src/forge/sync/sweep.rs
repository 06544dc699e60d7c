//! Deleted and transferred issues never show in a list of changes. So everything is read now and then, and each card that
//! was not among it is looked for by its number. What the forge denies is looked for again by the following syncs, until
//! it was seen or the core believes that it is gone; and nothing is denied by a forge that does not show the repository.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoKey;
use dispatch_shared::issue::IssueState;
use tokio::time::Instant;

use crate::core::record::Repo;
use crate::core::seen::SeenIssue;
use crate::core::world::World;
use crate::edges::{Forge, ForgeError};

/// Looked for one by one in a single sync; the rest waits for the next.
const MOST: usize = 50;
/// The first sweeps come no sooner after the start of the daemon.
const SETTLE: Duration = Duration::from_secs(300);

/// When everything is read again.
pub(super) struct Sweeps {
    every: Duration,
    started: Instant,
}

impl Sweeps {
    pub(super) fn new(every: Duration) -> Self {
        Self { every, started: Instant::now() }
    }

    /// Whether it is time. What was read from the start has been swept by that. Repositories that began together do not
    /// sweep together: each has its own part of a quarter of the interval on top.
    pub(super) fn due(&self, repo: &Repo, now: Timestamp) -> bool {
        if repo.cursor.since.is_none() || self.started.elapsed() < SETTLE.min(self.every) {
            return false;
        }
        let every = self.every + self.every.mul_f64(0.25 * share(&repo.key));
        repo.cursor.swept_at.is_none_or(|at| now.since(at) >= every)
    }
}

/// A number from 0 to 1 that a repository keeps.
fn share(key: &RepoKey) -> f64 {
    let mut hash = DefaultHasher::new();
    key.as_str().hash(&mut hash);
    (hash.finish() % 1_000) as f64 / 1_000.0
}

/// The cards that are to be looked for: those denied before, and after a sweep those that were not among what was `read`.
/// Open ones first.
pub(super) fn missing(world: &World, repo: &RepoKey, read: Option<&[u64]>) -> Vec<u64> {
    let read: Option<HashSet<u64>> = read.map(|r| r.iter().copied().collect());
    let mut found = BTreeSet::new();
    for card in world.cards_of(repo).iter().filter(|c| !c.gone) {
        let number = card.key.number;
        let unseen = read.as_ref().is_some_and(|r| !r.contains(&number));
        if unseen || card.denied.is_some() {
            found.insert((card.state != IssueState::Open, number));
        }
    }
    found.into_iter().take(MOST).map(|(_, number)| number).collect()
}

/// What became of those looked for.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// They are there all the same.
    pub(super) there: Vec<SeenIssue>,
    /// The forge says that they are not.
    pub(super) denied: Vec<u64>,
}

/// Looks for issues one by one.
pub(super) async fn look_for(
    forge: &dyn Forge,
    repo: &Repo,
    numbers: Vec<u64>,
    requests: &mut usize,
) -> Result<Found, ForgeError> {
    let mut found = Found::default();
    for number in numbers {
        *requests += 1;
        match forge.issue(repo, number).await {
            Ok(issue) => found.there.push(issue),
            Err(ForgeError::NotFound(_)) => found.denied.push(number),
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}
