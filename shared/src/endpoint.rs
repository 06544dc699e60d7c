//! Where the daemon is found: one rule for the daemon that binds and the client that connects.

use std::path::{Path, PathBuf};

/// How a client reaches the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket in the file system.
    Local(PathBuf),
    /// `http://` or `https://`.
    Url(url::Url),
}

impl Endpoint {
    /// Reads `DISPATCH_URL`: `unix:///path`, `http://…`, `https://…`.
    ///
    /// # Errors
    /// A sentence that names the text and the forms there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            if !path.starts_with('/') {
                return Err(format!(
                    "`{text}` needs an absolute path: unix:///run/user/1000/dispatch/v1.sock"
                ));
            }
            return Ok(Endpoint::Local(path.into()));
        }
        match url::Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => {
                Ok(Endpoint::Url(url))
            }
            _ => {
                Err(format!("`{text}` is no address of a daemon: write unix:///path, http://… or https://…"))
            }
        }
    }

    /// What the environment asks for: `DISPATCH_URL`, else `DISPATCH_SOCKET`, else the default socket.
    ///
    /// # Errors
    /// If `DISPATCH_URL` cannot be read.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        if let Some(url) = get("DISPATCH_URL").filter(|u| !u.is_empty()) {
            return Endpoint::parse(&url).map_err(|e| format!("DISPATCH_URL: {e}"));
        }
        Ok(Endpoint::Local(socket_path(get)))
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Local(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Url(url) => write!(f, "{url}"),
        }
    }
}

fn set(get: &impl Fn(&str) -> Option<String>, name: &str) -> Option<PathBuf> {
    get(name).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// The daemon's socket: `DISPATCH_SOCKET`, else `$XDG_RUNTIME_DIR/dispatch/v1.sock`, else a directory of the user's
/// own under the temporary directory. The daemon makes that directory with mode 0700.
pub fn socket_path(get: impl Fn(&str) -> Option<String>) -> PathBuf {
    if let Some(path) = set(&get, "DISPATCH_SOCKET") {
        return path;
    }
    if let Some(run) = set(&get, "XDG_RUNTIME_DIR").filter(|p| p.is_absolute()) {
        return run.join("dispatch/v1.sock");
    }
    let uid = rustix::process::getuid().as_raw();
    set(&get, "TMPDIR").unwrap_or_else(|| "/tmp".into()).join(format!("dispatch-{uid}/v1.sock"))
}

/// The daemon's state directory: `DISPATCH_STATE_DIR`, else `$XDG_STATE_HOME/dispatch`, else `~/.local/state/dispatch`.
pub fn state_dir(get: impl Fn(&str) -> Option<String>) -> PathBuf {
    set(&get, "DISPATCH_STATE_DIR").unwrap_or_else(|| xdg(&get, "XDG_STATE_HOME", ".local/state"))
}

/// The configuration file: `DISPATCH_CONFIG`, else `$XDG_CONFIG_HOME/dispatch/config.toml`, else under `~/.config`.
pub fn config_path(get: impl Fn(&str) -> Option<String>) -> PathBuf {
    set(&get, "DISPATCH_CONFIG")
        .unwrap_or_else(|| xdg(&get, "XDG_CONFIG_HOME", ".config").join("config.toml"))
}

fn xdg(get: &impl Fn(&str) -> Option<String>, name: &str, under_home: &str) -> PathBuf {
    let base = set(get, name)
        .filter(|p| p.is_absolute())
        .unwrap_or_else(|| set(get, "HOME").unwrap_or_else(|| Path::new("/").to_owned()).join(under_home));
    base.join("dispatch")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }

    #[test]
    fn the_environment_wins() {
        assert_eq!(socket_path(env(&[("DISPATCH_SOCKET", "/x/y")])), PathBuf::from("/x/y"));
        assert_eq!(
            socket_path(env(&[("XDG_RUNTIME_DIR", "/run/user/7")])),
            PathBuf::from("/run/user/7/dispatch/v1.sock")
        );
        assert_eq!(state_dir(env(&[("HOME", "/h")])), PathBuf::from("/h/.local/state/dispatch"));
        assert_eq!(config_path(env(&[("HOME", "/h")])), PathBuf::from("/h/.config/dispatch/config.toml"));
    }

    #[test]
    fn addresses_are_checked() {
        assert_eq!(Endpoint::parse("unix:///a/b"), Ok(Endpoint::Local("/a/b".into())));
        assert!(matches!(Endpoint::parse("http://127.0.0.1:8080"), Ok(Endpoint::Url(_))));
        for bad in ["unix://a", "ftp://x", "localhost:80", ""] {
            assert!(Endpoint::parse(bad).is_err(), "{bad:?}");
        }
    }
}
