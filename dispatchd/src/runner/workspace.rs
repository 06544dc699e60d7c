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

use super::git::{Git, failed};
use super::seal::{self, seal};
use super::settings::Settings;
use crate::core::record::{Repo, Run, Target};
use crate::edges::GitRemote;

/// All workspaces.
#[derive(Debug)]
pub(super) struct Workspaces {
    root: PathBuf,
    mirrors: PathBuf,
    pub(super) git: Git,
    author: (String, String),
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
        let path = self.repo.join(seal::BLOCKED);
        // A link could lead anywhere on this machine.
        let plain = fs::symlink_metadata(&path).is_ok_and(|m| m.is_file());
        let text = if plain { fs::read(&path).ok()? } else { return None };
        let text = String::from_utf8_lossy(&text);
        let text: String = text.trim().chars().take(MAX).collect();
        (!text.is_empty()).then_some(text)
    }

    /// Takes the run's home away, credentials and all.
    pub(super) fn forget_home(&self) {
        if let Err(error) = fs::remove_dir_all(&self.home)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, home = %self.home.display(), "the run's home could not be removed");
        }
    }
}

/// A part of a path that stays one: nothing outside letters, digits, `.`, `_`, `-`, and never `.` or `..`.
pub(super) fn safe(name: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let safe: String = name.chars().map(|c| if fine(c) { c } else { '_' }).take(120).collect();
    if safe.is_empty() || safe.starts_with('.') { format!("_{safe}") } else { safe }
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
        Ok(Self { root, mirrors, git, author, locks: Mutex::default() })
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
            mirror: self.mirrors.join(format!("{}.git", safe(repo.key.as_str()))),
            meta,
            branch: run.branch.clone(),
            tag: match &run.target {
                Target::Tag(name) => Some(name.clone()),
                _ => None,
            },
            base,
            dir,
        }
    }

    /// One at a time for each mirror and each workspace.
    fn lock(&self, path: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(path.to_path_buf()).or_default().clone()
    }

    /// Brings the mirror up to date.
    pub(super) async fn fetch(&self, ws: &Workspace, remote: &GitRemote) -> Result<(), String> {
        let lock = self.lock(&ws.mirror);
        let _guard = lock.lock().await;
        if !ws.mirror.join("HEAD").is_file() {
            fs::create_dir_all(&ws.mirror).map_err(|e| format!("{}: {e}", ws.mirror.display()))?;
            // Readable for the workspaces' user, whatever the daemon's umask.
            self.git.run(&ws.mirror, &["init", "--quiet", "--bare", "--shared=0644"]).await?;
        }
        let mut args = vec!["fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head"];
        args.extend([remote.url.as_str(), "+refs/heads/*:refs/heads/*"]);
        // With all tags: one that is not there is then seen to be missing, and is no failure of the network.
        args.extend(ws.tag.is_some().then_some("+refs/tags/*:refs/tags/*"));
        let output = self.git.remote(&ws.mirror, remote, &args).await?;
        if output.ok() { Ok(()) } else { Err(failed(&args, &output)) }
    }

    /// Makes the workspace, or takes up the one of an earlier attempt, unless `busy` says why not. Returns whether it was
    /// made. Two never do it at the same time, and `busy` is asked when it is one's turn.
    pub(super) async fn prepare(
        &self,
        ws: &Workspace,
        busy: impl Fn() -> Option<String>,
    ) -> Result<bool, String> {
        let lock = self.lock(&ws.repo);
        let _guard = lock.lock().await;
        match busy() {
            Some(why) => Err(why),
            None => self.make(ws).await,
        }
    }

    async fn make(&self, ws: &Workspace) -> Result<bool, String> {
        let io = |what: &Path| {
            let what = what.display().to_string();
            move |e: io::Error| format!("{what}: {e}")
        };
        let made = fs::symlink_metadata(&ws.repo).is_err();
        let start = self.start_point(ws).await?;
        if made {
            let parent = ws.repo.parent().ok_or("the workspace has no place")?;
            fs::create_dir_all(parent).map_err(io(parent))?;
            // Under another name until it is whole: a crash leaves nothing that looks finished.
            let new = parent.join("repo.new");
            let _ = fs::remove_dir_all(&new);
            let mirror = ws.mirror.as_os_str();
            self.git
                .run(
                    parent,
                    &[
                        "clone".as_ref(),
                        "--quiet".as_ref(),
                        "--shared".as_ref(),
                        "--no-checkout".as_ref(),
                        "--no-tags".as_ref(),
                        mirror,
                        new.as_os_str(),
                    ],
                )
                .await?;
            seal(&new, &ws.objects(), &ws.mirror, &self.author)?;
            self.git.run(&new, &["checkout", "--quiet", "-B", &ws.branch, &start]).await?;
            fs::rename(&new, &ws.repo).map_err(io(&ws.repo))?;
        } else {
            self.seal(ws)?;
            self.git.run(&ws.repo, &["fetch", "--quiet", "--no-tags", "--prune", "origin"]).await?;
            // Commits that a person pushed to our branch meanwhile; if they do not fit, publishing says so.
            let theirs = format!("refs/remotes/origin/{}", ws.branch);
            let _ = self.git.try_run(&ws.repo, &["merge", "--quiet", "--ff-only", &theirs]).await?;
        }
        seal::forget(&ws.repo.join(seal::BLOCKED)).map_err(io(&ws.repo))?;
        Ok(made)
    }

    pub(super) fn seal(&self, ws: &Workspace) -> Result<(), String> {
        seal(&ws.repo, &ws.objects(), &ws.mirror, &self.author)
    }

    /// The commit that the branch starts from: itself if it is on the remote, else the base.
    async fn start_point(&self, ws: &Workspace) -> Result<String, String> {
        if let Some(tag) = &ws.tag {
            let found = self.commit(&ws.mirror, &ws.base_ref()).await?;
            return found.ok_or_else(|| format!("the repository has no tag `{tag}`"));
        }
        for name in [&ws.branch, &ws.base] {
            if let Some(sha) = self.commit(&ws.mirror, &format!("refs/heads/{name}")).await? {
                return Ok(sha);
            }
        }
        Err(format!("the repository has no branch `{}` to start from", ws.base))
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
            chown_all(path, uid, gid).map_err(|e| format!("{}: {e}", path.display()))?;
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
                    let _ = fs::remove_dir_all(meta.join("home"));
                }
            }
        }
    }
}

/// Links are given away themselves, never what they point to.
fn chown_all(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let meta = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        meta => meta?,
    };
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            chown_all(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_root() {
        for bad in ["..", ".", "", "a/../b", "/etc", ".git", "a\0b"] {
            let safe = safe(bad);
            assert!(
                !safe.contains('/') && !safe.starts_with('.') && !safe.is_empty(),
                "{bad:?} became {safe:?}"
            );
        }
        assert_eq!(safe("dispatch-1.x_y"), "dispatch-1.x_y");
    }
}
