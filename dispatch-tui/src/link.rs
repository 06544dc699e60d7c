//! The connection to the daemon, as a task: connect, pass on what comes, and when it breaks try again, later each
//! time, from the last number that was seen. Losing the daemon is news, never an end.

use std::time::Duration;

use dispatch_shared::client::{Client, EventStream, Message};
use dispatch_shared::event::Seq;
use dispatch_shared::protocol::events::EventsQuery;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::update::News;

/// Waits between attempts: the first at once, so that a restart is hardly seen.
const BACKOFF: [Duration; 6] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// The wait before attempt `failures` + 1.
fn backoff(failures: usize) -> Duration {
    BACKOFF[failures.min(BACKOFF.len() - 1)]
}

/// What the runtime may ask of the link: the whole state again, now.
pub(crate) type Resync = mpsc::Receiver<()>;

/// Runs until nobody listens any more.
pub(crate) async fn run(client: Client, news: mpsc::Sender<News>, mut resync: Resync) {
    // `None`: a snapshot is wanted.
    let mut seen: Option<Seq> = None;
    let mut failures = 0;
    loop {
        let query = match seen {
            Some(seq) => EventsQuery { snapshot: None, after: Some(seq.0) },
            None => EventsQuery { snapshot: Some("all".to_owned()), after: None },
        };
        let cause = match client.events(&query).await {
            Ok(stream) => {
                if seen.is_some() && news.send(News::Resumed).await.is_err() {
                    return;
                }
                match follow(stream, &news, &mut seen, &mut resync, &mut failures).await {
                    End::Again => continue,
                    End::Nobody => return,
                    End::Broken(cause) => cause,
                }
            }
            Err(error) => error.to_string(),
        };
        if news.send(News::Lost { cause }).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(backoff(failures)) => failures += 1,
            asked = resync.recv() => {
                if asked.is_none() {
                    return;
                }
                (seen, failures) = (None, 0);
            }
        }
    }
}

enum End {
    /// Ask again, at once.
    Again,
    /// The stream broke off.
    Broken(String),
    /// Nobody listens to us.
    Nobody,
}

async fn follow(
    mut stream: EventStream,
    news: &mpsc::Sender<News>,
    seen: &mut Option<Seq>,
    resync: &mut Resync,
    failures: &mut usize,
) -> End {
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            asked = resync.recv() => {
                *seen = None;
                return if asked.is_some() { End::Again } else { End::Nobody };
            }
        };
        let item = match message {
            Ok(Some(Message::Snapshot(snapshot))) => {
                *seen = Some(snapshot.seq);
                News::Snapshot(snapshot)
            }
            Ok(Some(Message::Change(change))) => {
                *seen = (*seen).max(Some(change.seq));
                News::Change(change)
            }
            Ok(Some(Message::Progress(progress))) => News::Progress(progress),
            Ok(Some(Message::Reset)) => {
                *seen = None;
                return End::Again;
            }
            Ok(None) => return End::Broken("the daemon ended the stream".to_owned()),
            Err(error) => return End::Broken(error.to_string()),
        };
        *failures = 0;
        if news.send(item).await.is_err() {
            return End::Nobody;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let waits: Vec<_> = (0..20).map(backoff).collect();
        assert!(waits.is_sorted());
        assert_eq!(waits.last(), Some(&Duration::from_secs(10)));
    }
}
