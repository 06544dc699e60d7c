//! `gemini -o stream-json`. A failure may show only on stderr and in the exit code, the HTTP status modulo 256.

use dispatch_shared::run::{EndClass, Usage};
use serde_json::Value;

use super::{Event, Kind, Summary, Terminal, classify, count, text, tool_line};

pub(super) fn read(v: &Value, summary: &mut Summary, events: &mut Vec<Event>) {
    match text(v, "/type") {
        "init" => {
            summary.terminal = None;
            summary.begin(Some(text(v, "/session_id")), text(v, "/model"), events);
        }
        "message" if text(v, "/role") == "assistant" => {
            events.push(Event::new(Kind::Text, text(v, "/content")));
        }
        "tool_use" => {
            summary.turns += 1;
            let input = v.get("parameters").unwrap_or(&Value::Null);
            events.push(Event::new(Kind::Tool, tool_line(text(v, "/tool_name"), input)));
        }
        "tool_result" => events.push(Event::new(Kind::ToolResult, text(v, "/output"))),
        "error" => {
            let said = text(v, "/message");
            events.push(Event::new(Kind::Error, said));
            summary.hint = Some(summary.failure(None, said));
        }
        "result" => {
            let (input, output) = (count(v, "/stats/input_tokens"), count(v, "/stats/output_tokens"));
            summary.usage = Usage {
                input_tokens: input,
                cached_tokens: count(v, "/stats/cached"),
                output_tokens: output,
                // What was thought is in the total alone.
                reasoning_tokens: count(v, "/stats/total_tokens").saturating_sub(input + output),
                ..Usage::default()
            };
            events.push(Event::usage(&summary.usage));
            summary.terminal = Some(if text(v, "/status") == "success" {
                events.push(Event::new(Kind::Result, ""));
                Terminal::Fine
            } else {
                let said = text(v, "/error/message");
                events.push(Event::new(Kind::Error, said));
                let (class, why) = summary.failure(None, said);
                Terminal::Bad(class, why)
            });
        }
        _ => {}
    }
}

/// What an exit code alone says.
pub(super) fn exit_code(code: i32) -> Option<(EndClass, String)> {
    let status = match code {
        41 => return Some((EndClass::Auth, "it has no credentials (exit code 41)".into())),
        53 => return Some((EndClass::Turns, "it used up its turns (exit code 53)".into())),
        145 => 401,
        147 => 403,
        173 => 429,
        244 => 500,
        246 => 502,
        247 => 503,
        _ => return None,
    };
    Some((classify(Some(status), ""), format!("the model answered {status} (exit code {code})")))
}
