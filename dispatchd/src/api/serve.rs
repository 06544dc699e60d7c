//! The accept loop around the router, the same for both doors: bounded headers, bounded connections, no patience with those
//! who do not read, graceful drain.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::BoxFuture;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::listen::Local;
use super::tcp::Tcp;

/// How many connections a door serves at once; more wait in its backlog, and the other door is none the worse for it.
const CONNECTIONS: usize = 1_024;
/// How long a request's headers may take to arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a peer may read nothing of an answer before it is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most that is buffered of a connection's input.
const BUFFER: usize = 64 * 1024;
/// How long answers under way may take once the daemon goes down.
const DRAIN: Duration = Duration::from_secs(5);

/// Where connections come from.
pub trait Accept: Send + Sync {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Send + 'static;

    /// The next one.
    fn next(&self) -> BoxFuture<'_, std::io::Result<Self::Stream>>;
}

impl Accept for Local {
    type Stream = interprocess::local_socket::tokio::Stream;

    fn next(&self) -> BoxFuture<'_, std::io::Result<Self::Stream>> {
        Box::pin(self.accept())
    }
}

impl Accept for Tcp {
    type Stream = tokio::net::TcpStream;

    fn next(&self) -> BoxFuture<'_, std::io::Result<Self::Stream>> {
        Box::pin(self.accept())
    }
}

/// Serves until `shutdown`, then lets answers under way finish.
pub async fn door<L: Accept>(listener: L, router: Router, shutdown: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = async {
                let slot = slots.clone().acquire_owned().await;
                (slot, listener.next().await)
            } => accepted,
        };
        let (Ok(slot), stream) = accepted else { break };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                // Out of descriptors, most likely: going round at once would only burn the processor.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let stream = Box::pin(stream);
        let service = TowerToHyperService::new(router.clone());
        let stop = shutdown.clone();
        tasks.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke");
            }
            drop(slot);
        });
    }
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!(open = tasks.len(), "connections were cut: they took more than 5 seconds to finish");
    }
}
