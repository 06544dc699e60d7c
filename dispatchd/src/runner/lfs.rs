//! Git LFS: what a checkout keeps there is fetched by the daemon, with its credential, and laid over the pointers.
//!
//! A program in a container has neither credential nor network for it, and git in the checkout knows no filter. So git is
//! told not to look at those files (`skip-worktree`): they are there to be read, and a change to one is said, not published.
//! The repository's `.lfsconfig` has no say in where they come from.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::disk;
use super::git::failed;
use super::tree;
use super::workspace::{Workspace, Workspaces};
use crate::edges::GitRemote;

/// A pointer is never longer, in bytes.
const POINTER: u64 = 1_024;
/// What a pointer begins with.
const VERSION: &str = "version https://git-lfs.github.com/spec/v1\n";
/// The pathspec of what is kept there.
const KEPT_THERE: &str = ":(attr:filter=lfs)";

/// What stands in a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pointer {
    oid: String,
    size: u64,
}

impl Pointer {
    fn read(text: &[u8]) -> Option<Self> {
        let rest = std::str::from_utf8(text).ok()?.strip_prefix(VERSION)?;
        let field = |name: &str| rest.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        let oid = field("oid")?.strip_prefix("sha256:")?.to_owned();
        let hash = oid.len() == 64 && oid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let size = field("size")?.parse().ok()?;
        hash.then_some(Self { oid, size })
    }

    /// Where git-lfs keeps it in a mirror.
    fn object(&self, mirror: &Path) -> PathBuf {
        mirror.join("lfs/objects").join(&self.oid[..2]).join(&self.oid[2..4]).join(&self.oid)
    }
}

/// A file as it was laid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Laid {
    path: String,
    size: u64,
    modified: (i64, i64),
}

/// Where it is written down what was laid, out of the agent's reach.
fn record(ws: &Workspace) -> PathBuf {
    ws.dir.join("lfs.json")
}

/// The files that were laid over pointers and are not as they were.
pub(super) fn changed(ws: &Workspace) -> Vec<String> {
    let text = fs::read(record(ws)).unwrap_or_default();
    let laid: Vec<Laid> = serde_json::from_slice(&text).unwrap_or_default();
    let same = |laid: &Laid| {
        fs::symlink_metadata(ws.repo.join(&laid.path))
            .is_ok_and(|m| m.len() == laid.size && (m.mtime(), m.mtime_nsec()) == laid.modified)
    };
    laid.into_iter().filter(|l| !same(l)).map(|l| l.path).collect()
}

/// The address that git-lfs is given, whatever the repository says.
fn server(url: &str) -> (String, String) {
    match url.starts_with('/') {
        true => (format!("file://{url}"), format!("file://{url}")),
        false if url.starts_with("file://") => (url.to_owned(), url.to_owned()),
        false => {
            let bare = url.trim_end_matches('/');
            let suffix = if bare.ends_with(".git") { "" } else { ".git" };
            (url.to_owned(), format!("{bare}{suffix}/info/lfs"))
        }
    }
}

impl Workspaces {
    /// Lays what `start` keeps in Git LFS over the pointers in the checkout. What stays a pointer is said.
    pub(super) async fn lfs(
        &self,
        ws: &Workspace,
        start: &str,
        remote: &GitRemote,
        notes: &mut Vec<String>,
    ) -> Result<(), String> {
        let names = [":(glob)**/.gitattributes"];
        let named = ["grep", "--cached", "--quiet", "--fixed-strings", "-e", "filter=lfs", "--"];
        let named: Vec<&str> = named.into_iter().chain(names).collect();
        if !self.git.try_run(&ws.repo, &named).await?.ok() {
            return Ok(());
        }
        let listed = self.git.run(&ws.repo, &["ls-files", "--cached", "-z", "--", KEPT_THERE]).await?;
        let pointer = |path: &str| {
            let text = tree::read_plain(&ws.repo.join(path), POINTER).ok().flatten()?;
            Some((path.to_owned(), Pointer::read(&text)?))
        };
        let pointers: Vec<(String, Pointer)> =
            listed.split('\0').filter(|p| !p.is_empty()).filter_map(pointer).collect();
        if pointers.is_empty() {
            return Ok(());
        }
        let count = pointers.len();
        let bytes = pointers.iter().fold(0_u64, |sum, (_, p)| sum.saturating_add(p.size));
        let limit = self.chosen.lfs_limit.0;
        let why = if !self.chosen.lfs {
            Some("runner.lfs is off".to_owned())
        } else if limit > 0 && bytes > limit {
            Some(format!(
                "they take {}, more than runner.lfs_limit, {}",
                disk::said(bytes),
                disk::said(limit)
            ))
        } else if !self.git.try_run(&ws.dir, &["lfs", "version"]).await?.ok() {
            Some("git-lfs is not installed where dispatchd runs (Debian: apt install git-lfs)".to_owned())
        } else {
            self.lfs_fetch(ws, start, remote).await.err()
        };
        let lost = self.lfs_lay(ws, &pointers).await?;
        if lost > 0 {
            let why = why.unwrap_or_else(|| "the server does not have them".to_owned());
            notes.push(format!("{lost} of {count} files that are kept in Git LFS stay pointers: {why}"));
        } else {
            notes.push(format!(
                "{count} files that are kept in Git LFS were laid ({}); changes to them are not published",
                disk::said(bytes)
            ));
        }
        Ok(())
    }

