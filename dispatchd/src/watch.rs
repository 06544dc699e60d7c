//! Watches the working copies of local repositories, so that a saved issue is on the board at once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dispatch_shared::id::RepoKey;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::core::record::ForgeKind;
use crate::core::world::World;
use crate::forge::local::LocalWatch;
use crate::forge::sync::Syncer;
use crate::ledger::Door;

/// Watches every tracked local repository until `shutdown`.
pub async fn run(ledger: Door, syncer: Arc<Syncer>, shutdown: CancellationToken) {
    let (tx, mut changed) = mpsc::unbounded_channel::<PathBuf>();
    let mut watch = match LocalWatch::new(move |path| drop(tx.send(path))) {
        Ok(watch) => watch,
        Err(error) => {
            tracing::warn!(%error, "files cannot be watched; local repositories are read by the clock");
            return;
        }
    };
    let mut watched: BTreeMap<PathBuf, RepoKey> = BTreeMap::new();
    let mut commits = ledger.commits();
    loop {
        commits.mark_unchanged();
        let wanted = paths(&ledger.snapshot());
        for path in watched.keys().filter(|p| !wanted.contains_key(*p)) {
            watch.remove(path);
        }
        for path in wanted.keys().filter(|p| !watched.contains_key(*p)) {
            if let Err(error) = watch.add(path) {
                tracing::warn!(path = %path.display(), %error, "cannot be watched; it is read by the clock");
            }
        }
        watched = wanted;
        tokio::select! {
            () = shutdown.cancelled() => return,
            path = changed.recv() => match path.and_then(|p| watched.get(&p).cloned()) {
                Some(key) => syncer.hint(&key),
                None => tracing::debug!("a change in a directory that is not watched any more"),
            },
            more = commits.changed() => if more.is_err() { return },
        }
    }
}

fn paths(world: &World) -> BTreeMap<PathBuf, RepoKey> {
    world
        .tracked()
        .filter(|r| r.forge == ForgeKind::Local)
        .filter_map(|r| Some((r.path.clone()?, r.key.clone())))
        .collect()
}
