//! What the files say, as issues and pull requests; and the other way round.

use std::io::Read as _;
use std::path::Path;

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::issue::IssueState;

use super::dir::{Dir, Entry, Kind};
use super::front::{Doc, FrontError, scalar};
use crate::core::link::closing;
use crate::core::seen::{SeenIssue, SeenPull};
use crate::edges::ForgeError;

/// Larger files are not read: nobody writes such an issue by hand.
const MAX_BYTES: u64 = 1 << 20;

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) entry: Entry,
    pub(super) doc: Doc,
    pub(super) number: u64,
}

/// Reads one file.
pub(super) fn load(entry: &Entry) -> Result<Loaded, ForgeError> {
    let shown = entry.path.display();
    let mut bytes = Vec::new();
    std::fs::File::open(&entry.path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|e| ForgeError::Unreachable(format!("{shown} could not be read: {e}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ForgeError::Unreachable(format!("{shown} is larger than 1 MiB; shorten it")));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        ForgeError::Unreachable(format!("{shown}, line {line}: not UTF-8 text"))
    })?;
    let doc = Doc::parse(&text).map_err(|e| bad(&entry.path, &e))?;
    let number = match (entry.number(), doc.front.number) {
        (Some(name), Some(key)) if name != key => {
            let cause = format!("is {key}, but the file's name says {name}; make them agree");
            return Err(bad(&entry.path, &doc.fault("number", cause)));
        }
        (Some(number), _) | (None, Some(number)) => number,
        (None, None) => {
            let cause = "is missing; begin the file's name with the number, like 7-fix-the-door.md";
            return Err(bad(&entry.path, &doc.fault("number", cause)));
        }
    };
    Ok(Loaded { entry: entry.clone(), doc, number })
}

/// The number of a file that may not be readable: from its name, else from the first line that looks like it.
pub(super) fn rough_number(entry: &Entry) -> Option<u64> {
    entry.number().or_else(|| {
        let text = String::from_utf8_lossy(&std::fs::read(&entry.path).ok()?).into_owned();
        text.lines().find_map(|l| l.strip_prefix("number:")?.trim().parse().ok())
    })
}

fn bad(path: &Path, error: &FrontError) -> ForgeError {
    ForgeError::Unreachable(format!("{}, {error}", path.display()))
}

fn time(loaded: &Loaded, key: &str, text: Option<&String>) -> Result<Option<Timestamp>, ForgeError> {
    text.map(|t| Timestamp::parse(t))
        .transpose()
        .map_err(|cause| bad(&loaded.entry.path, &loaded.doc.fault(key, cause)))
}

fn url(path: &Path) -> String {
    url::Url::from_file_path(path).map_or_else(|()| path.display().to_string(), Into::into)
}

impl Loaded {
    fn title(&self) -> Result<String, ForgeError> {
        let title = self.doc.front.title.as_deref().map(str::trim).filter(|t| !t.is_empty());
        title.map(str::to_owned).ok_or_else(|| {
            bad(&self.entry.path, &self.doc.fault("title", "is missing; add a line `title: …`"))
        })
    }

    /// (created, updated). A hand edit counts as an update though nobody writes the key by hand.
    fn times(&self) -> Result<(Timestamp, Timestamp), ForgeError> {
        let changed = Timestamp(self.entry.changed_ms());
        let created = time(self, "created", self.doc.front.created.as_ref())?;
        let updated = time(self, "updated", self.doc.front.updated.as_ref())?;
        Ok((created.or(updated).unwrap_or(changed), updated.map_or(changed, |u| u.max(changed))))
    }

    fn unknown_state(&self, text: &str, known: &str) -> ForgeError {
        bad(&self.entry.path, &self.doc.fault("state", format!("`{text}` is no state; write {known}")))
    }

    /// As an issue.
    pub(super) fn issue(&self) -> Result<SeenIssue, ForgeError> {
        let front = &self.doc.front;
        let state = match front.state.as_deref() {
            None | Some("open") => IssueState::Open,
            Some("closed") => IssueState::Closed,
            Some(other) => return Err(self.unknown_state(other, "open or closed")),
        };
        let (created_at, updated_at) = self.times()?;
        let closed_at = time(self, "closed", front.closed.as_ref())?;
        Ok(SeenIssue {
            number: self.number,
            title: self.title()?,
            body: self.doc.body().to_owned(),
            url: url(&self.entry.path),
            state,
            labels: front.labels.clone().unwrap_or_default(),
            assignees: front.assignees.clone().unwrap_or_default(),
            author: front.author.clone().unwrap_or_default(),
            created_at,
            updated_at,
            closed_at: (state == IssueState::Closed).then(|| closed_at.unwrap_or(updated_at)),
            open_blockers: None,
        })
    }

    /// As a pull request.
    pub(super) fn pull(&self) -> Result<SeenPull, ForgeError> {
        let front = &self.doc.front;
        let state = match front.state.as_deref() {
            None | Some("open") => PullState::Open,
            Some("closed") => PullState::Closed,
            Some("merged") => PullState::Merged,
            Some(other) => return Err(self.unknown_state(other, "open, closed or merged")),
        };
        let branch = |key: &str, value: &Option<String>| {
            value
                .clone()
                .filter(|b| !b.is_empty())
                .ok_or_else(|| bad(&self.entry.path, &self.doc.fault(key, "is missing; name the branch")))
        };
        let (created_at, updated_at) = self.times()?;
        // Our own address is made anew, so that it is right after the repository was moved.
        let elsewhere = front.url.clone().filter(|u| !u.is_empty() && !u.starts_with("file://"));
        Ok(SeenPull {
            number: self.number,
            title: self.title()?,
            url: elsewhere.unwrap_or_else(|| url(&self.entry.path)),
            state,
            draft: front.draft.unwrap_or(false),
            head_branch: branch("head", &front.head)?,
            head_sha: front.head_sha.clone().unwrap_or_default(),
            from_fork: false,
            base_branch: branch("base", &front.base)?,
            author: front.author.clone().unwrap_or_default(),
            labels: front.labels.clone().unwrap_or_default(),
            closes: self.closes(),
            created_at,
            updated_at,
        })
    }

    /// The issues that this pull request closes: the key `fixes`, then closing references in the text.
    pub(super) fn closes(&self) -> Vec<u64> {
        let mut closes = self.doc.front.fixes.clone().unwrap_or_default();
        for number in closing(self.doc.body(), "") {
            if !closes.contains(&number) {
                closes.push(number);
            }
        }
        closes
    }
}

/// Reads the file of `number`, changes it, and replaces it; reads again if somebody else saved it meanwhile. `change`
/// returns `None` if there is nothing to do.
pub(super) fn edit(
    dir: &Dir,
    kind: Kind,
    number: u64,
    change: impl Fn(&Doc) -> Result<Option<Doc>, FrontError>,
) -> Result<Loaded, ForgeError> {
    let _lock = dir.lock()?;
    for _ in 0..5 {
        let old = find(dir, kind, number)?;
        let Some(doc) = change(&old.doc).map_err(|e| bad(&old.entry.path, &e))? else { return Ok(old) };
        if dir.replace(&old.entry.path, &doc.text(), Some(&old.entry))? {
            return find(dir, kind, number);
        }
    }
    Err(ForgeError::Unreachable(format!("issue {number} is being changed by somebody else all the time")))
}

/// The file of issue or pull request `number`.
pub(super) fn find(dir: &Dir, kind: Kind, number: u64) -> Result<Loaded, ForgeError> {
    let entries = dir.list()?;
    let entry = entries.iter().find(|e| e.kind == kind && rough_number(e) == Some(number));
    load(entry.ok_or_else(|| {
        let what = if kind == Kind::Issue { "issue" } else { "pull request" };
        ForgeError::NotFound(format!("there is no {what} {number} under {}", dir.file(kind, "").display()))
    })?)
}

/// A change of the label list, and of `updated` with it.
pub(super) fn set_labels(doc: &Doc, labels: Vec<String>, now: Timestamp) -> Result<Doc, FrontError> {
    let now = now.to_string();
    let line = super::front::list(labels.iter().map(String::as_str));
    doc.set(&[("labels", Some(line)), ("updated", Some(scalar_time(&now)))], |front| {
        front.labels = Some(labels);
        front.updated = Some(now.clone());
    })
}

/// A time is plain text in YAML.
pub(super) fn scalar_time(text: &str) -> String {
    if text.ends_with('Z') { text.to_owned() } else { scalar(text) }
}
