//! What a program keeps of its conversations, saved from the home that goes with each run, so that a later one can go on.
//!
//! `<workspace>/.sessions/<program>/` is the daemon's own, mode 0700: `id`, the newest conversation, and `files/`, copies of
//! what the program's entry names below its home and nothing else. Credential files are never among them, and the values of
//! the run's secrets are masked in what is kept. It is replaced whole, and goes with the workspace.
//!
//! A home is the program's: nothing in it is followed that is a link, whatever else is going on there.

use std::ffi::{CStr, CString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Dir, Mode, OFlags};

use super::agents::Agent;
use super::redact::Redactor;
use super::tree;
use super::workspace::{Workspace, safe};

/// More than this is no conversation.
const MOST_BYTES: u64 = 256 << 20;
const MOST_FILES: usize = 20_000;
/// Directories in each other.
const DEEPEST: usize = 24;

fn kept(ws: &Workspace, agent: &Agent) -> PathBuf {
    ws.dir.join(".sessions").join(safe(&agent.name))
}

fn private(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Keeps what the home in `ws` holds of the conversation `session`, instead of what was kept before; nothing changes where
/// the program has no place for it.
///
/// # Errors
/// A sentence, if it cannot be kept; then nothing is.
pub(super) fn keep(ws: &Workspace, agent: &Agent, session: &str, secrets: &[String]) -> Result<(), String> {
    if agent.sessions.is_empty() || fs::symlink_metadata(&ws.home).is_err() {
        return Ok(());
    }
    let (to, new) = (kept(ws, agent), kept(ws, agent).with_extension("new"));
    let mut copy = Copy { secrets, credentials: &agent.credentials, bytes: 0, files: 0 };
    let mut work = || -> io::Result<()> {
        tree::remove(&new)?;
        private(&new.join("files"))?;
        for place in &agent.sessions {
            copy.place(&ws.home, Path::new(place), &new.join("files"))?;
        }
        if copy.files == 0 {
            return tree::remove(&new);
        }
        fs::write(new.join("id"), session)?;
        tree::remove(&to)?;
        fs::rename(&new, &to)
    };
    work().map_err(|e| {
        let _ = tree::remove(&new);
        format!("what {} keeps of its conversation was not kept: {e}", agent.name)
    })
}

/// Puts what was kept of `session` into the home in `ws`. Returns whether it is there.
///
/// # Errors
/// A sentence, if the disk does not take it.
pub(super) fn restore(ws: &Workspace, agent: &Agent, session: &str) -> Result<bool, String> {
    let from = kept(ws, agent);
    if agent.sessions.is_empty() || fs::read_to_string(from.join("id")).is_ok_and(|id| id != session) {
        return Ok(false);
    }
    if !from.join("id").is_file() {
        return Ok(false);
    }
    let mut copy = Copy { secrets: &[], credentials: &agent.credentials, bytes: 0, files: 0 };
    let mut work = || -> io::Result<()> {
        for place in &agent.sessions {
            copy.place(&from.join("files"), Path::new(place), &ws.home)?;
        }
        Ok(())
    };
    work().map_err(|e| format!("the earlier conversation: {e}"))?;
    Ok(copy.files > 0)
}

struct Copy<'a> {
    secrets: &'a [String],
    /// Relative to a home; never copied.
    credentials: &'a [String],
    bytes: u64,
    files: usize,
}

