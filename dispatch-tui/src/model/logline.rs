//! One line of a run's output, read for a person. Agents' event streams are JSON, each program's in its own shape;
//! what is not recognised is shown as it came.

use std::ops::Range;

use dispatch_shared::Timestamp;
use serde_json::Value;

use super::text;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Plain,
    /// A tool was called.
    Tool,
    /// An error.
    Error,
    /// The stream's own affairs.
    Note,
    /// Added in a diff.
    Added,
    /// Removed in a diff.
    Removed,
    /// The first line of a file in a diff.
    File,
}

/// A line to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// The byte at which the line that it came from starts.
    pub(crate) at: u64,
    pub(crate) level: Level,
    /// When it was said, as far as the stream tells.
    pub(crate) time: Option<Timestamp>,
    /// Safe to show.
    pub(crate) text: String,
    /// Places in the text that stand out: words that changed.
    pub(crate) marks: Vec<Range<usize>>,
}

impl LogLine {
    /// An empty line that came from byte `at`.
    pub(crate) fn plain(at: u64) -> Self {
        Self { at, level: Level::Plain, time: None, text: String::new(), marks: Vec::new() }
    }

    /// About how many bytes it takes in memory.
    pub(crate) fn size(&self) -> usize {
        self.text.len() + std::mem::size_of::<Self>()
    }
}

/// Reads one raw line; JSON events may make several, or none that a person needs.
pub(crate) fn read(at: u64, raw: &str) -> Vec<LogLine> {
    let mut out = Vec::new();
    let mut time = None;
    if raw.starts_with('{')
        && let Ok(event) = serde_json::from_str::<Value>(raw)
    {
        event_lines(&event, &mut out);
        let said = event.get("timestamp").cloned();
        time = said.and_then(|t| serde_json::from_value::<Timestamp>(t).ok());
    }
    if out.is_empty() {
        let level = if looks_bad(raw) { Level::Error } else { Level::Plain };
        out.push((level, raw.to_owned()));
    }
    spread(at, time, out)
}

/// Lines of text, one after the other; at least one.
fn spread(at: u64, time: Option<Timestamp>, texts: Vec<(Level, String)>) -> Vec<LogLine> {
    let whole = |level, text: &str| LogLine { level, time, text: text::line(text), ..LogLine::plain(at) };
    let lines: Vec<_> = texts
        .iter()
        .flat_map(|(level, text)| text.lines().map(|l| whole(*level, l)).collect::<Vec<_>>())
        .collect();
    if lines.is_empty() { vec![LogLine { time, ..LogLine::plain(at) }] } else { lines }
}

/// One line of the normalised events, in the daemon's shape.
#[derive(serde::Deserialize)]
struct Normalised {
    at: Timestamp,
    kind: String,
    text: String,
}

/// Reads one line of the normalised events.
pub(crate) fn event(at: u64, raw: &str) -> Vec<LogLine> {
    let Ok(event) = serde_json::from_str::<Normalised>(raw) else {
        return spread(at, None, vec![(Level::Note, raw.to_owned())]);
    };
    let (level, word) = match event.kind.as_str() {
        "text" => (Level::Plain, ""),
        "tool" => (Level::Tool, "tool"),
        "tool-result" => (Level::Note, ""),
        "error" => (Level::Error, "ERR"),
        "retry" => (Level::Error, "wait"),
        "result" => (Level::Plain, "end"),
        "output" => (Level::Plain, "out"),
        _ => (Level::Note, "note"),
    };
    let lines = event.text.lines().enumerate();
    let text: Vec<String> = lines.map(|(n, l)| format!("{:<5}{l}", if n == 0 { word } else { "" })).collect();
    spread(at, Some(event.at), vec![(level, text.join("\n"))])
}

fn looks_bad(raw: &str) -> bool {
    let start = raw.trim_start();
    ["error", "Error", "ERROR", "fatal:", "panicked at", "FAILED"].iter().any(|w| start.starts_with(w))
        || raw.contains("panicked at")
        || raw.trim_end().ends_with("FAILED")
}

fn string<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str).filter(|s| !s.is_empty())
}

