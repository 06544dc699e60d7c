//! Old workspaces go: what [`keep`](crate::core::keep) names is given to the operator's hook and removed, nothing else.
//!
//! In crash terms: a workspace gets another name before anything of it is removed, so it is whole or it is gone.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use dispatch_shared::Timestamp;
use dispatch_shared::issue::Status;

use super::context::Context;
use super::disk;
use super::hooks::{self, When};
use super::tree;
use super::workspace::Workspace;
use crate::core::keep::{self, Space};
use crate::core::world::World;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(3_600);
/// How the names of workspaces begin that are being removed.
const GONE: &str = ".gone-";

/// Looks at all workspaces now and then, for as long as it is polled.
pub(super) async fn keep_house(ctx: Arc<Context>) {
    loop {
        collect(&ctx).await;
        tokio::time::sleep(LOOK).await;
    }
}

/// Removes the workspaces that are not to be kept.
pub(super) async fn collect(ctx: &Arc<Context>) {
    let limits = ctx.settings.keep.limits();
    let known = known(ctx, &ctx.ledger.snapshot());
    let (root, weigh) = (ctx.spaces.root().to_path_buf(), limits.bytes.is_some());
    let looked = tokio::task::spawn_blocking(move || look(&root, &known, weigh)).await;
    let Ok(found) = looked else { return };
    let spaces: Vec<Space> = found.iter().map(|(_, space)| *space).collect();
    for (i, why) in keep::leaving(&spaces, &limits, ctx.edges.clock.now()) {
        let dir = &found[i].0;
        match remove(ctx, dir).await {
            Ok(true) => tracing::info!(workspace = %dir.display(), ?why, "an old workspace was removed"),
            Ok(false) => {}
            Err(why) => tracing::warn!(workspace = %dir.display(), why, "an old workspace was not removed"),
        }
    }
}

/// The workspace in `dir`, if a run is known that was there.
fn workspace(ctx: &Context, dir: &Path) -> Option<Workspace> {
    let world = ctx.ledger.snapshot();
    let mut all = world.runs.values().filter_map(|r| Some(ctx.spaces.of(world.repos.get(&r.card.repo)?, r)));
    all.find(|ws| ws.dir == dir)
}

/// What the ledger knows of workspaces, by their directories.
fn known(ctx: &Context, world: &World) -> HashMap<PathBuf, Space> {
    let mut known: HashMap<PathBuf, Space> = HashMap::new();
    for run in world.runs.values() {
        let Some(repo) = world.repos.get(&run.card.repo) else { continue };
        let done = match world.cards.get(&run.card) {
            Some(card) if run.is_on_issue() => card.status == Status::Done,
            _ => false,
        };
        let space = known.entry(ctx.spaces.of(repo, run).dir).or_insert(Space {
            used: Timestamp(0),
            bytes: 0,
            in_use: false,
            done,
        });
        space.used = space.used.max(run.ended_at.unwrap_or(run.created_at));
        space.in_use |= run.state.is_live();
    }
    known
}

/// The workspaces on the disk; of one that no run is known of, its directory tells its age.
fn look(root: &Path, known: &HashMap<PathBuf, Space>, weigh: bool) -> Vec<(PathBuf, Space)> {
    let below = |dir: &Path| {
        let plain = |e: &fs::DirEntry| e.file_type().is_ok_and(|t| t.is_dir());
        let entries = fs::read_dir(dir).into_iter().flatten().flatten().filter(plain);
        entries.map(|e| e.path()).collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    for dir in below(root).iter().flat_map(|o| below(o)).flat_map(|r| below(&r)) {
        if dir.file_name().is_some_and(|n| n.to_string_lossy().starts_with(GONE)) {
            if let Err(error) = tree::remove(&dir) {
                tracing::warn!(%error, workspace = %dir.display(), "what is left of a workspace was not removed");
            }
            continue;
        }
        let space = known.get(&dir).copied().unwrap_or_else(|| {
            let changed = fs::metadata(&dir).and_then(|m| m.modified()).ok();
            let since = changed.and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            let used = Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
            Space { used, bytes: 0, in_use: false, done: false }
        });
        let bytes = if weigh { disk::weight(&dir).unwrap_or(0) } else { 0 };
        found.push((dir, Space { bytes, ..space }));
    }
    found
}

/// Removes a workspace, unless somebody began to use it. Returns whether it did.
async fn remove(ctx: &Arc<Context>, dir: &Path) -> Result<bool, String> {
    let repo = dir.join("repo");
    let _turn = ctx.spaces.turn(&repo).await;
    // A run is known before its workspace is made or taken up, and that waits for this turn.
    if known(ctx, &ctx.ledger.snapshot()).get(dir).is_some_and(|space| space.in_use) {
        return Ok(false);
    }
    if ctx.settings.hooks.before_remove.is_some() && fs::symlink_metadata(&repo).is_ok() {
        let sealed = match workspace(ctx, dir) {
            Some(ws) => ctx.spaces.seal(&ws),
            None => Err("no run is known of it".to_owned()),
        };
        match sealed {
            Ok(()) => {
                hooks::run(&ctx.settings.hooks, When::BeforeRemove, &repo).await?;
            }
            Err(why) => tracing::warn!(workspace = %dir.display(), why, "before_remove was not run"),
        }
    }
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let gone = dir.with_file_name(format!("{GONE}{name}"));
    let (from, said) = (dir.to_path_buf(), gone.display().to_string());
    let work = move || {
        tree::remove(&gone)?;
        fs::rename(&from, &gone)?;
        tree::remove(&gone)
    };
    let removed = tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?;
    removed.map(|()| true).map_err(|e| format!("{said}: {e}"))
}
