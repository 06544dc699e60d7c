//! What a program says, read line by line into one shape: the events that a person follows, what was used, and whether it
//! ended well. One file per dialect; nothing in a stream can make reading fail, at worst a line is shown as it is.

mod classify;
mod claude;
mod codex;
mod copilot;
mod event;
mod gemini;
mod judge;
mod opencode;
mod review;
mod wait;

use std::collections::BTreeMap;

use dispatch_shared::run::{EndClass, Usage};
use serde::Deserialize;
use serde_json::Value;

pub use classify::classify;
pub use event::{Event, Kind};
pub use wait::{Again, again};

/// A line longer than this is cut; what follows it up to its end is dropped. Tools put whole files into one line.
const LINE_MAX: usize = 32 << 20;

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
    /// `copilot --output-format json`.
    CopilotJson,
    /// Lines for a person; the exit code alone tells how it went.
    #[default]
    Plain,
}

/// What the program itself said of its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// It went well.
    Fine,
    /// It did not, and how.
    Bad(EndClass, String),
}

impl Format {
    /// Whether a program of this format says at its end how it went, so that silence is no success.
    fn must_say(self) -> bool {
        !matches!(self, Format::OpencodeJson | Format::Plain)
    }
}

/// A session that goes on, and what had been used in it before.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    /// Its id.
    pub session: String,
    /// The last total that it told.
    pub total: Usage,
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
    /// The program's own id of the conversation, by which it can be taken up again.
    pub session: Option<String>,
    /// The model, as far as it is told.
    pub model: Option<String>,
    /// How often the model was asked.
    pub turns: u64,
    /// When the model may be asked again, if an error said so.
    pub again: Option<Again>,
    /// The total of the whole session, where the program counts so.
    pub total: Option<Usage>,
    /// A line of no format that reads like an error.
    muttered: Option<(EndClass, String)>,
    messages: BTreeMap<String, Usage>,
    resumed: Option<Before>,
}

impl Summary {
    /// A session began, or its model became known.
    fn begin(&mut self, session: Option<&str>, model: &str, events: &mut Vec<Event>) {
        self.session_is(session.unwrap_or_default());
        if !model.is_empty() {
            self.model = Some(model.to_owned());
        }
        let parts = [session.unwrap_or_default(), model];
        let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        if !parts.is_empty() {
            events.push(Event::new(Kind::Session, parts.join(", ")));
        }
    }

    fn session_is(&mut self, id: &str) {
        // It goes back as an argument: nothing that could be read as an option, or as more than one word.
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !id.is_empty() && id.len() <= 128 && !id.starts_with('-') && id.chars().all(fine) {
            self.session = Some(id.to_owned());
        }
    }

    /// What had been used in this session before; nothing in a new one.
    fn before(&self) -> Usage {
        match &self.resumed {
            Some(before) if self.session.as_ref() == Some(&before.session) => before.total,
            _ => Usage::default(),
        }
    }

    /// The class and sentence of an error, with the time that it names taken down.
    fn failure(&mut self, status: Option<u64>, said: &str) -> (EndClass, String) {
        if let Some(wait) = again(said) {
            self.again = Some(wait);
        }
        (classify(status, said), said.to_owned())
    }
}

/// Reads a stream.
#[derive(Clone, Debug)]
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

    /// The stream belongs to a session that was taken up again.
    #[must_use]
    pub fn resuming(mut self, before: Option<Before>) -> Self {
        self.summary.resumed = before;
        self
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
        if cut || self.format == Format::Plain {
            self.loose(&text, events);
        } else {
            self.pieces(&text, events);
        }
        if let Some(line) = events[before..].iter().rev().map(Event::line).find(|l| !l.is_empty()) {
            self.summary.last_event = Some(line);
        }
    }
}

impl Reader {
    /// The events in a line, and what stands around them: another stream's words may come before one without an end of
    /// line between, and two may have lost theirs. Nothing is looked for inside an event that is broken: what stands there
    /// is somebody's text.
    fn pieces(&mut self, text: &str, events: &mut Vec<Event>) {
        let mut rest = text.trim();
        while let Some(start) = if rest.starts_with('{') { Some(0) } else { rest.find("{\"type\":") } {
            let mut values = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<Value>();
            let Some(Ok(value)) = values.next() else { break };
            let end = start + values.byte_offset();
            self.loose(&rest[..start], events);
            self.event(&value, events);
            rest = rest[end..].trim_start();
        }
        self.loose(rest, events);
    }

    /// Text that is no event.
    fn loose(&mut self, text: &str, events: &mut Vec<Event>) {
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        events.push(Event::new(Kind::Output, text));
        let head: String = text.trim_start().chars().take(2_000).collect();
        let lower = head.to_lowercase();
        let like_an_error = ["error", "fatal", "[api error", "failed", "not logged in", "invalid api key"];
        if like_an_error.iter().any(|word| lower.starts_with(word)) {
            let (class, why) = self.summary.failure(None, &head);
            if class != EndClass::Failed {
                self.summary.muttered = Some((class, why));
            }
        }
    }

    fn event(&mut self, value: &Value, events: &mut Vec<Event>) {
        let summary = &mut self.summary;
        match self.format {
            Format::ClaudeStreamJson => claude::read(value, summary, events),
            Format::CodexJson => codex::read(value, summary, events),
            Format::GeminiStreamJson => gemini::read(value, summary, events),
            Format::OpencodeJson => opencode::read(value, summary, events),
            Format::CoderabbitJson => review::read(value, summary, events),
            Format::CopilotJson => copilot::read(value, summary, events),
            Format::Plain => {}
        }
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
