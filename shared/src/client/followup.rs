//! The PR-fix queue.

use super::{Client, Result};
use crate::protocol::followup::{
    EnqueueRequest, FixHistoryRow, FixItem, FixQuery, FollowupSyncAnswer, MarkRequest,
};

impl Client {
    /// `POST /api/pr-fix-queue/enqueue`.
    ///
    /// # Errors
    /// See [`super::Error`]; the same holds for every method below.
    pub async fn enqueue_fix(&self, body: &EnqueueRequest) -> Result<FixItem> {
        self.call("POST", "/api/pr-fix-queue/enqueue", body).await
    }

    /// `POST /api/pr-fix-queue/mark`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `enqueue_fix`")]
    pub async fn mark_fix(&self, body: &MarkRequest) -> Result<FixItem> {
        self.call("POST", "/api/pr-fix-queue/mark", body).await
    }

    /// `POST /api/pr-fix-queue/requeue`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `enqueue_fix`")]
    pub async fn requeue_fix(&self, body: &MarkRequest) -> Result<FixItem> {
        self.call("POST", "/api/pr-fix-queue/requeue", body).await
    }

    /// `POST /api/pr-fix-queue/ack`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `enqueue_fix`")]
    pub async fn ack_fix(&self, body: &MarkRequest) -> Result<FixItem> {
        self.call("POST", "/api/pr-fix-queue/ack", body).await
    }

    /// `GET /api/pr-fix-queue/queued`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `enqueue_fix`")]
    pub async fn queued_fixes(&self, query: &FixQuery) -> Result<Vec<FixItem>> {
        self.get("/api/pr-fix-queue/queued", query).await
    }

    /// `GET /api/pr-fix-queue/history`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `enqueue_fix`")]
    pub async fn fix_history(&self, query: &FixQuery) -> Result<Vec<FixHistoryRow>> {
        self.get("/api/pr-fix-queue/history", query).await
    }

    /// `POST /api/pr-followup/sync`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `enqueue_fix`")]
    pub async fn sync_followups(&self) -> Result<FollowupSyncAnswer> {
        self.call("POST", "/api/pr-followup/sync", &serde_json::json!({})).await
    }
}
