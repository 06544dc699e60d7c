//! A forge's automation: what it runs by itself, and the two things that can be asked of it.

use async_trait::async_trait;

use super::ForgeError;
use crate::core::automation::cadence::Urgency;
use crate::core::automation::{Facts, Part};
use crate::core::record::Repo;

/// What a read of a repository's automation came to.
#[derive(Clone, Debug)]
pub struct AutomationRead {
    /// All that is known now: what was not read, or has not changed, as it was.
    pub facts: Facts,
    /// Requests made.
    pub requests: u64,
    /// Those that counted against the limit.
    pub points: u64,
    /// Things that came as new or changed.
    pub items: u64,
    /// Why it broke off; what was read before that is among the facts. A part that the credential may not read is no
    /// reason: the facts carry a note about it.
    pub stopped: Option<ForgeError>,
}

/// What asking for a run again came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// Its failed jobs run again.
    Failed,
    /// All its jobs run again, for none had failed.
    All,
    /// It runs: nothing was asked for.
    Running,
}

/// See the module. Every write tells the step hook first and is sent once: one whose answer was lost is not repeated.
#[async_trait]
pub trait Automation: Send + Sync {
    /// Reads `parts` of a repository, conditionally where the forge can.
    async fn read(&self, repo: &Repo, known: Facts, parts: &[Part], urgency: Urgency) -> AutomationRead;

    /// Has a run's failed jobs run again, or all if none failed.
    ///
    /// # Errors
    /// [`ForgeError`], in the forge's words.
    async fn rerun(&self, repo: &Repo, run: &str) -> Result<Rerun, ForgeError>;

    /// Starts a workflow, named by its id or its file's name, on a branch or tag.
    ///
    /// # Errors
    /// [`ForgeError`], in the forge's words.
    async fn dispatch(
        &self,
        repo: &Repo,
        workflow: &str,
        git_ref: &str,
        inputs: &[(String, String)],
    ) -> Result<(), ForgeError>;
}
