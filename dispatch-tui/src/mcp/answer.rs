//! Turns the daemon's answers and refusals into what a model reads.

use dispatch_shared::client::Error;
use dispatch_shared::error::Code;
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::Value;

/// Why a tool has no answer: one sentence with the next step, and a code if the daemon gave one.
#[derive(Debug)]
pub(super) struct Refusal {
    sentence: String,
    code: Option<Code>,
}

impl From<String> for Refusal {
    fn from(sentence: String) -> Self {
        Self { sentence, code: None }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let code = error.code();
        let sentence = match (&error, code) {
            (_, Some(Code::NoRoute | Code::MethodNotAllowed)) => {
                format!(
                    "this daemon cannot do that ({error}); it is older than this program, or the feature is not in it yet"
                )
            }
            (_, Some(Code::Forbidden | Code::Unauthorized)) => {
                format!("{error}; ask your operator, do not look for another token")
            }
            (_, Some(Code::StaleClaim | Code::ClaimRevoked)) => {
                format!("{error}; stop working on it and do not report it again")
            }
            (Error::Unreachable { .. }, _) => {
                format!("{error}; try again later, or ask your operator to start dispatchd")
            }
            _ => error.to_string(),
        };
        Self { sentence, code }
    }
}

/// What every tool comes to.
pub(super) type Answer = Result<Value, Refusal>;

/// The answer as the protocol has it. Lists are wrapped, for structured content has to be an object.
pub(super) fn result(answer: Answer) -> CallToolResult {
    match answer {
        Ok(value @ Value::Object(_)) => CallToolResult::structured(value),
        Ok(Value::Array(items)) => {
            CallToolResult::structured(serde_json::json!({ "count": items.len(), "items": items }))
        }
        Ok(Value::String(text)) => CallToolResult::success(vec![ContentBlock::text(text)]),
        Ok(other) => CallToolResult::structured(serde_json::json!({ "value": other })),
        Err(refusal) => {
            let mut error = serde_json::json!({ "error": refusal.sentence });
            if let Some(code) = refusal.code {
                error["code"] = json(&code).unwrap_or_default();
            }
            let mut result = CallToolResult::error(vec![ContentBlock::text(refusal.sentence)]);
            result.structured_content = Some(error);
            result
        }
    }
}

/// A typed answer as a value.
pub(super) fn json(value: &impl Serialize) -> Answer {
    serde_json::to_value(value).map_err(|e| Refusal::from(format!("the answer cannot be written down: {e}")))
}
