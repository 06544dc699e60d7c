//! A repository on disk with issues that are ready, and a port for a daemon to listen on.

use std::net::TcpListener;
use std::time::Duration;

use dispatch_shared::client::Client;
use dispatch_shared::protocol::repos::AddRepoRequest;

use crate::daemon::{Place, wait_until};
use crate::repository::Repository;

/// Makes `local/sample` with issues 1 to `ready`, and has the daemon that `client` talks to track it.
///
/// # Panics
/// If the issues are not on the board within 20 seconds.
pub async fn issues(place: &Place, client: &Client, ready: usize) {
    let repository = Repository::new(place.path(), "sample");
    for n in 1..=ready {
        repository.ready_issue(n as u64, &format!("Issue {n}"));
    }
    let add = AddRepoRequest {
        forge: Some("local".into()),
        path: Some(repository.path().display().to_string()),
        ..AddRepoRequest::default()
    };
    client.add_repo(&add).await.expect("a local repository can be tracked");
    wait_until("all issues on the board", Duration::from_secs(20), async || {
        (client.control().await.ok()?.ready == ready).then_some(())
    })
    .await;
}

/// A port on loopback that nobody uses, outside of the range from which the system gives ports to clients: a daemon that is
/// killed and started again finds it free.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn port() -> u16 {
    let first = u16::try_from(std::process::id() % 8_000).unwrap_or(0) + 20_000;
    (0..2_000_u16)
        .map(|n| first + n)
        .find(|port| {
            !TAKEN.lock().expect("no panic").contains(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok()
        })
        .inspect(|port| TAKEN.lock().expect("no panic").push(*port))
        .expect("a free port")
}

/// The ports that this process has given out.
static TAKEN: std::sync::Mutex<Vec<u16>> = std::sync::Mutex::new(Vec::new());
