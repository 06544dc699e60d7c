//! A forge's token, and where it comes from.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::secret::Secret;

/// Where a secret was found. Its words name the place and never what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A variable of the environment.
    Environment(&'static str),
    /// A file that the configuration names.
    File {
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A credential that systemd hands over, by name.
    Systemd(&'static str),
    /// What was entered in the client.
    Setup,
    /// What `gh` is logged in with on this host.
    Gh(String),
    /// The private key of this GitHub App.
    App(String),
}

impl Source {
    /// `environment`, `file`, `systemd`, `setup`, `gh` or `app`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Environment(_) => "environment",
            Self::File { .. } => "file",
            Self::Systemd(_) => "systemd",
            Self::Setup => "setup",
            Self::Gh(_) => "gh",
            Self::App(_) => "app",
        }
    }

    /// What to do if what it has is not accepted.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Environment(name) => format!("set {name} anew and start dispatchd again"),
            Self::File { path, .. } => {
                format!("write a new one into {}, which is read at once", path.display())
            }
            Self::Systemd(name) => format!("renew the credential `{name}` and restart the service"),
            Self::Setup => "enter a new one in the client, which is used at once".to_owned(),
            Self::Gh(host) => format!("log in with `gh auth login --hostname {host}`"),
            Self::App(id) => format!("check that App {id} still exists, has this key, and is not suspended"),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "{name} in the environment"),
            Self::File { key, path } => write!(f, "the file {} ({key})", path.display()),
            Self::Systemd(name) => write!(f, "the systemd credential `{name}`"),
            Self::Setup => f.write_str("what was entered in the client"),
            Self::Gh(host) => write!(f, "`gh auth token --hostname {host}`"),
            Self::App(id) => write!(f, "GitHub App {id}"),
        }
    }
}

/// A secret and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The secret.
    pub secret: Secret,
    /// Its place.
    pub source: Source,
}

/// Where a forge's token comes from; asked before every request, so that a rotated one is used at once.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// The token as it is now; `None` if there is none anywhere.
    ///
    /// # Errors
    /// A sentence: the place that should have it cannot be read.
    async fn token(&self) -> Result<Option<Token>, String>;

    /// The same after the forge did not accept what was there: read anew.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    async fn reread(&self) -> Result<Option<Token>, String>;

    /// Why an older token than the newest is in use, if it is.
    fn trouble(&self) -> Option<String> {
        None
    }
}

#[async_trait]
impl TokenSource for Token {
    async fn token(&self) -> Result<Option<Token>, String> {
        Ok(Some(self.clone()).filter(|t| !t.secret.is_empty()))
    }

    async fn reread(&self) -> Result<Option<Token>, String> {
        self.token().await
    }
}
