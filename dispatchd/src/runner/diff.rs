//! What a run's branch changes, while it runs and afterwards.
//!
//! An agent may have its hands in the checkout at this moment, so nothing of the checkout is believed: the branch's commit
//! is read from its file, and git compares in our own mirror, with the checkout's objects lent to it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::context::Context;
use crate::core::record::{Repo, Run};

/// See the module.
#[derive(Clone)]
pub struct Diffs {
    ctx: Arc<Context>,
}

impl std::fmt::Debug for Diffs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Diffs")
    }
}

impl Diffs {
    pub(super) fn new(ctx: Arc<Context>) -> Self {
        Self { ctx }
    }

    /// The unified diff from where the branch started to its last commit; empty if there is no commit yet.
    ///
    /// # Errors
    /// A sentence, if the repository is not there any more or git fails.
    pub async fn of(&self, repo: &Repo, run: &Run) -> Result<String, String> {
        let spaces = &self.ctx.spaces;
        let ws = spaces.of(repo, run);
        if !ws.mirror.is_dir() {
            return Ok(String::new());
        }
        let base = spaces.commit(&ws.mirror, &ws.base_ref()).await?;
        let base =
            base.ok_or_else(|| format!("the repository has no `{}` to compare with", ws.base_ref()))?;
        let live = branch_file(&ws.repo, &ws.branch);
        let head = match live {
            Some(sha) => Some(sha),
            None => spaces.commit(&ws.mirror, &format!("refs/heads/{}", ws.branch)).await?,
        };
        let Some(head) = head else { return Ok(String::new()) };
        let range = format!("{base}...{head}");
        let args = ["--no-pager", "diff", "--no-color", "--no-ext-diff", "--no-textconv", range.as_str()];
        spaces.git().with_objects(&ws.mirror, &ws.repo.join(".git/objects"), &args).await
    }
}

/// The commit that the checkout's branch file names, if it is a plain file with nothing but that in it.
fn branch_file(repo: &Path, branch: &str) -> Option<String> {
    let path = repo.join(".git/refs/heads").join(branch);
    fs::symlink_metadata(&path).ok().filter(|m| m.is_file() && m.len() <= 100)?;
    let text = fs::read_to_string(&path).ok()?;
    let sha = text.trim();
    let whole = matches!(sha.len(), 40 | 64) && sha.bytes().all(|b| b.is_ascii_hexdigit());
    whole.then(|| sha.to_owned())
}
