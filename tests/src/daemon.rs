//! A real daemon in a directory of its own: started, killed, started again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dispatch_shared::client::Client;
use dispatch_shared::endpoint::Endpoint;
use tempfile::TempDir;
use tokio::time::Instant;

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `holds`; panics with `what` at the deadline.
///
/// # Panics
/// If the condition does not hold within `deadline`.
pub async fn wait_until<T>(what: &str, deadline: Duration, mut holds: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = holds().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} for: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A directory with everything that one daemon needs; outlives the daemons in it.
pub struct Place {
    dir: TempDir,
    program: PathBuf,
    env: Vec<(String, String)>,
}

impl Place {
    /// An empty place; `program` is `env!("CARGO_BIN_EXE_test-dispatchd")`.
    ///
    /// # Panics
    /// If there is no temporary directory.
    #[must_use]
    pub fn new(program: &str) -> Self {
        // Short, for a socket's path has 107 bytes at most.
        let dir = tempfile::Builder::new().prefix("dt").tempdir_in("/tmp").expect("a temporary directory");
        Self { dir, program: program.into(), env: Vec::new() }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path().join("v1.sock")
    }

    /// What every daemon in this place has written to standard error, in order.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("daemon.log")).unwrap_or_default()
    }

    /// Writes the configuration file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn configure(&self, toml: &str) {
        std::fs::write(self.path().join("config.toml"), toml).expect("the configuration can be written");
    }

    /// Adds a variable to the environment of later daemons.
    pub fn env(&mut self, name: &str, value: &str) {
        self.env.retain(|(n, _)| n != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// The daemon's command, ready to be started; for those who expect it to fail.
    ///
    /// # Panics
    /// If the log cannot be opened.
    #[must_use]
    pub fn command(&self) -> Command {
        let config = self.path().join("config.toml");
        if !config.exists() {
            self.configure("");
        }
        let log = std::fs::File::options().create(true).append(true).open(self.path().join("daemon.log"));
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("DISPATCH_STATE_DIR", self.state())
            .env("DISPATCH_SOCKET", self.socket())
            .env("DISPATCH_CONFIG", config)
            .env("DISPATCH_LOG", "debug")
            .envs(self.env.iter().map(|(n, v)| (n, v)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("the daemon's log can be opened"));
        command
    }

    /// A client for whatever daemon serves here.
    ///
    /// # Panics
    /// If the HTTP stack cannot be set up.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(Endpoint::Local(self.socket()), None, None).expect("a client")
    }

    /// Starts a daemon and waits until it answers.
    ///
    /// # Panics
    /// If it does not within 20 seconds; the panic shows its log.
    pub async fn start(&self) -> Daemon {
        let child = self.command().spawn().expect("the daemon can be started");
        let daemon = Daemon { child, client: self.client() };
        let end = Instant::now() + Duration::from_secs(20);
        while daemon.client.health().await.is_err() {
            assert!(Instant::now() < end, "the daemon does not answer; its log:\n{}", self.log());
            tokio::time::sleep(LOOK).await;
        }
        daemon
    }
}

/// A running daemon. Killed when dropped.
pub struct Daemon {
    child: Child,
    /// A client for it.
    pub client: Client,
}

impl Daemon {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself, or been made to.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn died(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// TERM, and waits until it is gone.
    ///
    /// # Panics
    /// If it does not go within 20 seconds, or not with success.
    pub async fn stop(mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let status = wait_until("the daemon to stop", Duration::from_secs(20), async || {
            self.child.try_wait().expect("a child can be waited for")
        })
        .await;
        assert!(status.success(), "the daemon stopped with {status}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
