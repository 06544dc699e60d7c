//! A cluster in this process: an API server over HTTP on 127.0.0.1 with Jobs, pods, logs and watches in memory, what makes pods
//! of Jobs, and a node that either leaves them to the test or runs them as processes of this machine. It can be told to fail.

mod log;
mod node;
mod routes;
mod world;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dispatchd::edges::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::world::World;

/// The namespace that everything happens in.
pub const NAMESPACE: &str = "agents";
/// The volume claim that is there.
pub const CLAIM: &str = "dispatch-state";
/// What the API server lets in.
pub const TOKEN: &str = "a-token-of-the-cluster";

/// What goes wrong, once each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A Job is made, and the answer is lost on its way.
    AnswerLost,
    /// A Job is not made: somebody else's has that name for a moment.
    NameTaken,
    /// A watch is told that it is too old.
    WatchGone,
    /// A watch breaks off.
    WatchCut,
    /// A followed log breaks off after so many bytes.
    LogCut(usize),
    /// No pod can be made for a Job.
    NoPod,
    /// A request is answered with this status.
    Status(u16),
}

/// What runs pods.
#[derive(Clone, Debug)]
pub enum Node {
    /// Nothing: they stay as they are until the test says otherwise.
    Idle,
    /// This machine; the claim is this directory.
    Runs(PathBuf),
}

struct Shared {
    world: Mutex<World>,
    changed: watch::Sender<u64>,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world and wakes who waits for that.
    fn change<T>(&self, how: impl FnOnce(&mut World) -> T) -> T {
        let done = how(&mut self.world());
        self.changed.send_modify(|n| *n += 1);
        done
    }
}

fn now() -> String {
    stamp(SystemClock.now().0)
}

/// RFC 3339 of milliseconds.
fn stamp(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).expect("a time of today").to_string()
}

/// See the module. Ends when dropped, and what its node runs with it.
pub struct FakeCluster {
    shared: Arc<Shared>,
    url: String,
    stop: CancellationToken,
}

impl FakeCluster {
    /// Starts one.
    ///
    /// # Panics
    /// If no port can be had.
    pub async fn start(node: Node) -> Self {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new(node, stop.clone())),
            changed: watch::Sender::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = routes::router(shared.clone());
        let ended = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, router) => served.expect("it serves"),
                () = ended.cancelled() => {}
            }
        });
        Self { shared, url, stop }
    }

    /// Writes a kubeconfig for it into `dir`.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn kubeconfig(&self, dir: &Path) -> PathBuf {
        self.kubeconfig_with(dir, TOKEN)
    }

    /// The same, with this token.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn kubeconfig_with(&self, dir: &Path, token: &str) -> PathBuf {
        let path = dir.join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "fake", "user": "daemon", "namespace": NAMESPACE}}],
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "daemon", "user": {"token": token}}],
        });
        std::fs::write(&path, config.to_string()).expect("the kubeconfig can be written");
        path
    }

    /// Lets something go wrong, next time it can.
    pub fn fault(&self, fault: Fault) {
        self.shared.change(|w| w.faults.push(fault));
    }

    /// Whether all faults have come.
    #[must_use]
    pub fn all_faults_came(&self) -> bool {
        self.shared.world().faults.is_empty()
    }

    /// Forbids a verb on a resource, as a review of rights says.
    pub fn forbid(&self, verb: &str, resource: &str) {
        self.shared.change(|w| w.forbidden.push((verb.to_owned(), resource.to_owned())));
    }

    /// Takes the volume claim away.
    pub fn lose_claim(&self) {
        self.shared.change(|w| w.claim = None);
    }

    /// Nodes do not answer any more: what is to end there is not known to.
    pub fn silence(&self) {
        self.shared.change(|w| w.silent = true);
    }

    /// A complaint about an object.
    pub fn complain(&self, kind: &str, name: &str, message: &str) {
        let event = json!({
            "metadata": {"name": "e", "namespace": NAMESPACE}, "type": "Warning", "reason": "Failed", "message": message,
            "involvedObject": {"kind": kind, "name": name}, "lastTimestamp": now(),
        });
        self.shared.change(|w| w.events.push(event));
    }

    /// Method and path of every request, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.world().requests.clone()
    }

    /// All Jobs.
    #[must_use]
    pub fn jobs(&self) -> Vec<Value> {
        self.shared.world().jobs.values().cloned().collect()
    }

    /// All pods.
    #[must_use]
    pub fn pods(&self) -> Vec<Value> {
        self.shared.world().pods.values().cloned().collect()
    }

    /// Makes the status of the only pod what is said.
    ///
    /// # Panics
    /// If there is not exactly one.
    pub fn status(&self, status: &Value) {
        let name = self.only();
        self.shared.change(|w| w.set_status(&name, status));
    }

    /// The only pod runs.
    pub fn running(&self) {
        self.status(&world::running());
    }

    /// The program of the only pod ends.
    pub fn ended(&self, code: i32) {
        let name = self.only();
        self.shared.change(|w| {
            w.log(&name).end();
            w.set_status(&name, &world::ended(code, if code == 0 { "Completed" } else { "Error" }));
        });
    }

    /// The program of the only pod says something, now.
    pub fn says(&self, text: &str) {
        let name = self.only();
        self.shared.change(|w| w.log(&name).push(text.as_bytes(), SystemClock.now().0));
    }

    /// The program of the only pod says something, at this time.
    pub fn says_at(&self, text: &str, millis: i64) {
        let name = self.only();
        self.shared.change(|w| w.log(&name).push(text.as_bytes(), millis));
    }

    /// The node throws all but the newest lines of the only pod's log away.
    pub fn rotate(&self, keep: usize) {
        let name = self.only();
        self.shared.change(|w| w.log(&name).keep(keep));
    }

    /// The only pod is taken away by somebody.
    pub fn delete_pod(&self) {
        let name = self.only();
        self.shared.change(|w| w.drop_pod(&name));
    }

    /// Everything that the only pod has said, as far as the node keeps it.
    #[must_use]
    pub fn log(&self) -> Vec<u8> {
        let name = self.only();
        self.shared.world().log(&name).text()
    }

    fn only(&self) -> String {
        let world = self.shared.world();
        assert_eq!(world.pods.len(), 1, "{:?}", world.pods.keys());
        world.pods.keys().next().cloned().unwrap_or_default()
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
