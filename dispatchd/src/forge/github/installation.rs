//! The tokens of an App's installations: found per owner, kept until five minutes before their end, made once however many
//! ask at the same time.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoName;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::access::{App, Bearer};
use super::call::Call;
use super::client::Client;
use super::jwt;
use crate::edges::{ForgeError, Source, Token};
use crate::secret::Secret;

/// A token is made anew so long before its end, or half-way if it lives for less than twice as long.
const EARLY: Duration = Duration::from_secs(300);
/// A token that cannot be made anew is used up to here.
const LEAST: Duration = Duration::from_secs(30);
/// Who waited for a try that failed is told of that instead of trying once more.
const TOGETHER: Duration = Duration::from_secs(2);

/// What is known of one installation.
#[derive(Default)]
pub(super) struct Slot {
    id: Option<u64>,
    issued: Option<Issued>,
    failed: Option<(Instant, ForgeError)>,
}

struct Issued {
    token: Secret,
    until: Timestamp,
    renew: Timestamp,
    granted: Arc<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct Answer {
    token: String,
    expires_at: Timestamp,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
}

impl Client {
    /// The pass of the installation for `repo`; not `but`, which GitHub did not accept.
    pub(super) async fn installation(
        &self,
        app: &App,
        repo: Option<&RepoName>,
        but: Option<&Secret>,
        what: &str,
    ) -> Result<Bearer, ForgeError> {
        let who = self.access.who(repo);
        let slot = {
            let mut slots = self.access.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry(who.clone()).or_default().clone()
        };
        // Whoever comes while a token is made waits here and finds it.
        let mut slot = slot.lock().await;
        let now = self.edges.clock.now();
        let source = Source::App(app.id.clone());
        let pass = |issued: &Issued| Bearer {
            token: Some(Token { secret: issued.token.clone(), source: source.clone() }),
            who: who.clone(),
            granted: issued.granted.clone(),
        };
        if let Some(refused) = but
            && slot.issued.as_ref().is_some_and(|i| i.token == *refused)
        {
            (slot.issued, slot.id) = (None, None);
        }
        if let Some(issued) = slot.issued.as_ref().filter(|i| i.renew > now) {
            return Ok(pass(issued));
        }
        let again = slot.failed.as_ref().filter(|(at, _)| at.elapsed() < TOGETHER).map(|(_, e)| e.clone());
        let made = match again {
            Some(error) => Err(error),
            None => {
                let made = self.issue(app, repo, &mut slot.id, &who, what).await;
                slot.failed = made.as_ref().err().map(|e| (Instant::now(), e.clone()));
                made
            }
        };
        match made {
            Ok(issued) => {
                let pass = pass(&issued);
                slot.issued = Some(issued);
                self.access.went_well(&who);
                Ok(pass)
            }
            Err(error) => match slot.issued.as_ref().filter(|i| i.until > now + LEAST) {
                Some(issued) => {
                    tracing::warn!(%error, %who, "the installation's token cannot be renewed yet");
                    Ok(pass(issued))
                }
                None => Err(error),
            },
        }
    }

    async fn issue(
        &self,
        app: &App,
        repo: Option<&RepoName>,
        known: &mut Option<u64>,
        who: &str,
        what: &str,
    ) -> Result<Issued, ForgeError> {
        let id = match app.installation.or(*known) {
            Some(id) => id,
            None => {
                let repo = repo.ok_or_else(|| {
                    let said = "set github.app.installation: this request is about no repository whose installation could \
                                be looked up";
                    ForgeError::Unauthorized(format!("{what} failed: {said}"))
                })?;
                let url = self.url(&format!("/repos/{repo}/installation"))?;
                let missing = format!(
                    "GitHub App {} is not installed on {repo}: install it for {}, or give the installation this repository",
                    app.id,
                    repo.owner()
                );
                let found: Installation = self.as_app(app, Method::GET, url, who, &missing).await?;
                *known = Some(found.id);
                found.id
            }
        };
        let url = self.url(&format!("/app/installations/{id}/access_tokens"))?;
        let missing = format!(
            "installation {id} of GitHub App {} is gone: install it again, or correct github.app.installation",
            app.id
        );
        let answer: Answer = match self.as_app(app, Method::POST, url, who, &missing).await {
            Ok(answer) => answer,
            Err(error) => {
                // Installed anew it has another number.
                *known = None;
                return Err(error);
            }
        };
        let (now, until) = (self.edges.clock.now(), answer.expires_at);
        let life = until.since(now);
        Ok(Issued {
            token: Secret::new(&answer.token),
            until,
            renew: now + life.saturating_sub(EARLY.min(life / 2)),
            granted: Arc::new(answer.permissions),
        })
    }

    /// One request as the App itself; `missing` says what a 404 means.
    async fn as_app<T: serde::de::DeserializeOwned>(
        &self,
        app: &App,
        method: Method,
        url: url::Url,
        who: &str,
        missing: &str,
    ) -> Result<T, ForgeError> {
        let what = "asking for a token as GitHub App";
        let wrong = |said: String| {
            self.access.trouble(who, format!("the private key of GitHub App {}: {said}", app.id))
        };
        let key =
            app.key.token().await.map_err(wrong)?.ok_or_else(|| {
                wrong("there is none; name its file in github.app.private_key_file".to_owned())
            })?;
        let jwt = jwt::signed(&app.id, &key.secret, self.edges.clock.now())
            .map_err(|said| wrong(format!("{}: {said}", key.source)))?;
        let source = Source::App(app.id.clone());
        let pass = Bearer::of("app", Some(Token { secret: jwt, source }));
        let call = if method == Method::GET { Call::get(url, what) } else { Call::write(method, url, what) };
        let answer = self.send(&call, &call.url, &pass).await?;
        let said = || answer.complaint().map(|c| c.sentence()).unwrap_or_default();
        match answer.status {
            StatusCode::NOT_FOUND => Err(self.access.trouble(who, missing.to_owned())),
            StatusCode::UNAUTHORIZED => Err(self.access.trouble(
                who,
                format!(
                    "GitHub does not accept GitHub App {} with the key from {} ({}): check github.app.id, make a new key in \
                     the App's settings if this one was deleted, and check this machine's clock",
                    app.id,
                    key.source,
                    said()
                ),
            )),
            StatusCode::FORBIDDEN if said().contains("suspended") => Err(self.access.trouble(
                who,
                format!("the installation of GitHub App {} is suspended: unsuspend it ({})", app.id, said()),
            )),
            _ => self.judge(answer, &call, &pass)?.json(what),
        }
    }
}
