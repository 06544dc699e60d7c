//! `codex exec --json`. The HTTP status is only inside the message text; there is no cost and no model.

use dispatch_shared::run::Usage;
use serde_json::Value;

use super::{Event, Kind, Summary, Terminal, count, text};

pub(super) fn read(v: &Value, summary: &mut Summary, events: &mut Vec<Event>) {
    match text(v, "/type") {
        "thread.started" => summary.begin(Some(text(v, "/thread_id")), "", events),
        "turn.started" => {
            summary.turns += 1;
            summary.terminal = None;
        }
        "item.started" if text(v, "/item/type") == "command_execution" => {
            events.push(Event::new(Kind::Tool, text(v, "/item/command")));
        }
        "item.completed" => item(v, events),
        "error" => {
            let said = text(v, "/message");
            let passing = said.trim_start().starts_with("Reconnecting");
            events.push(Event::new(if passing { Kind::Retry } else { Kind::Error }, said));
            summary.hint = Some(summary.failure(None, said));
        }
        "turn.completed" => {
            // Cumulative over the thread, also over what runs before this one did in it.
            let total = Usage {
                input_tokens: count(v, "/usage/input_tokens"),
                cached_tokens: count(v, "/usage/cached_input_tokens"),
                output_tokens: count(v, "/usage/output_tokens"),
                ..Usage::default()
            };
            summary.total = Some(total);
            summary.usage = total.minus(summary.before());
            events.push(Event::usage(&summary.usage));
            events.push(Event::new(Kind::Result, ""));
            summary.terminal = Some(Terminal::Fine);
        }
        "turn.failed" => {
            let said = text(v, "/error/message");
            events.push(Event::new(Kind::Error, said));
            let said = if said.is_empty() { "it failed and did not say why" } else { said };
            let (class, why) = summary.failure(None, said);
            summary.terminal = Some(Terminal::Bad(class, why));
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
