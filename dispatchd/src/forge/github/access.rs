//! What requests go out with: a token that is looked for anew each time, or a token of an App's installation
//! ([`super::installation`]). What is not accepted is read again once; then it is left alone for a while and said.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoName;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use url::Url;

use super::installation::Slot;
use crate::edges::{ForgeError, Source, Token, TokenSource};
use crate::secret::Secret;

/// How long a token that was not accepted is not tried again: GitHub locks out whoever keeps on trying.
const HOLD: Duration = Duration::from_secs(30);

/// A GitHub App.
#[derive(Clone)]
pub struct App {
    /// Its id, or its client id.
    pub id: String,
    /// Its installation, if there is one for all repositories; else that of each owner is looked up.
    pub installation: Option<u64>,
    /// Where its private key is, as PEM.
    pub key: Arc<dyn TokenSource>,
}

/// Whom GitHub sees.
#[derive(Clone)]
pub enum Credential {
    /// Nobody: public repositories can be read.
    Nobody,
    /// Whoever the token stands for.
    Token(Arc<dyn TokenSource>),
    /// An App, as its installations.
    App(App),
}

impl From<Option<Secret>> for Credential {
    fn from(token: Option<Secret>) -> Self {
        match token.filter(|t| !t.is_empty()) {
            None => Self::Nobody,
            Some(secret) => Self::Token(Arc::new(Token { secret, source: Source::Environment("GH_TOKEN") })),
        }
    }
}

/// What one request goes out with.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    pub(super) token: Option<Token>,
    /// Whose limits it counts against, and whose troubles they are: installations have their own each.
    pub(super) who: Arc<str>,
    /// What the installation may, by name; empty for other tokens.
    pub(super) granted: Arc<BTreeMap<String, String>>,
}

impl Bearer {
    pub(super) fn of(who: &str, token: Option<Token>) -> Self {
        Self { token, who: who.into(), granted: Arc::default() }
    }

    /// The token itself, for a header.
    pub(super) fn secret(&self) -> Option<&Secret> {
        self.token.as_ref().map(|t| &t.secret)
    }
}

/// Troubles with credentials, by whose they are: none is the normal case.
pub type Troubles = BTreeMap<String, String>;

/// See the module.
pub(super) struct Access {
    pub(super) credential: Credential,
    pub(super) slots: Mutex<HashMap<Arc<str>, Arc<tokio::sync::Mutex<Slot>>>>,
    refused: Mutex<Vec<(Secret, Timestamp, String)>>,
    troubles: watch::Sender<Troubles>,
}

impl Access {
    pub(super) fn new(credential: Credential) -> Self {
        Self {
            credential,
            slots: Mutex::default(),
            refused: Mutex::default(),
            troubles: watch::Sender::new(Troubles::new()),
        }
    }

    /// The name of whoever asks about `repo`.
    pub(super) fn who(&self, repo: Option<&RepoName>) -> Arc<str> {
        match &self.credential {
            Credential::App(App { installation: None, .. }) => {
                repo.map_or_else(|| "app".into(), |r| r.owner().to_lowercase().into())
            }
            Credential::App(App { installation: Some(id), .. }) => format!("installation {id}").into(),
            Credential::Nobody | Credential::Token(_) => "token".into(),
        }
    }

    /// A short name for an address and an identity that gives neither away: what validators are valid for. An installation's
    /// tokens change by the hour and stand for the same; another token of a person may see other things.
    pub(super) fn scope(&self, url: &Url, accept: &str, pass: &Bearer) -> String {
        let who = match &self.credential {
            Credential::App(app) => format!("app {} {}", app.id, pass.who),
            _ => pass.secret().map_or_else(String::new, |t| t.expose().to_owned()),
        };
        let mut hash = Sha256::new();
        for part in [url.as_str(), "\n", accept, "\n", &who] {
            hash.update(part);
        }
        hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
    }

    /// What is wrong with the credentials now, and every change of it.
    pub(super) fn troubles(&self) -> watch::Receiver<Troubles> {
        self.troubles.subscribe()
    }

    pub(super) fn went_well(&self, who: &str) {
        self.troubles.send_if_modified(|t| t.remove(who).is_some());
    }

    /// Notes a trouble and makes an error of it.
    pub(super) fn trouble(&self, who: &str, said: String) -> ForgeError {
        self.troubles.send_if_modified(|t| t.insert(who.to_owned(), said.clone()).as_ref() != Some(&said));
        ForgeError::Unauthorized(said)
    }

    /// The token of a source; an error if there is none, or GitHub has just refused it.
    pub(super) async fn from(&self, source: &Arc<dyn TokenSource>, anew: bool) -> Result<Bearer, ForgeError> {
        let found = if anew { source.reread().await } else { source.token().await };
        let token = found.map_err(|said| self.trouble("token", format!("GitHub's token: {said}")))?;
        let token = token.ok_or_else(|| self.trouble("token", NO_TOKEN.to_owned()))?;
        Ok(Bearer::of("token", Some(token)))
    }

    /// Where the credential is found now, and why it is not the newest one there.
    pub(super) async fn source(&self) -> Result<(Source, Option<String>), ForgeError> {
        match &self.credential {
            Credential::Nobody => Err(ForgeError::Unauthorized(NO_TOKEN.to_owned())),
            Credential::App(app) => Ok((Source::App(app.id.clone()), app.key.trouble())),
            Credential::Token(source) => {
                // Nobody may need one, so that there is none is no trouble yet.
                let token = source.token().await.map_err(ForgeError::Unauthorized)?;
                let token = token.ok_or_else(|| ForgeError::Unauthorized(NO_TOKEN.to_owned()))?;
                Ok((token.source, source.trouble()))
            }
        }
    }

    /// Forgets the tokens of installations, and what was refused.
    pub(super) fn forget(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.lock_refused().clear();
    }

    /// Whether GitHub has refused this very token a moment ago, and what was said then.
    pub(super) fn refused(&self, pass: &Bearer, now: Timestamp) -> Option<String> {
        let token = pass.secret()?;
        let mut refused = self.lock_refused();
        refused.retain(|(_, until, _)| *until > now);
        refused.iter().find(|(t, ..)| t == token).map(|(_, _, said)| said.clone())
    }

    /// GitHub does not accept the pass, though it was read anew.
    pub(super) fn refuse(&self, pass: &Bearer, said: &str, now: Timestamp) -> ForgeError {
        let text = match &pass.token {
            None => format!("GitHub asks for a token ({said}): {NO_TOKEN}"),
            Some(token) => {
                let text = format!(
                    "GitHub does not accept {} ({said}): {}",
                    match &token.source {
                        Source::App(_) => token.source.to_string(),
                        source => format!("the token from {source}"),
                    },
                    token.source.remedy()
                );
                self.lock_refused().push((token.secret.clone(), now + HOLD, text.clone()));
                text
            }
        };
        self.trouble(&pass.who, text)
    }

    fn lock_refused(&self) -> MutexGuard<'_, Vec<(Secret, Timestamp, String)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to do where there is no token at all.
pub(super) const NO_TOKEN: &str = "there is no token for GitHub: set GH_TOKEN, name a file in github.token_file, enter one in \
                                   the client, or log in with `gh auth login`";
