//! The one place that maps refusals and faults to status and code.

use axum::response::{IntoResponse, Response};
use dispatch_shared::error::{ApiError, Code};
use hyper::{StatusCode, header};

use crate::core::command::Refusal;
use crate::edges::ForgeError;
use crate::ledger::{Fault, ReadFault};

/// An error on its way out.
#[derive(Debug)]
pub struct Failure(pub ApiError);

/// What handlers return.
pub type Result<T> = std::result::Result<T, Failure>;

/// An error with `code` and a sentence.
pub fn failure(code: Code, sentence: impl Into<String>) -> Failure {
    Failure(ApiError::new(code, sentence))
}

/// Reads much of the store on a thread that may block, so that other answers do not wait for it.
///
/// # Errors
/// 500 if the reading panicked.
pub async fn blocking<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(read).await;
    done.map_err(|e| failure(Code::Internal, format!("reading the store was broken off: {e}")))
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::Invalid(_) => Code::BadRequest,
            Refusal::UnknownLane(_) => Code::UnknownLane,
            Refusal::NotFound(_) => Code::NotFound,
            Refusal::Closed(_) => Code::IssueClosed,
            Refusal::Held(_) => Code::Held,
            Refusal::Stale(_) => Code::StaleClaim,
            Refusal::Revoked(_) => Code::ClaimRevoked,
            Refusal::Illegal(_) => Code::IllegalTransition,
            Refusal::KeyReused(_) => Code::IdempotencyMismatch,
            Refusal::Exists(_) => Code::AlreadyExists,
            Refusal::NotVerified(_) => Code::NotVerified,
        };
        failure(code, refusal.to_string())
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refusal) => refusal.into(),
            Fault::Internal(_) => failure(Code::Internal, fault.to_string()),
            Fault::OutcomeUnknown(_) => failure(Code::OutcomeUnknown, fault.to_string()),
            Fault::Stopping => {
                failure(Code::Unavailable, "the daemon is stopping; try again when it is back")
            }
        }
    }
}

impl From<ReadFault> for Failure {
    fn from(fault: ReadFault) -> Self {
        failure(Code::Unavailable, fault.to_string())
    }
}

impl From<ForgeError> for Failure {
    fn from(error: ForgeError) -> Self {
        let code = match &error {
            ForgeError::NotFound(_) => Code::NotFound,
            ForgeError::Refused(_) | ForgeError::Unauthorized(_) => Code::NotVerified,
            ForgeError::RateLimited { .. } | ForgeError::Unreachable(_) => Code::Unavailable,
        };
        failure(code, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self.0).unwrap_or_else(|_| String::from("{}"));
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}
