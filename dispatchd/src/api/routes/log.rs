//! `/api/runs/{id}/log`: bytes from any offset, followed until the run is over.

use std::io;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dispatch_shared::error::Code;
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::runs::LogQuery;
use hyper::header;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::runs;
use crate::api::error::{Result, failure};
use crate::api::extract::{self, Query};
use crate::api::{App, LogStream};

/// How much is read at once.
const PIECE: usize = 64 * 1024;

pub(super) async fn log(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<Response> {
    let run = extract::run_id(&id)?;
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
    tokio::spawn(async move {
        if let Err(error) = pump(&app, run, stream, offset, follow.then_some(()), length, &out).await {
            let _ = out.send(Err(error)).await;
        }
    });
    Ok((headers, Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(rx))).into_response())
}

/// Sends the log from `offset`; with `follow` until it is complete, else up to `length`.
async fn pump(
    app: &App,
    run: RunId,
    stream: LogStream,
    mut offset: u64,
    follow: Option<()>,
    mut length: u64,
    out: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let mut complete = follow.is_none();
    loop {
        if offset < length {
            let file = tokio::fs::File::from_std(app.files.open(run, stream, offset)?);
            let mut rest = file.take(length - offset);
            loop {
                let mut piece = Vec::with_capacity(PIECE);
                if (&mut rest).take(PIECE as u64).read_to_end(&mut piece).await? == 0 {
                    break;
                }
                offset += piece.len() as u64;
                if out.send(Ok(piece.into())).await.is_err() {
                    return Ok(());
                }
            }
        }
        if complete && offset >= length {
            return Ok(());
        }
        (length, complete) = tokio::select! {
            () = out.closed() => return Ok(()),
            () = app.shutdown.cancelled() => return Ok(()),
            grown = app.files.grown(run, stream, offset) => grown,
        };
        if complete && offset >= length {
            return Ok(());
        }
    }
}
