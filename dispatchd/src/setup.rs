//! What `/api/setup` shows of the configuration, and where it keeps the credentials that come in.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use dispatch_shared::protocol::setup::{Credential, Setup, SetupRequest};

use crate::api::SetupDesk;
use crate::config::Config;
use crate::credentials::Credentials;

/// See the module.
pub struct Desk {
    /// As it was at the start.
    shown: Setup,
    state_dir: PathBuf,
    kept: Mutex<(Credentials, bool)>,
}

fn found(source: Option<&str>) -> Credential {
    Credential { configured: source.is_some(), source: source.map(ToOwned::to_owned) }
}

impl Desk {
    /// Shows `config`; `env` looks into the environment.
    #[must_use]
    pub fn new(config: &Config, env: impl Fn(&str) -> Option<String>) -> Self {
        let source = |var: &str, file: bool, name: &str| {
            let set = env(var).is_some_and(|v| !v.trim().is_empty());
            let kept = config.credentials.get(name).map(|_| "setup");
            found(if set { Some("environment") } else { file.then_some("file").or(kept) })
        };
        let hooks = config.file.github.webhook_secret_file.is_some();
        let shown = Setup {
            listen: config.doors.listen.clone(),
            socket: config.socket.display().to_string(),
            state_dir: config.state_dir.display().to_string(),
            config_path: config.path.display().to_string(),
            config_found: config.path.exists(),
            github_api_url: config.api_url.to_string(),
            github_token: found(config.token_source),
            webhook_secret: source("WEBHOOK_SECRET", hooks, "webhookSecret"),
            llm_api_key: source("DISPATCH_LLM_API_KEY", false, "llmApiKey"),
            maintainer_token: found(config.doors.maintainer),
            worker_token: found(config.doors.worker),
            bound_workers: config.doors.keys.iter().filter_map(|k| k.bound.clone()).collect(),
            ..Setup::default()
        };
        Self {
            shown,
            state_dir: config.state_dir.clone(),
            kept: Mutex::new((config.credentials.clone(), false)),
        }
    }
}

impl SetupDesk for Desk {
    fn show(&self) -> Setup {
        let restart_needed = self.kept.lock().unwrap_or_else(PoisonError::into_inner).1;
        Setup { restart_needed, ..self.shown.clone() }
    }

    fn keep(&self, request: &SetupRequest) -> io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = kept.0.clone();
        for (name, text) in request.given() {
            next.set(name, text);
        }
        next.write(&self.state_dir)?;
        *kept = (next, true);
        Ok(())
    }
}
