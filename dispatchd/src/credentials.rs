//! Where secrets come from ([`places`], [`github`]), and the ones that were entered through the API: in a file of their own in
//! the state directory that only its owner can read, never in the configuration or the store.

pub mod github;
pub mod places;
pub mod watched;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use crate::secret::Secret;

/// The file's name in the state directory.
pub const FILE: &str = "credentials.json";

/// What the file holds, by the names of `PUT /api/setup`.
#[derive(Clone, Debug, Default)]
pub struct Credentials(BTreeMap<String, Secret>);

/// Where the file is.
#[must_use]
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

impl Credentials {
    /// Reads the file; none is no credentials.
    ///
    /// # Errors
    /// If it cannot be read, or is not what was written.
    pub fn read(state_dir: &Path) -> io::Result<Self> {
        let text = match std::fs::read(path(state_dir)) {
            Ok(text) => Zeroizing::new(text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(e),
        };
        // The cause is left out: it would quote what it cannot read.
        let read: BTreeMap<String, String> =
            serde_json::from_slice(&text).map_err(|_| io::Error::other("it is not what dispatchd wrote"))?;
        Ok(Self(read.into_iter().map(|(name, text)| (name, Secret::new(&text))).collect()))
    }

    /// The credential `name`, if it is there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).filter(|s| !s.is_empty())
    }

    /// Sets, or with an empty text removes.
    pub fn set(&mut self, name: &str, text: &str) {
        let secret = Secret::new(text);
        if secret.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), secret);
        }
    }

    /// Writes the file: a kill at any time leaves the old one or the new one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, state_dir: &Path) -> io::Result<()> {
        let plain: BTreeMap<&str, &str> = self.0.iter().map(|(n, s)| (n.as_str(), s.expose())).collect();
        let text = Zeroizing::new(serde_json::to_vec(&plain).map_err(io::Error::other)?);
        let private = std::fs::Permissions::from_mode(0o600);
        let mut file =
            tempfile::Builder::new().prefix(".credentials-").permissions(private).tempfile_in(state_dir)?;
        file.write_all(&text)?;
        file.as_file().sync_all()?;
        file.persist(path(state_dir)).map_err(|e| e.error)?;
        std::fs::File::open(state_dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut credentials = Credentials::read(dir.path()).unwrap();
        credentials.set("githubToken", " ghp_abc\n");
        credentials.set("webhookSecret", "s");
        credentials.write(dir.path()).unwrap();
        let mode = std::fs::metadata(path(dir.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut again = Credentials::read(dir.path()).unwrap();
        assert_eq!(again.get("githubToken").map(Secret::expose), Some("ghp_abc"));
        assert!(!format!("{again:?}").contains("ghp_abc"));
        again.set("githubToken", "");
        again.write(dir.path()).unwrap();
        let last = Credentials::read(dir.path()).unwrap();
        assert_eq!((last.get("githubToken").is_none(), last.get("webhookSecret").is_some()), (true, true));
    }

    #[test]
    fn a_broken_file_is_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(path(dir.path()), "{\"githubToken\": ghp_abc").unwrap();
        let error = Credentials::read(dir.path()).unwrap_err().to_string();
        assert!(!error.contains("ghp"), "{error}");
    }
}
