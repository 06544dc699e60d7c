//! GitHub's token: from its places, else what `gh` is logged in with.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::places::Places;
use crate::edges::{Source, Token, TokenSource};
use crate::secret::Secret;

/// How long `gh` may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon `gh` is asked again after it had none, or after what it had was not accepted.
const AGAIN: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub struct GithubToken {
    places: Arc<Places>,
    host: String,
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    at: Option<Instant>,
    anew: Option<Instant>,
    token: Option<Secret>,
}

impl GithubToken {
    /// Looks into `places`, and then asks `gh` for what it has for `host` (`github.com`).
    #[must_use]
    pub fn new(places: Arc<Places>, host: String) -> Self {
        Self { places, host, asked: Mutex::default() }
    }

    /// `gh` is asked once, and again when `anew`: a program that is started for every request would be felt.
    async fn gh(&self, anew: bool) -> Option<Token> {
        let mut asked = self.asked.lock().await;
        let long_ago = |at: Option<Instant>| at.is_none_or(|at| at.elapsed() >= AGAIN);
        let again = anew && long_ago(asked.anew);
        if again || asked.token.is_none() && long_ago(asked.at) {
            let token = ask(&self.host).await;
            let now = Some(Instant::now());
            *asked = Asked { at: now, anew: if again { now } else { asked.anew }, token };
        }
        let source = Source::Gh(self.host.clone());
        asked.token.clone().map(|secret| Token { secret, source })
    }
}

/// What `gh auth token` prints; `None` if it is not there, not logged in, or too slow.
async fn ask(host: &str) -> Option<Secret> {
    let mut command = tokio::process::Command::new("gh");
    command
        .args(["auth", "token", "--hostname", host])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let Ok(out) = tokio::time::timeout(PATIENCE, command.output()).await else {
        tracing::warn!(host, "`gh auth token` did not answer within 10 s; it is left alone");
        return None;
    };
    let out = out.ok().filter(|out| out.status.success())?;
    let said = secrecy::zeroize::Zeroizing::new(out.stdout);
    let token = Secret::new(std::str::from_utf8(&said).ok()?);
    (!token.is_empty()).then_some(token)
}

#[async_trait]
impl TokenSource for GithubToken {
    async fn token(&self) -> Result<Option<Token>, String> {
        match self.places.find()? {
            Some(token) => Ok(Some(token)),
            None => Ok(self.gh(false).await),
        }
    }

    async fn reread(&self) -> Result<Option<Token>, String> {
        match self.places.find_anew()? {
            Some(token) => Ok(Some(token)),
            None => Ok(self.gh(true).await),
        }
    }

    fn trouble(&self) -> Option<String> {
        self.places.trouble()
    }
}
