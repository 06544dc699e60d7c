//! `/api/runs/{id}/log`: bytes from any offset, followed until the run is over.

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
    let source = Source { app, run, stream };
    tokio::spawn(async move {
        let sent =
            if follow { source.follow(offset, &out).await } else { source.send(offset, length, &out).await };
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
}

type Out = mpsc::Sender<io::Result<Bytes>>;

impl Source {
    /// Sends the bytes from `offset` to `end`, and says where it came to.
    async fn send(&self, mut offset: u64, end: u64, out: &Out) -> io::Result<u64> {
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
            if out.send(Ok(piece.into())).await.is_err() {
                return Ok(offset);
            }
        }
    }

    /// Sends the log from `offset` until it is complete: only the ledger knows when that is. Nobody writes the log of a run
    /// that was just taken or not yet adopted, or writes its last line later, after the program's.
    async fn follow(&self, mut offset: u64, out: &Out) -> io::Result<u64> {
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