/// What a tool was asked, in one line.
fn asked(input: &Value) -> String {
    for field in ["command", "file_path", "filePath", "path", "pattern", "url", "query", "description"] {
        match input.get(field) {
            Some(Value::String(text)) => return text.lines().next().unwrap_or_default().to_owned(),
            Some(Value::Array(words)) => {
                return words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
            }
            _ => {}
        }
    }
    match input {
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|p| p.get("text").and_then(Value::as_str)).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

type Lines = Vec<(Level, String)>;

fn result(out: &mut Lines, bad: bool, text: &str) {
    let level = if bad { Level::Error } else { Level::Note };
    let total = text.lines().count();
    out.extend(text.lines().take(20).map(|l| (level, format!("  {l}"))));
    if total > 20 {
        out.push((Level::Note, format!("  … {} more lines", total - 20)));
    }
}

/// The shapes of claude, codex, gemini and opencode, told apart by their fields.
fn event_lines(event: &Value, out: &mut Lines) {
    let kind = string(event, "/type").unwrap_or_default();
    match kind {
        "assistant" | "user" => {
            for part in event.pointer("/message/content").and_then(Value::as_array).into_iter().flatten() {
                match string(part, "/type") {
                    Some("text") if kind == "assistant" => {
                        out.push((Level::Plain, string(part, "/text").unwrap_or_default().to_owned()));
                    }
                    Some("tool_use") => {
                        let name = string(part, "/name").unwrap_or("tool");
                        out.push((Level::Tool, format!("{name} {}", asked(&part["input"]))));
                    }
                    Some("tool_result") => {
                        result(out, part["is_error"] == true, &content(&part["content"]));
                    }
                    _ => {}
                }
            }
        }
        "message" => out.push((Level::Plain, content(&event["content"]))),
        "text" => out.push((
            Level::Plain,
            string(event, "/part/text").or(string(event, "/text")).unwrap_or_default().to_owned(),
        )),
        "tool_use" | "tool" => {
            let name = ["/tool_name", "/part/tool", "/name", "/tool"].iter().find_map(|p| string(event, p));
            let input = ["/parameters", "/part/state/input", "/input"].iter().find_map(|p| event.pointer(p));
            let input = input.map(asked).unwrap_or_default();
            out.push((Level::Tool, format!("{} {input}", name.unwrap_or("tool"))));
        }
        "tool_result" => {
            let text = string(event, "/output").or(string(event, "/error/message")).unwrap_or_default();
            result(out, string(event, "/status") == Some("error"), text);
        }
        "item.completed" | "item.started" => item(kind, &event["item"], out),
        "turn.completed" => {
            let tokens = event.pointer("/usage/output_tokens").and_then(Value::as_u64).unwrap_or(0);
            out.push((Level::Note, format!("turn done, {} tokens written", text::short(tokens))));
        }
        "turn.failed" | "error" => {
            let said = ["/error/message", "/message", "/error/data/message", "/error"];
            let said = said.iter().find_map(|p| string(event, p)).unwrap_or("failed");
            out.push((Level::Error, said.to_owned()));
        }
        "system" | "init" | "thread.started" | "turn.started" | "step_start" | "step_finish" => {
            let what = string(event, "/subtype").unwrap_or(kind);
            let model = string(event, "/model").unwrap_or_default();
            out.push((Level::Note, format!("{what} {model}").trim_end().to_owned()));
        }
        "result" => {
            let bad = event["is_error"] == true || string(event, "/status") == Some("error");
            let cost = event["total_cost_usd"].as_f64().map(|c| format!(", ${c:.2}")).unwrap_or_default();
            let said = string(event, "/result").or(string(event, "/error/message")).unwrap_or_default();
            out.push((if bad { Level::Error } else { Level::Note }, format!("result{cost}: {said}")));
        }
        _ => {}
    }
}

/// An item of codex.
fn item(kind: &str, item: &Value, out: &mut Lines) {
    let done = kind == "item.completed";
    match string(item, "/type").unwrap_or_default() {
        "agent_message" if done => {
            out.push((Level::Plain, string(item, "/text").unwrap_or_default().to_owned()));
        }
        "command_execution" if done => {
            let bad = item["exit_code"].as_i64().is_some_and(|c| c != 0);
            result(out, bad, string(item, "/aggregated_output").unwrap_or_default());
            if out.is_empty() {
                out.push((Level::Note, "  no output".to_owned()));
            }
        }
        "command_execution" => out.push((Level::Tool, format!("bash {}", asked(item)))),
        "error" => out.push((Level::Error, string(item, "/message").unwrap_or("error").to_owned())),
        other if done => out.push((Level::Tool, format!("{other} {}", asked(item)))),
        other => out.push((Level::Note, other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str) -> Vec<(Level, String)> {
        read(0, raw).into_iter().map(|l| (l.level, l.text)).collect()
    }

    #[test]
    fn events_of_the_known_programs_read_as_sentences() {
        let claude = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"Adding a cache."},
            {"type":"tool_use","name":"Bash","input":{"command":"cargo test"}}]}}"#;
        assert_eq!(
            text(claude),
            [(Level::Plain, "Adding a cache.".into()), (Level::Tool, "Bash cargo test".into())]
        );
        let codex = r#"{"type":"item.completed","item":{"type":"command_execution","aggregated_output":"boom","exit_code":1}}"#;
        assert_eq!(text(codex), [(Level::Error, "  boom".into())]);
        let gemini = r#"{"type":"tool_use","tool_name":"write_file","parameters":{"file_path":"a.rs"}}"#;
        assert_eq!(text(gemini), [(Level::Tool, "write_file a.rs".into())]);
    }

    #[test]
    fn normalised_events_have_a_time_and_a_word() {
        let lines = event(
            0,
            r#"{"at":"2026-11-20T14:02:11.000Z","kind":"tool","text":"bash cargo test\n-p policy"}"#,
        );
        let said: Vec<_> = lines.iter().map(|l| (l.level, l.text.as_str())).collect();
        assert_eq!(said, [(Level::Tool, "tool bash cargo test"), (Level::Tool, "     -p policy")]);
        assert!(lines.iter().all(|l| l.time == Some(Timestamp(1_795_183_331_000))), "{lines:?}");
        assert_eq!(event(0, "half a li")[0].text, "half a li");
        let error = event(0, r#"{"at":"2026-11-20T14:02:11.000Z","kind":"error","text":"\u001b[2J"}"#);
        assert_eq!((error[0].level, error[0].text.as_str()), (Level::Error, "ERR  ␛[2J"));
    }

    #[test]
    fn what_is_not_known_is_shown_and_what_is_hostile_is_not_obeyed() {
        assert_eq!(text("{\"x\": 1}"), [(Level::Plain, "{\"x\": 1}".into())]);
        assert_eq!(text("{\"x\": "), [(Level::Plain, "{\"x\": ".into())]);
        assert_eq!(text("\u{1b}]52;c;QQ\u{7}"), [(Level::Plain, "␛]52;c;QQ␇".into())]);
        assert_eq!(text(""), [(Level::Plain, String::new())]);
        let inside = r#"{"type":"message","content":"a\u001b[2Jb"}"#;
        assert_eq!(text(inside), [(Level::Plain, "a␛[2Jb".into())]);
        assert_eq!(text("test a::b ... FAILED")[0].0, Level::Error);
    }
}
