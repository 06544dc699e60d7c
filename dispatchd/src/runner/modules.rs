//! Submodules of a checkout: fetched by the daemon into mirrors of their own, and laid where the repository links them, each
//! with the one commit that is linked and borrowing nothing.
//!
//! git's own way (`submodule update`, `--recurse-submodules`) reads addresses, names and commands from the tree and from a
//! `.git` that an agent had. Here only [`submodule`](crate::core::submodule) decides what is fetched; addresses are read from
//! the base branch alone, so that what an agent or a pull request adds makes the daemon fetch nothing; and git is never
//! called in a submodule that an agent had. What cannot be fetched is said, and the run goes on without it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use sha2::{Digest, Sha256};

use super::git::failed;
use super::mirror::Ask;
use super::tree;
use super::workspace::{Workspace, Workspaces};
use crate::core::submodule::{self, Address, Module, Which};
use crate::edges::GitRemote;

/// The largest `.gitmodules` that is read, in bytes.
const LIST: u64 = 256 << 10;

/// A submodule that is linked somewhere.
struct Link {
    module: Module,
    /// Where it lies in the checkout, seen from its top.
    path: String,
    commit: String,
    /// The address of the repository that links it.
    base: String,
    /// The base branch links the very same commit, so that somebody who may has wanted it.
    agreed: bool,
    depth: usize,
}

impl Workspaces {
    /// Fills the directories of submodules that are empty. Says what was not fetched, and why.
    pub(super) async fn modules(
        &self,
        ws: &Workspace,
        start: &str,
        remote: &GitRemote,
        which: Which,
        notes: &mut Vec<String>,
    ) -> Result<(), String> {
        let Some(base) = self.commit(&ws.mirror, &ws.base_ref()).await? else { return Ok(()) };
        let listed = self.listed(&ws.mirror, &base).await;
        let mut modules = match listed {
            Ok(modules) => modules,
            Err(why) => {
                notes.push(format!("no submodule is fetched: {why}"));
                return Ok(());
            }
        };
        if start != base {
            let more = self.listed(&ws.mirror, start).await.unwrap_or_default();
            let new = more.iter().filter(|m| !modules.contains(m)).count();
            if new > 0 {
                notes.push(format!(
                    "{new} submodules are not fetched: the branch alone names them, {} does not",
                    ws.base
                ));
            }
        }
        if modules.is_empty() {
            return Ok(());
        }
        if which == Which::Off {
            notes.push("its submodules are not fetched (runner.submodules = \"off\")".into());
            return Ok(());
        }
        modules.truncate(submodule::COUNT);
        let wanted = self.linked(&ws.mirror, start, &modules).await?;
        let agreed = self.linked(&ws.mirror, &base, &modules).await?;
        let link = |(module, commit): (Module, String)| Link {
            path: module.path.clone(),
            agreed: agreed.iter().any(|(m, c)| *m == module && *c == commit),
            base: remote.url.clone(),
            depth: 1,
            module,
            commit,
        };
        let mut links: Vec<Link> = wanted.into_iter().map(link).collect();
        links.reverse();
        let mut count = 0;
        while let Some(link) = links.pop() {
            let mut said =
                |why: String| notes.push(format!("the submodule {} is not there: {why}", link.path));
            count += 1;
            if count > submodule::COUNT {
                said(format!("there are more than {}", submodule::COUNT));
                break;
            }
            match self.module(ws, &link, remote, which).await {
                Ok(Some((mirror, address))) => match self.nested(&mirror, &link, &address).await {
                    Ok(inner) if inner.is_empty() => {}
                    Ok(_) if link.depth >= submodule::DEPTH => said("it lies too deep".into()),
                    Ok(_) if !link.agreed => {
                        said(format!("its own ones are not fetched before {} links this commit", ws.base));
                    }
                    Ok(inner) => links.extend(inner),
                    Err(why) => said(why),
                },
                Ok(None) => {}
                Err(why) => said(why),
            }
        }
        Ok(())
    }

