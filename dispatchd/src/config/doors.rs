//! `[api]`: the TCP listener and its tokens. A token stands in the environment or in a file, never in the configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dispatch_shared::id::AgentName;
use serde::Deserialize;

use super::ConfigError;
use crate::api::auth::Key;
use crate::api::tier::Tier;
use crate::credentials::places::{MAINTAINER, WORKER};
use crate::runner::settings::Span;
use crate::secret::Secret;

/// `[api]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// `host:port`; none is no TCP listener.
    pub listen: Option<String>,
    /// Whether TCP asks for tokens.
    pub auth: Auth,
    /// Changes that an actor may make on TCP within [`Api::rate_window`]; 0 is no limit.
    pub rate_limit: usize,
    /// See [`Api::rate_limit`].
    pub rate_window: Span,
    /// A file that holds the token of operators.
    pub maintainer_token_file: Option<PathBuf>,
    /// A file that holds the token of workers of any name.
    pub worker_token_file: Option<PathBuf>,
    /// Tokens of workers that act for one agent name each, by that name.
    pub workers: BTreeMap<String, BoundToken>,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: None,
            auth: Auth::Token,
            rate_limit: 30,
            rate_window: Span(Duration::from_secs(10)),
            maintainer_token_file: None,
            worker_token_file: None,
            workers: BTreeMap::new(),
        }
    }
}

/// Whether TCP asks for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// It does.
    Token,
    /// It does not; on loopback alone.
    Off,
}

/// Where a worker's own token is: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BoundToken {
    /// A file that holds it.
    pub token_file: Option<PathBuf>,
    /// The name of an environment variable that holds it.
    pub token_env: Option<String>,
}

/// What the listener starts with.
#[derive(Clone, Debug)]
pub struct Doors {
    /// `host:port`.
    pub listen: Option<String>,
    /// No tokens are asked for.
    pub off: bool,
    /// All tokens.
    pub keys: Vec<Key>,
    /// Where the token of operators came from.
    pub maintainer: Option<&'static str>,
    /// Where the token of workers came from.
    pub worker: Option<&'static str>,
}

pub(super) fn read(
    api: &Api,
    config: &Path,
    state_dir: &Path,
    env: impl Fn(&str) -> Option<String> + Copy,
) -> Result<Doors, ConfigError> {
    let wrong = |key: &str, why: String| ConfigError(format!("{}: key `{key}`: {why}", config.display()));
    let any = |names, path: &Option<PathBuf>| {
        let token = super::token::now(names, path.clone(), state_dir, env)?;
        Ok::<_, ConfigError>(token.map(|t| (t.secret, t.source.word())))
    };
    let maintainer = any(MAINTAINER, &api.maintainer_token_file)?;
    let worker = any(WORKER, &api.worker_token_file)?;
    let mut keys = Vec::new();
    for (found, tier) in [(&maintainer, Tier::Maintainer), (&worker, Tier::Worker)] {
        keys.extend(found.iter().map(|(token, _)| Key { token: token.clone(), tier, bound: None }));
    }
    // Both names of the maintainer's token count if both are set and differ.
    if let (Some(one), Some(other)) = (env(MAINTAINER.env[0]), env(MAINTAINER.env[1]))
        && one.trim() != other.trim()
    {
        keys.push(Key { token: Secret::new(&other), tier: Tier::Maintainer, bound: None });
    }
    for (name, at) in &api.workers {
        let key = format!("api.workers.{name}");
        let bound = AgentName::parse(name).map_err(|e| wrong(&key, e))?;
        let token = match (&at.token_file, &at.token_env) {
            (Some(path), None) => Secret::read_private(path).map_err(|e| wrong(&key, e))?,
            (None, Some(var)) => env(var)
                .map(|text| Secret::new(&text))
                .ok_or_else(|| wrong(&key, format!("the environment variable {var} is not set")))?,
            _ => return Err(wrong(&key, "name the token's place: either token_file or token_env".into())),
        };
        keys.push(Key { token, tier: Tier::Worker, bound: Some(bound) });
    }
    for (n, key) in keys.iter().enumerate() {
        if keys[..n].iter().any(|other| other.token == key.token) {
            let whose = key.bound.as_ref().map_or_else(|| key.tier.to_string(), ToString::to_string);
            return Err(ConfigError(format!(
                "the token for `{whose}` is given to another one too; every tier and every bound worker needs its own"
            )));
        }
    }
    Ok(Doors {
        listen: env("DISPATCH_LISTEN").or_else(|| api.listen.clone()),
        off: api.auth == Auth::Off,
        keys,
        maintainer: maintainer.map(|(_, from)| from),
        worker: worker.map(|(_, from)| from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(text: &str, env: &[(&str, &str)]) -> Result<Doors, String> {
        let file = super::super::parse(Path::new("d.toml"), text).map_err(|e| e.to_string())?;
        let env = &|name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        read(&file.api, Path::new("d.toml"), Path::new("/nowhere"), env).map_err(|e| e.to_string())
    }

    #[test]
    fn the_environment_wins_and_gives_tiers() {
        let read = doors(
            "[api]\nlisten = \"127.0.0.1:1\"\n",
            &[
                ("DISPATCH_LISTEN", "127.0.0.1:2"),
                ("DISPATCH_MAINTAINER_TOKEN", "m"),
                ("DISPATCH_WORKER_TOKEN", "w"),
            ],
        )
        .unwrap();
        assert_eq!(read.listen.as_deref(), Some("127.0.0.1:2"));
        let tiers: Vec<_> = read.keys.iter().map(|k| (k.token.expose(), k.tier)).collect();
        assert_eq!(tiers, [("m", Tier::Maintainer), ("w", Tier::Worker)]);
    }

    #[test]
    fn a_bound_worker_has_a_token_of_its_own() {
        let kai = "[api.workers.kai]\ntoken_env = \"KAI\"\n";
        let read = doors(kai, &[("KAI", "k")]).unwrap();
        assert_eq!(read.keys[0].bound.as_ref().map(AgentName::as_str), Some("kai"));
        assert!(doors(kai, &[]).unwrap_err().contains("KAI is not set"));
        assert!(doors(kai, &[("KAI", "k"), ("DISPATCH_WORKER_TOKEN", "k")]).unwrap_err().contains("`kai`"));
        assert!(doors("[api.workers.kai]\n", &[]).unwrap_err().contains("token_file or token_env"));
        assert!(doors("[api.workers.\"a b\"]\ntoken_env = \"K\"\n", &[("K", "k")]).is_err());
        let inline = doors("[api.workers]\nkai = \"secret-token\"\n", &[]).unwrap_err();
        assert!(inline.contains("api.workers.kai") && !inline.contains("environment"), "{inline}");
    }

    #[test]
    fn a_token_file_is_read_and_must_hold_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let text = format!("[api]\nmaintainer_token_file = \"{}\"\n", path.display());
        assert!(doors(&text, &[]).unwrap_err().contains("maintainer_token_file"));
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::write(&path, "\n").unwrap();
        assert!(doors(&text, &[]).unwrap_err().contains("chmod 600"));
        std::fs::set_permissions(&path, private).unwrap();
        assert!(doors(&text, &[]).unwrap_err().contains("is empty"));
        std::fs::write(&path, "m\n").unwrap();
        let read = doors(&text, &[]).unwrap();
        assert_eq!((read.keys[0].token.expose(), read.maintainer), ("m", Some("file")));
    }
}
