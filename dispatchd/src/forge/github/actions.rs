//! GitHub's automation: workflows, runs, jobs, releases, packages, artifacts, deployments; and the two things that are
//! asked of it, a run again and a workflow by hand.
//!
//! - `read`: one part after the other, each conditional where it has a validator; `files`: what starts a workflow;
//!   `wire`: GitHub's JSON as plain observations; `write`: the two writes.

mod files;
mod read;
mod wire;
mod write;

use async_trait::async_trait;

use super::GithubForge;
use crate::core::automation::cadence::Urgency;
use crate::core::automation::{Facts, Part};
use crate::core::record::Repo;
use crate::edges::{Automation, AutomationRead, ForgeError, Rerun};

#[async_trait]
impl Automation for GithubForge {
    async fn read(&self, repo: &Repo, known: Facts, parts: &[Part], urgency: Urgency) -> AutomationRead {
        read::Reading::new(self, repo, known, urgency).all(parts).await
    }

    async fn rerun(&self, repo: &Repo, run: &str) -> Result<Rerun, ForgeError> {
        self.rerun_run(repo, run).await
    }

    async fn dispatch(
        &self,
        repo: &Repo,
        workflow: &str,
        git_ref: &str,
        inputs: &[(String, String)],
    ) -> Result<(), ForgeError> {
        self.dispatch_workflow(repo, workflow, git_ref, inputs).await
    }
}
