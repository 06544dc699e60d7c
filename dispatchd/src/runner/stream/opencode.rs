//! `opencode run --format json`. There is no terminal event: usage is the sum of the steps, an error event is the last
//! word unless a step follows it.

use serde_json::Value;

use super::{Event, Kind, Summary, again, count, text, tool_line};

pub(super) fn read(v: &Value, summary: &mut Summary, events: &mut Vec<Event>) {
    if summary.session.is_none() {
        summary.begin(Some(text(v, "/sessionID")), "", events);
    }
    match text(v, "/type") {
        "text" => events.push(Event::new(Kind::Text, text(v, "/part/text"))),
        "tool_use" => {
            let input = v.pointer("/part/state/input").unwrap_or(&Value::Null);
            events.push(Event::new(Kind::Tool, tool_line(text(v, "/part/tool"), input)));
            events.push(Event::new(Kind::ToolResult, text(v, "/part/state/output")));
        }
        "step_finish" => {
            summary.turns += 1;
            let usage = &mut summary.usage;
            usage.input_tokens += count(v, "/part/tokens/input")
                + count(v, "/part/tokens/cache/read")
                + count(v, "/part/tokens/cache/write");
            usage.cached_tokens += count(v, "/part/tokens/cache/read");
            usage.output_tokens += count(v, "/part/tokens/output");
            usage.reasoning_tokens += count(v, "/part/tokens/reasoning");
            if let Some(cost) = v.pointer("/part/cost").and_then(Value::as_f64) {
                usage.cost_usd = Some(usage.cost_usd.unwrap_or(0.0) + cost);
            }
            events.push(Event::usage(usage));
            summary.hint = None;
        }
        "error" => {
            let status = v.pointer("/error/data/statusCode").and_then(Value::as_u64);
            let said = match text(v, "/error/data/message") {
                "" => text(v, "/error/name"),
                said => said,
            };
            events.push(Event::new(Kind::Error, said));
            summary.hint = Some(summary.failure(status, said));
            let header = text(v, "/error/data/responseHeaders/retry-after");
            if let Some(wait) = again(&format!("retry-after: {header}")) {
                summary.again = Some(wait);
            }
        }
        _ => {}
    }
}
