//! A file with a secret, read again whenever it changes, so that a rotated secret holds at once.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::secret::Secret;

/// What tells one state of a file from another without reading it.
type Stamp = (i64, i64, i64, i64, u64, u64);

type Read = Box<dyn Fn(&Path) -> Result<Option<Secret>, String> + Send + Sync>;

/// See the module.
pub struct Watched {
    path: PathBuf,
    read: Read,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    stamp: Option<Stamp>,
    secret: Option<Secret>,
    trouble: Option<String>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watched").field(&self.path).finish()
    }
}

impl Watched {
    /// A file that `read` takes the secret out of. It is not read before it is asked for.
    pub fn new(
        path: PathBuf,
        read: impl Fn(&Path) -> Result<Option<Secret>, String> + Send + Sync + 'static,
    ) -> Self {
        Self { path, read: Box::new(read), last: Mutex::default() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The secret as it is now. A file that has become unreadable, empty or open to others leaves the last good one in use;
    /// [`Watched::trouble`] says so.
    ///
    /// # Errors
    /// A sentence, if there was never a good one.
    pub fn get(&self) -> Result<Option<Secret>, String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = std::fs::metadata(&self.path)
            .ok()
            .map(|m| (m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec(), m.ino(), m.len()));
        if stamp.is_some() && stamp == last.stamp {
            return Ok(last.secret.clone());
        }
        match (self.read)(&self.path) {
            Ok(secret) => *last = Last { stamp, secret, trouble: None },
            Err(said) => {
                if last.trouble.as_ref() != Some(&said) {
                    tracing::warn!(error = %said, kept = last.secret.is_some(), "a credential cannot be read");
                }
                // Without a stamp it is looked at again the next time.
                (last.stamp, last.trouble) = (None, Some(said.clone()));
                if last.secret.is_none() {
                    return Err(said);
                }
            }
        }
        Ok(last.secret.clone())
    }

    /// The same, read anew though nothing seems changed.
    ///
    /// # Errors
    /// As [`Watched::get`].
    pub fn get_anew(&self) -> Result<Option<Secret>, String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).stamp = None;
        self.get()
    }

    /// Why the newest state of the file is not in use, if it is not.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn write(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_change_is_seen_and_a_broken_one_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let file = Watched::new(path.clone(), |p| Secret::read_private(p).map(Some));
        let now = || file.get().map(|s| s.map(|s| s.expose().to_owned()));
        assert!(now().is_err(), "not there");
        write(&path, "one", 0o600);
        assert_eq!(now().unwrap().as_deref(), Some("one"));
        write(&path, "another", 0o600);
        assert_eq!(now().unwrap().as_deref(), Some("another"));
        write(&path, "", 0o600);
        assert_eq!(now().unwrap().as_deref(), Some("another"), "half written");
        assert!(file.trouble().unwrap().contains("is empty"));
        write(&path, "open to all", 0o644);
        assert_eq!(now().unwrap().as_deref(), Some("another"));
        assert!(file.trouble().unwrap().contains("chmod"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(now().unwrap().as_deref(), Some("another"));
        write(&path, "last", 0o600);
        assert_eq!((now().unwrap().as_deref(), file.trouble()), (Some("last"), None));
    }
}
