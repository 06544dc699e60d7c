//! Workspaces: one clone an issue (or pull request, branch, tag), sharing the objects of the repository's mirror, kept between attempts.
//!
//! `<state>/mirrors/<key>.git` is the daemon's own; `<state>/workspaces/<org>/<repo>/issue-N/` (`pr-N`, `branch-…`, `tag-…`) holds `repo/`, which the
//! agent may do anything with, and `.meta/`, which it never sees but for its prompt and its home. What an agent leaves in
//! `repo/.git` is input like any other: before git is called there, [`seal`](super::seal::seal) takes out all that could
//! make git do more than it was asked for.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use dispatch_shared::id::RunId;

use sha2::{Digest, Sha256};

use super::git::Git;
use super::mirror::{self, Ask, Mirrors, Say};
use super::seal::{self, seal};
use super::settings::{Partial, Settings, Size};
use super::{lay, tree};
use crate::core::record::{Repo, Run, Target};
use crate::core::submodule::Which;
use crate::edges::GitRemote;

/// What the operator chose of checkouts.
#[derive(Debug)]
pub(super) struct Chosen {
    files: Option<PathBuf>,
    pub(super) submodules: Which,
    pub(super) lfs: bool,
    pub(super) lfs_limit: Size,
    partial: Partial,
}

/// All workspaces.
#[derive(Debug)]
pub(super) struct Workspaces {
    root: PathBuf,
    pub(super) mirror_dir: PathBuf,
    pub(super) chosen: Chosen,
    pub(super) mirrors: Mirrors,
    pub(super) git: Git,
    pub(super) author: (String, String),
    locks: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

/// One workspace and one run's part of it.
#[derive(Clone, Debug)]
pub(super) struct Workspace {
    /// All of it.
    pub(super) dir: PathBuf,
    /// The checkout.
    pub(super) repo: PathBuf,
    /// The run's own directory.
    pub(super) meta: PathBuf,
    /// The run's home.
    pub(super) home: PathBuf,
    /// The prompt.
    pub(super) prompt: PathBuf,
    /// The mirror.
    pub(super) mirror: PathBuf,
    /// The branch that is published.
    pub(super) branch: String,
    /// The branch that it starts from.
    pub(super) base: String,
    /// The tag that it starts from instead.
    pub(super) tag: Option<String>,
    /// Where the operator's files for it lie, if he named a place.
    pub(super) files: Option<PathBuf>,
}

impl Workspace {
    /// What the work is compared with, as git names it in the mirror.
    pub(super) fn base_ref(&self) -> String {
        match &self.tag {
            Some(tag) => format!("refs/tags/{tag}"),
            None => format!("refs/heads/{}", self.base),
        }
    }

    /// The mirror's objects, which the checkout reads.
    pub(super) fn objects(&self) -> PathBuf {
        self.mirror.join("objects")
    }

    /// Says that the program was ended because the daemon went down.
    pub(super) fn stopped(&self) -> PathBuf {
        self.meta.join("stopped")
    }

    /// The question that the agent left, if it left one.
    pub(super) fn question(&self) -> Option<String> {
        const MAX: usize = 60_000;
        let text = tree::read_plain(&self.repo.join(seal::BLOCKED), 4 * MAX as u64).ok()??;
        let text = String::from_utf8_lossy(&text);
        let fine = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
        let text: String = text.chars().filter(fine).take(MAX).collect();
        let text = text.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Takes the run's home away, credentials and all.
    pub(super) fn forget_home(&self) {
        if let Err(error) = tree::remove(&self.home) {
            tracing::warn!(%error, home = %self.home.display(), "the run's home could not be removed");
        }
    }
}

/// A part of a path that stays one, and that no other name shares on any file system: lower-case letters, digits, `.`, `_`
/// and `-` are kept; a name that has anything else, or begins with a dot, or is long, is told apart by a hash.
pub(super) fn safe(name: &str) -> String {
    const LONG: usize = 100;
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    if !name.is_empty() && name.len() <= LONG && !name.starts_with('.') && name.chars().all(fine) {
        return name.to_owned();
    }
    let lower = name.chars().map(|c| c.to_ascii_lowercase());
    let readable: String = lower.map(|c| if fine(c) { c } else { '_' }).take(LONG).collect();
    let digest = Sha256::digest(name.as_bytes());
    let hash: String = digest.iter().take(6).map(|b| format!("{b:02x}")).collect();
    format!("{}+{hash}", readable.trim_start_matches('.'))
}

impl Workspaces {
    pub(super) fn new(state_dir: &Path, settings: &Settings) -> io::Result<Self> {
        let (root, mirrors) = (state_dir.join("workspaces"), state_dir.join("mirrors"));
        let author = (settings.author_name.clone(), settings.author_email.clone());
        fs::create_dir_all(&root)?;
        let git = Git::new(&mirrors, author.clone())?;
        if rustix::process::geteuid().is_root() {
            // Another user has to reach the workspaces, and may look at nothing on the way.
            for dir in [state_dir, &root, &mirrors] {
                let mode = fs::metadata(dir)?.permissions().mode() & 0o7777;
                fs::set_permissions(dir, fs::Permissions::from_mode(mode | 0o011))?;
            }
        }
        let locks = Mutex::default();
        let chosen = Chosen {
            files: settings.files.clone(),
            submodules: settings.submodules,
            lfs: settings.lfs,
            lfs_limit: settings.lfs_limit,
            partial: settings.partial.clone(),
        };
        Ok(Self { root, mirror_dir: mirrors, chosen, mirrors: Mirrors::default(), git, author, locks })
    }

    /// The git that is safe to call.
    pub(super) fn git(&self) -> &Git {
        &self.git
    }

