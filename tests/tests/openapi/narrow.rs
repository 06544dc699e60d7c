//! The document as a fuzzer should read it: what exists is named, and nothing waits by request.

use serde_json::{Map, Value, json};

/// Ids that exist.
pub(super) struct Known {
    pub(super) local: Vec<String>,
    pub(super) remote: Vec<String>,
    pub(super) workflow: String,
    pub(super) run: String,
}

impl Known {
    /// Far more is asked than fits: GitHub's limits are kept towards the fake, too, so most of it is about what lies on disk.
    fn issues(&self, names: Names) -> Value {
        let remote = if names == Names::Only { self.remote.len() } else { 1 };
        json!(self.local.iter().chain(self.remote.iter().take(remote)).collect::<Vec<_>>())
    }
}

/// How what exists is named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Beside whatever fits the schema.
    Also,
    /// Always, and nothing that could contradict it: such requests get past the first checks.
    Only,
}

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Each operation as method, path, and what the document says of it.
pub(super) fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, item)| METHODS.iter().filter_map(move |m| Some((*m, path.as_str(), item.get(*m)?))))
        .collect()
}

/// The ids of the operations that `keep` chooses.
pub(super) fn ids(document: &Value, keep: impl Fn(&str, &str, &Value) -> bool) -> Vec<String> {
    let chosen =
        operations(document).into_iter().filter(|(method, path, operation)| keep(method, path, operation));
    chosen.filter_map(|(.., operation)| operation["operationId"].as_str().map(ToOwned::to_owned)).collect()
}

/// See the module.
pub(super) fn narrowed(document: &Value, known: &Known, names: Names) -> Value {
    let mut narrowed = document.clone();
    let paths = narrowed["paths"].as_object_mut().expect("paths");
    for (path, item) in paths.iter_mut() {
        for operation in item.as_object_mut().expect("a path").values_mut() {
            // Over TCP there is no way around the token.
            if operation["security"].as_array().is_some_and(|s| !s.is_empty()) {
                operation["security"] = json!([{"bearer": []}]);
            }
            if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
                // Two wait by request, one for the forge.
                parameters.retain(|p| !["wait", "follow", "check"].iter().any(|name| p["name"] == *name));
                for parameter in parameters {
                    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
                    let there = in_path(&name, path, known).filter(|_| parameter["in"] == "path");
                    let there = there.unwrap_or_else(|| of_parameter(&name));
                    let there = if there == json!("issues") { known.issues(names) } else { there };
                    name_it(&mut parameter["schema"], &there, names);
                }
            }
        }
    }
    let schemas = narrowed["components"]["schemas"].as_object_mut().expect("schemas");
    for (.., operation) in operations(document) {
        let reference = operation.pointer("/requestBody/content/application~1json/schema/$ref");
        let name = reference.and_then(Value::as_str).and_then(|r| r.rsplit('/').next());
        if let Some(schema) = name.and_then(|n| schemas.get_mut(n)).and_then(Value::as_object_mut) {
            name_fields(schema, name.unwrap_or_default(), known, names);
        }
    }
    narrowed
}

fn name_fields(schema: &mut Map<String, Value>, of: &str, known: &Known, names: Names) {
    let Some(mut fields) = schema.get("properties").and_then(Value::as_object).cloned() else { return };
    let by_id = fields.contains_key("issueId");
    let mut needed = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    if names == Names::Only {
        let contradicts = |name: &str| match name {
            "repoFullName" | "issueNumber" | "repo" if by_id => true,
            "id" | "generation" | "claimId" | "workId" | "leaseId" | "attempt" | "prFixItem" => true,
            "pullRequestNumber" | "pullRequestUrl" | "newLabels" | "path" | "forge" => true,
            _ => false,
        };
        // By hand: one of its four subjects alone, and nothing that names a template which is not there.
        let by_hand = |name: &str| {
            of != "DispatchRequest" || matches!(name, "repo" | "task" | "agent" | "branch" | "dry_run")
        };
        fields.retain(|name, _| !contradicts(name) && by_hand(name));
    }
    for (name, field) in &mut fields {
        let there = if name == "issueId" { known.issues(names) } else { of_field(of, name) };
        if there.is_null() {
            continue;
        }
        name_it(field, &there, names);
        if names == Names::Only && !needed.iter().any(|n| n == name) {
            needed.push(json!(name));
        }
    }
    schema.insert("properties".to_owned(), Value::Object(fields));
    schema.insert("required".to_owned(), Value::Array(needed));
}

