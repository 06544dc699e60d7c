//! A text that must never be printed: tokens, webhook secrets, private keys.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, Serializer};
use subtle::ConstantTimeEq as _;

/// No file with a secret is longer.
const LONGEST: u64 = 64 << 10;

/// A secret. It can be handed on, but neither shown nor written: `Debug`, `Display` and `Serialize` show `…`. Its memory is
/// overwritten when it is dropped, and two are compared in constant time.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text, without the white space around it (a token file ends with a newline).
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(SecretString::from(text.trim()))
    }

    /// The text itself, for the one place that needs it. Never log or store what this returns.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Reads a file that nobody but its owner may read: group and others neither, but that root may share it with the
    /// daemon's group (`0640`). What is no plain file (a pipe) is taken as it is.
    ///
    /// # Errors
    /// A sentence without what the file holds: it cannot be read, others can read it, or there is nothing in it.
    pub fn read_private(path: &Path) -> Result<Self, String> {
        Self::read(path, true)
    }

    /// Reads a file whose directory already keeps others away.
    ///
    /// # Errors
    /// As [`Secret::read_private`], but for the mode.
    pub fn read_kept(path: &Path) -> Result<Self, String> {
        Self::read(path, false)
    }

    fn read(path: &Path, private: bool) -> Result<Self, String> {
        let said = |e: std::io::Error| format!("{}: {e}", path.display());
        let file = File::open(path).map_err(said)?;
        let about = file.metadata().map_err(said)?;
        let shared = if about.uid() == 0 && !rustix::process::geteuid().is_root() { 0o037 } else { 0o077 };
        if private && about.is_file() && about.mode() & shared != 0 {
            return Err(format!(
                "{} can be read by others (mode {:04o}): run `chmod 600 {}`, and change what is in it if somebody may \
                 have read it",
                path.display(),
                about.mode() & 0o7777,
                path.display()
            ));
        }
        let mut text = Zeroizing::new(String::new());
        // The cause is left out: it could quote what is no text.
        file.take(LONGEST + 1)
            .read_to_string(&mut text)
            .map_err(|_| format!("{} cannot be read as text", path.display()))?;
        let secret = Self::new(&text);
        match secret.is_empty() {
            true => Err(format!("{} is empty; it must hold the secret and nothing else", path.display())),
            false if text.len() as u64 > LONGEST => {
                Err(format!("{} is longer than {} KiB, which no secret is", path.display(), LONGEST >> 10))
            }
            false => Ok(secret),
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn is_not_shown() {
        let secret = Secret::new("ghp_abc\n");
        assert_eq!(secret.expose(), "ghp_abc");
        assert_eq!(format!("{secret:?} {secret}"), "Secret(…) …");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"…\"");
        assert!(secret == Secret::new(" ghp_abc ") && secret != Secret::new("ghp_abd"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "ghp_abc\n").unwrap();
        for (mode, fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o644, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = Secret::read_private(&path);
            assert_eq!(read.is_ok(), fine, "{mode:o}: {read:?}");
            if let Err(said) = read {
                assert!(said.contains("chmod 600") && !said.contains("ghp_abc"), "{said}");
            }
            assert!(Secret::read_kept(&path).is_ok());
        }
        std::fs::write(&path, " \n").unwrap();
        assert!(Secret::read_kept(&path).unwrap_err().contains("is empty"));
        assert!(Secret::read_private(&dir.path().join("none")).unwrap_err().contains("none"));
    }
}
