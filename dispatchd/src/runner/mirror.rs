//! Mirrors: one bare repository for each tracked one, `<state>/mirrors/<key>.git`, from which its workspaces borrow objects.
//!
//! In crash terms: a mirror is either as the last fetch left it, or says that it is broken and is made anew beside itself,
//! and only a whole one takes the place of another. Who works in a mirror holds its lock, which git inherits as its standard
//! input: a git that outlives its daemon keeps the next daemon out until it is done, and a dead one leaves nothing locked.
//! Nothing is ever pruned: what a workspace borrowed stays.
//!
//! A partial mirror has every commit and tree and only the files that some workspace needed: those of a checkout are fetched
//! before it is made, by the daemon, for nobody else has the credential.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::sync::OwnedMutexGuard;

use super::git::{Git, failed};
use super::tree;
use crate::edges::GitRemote;

/// How often a lock that a git of another daemon's holds is tried again.
const AGAIN: Duration = Duration::from_millis(200);
/// After so long a wait is worth a word.
const MOMENT: Duration = Duration::from_millis(300);
/// The longest that is waited for another: it may have to fetch all there is, twice.
const PATIENCE: Duration = Duration::from_secs(2 * 3_600);
/// Mistakes of old programs in who and when, which hurt nobody; everything else that git finds wrong in what a remote sends
/// is refused.
const FORGIVEN: [&str; 13] = [
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "multipleAuthors",
    "nulInCommit",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
];
/// How many packs a mirror may have before they are made into fewer.
const PACKS: usize = 50;
/// How git says that what it has on disk is no repository, or not whole.
const BROKEN: [&str; 12] = [
    "not a git repository",
    "bad object",
    "bad tree object",
    "is corrupt",
    "is empty",
    "corrupted",
    "unable to read",
    "bad config",
    "missing blob",
    "missing tree",
    "missing commit",
    "could not parse",
];

/// Whether git's words say that the repository at hand is broken, not what it talks to.
pub(super) fn is_broken(why: &str) -> bool {
    BROKEN.iter().any(|w| why.contains(w))
}

/// Who hears what takes long.
pub(super) type Say<'a> = &'a (dyn Fn(String) + Send + Sync);

/// What is wanted of a mirror.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) remote: &'a GitRemote,
    /// With all tags.
    pub(super) tags: bool,
    /// Made without the contents of files, if it has to be made.
    pub(super) partial: bool,
    pub(super) say: Say<'a>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Mirrors {
    patience: Duration,
    turns: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
    /// Those in which nothing was left half-done, as far as this daemon knows.
    tidy: Mutex<HashSet<PathBuf>>,
}

impl Default for Mirrors {
    fn default() -> Self {
        Self { patience: PATIENCE, turns: Mutex::default(), tidy: Mutex::default() }
    }
}

/// A mirror that nobody else works in.
#[derive(Debug)]
pub(super) struct Held {
    _turn: OwnedMutexGuard<()>,
    lock: File,
}

impl Held {
    /// The lock, for a git to hold as well.
    pub(super) fn lock(&self) -> &File {
        &self.lock
    }
}

impl Mirrors {
    /// Waits until nobody else works in `mirror`, in this daemon or left over from another; says so if it takes a while.
    ///
    /// # Errors
    /// A sentence, if it takes too long or there is no lock to be had.
    pub(super) async fn hold(&self, mirror: &Path, say: Say<'_>) -> Result<Held, String> {
        let taken = self.take(mirror);
        tokio::pin!(taken);
        if let Ok(taken) = tokio::time::timeout(MOMENT, &mut taken).await {
            return taken;
        }
        say(
            "waiting for the mirror of the repository, in which another run or an earlier daemon's git works"
                .into(),
        );
        tokio::time::timeout(self.patience, taken).await.unwrap_or_else(|_| {
            Err(format!(
                "another run, or a git that an earlier daemon started, worked in {} for longer than {} s",
                mirror.display(),
                self.patience.as_secs()
            ))
        })
    }