/// Has a schema mean these values, or these as well.
fn name_it(schema: &mut Value, there: &Value, names: Names) {
    match (there.is_array(), names) {
        (false, _) => {}
        (true, Names::Also) => *schema = json!({"anyOf": [{"enum": there}, schema.take()]}),
        (true, Names::Only) => *schema = json!({"enum": there}),
    }
}

/// What exists under a parameter of this path.
fn in_path(name: &str, path: &str, known: &Known) -> Option<Value> {
    Some(match name {
        "id" if path.starts_with("/api/automation/runs/") => json!([known.run]),
        "id" if path.starts_with("/api/automation/workflows/") => json!([known.workflow]),
        "id" if path.starts_with("/api/runs/") => json!(["r-1", "2"]),
        "id" if path.starts_with("/api/issues/") => json!("issues"),
        "owner" => json!(["acme"]),
        "repo" if path.contains("{owner}") => json!(["spare", "SPARE"]),
        "repo" => json!(["acme/web"]),
        _ => return None,
    })
}

fn of_parameter(name: &str) -> Value {
    match name {
        "agent" | "agentName" | "x-agent-name" => json!(["kai", "sample"]),
        "lane" => json!(["local", "frontier"]),
        "repo" | "repoFullName" => json!(["acme/api", "ACME/web"]),
        "number" => json!([1, 3]),
        "status" => json!(["ready", "in-progress"]),
        "priority" => json!(["p1", "priority/p2"]),
        "action" => json!(["rerun", "dispatch"]),
        "stream" => json!(["raw", "events"]),
        "mode" => json!(["implement", "groom"]),
        "program" => json!(["sample"]),
        "cursor" => json!(["1"]),
        _ => Value::Null,
    }
}

fn of_field(schema: &str, name: &str) -> Value {
    match (schema, name) {
        ("DispatchRequest", "repo") => json!(["local/sample"]),
        ("DispatchRequest", "agent") => json!(["sample"]),
        ("DispatchRequest", "branch") => json!(["work/by-hand"]),
        ("DispatchRequest", "task") => json!(["Paint it."]),
        ("DispatchRequest", "dry_run") => json!([true]),
        (_, "agentName" | "agent") => json!(["kai", "sample"]),
        (_, "repoFullName") => json!(["acme/api", "local/sample"]),
        ("AddRepoRequest", "fullName") => json!(["acme/spare"]),
        ("EnqueueRequest" | "MarkRequest" | "AutomationSyncRequest" | "SyncBody", "repo") => {
            json!(["acme/api"])
        }
        ("EnqueueRequest" | "MarkRequest", "pr") => json!([2]),
        ("EnqueueRequest", "type") => json!(["CI_FAILURE", "review-feedback"]),
        ("EnqueueRequest" | "MarkRequest", "lane") => json!(["NORMAL", "escalated"]),
        ("MarkRequest", "status") => json!(["FIXED", "blocked"]),
        ("MoveRequest", "status") => json!(["ready", "status/backlog", "in-review"]),
        ("StatusRequest", "status") => json!(["ready", "blocked", "in-progress", "done"]),
        ("AgentRunRequest", "status") => json!(["ok"]),
        ("AgentRunRequest", "runType") => json!(["heartbeat"]),
        ("WorkActionRequest", "action") => json!(["release", "reassign"]),
        ("GroomRequest", "groomingSummary") => json!(["Looked at."]),
        ("LabelRequest", "label") => json!(["type/bug", "area: web/ui 100%"]),
        ("CommentRequest", "body") => json!(["Hello."]),
        ("AnswerRequest", "text") => json!(["Blue."]),
        ("CheckpointRequest", "checkpoint") => json!(["CLAIMED", "TESTS_RUNNING", "PR_OPENED"]),
        ("FinishRequest", "state") => json!(["DONE", "BLOCKED", "RELEASED"]),
        ("LaneRequest", "classification") => json!([{"lane": "cloud"}, null]),
        ("ChildrenRequest", "items") => json!([["One"], [{"title": "Two", "labels": ["type/bug"]}]]),
        _ => Value::Null,
    }
}
