//! The few questions that the local forge asks git. It only reads; branches come by push.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::edges::ForgeError;

/// One git repository with a work tree.
#[derive(Clone, Debug)]
pub(super) struct Git {
    top: PathBuf,
}

impl Git {
    /// The repository whose work tree is `path`.
    pub(super) fn open(path: &Path) -> Result<Git, ForgeError> {
        let top = std::fs::canonicalize(path).map_err(|e| {
            ForgeError::NotFound(format!(
                "{} cannot be opened: {e}; was the repository moved?",
                path.display()
            ))
        })?;
        let git = Git { top };
        let said = git.ask(&["rev-parse", "--show-toplevel"]).map_err(|cause| {
            ForgeError::Refused(format!(
                "{} is no git repository with a work tree ({cause}); run `git init` there or name another directory",
                path.display()
            ))
        })?;
        if std::fs::canonicalize(&said).ok().as_deref() == Some(git.top.as_path()) {
            return Ok(git);
        }
        Err(ForgeError::Refused(format!(
            "{} lies inside the git repository {said}; name that directory instead",
            path.display()
        )))
    }

    /// The work tree.
    pub(super) fn top(&self) -> &Path {
        &self.top
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.top).args(args).stdin(Stdio::null());
        // A daemon started from a git hook must not be led to another repository, nor may git ask anything.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"] {
            command.env_remove(name);
        }
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C");
        command
    }

    /// Standard output without the last newline, or what git said on standard error.
    pub(super) fn ask(&self, args: &[&str]) -> Result<String, String> {
        let out = self.command(args).output().map_err(|e| format!("git could not be started: {e}"))?;
        if out.status.success() {
            return Ok(String::from_utf8_lossy(&out.stdout).trim_end().to_owned());
        }
        let said = String::from_utf8_lossy(&out.stderr);
        Err(said.trim().lines().last().unwrap_or("git failed without a word").to_owned())
    }

    fn must(&self, args: &[&str]) -> Result<String, ForgeError> {
        self.ask(args).map_err(|cause| {
            ForgeError::Unreachable(format!("git {} in {} failed: {cause}", args[0], self.top.display()))
        })
    }

    /// A path inside the git directory, as the repository uses it (shared by linked work trees where that is so).
    pub(super) fn path(&self, name: &str) -> Result<PathBuf, ForgeError> {
        Ok(self.top.join(self.must(&["rev-parse", "--git-path", name])?))
    }

    /// Whether anything below `path` is tracked.
    pub(super) fn tracks(&self, path: &str) -> Result<bool, ForgeError> {
        Ok(!self.must(&["ls-files", "--", path])?.is_empty())
    }

    /// Every local branch and its commit.
    pub(super) fn branches(&self) -> Result<BTreeMap<String, String>, ForgeError> {
        let text =
            self.must(&["for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads"])?;
        let pair = |line: &str| line.split_once(' ').map(|(sha, name)| (name.to_owned(), sha.to_owned()));
        Ok(text.lines().filter_map(pair).collect())
    }

    /// The base of new branches: what origin calls its default if that branch is here, else main, else master, else the
    /// branch that is checked out.
    pub(super) fn default_branch(&self) -> Result<String, ForgeError> {
        let branches = self.branches()?;
        let origin = self.ask(&["symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"]);
        let origin = origin.ok().and_then(|name| name.strip_prefix("origin/").map(str::to_owned));
        let current = self.ask(&["symbolic-ref", "--quiet", "--short", "HEAD"]).ok();
        let named = [origin, Some("main".to_owned()), Some("master".to_owned()), current];
        named.into_iter().flatten().find(|name| branches.contains_key(name)).ok_or_else(|| {
            ForgeError::Refused(format!(
                "{} has no branch to start from; make a first commit",
                self.top.display()
            ))
        })
    }

    /// Whether `old` can be reached from `new`. A commit that is not there cannot.
    pub(super) fn is_ancestor(&self, old: &str, new: &str) -> Result<bool, ForgeError> {
        let args = ["merge-base", "--is-ancestor", old, new];
        let status = self.command(&args).stderr(Stdio::null()).status();
        let status = status.map_err(|e| ForgeError::Unreachable(format!("git could not be started: {e}")))?;
        Ok(status.success())
    }
}
