//! The local forge: a git repository on disk whose issues and pull requests are Markdown files under `.dispatch/`.
//!
//! `.dispatch/issues/<n>-<slug>.md` and `.dispatch/pulls/<n>.md` begin with YAML front matter (issues: `title` and, all
//! optional, `number state labels assignees author created updated closed`; pull requests: `title head base` and
//! `number state head_sha fixes url draft labels author created updated merged`), the Markdown below is the body. Both
//! kinds share one sequence of numbers. Comments are files under `.dispatch/comments/<n>/` (`author created`). `.dispatch/id` is the
//! repository's identity and moves along with it. All of it stays out of git through `info/exclude`, until the user
//! commits it.
//!
//! A file whose front matter cannot be read is left alone and named, with line, key and cause, in a warning; its
//! issue keeps its last known state, and all other issues go on. Only if no file at all can be read does the sync fail.
//! Deliberately absent: a way to merge. A person merges with git; see `pulls`.

mod changes;
mod comments;
mod create;
mod dir;
mod files;
mod front;
mod git;
mod pulls;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dispatch_shared::id::RepoKey;

pub use watch::LocalWatch;

use self::dir::{Dir, Kind};
use self::front::{Doc, scalar};
use self::git::Git;
use crate::core::record::Repo;
use crate::core::seen::{SeenIssue, SeenPull, SeenRepo};
use crate::core::standing::Standing;
use crate::edges::{Comments, Edges, Forge, ForgeError, GitRemote, IssuePage, NewIssue, NewPull};

/// The forge of repositories on this machine.
#[derive(Clone, Debug)]
pub struct LocalForge {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    edges: Edges,
    /// Complaints about files that were made already: once is enough until they change.
    warned: Mutex<HashSet<String>>,
}

impl LocalForge {
    /// A forge with these edges. Holds no state but what it has warned of.
    #[must_use]
    pub fn new(edges: Edges) -> Self {
        Self { inner: Arc::new(Inner { edges, warned: Mutex::default() }) }
    }

    /// Runs file and git work where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, ForgeError> + Send + 'static,
    ) -> Result<T, ForgeError> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .unwrap_or_else(|e| Err(ForgeError::Unreachable(format!("the local forge failed: {e}"))))
    }
}

/// Where a repository is, checked.
struct Place {
    git: Git,
    dir: Dir,
}

impl Inner {
    fn before(&self, step: &'static str) -> Result<(), ForgeError> {
        self.edges.hook.before(step).map_err(|e| ForgeError::Unreachable(format!("{step}: {e}")))
    }

    /// Opens a tracked repository and makes sure that it is the one that was tracked.
    fn open(&self, repo: &Repo) -> Result<Place, ForgeError> {
        let Some(path) = &repo.path else {
            return Err(ForgeError::Refused(format!(
                "{} has no path; add it again with the directory of a git repository",
                repo.name
            )));
        };
        let git = Git::open(path)?;
        let dir = Dir::of(&git);
        if !repo.key.as_str().is_empty() && dir.key()?.as_ref() != Some(&repo.key) {
            return Err(ForgeError::NotFound(format!(
                "{} is not the repository that was tracked as {} (its .dispatch/id is missing or another); \
                 put it back, or remove the repository and add it again",
                path.display(),
                repo.name
            )));
        }
        Ok(Place { git, dir })
    }

    fn repository(&self, repo: &Repo) -> Result<SeenRepo, ForgeError> {
        let place = self.open(repo)?;
        let default_branch = place.git.default_branch()?;
        let key: RepoKey = place.dir.ensure(&place.git, &*self.edges.hook)?;
        Ok(SeenRepo { key, name: repo.name.clone(), default_branch, standing: Standing::Active })
    }

    fn add_label(&self, place: &Place, number: u64, label: &str) -> Result<Vec<String>, ForgeError> {
        self.before("forge.add_labels")?;
        let now = self.edges.clock.now();
        let loaded = files::edit(&place.dir, Kind::Issue, number, |doc| {
            let mut labels = doc.front.labels.clone().unwrap_or_default();
            if labels.iter().any(|l| l.eq_ignore_ascii_case(label)) {
                return Ok(None);
            }
            labels.push(label.to_owned());
            files::set_labels(doc, labels, now).map(Some)
        })?;
        Ok(loaded.doc.front.labels.unwrap_or_default())
    }

    fn remove_label(&self, place: &Place, number: u64, label: &str) -> Result<(), ForgeError> {
        self.before("forge.remove_label")?;
        let now = self.edges.clock.now();
        files::edit(&place.dir, Kind::Issue, number, |doc| {
            let mut labels = doc.front.labels.clone().unwrap_or_default();
            let before = labels.len();
            labels.retain(|l| !l.eq_ignore_ascii_case(label));
            if labels.len() == before {
                return Ok(None);
            }
            files::set_labels(doc, labels, now).map(Some)
        })
        .map(drop)
    }