    async fn take(&self, mirror: &Path) -> Result<Held, String> {
        let said = |e: io::Error| format!("the lock of {}: {e}", mirror.display());
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(mirror.to_path_buf()).or_default().clone()
        };
        let turn = turn.lock_owned().await;
        let mut options = File::options();
        options.create(true).truncate(false).write(true).read(true);
        // It stays: not the file says that somebody is in, as one of git's does, but the lock on it.
        let lock = options.open(mirror.with_extension("flock")).map_err(said)?;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Held { _turn: turn, lock }),
                Err(Errno::WOULDBLOCK | Errno::INTR) => tokio::time::sleep(AGAIN).await,
                Err(e) => return Err(said(e.into())),
            }
        }
    }

    /// Brings `mirror` up to date: made if it is not there, made anew if it is broken.
    pub(super) async fn fetch(&self, git: &Git, mirror: &Path, ask: Ask<'_>) -> Result<(), String> {
        let held = self.hold(mirror, ask.say).await?;
        self.tidy_up(mirror).map_err(|e| format!("{}: {e}", mirror.display()))?;
        let there = mirror.join("HEAD").is_file() && mirror.join("objects").is_dir();
        let fetched = if there { refresh(git, mirror, ask, &held).await } else { Err(BROKEN[0].into()) };
        match fetched {
            Err(why) if is_broken(&why) => {
                if there {
                    tracing::warn!(mirror = %mirror.display(), why, "a mirror is broken; it is made anew");
                }
                anew(git, mirror, ask, &held).await?;
            }
            fetched => fetched?,
        }
        consolidate(git, mirror, &held).await;
        let mut tidy = self.tidy.lock().unwrap_or_else(PoisonError::into_inner);
        tidy.insert(mirror.to_path_buf());
        Ok(())
    }

    /// Makes `mirror` anew, because what it holds turned out not to be whole.
    pub(super) async fn renew(&self, git: &Git, mirror: &Path, ask: Ask<'_>) -> Result<(), String> {
        let held = self.hold(mirror, ask.say).await?;
        anew(git, mirror, ask, &held).await
    }

    /// Fetches what a partial mirror lacks of the trees of `commits`; nothing to do for a whole one.
    ///
    /// # Errors
    /// A sentence with git's last words.
    pub(super) async fn complete(
        &self,
        git: &Git,
        mirror: &Path,
        ask: Ask<'_>,
        commits: &[String],
    ) -> Result<(), String> {
        if !is_partial(mirror) {
            return Ok(());
        }
        let held = self.hold(mirror, ask.say).await?;
        // As git itself fetches what it finds missing, but all at once. The list may be longer than a command line.
        let script = "!f() { git rev-list --objects --no-object-names --missing=print \"$@\" | sed -n 's/^?//p' >wanted && \
                      if test -s wanted; then git -c fetch.negotiationAlgorithm=noop fetch --quiet --no-tags \
                      --no-write-fetch-head --no-recurse-submodules --filter=blob:none --stdin origin <wanted; fi && rm wanted; }; f";
        let alias = format!("alias.complete={script}");
        let trees: Vec<String> = commits.iter().map(|c| format!("{c}^{{tree}}")).collect();
        let args: Vec<&str> = ["-c", &alias, "-c", "fetch.fsckObjects=true", "complete"]
            .into_iter()
            .chain(trees.iter().map(String::as_str))
            .collect();
        (ask.say)("fetching the files that the mirror lacks".into());
        let output = git.remote(mirror, ask.remote, &args, Some(held.lock())).await?;
        if output.ok() { Ok(()) } else { Err(failed(&["fetch of missing files"], &output)) }
    }

    /// Removes what a git that was killed in `mirror` left: locks that nobody holds, halves of packs.
    fn tidy_up(&self, mirror: &Path) -> io::Result<()> {
        let mut tidy = self.tidy.lock().unwrap_or_else(PoisonError::into_inner);
        // Until the work at hand is done, it counts as left half-done.
        if tidy.remove(mirror) || !mirror.is_dir() {
            return Ok(());
        }
        let objects = mirror.join("objects");
        tree::walk(mirror, |path, meta| {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let half = name.ends_with(".lock") || name.starts_with("tmp_");
            if half && meta.is_file() {
                fs::remove_file(path)?;
            }
            // Loose objects are many, and none of them is half.
            Ok(path.parent() != Some(&objects) || name == "pack")
        })
    }
}

