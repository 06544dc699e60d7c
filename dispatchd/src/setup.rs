//! What `/api/setup` shows of the configuration, and where it keeps the credentials that come in.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use dispatch_shared::protocol::setup::{Credential, Setup, SetupRequest};

use crate::api::SetupDesk;
use crate::config::Config;
use crate::credentials::Credentials;
use crate::credentials::places::{MODEL, Places};
use crate::forge::github::web_base;

/// See the module.
pub struct Desk {
    /// As it was at the start.
    shown: Setup,
    state_dir: PathBuf,
    webhook_secret: Arc<Places>,
    kept: Mutex<(Credentials, bool)>,
}

fn found(source: Option<&str>) -> Credential {
    Credential { configured: source.is_some(), source: source.map(ToOwned::to_owned), note: None }
}

/// Those that are looked for anew whenever they are needed; the others hold from the next start on.
const AT_ONCE: [&str; 2] = ["githubToken", "webhookSecret"];

impl Desk {
    /// Shows `config`; `env` looks into the environment.
    #[must_use]
    pub fn new(config: &Config, env: impl Fn(&str) -> Option<String>) -> Self {
        let model = Places::new(MODEL, None, &config.state_dir, env).find().ok().flatten();
        let shown = Setup {
            listen: config.doors.listen.clone(),
            socket: config.socket.display().to_string(),
            state_dir: config.state_dir.display().to_string(),
            config_path: config.path.display().to_string(),
            config_found: config.path.exists(),
            github_api_url: config.api_url.to_string(),
            github_web_url: web_base(&config.api_url),
            llm_api_key: found(model.map(|t| t.source.word())),
            maintainer_token: found(config.doors.maintainer),
            worker_token: found(config.doors.worker),
            bound_workers: config.doors.keys.iter().filter_map(|k| k.bound.clone()).collect(),
            ..Setup::default()
        };
        Self {
            shown,
            state_dir: config.state_dir.clone(),
            webhook_secret: config.webhook_secret.clone(),
            kept: Mutex::new((config.credentials.clone(), false)),
        }
    }
}

impl SetupDesk for Desk {
    fn show(&self) -> Setup {
        let restart_needed = self.kept.lock().unwrap_or_else(PoisonError::into_inner).1;
        let webhook_secret = match self.webhook_secret.find() {
            Ok(token) => {
                let place = found(token.as_ref().map(|t| t.source.word()));
                Credential { note: self.webhook_secret.trouble(), ..place }
            }
            Err(said) => Credential { note: Some(said), ..Credential::default() },
        };
        Setup { restart_needed, webhook_secret, ..self.shown.clone() }
    }

    fn keep(&self, request: &SetupRequest) -> io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = kept.0.clone();
        for (name, text) in request.given() {
            next.set(name, text);
        }
        next.write(&self.state_dir)?;
        let later = request.given().iter().any(|(name, _)| !AT_ONCE.contains(name));
        *kept = (next, kept.1 || later);
        Ok(())
    }
}
