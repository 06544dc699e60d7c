//! Reads runs' logs for the board: follows them, reads a piece of them, and looks backwards for text in them.

use dispatch_shared::client::{self, Client};
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::runs::LogQuery;
use tokio::sync::mpsc;

use crate::effect::From;
use crate::model::log::Kind;
use crate::update::answers::Answer;

/// How much is looked through at once.
const LOOK: u64 = 1 << 20;
/// Lines that are longer than this are not found whole: so much of the next piece is looked through once more.
const OVERLAP: u64 = 8 << 10;

fn query(kind: Kind) -> LogQuery {
    LogQuery { stream: kind.stream().map(str::to_owned), ..LogQuery::default() }
}

/// Sends what a log holds and gets, until it is over or nobody listens.
pub(crate) async fn follow(
    client: Client,
    answers: mpsc::Sender<Answer>,
    run: RunId,
    kind: Kind,
    from: From,
) {
    let (offset, tail) = match from {
        From::Tail(bytes) => (None, Some(bytes)),
        From::Byte(at) => (Some(at), None),
    };
    let query = LogQuery { offset, tail, follow: Some(true), ..query(kind) };
    let cause = match client.log(run, &query).await {
        Err(error) => Some(error.to_string()),
        Ok(mut log) => {
            let mut at = log.offset;
            loop {
                match log.next().await {
                    Ok(Some(bytes)) => {
                        let answer = Answer::Log { run, kind, offset: at, bytes: bytes.to_vec() };
                        at += bytes.len() as u64;
                        if answers.send(answer).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error.to_string()),
                }
            }
        }
    };
    let _ = answers.send(Answer::LogEnd { run, kind, cause }).await;
}

/// The bytes `from..to` of a log, fewer if it ends before.
pub(crate) async fn read(
    client: &Client,
    run: RunId,
    kind: Kind,
    from: u64,
    to: u64,
) -> client::Result<Vec<u8>> {
    let query = LogQuery { offset: Some(from), ..query(kind) };
    let mut log = client.log(run, &query).await?;
    let want = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    while bytes.len() < want {
        let Some(more) = log.next().await? else { break };
        bytes.extend_from_slice(&more);
    }
    bytes.truncate(want);
    Ok(bytes)
}

/// Where the last line before the byte `before` begins that holds `needle`, in upper or lower case unless it has a capital.
pub(crate) async fn find(
    client: &Client,
    run: RunId,
    kind: Kind,
    needle: &str,
    before: u64,
) -> client::Result<Option<u64>> {
    let exact = needle.chars().any(char::is_uppercase);
    let mut end = before;
    while end > 0 {
        let from = end.saturating_sub(LOOK);
        let bytes = read(client, run, kind, from, end).await?;
        if let Some(at) = last_line_with(&bytes, needle, exact) {
            return Ok(Some(from + at as u64));
        }
        end = if from == 0 { 0 } else { (from + OVERLAP).min(end - 1) };
    }
    Ok(None)
}

/// Where the last line begins that holds `needle`.
fn last_line_with(bytes: &[u8], needle: &str, exact: bool) -> Option<usize> {
    let mut end = bytes.len();
    for line in bytes.split_inclusive(|b| *b == b'\n').rev() {
        let start = end - line.len();
        let text = String::from_utf8_lossy(line);
        let holds = if exact { text.contains(needle) } else { text.to_lowercase().contains(needle) };
        if holds {
            return Some(start);
        }
        end = start;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_with_the_text_is_found() {
        let log = b"one\nAn Error\nthree error\nlast";
        assert_eq!(last_line_with(log, "error", false), Some(13));
        assert_eq!(last_line_with(log, "Error", true), Some(4));
        assert_eq!(last_line_with(log, "last", false), Some(25));
        assert_eq!(last_line_with(log, "absent", false), None);
    }
}
