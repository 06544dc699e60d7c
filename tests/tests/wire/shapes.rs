//! The shapes of the contract, written out by hand: whatever is frozen, an answer has these fields with these types.
//! More fields are fine, others or fewer are not. A word is a type, `a|b` one of several, a field with `?` may be absent,
//! one with `~` null, one with `!` is not there.

use serde_json::{Value, json};

fn shape(route: &str) -> Option<Value> {
    let claim = json!({"id": "id", "agentName": "string", "attempt": "int", "leaseExpiresAt": "time", "renewEverySeconds": "int"});
    let pull = json!({"number": "int", "url": "url", "state": "word", "isDraft": "bool", "headSha": "string",
        "reviewDecision": "string|null", "mergeState": "string|null", "checks": {"passed": "int", "failed": "int", "pending": "int"},
        "unresolvedThreads": "int", "needsFollowup": "bool", "followupReasons": ["string"], "checkedAt": "time|null"});
    let issue = json!({"id": "id", "issueId": "id", "number": "int", "title": "string", "url": "url", "state": "word",
        "body": "string", "labels": ["string"], "assignees": ["string"], "status": "status|null",
        "priority": "priority|null", "type": "string|null", "lane": "string", "currentLane": "string",
        "agent": "string|null", "owner": "string|null",
        "repository": {"owner": "string", "name": "string", "fullName": "repo"}, "repoFullName": "repo",
        "decomposed": "bool", "decomposedNote": "string|null", "followUpUrls": ["string"], "groomedAt": "time|null",
        "linkedPrNumber": "int|null", "linkedPrUrl": "url|null", "linkedPr~": pull, "claim~": claim, "createdAt": "time", "updatedAt": "time",
        "closedAt": "time|null"});
    let labels =
        json!({"success": true, "labels": ["string"], "status": "status|null", "statusNote?": "string"});
    let repo = json!({"fullName": "repo", "name": "string", "owner": "string", "defaultBranch": "string", "source": "word",
        "enabled": "bool", "openPRCount": "int", "latestCommitSha": "string|null", "failingCount": "int",
        "runningCount": "int", "latestRelease": "string|null", "lastSyncedAt": "time|null", "syncError": "string|null"});
    let workflow = json!({"id": "string", "name": "string", "state": "string", "recentRuns": ["any"],
        "successRate": "any|null", "meanDurationSeconds": "any|null", "jobs": ["any"]});
    let mut repo_detail = repo.clone();
    super::scribe::with(
        &mut repo_detail,
        json!({"workflows": ["any"], "releases": ["any"], "packages": ["any"], "failingRuns": ["any"],
            "runningRuns": ["any"], "lastSyncRun": "any|null", "recentEvents": ["any"]}),
    );
    let work = json!({"id": "id", "agentName": "string", "state": "UPPER", "checkpoint": "UPPER", "lastHeartbeatAt": "time",
        "leaseExpiresAt": "time", "nextAction": "word", "issueId": "id", "repoFullName": "repo", "issueNumber": "int",
        "prUrl": "url|null"});
    let fix = json!({"id": "string", "repo": "repo", "pr": "int", "issue": "int|null", "branch": "string|null",
        "url": "url|null", "title": "string|null", "lane": "UPPER", "status": "UPPER", "fixType": "UPPER",
        "reason": "string", "feedback": ["string"], "feedbackItems": [{"text": "string"}], "evidenceKeys": ["string"],
        "headSha": "string|null", "author": "string|null", "generation": "int", "attempts": "int", "queuedAt": "time",
        "updatedAt": "time", "history": ["any"]});
    let agent_run = json!({"id": "any", "agentName": "string", "runType": "string", "status": "string", "startedAt": "time",
        "finishedAt": "time|null", "summary": "string|null", "errorMessage": "string|null", "outcome": "string|null",
        "touchedIssueUrls": ["string"], "issueId": "id|null", "createdAt": "time"});
    let audit = json!({"id": "any", "actor": "string", "action": "word", "repoFullName": "repo|null",
        "issueNumber": "int|null", "issueId": "id|null", "beforeLabels": "labels|null", "afterLabels": "labels|null",
        "success": "bool", "errorMessage": "string|null", "notes": "string|null", "createdAt": "time"});
    let control = json!({"frozen": "bool", "running": "int", "slots": "int", "pausedPools": ["any"], "rateLimit": "any|null"});
    let run = json!({"id": "id", "state": "word", "issueId": "id", "repoFullName": "repo", "issueNumber": "int",
        "agentName": "string", "attempt": "int", "runtime": "word|null", "container": "string|null",
        "phases": [{"phase": "word", "at": "time"}], "exitCode": "int|null", "usage": "any", "branch": "string|null",
        "pullRequestNumber": "int|null", "question": "string|null", "lastEvent": "string|null",
        "lastOutputAt": "time|null"});
    let groomer_run = json!({"id": "int", "status": "word", "dryRun": "bool", "output": {"labels": ["string"],
        "lane": "string|null", "summary": "string", "actionability": "word"}});
    let lane_answer = json!({"success": true, "lane": "string", "confidence": "word", "reason": "string", "model": "string|null"});
    let setup = json!({"authMode": "word", "githubToken": {"configured": "bool"}, "repositories": [{"repoFullName": "repo"}]});
    let hook = json!({"ok": true});
    let named = json!({"issueId": "id", "repoFullName": "repo", "issueNumber": "int"});
    Some(match route {
        "GET /api/health" => {
            json!({"ok": true, "database": "string", "version": "string", "authMode": "word"})
        }
        "GET /metrics" | "GET /api/runs/{id}/log" | "GET /api/runs/{id}/diff" | "GET /api/events" => {
            json!("string")
        }
        "GET /api/openapi.json" => json!({"openapi": "string", "paths": "any"}),
        "GET /api/schema/task.json" => json!({"$schema": "url", "type": "object", "properties": "any"}),
        "POST /api/dispatch" => {
            json!({"success": true, "agent": "string", "repo": "string", "workspace_dir": "string",
            "prompt?": "string", "run_id?": "id", "pid?": "int", "output_file?": "string", "queued?": "bool"})
        }
        "GET /api/setup" | "PUT /api/setup" => setup,
        "GET /api/lanes" => {
            json!([{"id": "string", "title": "string", "claimable": "bool", "role": "string|null",
            "description": "string|null", "color": "string|null", "defaultAgent": "string|null"}])
        }
        "GET /api/issues" => json!([issue]),
        "GET /api/issues/{id}" | "POST /api/issues/refresh" => issue,
        "GET /api/issues/state" => {
            json!({"issueId": "id", "repoFullName": "repo", "number": "int", "state": "word",
            "closedAt": "time|null", "labels": ["string"]})
        }
        "POST /api/issues/claim" => json!({"success": true, "labels": ["string"], "claim": claim}),
        "POST /api/issues/move"
        | "POST /api/issues/unclaim"
        | "POST /api/issues/reset-ready"
        | "POST /api/issues/label"
        | "POST /api/issues/unlabel"
        | "POST /api/runs/{id}/retry"
        | "POST /api/runs/{id}/answer" => labels,
        "POST /api/issues/status" => json!({"success": true, "status": "status", "labels": ["string"]}),
        "GET /api/issues/claimed" => {
            json!([{"issueId": "id", "number": "int", "repoFullName": "repo", "currentLane": "string",
            "labels": ["string"], "hasOpenPr": "bool"}])
        }
        "POST /api/issues/comment" => json!({"success": true}),
        "POST /api/issues/reconcile" => {
            json!({"success": "bool", "reposProcessed": "int", "issuesReconciled": "int",
            "issuesClosed": "int", "labelsChanged": "int", "errors": ["string"]})
        }
        "GET /api/issues/{id}/why" => {
            json!({"rules": [{"rule": "string", "holds": "bool", "why": "string"}]})
        }
        "GET /api/issues/{id}/lane" | "POST /api/issues/{id}/lane" => lane_answer,
        "POST /api/issues/groom" => json!({"success": true, "labels": ["string"], "status": "status|null"}),
        "POST /api/issues/actions/decompose" => {
            json!({"success": true, "decomposed": "bool", "followUpUrls": ["string"]})
        }
        "POST /api/issues/{id}/children" => json!({"dryRun": "bool", "children": [{"title": "string"}]}),
        "POST /api/groomer/run" | "GET /api/groomer/runs/{id}" => groomer_run,
        "GET /api/groomer/runs" => json!([groomer_run]),
        "GET /api/agents/{agent}/next-task" => json!("look"),
        "POST /api/agents/{agent}/next-task" => json!("take"),
        "POST /api/agents/{agent}/tasks/report" => json!({"ok": true, "agentName": "string", "report": "any",
            "agentRunId": "string", "duplicate?": true,
            "prFixResolution": {"matched": "bool", "action": "word", "itemId": "string|null", "reason": "string"}}),
        "POST /api/agents/{agent}/heartbeat" => {
            json!({"status": "word", "agentName": "string", "startedAt": "time",
            "finishedAt": "time", "summary": "string", "warnings": ["string"], "errors": ["string"],
            "touchedIssueUrls": ["url"]})
        }
        "GET /api/agents/{agent}/queue" => json!(["queue entry"]),
        "POST /api/pr-fix-queue/enqueue"
        | "POST /api/pr-fix-queue/mark"
        | "POST /api/pr-fix-queue/requeue"
        | "POST /api/pr-fix-queue/ack" => fix,
        "GET /api/pr-fix-queue/queued" => json!([fix]),
        "GET /api/pr-fix-queue/history" => {
            json!([{"repo": "repo", "pr": "int", "status": "UPPER", "generation": "int", "at": "time"}])
        }
        "POST /api/pr-followup/sync" => json!({"success": "bool"}),
        "POST /api/pr-followup/webhook" | "POST /api/issues/webhook" => hook,
        "GET /api/agents/{agent}/active-work" => {
            json!({"hasActiveWork": "bool", "context?": {"issueId": "id",
            "repoFullName": "repo", "issueNumber": "int", "agentName": "string", "checkpoint": "word", "branch?": "string",
            "prUrl?": "url", "nextAction": "word", "leaseId": "id", "lane": "string", "status": "status|null",
            "labels": ["string"]}})
        }
        "GET /api/agents/{agent}/in-progress" => json!([named]),
        "GET /api/agents/{agent}/work-summary" => {
            json!({"agentName": "string", "issues": {"local": {"queued": "int",
            "inProgress": "int"}}, "prFixes": "int"})
        }
        "GET /api/agent-work" => json!({"activeWork": [work], "staleLeases": [work]}),
        "POST /api/agent-work" => {
            json!({"success": true, "reason": "string", "releasedLeases": "int", "releasedWork": "int"})
        }
        "POST /api/agent-work/start" | "POST /api/agent-work/checkpoint" | "POST /api/agent-work/finish" => {
            work
        }
        "POST /api/agent-work/sweep" => json!({"success": true}),
        "GET /api/agent-runs" => json!([agent_run]),
        "POST /api/agent-runs" => agent_run,
        "GET /api/overview" => json!({"byStatus": "any", "agents": ["any"], "staleInProgress": ["any"],
            "recentRuns": [agent_run], "recentAudit": [audit]}),
        "GET /api/runs" => json!([run]),
        "GET /api/runs/{id}" | "POST /api/runs/{id}/kill" => run,
        "GET /api/automation/repos" | "GET /api/repos" => json!([repo]),
        "POST /api/automation/repos"
        | "POST /api/repos"
        | "PATCH /api/automation/repos/{repo}"
        | "PATCH /api/automation/repos/{owner}/{repo}" => repo,
        "GET /api/automation/repos/tracked" => {
            json!([{"fullName": "repo", "owner": "string", "name": "string",
            "enabled": "bool", "defaultBranch": "string", "source": "word", "lastSyncedAt": "time|null"}])
        }
        "GET /api/automation/repos/{repo}" | "GET /api/automation/repos/{owner}/{repo}" => repo_detail,
        "DELETE /api/automation/repos/{repo}" | "DELETE /api/automation/repos/{owner}/{repo}" => json!({}),
        "POST /api/automation/sync" => json!({"synced": "int", "failed": "int",
            "results": [{"repo": "repo", "result": {"success": "bool", "syncRunId": "string"}}]}),
        "GET /api/automation/workflows" => json!([workflow]),
        "GET /api/automation/workflows/{id}" => workflow,
        "GET /api/automation/events" => {
            json!([{"id": "string", "type": "string", "repoFullName": "repo", "createdAt": "time"}])
        }
        "POST /api/automation/runs/{id}" => json!({"success": "bool"}),
        "POST /api/labels/ensure" => json!({"dryRun": "bool", "created": ["string"], "missing": ["string"]}),
        "POST /api/sync" => json!({"syncedCount": "int"}),
        "POST /api/sync/scheduled" => {
            json!({"success": "bool", "issues": {"repos": "int", "syncedCount": "int",
            "results": [{"repo": "repo", "synced": "int", "error?": "string"}]}})
        }
        "GET /api/audit" => json!([audit]),
        "GET /api/control"
        | "POST /api/control/freeze"
        | "POST /api/control/thaw"
        | "POST /api/control/pools/{program}/resume" => control,
        "GET /api/orphans" => json!([orphan()]),
        "POST /api/orphans/stop" => json!({"stopped": [orphan()], "errors": ["string"]}),
        "GET /api/problems" => {
            json!([{"id": "string", "kind": "word", "since": "time", "subject": "string", "text": "string",
            "action": "word"}])
        }
        _ => return None,
    })
}