    async fn lfs_fetch(&self, ws: &Workspace, start: &str, remote: &GitRemote) -> Result<(), String> {
        let (url, server) = server(&remote.url);
        let set = [
            format!("remote.dispatch.url={url}"),
            format!("lfs.url={server}"),
            "lfs.basictransfersonly=true".to_owned(),
            "lfs.locksverify=false".to_owned(),
            "lfs.fetchrecentalways=false".to_owned(),
            "lfs.activitytimeout=60".to_owned(),
            "lfs.transfer.maxretries=3".to_owned(),
        ];
        let mut args: Vec<&str> = set.iter().flat_map(|s| ["-c", s.as_str()]).collect();
        args.extend(["lfs", "fetch", "dispatch", start]);
        let output = self.git.remote(&ws.mirror, remote, &args, None).await?;
        if output.ok() { Ok(()) } else { Err(failed(&["lfs fetch"], &output)) }
    }

    /// Lays those that the mirror has. Returns how many it has not.
    async fn lfs_lay(&self, ws: &Workspace, pointers: &[(String, Pointer)]) -> Result<usize, String> {
        let (mut laid, mut lost) = (Vec::new(), 0);
        for (path, pointer) in pointers {
            let object = pointer.object(&ws.mirror);
            if !fs::metadata(&object).is_ok_and(|m| m.is_file() && m.len() == pointer.size) {
                lost += 1;
                continue;
            }
            match lay(&object, path, ws) {
                Ok(one) => laid.push(one),
                Err(error) => {
                    tracing::warn!(%error, path, "what is kept in Git LFS was not laid");
                    lost += 1;
                }
            }
        }
        if laid.is_empty() {
            return Ok(lost);
        }
        let io = |e: io::Error| format!("{}: {e}", record(ws).display());
        let list = ws.dir.join("lfs.paths");
        let names: String = laid.iter().map(|l| format!("{}\0", l.path)).collect();
        fs::write(&list, names).map_err(io)?;
        let args = ["update-index", "-z", "--skip-worktree", "--stdin"];
        self.git.fed(&ws.repo, &File::open(&list).map_err(io)?, &args).await?;
        let before = fs::read(record(ws)).unwrap_or_default();
        let before: Vec<Laid> = serde_json::from_slice(&before).unwrap_or_default();
        laid.extend(before.into_iter().filter(|b| pointers.iter().all(|(path, _)| *path != b.path)));
        let text = serde_json::to_vec(&laid).map_err(|e| e.to_string())?;
        fs::write(record(ws), text).map_err(io)?;
        let _ = fs::remove_file(&list);
        Ok(lost)
    }
}

/// Puts a copy of `object` in the place of the pointer at `path`: never the mirror's own file, which others read.
fn lay(object: &Path, path: &str, ws: &Workspace) -> io::Result<Laid> {
    let parts = tree::inside(Path::new(path))?;
    let (name, dirs) = parts.split_last().ok_or_else(|| io::Error::other("it has no name"))?;
    let at = tree::beneath(&ws.repo, dirs.iter().copied())?;
    let old = rustix::fs::statat(&at, *name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = Mode::from_raw_mode(old.st_mode & 0o755 | 0o600);
    let new = ws.dir.join("lfs.new");
    tree::remove(&new)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut target = File::from(rustix::fs::open(&new, flags, mode)?);
    io::copy(&mut File::open(object)?, &mut target)?;
    let meta = target.metadata()?;
    rustix::fs::renameat(rustix::fs::CWD, &new, &at, *name)?;
    Ok(Laid { path: path.to_owned(), size: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) })
}

#[cfg(test)]
mod tests;
