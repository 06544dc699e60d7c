//! The error of every route: one JSON shape, stable codes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stable codes; a client may match on them. The HTTP status belongs to the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 400: the request makes no sense; the sentence names the field.
    BadRequest,
    /// 400: a lane that is not configured.
    UnknownLane,
    /// 400: closed or done.
    IssueClosed,
    /// 401: no or an unknown token.
    Unauthorized,
    /// 403: the tier is not high enough.
    Forbidden,
    /// 404: no such route.
    NoRoute,
    /// 404: no such thing.
    NotFound,
    /// 405: the route has no such method.
    MethodNotAllowed,
    /// 408: the request did not arrive in time.
    Timeout,
    /// 409: leased or assigned to somebody else.
    Held,
    /// 409: the claim named is not the live one.
    StaleClaim,
    /// 409: the claim was taken away by a person.
    ClaimRevoked,
    /// 409: the transition is not possible from the present state.
    IllegalTransition,
    /// 409: the idempotency key was used with another payload.
    IdempotencyMismatch,
    /// 409: there already.
    AlreadyExists,
    /// 413: the body is too large.
    TooLarge,
    /// 422: understood, but not so on the forge.
    NotVerified,
    /// 429: too many requests.
    TooMany,
    /// 500: a fault of ours.
    Internal,
    /// 503: the store failed while the command was in flight; it may or may not be there.
    OutcomeUnknown,
    /// 503: not possible now.
    Unavailable,
}

impl Code {
    /// The HTTP status that goes with the code.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Code::BadRequest | Code::UnknownLane | Code::IssueClosed => 400,
            Code::Unauthorized => 401,
            Code::Forbidden => 403,
            Code::NoRoute | Code::NotFound => 404,
            Code::MethodNotAllowed => 405,
            Code::Timeout => 408,
            Code::Held
            | Code::StaleClaim
            | Code::ClaimRevoked
            | Code::IllegalTransition
            | Code::IdempotencyMismatch
            | Code::AlreadyExists => 409,
            Code::TooLarge => 413,
            Code::NotVerified => 422,
            Code::TooMany => 429,
            Code::Internal => 500,
            Code::OutcomeUnknown | Code::Unavailable => 503,
        }
    }
}

/// `{"error": "<sentence>", "code": "<code>"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
#[error("{error}")]
pub struct ApiError {
    /// A sentence for a person: the thing, the cause, the next step.
    pub error: String,
    /// For a program.
    pub code: Code,
}

impl ApiError {
    /// Puts the two together.
    pub fn new(code: Code, sentence: impl Into<String>) -> Self {
        Self { error: sentence.into(), code }
    }
}
