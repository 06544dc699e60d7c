//! Where a secret is looked for, in one order for all of them:
//!
//! 1. the environment,
//! 2. the file that the configuration names,
//! 3. the systemd credential (`LoadCredential=NAME:…`, a file in `$CREDENTIALS_DIRECTORY`),
//! 4. what was entered in the client.
//!
//! The first place that has one is the one that counts. GitHub's token has a last place more: [`super::github`].

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::watched::Watched;
use super::{Credentials, path as kept_path};
use crate::edges::{Source, Token, TokenSource};
use crate::secret::Secret;

/// What a secret is called in each place.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// In the environment; the first that is set counts.
    pub env: &'static [&'static str],
    /// The configuration's key for its file.
    pub key: &'static str,
    /// As a systemd credential.
    pub systemd: &'static str,
    /// In what was entered; also in `/api/setup`.
    pub kept: &'static str,
}

/// GitHub's token.
pub const GITHUB: Names = Names {
    env: &["GH_TOKEN", "GITHUB_TOKEN"],
    key: "github.token_file",
    systemd: "github-token",
    kept: "githubToken",
};
/// The private key of a GitHub App, which is never in the environment.
pub const APP_KEY: Names =
    Names { env: &[], key: "github.app.private_key_file", systemd: "github-app-key", kept: "githubAppKey" };
/// The secret of webhooks.
pub const WEBHOOK: Names = Names {
    env: &["WEBHOOK_SECRET"],
    key: "github.webhook_secret_file",
    systemd: "webhook-secret",
    kept: "webhookSecret",
};
/// The token of operators.
pub const MAINTAINER: Names = Names {
    env: &["DISPATCH_AGENT_TOKEN", "DISPATCH_MAINTAINER_TOKEN"],
    key: "api.maintainer_token_file",
    systemd: "maintainer-token",
    kept: "maintainerToken",
};
/// The token of workers.
pub const WORKER: Names = Names {
    env: &["DISPATCH_WORKER_TOKEN"],
    key: "api.worker_token_file",
    systemd: "worker-token",
    kept: "workerToken",
};
/// The key of the hosted groomer's model.
pub const MODEL: Names =
    Names { env: &["DISPATCH_LLM_API_KEY"], key: "", systemd: "llm-api-key", kept: "llmApiKey" };

/// The places of one secret.
#[derive(Debug)]
pub struct Places {
    env: Option<(&'static str, Secret)>,
    file: Option<Watched>,
    systemd: Option<Watched>,
    kept: Watched,
    names: Names,
}

impl Places {
    /// The places of the secret `names`; `file` is what the configuration names, `env` looks into the environment.
    #[must_use]
    pub fn new(
        names: Names,
        file: Option<PathBuf>,
        state_dir: &Path,
        env: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &'static str| {
            let secret = Secret::new(&env(name)?);
            (!secret.is_empty()).then_some((name, secret))
        };
        let given = env("CREDENTIALS_DIRECTORY").filter(|dir| !dir.trim().is_empty());
        let given = given.map(|dir| Path::new(&dir).join(names.systemd));
        let name = names.kept;
        Self {
            env: names.env.iter().copied().find_map(set),
            file: file.map(|path| Watched::new(path, |p| Secret::read_private(p).map(Some))),
            // systemd's directory is private; the files' own group bits show an access list and no group.
            systemd: given
                .filter(|path| path.exists())
                .map(|path| Watched::new(path, |p| Secret::read_kept(p).map(Some))),
            kept: Watched::new(kept_path(state_dir), move |path| {
                let kept = Credentials::read(path.parent().unwrap_or(path));
                let kept = kept.map_err(|e| format!("{}: {e}", path.display()))?;
                Ok(kept.get(name).cloned())
            }),
            names,
        }
    }

    /// Whether it is in the environment, which wins over everything.
    #[must_use]
    pub fn in_environment(&self) -> bool {
        self.env.is_some()
    }

    /// The secret as it is now, and where it is; `None` if it is nowhere.
    ///
    /// # Errors
    /// A sentence that names the place that should have it and has not.
    pub fn find(&self) -> Result<Option<Token>, String> {
        self.look(Watched::get)
    }

    /// The same, read anew though nothing seems changed.
    ///
    /// # Errors
    /// As [`Places::find`].
    pub fn find_anew(&self) -> Result<Option<Token>, String> {
        self.look(Watched::get_anew)
    }

    fn look(
        &self,
        get: impl Fn(&Watched) -> Result<Option<Secret>, String>,
    ) -> Result<Option<Token>, String> {
        if let Some((name, secret)) = &self.env {
            return Ok(Some(Token { secret: secret.clone(), source: Source::Environment(name) }));
        }
        let key = self.names.key;
        if let Some(file) = &self.file {
            let source = Source::File { key, path: file.path().to_path_buf() };
            let secret = get(file).map_err(|e| format!("{key}: {e}"))?;
            return Ok(secret.map(|secret| Token { secret, source }));
        }
        if let Some(file) = &self.systemd {
            let name = self.names.systemd;
            let secret = get(file).map_err(|e| format!("the systemd credential `{name}`: {e}"))?;
            return Ok(secret.map(|secret| Token { secret, source: Source::Systemd(name) }));
        }
        Ok(get(&self.kept)?.map(|secret| Token { secret, source: Source::Setup }))
    }

    /// Why the newest state of the place in use does not count, if it does not.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        if self.env.is_some() {
            return None;
        }
        self.file.as_ref().or(self.systemd.as_ref()).unwrap_or(&self.kept).trouble()
    }
}

#[async_trait]
impl TokenSource for Places {
    async fn token(&self) -> Result<Option<Token>, String> {
        self.find()
    }

    async fn reread(&self) -> Result<Option<Token>, String> {
        self.find_anew()
    }

    fn trouble(&self) -> Option<String> {
        Self::trouble(self)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_places_are_looked_at_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let private = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let file = private("file", "from-file");
        private("github-token", "from-systemd");
        let mut kept = Credentials::default();
        kept.set("githubToken", "from-setup");
        kept.write(dir.path()).unwrap();
        let systemd =
            |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| dir.path().display().to_string());
        let all = |name: &str| match name {
            "GH_TOKEN" => Some("  ".to_owned()),
            "GITHUB_TOKEN" => Some("from-env".to_owned()),
            other => systemd(other),
        };
        let found = |places: &Places| {
            let token = places.find().unwrap();
            token.map(|t| (t.secret.expose().to_owned(), t.source.word()))
        };
        let some = |text: &str, word| Some((text.to_owned(), word));
        let with = |file, env: &dyn Fn(&str) -> Option<String>| Places::new(GITHUB, file, dir.path(), env);
        assert_eq!(found(&with(Some(file.clone()), &all)), some("from-env", "environment"));
        assert_eq!(found(&with(Some(file), &systemd)), some("from-file", "file"));
        assert_eq!(found(&with(None, &systemd)), some("from-systemd", "systemd"));
        let kept_only = with(None, &|_| None);
        assert_eq!(found(&kept_only), some("from-setup", "setup"));
        kept.set("githubToken", "entered-anew");
        kept.write(dir.path()).unwrap();
        assert_eq!(found(&kept_only), some("entered-anew", "setup"), "without a restart");
        kept.set("githubToken", "");
        kept.write(dir.path()).unwrap();
        assert_eq!(found(&kept_only), None);
        let missing = with(Some(dir.path().join("none")), &systemd).find().unwrap_err();
        assert!(
            missing.contains("github.token_file"),
            "a place that was named is not passed over: {missing}"
        );
    }
}
