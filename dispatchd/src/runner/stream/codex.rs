//! `codex exec --json`. The HTTP status is only inside the message text; there is no cost and no model.

use dispatch_shared::run::{EndClass, Usage};
use serde_json::Value;

use super::{Event, Kind, Summary, Terminal, classify, count, text};

pub(super) fn read(v: &Value, summary: &mut Summary, events: &mut Vec<Event>) {
    match text(v, "/type") {
        "item.started" if text(v, "/item/type") == "command_execution" => {
            events.push(Event::new(Kind::Tool, text(v, "/item/command")));
        }
        "item.completed" => item(v, events),
        "error" => {
            let said = text(v, "/message");
            events.push(Event::new(Kind::Error, said));
            summary.hint = Some((classify(None, said), said.to_owned()));
        }
        "turn.completed" => {
            // Cumulative over the thread, and a run is one thread.
            summary.usage = Usage {
                input_tokens: count(v, "/usage/input_tokens"),
                output_tokens: count(v, "/usage/output_tokens"),
                cost_usd: None,
            };
            summary.terminal = Some(Terminal::Fine);
        }
        "turn.failed" => {
            let said = text(v, "/error/message");
            events.push(Event::new(Kind::Error, said));
            let class = if said.is_empty() { EndClass::Failed } else { classify(None, said) };
            summary.terminal = Some(Terminal::Bad(class, said.to_owned()));
        }
        _ => {}
    }
}

fn item(v: &Value, events: &mut Vec<Event>) {
    match text(v, "/item/type") {
        "agent_message" => events.push(Event::new(Kind::Text, text(v, "/item/text"))),
        "command_execution" => {
            events.push(Event::new(Kind::ToolResult, text(v, "/item/aggregated_output")));
        }
        "file_change" => {
            let paths: Vec<&str> = v
                .pointer("/item/changes")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(|c| text(c, "/path"))
                .collect();
            events.push(Event::new(Kind::Tool, format!("edit: {}", paths.join(", "))));
        }
        // An item of type error is a warning.
        "error" => events.push(Event::new(Kind::Output, text(v, "/item/message"))),
        _ => {}
    }
}
