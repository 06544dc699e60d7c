//! Logs of failed jobs. GitHub redirects from a job's log to a text file on another host: that host never sees the token,
//! and the file, which may be huge, is read in pieces of which only the excerpt stays.

use dispatch_shared::Timestamp;
use serde::Deserialize;

use super::GithubForge;
use super::call::Call;
use crate::core::fix::excerpt::{Excerpt, Step};
use crate::core::fix::signal;
use crate::core::record::Repo;
use crate::edges::{ForgeError, JobLog};

#[derive(Deserialize)]
struct Job {
    #[serde(default)]
    run_attempt: Option<u64>,
    #[serde(default)]
    steps: Option<Vec<StepSeen>>,
}

#[derive(Deserialize)]
struct StepSeen {
    #[serde(default)]
    name: String,
    conclusion: Option<String>,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
}

impl GithubForge {
    /// The excerpt of a job's log, without secrets; `None` if there is no log any more.
    pub(super) async fn read_job_log(&self, repo: &Repo, job: u64) -> Result<Option<JobLog>, ForgeError> {
        let what = format!("reading the log of job {job} of {}", repo.name);
        let path = format!("/repos/{}/actions/jobs/{job}", repo.name);
        let seen: Job = match self.client.read(repo, self.client.url(&path)?, &what).await {
            Ok(seen) => seen,
            Err(ForgeError::NotFound(_)) => return Ok(None),
            Err(other) => return Err(other),
        };
        let failed = |s: &StepSeen| s.conclusion.as_deref().is_some_and(signal::failed);
        let step = seen.steps.into_iter().flatten().find(failed);
        let step =
            step.map(|s| Step { name: s.name, started_at: s.started_at, completed_at: s.completed_at });
        let bearer = self.client.bearer(Some(&repo.name), &what).await?;
        let known = bearer.secret().into_iter().chain(self.secrets.iter());
        let mut excerpt = Excerpt::new(step, known.map(|s| s.expose()).collect());
        let url = self.client.url(&format!("{path}/logs"))?;
        let whole = self.client.download(Call::get(url, &what).of(repo), |bytes| excerpt.take(bytes)).await;
        match whole {
            Ok(true) => {}
            Ok(false) => excerpt.cut_off(),
            Err(ForgeError::NotFound(_)) => return Ok(None),
            Err(other) => return Err(other),
        }
        Ok(Some(JobLog { attempt: seen.run_attempt.unwrap_or(1), excerpt: excerpt.finish() }))
    }
}
