//! Workflows, their runs, and what happened on the forge.

use super::{Client, Result, with_query};
use crate::id::RepoName;
use crate::protocol::actions::Workflow;
use crate::protocol::automation::{
    AutomationEvent, AutomationEventsQuery, RepoDetail, RunActionAnswer, RunActionQuery, RunActionRequest,
    WorkflowsQuery,
};

impl Client {
    /// `GET /api/automation/repos/{owner}/{repo}`.
    ///
    /// # Errors
    /// See [`super::Error`]; the same holds for every method below.
    pub async fn repo_detail(&self, repo: &RepoName) -> Result<RepoDetail> {
        self.get(&format!("/api/automation/repos/{repo}"), &()).await
    }

    /// `GET /api/automation/workflows`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `repo_detail`")]
    pub async fn workflows(&self, query: &WorkflowsQuery) -> Result<Vec<Workflow>> {
        self.get("/api/automation/workflows", query).await
    }

    /// `GET /api/automation/workflows/{id}`: by its id or its file's name.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `repo_detail`")]
    pub async fn workflow(&self, id: &str, query: &WorkflowsQuery) -> Result<Workflow> {
        self.get(&format!("/api/automation/workflows/{id}"), query).await
    }

    /// `GET /api/automation/events`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `repo_detail`")]
    pub async fn automation_events(&self, query: &AutomationEventsQuery) -> Result<Vec<AutomationEvent>> {
        self.get("/api/automation/events", query).await
    }

    /// `POST /api/automation/runs/{id}`: runs it again, or starts its workflow.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `repo_detail`")]
    pub async fn act_on_run(
        &self,
        id: &str,
        query: &RunActionQuery,
        body: &RunActionRequest,
    ) -> Result<RunActionAnswer> {
        let path = with_query(&format!("/api/automation/runs/{id}"), query).map_err(|e| self.garbled(e))?;
        self.call("POST", &path, body).await
    }
}
