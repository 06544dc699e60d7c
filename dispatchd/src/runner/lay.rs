//! Files of the operator's that a checkout needs and that must not be published: `.env`, a local configuration.
//!
//! They lie in a directory of the operator's, `<files>/<owner>/<repository>/`, under the names that they have in a checkout.
//! A checkout may hold links; none is followed when they are laid into it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::tree;
use super::workspace::{Workspace, Workspaces};
use crate::core::record::Repo;

/// Where the files for `repo` lie, in the operator's directory.
pub(super) fn place(dir: Option<&Path>, repo: &Repo) -> Option<PathBuf> {
    let plain = |part: &str| !part.is_empty() && !part.starts_with("..") && !part.contains('/');
    let (owner, name) = (repo.name.owner(), repo.name.name());
    dir.filter(|_| plain(owner) && plain(name)).map(|dir| dir.join(owner).join(name))
}

/// The plain files below `from`, by their names in a checkout; none if there is no such directory.
///
/// # Errors
/// If it cannot be read.
fn files(from: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !from.is_dir() {
        return Ok(found);
    }
    tree::walk(from, |path, meta| {
        if meta.is_file() {
            found.extend(path.strip_prefix(from).map(Path::to_path_buf));
        }
        Ok(true)
    })?;
    found.sort();
    Ok(found)
}

/// The names of the operator's files for a workspace.
fn laid(ws: &Workspace) -> Result<Vec<PathBuf>, String> {
    let Some(from) = &ws.files else { return Ok(Vec::new()) };
    files(from).map_err(|e| format!("runner.files: {}: {e}", from.display()))
}

/// Lays `name` of `from` into `checkout`, readable for its owner alone.
///
/// # Errors
/// If it cannot be read or written, or a part of the way is no directory of the checkout's own.
fn lay(from: &Path, name: &Path, checkout: &Path) -> io::Result<()> {
    let parts = tree::inside(name)?;
    let (file, dirs) = parts.split_last().ok_or_else(|| io::Error::other("it has no name"))?;
    let mut source = File::open(from.join(name))?;
    let at = tree::beneath(checkout, dirs.iter().copied())?;
    match rustix::fs::unlinkat(&at, *file, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(e.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target = File::from(rustix::fs::openat(&at, *file, flags, Mode::RUSR | Mode::WUSR)?);
    io::copy(&mut source, &mut target).map(drop)
}

/// The names as lines of `info/exclude`.
fn lines(names: &[PathBuf]) -> String {
    let one = |name: &PathBuf| {
        let name = name.to_string_lossy();
        let escaped: String = name
            .chars()
            .flat_map(|c| {
                let special = matches!(c, '*' | '?' | '[' | ']' | '\\' | ' ');
                // A line break cannot be written there: any character stands for it.
                special.then_some('\\').into_iter().chain([if c == '\n' { '?' } else { c }])
            })
            .collect();
        format!("/{escaped}\n")
    };
    names.iter().map(one).collect()
}

/// What git passes over in the checkout, as lines of `info/exclude`.
///
/// # Errors
/// A sentence, if the operator's files cannot be listed.
pub(super) fn excluded(ws: &Workspace) -> Result<String, String> {
    laid(ws).map(|names| lines(&names))
}

impl Workspaces {
    /// Lays the operator's files into the checkout, out of git's sight. One that the repository tracks is not touched: it
    /// would be published.
    pub(super) async fn lay(&self, ws: &Workspace, notes: &mut Vec<String>) -> Result<(), String> {
        let (Some(from), names) = (&ws.files, laid(ws)?) else { return Ok(()) };
        if names.is_empty() {
            return Ok(());
        }
        self.seal(ws)?;
        for name in names {
            let mut ask: Vec<&OsStr> = ["--literal-pathspecs", "ls-files", "-z", "--"].map(OsStr::new).into();
            ask.push(name.as_os_str());
            if !self.git.run(&ws.repo, &ask).await?.is_empty() {
                notes.push(format!("{} was not copied: the repository tracks it itself", name.display()));
                continue;
            }
            lay(from, &name, &ws.repo)
                .map_err(|e| format!("runner.files: {} was not copied: {e}", name.display()))?;
        }
        Ok(())
    }

    /// One of the operator's files, if it is among what `range` of the mirror adds: by its name, or as a whole under another.
    pub(super) async fn betrayed(&self, ws: &Workspace, range: &str) -> Result<Option<PathBuf>, String> {
        let Some(from) = &ws.files else { return Ok(None) };
        for name in laid(ws)? {
            // One that the repository has had all along was not copied, and is changed like any other.
            let base = ws.base_ref();
            let own = ["--literal-pathspecs", "ls-tree", base.as_str(), "--"];
            let named = [
                "--literal-pathspecs",
                "log",
                "-m",
                "--no-renames",
                "--max-count=1",
                "--format=%H",
                range,
                "--",
            ];
            let [own, named] = [&own[..], &named[..]]
                .map(|args| args.iter().map(OsStr::new).chain([name.as_os_str()]).collect::<Vec<_>>());
            let named = self.git.run(&ws.mirror, &own).await?.is_empty()
                && !self.git.run(&ws.mirror, &named).await?.is_empty();
            let path = from.join(&name);
            let mut hash: Vec<&OsStr> = ["hash-object", "--no-filters", "--"].map(OsStr::new).into();
            hash.push(path.as_os_str());
            let hash = self.git.run(&ws.mirror, &hash).await?;
            let find = format!("--find-object={}", hash.trim());
            let same = ["log", "-m", "--max-count=1", "--format=%H", "--no-renames", &find, range];
            // An empty one says nothing, and many are alike.
            let says = std::fs::metadata(&path).is_ok_and(|m| m.len() > 0);
            if named || (says && !self.git.run(&ws.mirror, &same).await?.is_empty()) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn no_link_of_a_checkout_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (from, checkout, outside) =
            (dir.path().join("from"), dir.path().join("repo"), dir.path().join("outside"));
        for d in [&from.join("conf/deep"), &checkout, &outside] {
            fs::create_dir_all(d).unwrap();
        }
        fs::write(from.join(".env"), "KEY=1").unwrap();
        fs::write(from.join("conf/deep/local"), "deep").unwrap();
        fs::write(outside.join("file"), "kept").unwrap();
        symlink(outside.join("file"), checkout.join(".env")).unwrap();
        symlink(&outside, checkout.join("conf")).unwrap();
        let names = files(&from).unwrap();
        assert_eq!(names, [Path::new(".env"), Path::new("conf/deep/local")]);
        lay(&from, &names[0], &checkout).unwrap();
        assert_eq!(fs::read_to_string(checkout.join(".env")).unwrap(), "KEY=1");
        assert_eq!(fs::metadata(checkout.join(".env")).unwrap().permissions().mode() & 0o777, 0o600);
        lay(&from, &names[1], &checkout).unwrap_err();
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "kept");
        assert!(!outside.join("deep").exists(), "nothing was made behind the link");
        fs::remove_file(checkout.join("conf")).unwrap();
        lay(&from, &names[1], &checkout).unwrap();
        assert_eq!(fs::read_to_string(checkout.join("conf/deep/local")).unwrap(), "deep");
        for bad in ["../x", "/etc/x", ".git/config", "a/.GIT/x", ""] {
            assert!(lay(&from, Path::new(bad), &checkout).is_err(), "{bad}");
        }
        assert!(files(&dir.path().join("none")).unwrap().is_empty());
        assert_eq!(lines(&["a b*".into(), ".env".into(), "a\nb".into()]), "/a\\ b\\*\n/.env\n/a?b\n");
    }
}
