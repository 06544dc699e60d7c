//! An answer of GitHub: its JSON, or what it means as an error, in words that name the cause and the next step.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderMap};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::edges::ForgeError;

/// An answer that is no error: 2xx or 304.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// It came from another address than was asked, for good.
    pub(super) moved: bool,
}

impl Answer {
    /// The JSON in it.
    pub(super) fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T, ForgeError> {
        serde_json::from_slice(&self.body).map_err(|e| {
            ForgeError::Unreachable(format!(
                "{what} failed: GitHub's answer ({}) is not the JSON expected: {e}; it will be tried again",
                self.status
            ))
        })
    }

    /// Its validator, verbatim.
    pub(super) fn etag(&self) -> Option<&str> {
        self.headers.get(ETAG)?.to_str().ok()
    }

    /// GitHub's complaint, if the body is one.
    pub(super) fn complaint(&self) -> Option<Complaint> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What GitHub says of a GraphQL query that met a limit, which it answers with 200.
    pub(super) fn graphql_limit(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Errors {
            errors: Option<Vec<serde_json::Value>>,
        }
        let errors = serde_json::from_slice::<Errors>(&self.body).ok()?.errors?;
        let text = |e: &serde_json::Value, key: &str| e.get(key).and_then(|v| v.as_str()).map(str::to_owned);
        let limited = |word: String| word.contains("RATE_LIMIT");
        let met = errors.iter().find(|e| text(e, "type").is_some_and(limited))?;
        Some(text(met, "message").unwrap_or_default())
    }

    /// What an answer that is no success and no limit means: whether GitHub itself speaks (`ours`: its JSON was there),
    /// and what it `said`.
    pub(super) fn error(&self, ours: bool, said: &str, what: &str) -> ForgeError {
        let status = self.status;
        // An error without JSON is a gateway speaking, not GitHub: it says nothing of the thing asked for.
        if !ours || status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            return ForgeError::Unreachable(format!(
                "{what} failed: GitHub answered {status}{}; it will be tried again",
                if ours { "" } else { " with a page that is not its own" }
            ));
        }
        match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => ForgeError::NotFound(format!(
                "{what} failed: GitHub has no such thing, or the token may not see it ({said}); check the name and \
                 what the token may access"
            )),
            StatusCode::FORBIDDEN => {
                ForgeError::Refused(format!("{what} was refused: {said}; check what the token may write"))
            }
            _ => ForgeError::Refused(format!("{what} was refused: {said} ({status})")),
        }
    }
}

/// What GitHub writes with an error.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Complaint {
    message: String,
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

impl Complaint {
    /// The message with the details behind it.
    pub(super) fn sentence(&self) -> String {
        let details = self.errors.iter().filter_map(|e| {
            let text = |key: &str| e.get(key).and_then(|v| v.as_str());
            match (text("message"), text("field"), text("code")) {
                (Some(message), ..) => Some(message.to_owned()),
                (None, Some(field), Some(code)) => Some(format!("{field} {code}")),
                _ => e.as_str().map(str::to_owned),
            }
        });
        let mut sentence = self.message.trim_end_matches('.').to_owned();
        for detail in details {
            sentence.push_str(": ");
            sentence.push_str(&detail);
        }
        sentence.chars().take(400).collect()
    }
}
