//! The document as a fuzzer should read it: names that exist stand beside those that it makes up, and nothing waits by request.

use serde_json::{Value, json};

/// Ids that exist.
pub(super) struct Known {
    pub(super) issues: Vec<String>,
    pub(super) fixes: Vec<String>,
}

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// `GET /api/…` for each operation.
pub(super) fn routes(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_object().expect("paths");
    let of = |(path, item): (&String, &Value)| {
        let there = METHODS.iter().filter(|m| item.get(**m).is_some());
        there.map(|m| format!("{} {path}", m.to_uppercase())).collect::<Vec<_>>()
    };
    let mut routes: Vec<String> = paths.iter().flat_map(of).collect();
    routes.sort();
    routes
}

/// The ids of the operations that `keep`, given method, path and operation, chooses.
pub(super) fn ids(document: &Value, keep: impl Fn(&str, &str, &Value) -> bool) -> Vec<String> {
    let paths = document["paths"].as_object().expect("paths");
    let items = paths.iter().flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(method, operation)| (method, path, operation))
    });
    items
        .filter(|(method, path, operation)| keep(method, path, operation))
        .filter_map(|(.., operation)| operation["operationId"].as_str().map(ToOwned::to_owned))
        .collect()
}

/// See the module.
pub(super) fn narrowed(document: &Value, known: &Known) -> Value {
    let mut document = document.clone();
    let paths = document["paths"].as_object_mut().expect("paths");
    for (path, item) in paths.iter_mut() {
        let item = item.as_object_mut().expect("a path");
        for operation in item.values_mut() {
            // Over TCP there is no way around the token.
            if operation["security"].as_array().is_some_and(|s| !s.is_empty()) {
                operation["security"] = json!([{"bearer": []}]);
            }
            if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
                parameters.retain(|p| p["name"] != "wait" && p["name"] != "follow");
                for parameter in parameters {
                    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
                    let there = match (name.as_str(), parameter["in"].as_str()) {
                        ("id", Some("path")) if path.starts_with("/api/runs/") => json!(["r-1", "1"]),
                        ("id", Some("path")) if path.starts_with("/api/issues/") => json!(known.issues),
                        ("owner", Some("path")) => json!(["acme", "local"]),
                        ("repo", Some("path")) if path.contains("{owner}") => json!(["api", "web", "sample"]),
                        _ => values(&name, known),
                    };
                    widen(&mut parameter["schema"], &there);
                }
            }
        }
    }
    for schema in document["components"]["schemas"].as_object_mut().into_iter().flatten().map(|(_, s)| s) {
        for (name, field) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
        {
            widen(field, &values(name, known));
        }
    }
    document
}

/// Beside whatever fits the schema, one of these.
fn widen(schema: &mut Value, there: &Value) {
    if there.as_array().is_some_and(|t| !t.is_empty()) {
        *schema = json!({"anyOf": [{"enum": there}, schema.take()]});
    }
}

/// Values that mean something here, by the name of their field.
fn values(name: &str, known: &Known) -> Value {
    match name {
        "issueId" => json!(known.issues),
        "id" => json!(known.fixes),
        "repo" | "repoFullName" | "fullName" => json!(["acme/api", "ACME/web", "local/sample"]),
        "issueNumber" | "number" | "issue" => json!([1, 3, 4, 5]),
        "pr" | "pullRequestNumber" => json!([2]),
        "agent" | "agentName" | "actor" | "x-agent-name" => json!(["kai", "sample"]),
        "lane" => json!(["local", "frontier", "NORMAL"]),
        "status" => json!(["ready", "in-progress", "blocked", "FIXED"]),
        "action" => json!(["release", "reassign", "rerun", "promote_to_ready", "mark_blocked"]),
        "snapshot" => json!(["board"]),
        "stream" => json!(["raw", "events"]),
        "mode" => json!(["implement", "groom"]),
        "program" => json!(["sample"]),
        "forge" => json!(["github", "local"]),
        "label" => json!(["type/bug"]),
        _ => json!([]),
    }
}
