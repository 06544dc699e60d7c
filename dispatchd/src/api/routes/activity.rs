//! `/api/audit`.

use axum::extract::State;
use dispatch_shared::protocol::activity::{AuditQuery, AuditRow};

use crate::api::App;
use crate::api::error::{Result, blocking};
use crate::api::extract::{Json, Query};
use crate::ledger::AuditFilter;

/// The most rows in one answer.
const LIMIT: usize = 10_000;

pub(super) async fn audit(
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Vec<AuditRow>>> {
    let filter = AuditFilter {
        repo: query.repo.map(|r| r.to_lowercase()),
        issue: query.issue,
        actor: query.actor,
        action: query.action,
    };
    let limit = query.limit.unwrap_or(50).min(LIMIT);
    Ok(Json(blocking(move || app.ledger.audit(&filter, limit)).await??))
}
