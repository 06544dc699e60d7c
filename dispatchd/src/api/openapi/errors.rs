//! The answers that say no: one for each status, which all routes share.

use serde_json::{Map, Value, json};

/// Status, name, meaning.
const ALL: [(u16, &str, &str); 11] = [
    (400, "BadRequest", "The request makes no sense; the sentence names the field."),
    (401, "Unauthorized", "No token over TCP, or one that is not known; of a webhook a wrong signature."),
    (403, "Forbidden", "The token's tier is too low, or it acts for another name."),
    (404, "NotFound", "There is no such thing."),
    (408, "Timeout", "The body did not arrive in time."),
    (409, "Conflict", "Not done: somebody else holds it, or it has moved on."),
    (413, "TooLarge", "The body is larger than 1 MiB; of a webhook 25 MiB."),
    (422, "NotVerified", "Understood, but not so on the forge."),
    (429, "TooMany", "Too many changes in a short time; over TCP alone."),
    (500, "Internal", "A fault of Dispatch's own."),
    (503, "Unavailable", "Not possible now, or nobody knows whether it was done: ask again later."),
];

/// All of them, by name.
pub(super) fn all() -> Map<String, Value> {
    ALL.iter().map(|(status, name, what)| ((*name).to_owned(), answer(*status, what))).collect()
}

/// The one with this status.
///
/// # Panics
/// If there is none: a test makes the whole document.
pub(super) fn reference(status: u16) -> Value {
    let known = ALL.iter().find(|(s, ..)| *s == status);
    let (_, name, _) = known.expect("the table of routes names statuses that are listed here");
    json!({"$ref": format!("#/components/responses/{name}")})
}

fn answer(status: u16, what: &str) -> Value {
    let mut schema = json!({"$ref": "#/components/schemas/ApiError"});
    if status == 403 {
        let tier = json!({"type": "string", "enum": ["worker", "maintainer"], "description": "The tier that it takes."});
        schema = json!({"allOf": [schema], "properties": {"tierNeeded": tier}, "required": ["tierNeeded"]});
    }
    let mut answer = json!({"description": what, "content": {"application/json": {"schema": schema}}});
    let header = match status {
        401 => ("WWW-Authenticate", json!({"schema": {"type": "string"}})),
        429 => (
            "Retry-After",
            json!({"description": "Seconds.", "required": true, "schema": {"type": "integer", "minimum": 1}}),
        ),
        _ => return answer,
    };
    answer["headers"] = json!({header.0: header.1});
    answer
}
