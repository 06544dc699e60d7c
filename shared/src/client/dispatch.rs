//! Runs by hand, grooming, and splitting issues.

use super::{Client, Result};
use crate::id::IssueId;
use crate::protocol::dispatch::{DispatchAnswer, DispatchRequest};
use crate::protocol::grooming::{
    ChildrenAnswer, ChildrenRequest, DecomposeAnswer, DecomposeRequest, GroomAnswer, GroomRequest,
    GroomerRun, GroomerRunRequest,
};

impl Client {
    /// `POST /api/dispatch`.
    ///
    /// # Errors
    /// See [`super::Error`]; the same holds for every method below.
    pub async fn dispatch(&self, body: &DispatchRequest) -> Result<DispatchAnswer> {
        self.call("POST", "/api/dispatch", body).await
    }

    /// `POST /api/issues/groom`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `dispatch`")]
    pub async fn groom(&self, body: &GroomRequest) -> Result<GroomAnswer> {
        self.call("POST", "/api/issues/groom", body).await
    }

    /// `POST /api/groomer/run`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `dispatch`")]
    pub async fn run_groomer(&self, body: &GroomerRunRequest) -> Result<GroomerRun> {
        self.call("POST", "/api/groomer/run", body).await
    }

    /// `GET /api/groomer/runs`: the newest first.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `dispatch`")]
    pub async fn groomer_runs(&self, limit: Option<usize>) -> Result<Vec<GroomerRun>> {
        self.get("/api/groomer/runs", &serde_json::json!({ "limit": limit })).await
    }

    /// `POST /api/issues/actions/decompose`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `dispatch`")]
    pub async fn decompose(&self, body: &DecomposeRequest) -> Result<DecomposeAnswer> {
        self.call("POST", "/api/issues/actions/decompose", body).await
    }

    /// `POST /api/issues/{id}/children`.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `dispatch`")]
    pub async fn children(&self, issue: &IssueId, body: &ChildrenRequest) -> Result<ChildrenAnswer> {
        self.call("POST", &format!("/api/issues/{issue}/children"), body).await
    }
}
