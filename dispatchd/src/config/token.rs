//! Whom GitHub sees: an App of one's own, or a token from its places.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::{ConfigError, File};
use crate::credentials::places::{self, Names, Places};
use crate::edges::Token;

/// `[github.app]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GithubApp {
    /// Its id or its client id, as its settings show them.
    pub id: Option<AppId>,
    /// The installation to act as; without it that of each repository's owner is looked up.
    pub installation: Option<u64>,
    /// A file with its private key (PEM) that nobody else may read.
    pub private_key_file: Option<std::path::PathBuf>,
}

/// An App's id: a number, or the text of a client id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum AppId {
    /// `12345`
    Number(u64),
    /// `"Iv23li…"`
    Text(String),
}

impl std::fmt::Display for AppId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(id) => write!(f, "{id}"),
            Self::Text(id) => f.write_str(id),
        }
    }
}

/// Whom GitHub sees.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Whoever the token in these places stands for; without one there, who is logged in with `gh`.
    Token(Arc<Places>),
    /// An App.
    App {
        /// Its id.
        id: String,
        /// Its installation, if one is named.
        installation: Option<u64>,
        /// Where its private key is.
        key: Arc<Places>,
    },
}

/// A token in the environment wins over an App in the configuration, which wins over all other places.
pub(super) fn identity(
    file: &File,
    state_dir: &Path,
    env: impl Fn(&str) -> Option<String> + Copy,
) -> Result<Identity, ConfigError> {
    let app = &file.github.app;
    let id = env("GITHUB_APP_ID").or_else(|| app.id.as_ref().map(ToString::to_string));
    let token = Places::new(places::GITHUB, file.github.token_file.clone(), state_dir, env);
    let Some(id) = id.filter(|_| !token.in_environment()) else {
        let odd = app.id.is_none() && (app.installation.is_some() || app.private_key_file.is_some());
        if odd && env("GITHUB_APP_ID").is_none() {
            return Err(ConfigError(
                "key `github.app.id`: name the App that the other keys are about".into(),
            ));
        }
        // A place that was named and cannot be read is said at the start, not at the first request.
        token.find().map_err(ConfigError)?;
        return Ok(Identity::Token(Arc::new(token)));
    };
    let installation = match env("GITHUB_APP_INSTALLATION_ID") {
        None => app.installation,
        Some(text) => {
            let number = text.trim().parse().ok();
            let wrong = || ConfigError(format!("GITHUB_APP_INSTALLATION_ID: `{text}` is no number"));
            Some(number.ok_or_else(wrong)?)
        }
    };
    let named = env("GITHUB_APP_PRIVATE_KEY_FILE").map(Into::into).or_else(|| app.private_key_file.clone());
    let key = Places::new(places::APP_KEY, named, state_dir, env);
    match key.find().map_err(ConfigError)? {
        Some(_) => Ok(Identity::App { id: id.trim().to_owned(), installation, key: Arc::new(key) }),
        None => Err(ConfigError(format!(
            "there is no private key for GitHub App {id}: name its file in github.app.private_key_file, or give the systemd \
             credential `{}`",
            places::APP_KEY.systemd
        ))),
    }
}

/// A secret from its places, as it is at the start.
pub(super) fn now(
    names: Names,
    file: Option<std::path::PathBuf>,
    state_dir: &Path,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Option<Token>, ConfigError> {
    Places::new(names, file, state_dir, env).find().map_err(ConfigError)
}
