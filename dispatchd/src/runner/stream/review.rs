//! `coderabbit review --agent`: findings, heartbeats, one end. Read from the vendor's description, not measured.

use serde_json::Value;

use super::{Event, Kind, Summary, Terminal, text};

pub(super) fn read(v: &Value, summary: &mut Summary, events: &mut Vec<Event>) {
    let said = ["/message", "/title", "/comment", "/error/message", "/error"]
        .iter()
        .map(|p| text(v, p))
        .find(|t| !t.is_empty())
        .unwrap_or_default();
    match text(v, "/type") {
        "finding" => {
            let file = [text(v, "/fileName"), text(v, "/file"), text(v, "/path")]
                .into_iter()
                .find(|f| !f.is_empty());
            let line = match file {
                Some(file) => format!("{file}: {said}"),
                None => said.to_owned(),
            };
            events.push(Event::new(Kind::Text, line));
        }
        "complete" => {
            events.push(Event::new(Kind::Result, "the review is complete"));
            summary.terminal = Some(Terminal::Fine);
        }
        "error" => {
            events.push(Event::new(Kind::Error, said));
            let (class, why) = summary.failure(None, said);
            summary.terminal = Some(Terminal::Bad(class, why));
        }
        _ => {}
    }
}
