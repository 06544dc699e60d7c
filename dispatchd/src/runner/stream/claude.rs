//! `claude --output-format stream-json`, and qwen, which speaks the same.

use dispatch_shared::run::{EndClass, Usage};
use serde_json::Value;

use super::{Event, Kind, Summary, Terminal, count, text, tool_line};

pub(super) fn read(v: &Value, summary: &mut Summary, events: &mut Vec<Event>) {
    match text(v, "/type") {
        "assistant" => assistant(v, summary, events),
        "user" => {
            for part in v.pointer("/message/content").and_then(Value::as_array).into_iter().flatten() {
                if text(part, "/type") == "tool_result" {
                    events.push(Event::new(Kind::ToolResult, tool_output(part)));
                }
            }
        }
        "system" if text(v, "/subtype") == "init" => {
            summary.terminal = None;
            summary.begin(Some(text(v, "/session_id")), text(v, "/model"), events);
        }
        "system" if text(v, "/subtype") == "api_retry" => {
            let status = v.get("error_status").and_then(Value::as_u64);
            let what = text(v, "/error");
            let said = match status {
                Some(status) => format!("the model answered {status} ({what}), trying again"),
                None => format!("the model could not be asked ({what}), trying again"),
            };
            summary.hint = Some((summary.failure(status, what).0, said.clone()));
            events.push(Event::new(Kind::Retry, said));
        }
        "result" => result(v, summary, events),
        _ => {}
    }
}

fn assistant(v: &Value, summary: &mut Summary, events: &mut Vec<Event>) {
    for part in v.pointer("/message/content").and_then(Value::as_array).into_iter().flatten() {
        match text(part, "/type") {
            "text" => events.push(Event::new(Kind::Text, text(part, "/text"))),
            "tool_use" => {
                let input = part.get("input").unwrap_or(&Value::Null);
                events.push(Event::new(Kind::Tool, tool_line(text(part, "/name"), input)));
            }
            _ => {}
        }
    }
    // One message comes in several events with the same numbers. What is written grows after these were taken, so until
    // the result comes the sum is a lower bound.
    let id = text(v, "/message/id");
    if let Some(used) = v.pointer("/message/usage").map(of_message)
        && !id.is_empty()
        && used.tokens() > 0
    {
        let before = summary.messages.insert(id.to_owned(), used).unwrap_or_default();
        if before == Usage::default() {
            summary.turns += 1;
        }
        summary.usage = summary.usage.minus(before).plus(used);
    }
}

fn tool_output(part: &Value) -> String {
    match part.get("content") {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().map(|p| text(p, "/text")).filter(|t| !t.is_empty()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// Judged by `is_error`, not by `subtype`: an API failure is of subtype success. qwen calls even that no error.
fn result(v: &Value, summary: &mut Summary, events: &mut Vec<Event>) {
    summary.session_is(text(v, "/session_id"));
    let totals = usage(v);
    // A result that tells no numbers takes none away that were told before. qwen's speaks of the whole session, also of what
    // runs before this one did in it.
    if count(v, "/usage/total_tokens") > 0 {
        summary.total = Some(totals);
        summary.usage = totals.minus(summary.before());
    } else if totals.tokens() > 0 || totals.cost_usd.is_some_and(|c| c > 0.0) || summary.usage.tokens() == 0 {
        summary.usage = totals;
    }
    events.push(Event::usage(&summary.usage));
    let said = text(v, "/result");
    let api_error = said.trim_start().starts_with("[API Error");
    let failed = v.get("is_error").and_then(Value::as_bool).unwrap_or(false) || api_error;
    if !failed {
        events.push(Event::new(Kind::Result, said));
        summary.terminal = Some(Terminal::Fine);
        return;
    }
    let (class, why) = match text(v, "/subtype") {
        "error_max_turns" => (EndClass::Turns, "it used up its turns".to_owned()),
        "error_max_budget_usd" => (EndClass::Budget, "it used up its budget".to_owned()),
        _ => {
            let status = v.get("api_error_status").and_then(Value::as_u64);
            let why = if said.is_empty() { text(v, "/errors/0") } else { said };
            let why = if why.is_empty() { text(v, "/error/message") } else { why };
            summary.failure(status, if why.is_empty() { "it failed and did not say why" } else { why })
        }
    };
    events.push(Event::new(Kind::Error, &why));
    summary.terminal = Some(Terminal::Bad(class, why));
}

/// Totals; `modelUsage` where `usage` is zero.
fn usage(v: &Value) -> Usage {
    let cost_usd = v.get("total_cost_usd").and_then(Value::as_f64);
    let used = v.get("usage").map(of_message).unwrap_or_default();
    if used.tokens() > 0 {
        return Usage { cost_usd, ..used };
    }
    let mut sum = Usage { cost_usd, ..Usage::default() };
    for model in v.get("modelUsage").and_then(Value::as_object).into_iter().flat_map(|m| m.values()) {
        sum.input_tokens += count(model, "/inputTokens")
            + count(model, "/cacheReadInputTokens")
            + count(model, "/cacheCreationInputTokens");
        sum.cached_tokens += count(model, "/cacheReadInputTokens");
        sum.output_tokens += count(model, "/outputTokens");
    }
    sum
}

/// claude counts what comes from a cache apart. qwen counts it in, and tells a total by which it is known.
fn of_message(used: &Value) -> Usage {
    let (cached, output) = (count(used, "/cache_read_input_tokens"), count(used, "/output_tokens"));
    let total = count(used, "/total_tokens");
    let apart = count(used, "/input_tokens") + count(used, "/cache_creation_input_tokens") + cached;
    let input = if total > 0 { total.saturating_sub(output) } else { apart };
    Usage { input_tokens: input, cached_tokens: cached, output_tokens: output, ..Usage::default() }
}
