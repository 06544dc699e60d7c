//! Tells a person who does not look at the board what needs them: posts it to an address, or runs a command.
//!
//! In crash terms: what is told is noted before it is sent, so that nothing is told twice; what could not be sent is tried
//! again for a while, and after that it stands on the board alone.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use dispatch_shared::protocol::control::{Problem, ProblemKind};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::core::notice::{self, Told};
use crate::core::problem;
use crate::edges::Edges;
use crate::ledger::Door;

/// Some problems come of time that passes and of no commit.
const LOOK: Duration = Duration::from_secs(60);
/// What happens within this time is told together.
const GATHER: Duration = Duration::from_secs(1);
/// One try may take so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// The waits before the tries.
const TRIES: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];
/// Of the daemon's environment a command gets these alone: what else is there may be a secret.
const ENV: [&str; 9] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// An address that may have a secret in it: it is not shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// `[notify]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where a JSON object with `title`, `text` and `problems` is posted.
    pub webhook: Option<Address>,
    /// A program and its arguments; the object comes on its standard input, title and text in its environment too.
    pub command: Vec<String>,
    /// Which kinds of problems are told; none is all.
    pub kinds: Vec<ProblemKind>,
}

impl Settings {
    fn is_off(&self) -> bool {
        self.webhook.is_none() && self.command.is_empty()
    }
}

/// Tells until `shutdown`; returns at once where nothing is configured.
pub async fn run(
    ledger: Door,
    edges: Edges,
    settings: Settings,
    state_dir: PathBuf,
    shutdown: CancellationToken,
) {
    if settings.is_off() {
        return;
    }
    let path = state_dir.join("notified.json");
    let mut told = recall(&path);
    let mut commits = ledger.commits();
    loop {
        commits.mark_unchanged();
        let problems = problem::problems(&ledger.snapshot(), edges.clock.now());
        let (fresh, standing) = notice::fresh(&told, &problems, &settings.kinds);
        if standing != told {
            if let Err(error) = note(&path, &standing) {
                // Told twice is better than not at all; the next start may do so.
                tracing::warn!(path = %path.display(), %error, "what was told cannot be noted");
            }
            told = standing;
        }
        if !fresh.is_empty() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tell(&settings, &fresh) => {}
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
            changed = commits.changed() => {
                if changed.is_err() {
                    return;
                }
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(GATHER) => {}
                }
            }
        }
    }
}

fn recall(path: &Path) -> Told {
    let text = std::fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn note(path: &Path, told: &Told) -> std::io::Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, serde_json::to_vec(told)?)?;
    std::fs::File::open(&new)?.sync_all()?;
    std::fs::rename(new, path)
}

/// One message.
struct Message {
    title: String,
    text: String,
    body: Value,
}

/// One way to a person.
enum Way<'a> {
    Webhook(&'a Address),
    Command(&'a str, &'a [String]),
}

impl Way<'_> {
    fn key(&self) -> &'static str {
        match self {
            Way::Webhook(_) => "notify.webhook",
            Way::Command(..) => "notify.command",
        }
    }

    async fn once(&self, message: &Message) -> Result<(), String> {
        match self {
            Way::Webhook(address) => post(address, &message.body).await,
            Way::Command(program, args) => command(program, args, message).await,
        }
    }

    /// Tries until it works.
    async fn tell(&self, message: &Message) {
        for wait in TRIES {
            tokio::time::sleep(wait).await;
            let done = tokio::time::timeout(PATIENCE, self.once(message)).await;
            let late = || Err(format!("nothing came of it in {} seconds", PATIENCE.as_secs()));
            match done.unwrap_or_else(|_| late()) {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(%error, key = self.key(), "a person was not told; the board has the problems");
                }
            }
        }
    }
}

async fn tell(settings: &Settings, fresh: &[Problem]) {
    let (title, text) = notice::words(fresh);
    let body = json!({ "title": title, "text": format!("{title}\n{text}"), "problems": fresh });
    let message = Message { title, text, body };
    let webhook = async {
        if let Some(address) = &settings.webhook {
            Way::Webhook(address).tell(&message).await;
        }
    };
    let command = async {
        if let Some((program, args)) = settings.command.split_first() {
            Way::Command(program, args).tell(&message).await;
        }
    };
    tokio::join!(webhook, command);
}

async fn post(address: &Address, body: &Value) -> Result<(), String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("dispatchd/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| e.without_url().to_string())?;
    let answer = http.post(&address.0).json(body).send().await.map_err(|e| e.without_url().to_string())?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(format!("the address answered {}", answer.status()))
    }
}

async fn command(program: &str, args: &[String], message: &Message) -> Result<(), String> {
    let said = |e: std::io::Error| format!("{program}: {e}");
    let mut command = tokio::process::Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(ENV.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .env("DISPATCH_TITLE", &message.title)
        .env("DISPATCH_TEXT", &message.text)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(said)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read it has title and text already.
        let _ = stdin.write_all(message.body.to_string().as_bytes()).await;
    }
    let status = child.wait().await.map_err(said)?;
    if status.success() { Ok(()) } else { Err(format!("{program} ended with {status}")) }
}
