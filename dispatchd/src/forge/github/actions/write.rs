//! A run again, and a workflow by hand. Each is sent once: repeating what may have been taken would run it twice.

use reqwest::Method;
use serde_json::json;

use super::wire;
use crate::core::automation::rates::{self, Verdict};
use crate::core::record::Repo;
use crate::edges::{ForgeError, Rerun};
use crate::forge::github::GithubForge;
use crate::forge::github::call::Call;
use crate::forge::github::link::escape;

impl GithubForge {
    pub(super) async fn rerun_run(&self, repo: &Repo, run: &str) -> Result<Rerun, ForgeError> {
        let what = format!("running {run} of {} again", repo.name);
        if run.is_empty() || !run.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ForgeError::NotFound(format!(
                "{what} failed: `{run}` is no run's id, which is a number"
            )));
        }
        let url = self.client.url(&format!("/repos/{}/actions/runs/{run}", repo.name))?;
        let live = self.client.read::<wire::Run>(repo, url, &what).await?.seen();
        if rates::is_running(&live) {
            return Ok(Rerun::Running);
        }
        let some = rates::verdict(&live) == Some(Verdict::Failure);
        let (tail, done) = if some { ("rerun-failed-jobs", Rerun::Failed) } else { ("rerun", Rerun::All) };
        self.hook("forge.rerun", &what)?;
        let url = self.client.url(&format!("/repos/{}/actions/runs/{run}/{tail}", repo.name))?;
        let call = Call::write(Method::POST, url, &what).of(repo);
        self.client.call(call).await.map_err(once)?;
        Ok(done)
    }

    pub(super) async fn dispatch_workflow(
        &self,
        repo: &Repo,
        workflow: &str,
        git_ref: &str,
        inputs: &[(String, String)],
    ) -> Result<(), ForgeError> {
        let what = format!("starting the workflow {workflow} of {} on {git_ref}", repo.name);
        // As a segment of the address these would name something else.
        if matches!(workflow, "" | "." | "..") {
            return Err(ForgeError::NotFound(format!("{what} failed: that is no workflow")));
        }
        self.hook("forge.dispatch_workflow", &what)?;
        let tail = format!("/repos/{}/actions/workflows/{}/dispatches", repo.name, escape(workflow));
        let inputs: serde_json::Map<_, _> = inputs.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
        let body = json!({ "ref": git_ref, "inputs": inputs });
        let call =
            Call { body: Some(body), ..Call::write(Method::POST, self.client.url(&tail)?, &what).of(repo) };
        self.client.call(call).await.map_err(once).map(drop)
    }
}

/// Says of a write whose answer is missing what a person must know.
fn once(error: ForgeError) -> ForgeError {
    match error {
        ForgeError::Unreachable(said) => {
            let said = said.trim_end_matches("; it will be tried again");
            ForgeError::Unreachable(format!(
                "{said}; GitHub may have taken it all the same: look at its runs before you ask again"
            ))
        }
        other => other,
    }
}