    /// Whether another user than the daemon's can get to the workspaces.
    pub(super) fn reachable(&self) -> bool {
        super::prepare::passable(&self.root)
    }

    /// Where the workspace of `run` is, made or not. What was run on an issue is kept beside what is run on its pull
    /// request: two runs that may go on at the same time never share a checkout.
    pub(super) fn of(&self, repo: &Repo, run: &Run) -> Workspace {
        let dir = self.root.join(safe(repo.name.owner())).join(safe(repo.name.name())).join(run.place());
        let meta = dir.join(".meta").join(run.id.to_string());
        let base =
            if run.base_branch.is_empty() { repo.default_branch.clone() } else { run.base_branch.clone() };
        Workspace {
            repo: dir.join("repo"),
            home: meta.join("home"),
            prompt: meta.join("prompt.md"),
            mirror: self.mirror_dir.join(format!("{}.git", safe(repo.key.as_str()))),
            meta,
            branch: run.branch.clone(),
            tag: match &run.target {
                Target::Tag(name) => Some(name.clone()),
                _ => None,
            },
            files: lay::place(self.chosen.files.as_deref(), repo),
            base,
            dir,
        }
    }

    /// The directory that all of them are in.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Waits until nobody makes, takes up or removes the checkout at this place.
    pub(super) async fn turn(&self, repo: &Path) -> tokio::sync::OwnedMutexGuard<()> {
        self.lock(repo).lock_owned().await
    }

    /// One at a time for each workspace.
    pub(super) fn lock(&self, path: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(path.to_path_buf()).or_default().clone()
    }

    /// Whether the mirror of `name` is to be made a partial one; `None` if that depends on its size, or it is there.
    pub(super) fn partial(&self, ws: &Workspace, name: &str) -> Option<bool> {
        if ws.mirror.is_dir() { Some(mirror::is_partial(&ws.mirror)) } else { self.chosen.partial.of(name) }
    }

    /// Brings the mirror up to date.
    pub(super) async fn fetch(
        &self,
        ws: &Workspace,
        remote: &GitRemote,
        partial: bool,
        say: Say<'_>,
    ) -> Result<(), String> {
        let ask = Ask { remote, tags: ws.tag.is_some(), partial, say };
        self.mirrors.fetch(&self.git, &ws.mirror, ask).await
    }

    /// Makes the mirror anew, because what it holds turned out not to be whole.
    pub(super) async fn renew(
        &self,
        ws: &Workspace,
        remote: &GitRemote,
        partial: bool,
        say: Say<'_>,
    ) -> Result<(), String> {
        let ask = Ask { remote, tags: ws.tag.is_some(), partial, say };
        self.mirrors.renew(&self.git, &ws.mirror, ask).await
    }

    /// Makes it safe to call git in the checkout.
    pub(super) fn seal(&self, ws: &Workspace) -> Result<(), String> {
        self.seal_as(ws, mirror::is_partial(&ws.mirror))
    }

    /// The same, and git takes the checkout for one that lacks nothing.
    pub(super) fn seal_whole(&self, ws: &Workspace) -> Result<(), String> {
        self.seal_as(ws, false)
    }

    fn seal_as(&self, ws: &Workspace, partial: bool) -> Result<(), String> {
        seal(&ws.repo, &ws.objects(), &ws.mirror, &self.author, &lay::excluded(ws)?, partial)
    }

    /// The commit that `name` stands for, if there is one.
    pub(super) async fn commit(&self, dir: &Path, name: &str) -> Result<Option<String>, String> {
        let spec = format!("{name}^{{commit}}");
        let output = self.git.try_run(dir, &["rev-parse", "--verify", "--quiet", &spec]).await?;
        Ok(output.ok().then(|| output.stdout.trim().to_owned()))
    }

    /// Gives checkout, home and prompt to the run's user.
    pub(super) fn give(&self, ws: &Workspace, (uid, gid): (u32, u32)) -> Result<(), String> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        for path in [&ws.repo, &ws.home, &ws.prompt] {
            tree::give(path, uid, gid).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        Ok(())
    }

    /// Takes away the homes that a crash left behind, of runs that are not in `live`.
    pub(super) fn sweep_homes(&self, live: &[RunId]) {
        let below = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
        for issue in below(&self.root).flat_map(|o| below(&o)).flat_map(|r| below(&r)) {
            for meta in below(&issue.join(".meta")) {
                let run = meta.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse().ok());
                if run.is_some_and(|run| !live.contains(&run)) {
                    let home = meta.join("home");
                    if let Err(error) = tree::remove(&home) {
                        tracing::warn!(%error, home = %home.display(), "an old run's home could not be removed");
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_part_of_a_path_and_is_shared_with_no_other() {
        let long = "x".repeat(300);
        let names = [
            "..",
            ".",
            "",
            "a/../b",
            "/etc",
            ".git",
            ".github",
            "a\0b",
            "a_b",
            "a b",
            "A_b",
            "a_B",
            "日本",
            "中国",
            "a+b",
            "-rf",
            "a\nb",
            "a:b",
            "a,b",
            "con",
            &long,
            &long[1..],
            "a\u{301}",
            "á",
            "dispatch-1.x_y",
        ];
        let mut seen = std::collections::BTreeSet::new();
        for name in names {
            let safe = safe(name);
            let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-+".contains(c);
            assert!(
                safe.chars().all(fine) && !safe.starts_with('.') && !safe.is_empty(),
                "{name:?}: {safe:?}"
            );
            assert!(safe.len() <= 120, "{safe:?}");
            assert!(seen.insert(safe.to_ascii_lowercase()), "{name:?} shares {safe:?}");
        }
        assert_eq!(safe("dispatch-1.x_y"), "dispatch-1.x_y");
    }
}
