//! The directory `.dispatch/` in a work tree: its identity, its files, and how they are replaced.
//!
//! Crash contract of [`Dir::replace`]: before it returns the old file is there whole, afterwards the new one is, durably.
//! Nothing in between can be seen.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dispatch_shared::id::RepoKey;
use sha2::{Digest as _, Sha256};

use super::git::Git;
use crate::edges::{ForgeError, StepHook};

/// Which kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Issue,
    Pull,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Kind::Issue => "issues",
            Kind::Pull => "pulls",
        }
    }
}

/// A file and what its directory entry says: when any of this changes, the file is read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
    stamp: [i128; 4],
}

impl Entry {
    fn of(kind: Kind, path: PathBuf) -> io::Result<Option<Entry>> {
        // A symbolic link could lead anywhere on the machine: only files count.
        let meta = fs::symlink_metadata(&path)?;
        let nanos = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
        let stamp = [
            nanos(meta.mtime(), meta.mtime_nsec()),
            nanos(meta.ctime(), meta.ctime_nsec()),
            i128::from(meta.len()),
            i128::from(meta.ino()),
        ];
        Ok(meta.is_file().then_some(Entry { kind, path, stamp }))
    }

    /// When the file was last changed, in milliseconds since the epoch.
    pub(super) fn changed_ms(&self) -> i64 {
        i64::try_from(self.stamp[0] / 1_000_000).unwrap_or(i64::MAX)
    }

    /// The number that the file's name begins with.
    pub(super) fn number(&self) -> Option<u64> {
        let name = self.path.file_name()?.to_str()?;
        let digits = name.find(|c: char| !c.is_ascii_digit()).map_or(name, |end| &name[..end]);
        let after = &name[digits.len()..];
        (after == ".md" || after.starts_with('-')).then(|| digits.parse().ok()).flatten()
    }

    /// Whether the file on disk is still the one that was listed.
    pub(super) fn is_current(&self) -> bool {
        matches!(Entry::of(self.kind, self.path.clone()), Ok(Some(now)) if now == *self)
    }
}

/// How the name of a file begins that is not whole yet.
pub(super) const UNFINISHED: &str = ".new-";

/// `.dispatch/` of one repository.
#[derive(Clone, Debug)]
pub(super) struct Dir {
    root: PathBuf,
}

fn broken(path: &Path, doing: &str) -> impl FnOnce(io::Error) -> ForgeError {
    let path = path.display().to_string();
    let doing = doing.to_owned();
    move |e| ForgeError::Unreachable(format!("{path} could not be {doing}: {e}"))
}

impl Dir {
    pub(super) fn of(git: &Git) -> Dir {
        Dir { root: git.top().join(".dispatch") }
    }

    /// The identity, if there is one.
    pub(super) fn key(&self) -> Result<Option<RepoKey>, ForgeError> {
        let path = self.root.join("id");
        match fs::read_to_string(&path) {
            Ok(id) if !id.trim().is_empty() => {
                let digest = Sha256::digest(id.trim().as_bytes());
                let hex: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
                Ok(Some(RepoKey::new(format!("lo{hex}"))))
            }
            Ok(_) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(broken(&path, "read")(e)),
        }
    }

