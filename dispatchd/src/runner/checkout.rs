//! Making a checkout, or taking up the one of an earlier attempt: on the run's branch, with all that the repository keeps
//! elsewhere and all that the operator adds.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use super::mirror::{self, Ask, Say};
use super::seal::{self, seal};
use super::workspace::{Workspace, Workspaces};
use super::{state, tree};
use crate::edges::GitRemote;

/// What [`Workspaces::prepare`] did.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// The checkout was not there before.
    pub(super) fresh: bool,
    /// What a person should know of it.
    pub(super) notes: Vec<String>,
}

impl Workspaces {
    /// Makes the workspace, or takes up the one of an earlier attempt, unless `busy` says why not. Two never do it at the
    /// same time, and `busy` is asked when it is one's turn.
    pub(super) async fn prepare(
        &self,
        ws: &Workspace,
        remote: &GitRemote,
        busy: impl Fn() -> Option<String>,
        say: Say<'_>,
    ) -> Result<Made, String> {
        let lock = self.lock(&ws.repo);
        let _guard = lock.lock().await;
        match busy() {
            Some(why) => Err(why),
            None => self.make(ws, remote, say).await,
        }
    }

    async fn make(&self, ws: &Workspace, remote: &GitRemote, say: Say<'_>) -> Result<Made, String> {
        let said = |e: io::Error| format!("{}: {e}", ws.repo.display());
        let start = self.start_point(ws).await?;
        self.complete(ws, &start, remote, say).await?;
        let mut made = Made::default();
        if fs::symlink_metadata(&ws.repo).is_ok() {
            match self.take_up(ws, &mut made.notes).await {
                Ok(()) => {}
                Err(why) if seal::is_beyond_repair(&why) || mirror::is_broken(&why) => {
                    let aside = ws.dir.join("repo.aside");
                    tree::remove(&aside).map_err(said)?;
                    fs::rename(&ws.repo, &aside).map_err(said)?;
                    made.notes.push(format!(
                        "the checkout could not be used again ({why}); it was set aside as {} and made anew",
                        aside.display()
                    ));
                    self.anew(ws, &start).await?;
                }
                Err(why) => return Err(why),
            }
        } else {
            self.anew(ws, &start).await?;
            made.fresh = true;
        }
        tree::remove(&ws.repo.join(seal::BLOCKED)).map_err(said)?;
        self.modules(ws, &start, remote, self.chosen.submodules, &mut made.notes).await?;
        self.lfs(ws, &start, remote, &mut made.notes).await?;
        self.lay(ws, &mut made.notes).await?;
        Ok(made)
    }

    /// Sees to it that a partial mirror has the files that a checkout needs: where it starts, the base, and where they part.
    async fn complete(
        &self,
        ws: &Workspace,
        start: &str,
        remote: &GitRemote,
        say: Say<'_>,
    ) -> Result<(), String> {
        if !mirror::is_partial(&ws.mirror) {
            return Ok(());
        }
        let mut commits = vec![start.to_owned()];
        if let Some(base) = self.commit(&ws.mirror, &ws.base_ref()).await?.filter(|base| base != start) {
            let parting = self.git.try_run(&ws.mirror, &["merge-base", start, &base]).await?;
            commits.extend(parting.ok().then(|| parting.stdout.trim().to_owned()));
            commits.push(base);
        }
        let ask = Ask { remote, tags: false, partial: true, say };
        self.mirrors.complete(&self.git, &ws.mirror, ask, &commits).await
    }

    async fn anew(&self, ws: &Workspace, start: &str) -> Result<(), String> {
        let io = |what: &Path| {
            let what = what.display().to_string();
            move |e: io::Error| format!("{what}: {e}")
        };
        fs::create_dir_all(&ws.dir).map_err(io(&ws.dir))?;
        // Under another name until it is whole: a crash leaves nothing that looks finished.
        let new = ws.dir.join("repo.new");
        tree::remove(&new).map_err(io(&new))?;
        let mut clone: Vec<&OsStr> =
            ["clone", "--quiet", "--shared", "--no-checkout", "--no-tags", "--"].map(OsStr::new).into();
        clone.extend([ws.mirror.as_os_str(), new.as_os_str()]);
        self.git.run(&ws.dir, &clone).await?;
        seal(&new, &ws.objects(), &ws.mirror, &self.author, "", mirror::is_partial(&ws.mirror))?;
        // Files are many, and each is a wait for the disk.
        let workers = ["-c", "checkout.workers=0", "-c", "checkout.thresholdForParallelism=100"];
        let checkout = ["checkout", "--quiet", "-B", &ws.branch, start];
        let args: Vec<&str> = workers.into_iter().chain(checkout).collect();
        self.git.run(&new, &args).await?;
        fs::rename(&new, &ws.repo).map_err(io(&ws.repo))
    }

    /// Puts the checkout of an earlier attempt right: on its branch, with what a person pushed there meanwhile. What cannot
    /// be put right without losing something is left to the program, and said.
    async fn take_up(&self, ws: &Workspace, notes: &mut Vec<String>) -> Result<(), String> {
        self.seal(ws)?;
        let fetch = ["fetch", "--quiet", "--no-tags", "--prune", "--no-recurse-submodules", "origin"];
        self.git.run(&ws.repo, &fetch).await?;
        if let Some(what) = state::under_way(&self.git, &ws.repo).await? {
            notes.push(format!("an earlier attempt left {what} unfinished; it is still there"));
            return Ok(());
        }
        match state::line(self, ws).await? {
            state::Line::OnBranch => {}
            state::Line::Ahead => {
                // The files are the same, only the name is put right.
                self.git.try_run(&ws.repo, &["checkout", "--quiet", "-B", &ws.branch]).await?;
                notes.push(format!(
                    "an earlier attempt had left the branch {}; its work is on it again",
                    ws.branch
                ));
            }
            // Fails where files that are not committed are in the way; they are not given up for it.
            state::Line::Behind
                if self.git.try_run(&ws.repo, &["checkout", "--quiet", &ws.branch, "--"]).await?.ok() => {}
            state::Line::Behind | state::Line::Apart => {
                notes.push(format!(
                    "an earlier attempt left the branch {} for another; it still stands there",
                    ws.branch
                ));
                return Ok(());
            }
        }
        let theirs = format!("refs/remotes/origin/{}", ws.branch);
        if self.commit(&ws.repo, &theirs).await?.is_none() {
            return Ok(());
        }
        let merged = self.git.try_run(&ws.repo, &["merge", "--quiet", "--ff-only", &theirs]).await?;
        if !merged.ok() {
            notes.push(format!(
                "origin/{} has commits that this work lacks, and they do not fit by themselves: they have to be merged",
                ws.branch
            ));
        }
        Ok(())
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
}
