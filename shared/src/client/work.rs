//! Calls about resumable work, agent runs, single cards and automation.

use super::{Client, Result};
use crate::id::RepoName;
use crate::protocol::agent_runs::{AgentRun, AgentRunRequest, AgentRunsQuery, Overview};
use crate::protocol::issues::LabelsAnswer;
use crate::protocol::repos::Repo;
use crate::protocol::{IssueRef, automation, cards, control, issues, work};

impl Client {
    /// `GET …/active-work`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn active_work(&self, agent: &str) -> Result<work::ActiveWork> {
        self.get(&format!("/api/agents/{agent}/active-work"), &()).await
    }

    /// `GET …/work-summary`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn work_summary(&self, agent: &str) -> Result<work::WorkSummary> {
        self.get(&format!("/api/agents/{agent}/work-summary"), &()).await
    }

    /// `GET /api/agent-work`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn agent_work(&self, query: &work::WorkQuery) -> Result<work::WorkList> {
        self.get("/api/agent-work", query).await
    }

    /// `POST /api/agent-work/start`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn start_work(&self, body: &work::StartRequest) -> Result<work::Work> {
        self.post("/api/agent-work/start", body).await
    }

    /// `POST /api/agent-work/checkpoint`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn checkpoint(&self, body: &work::CheckpointRequest) -> Result<work::Work> {
        self.post("/api/agent-work/checkpoint", body).await
    }

    /// `POST /api/agent-work/finish`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn finish_work(&self, body: &work::FinishRequest) -> Result<work::Work> {
        self.post("/api/agent-work/finish", body).await
    }

    /// `POST /api/agent-work`: release or reassign.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn act_on_work(&self, body: &work::WorkActionRequest) -> Result<work::WorkActionAnswer> {
        self.post("/api/agent-work", body).await
    }

    /// `POST /api/issues/status`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn set_status(&self, body: &cards::StatusRequest) -> Result<cards::StatusAnswer> {
        self.post("/api/issues/status", body).await
    }

    /// `POST /api/issues/reset-ready`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn reset_ready(&self, issue: &IssueRef) -> Result<LabelsAnswer> {
        self.post("/api/issues/reset-ready", issue).await
    }

    /// `POST /api/issues/refresh`: reads the one issue from the forge, now.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn refresh(&self, issue: &IssueRef) -> Result<issues::Issue> {
        self.post("/api/issues/refresh", issue).await
    }

    /// `POST /api/issues/label` or `…/unlabel`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn label(&self, body: &cards::LabelRequest, there: bool) -> Result<LabelsAnswer> {
        self.post(if there { "/api/issues/label" } else { "/api/issues/unlabel" }, body).await
    }

    /// `POST /api/issues/comment`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn comment(&self, body: &cards::CommentRequest) -> Result<cards::CommentAnswer> {
        self.post("/api/issues/comment", body).await
    }

    /// `GET /api/agent-runs`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn agent_runs(&self, query: &AgentRunsQuery) -> Result<Vec<AgentRun>> {
        self.get("/api/agent-runs", query).await
    }

    /// `POST /api/agent-runs`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn record_run(&self, body: &AgentRunRequest) -> Result<AgentRun> {
        self.post("/api/agent-runs", body).await
    }

    /// `GET /api/overview`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn overview(&self) -> Result<Overview> {
        self.get("/api/overview", &()).await
    }

    /// `GET /api/automation/repos/tracked`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn tracked_repos(&self) -> Result<Vec<Repo>> {
        self.get("/api/automation/repos/tracked", &()).await
    }

    /// `POST /api/automation/sync`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn automation_sync(&self, repo: Option<&RepoName>) -> Result<automation::AutomationSyncAnswer> {
        let body = automation::AutomationSyncRequest { repo: repo.map(ToString::to_string) };
        self.post("/api/automation/sync", &body).await
    }

    /// `POST /api/labels/ensure`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn ensure_labels(
        &self,
        body: &automation::EnsureLabelsRequest,
    ) -> Result<automation::EnsureLabelsAnswer> {
        self.post("/api/labels/ensure", body).await
    }

    /// `POST /api/control/pools/{program}/resume`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `health`")]
    pub async fn resume_pool(&self, program: &str) -> Result<control::Control> {
        self.post(&format!("/api/control/pools/{program}/resume"), &serde_json::json!({})).await
    }
}
