//! What a worker may not ask for although the route is open to it: another's name, force, a claim that is not its own, a
//! mark that only an operator sets. Pure, and checked for all routes in one place, before any handler.

use dispatch_shared::id::AgentName;
use serde_json::{Map, Value};

/// The fields by which a body says for whom it is.
const NAMES: [&str; 3] = ["agentname", "agent", "actor"];
/// The marks that a worker may set on a PR-fix item.
const MARKS: [&str; 3] = ["FIXED", "BLOCKED", "STALE"];

/// Why a worker was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum No {
    /// It takes a maintainer; the sentence says for what.
    Maintainer(String),
    /// The token belongs to another name.
    Name(String),
}

/// Whether a worker, bound to a name or to none, may send `body` to `path`.
///
/// # Errors
/// [`No`].
pub fn may(bound: Option<&AgentName>, path: &str, body: &Map<String, Value>) -> Result<(), No> {
    if let Some(bound) = bound {
        for (field, name) in named(body) {
            if name != bound.as_str() {
                return Err(No::Name(format!("this token acts for {bound} alone, and {field} is {name}")));
            }
        }
    }
    let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or("");
    match path {
        "/api/issues/claim" if body.get("force") == Some(&Value::Bool(true)) => {
            Err(No::Maintainer("claiming with force".into()))
        }
        "/api/issues/unclaim" if body.get("force") == Some(&Value::Bool(true)) => {
            Err(No::Maintainer("giving back with force".into()))
        }
        "/api/issues/unclaim" if text("agentName").is_empty() => {
            Err(No::Maintainer("giving back a claim without saying whose (agentName)".into()))
        }
        "/api/pr-fix-queue/mark" if !MARKS.contains(&text("status").to_ascii_uppercase().as_str()) => {
            Err(No::Maintainer(format!("marking with a status other than {}", MARKS.join(", "))))
        }
        _ => Ok(()),
    }
}

/// The names in a body, each with its field as it was written.
fn named(body: &Map<String, Value>) -> impl Iterator<Item = (&str, &str)> {
    body.iter().filter_map(|(field, value)| {
        let plain = field.replace('_', "").to_ascii_lowercase();
        let name = value.as_str().filter(|n| !n.is_empty())?;
        NAMES.contains(&plain.as_str()).then_some((field.as_str(), name))
    })
}

/// The agent for whom a body speaks, if it says so.
#[must_use]
pub fn speaks_for(body: &Map<String, Value>) -> Option<AgentName> {
    body.get("agentName").and_then(Value::as_str).and_then(|name| AgentName::parse(name).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(bound: Option<&str>, path: &str, body: Value) -> Result<(), No> {
        let bound = bound.map(|b| AgentName::parse(b).expect("a name"));
        may(bound.as_ref(), path, body.as_object().expect("an object"))
    }

    #[test]
    fn a_bound_worker_speaks_for_itself_alone() {
        for field in ["agentName", "agent_name", "actor", "agent", "AGENTNAME"] {
            let refused = ask(Some("kai"), "/api/agent-work/start", serde_json::json!({ field: "ben" }));
            assert!(matches!(&refused, Err(No::Name(why)) if why.contains("kai")), "{field}: {refused:?}");
            assert_eq!(
                ask(Some("kai"), "/api/agent-work/start", serde_json::json!({ field: "kai" })),
                Ok(())
            );
            assert_eq!(ask(None, "/api/agent-work/start", serde_json::json!({ field: "ben" })), Ok(()));
        }
    }

    #[test]
    fn workers_neither_force_nor_release_others() {
        let no = |path, body| matches!(ask(None, path, body), Err(No::Maintainer(_)));
        assert!(no("/api/issues/claim", serde_json::json!({"agentName": "a", "force": true})));
        assert!(!no("/api/issues/claim", serde_json::json!({"agentName": "a", "force": false})));
        assert!(no("/api/issues/unclaim", serde_json::json!({})));
        assert!(no("/api/issues/unclaim", serde_json::json!({"agentName": ""})));
        assert!(!no("/api/issues/unclaim", serde_json::json!({"agentName": "a"})));
    }

    #[test]
    fn workers_mark_only_what_they_can_know() {
        let mark = |status: &str| {
            ask(None, "/api/pr-fix-queue/mark", serde_json::json!({ "status": status })).is_ok()
        };
        assert!(["FIXED", "blocked", "Stale"].map(mark).iter().all(|ok| *ok));
        assert!(!["IGNORED", "queued", ""].map(mark).iter().any(|ok| *ok));
    }
}
