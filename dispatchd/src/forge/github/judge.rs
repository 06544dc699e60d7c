//! What an answer that is not a yes means: a limit, a credential that is not let in, a permission that lacks, or no connection.

use dispatch_shared::Timestamp;
use reqwest::StatusCode;

use super::access::Bearer;
use super::answer::{Answer, Complaint};
use super::call::Call;
use super::client::Client;
use super::limit::{self, Limit};
use super::permission;
use crate::core::throttle::SILENCE;
use crate::edges::ForgeError;

impl Client {
    /// What a connection that failed is called.
    pub(super) fn broken(&self, error: &reqwest::Error, what: &str) -> ForgeError {
        let why = if error.is_timeout() {
            format!("GitHub did not answer within {} s", self.timeout.as_secs_f32())
        } else if error.is_connect() {
            format!("{} cannot be reached: {}", self.api.host_str().unwrap_or("GitHub"), cause(error))
        } else {
            format!("the answer broke off: {}", cause(error))
        };
        ForgeError::Unreachable(format!("{what} failed: {why}; it will be tried again"))
    }

    /// The answer if it is a yes (or "not modified"); else what it means, noted where it is remembered.
    pub(super) fn judge(
        &self,
        answer: Answer,
        call: &Call<'_>,
        bearer: &Bearer,
    ) -> Result<Answer, ForgeError> {
        let status = answer.status;
        let gate = self.gates.of(&bearer.who);
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            gate.went_well();
            self.access.went_well(&bearer.who);
            return Ok(answer);
        }
        let complaint = answer.complaint();
        let said = complaint.as_ref().map(Complaint::sentence).unwrap_or_default();
        let now = self.edges.clock.now();
        let until = match limit::met(status, &answer.headers, &said, now) {
            Some(Limit::Primary(reset)) => gate.exhausted(call.resource, reset.unwrap_or(now + SILENCE)),
            Some(Limit::Secondary(until)) => gate.silence(until),
            None if status == StatusCode::UNAUTHORIZED && complaint.is_some() => {
                let refused = self.access.refuse(bearer, &said, now);
                return Err(ForgeError::Unauthorized(format!("{} failed: {refused}", call.what)));
            }
            None => {
                let repo = call.repo.map(ToString::to_string);
                let lacks = (status == StatusCode::FORBIDDEN && complaint.is_some()).then(|| {
                    let (headers, web) = (&answer.headers, self.web());
                    permission::refusal(
                        headers,
                        &said,
                        &call.method,
                        &call.url,
                        repo.as_deref(),
                        bearer,
                        &web,
                    )
                });
                return Err(match lacks.flatten() {
                    Some(lacks) => {
                        let text = format!("{} was refused: {lacks} (GitHub said: {said})", call.what);
                        ForgeError::Refused(text)
                    }
                    None => answer.error(complaint.is_some(), &said, call.what),
                });
            }
        };
        Err(limited(until, call.what, &said))
    }
}

pub(super) fn limited(until: Timestamp, what: &str, said: &str) -> ForgeError {
    ForgeError::RateLimited { until, what: format!("{what} met GitHub's limit: {said}") }
}

/// The innermost cause, without the address: what a person can act on.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
