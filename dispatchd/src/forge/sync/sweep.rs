//! Deleted and transferred issues never show in a list of changes. So everything is read now and then, and each open card
//! that was not among it is looked for by its number: only a forge that says "not there" makes it gone.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dispatch_shared::id::RepoKey;
use dispatch_shared::issue::IssueState;
use tokio::time::Instant;

use crate::core::record::Repo;
use crate::core::world::World;
use crate::edges::{Forge, ForgeError};

/// Looked for one by one in a single sweep; the rest waits for the next.
const MOST: usize = 50;

/// When each repository was swept.
pub(super) struct Sweeps {
    every: Duration,
    last: Mutex<HashMap<RepoKey, Instant>>,
}

impl Sweeps {
    pub(super) fn new(every: Duration) -> Self {
        Self { every, last: Mutex::default() }
    }

    /// Whether it is time. The first sweep comes one interval after the start, not with it.
    pub(super) fn due(&self, repo: &RepoKey) -> bool {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        now.duration_since(*last.entry(repo.clone()).or_insert(now)) >= self.every
    }

    pub(super) fn done(&self, repo: &RepoKey) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(repo.clone(), Instant::now());
    }
}

/// The open cards of `repo` that are not among `read` and that the forge does not know any more.
pub(super) async fn gone(
    forge: &dyn Forge,
    world: &World,
    repo: &Repo,
    read: &[u64],
) -> Result<Vec<u64>, ForgeError> {
    let read: HashSet<u64> = read.iter().copied().collect();
    let cards = world.cards_of(&repo.key);
    let missing = cards
        .iter()
        .filter(|c| c.state == IssueState::Open && !c.gone && !read.contains(&c.key.number))
        .map(|c| c.key.number);
    let mut gone = Vec::new();
    for number in missing.take(MOST) {
        match forge.issue(repo, number).await {
            Ok(_) => {}
            Err(ForgeError::NotFound(_)) => gone.push(number),
            Err(other) => return Err(other),
        }
    }
    Ok(gone)
}
