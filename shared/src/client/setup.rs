//! What is configured, and the numbers for monitoring.

use super::{Client, Result};
use crate::protocol::setup::{Setup, SetupQuery, SetupRequest};

impl Client {
    /// `GET /api/setup`.
    ///
    /// # Errors
    /// See [`Error`](super::Error); the same holds for every method below.
    pub async fn setup(&self) -> Result<Setup> {
        self.get("/api/setup", &()).await
    }

    /// `GET /api/setup?check=true`: has the permissions looked at anew.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `setup`")]
    pub async fn check_setup(&self) -> Result<Setup> {
        self.get("/api/setup", &SetupQuery { check: true }).await
    }

    /// `PUT /api/setup`: keeps credentials.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `setup`")]
    pub async fn put_setup(&self, body: &SetupRequest) -> Result<Setup> {
        self.call("PUT", "/api/setup", body).await
    }

    /// `GET /metrics`, as Prometheus reads it.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `setup`")]
    pub async fn metrics(&self) -> Result<String> {
        let answer = self.send(self.request(reqwest::Method::GET, "/metrics")).await?;
        answer.text().await.map_err(|e| self.unreachable(&e))
    }
}
