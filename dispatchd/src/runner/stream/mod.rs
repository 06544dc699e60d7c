//! What a program says, read line by line into one shape: the events that a person follows, what was used, and whether it
//! ended well. One file per dialect; nothing in a stream can make reading fail, at worst a line is shown as it is.

mod classify;
mod claude;
mod codex;
mod gemini;
mod opencode;
mod review;

use dispatch_shared::run::{EndClass, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::edges::Exit;

pub use classify::classify;

/// A line longer than this is cut; what follows it up to its end is dropped.
const LINE_MAX: usize = 8 << 20;
/// An event's text is cut to so many characters.
const TEXT_MAX: usize = 4_000;

/// A dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `claude --output-format stream-json` (and qwen).
    ClaudeStreamJson,
    /// `codex exec --json`.
    CodexJson,
    /// `gemini -o stream-json`.
    GeminiStreamJson,
    /// `opencode run --format json`.
    OpencodeJson,
    /// `coderabbit review --agent`.
    CoderabbitJson,
    /// Lines for a person; the exit code alone tells how it went.
    #[default]
    Plain,
}

/// What sort of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The program speaks.
    Text,
    /// It uses a tool.
    Tool,
    /// What the tool gave back.
    ToolResult,
    /// Something went wrong, perhaps only for now.
    Error,
    /// It is over, as the program says.
    Result,
    /// A line that is no event.
    Output,
    /// The runner speaks.
    Note,
}

/// One event of a run, as `events.jsonl` keeps it beside its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What sort.
    pub kind: Kind,
    /// For a person; may have several lines.
    pub text: String,
}

impl Event {
    fn new(kind: Kind, text: impl AsRef<str>) -> Self {
        let text = text.as_ref().trim();
        let mut cut: String = text.chars().take(TEXT_MAX).collect();
        if cut.len() < text.len() {
            cut.push('…');
        }
        Self { kind, text: cut }
    }

    /// The first line, short enough for a board.
    #[must_use]
    pub fn line(&self) -> String {
        let first = self.text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default().trim();
        let clean: String = first.chars().filter(|c| !c.is_control()).take(160).collect();
        match self.kind {
            Kind::Tool => format!("› {clean}"),
            _ => clean,
        }
    }
}

/// What the program itself said of its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// It went well.
    Fine,
    /// It did not, and how.
    Bad(EndClass, String),
}

/// What has been read so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The last event worth a line on the board.
    pub last_event: Option<String>,
    /// So far.
    pub usage: Usage,
    /// The terminal event; a later one replaces it.
    pub terminal: Option<Terminal>,
    /// The last error that was not terminal: what to believe if the program ends without a word.
    pub hint: Option<(EndClass, String)>,
}

/// Reads a stream.
#[derive(Debug)]
pub struct Reader {
    format: Format,
    line: Vec<u8>,
    overlong: bool,
    /// What is known.
    pub summary: Summary,
}

impl Reader {
    /// Starts at the beginning of a stream.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, line: Vec::new(), overlong: false, summary: Summary::default() }
    }

    /// Takes the next bytes, returns the events that are complete with them.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(end) = bytes.iter().position(|&b| b == b'\n') {
            self.keep(&bytes[..end]);
            self.finish_line(&mut events);
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
        events
    }

    /// The stream is over: a last line without an end counts as well.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if !self.line.is_empty() {
            self.finish_line(&mut events);
        }
        events
    }

    fn keep(&mut self, part: &[u8]) {
        let room = LINE_MAX - self.line.len();
        self.overlong |= part.len() > room;
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn finish_line(&mut self, events: &mut Vec<Event>) {
        let line = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.overlong);
        let text = String::from_utf8_lossy(&line);
        let before = events.len();
        let value = if cut || self.format == Format::Plain {
            None
        } else {
            serde_json::from_str::<Value>(text.trim()).ok().filter(|v| v.is_object())
        };
        match value {
            Some(value) => match self.format {
                Format::ClaudeStreamJson => claude::read(&value, &mut self.summary, events),
                Format::CodexJson => codex::read(&value, &mut self.summary, events),
                Format::GeminiStreamJson => gemini::read(&value, &mut self.summary, events),
                Format::OpencodeJson => opencode::read(&value, &mut self.summary, events),
                Format::CoderabbitJson => review::read(&value, &mut self.summary, events),
                Format::Plain => {}
            },
            None => {
                let text = text.trim_end();
                if !text.is_empty() {
                    events.push(Event::new(Kind::Output, text));
                }
            }
        }
        if let Some(line) = events[before..].iter().rev().map(Event::line).find(|l| !l.is_empty()) {
            self.summary.last_event = Some(line);
        }
    }

    /// How a program that ended with `exit` fared.
    ///
    /// # Errors
    /// The class and a sentence, if it did not end well.
    pub fn judge(&self, exit: Exit) -> Result<(), (EndClass, String)> {
        let code = match exit {
            Exit::Code(code) => code,
            Exit::OutOfMemory => {
                return Err((EndClass::Crashed, "it ran out of memory: raise runner.memory".into()));
            }
            Exit::Lost => {
                return Err((EndClass::Lost, "it vanished and left no exit code".into()));
            }
        };
        if let Some(Terminal::Bad(class, why)) = &self.summary.terminal {
            return Err((*class, why.clone()));
        }
        let said = self.summary.terminal.is_some();
        let must_say = matches!(
            self.format,
            Format::ClaudeStreamJson | Format::CodexJson | Format::GeminiStreamJson | Format::CoderabbitJson
        );
        // opencode has no terminal event: there its error event is the last word.
        if code == 0 && (said || (!must_say && self.summary.hint.is_none())) {
            return Ok(());
        }
        if self.format == Format::GeminiStreamJson
            && let Some((class, why)) = gemini::exit_code(code)
        {
            return Err((class, why));
        }
        if let Some((class, why)) = &self.summary.hint
            && !said
        {
            return Err((*class, why.clone()));
        }
        Err(match code {
            0 => (EndClass::Failed, "it ended without saying how it went".into()),
            125..=127 => (
                EndClass::Crashed,
                format!("it could not start (exit code {code}): is the program in the image?"),
            ),
            129..=192 => (EndClass::Crashed, format!("it died of signal {} (exit code {code})", code - 128)),
            _ => (EndClass::Failed, format!("it failed with exit code {code}")),
        })
    }
}

/// A text field, empty if it is not there.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A count, zero if it is not there.
fn count(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// How a tool's use reads in one line: its name and the argument that says most.
fn tool_line(name: &str, input: &Value) -> String {
    let says = ["command", "file_path", "path", "filePath", "pattern", "query", "url", "description"]
        .iter()
        .find_map(|k| input.get(k).and_then(Value::as_str));
    match says {
        Some(says) => format!("{name}: {says}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
