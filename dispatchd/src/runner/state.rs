//! What state a program left its checkout in: something unfinished, or another line of work than the run's branch.
//! The checkout is sealed before anything is asked here.

use std::fs;
use std::path::Path;

use super::git::Git;
use super::workspace::{Workspace, Workspaces};

/// Where `HEAD` stands beside the run's branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// On it.
    OnBranch,
    /// Detached or under another name, with all that the branch has, or the branch is gone.
    Ahead,
    /// On a commit that the branch has long had.
    Behind,
    /// Each has commits that the other lacks.
    Apart,
}

/// What git was in the middle of, with its article; `None` if it was not.
pub(super) async fn under_way(git: &Git, repo: &Path) -> Result<Option<&'static str>, String> {
    let there = |name: &str| fs::symlink_metadata(repo.join(".git").join(name)).is_ok();
    for (name, what) in [
        ("rebase-merge", "a rebase"),
        ("rebase-apply", "a rebase"),
        ("CHERRY_PICK_HEAD", "a cherry-pick"),
        ("REVERT_HEAD", "a revert"),
    ] {
        if there(name) {
            return Ok(Some(what));
        }
    }
    // A merge without conflicts only waits for its commit.
    let unmerged = git.run(repo, &["ls-files", "--unmerged", "-z"]).await?;
    Ok((!unmerged.is_empty()).then_some("a merge with conflicts"))
}

/// See [`Line`].
pub(super) async fn line(spaces: &Workspaces, ws: &Workspace) -> Result<Line, String> {
    let branch = format!("refs/heads/{}", ws.branch);
    let on = spaces.git.try_run(&ws.repo, &["symbolic-ref", "--quiet", "HEAD"]).await?;
    if on.ok() && on.stdout.trim() == branch {
        return Ok(Line::OnBranch);
    }
    let (head, tip) = (spaces.commit(&ws.repo, "HEAD").await?, spaces.commit(&ws.repo, &branch).await?);
    let (head, tip) = match (head, tip) {
        (Some(head), Some(tip)) => (head, tip),
        (None, Some(_)) => return Ok(Line::Behind),
        (_, None) => return Ok(Line::Ahead),
    };
    let contains = async |old: &str, new: &str| {
        let asked = spaces.git.try_run(&ws.repo, &["merge-base", "--is-ancestor", old, new]).await?;
        Ok::<_, String>(asked.ok())
    };
    Ok(if contains(&tip, &head).await? {
        Line::Ahead
    } else if contains(&head, &tip).await? {
        Line::Behind
    } else {
        Line::Apart
    })
}
