//! `claude --output-format stream-json`, and qwen, which speaks the same.

use dispatch_shared::run::{EndClass, Usage};
use serde_json::Value;

use super::{Event, Kind, Summary, Terminal, classify, count, text, tool_line};

pub(super) fn read(v: &Value, summary: &mut Summary, events: &mut Vec<Event>) {
    match text(v, "/type") {
        "assistant" => {
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
        }
        "user" => {
            for part in v.pointer("/message/content").and_then(Value::as_array).into_iter().flatten() {
                if text(part, "/type") == "tool_result" {
                    events.push(Event::new(Kind::ToolResult, tool_output(part)));
                }
            }
        }
        "system" if text(v, "/subtype") == "api_retry" => {
            let status = v.get("error_status").and_then(Value::as_u64);
            let what = text(v, "/error");
            let said = match status {
                Some(status) => format!("the model answered {status} ({what}), trying again"),
                None => format!("the model could not be asked ({what}), trying again"),
            };
            summary.hint = Some((classify(status, what), said.clone()));
            events.push(Event::new(Kind::Error, said));
        }
        "result" => result(v, summary, events),
        _ => {}
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
    summary.usage = usage(v);
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
            let why = if why.is_empty() { "it failed and did not say why" } else { why };
            (classify(status, why), why.to_owned())
        }
    };
    events.push(Event::new(Kind::Error, &why));
    summary.terminal = Some(Terminal::Bad(class, why));
}

/// Totals; `modelUsage` where `usage` is zero.
fn usage(v: &Value) -> Usage {
    let cost_usd = v.get("total_cost_usd").and_then(Value::as_f64);
    let input = count(v, "/usage/input_tokens")
        + count(v, "/usage/cache_creation_input_tokens")
        + count(v, "/usage/cache_read_input_tokens");
    let output = count(v, "/usage/output_tokens");
    if input + output > 0 {
        return Usage { input_tokens: input, output_tokens: output, cost_usd };
    }
    let mut sum = Usage { cost_usd, ..Usage::default() };
    for model in v.get("modelUsage").and_then(Value::as_object).into_iter().flat_map(|m| m.values()) {
        sum.input_tokens += count(model, "/inputTokens")
            + count(model, "/cacheReadInputTokens")
            + count(model, "/cacheCreationInputTokens");
        sum.output_tokens += count(model, "/outputTokens");
    }
    sum
}