/// What the contract says of an issue and of a pull request in the queue.
fn queue_entry(value: &Value) -> Value {
    if value["type"] == "issue" {
        return json!({"type": "string", "issueId": "id", "repoFullName": "repo", "number": "int", "title": "string",
            "url": "url", "labels": ["string"], "priority": "priority|null", "status": "status|null", "lane": "string",
            "agentMatch": "bool", "claimable": "bool", "rankingReason": "string", "decomposed": "bool",
            "linkedPrHealth": "any|null"});
    }
    json!({"type": "pr-review-fix", "fixType": "UPPER", "id": "string", "repo": "repo", "pr": "int", "branch": "string|null",
        "url": "url|null", "title": "string|null", "issue": "int|null", "lane": "UPPER", "status": "UPPER",
        "reason": "string", "feedback": ["string"], "headSha": "string|null", "author": "string|null",
        "evidenceKeys": ["string"], "generation": "int", "nextAction": "word", "queuedAt": "time", "updatedAt": "time",
        "rankingReason": "string", "agentMatch!": "absent"})
}

/// What the contract says of a task of each type.
fn task(value: &Value, taken: bool) -> Value {
    let mut shape = json!({"type": "word", "shouldRun": "bool", "agentName": "string"});
    if value["type"] == "idle" {
        super::scribe::with(
            &mut shape,
            json!({"shouldRun": false, "reason": "string", "issue!": "absent", "claim!": "absent"}),
        );
        return shape;
    }
    let issue = json!({"id": "id", "repoFullName": "repo", "number": "int", "title": "string", "url": "url", "body": "string",
        "labels": ["string"]});
    let running = json!({"shouldRun": true, "lane?": "string", "instructions": "string", "stopAfter": "string",
        "forbiddenActions": ["string"], "forbids": ["word"], "allowedActions": ["string"], "acceptanceCriteria": ["string"],
        "reportTo": {"method": "POST", "path": "string"}, "branch?": "string", "baseBranch": "string"});
    super::scribe::with(&mut shape, running);
    super::scribe::with(
        &mut shape,
        match value["type"].as_str() {
            Some("followup-pr") => {
                json!({"pullRequest": {"repoFullName": "repo", "number": "int", "url?": "url"},
                "prFixItem?": {"id": "string", "generation": "int"}, "reasons": ["string"], "issue?": issue,
                "feedbackItems": [{"author": "string|null", "path": "string|null", "line": "int|null", "text": "string"}],
                "headSha": "string"})
            }
            _ => json!({"issue": issue}),
        },
    );
    let claim = json!({"id": "id", "attempt": "int", "leaseExpiresAt": "time", "renewEverySeconds": "int"});
    let held = if taken { json!({"claim": claim, "taskId": "string"}) } else { json!({"claim?": claim}) };
    super::scribe::with(&mut shape, held);
    shape
}

