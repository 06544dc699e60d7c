//! Pull requests of the local forge: opening them, and noticing that they were merged.
//!
//! There is nobody who could press a merge button here; a person merges with git. So a pull request counts as merged when
//! its head can be reached from its base. The head must have been ahead of the base before, which is what `head_sha` in
//! the file records: a branch that was merely reset to its base is not merged. Squashed and rebased merges leave no
//! such trace; write `state: merged` into the file.

use std::collections::BTreeMap;

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;

use super::dir::{Dir, Kind};
use super::files::{self, Loaded, edit, scalar_time};
use super::front::{Doc, scalar};
use super::git::Git;
use crate::core::link::closing;
use crate::core::seen::SeenPull;
use crate::edges::{ForgeError, NewPull, StepHook};

/// Writes a new pull request under the next free number.
pub(super) fn open(
    dir: &Dir,
    git: &Git,
    pull: &NewPull,
    now: Timestamp,
    hook: &dyn StepHook,
) -> Result<SeenPull, ForgeError> {
    let _lock = dir.lock()?;
    let branches = git.branches()?;
    let sha = |branch: &str| {
        branches.get(branch).ok_or_else(|| {
            ForgeError::Refused(format!("{} has no branch `{branch}`; push it first", git.top().display()))
        })
    };
    let (head, base) = (sha(&pull.head)?, sha(&pull.base)?);
    if git.is_ancestor(head, base)? {
        return Err(ForgeError::Refused(format!(
            "`{}` has no commit that `{}` lacks; there is nothing to review",
            pull.head, pull.base
        )));
    }
    if let Some(old) = newest_open(dir, &pull.head)? {
        return Err(ForgeError::Refused(format!(
            "pull request {} is open from `{}` already; push to it instead",
            old.number, pull.head
        )));
    }
    hook.before("forge.open_pull").map_err(|e| ForgeError::Unreachable(e.to_string()))?;
    let number = dir.list()?.iter().filter_map(files::rough_number).max().unwrap_or(0) + 1;
    let path = dir.file(Kind::Pull, &format!("{number}.md"));
    let fixes: Vec<_> = closing(&pull.body, "").iter().map(ToString::to_string).collect();
    let time = scalar_time(&now.to_string());
    let keys = [
        ("number", number.to_string()),
        ("title", scalar(&pull.title)),
        ("state", "open".to_owned()),
        ("head", scalar(&pull.head)),
        ("base", scalar(&pull.base)),
        ("head_sha", scalar(head)),
        ("fixes", format!("[{}]", fixes.join(", "))),
        ("url", url::Url::from_file_path(&path).map_or_else(|()| "~".to_owned(), |u| scalar(u.as_str()))),
        ("author", "dispatch".to_owned()),
        ("created", time.clone()),
        ("updated", time),
    ];
    let doc = Doc::new(&keys, &pull.body)
        .map_err(|e| ForgeError::Refused(format!("the pull request cannot be written down: {e}")))?;
    dir.replace(&path, &doc.text(), None)?;
    files::find(dir, Kind::Pull, number)?.pull()
}

/// The newest open pull request from the branch `head`. Files that cannot be read are passed over.
pub(super) fn newest_open(dir: &Dir, head: &str) -> Result<Option<SeenPull>, ForgeError> {
    let entries = dir.list()?;
    let pulls = entries.iter().filter(|e| e.kind == Kind::Pull);
    let readable = pulls.filter_map(|e| files::load(e).and_then(|l| l.pull()).ok());
    Ok(readable.filter(|p| p.state == PullState::Open && p.head_branch == head).max_by_key(|p| p.number))
}

/// Brings a pull request's file in line with git: a moved head is recorded, a merged one is marked, and the issues that
/// it fixes are closed. Closing comes first, so that a crash in between repeats it.
pub(super) fn settle(
    dir: &Dir,
    git: &Git,
    branches: &BTreeMap<String, String>,
    loaded: Loaded,
    now: Timestamp,
    hook: &dyn StepHook,
) -> Result<Loaded, ForgeError> {
    let seen = loaded.pull()?;
    let front = &loaded.doc.front;
    let merged = match seen.state {
        PullState::Closed => return Ok(loaded),
        PullState::Merged if front.merged.is_some() => return Ok(loaded),
        PullState::Merged => true,
        PullState::Open => match branches.get(&seen.base_branch) {
            Some(base) => {
                let head = branches.get(&seen.head_branch);
                let was_ahead = !seen.head_sha.is_empty() && git.is_ancestor(&seen.head_sha, base)?;
                let inside = |sha: &String| git.is_ancestor(sha, base);
                if let Some(head) = head
                    && *head != seen.head_sha
                    && !inside(head)?
                {
                    return record_head(dir, &loaded, head, now, hook);
                }
                was_ahead && head.map_or(Ok(true), inside)?
            }
            None => false,
        },
    };
    if !merged {
        return Ok(loaded);
    }
    hook.before("forge.settle_pull").map_err(|e| ForgeError::Unreachable(e.to_string()))?;
    let now = now.to_string();
    for number in loaded.closes() {
        match edit(dir, Kind::Issue, number, |doc| close(doc, &now)) {
            Ok(_) => {}
            Err(ForgeError::NotFound(what)) => tracing::warn!("pull request {}: {what}", loaded.number),
            Err(e) => return Err(e),
        }
    }
    edit(dir, Kind::Pull, loaded.number, |doc| {
        let keys = [
            ("state", Some("merged".to_owned())),
            ("merged", Some(scalar_time(&now))),
            ("updated", Some(scalar_time(&now))),
        ];
        let meant = |front: &mut super::front::Front| {
            front.state = Some("merged".to_owned());
            front.merged = Some(now.clone());
            front.updated = Some(now.clone());
        };
        doc.set(&keys, meant).map(Some)
    })
}

fn record_head(
    dir: &Dir,
    loaded: &Loaded,
    head: &str,
    now: Timestamp,
    hook: &dyn StepHook,
) -> Result<Loaded, ForgeError> {
    hook.before("forge.settle_pull").map_err(|e| ForgeError::Unreachable(e.to_string()))?;
    let now = now.to_string();
    edit(dir, Kind::Pull, loaded.number, |doc| {
        let keys = [("head_sha", Some(scalar(head))), ("updated", Some(scalar_time(&now)))];
        let meant = |front: &mut super::front::Front| {
            front.head_sha = Some(head.to_owned());
            front.updated = Some(now.clone());
        };
        doc.set(&keys, meant).map(Some)
    })
}

fn close(doc: &Doc, now: &str) -> Result<Option<Doc>, super::front::FrontError> {
    if doc.front.state.as_deref() == Some("closed") {
        return Ok(None);
    }
    let keys = [
        ("state", Some("closed".to_owned())),
        ("closed", Some(scalar_time(now))),
        ("updated", Some(scalar_time(now))),
    ];
    let meant = |front: &mut super::front::Front| {
        front.state = Some("closed".to_owned());
        front.closed = Some(now.to_owned());
        front.updated = Some(now.to_owned());
    };
    doc.set(&keys, meant).map(Some)
}
