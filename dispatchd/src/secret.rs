//! A text that must never be printed: tokens, webhook secrets.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A secret. It can be handed on, but neither shown nor written: there is no `Display`, `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text, without the white space around it (a token file ends with a newline).
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Reads the file at `path`, which nobody but its owner may read or write.
    ///
    /// # Errors
    /// A sentence that names the file and what to do; nothing of its content.
    pub fn read(path: &Path) -> Result<Self, String> {
        let said = |what: &dyn fmt::Display| format!("{}: {what}", path.display());
        let mut file = std::fs::File::open(path).map_err(|e| said(&e))?;
        // Of the file that is open, so that what is looked at is what is read.
        let meta = file.metadata().map_err(|e| said(&e))?;
        let mode = meta.permissions().mode() & 0o777;
        if meta.is_file() && mode & 0o077 != 0 {
            return Err(said(&format!(
                "others than its owner may read or write it (mode {mode:04o}); make it private with `chmod 600 {}`, and \
                 renew the secret if somebody may have seen it",
                path.display()
            )));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|e| said(&e))?;
        Ok(Self::new(&text))
    }

    /// The text itself, for the one place that needs it. Never log or store what this returns.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "ghp_abc\n").unwrap();
        let with = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Secret::read(&path)
        };
        for open in [0o644, 0o640, 0o604, 0o620, 0o660] {
            let said = with(open).unwrap_err();
            assert!(said.contains("chmod 600") && said.contains(&format!("{open:04o}")), "{said}");
            assert!(!said.contains("ghp"), "{said}");
        }
        for private in [0o600, 0o400, 0o700] {
            assert_eq!(with(private).unwrap().expose(), "ghp_abc");
        }
    }

    #[test]
    fn is_not_shown() {
        let secret = Secret::new("ghp_abc\n");
        assert_eq!(secret.expose(), "ghp_abc");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