/// Whether a route's answer has the shape of the contract.
pub(super) fn hold(route: &str, value: &Value) -> Result<(), String> {
    let shape =
        shape(route).ok_or_else(|| format!("{route} has no shape here: take it from the contract"))?;
    fits(&shape, value, "the answer")
}

/// Whether an error has: a sentence and a stable code.
pub(super) fn error(value: &Value) -> Result<(), String> {
    fits(&json!({"error": "string", "code": "word"}), value, "the error")
}

fn fits(shape: &Value, value: &Value, at: &str) -> Result<(), String> {
    match shape {
        Value::String(types) if types == "queue entry" => fits(&queue_entry(value), value, at),
        Value::String(types) if types == "look" || types == "take" => {
            fits(&task(value, types == "take"), value, at)
        }
        Value::String(types) => {
            let one = types.split('|').any(|t| is(t, value));
            one.then_some(()).ok_or_else(|| format!("{at} is {types}, not {value}"))
        }
        Value::Array(of) => {
            let all = value.as_array().ok_or_else(|| format!("{at} is a bare array, not {value}"))?;
            all.iter().enumerate().try_for_each(|(n, v)| fits(&of[0], v, &format!("{at}[{n}]")))
        }
        Value::Object(fields) => {
            let has = value.as_object().ok_or_else(|| format!("{at} is an object, not {value}"))?;
            fields.iter().try_for_each(|(name, of)| {
                if let Some(name) = name.strip_suffix('!') {
                    let absent = !has.contains_key(name);
                    return absent.then_some(()).ok_or_else(|| format!("{at} has {name}"));
                }
                let bare = name.trim_end_matches(['?', '~']);
                match has.get(bare) {
                    Some(Value::Null) if name.ends_with('~') => Ok(()),
                    None if name.ends_with('?') => Ok(()),
                    None => Err(format!("{at} has no {bare}")),
                    Some(value) => fits(of, value, &format!("{at}.{bare}")),
                }
            })
        }
        literal => (literal == value).then_some(()).ok_or_else(|| format!("{at} is {literal}, not {value}")),
    }
}

