//! What harnesses use beside the plain loop: checkpoints, prompts, the guard.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use dispatch_shared::client::{Client, Error};
use dispatch_shared::error::Code;
use dispatch_shared::protocol::tasks::Task;
use serde_json::{Value, json};

use super::out::{Colour, Out};
use super::work_args::{Checkpoint, Guard, Prompt};
use super::{Failure, args, connect};
use crate::{guard, prompt};

/// Sends `body` without its nulls; a daemon without the route is told of in words.
async fn post(client: &Client, path: &str, mut body: Value, what: &str) -> Result<Value, Failure> {
    if let Value::Object(fields) = &mut body {
        fields.retain(|_, value| !value.is_null());
    }
    client.call("POST", path, &body).await.map_err(|e: Error| match e.code() {
        Some(Code::NoRoute) => {
            Failure::Said(format!("this daemon does not know {what} yet; bring it up to date"))
        }
        _ => e.into(),
    })
}

fn word(value: &Value, field: &str) -> Option<String> {
    value.get(field)?.as_str().map(str::to_owned)
}

pub(super) async fn checkpoint(client: &Client, at: Checkpoint, out: &mut Out) -> Result<(), Failure> {
    let body = json!({
        "agentName": at.agent,
        "checkpoint": at.checkpoint,
        "summary": at.summary,
        "blockerReason": at.reason,
        "claimId": at.claim,
    });
    let answer = post(client, "/api/agent-work/checkpoint", body, "checkpoints").await?;
    if out.json {
        return Ok(out.json(&answer)?);
    }
    let mut said = word(&answer, "checkpoint").unwrap_or_else(|| "noted".to_owned());
    for (before, field) in [("; next: ", "nextAction"), ("; lease until ", "leaseExpiresAt")] {
        said.extend(word(&answer, field).into_iter().flat_map(|value| [before.to_owned(), value]));
    }
    Ok(out.tinted(&said, Colour::Plain)?)
}

/// Keeps the task for `guard` and `prompt`.
pub(super) fn save(task: &Task, path: &Path) -> Result<(), Failure> {
    let text =
        serde_json::to_vec_pretty(task).map_err(|e| format!("the task cannot be written down: {e}"))?;
    std::fs::write(path, text).map_err(|e| format!("{} cannot be written: {e}", path.display()))?;
    Ok(())
}

/// The prompt alone to standard output; without a task nothing there, and the reason on standard error.
pub(super) fn show_prompt(task: &Task, template: Option<&str>, out: &mut Out) -> Result<(), Failure> {
    if !task.should_run {
        let reason = task.reason.as_deref().unwrap_or("nothing to do");
        writeln!(std::io::stderr(), "dispatch: idle: {}", super::out::clean(reason))?;
        return if out.json { Ok(out.json(task)?) } else { Ok(()) };
    }
    let text = prompt::render(task, &source(template)?)?;
    if out.json {
        return Ok(out.json(&json!({ "task": task, "prompt": text }))?);
    }
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// One of the templates that come with Dispatch by name, else a file.
fn source(template: Option<&str>) -> Result<prompt::Source, Failure> {
    match template {
        None => Ok(prompt::Source::ByKind),
        Some(name) => match prompt::Source::named(name) {
            Some(source) => Ok(source),
            None => std::fs::read_to_string(name).map(prompt::Source::Text).map_err(|e| {
                let names = prompt::Source::names();
                Failure::Said(format!("`{name}` is no template ({names}), and no file: {e}"))
            }),
        },
    }
}

fn read_task(path: &Path) -> Result<Task, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|e| format!("the task in {} cannot be read: {e}", path.display()))?;
    let task = serde_json::from_str(&text).map_err(|e| {
        format!("{} holds no task (keep one with `dispatch next --save`): {e}", path.display())
    })?;
    Ok(task)
}

pub(super) fn prompt(asked: &Prompt, out: &mut Out) -> Result<ExitCode, Failure> {
    show_prompt(&read_task(&asked.task)?, asked.template.as_deref(), out)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn guard(asked: Guard, global: &args::Global, out: &mut Out) -> Result<ExitCode, Failure> {
    let task = read_task(&asked.task)?;
    let mut said = asked.said.join(" ");
    if said.is_empty() {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|e| format!("standard input cannot be read: {e}"))?;
        said = String::from_utf8_lossy(&bytes).into_owned();
    }
    let verdict = guard::check(&task, &said);
    let report = guard::report(&task, &verdict);
    let mut answer = None;
    if asked.report && task.should_run {
        let client = connect::connect(global).await?;
        let path = format!("/api/agents/{}/tasks/report", task.agent_name);
        answer = Some(post(&client, &path, report.clone(), "reports").await?);
    }
    let code = if verdict.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if out.json {
        let mut all = json!({
            "ok": verdict.problems.is_empty(),
            "outcome": verdict.outcome,
            "problems": verdict.problems,
            "report": report,
        });
        if let Some(answer) = answer {
            all["answer"] = answer;
        }
        out.json(&all)?;
        return Ok(code);
    }
    for problem in &verdict.problems {
        out.tinted(&format!("{}: {}", problem.code, problem.text), Colour::Red)?;
    }
    match (verdict.outcome, &answer) {
        (_, Some(answer)) => {
            let status = answer.pointer("/report/status").and_then(Value::as_str).unwrap_or("reported");
            out.tinted(&format!("reported: {status}"), Colour::Plain)?;
        }
        (Some(outcome), None) if verdict.problems.is_empty() => {
            out.tinted(&format!("keeps to its task: {}", guard::wire(outcome)), Colour::Green)?;
        }
        _ => {}
    }
    Ok(code)
}