    /// Makes the directory and its identity if they are not there, and keeps them out of git.
    pub(super) fn ensure(&self, git: &Git, hook: &dyn StepHook) -> Result<RepoKey, ForgeError> {
        if let Some(key) = self.key()? {
            return Ok(key);
        }
        hook.before("forge.init").map_err(broken(&self.root, "made"))?;
        for folder in ["issues", "pulls", "comments"] {
            let path = self.root.join(folder);
            fs::create_dir_all(&path).map_err(broken(&path, "made"))?;
        }
        let _lock = self.lock()?;
        self.exclude(git)?;
        if let Some(key) = self.key()? {
            return Ok(key);
        }
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random)
            .map_err(|e| ForgeError::Unreachable(format!("the system gave no random numbers: {e}")))?;
        let id: String = random.iter().map(|b| format!("{b:02x}")).collect();
        self.replace(&self.root.join("id"), &format!("{id}\n"), None)?;
        self.key()?.ok_or_else(|| {
            ForgeError::Unreachable(format!(
                "{} is not there after it was written",
                self.root.join("id").display()
            ))
        })
    }

    /// Adds what must stay out of git to `info/exclude`: everything, or only what belongs to this very copy once the
    /// user has chosen to commit the directory.
    fn exclude(&self, git: &Git) -> Result<(), ForgeError> {
        let lines: &[&str] =
            if git.tracks(".dispatch")? { &["/.dispatch/id", "/.dispatch/lock"] } else { &["/.dispatch/"] };
        let path = git.path("info/exclude")?;
        let old = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(broken(&path, "read")(e)),
        };
        let missing: Vec<_> = lines.iter().filter(|l| !old.lines().any(|o| o.trim() == **l)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut text = old;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        for line in missing {
            text.push_str(line);
            text.push('\n');
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(broken(parent, "made"))?;
        }
        self.replace(&path, &text, None).map(drop)
    }

    /// Held while files are read and replaced, so that two writers do not lose each other's change.
    pub(super) fn lock(&self) -> Result<File, ForgeError> {
        let path = self.root.join("lock");
        let open = File::options().create(true).append(true).open(&path);
        let file = open.map_err(broken(&path, "opened"))?;
        file.lock().map_err(broken(&path, "locked"))?;
        Ok(file)
    }

    /// Every issue and pull file, sorted by name. A folder that is not there holds none.
    pub(super) fn list(&self) -> Result<Vec<Entry>, ForgeError> {
        let mut found = Vec::new();
        for kind in [Kind::Issue, Kind::Pull] {
            let folder = self.root.join(kind.folder());
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(broken(&folder, "listed")(e)),
            };
            for entry in entries {
                let path = entry.map_err(broken(&folder, "listed"))?.path();
                let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
                if hidden || path.extension().is_none_or(|e| e != "md") {
                    continue;
                }
                match Entry::of(kind, path.clone()) {
                    Ok(Some(entry)) => found.push(entry),
                    Ok(None) => {}
                    // Gone between the listing and the look: an editor that saves by renaming.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(broken(&path, "read")(e)),
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// One hash over all entries and `more`.
    pub(super) fn fingerprint<'a>(
        entries: &[Entry],
        more: impl Iterator<Item = (&'a String, &'a String)>,
    ) -> String {
        let mut hash = Sha256::new();
        for entry in entries {
            hash.update(entry.path.file_name().map_or(&[][..], |n| n.as_encoded_bytes()));
            hash.update([0, u8::from(entry.kind == Kind::Pull)]);
            for part in entry.stamp {
                hash.update(part.to_le_bytes());
            }
        }
        for (name, value) in more {
            hash.update(name.as_bytes());
            hash.update([0]);
            hash.update(value.as_bytes());
            hash.update([0]);
        }
        hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect()
    }

    /// A file's path by kind and name.
    pub(super) fn file(&self, kind: Kind, name: &str) -> PathBuf {
        self.root.join(kind.folder()).join(name)
    }

    /// Where the comments of `number` lie.
    pub(super) fn comments(&self, number: u64) -> PathBuf {
        self.root.join("comments").join(number.to_string())
    }

    /// Takes away what a daemon left here that was killed while it wrote. The lock is held, so nobody writes now.
    fn sweep(&self, folder: &Path) {
        let ours = folder.starts_with(&self.root);
        for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(|_| ours) {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Replaces a file's content in one step; the lock is held. `Ok(true)` means that the new content is durable; `Ok(false)` that the file
    /// is not the one listed in `unless_changed` any more, and was left alone.
    pub(super) fn replace(
        &self,
        path: &Path,
        text: &str,
        unless_changed: Option<&Entry>,
    ) -> Result<bool, ForgeError> {
        let folder = path.parent().unwrap_or(&self.root);
        let write = || -> io::Result<bool> {
            fs::create_dir_all(folder)?;
            self.sweep(folder);
            let mode = fs::metadata(path).map_or(0o644, |m| m.permissions().mode() & 0o777);
            let mut file = tempfile::Builder::new()
                .prefix(UNFINISHED)
                .permissions(fs::Permissions::from_mode(mode))
                .tempfile_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            if unless_changed.is_some_and(|entry| !entry.is_current()) {
                return Ok(false);
            }
            file.persist(path)?;
            File::open(folder)?.sync_all()?;
            Ok(true)
        };
        write().map_err(broken(path, "written"))
    }
}