fn is(kind: &str, value: &Value) -> bool {
    let text = value.as_str();
    let all = |ok: fn(char) -> bool| text.is_some_and(|t| !t.is_empty() && t.chars().all(ok));
    match kind {
        "any" => !value.is_null(),
        "null" => value.is_null(),
        "string" => text.is_some(),
        "bool" => value.is_boolean(),
        "int" => value.is_u64() || value.is_i64(),
        "labels" => value.as_array().is_some_and(|a| a.iter().all(Value::is_string)),
        "id" => all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'),
        "word" => all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-'),
        "UPPER" => all(|c| c.is_ascii_uppercase() || c == '_'),
        "url" => text.is_some_and(|t| t.starts_with("http")),
        "repo" => text.is_some_and(|t| t.split('/').filter(|part| !part.is_empty()).count() == 2),
        "status" => text.is_some_and(|t| t.starts_with("status/")),
        "priority" => text.is_some_and(|t| t.starts_with("priority/")),
        // ISO-8601, UTC, with a `Z`.
        "time" => text.is_some_and(|t| t.len() >= 20 && t.as_bytes()[10] == b'T' && t.ends_with('Z')),
        literal => text == Some(literal),
    }
}

/// What of an answer is frozen. Of the counters and the documents only the names, of a stream only what its first event is.
pub(super) fn shown(route: &str, value: &Value) -> Value {
    let names = |part: &str| value[part].as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    match route {
        "GET /api/openapi.json" => return json!({"openapi": value["openapi"], "paths": names("paths")}),
        "GET /api/schema/task.json" => {
            return json!({"properties": names("properties"), "required": value["required"]});
        }
        _ => {}
    }
    let Some(text) = value.as_str() else { return value.clone() };
    match route {
        "GET /metrics" => text.lines().filter(|l| l.starts_with("# TYPE")).collect::<Vec<_>>().into(),
        "GET /api/events" => text
            .lines()
            .filter(|l| !l.starts_with("data:") && !l.starts_with("id:"))
            .collect::<Vec<_>>()
            .into(),
        _ => value.clone(),
    }
}

#[test]
fn a_shape_that_does_not_hold_is_said() {
    let issue = json!([{"id": "gh1-2", "labels": ["a"]}]);
    let shape = json!([{"id": "id", "labels": ["string"], "status?": "status|null"}]);
    assert_eq!(fits(&shape, &issue, "it"), Ok(()));
    for (wrong, said) in [
        (json!({"data": []}), "bare array"),
        (json!([{"id": "gh1/2", "labels": []}]), "it[0].id"),
        (json!([{"id": "gh1-2", "labels": [{"name": "a"}]}]), "it[0].labels[0]"),
        (json!([{"id": "gh1-2"}]), "has no labels"),
        (json!([{"id": "gh1-2", "labels": [], "status": "ready"}]), "it[0].status"),
    ] {
        let why = fits(&shape, &wrong, "it").expect_err("it does not hold");
        assert!(why.contains(said), "{why}");
    }
}

/// A container that nobody knows.
fn orphan() -> Value {
    json!({"name": "string", "runtime": "word", "runId": "id", "attempt": "int", "running": "bool", "since": "time"})
}