impl Copy<'_> {
    /// Copies `place`, a file or a directory below `from`, to the same place below `to`.
    fn place(&mut self, from: &Path, place: &Path, to: &Path) -> io::Result<()> {
        let mut at = rustix::fs::open(from, FOLDER, Mode::empty())?;
        let names: Vec<CString> = place
            .components()
            .filter_map(|c| match c {
                Component::Normal(name) => CString::new(name.as_bytes()).ok(),
                _ => None,
            })
            .collect();
        let Some((last, before)) = names.split_last() else { return Ok(()) };
        for name in before {
            match folder(at.as_fd(), name)? {
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
        if let Some(parent) = place.parent() {
            private(&to.join(parent))?;
        }
        self.entry(at.as_fd(), last, place, to, 0)
    }

    fn entry(
        &mut self,
        at: BorrowedFd<'_>,
        name: &CStr,
        place: &Path,
        to: &Path,
        deep: usize,
    ) -> io::Result<()> {
        if self.credentials.iter().any(|c| Path::new(c) == place) {
            return Ok(());
        }
        if let Some(dir) = folder(at, name)? {
            if deep == DEEPEST {
                return Err(io::Error::other("its directories are nested too deeply"));
            }
            private(&to.join(place))?;
            let names: Vec<CString> = Dir::read_from(&dir)?
                .map(|entry| entry.map(|e| e.file_name().to_owned()))
                .collect::<Result<_, _>>()?;
            for name in names.iter().filter(|n| !matches!(n.to_bytes(), b"." | b"..")) {
                let below = place.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
                self.entry(dir.as_fd(), name, &below, to, deep + 1)?;
            }
            return Ok(());
        }
        self.file(at, name, &to.join(place))
    }

    fn file(&mut self, at: BorrowedFd<'_>, name: &CStr, to: &Path) -> io::Result<()> {
        // A pipe has no end, and a link leads anywhere: neither is a conversation.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(at, name, flags, Mode::empty()) else { return Ok(()) };
        let mut file = fs::File::from(file);
        if !file.metadata()?.is_file() {
            return Ok(());
        }
        self.files += 1;
        if self.files > MOST_FILES {
            return Err(io::Error::other("it has too many files"));
        }
        let mut redactor = Redactor::default();
        redactor.hide(self.secrets.iter().cloned());
        let mut target =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = file.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            self.bytes += n as u64;
            if self.bytes > MOST_BYTES {
                return Err(io::Error::other("it takes too much room"));
            }
            target.write_all(&redactor.push(&buffer[..n]))?;
        }
        target.write_all(&redactor.finish())
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The directory `name` in `at`; `None` if there is none, or something else.
fn folder(at: BorrowedFd<'_>, name: &CStr) -> io::Result<Option<OwnedFd>> {
    use rustix::io::Errno;
    match rustix::fs::openat(at, name, FOLDER, Mode::empty()) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::agents::Agents;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn workspace(dir: &Path) -> Workspace {
        let meta = dir.join(".meta/r-1");
        Workspace {
            dir: dir.to_path_buf(),
            repo: dir.join("repo"),
            home: meta.join("home"),
            prompt: meta.join("prompt.md"),
            meta,
            mirror: dir.join("mirror.git"),
            branch: "b".into(),
            base: "main".into(),
            tag: None,
            files: None,
        }
    }

    fn claude() -> Agent {
        Agents::new(&Default::default()).unwrap().get("claude").unwrap()
    }

    #[test]
    fn a_conversation_is_kept_without_credentials_and_secrets_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let (ws, mut agent) = (workspace(dir.path()), claude());
        agent.sessions = vec![".claude".into()];
        let project = ws.home.join(".claude/projects/p");
        fs::create_dir_all(&project).unwrap();
        fs::write(project.join("s-1.jsonl"), "{\"said\":\"the key is s3cr3t-value-1\"}\n").unwrap();
        fs::write(ws.home.join(".claude/.credentials.json"), "{}").unwrap();
        fs::write(ws.home.join("other"), "not of the conversation").unwrap();
        symlink("/etc/passwd", project.join("link")).unwrap();
        keep(&ws, &agent, "s-1", &["s3cr3t-value-1".into()]).unwrap();
        let top = dir.path().join(".sessions/claude");
        assert_eq!(fs::metadata(&top).unwrap().permissions().mode() & 0o777, 0o700);
        tree::remove(&ws.home).unwrap();
        fs::create_dir_all(&ws.home).unwrap();
        assert!(!restore(&ws, &agent, "s-2").unwrap(), "another conversation");
        assert!(restore(&ws, &agent, "s-1").unwrap());
        let text = fs::read_to_string(project.join("s-1.jsonl")).unwrap();
        assert_eq!(text, "{\"said\":\"the key is **************\"}\n");
        let there = |name: &str| fs::symlink_metadata(ws.home.join(name)).is_ok();
        assert!(!there(".claude/.credentials.json") && !there("other") && !there(".claude/projects/p/link"));
    }

    #[test]
    fn a_home_that_is_bent_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (ws, agent) = (workspace(dir.path()), claude());
        let outside = dir.path().join("outside/projects");
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("secret"), "x").unwrap();
        fs::create_dir_all(&ws.home).unwrap();
        symlink(dir.path().join("outside"), ws.home.join(".claude")).unwrap();
        keep(&ws, &agent, "s-1", &[]).unwrap();
        assert!(!dir.path().join(".sessions/claude").exists(), "nothing was there to be kept");
        fs::remove_file(ws.home.join(".claude")).unwrap();
        fs::create_dir(ws.home.join(".claude")).unwrap();
        symlink(&outside, ws.home.join(".claude/projects")).unwrap();
        keep(&ws, &agent, "s-1", &[]).unwrap();
        assert!(!dir.path().join(".sessions/claude").exists());
    }

    #[test]
    fn too_much_is_not_kept_and_what_was_kept_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (ws, agent) = (workspace(dir.path()), claude());
        let project = ws.home.join(".claude/projects");
        fs::create_dir_all(&project).unwrap();
        fs::write(project.join("a"), "x").unwrap();
        keep(&ws, &agent, "s-1", &[]).unwrap();
        let deep = (0..40).fold(project, |at, _| at.join("d"));
        fs::create_dir_all(deep).unwrap();
        assert!(keep(&ws, &agent, "s-2", &[]).unwrap_err().contains("nested"));
        assert_eq!(fs::read_to_string(dir.path().join(".sessions/claude/id")).unwrap(), "s-1");
    }
}
