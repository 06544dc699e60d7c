//! Why jobs failed: each log is read once, for a job that runs again is another job.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;

use crate::core::fix::health::Check;
use crate::core::fix::{FixKey, signal};
use crate::core::record::Repo;
use crate::edges::{Forge, ForgeError};

/// Logs read for one pull request: of a matrix of sixty jobs the first ones tell it all.
const MOST: usize = 8;

/// The excerpts of the jobs that failed last, by pull request. Empty where there is no log.
#[derive(Debug, Default)]
pub(super) struct Logs {
    read: Mutex<HashMap<FixKey, HashMap<u64, String>>>,
}

impl Logs {
    /// Fills in the excerpts of the jobs that failed, and forgets those that are not among them any more.
    pub(super) async fn fill(&self, forge: &dyn Forge, repo: &Repo, key: &FixKey, checks: &mut [Check]) {
        let failed = |c: &&Check| signal::failed(&c.conclusion);
        let mut jobs: Vec<u64> = checks.iter().filter(failed).filter_map(|c| c.job).collect();
        jobs.sort_unstable();
        jobs.truncate(MOST);
        let mut known =
            self.read.lock().unwrap_or_else(PoisonError::into_inner).remove(key).unwrap_or_default();
        known.retain(|job, _| jobs.contains(job));
        let missing: Vec<u64> = jobs.into_iter().filter(|job| !known.contains_key(job)).collect();
        let read = join_all(missing.iter().map(|job| forge.job_log(repo, *job))).await;
        for (job, log) in missing.into_iter().zip(read) {
            match log {
                Ok(log) => drop(known.insert(job, log.map(|l| l.excerpt).unwrap_or_default())),
                // Asking again would be refused again.
                Err(error @ (ForgeError::Refused(_) | ForgeError::NotFound(_))) => {
                    tracing::warn!(job, %error, "the log of a failed job cannot be read");
                    known.insert(job, String::new());
                }
                Err(error) => tracing::debug!(job, %error, "the log of a failed job is read later"),
            }
        }
        for check in checks {
            let text = check.job.and_then(|job| known.get(&job)).filter(|t| !t.is_empty());
            if let Some(text) = text {
                check.text = Some(text.clone());
            }
        }
        if !known.is_empty() {
            self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), known);
        }
    }
}
