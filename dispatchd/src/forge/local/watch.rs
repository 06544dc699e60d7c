//! Tells when a local repository changed, without polling: issue and pull files, and the branches that decide whether a
//! pull request is merged.
//!
//! Bursts (an editor's save, a git merge) come out as one call per repository, once it has been quiet for a moment. A
//! missed notice costs nothing but time: the scheduled sync finds the change as well.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::dir::UNFINISHED;
use super::git::Git;

/// How long a repository must be quiet before its change is told.
const QUIET: Duration = Duration::from_millis(150);
/// A repository that is never quiet is told of after so many pauses anyway.
const PATIENCE: u32 = 10;

/// What is watched of one repository.
#[derive(Clone, Debug)]
struct Watched {
    /// Directories, and whether all below them counts.
    roots: Vec<(PathBuf, RecursiveMode)>,
}

type Repos = Arc<Mutex<BTreeMap<PathBuf, Watched>>>;

/// Watches repositories until it is dropped.
#[derive(Debug)]
pub struct LocalWatch {
    watcher: RecommendedWatcher,
    repos: Repos,
}

impl LocalWatch {
    /// Calls `on_change` with the path given to [`LocalWatch::add`] after each burst of changes there, on a thread of
    /// its own.
    ///
    /// # Errors
    /// If the system gives no watch (its limit is reached).
    pub fn new(on_change: impl Fn(PathBuf) + Send + 'static) -> io::Result<Self> {
        let (send, receive) = channel();
        let watcher = notify::recommended_watcher(send).map_err(io::Error::other)?;
        let repos = Repos::default();
        let seen = repos.clone();
        // Ends when the watcher, which holds the sending half, is dropped.
        std::thread::Builder::new()
            .name("local-watch".to_owned())
            .spawn(move || gather(&receive, &seen, &on_change))?;
        Ok(Self { watcher, repos })
    }

    /// Starts to watch the work tree `path`, which the forge has seen before (so that `.dispatch/` is there). Adding it
    /// again renews the watches.
    ///
    /// # Errors
    /// Naming the directory that cannot be watched, and why.
    pub fn add(&mut self, path: &Path) -> io::Result<()> {
        self.remove(path);
        let git = Git::open(path).map_err(io::Error::other)?;
        let refs = git.path("refs/heads").map_err(io::Error::other)?;
        let packed = git.path("packed-refs").map_err(io::Error::other)?;
        let mut roots =
            vec![(git.top().join(".dispatch"), RecursiveMode::Recursive), (refs, RecursiveMode::Recursive)];
        // Git replaces packed-refs by renaming, so its directory is watched.
        roots.extend(packed.parent().map(|p| (p.to_owned(), RecursiveMode::NonRecursive)));
        let mut done: Vec<(PathBuf, RecursiveMode)> = Vec::new();
        for (root, mode) in roots {
            let root = std::fs::canonicalize(&root).unwrap_or(root);
            if let Err(e) = self.watcher.watch(&root, mode) {
                for (root, _) in done {
                    let _ = self.watcher.unwatch(&root);
                }
                return Err(io::Error::other(format!("{} cannot be watched: {e}", root.display())));
            }
            done.push((root, mode));
        }
        self.lock().insert(path.to_owned(), Watched { roots: done });
        Ok(())
    }

    /// Stops to watch `path`; fine if it was not watched.
    pub fn remove(&mut self, path: &Path) {
        let watched = self.lock().remove(path);
        for (root, _) in watched.into_iter().flat_map(|w| w.roots) {
            // Gone with its directory, or shared with another work tree of the same repository.
            let shared = self.lock().values().any(|w| w.roots.iter().any(|(r, _)| *r == root));
            if !shared {
                let _ = self.watcher.unwatch(&root);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Watched>> {
        self.repos.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gather(events: &Receiver<notify::Result<notify::Event>>, repos: &Repos, tell: &impl Fn(PathBuf)) {
    while let Ok(first) = events.recv() {
        let mut changed = touched(&first, repos);
        let mut pauses = 0;
        while !changed.is_empty() && pauses < PATIENCE {
            pauses += 1;
            match events.recv_timeout(QUIET) {
                Ok(event) => changed.extend(touched(&event, repos)),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        changed.into_iter().for_each(tell);
    }
}

/// The repositories that an event concerns.
fn touched(event: &notify::Result<notify::Event>, repos: &Repos) -> BTreeSet<PathBuf> {
    let repos = repos.lock().unwrap_or_else(PoisonError::into_inner);
    let event = match event {
        Ok(event) => event,
        // Events were lost: look everywhere.
        Err(_) => return repos.keys().cloned().collect(),
    };
    if event.need_rescan() {
        return repos.keys().cloned().collect();
    }
    if matches!(event.kind, EventKind::Access(_)) {
        return BTreeSet::new();
    }
    let of = |path: &PathBuf| {
        let concerns = |w: &Watched| {
            w.roots.iter().any(|(root, mode)| match mode {
                RecursiveMode::Recursive => path.starts_with(root) && !is_ours(path),
                RecursiveMode::NonRecursive => *path == root.join("packed-refs"),
            })
        };
        repos.iter().filter(|(_, w)| concerns(w)).map(|(repo, _)| repo.clone()).collect::<Vec<_>>()
    };
    event.paths.iter().flat_map(of).collect()
}

/// Files that only writers use: the lock, half-written files, git's own locks.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    name == "lock" || name.starts_with(UNFINISHED) || name.ends_with(".lock")
}
