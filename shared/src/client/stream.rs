//! Reads server-sent events: `event:`, `id:` and `data:` lines, a blank line ends one.

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
}

impl EventStream {
    pub(super) fn new(answer: reqwest::Response, endpoint: String) -> Self {
        Self { answer, endpoint, buffer: Vec::new() }
    }

    /// The next message; `None` when the daemon ends the stream.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the connection broke, [`Error::Garbled`] if a message cannot be read.
    pub async fn next(&mut self) -> Result<Option<Message>> {
        loop {
            while let Some(block) = take_block(&mut self.buffer) {
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

/// Cuts the first complete block off the buffer.
fn take_block(buffer: &mut Vec<u8>) -> Option<String> {
    let end = buffer.windows(2).position(|w| w == b"\n\n")?;
    let block: Vec<u8> = buffer.drain(..end + 2).collect();
    Some(String::from_utf8_lossy(&block).into_owned())
}

/// Reads one block; `None` for comments (keep-alives) and events of a kind not known here.
fn read_block(block: &str) -> std::result::Result<Option<Message>, String> {
    let (mut name, mut id, mut data) = ("message", None, String::new());
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value,
            "id" => id = value.parse::<u64>().ok(),
            "data" => {
                if !data.is_empty() {
                    data.push('\n');
                }
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
        let mut buffer = b": keep-alive\n\nevent: reset\nda".to_vec();
        assert_eq!(read_block(&take_block(&mut buffer).unwrap()), Ok(None));
        assert_eq!(take_block(&mut buffer), None, "half a block is none");
        buffer.extend_from_slice(b"ta: {}\n\n");
        assert_eq!(read_block(&take_block(&mut buffer).unwrap()), Ok(Some(Message::Reset)));
    }

    #[test]
    fn a_change_takes_its_number_from_the_id() {
        let message = read_block("event: change\nid: 7\ndata: {}\n\n").unwrap();
        assert!(matches!(message, Some(Message::Change(c)) if c.seq == Seq(7)));
    }
}
