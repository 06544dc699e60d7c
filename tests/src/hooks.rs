//! Payloads of GitHub's webhooks about `acme/api` (1001), one for each event and action that Dispatch listens to. They hold
//! what GitHub's public schema requires, and nothing else; a test changes what matters to it.

use std::path::Path;

use serde_json::Value;

/// Every event with its action; an event without one has "".
pub const ALL: &[(&str, &str)] = &[
    ("issues", "opened"),
    ("issues", "closed"),
    ("issues", "labeled"),
    ("issues", "deleted"),
    ("issue_comment", "created"),
    ("pull_request", "opened"),
    ("pull_request", "synchronize"),
    ("pull_request", "closed"),
    ("pull_request_review", "submitted"),
    ("pull_request_review_comment", "created"),
    ("pull_request_review_thread", "resolved"),
    ("check_run", "completed"),
    ("check_suite", "completed"),
    ("workflow_run", "completed"),
    ("status", ""),
    ("push", ""),
    ("label", "created"),
    ("label", "edited"),
    ("label", "deleted"),
    ("repository", "renamed"),
    ("repository", "archived"),
    ("installation", "created"),
    ("installation", "suspend"),
    ("installation_repositories", "added"),
    ("ping", ""),
];

/// The payload of an event.
///
/// # Panics
/// If there is none for it.
#[must_use]
pub fn payload(event: &str, action: &str) -> Value {
    let name = if action.is_empty() { format!("{event}.json") } else { format!("{event}.{action}.json") };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/webhooks").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("a fixture is JSON")
}