    /// What `.gitmodules` of `commit` names; nothing if there is none.
    async fn listed(&self, mirror: &Path, commit: &str) -> Result<Vec<Module>, String> {
        let entry = self.git.run(mirror, &["ls-tree", "-z", "--long", commit, "--", ".gitmodules"]).await?;
        let mut parts = entry.split_whitespace();
        let (mode, size) = (parts.next(), parts.nth(2).and_then(|n| n.parse::<u64>().ok()));
        match mode {
            None => return Ok(Vec::new()),
            Some("100644" | "100755") if size.is_some_and(|n| n <= LIST) => {}
            Some(_) => return Err("its .gitmodules is no plain file of a sensible length".into()),
        }
        let blob = format!("--blob={commit}:.gitmodules");
        let listing = self.git.run(mirror, &["config", &blob, "--no-includes", "-z", "--list"]).await?;
        Ok(submodule::parse(&listing))
    }

    /// Those of `modules` that `commit` links, and the commits that it links.
    async fn linked(
        &self,
        mirror: &Path,
        commit: &str,
        modules: &[Module],
    ) -> Result<Vec<(Module, String)>, String> {
        let mut args = vec!["--literal-pathspecs", "ls-tree", "-z", commit, "--"];
        let fine: Vec<&Module> = modules.iter().filter(|m| submodule::check(m).is_ok()).collect();
        if fine.is_empty() {
            return Ok(Vec::new());
        }
        args.extend(fine.iter().map(|m| m.path.as_str()));
        let entries = self.git.run(mirror, &args).await?;
        let mut found = Vec::new();
        for entry in entries.split('\0') {
            let Some((what, path)) = entry.split_once('\t') else { continue };
            let Some(commit) = what.strip_prefix("160000 commit ") else { continue };
            if let Some(module) = fine.iter().find(|m| m.path == path) {
                found.push(((*module).clone(), commit.to_owned()));
            }
        }
        Ok(found)
    }

    /// What a submodule links in turn.
    async fn nested(&self, mirror: &Path, link: &Link, address: &Address) -> Result<Vec<Link>, String> {
        let modules = self.listed(mirror, &link.commit).await?;
        let inner = self.linked(mirror, &link.commit, &modules).await?;
        let one = |(module, commit): (Module, String)| Link {
            path: format!("{}/{}", link.path, module.path),
            base: address.url.clone(),
            agreed: link.agreed,
            depth: link.depth + 1,
            module,
            commit,
        };
        Ok(inner.into_iter().map(one).collect())
    }

    /// Fetches one and lays it into the checkout. `None` if something is there already: it is an earlier attempt's.
    async fn module(
        &self,
        ws: &Workspace,
        link: &Link,
        remote: &GitRemote,
        which: Which,
    ) -> Result<Option<(PathBuf, Address)>, String> {
        submodule::check(&link.module)?;
        let place = vacant(&ws.repo, Path::new(&link.path))?;
        if !place {
            return Ok(None);
        }
        let address = submodule::address(&link.module.url, &link.base, &remote.url, which)?;
        let local = Path::new(&address.url);
        if local.is_absolute() {
            // What lies beside the repository may be a link to anywhere.
            let real = local.canonicalize().map_err(|e| format!("{}: {e}", local.display()))?;
            submodule::address(&real.display().to_string(), &link.base, &real_of(&remote.url), which)?;
        }
        let credential = remote.credential.clone().filter(|_| address.trusted);
        let mirror = self.module_mirror(&address, credential.is_some());
        let from = GitRemote { url: address.url.clone(), credential };
        self.module_fetch(&mirror, &from, link).await?;
        let new = ws.dir.join("module.new");
        let made = self.module_checkout(&mirror, &new, &link.commit).await;
        let made = made.and_then(|()| {
            put(&new, &ws.repo, Path::new(&link.path)).map_err(|e| format!("{}: {e}", link.path))
        });
        if made.is_err() {
            let _ = tree::remove(&new);
        }
        made?;
        Ok(Some((mirror, address)))
    }