/// Whether a mirror was made without the contents of files.
pub(super) fn is_partial(mirror: &Path) -> bool {
    fs::read_to_string(mirror.join("config"))
        .is_ok_and(|c| c.to_ascii_lowercase().contains("partialclone = origin"))
}

async fn refresh(git: &Git, mirror: &Path, ask: Ask<'_>, held: &Held) -> Result<(), String> {
    let url = ask.remote.url.as_str();
    let forgiven: Vec<String> = FORGIVEN.iter().map(|what| format!("fetch.fsck.{what}=warn")).collect();
    let mut args = vec!["-c", "fetch.fsckObjects=true"];
    args.extend(forgiven.iter().flat_map(|f| ["-c", f.as_str()]));
    args.extend([
        "fetch",
        "--quiet",
        "--prune",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
    ]);
    if is_partial(mirror) {
        // The repository may have been renamed since.
        git.run(mirror, &["config", "remote.origin.url", url]).await?;
        args.extend(["--filter=blob:none", "--", "origin"]);
    } else {
        args.extend(["--", url]);
    }
    args.push("+refs/heads/*:refs/heads/*");
    // With all tags: one that is not there is then seen to be missing, and is no failure of the network.
    args.extend(ask.tags.then_some("+refs/tags/*:refs/tags/*"));
    let output = git.remote(mirror, ask.remote, &args, Some(held.lock())).await?;
    if output.ok() { Ok(()) } else { Err(failed(&["fetch"], &output)) }
}

/// Makes a mirror from nothing, beside the one that is there, and lets it take that one's place once it is whole. The old
/// one stays until the next time: a container may have its objects mounted.
async fn anew(git: &Git, mirror: &Path, ask: Ask<'_>, held: &Held) -> Result<(), String> {
    let said = |e: io::Error| format!("{}: {e}", mirror.display());
    let beside = |what: &str| {
        let name = mirror.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        mirror.with_file_name(format!(".{name}-{what}.git"))
    };
    let (new, old) = (beside("new"), beside("broken"));
    tree::remove(&new).map_err(said)?;
    fs::create_dir_all(&new).map_err(said)?;
    // Readable for the workspaces' user, whatever the daemon's umask.
    git.run(&new, &["init", "--quiet", "--bare", "--shared=0644"]).await?;
    for (key, value) in [("gc.pruneExpire", "never"), ("gc.auto", "0"), ("maintenance.auto", "false")] {
        git.run(&new, &["config", key, value]).await?;
    }
    if ask.partial {
        let origin = [
            ("core.repositoryFormatVersion", "1"),
            ("extensions.partialClone", "origin"),
            ("remote.origin.url", ask.remote.url.as_str()),
            ("remote.origin.promisor", "true"),
            ("remote.origin.partialCloneFilter", "blob:none"),
        ];
        for (key, value) in origin {
            git.run(&new, &["config", key, value]).await?;
        }
    }
    (ask.say)("fetching the repository for the first time".into());
    refresh(git, &new, ask, held).await?;
    if fs::symlink_metadata(mirror).is_ok() {
        tree::remove(&old).map_err(said)?;
        fs::rename(mirror, &old).map_err(said)?;
        // The work of earlier runs, as far as it can be read.
        let from = old.display().to_string();
        let args = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            &from,
            "refs/dispatch/*:refs/dispatch/*",
        ];
        if let Ok(output) = git.try_run(&new, &args).await
            && !output.ok()
        {
            tracing::warn!(mirror = %mirror.display(), why = failed(&args, &output), "the work of earlier runs was not kept");
        }
    }
    fs::rename(&new, mirror).map_err(said)
}

/// Makes few packs out of many. No object is dropped, reachable or not.
async fn consolidate(git: &Git, mirror: &Path, held: &Held) {
    let packs = fs::read_dir(mirror.join("objects/pack")).into_iter().flatten().flatten();
    if packs.filter(|e| e.path().extension().is_some_and(|e| e == "pack")).count() <= PACKS {
        return;
    }
    let args = ["repack", "--geometric=2", "-d", "--quiet"];
    if let Err(why) = git.holding(mirror, held.lock(), &args).await {
        tracing::warn!(mirror = %mirror.display(), why, "the mirror's packs stay as they are");
    }
}

#[cfg(test)]
mod tests;
