//! Looks at the repository itself: what it is called, whether work can be done there, whether it is there at all.

use std::time::Duration;

use super::pass::Stop;
use crate::core::record::Repo;
use crate::core::seen::SeenRepo;
use crate::core::standing::Trouble;
use crate::edges::{Edges, Forge, ForgeError};

/// How often a repository is looked at though nothing failed: a list does not tell that it was archived.
const EVERY: Duration = Duration::from_secs(3_600);

/// Whether a look is worth a request: after a failure, where no work could be done, and now and then.
pub(super) fn due(repo: &Repo, edges: &Edges) -> bool {
    let rested = repo.cursor.looked_at.is_some_and(|at| edges.clock.now().since(at) < EVERY);
    // Tracking has looked.
    let new = repo.cursor.looked_at.is_none() && repo.last_synced_at.is_none();
    !(rested || new) || repo.sync_error.is_some() || !repo.access.standing.takes_work()
}

/// Looks. A forge that denies the repository is asked whether it answers at all: only then it is a denial.
pub(super) async fn at(forge: &dyn Forge, repo: &Repo, requests: &mut usize) -> Result<SeenRepo, Stop> {
    *requests += 1;
    match forge.repository(repo).await {
        Ok(seen) => Ok(seen),
        Err(denied @ ForgeError::NotFound(_)) => {
            *requests += 1;
            match forge.alive().await {
                Ok(()) => Err(Stop::Forge(denied, Trouble::Denied)),
                Err(other) => Err(other.into()),
            }
        }
        Err(other) => Err(other.into()),
    }
}

impl From<ForgeError> for Stop {
    fn from(error: ForgeError) -> Self {
        let trouble = match &error {
            ForgeError::Unauthorized(_) | ForgeError::Refused(_) => Trouble::Lasting,
            // What is denied while nobody looked whether the repository is there says nothing of it.
            ForgeError::NotFound(_) | ForgeError::RateLimited { .. } | ForgeError::Unreachable(_) => {
                Trouble::Passing
            }
        };
        Stop::Forge(error, trouble)
    }
}
