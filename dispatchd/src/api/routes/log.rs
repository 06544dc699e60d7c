//! `/api/runs/{id}/log`: bytes from any offset, or the lines that hold a text, followed until the run is over.

use std::io;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dispatch_shared::error::Code;
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::runs::LogQuery;
use hyper::header;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::runs;
use crate::api::error::{Result, failure};
use crate::api::extract::Query;
use crate::api::openapi::{Answers, Operation, Words};
use crate::api::path::Path;
use crate::api::{App, LogStream};

/// How much is read at once.
const PIECE: usize = 64 * 1024;

pub(super) async fn log(
    State(app): State<App>,
    Path(run): Path<RunId>,
    Query(query): Query<LogQuery>,
) -> Result<Log> {
    runs::record(&app.ledger.snapshot(), run)?;
    let (stream, kind) = match query.stream.as_deref() {
        None | Some("raw") => (LogStream::Raw, "application/octet-stream"),
        Some("events") => (LogStream::Events, "application/jsonl"),
        Some(other) => {
            return Err(failure(Code::BadRequest, format!("stream `{other}`: there are raw and events")));
        }
    };
    let length = app.files.len(run, stream);
    let offset = match (query.offset, query.tail) {
        (Some(offset), _) => offset.min(length),
        (None, Some(tail)) => length.saturating_sub(tail),
        (None, None) => 0,
    };
    let follow = query.follow.unwrap_or(false);
    let headers = [
        (header::CONTENT_TYPE.as_str(), kind.to_owned()),
        ("x-log-offset", offset.to_string()),
        ("x-log-length", length.to_string()),
    ];
    let (out, rx) = mpsc::channel(4);
    let grep = query.q.filter(|q| !q.is_empty()).map(|q| Grep { wanted: q.to_lowercase(), half: Vec::new() });
    let mut source = Source { app, run, stream, grep };
    tokio::spawn(async move {
        let sent =
            if follow { source.follow(offset, &out).await } else { source.send(offset, length, &out).await };
        if let Some(rest) = source.grep.as_mut().map(Grep::end).filter(|r| !r.is_empty()) {
            let _ = out.send(Ok(rest.into())).await;
        }
        if let Err(error) = sent {
            let _ = out.send(Err(error)).await;
        }
    });
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(rx));
    Ok(Log((headers, body).into_response()))
}

/// A log, as bytes or as lines.
pub(super) struct Log(Response);

impl IntoResponse for Log {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Answers for Log {
    fn tell(operation: &mut Operation, _: &mut Words) {
        operation.answers(
            200,
            "application/octet-stream",
            json!({"description": "What the program put out."}),
        );
        let lines = "What it means, one JSON object a line.";
        operation.answers(200, "application/jsonl", json!({"description": lines}));
        operation.answers_header("x-log-offset", "The byte at which the answer begins.");
        operation.answers_header("x-log-length", "How long the log was when it was asked for, in bytes.");
    }
}

struct Source {
    app: App,
    run: RunId,
    stream: LogStream,
    grep: Option<Grep>,
}

/// Lets lines through that hold a text.
struct Grep {
    wanted: String,
    half: Vec<u8>,
}

impl Grep {
    fn holds(&self, line: &[u8]) -> bool {
        String::from_utf8_lossy(line).to_lowercase().contains(&self.wanted)
    }

    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.half.extend_from_slice(bytes);
        let whole = self.half.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let rest = self.half.split_off(whole);
        let lines = std::mem::replace(&mut self.half, rest);
        lines.split_inclusive(|b| *b == b'\n').filter(|l| self.holds(l)).flatten().copied().collect()
    }

    /// The last line, which no line break ends.
    fn end(&mut self) -> Vec<u8> {
        let last = std::mem::take(&mut self.half);
        if self.holds(&last) { last } else { Vec::new() }
    }
}

type Out = mpsc::Sender<io::Result<Bytes>>;

impl Source {
    /// Sends the bytes from `offset` to `end`, and says where it came to.
    async fn send(&mut self, mut offset: u64, end: u64, out: &Out) -> io::Result<u64> {
        if offset >= end {
            return Ok(offset);
        }
        let file = tokio::fs::File::from_std(self.app.files.open(self.run, self.stream, offset)?);
        let mut rest = file.take(end - offset);
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            if (&mut rest).take(PIECE as u64).read_to_end(&mut piece).await? == 0 {
                return Ok(offset);
            }
            offset += piece.len() as u64;
            if let Some(grep) = &mut self.grep {
                piece = grep.push(&piece);
                if piece.is_empty() {
                    continue;
                }
            }
            if out.send(Ok(piece.into())).await.is_err() {
                return Ok(offset);
            }
        }
    }

    /// Sends the log from `offset` until it is complete: only the ledger knows when that is. Nobody writes the log of a run
    /// that was just taken or not yet adopted, or writes its last line later, after the program's.
    async fn follow(&mut self, mut offset: u64, out: &Out) -> io::Result<u64> {
        let mut commits = self.app.ledger.commits();
        loop {
            commits.mark_unchanged();
            let live = |run| self.app.ledger.snapshot().runs.get(&run).is_some_and(|r| r.state.is_live());
            // Asked before the length: what was written before the end is sent.
            let over = !live(self.run);
            offset = self.send(offset, self.app.files.len(self.run, self.stream), out).await?;
            if over {
                return Ok(offset);
            }
            let grown = async {
                if self.app.files.grown(self.run, self.stream, offset).await.1 {
                    // Nobody writes now; what comes next is told with a commit.
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = out.closed() => return Ok(offset),
                () = self.app.shutdown.cancelled() => return Ok(offset),
                () = grown => {}
                changed = commits.changed() => if changed.is_err() { return Ok(offset) },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_wherever_they_are_cut() {
        let text = "one ERROR\ntwo\nthree error\nfour\nlast Error";
        for cut in 0..=text.len() {
            let mut grep = Grep { wanted: "error".into(), half: Vec::new() };
            let mut found = grep.push(&text.as_bytes()[..cut]);
            found.extend(grep.push(&text.as_bytes()[cut..]));
            found.extend(grep.end());
            assert_eq!(
                String::from_utf8(found).unwrap(),
                "one ERROR\nthree error\nlast Error",
                "cut at {cut}"
            );
        }
    }
}