    fn comment(&self, place: &Place, number: u64, body: &str, marker: &str) -> Result<(), ForgeError> {
        let known = [Kind::Issue, Kind::Pull].map(|kind| files::find(&place.dir, kind, number));
        if let [Err(missing @ ForgeError::NotFound(_)), Err(ForgeError::NotFound(_))] = known {
            return Err(missing);
        }
        let folder = place.dir.comments(number);
        let _lock = place.dir.lock()?;
        let mut last = 0;
        let listed = match std::fs::read_dir(&folder) {
            Ok(listed) => listed.collect::<Result<Vec<_>, _>>(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(e),
        };
        let failed = |e| ForgeError::Unreachable(format!("{} could not be read: {e}", folder.display()));
        for entry in listed.map_err(failed)? {
            let text = std::fs::read(entry.path()).map_err(failed)?;
            if !marker.is_empty() && String::from_utf8_lossy(&text).contains(marker) {
                return Ok(());
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            last = last.max(name.trim_end_matches(".md").parse().unwrap_or(0_u64));
        }
        self.before("forge.comment")?;
        let created = files::scalar_time(&self.edges.clock.now().to_string());
        let keys = [("author", scalar("dispatch")), ("created", created)];
        let doc = Doc::new(&keys, body)
            .map_err(|e| ForgeError::Refused(format!("the comment cannot be written down: {e}")))?;
        // The marker may stand apart from the body; it must be in the file either way.
        let mut text = doc.text();
        if !text.contains(marker) {
            text = format!("{text}\n{marker}\n");
        }
        place.dir.replace(&folder.join(format!("{:04}.md", last + 1)), &text, None).map(drop)
    }

    fn pull(&self, place: &Place, number: u64) -> Result<SeenPull, ForgeError> {
        let branches: BTreeMap<String, String> = place.git.branches()?;
        let loaded = files::find(&place.dir, Kind::Pull, number)?;
        let now = self.edges.clock.now();
        pulls::settle(&place.dir, &place.git, &branches, loaded, now, &*self.edges.hook)?.pull()
    }
}

#[async_trait]
impl Forge for LocalForge {
    async fn repository(&self, repo: &Repo) -> Result<SeenRepo, ForgeError> {
        let repo = repo.clone();
        self.blocking(move |forge| forge.repository(&repo)).await
    }

    async fn changes(&self, repo: &Repo, _page: Option<&str>) -> Result<IssuePage, ForgeError> {
        let repo = repo.clone();
        self.blocking(move |forge| forge.changes(&repo)).await
    }

    async fn issue(&self, repo: &Repo, number: u64) -> Result<SeenIssue, ForgeError> {
        let repo = repo.clone();
        self.blocking(move |forge| files::find(&forge.open(&repo)?.dir, Kind::Issue, number)?.issue()).await
    }

    async fn add_labels(
        &self,
        repo: &Repo,
        number: u64,
        labels: &[String],
    ) -> Result<Vec<String>, ForgeError> {
        let (repo, labels) = (repo.clone(), labels.to_vec());
        self.blocking(move |forge| {
            let place = forge.open(&repo)?;
            let mut all = files::find(&place.dir, Kind::Issue, number)?.issue()?.labels;
            for label in &labels {
                all = forge.add_label(&place, number, label)?;
            }
            Ok(all)
        })
        .await
    }

    async fn remove_label(&self, repo: &Repo, number: u64, label: &str) -> Result<(), ForgeError> {
        let (repo, label) = (repo.clone(), label.to_owned());
        self.blocking(move |forge| forge.remove_label(&forge.open(&repo)?, number, &label)).await
    }

    async fn comment(&self, repo: &Repo, number: u64, body: &str, marker: &str) -> Result<(), ForgeError> {
        let (repo, body, marker) = (repo.clone(), body.to_owned(), marker.to_owned());
        self.blocking(move |forge| forge.comment(&forge.open(&repo)?, number, &body, &marker)).await
    }

    async fn comments(&self, repo: &Repo, number: u64) -> Result<Comments, ForgeError> {
        let repo = repo.clone();
        self.blocking(move |forge| comments::read(&forge.open(&repo)?.dir, number)).await
    }

    async fn create_issue(&self, repo: &Repo, issue: &NewIssue) -> Result<SeenIssue, ForgeError> {
        let (repo, issue) = (repo.clone(), issue.clone());
        self.blocking(move |forge| {
            let place = forge.open(&repo)?;
            create::issue(&place.dir, &issue, forge.edges.clock.now(), &*forge.edges.hook)
        })
        .await
    }

    async fn set_body(&self, repo: &Repo, number: u64, body: &str) -> Result<(), ForgeError> {
        let (repo, body) = (repo.clone(), body.to_owned());
        self.blocking(move |forge| {
            forge.before("forge.set_body")?;
            create::set_body(&forge.open(&repo)?.dir, number, &body, forge.edges.clock.now())
        })
        .await
    }

    async fn pull(&self, repo: &Repo, number: u64) -> Result<SeenPull, ForgeError> {
        let repo = repo.clone();
        self.blocking(move |forge| forge.pull(&forge.open(&repo)?, number)).await
    }

    async fn find_pull(&self, repo: &Repo, head: &str) -> Result<Option<SeenPull>, ForgeError> {
        let (repo, head) = (repo.clone(), head.to_owned());
        self.blocking(move |forge| {
            let place = forge.open(&repo)?;
            match pulls::newest_open(&place.dir, &head)? {
                Some(pull) => Ok(Some(forge.pull(&place, pull.number)?)),
                None => Ok(None),
            }
        })
        .await
    }

    async fn open_pull(&self, repo: &Repo, pull: &NewPull) -> Result<SeenPull, ForgeError> {
        let (repo, pull) = (repo.clone(), pull.clone());
        self.blocking(move |forge| {
            let place = forge.open(&repo)?;
            pulls::open(&place.dir, &place.git, &pull, forge.edges.clock.now(), &*forge.edges.hook)
        })
        .await
    }

    async fn remote(&self, repo: &Repo) -> Result<GitRemote, ForgeError> {
        let repo = repo.clone();
        self.blocking(move |forge| {
            let place = forge.open(&repo)?;
            Ok(GitRemote { url: place.git.top().display().to_string(), credential: None })
        })
        .await
    }
}
