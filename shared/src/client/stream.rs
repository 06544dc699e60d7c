//! Reads server-sent events: `event:`, `id:` and `data:` lines, a blank line ends one.

use std::borrow::Cow;

use crate::event::Seq;
use crate::protocol::events::{Change, Progress, Snapshot};

use super::{Error, Result};

/// One message of the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The state to start from.
    Snapshot(Box<Snapshot>),
    /// What changed since.
    Change(Box<Change>),
    /// Long work under way.
    Progress(Progress),
    /// The number asked for is too old: ask again with a snapshot.
    Reset,
}

/// The open stream.
#[derive(Debug)]
pub struct EventStream {
    answer: reqwest::Response,
    endpoint: String,
    buffer: Vec<u8>,
    /// So many bytes of the buffer hold no end of a block: a large snapshot is looked through once, however it comes.
    scanned: usize,
}

impl EventStream {
    pub(super) fn new(answer: reqwest::Response, endpoint: String) -> Self {
        Self { answer, endpoint, buffer: Vec::new(), scanned: 0 }
    }

    /// The next message; `None` when the daemon ends the stream.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the connection broke, [`Error::Garbled`] if a message cannot be read.
    pub async fn next(&mut self) -> Result<Option<Message>> {
        loop {
            while let Some(block) = take_block(&mut self.buffer, &mut self.scanned) {
                if let Some(message) = read_block(&block)
                    .map_err(|cause| Error::Garbled { endpoint: self.endpoint.clone(), cause })?
                {
                    return Ok(Some(message));
                }
            }
            match self.answer.chunk().await {
                Ok(Some(bytes)) => self.buffer.extend_from_slice(&bytes),
                Ok(None) => return Ok(None),
                Err(e) => {
                    return Err(Error::Unreachable { endpoint: self.endpoint.clone(), cause: e.to_string() });
                }
            }
        }
    }
}

/// Cuts the first complete block off the buffer; `scanned` says where to go on looking for its end.
fn take_block(buffer: &mut Vec<u8>, scanned: &mut usize) -> Option<String> {
    let from = scanned.saturating_sub(1).min(buffer.len());
    let Some(found) = buffer[from..].windows(2).position(|w| w == b"\n\n") else {
        *scanned = buffer.len();
        return None;
    };
    *scanned = 0;
    let rest = buffer.split_off(from + found + 2);
    let block = std::mem::replace(buffer, rest);
    Some(String::from_utf8(block).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// Reads one block; `None` for comments (keep-alives) and events of a kind not known here.
fn read_block(block: &str) -> std::result::Result<Option<Message>, String> {
    let (mut name, mut id, mut data) = ("message", None, Cow::Borrowed(""));
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value,
            "id" => id = value.parse::<u64>().ok(),
            "data" if data.is_empty() => data = Cow::Borrowed(value),
            "data" => {
                let data = data.to_mut();
                data.push('\n');
                data.push_str(value);
            }
            _ => {}
        }
    }
    let garbled = |e: serde_json::Error| format!("event `{name}`: {e}");
    Ok(match name {
        "snapshot" => Some(Message::Snapshot(serde_json::from_str(&data).map_err(garbled)?)),
        "change" => {
            let mut change: Change = serde_json::from_str(&data).map_err(garbled)?;
            change.seq = id.map_or(change.seq, Seq);
            Some(Message::Change(Box::new(change)))
        }
        "progress" => Some(Message::Progress(serde_json::from_str(&data).map_err(garbled)?)),
        "reset" => Some(Message::Reset),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_at_blank_lines_however_they_arrive() {
        let text = b": keep-alive\n\nevent: reset\ndata: {}\n\nevent: none\n\n";
        for piece in 1..text.len() {
            let (mut buffer, mut scanned, mut found) = (Vec::new(), 0, Vec::new());
            for bytes in text.chunks(piece) {
                buffer.extend_from_slice(bytes);
                while let Some(block) = take_block(&mut buffer, &mut scanned) {
                    found.push(read_block(&block).unwrap());
                }
            }
            assert_eq!(found, [None, Some(Message::Reset), None], "in pieces of {piece}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_change_takes_its_number_from_the_id() {
        let message = read_block("event: change\nid: 7\ndata: {}\n\n").unwrap();
        assert!(matches!(message, Some(Message::Change(c)) if c.seq == Seq(7)));
    }
}