    /// Makes a checkout of one commit, with that commit's objects alone.
    async fn module_checkout(&self, mirror: &Path, new: &Path, commit: &str) -> Result<(), String> {
        let io = |e: std::io::Error| format!("{}: {e}", new.display());
        tree::remove(new).map_err(io)?;
        fs::create_dir_all(new).map_err(io)?;
        self.git.run(new, &["init", "--quiet"]).await?;
        let from = mirror.display().to_string();
        let args = ["fetch", "--quiet", "--no-tags", "--depth=1", "--no-recurse-submodules", "--"];
        let args: Vec<&str> = args.into_iter().chain([from.as_str(), commit]).collect();
        self.git.run(new, &args).await?;
        self.git.run(new, &["checkout", "--quiet", "--detach", commit]).await.map(drop)
    }

    /// What was fetched with a credential is not at hand for who has none.
    fn module_mirror(&self, address: &Address, trusted: bool) -> PathBuf {
        let digest = Sha256::digest(format!("{trusted} {}", address.url).as_bytes());
        let hash: String = digest.iter().take(12).map(|b| format!("{b:02x}")).collect();
        self.mirror_dir.join(format!("submodule-{hash}.git"))
    }

    /// Sees to it that the mirror of a submodule has the commit.
    async fn module_fetch(&self, mirror: &Path, remote: &GitRemote, link: &Link) -> Result<(), String> {
        let there = async || match mirror.is_dir() {
            true => Ok(self.commit(mirror, &link.commit).await?.is_some()),
            false => Ok::<_, String>(false),
        };
        if !there().await? {
            let ask = Ask { remote, tags: false, partial: false, say: &|_| {} };
            self.mirrors.fetch(&self.git, mirror, ask).await?;
        }
        if !there().await? && link.agreed {
            let held = self.mirrors.hold(mirror, &|_| {}).await?;
            let spec = format!("+{0}:refs/dispatch/{0}", link.commit);
            let args = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
            let args: Vec<&str> = args.into_iter().chain(["--", &remote.url, &spec]).collect();
            let output = self.git.remote(mirror, remote, &args, Some(held.lock())).await?;
            if !output.ok() {
                return Err(failed(&args, &output));
            }
        }
        if !there().await? {
            return Err(format!("{} has no commit {} on a branch", remote.url, link.commit));
        }
        if !link.agreed {
            let contains = format!("--contains={}", link.commit);
            let heads = ["for-each-ref", "--count=1", "--format=%(refname)", &contains, "refs/heads"];
            if self.git.run(mirror, &heads).await?.is_empty() {
                return Err(format!("no branch of {} has the commit {}", remote.url, link.commit));
            }
        }
        Ok(())
    }
}

/// The address of a repository of this machine without links.
fn real_of(url: &str) -> String {
    let path = url.strip_prefix("file://").unwrap_or(url);
    Path::new(path).canonicalize().map_or_else(|_| url.to_owned(), |real| real.display().to_string())
}

/// Whether nothing lies at `name` but perhaps an empty directory.
fn vacant(checkout: &Path, name: &Path) -> Result<bool, String> {
    let said = |e: std::io::Error| format!("{}: {e}", name.display());
    let parts = tree::inside(name).map_err(said)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = rustix::fs::open(checkout, flags, Mode::empty()).map_err(|e| said(e.into()))?;
    for part in parts {
        at = match rustix::fs::openat(&at, part, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(true),
            Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => return Ok(false),
            at => at.map_err(|e| said(e.into()))?,
        };
    }
    let mut entries = rustix::fs::Dir::read_from(&at).map_err(|e| said(e.into()))?;
    Ok(entries.all(|e| e.is_ok_and(|e| matches!(e.file_name().to_bytes(), b"." | b".."))))
}

/// Moves `new` to `name` in the checkout, where nothing is but perhaps an empty directory. No link is followed.
fn put(new: &Path, checkout: &Path, name: &Path) -> std::io::Result<()> {
    let parts = tree::inside(name)?;
    let Some((last, dirs)) = parts.split_last() else { return Ok(()) };
    let last: &OsStr = last;
    let at = tree::beneath(checkout, dirs.iter().copied())?;
    match rustix::fs::unlinkat(&at, last, AtFlags::REMOVEDIR) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(e) => return Err(e.into()),
    }
    Ok(rustix::fs::renameat(rustix::fs::CWD, new, &at, last)?)
}
