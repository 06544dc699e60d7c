//! A GitHub that lives in this process: its REST API as far as Dispatch uses it, and git over smart HTTP on real bare
//! repositories.
//!
//! - `state`: what it knows; `person`: what people do to it behind Dispatch's back; `look`: what a test may look at.
//! - `serve`: accepts, authenticates, counts, logs, fails on demand; `routes`, `issues`, `pulls`, `actions`: the answers.
//! - `health`: checks, reviews, threads, jobs and their logs, over REST and (`health_graph`) over `graphql`; `review`: what people and checks do
//!   there.
//! - `dependencies`: which issues block which.
//! - `app`: GitHub Apps, and what tokens may.
//! - `shape`: what GitHub writes besides what matters here.
//! - `git`: `git http-backend`; `bare`: plumbing on the repositories; [`fault`]: what can go wrong.
//!
//! It never merges or closes by itself: who asks for that over the API is refused, and it stands in the log.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatch_shared::id::RepoKey;
use dispatchd::core::record::Repo;
use dispatchd::edges::Edges;
use dispatchd::forge::github::GithubForge;
use dispatchd::secret::Secret;
use reqwest::Url;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

mod actions;
mod app;
mod bare;
mod dependencies;
pub mod fault;
mod git;
mod graphql;
mod health;
mod health_graph;
mod issues;
mod look;
mod page;
mod person;
mod pulls;
mod review;
mod routes;
mod serve;
mod shape;
mod state;

pub use self::actions::NewRun;
pub use self::health::{Answered, GraphFault};
pub use self::look::{Exchange, IssueView, PullView, Request};
pub use self::review::Points;
use self::state::State;

/// The token that the fake accepts from the start.
pub const TOKEN: &str = "ghp_fakeFAKEfake0123456789";

/// The daemon's side of the repository `name`, which the fake calls `id`, as it stands once it is tracked.
///
/// # Panics
/// If `name` is not `owner/name`.
#[must_use]
pub fn tracked(id: impl std::fmt::Display, name: &str) -> Repo {
    Repo {
        key: RepoKey::new(format!("gh{id}")),
        default_branch: "main".into(),
        tracked: true,
        ..Repo::unknown(name.parse().expect("the test names a repository"))
    }
}

struct Shared {
    /// Scheme, host and port.
    origin: String,
    /// What stands before every path of the API: nothing, or `/api/v3` on Enterprise.
    mount: &'static str,
    root: TempDir,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path below the API, if it is one.
    fn below_mount<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self.mount {
            "" => Some(path),
            _ if path == "/api/graphql" => Some("/graphql"),
            mount => path.strip_prefix(mount),
        }
    }

    fn bare(&self, id: u64) -> PathBuf {
        self.root.path().join(format!("{id}.git"))
    }
}

/// See the module. Ends when dropped.
pub struct FakeGithub {
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl std::fmt::Debug for FakeGithub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeGithub").field("origin", &self.shared.origin).finish_non_exhaustive()
    }
}

impl FakeGithub {
    /// Starts one without repositories on a free port of 127.0.0.1, in a thread of its own.
    pub async fn start() -> Self {
        Self::mounted("").await
    }

    /// The same as an Enterprise server: its API is below `/api/v3`, GraphQL at `/api/graphql`, nothing else answers.
    pub async fn start_enterprise() -> Self {
        Self::mounted("/api/v3").await
    }

    /// Dispatch's client of this fake, with the token that it accepts.
    ///
    /// # Panics
    /// If no client can be made on this machine.
    #[must_use]
    pub fn forge(&self, edges: Edges, timeout: Duration) -> GithubForge {
        let token = Some(Secret::new(TOKEN));
        GithubForge::with_timeout(self.url(), token, edges, timeout).expect("a client can be made")
    }

    async fn mounted(mount: &'static str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            origin: format!("http://{address}"),
            mount,
            root: TempDir::new().expect("a temporary directory"),
            state: Mutex::new(State::new(TOKEN)),
        });
        let stop = CancellationToken::new();
        let (served, stopped) = (shared.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("fake-github".to_owned())
            .spawn(move || serve::run(listener, served, stopped))
            .expect("a thread can be started");
        Self { shared, stop, thread: Some(thread) }
    }

    /// The address of the API. Git is served at the root of the same host.
    #[must_use]
    pub fn url(&self) -> Url {
        format!("{}{}", self.shared.origin, self.shared.mount).parse().expect("the origin is an address")
    }

    /// A token that is accepted.
    #[must_use]
    pub fn token(&self) -> &'static str {
        TOKEN
    }
}

impl Drop for FakeGithub {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic over there has already failed the request that it served.
            let _ = thread.join();
        }
    }
}
