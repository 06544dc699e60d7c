//! Mirrors: one bare repository for each tracked one, `<state>/mirrors/<key>.git`, from which its workspaces borrow objects.
//!
//! In crash terms: a mirror is either as the last fetch left it, or says that it is broken and is made anew beside itself,
//! and only a whole one takes the place of another. Who works in a mirror holds its lock, which git inherits as its standard
//! input: a git that outlives its daemon keeps the next daemon out until it is done, and a dead one leaves nothing locked.
//! Nothing is ever pruned: what a workspace borrowed stays.

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

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Mirrors {
    turns: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
    /// Those in which nothing was left half-done, as far as this daemon knows.
    tidy: Mutex<HashSet<PathBuf>>,
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
    /// Waits until nobody else works in `mirror`, in this daemon or left over from another.
    pub(super) async fn hold(&self, mirror: &Path) -> Result<Held, String> {
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
    pub(super) async fn fetch(
        &self,
        git: &Git,
        mirror: &Path,
        remote: &GitRemote,
        tags: bool,
    ) -> Result<(), String> {
        let held = self.hold(mirror).await?;
        self.tidy_up(mirror).map_err(|e| format!("{}: {e}", mirror.display()))?;
        let there = mirror.join("HEAD").is_file() && mirror.join("objects").is_dir();
        let fetched =
            if there { refresh(git, mirror, remote, tags, &held).await } else { Err(BROKEN[0].into()) };
        match fetched {
            Err(why) if is_broken(&why) => {
                if there {
                    tracing::warn!(mirror = %mirror.display(), why, "a mirror is broken; it is made anew");
                }
                anew(git, mirror, remote, tags, &held).await?;
            }
            fetched => fetched?,
        }
        consolidate(git, mirror, &held).await;
        let mut tidy = self.tidy.lock().unwrap_or_else(PoisonError::into_inner);
        tidy.insert(mirror.to_path_buf());
        Ok(())
    }

    /// Makes `mirror` anew, because what it holds turned out not to be whole.
    pub(super) async fn renew(
        &self,
        git: &Git,
        mirror: &Path,
        remote: &GitRemote,
        tags: bool,
    ) -> Result<(), String> {
        let held = self.hold(mirror).await?;
        anew(git, mirror, remote, tags, &held).await
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

async fn refresh(
    git: &Git,
    mirror: &Path,
    remote: &GitRemote,
    tags: bool,
    held: &Held,
) -> Result<(), String> {
    let mut args = vec!["fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head"];
    args.extend(["--no-recurse-submodules", "--", remote.url.as_str(), "+refs/heads/*:refs/heads/*"]);
    // With all tags: one that is not there is then seen to be missing, and is no failure of the network.
    args.extend(tags.then_some("+refs/tags/*:refs/tags/*"));
    let output = git.remote(mirror, remote, &args, Some(held.lock())).await?;
    if output.ok() { Ok(()) } else { Err(failed(&args, &output)) }
}

/// Makes a mirror from nothing, beside the one that is there, and lets it take that one's place once it is whole. The old
/// one stays until the next time: a container may have its objects mounted.
async fn anew(git: &Git, mirror: &Path, remote: &GitRemote, tags: bool, held: &Held) -> Result<(), String> {
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
    refresh(git, &new, remote, tags, held).await?;
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
mod tests {
    use super::*;
    use std::process::Stdio;

    struct Ground {
        dir: tempfile::TempDir,
        git: Git,
        mirrors: Mirrors,
    }

    impl Ground {
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let git = Git::new(&dir.path().join("mirrors"), ("D".into(), "d@x".into())).unwrap();
            let origin = dir.path().join("origin");
            fs::create_dir(&origin).unwrap();
            git.run(&origin, &["init", "--quiet", "-b", "main"]).await.unwrap();
            let ground = Self { dir, git, mirrors: Mirrors::default() };
            ground.commit("first").await;
            ground.fetch().await.unwrap();
            ground
        }

        fn origin(&self) -> PathBuf {
            self.dir.path().join("origin")
        }

        fn mirror(&self) -> PathBuf {
            self.dir.path().join("mirrors/m.git")
        }

        async fn commit(&self, text: &str) {
            fs::write(self.origin().join(text), text).unwrap();
            self.git.run(&self.origin(), &["add", "--all"]).await.unwrap();
            self.git.run(&self.origin(), &["commit", "--quiet", "-m", text]).await.unwrap();
        }

        async fn fetch(&self) -> Result<(), String> {
            let remote = GitRemote { url: self.origin().display().to_string(), credential: None };
            self.mirrors.fetch(&self.git, &self.mirror(), &remote, false).await
        }

        /// The mirror has all that the origin has.
        async fn is_whole(&self) -> bool {
            let tip = self.git.run(&self.origin(), &["rev-parse", "main"]).await.unwrap();
            let mirrored = self.git.run(&self.mirror(), &["rev-parse", "refs/heads/main"]).await;
            let fsck = self.git.try_run(&self.mirror(), &["fsck", "--connectivity-only"]).await.unwrap();
            mirrored == Ok(tip) && fsck.ok()
        }
    }

    #[tokio::test]
    async fn a_mirror_that_is_broken_or_half_made_is_made_anew() {
        for (what, breaks) in [
            ("no HEAD", (|m| fs::remove_file(m.join("HEAD")).unwrap()) as fn(PathBuf)),
            ("a HEAD of zeros", |m| fs::write(m.join("HEAD"), [0; 20]).unwrap()),
            ("no objects", |m| fs::remove_dir_all(m.join("objects")).unwrap()),
            ("no refs", |m| fs::remove_dir_all(m.join("refs")).unwrap()),
            ("a ref of nothing", |m| fs::write(m.join("refs/heads/main"), "").unwrap()),
            ("a configuration of rubbish", |m| fs::write(m.join("config"), "[[[").unwrap()),
            ("an empty directory", |m| {
                fs::remove_dir_all(&m).unwrap();
                fs::create_dir(&m).unwrap();
            }),
        ] {
            let ground = Ground::new().await;
            breaks(ground.mirror());
            ground.commit("second").await;
            ground.fetch().await.unwrap_or_else(|why| panic!("{what}: {why}"));
            assert!(ground.is_whole().await, "{what}");
        }
    }

    #[tokio::test]
    async fn locks_and_halves_of_a_git_that_was_killed_stand_in_nobodys_way() {
        let ground = Ground::new().await;
        for lock in ["packed-refs.lock", "refs/heads/main.lock", "config.lock", "objects/pack/tmp_pack_x"] {
            fs::write(ground.mirror().join(lock), "").unwrap();
        }
        ground.commit("second").await;
        // A daemon of its own, as it were: what this one left it knows.
        let ground = Ground { mirrors: Mirrors::default(), ..ground };
        ground.fetch().await.unwrap();
        assert!(ground.is_whole().await);
        assert!(!ground.mirror().join("objects/pack/tmp_pack_x").exists());
    }

    #[tokio::test]
    async fn a_git_that_outlived_its_daemon_is_waited_for() {
        let ground = Ground::new().await;
        let held = ground.mirrors.hold(&ground.mirror()).await.unwrap();
        let mut orphan = std::process::Command::new("sleep")
            .arg("600")
            .stdin(Stdio::from(held.lock().try_clone().unwrap()))
            .spawn()
            .unwrap();
        drop(held);
        ground.commit("second").await;
        let ground = Ground { mirrors: Mirrors::default(), ..ground };
        let early = tokio::time::timeout(AGAIN * 3, ground.fetch()).await;
        assert!(early.is_err(), "the lock goes with the process, not with the daemon");
        orphan.kill().unwrap();
        orphan.wait().unwrap();
        tokio::time::timeout(Duration::from_secs(60), ground.fetch()).await.unwrap().unwrap();
        assert!(ground.is_whole().await);
    }

    #[tokio::test]
    async fn borrowed_objects_outlive_a_branch_and_a_collection_of_garbage() {
        let ground = Ground::new().await;
        ground.git.run(&ground.origin(), &["checkout", "--quiet", "-b", "side"]).await.unwrap();
        ground.commit("borrowed").await;
        ground.fetch().await.unwrap();
        let tip = ground.git.run(&ground.origin(), &["rev-parse", "side"]).await.unwrap();
        ground.git.run(&ground.origin(), &["checkout", "--quiet", "main"]).await.unwrap();
        ground.git.run(&ground.origin(), &["branch", "-D", "side"]).await.unwrap();
        ground.fetch().await.unwrap();
        for gc in [vec!["gc", "--quiet"], vec!["gc", "--auto", "--quiet"]] {
            ground.git.run(&ground.mirror(), &gc).await.unwrap();
        }
        let kept = ground.git.run(&ground.mirror(), &["cat-file", "-t", tip.trim()]).await;
        assert_eq!(kept.as_deref().map(str::trim), Ok("commit"));
    }
}
