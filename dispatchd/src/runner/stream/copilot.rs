//! `copilot --output-format json`. The end is `result` with an exit code of its own; tokens are told in `assistant.usage`
//! alone, which the program does not always put out, and money never.

use dispatch_shared::run::EndClass;
use serde_json::Value;

use super::{Event, Kind, Summary, Terminal, classify, count, text, tool_line};

pub(super) fn read(v: &Value, summary: &mut Summary, events: &mut Vec<Event>) {
    match text(v, "/type") {
        "session.tools_updated" => summary.begin(None, text(v, "/data/model"), events),
        "assistant.turn_start" => summary.turns += 1,
        "assistant.message" => {
            let said = text(v, "/data/content");
            if !said.is_empty() {
                events.push(Event::new(Kind::Text, said));
            }
        }
        "tool.execution_start" => {
            let input = v.pointer("/data/arguments").unwrap_or(&Value::Null);
            events.push(Event::new(Kind::Tool, tool_line(text(v, "/data/toolName"), input)));
        }
        "tool.execution_complete" => {
            events.push(Event::new(Kind::ToolResult, text(v, "/data/result/content")));
        }
        "assistant.usage" => {
            let usage = &mut summary.usage;
            usage.input_tokens += count(v, "/data/inputTokens");
            usage.cached_tokens += count(v, "/data/cacheReadTokens");
            usage.output_tokens += count(v, "/data/outputTokens");
        }
        "assistant.turn_retry" => {
            let why = text(v, "/data/reason");
            summary.hint = Some(summary.failure(None, why));
            events
                .push(Event::new(Kind::Retry, format!("the model could not be asked ({why}), trying again")));
        }
        "session.error" => {
            let said = text(v, "/data/message");
            let status = v.pointer("/data/statusCode").and_then(Value::as_u64);
            events.push(Event::new(Kind::Error, said));
            summary.hint = Some(summary.failure(status, said));
        }
        "result" => result(v, summary, events),
        _ => {}
    }
}

fn result(v: &Value, summary: &mut Summary, events: &mut Vec<Event>) {
    summary.session_is(text(v, "/sessionId"));
    events.push(Event::usage(&summary.usage));
    match v.get("exitCode").and_then(Value::as_i64) {
        Some(0) => {
            events.push(Event::new(Kind::Result, "it is done"));
            summary.terminal = Some(Terminal::Fine);
        }
        code => {
            let (class, why) = summary.hint.clone().unwrap_or_else(|| match code {
                Some(code) => (EndClass::Failed, format!("it says that it failed with exit code {code}")),
                None => (classify(None, ""), "it ended without saying how it went".to_owned()),
            });
            events.push(Event::new(Kind::Error, &why));
            summary.terminal = Some(Terminal::Bad(class, why));
        }
    }
}
