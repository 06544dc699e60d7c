//! Reading: what changed since the cursor, cheaply if nothing did.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::PoisonError;

use super::dir::{Dir, Kind};
use super::{Inner, Place, files, pulls};
use crate::core::record::Repo;
use crate::core::seen::SyncCursor;
use crate::edges::{ForgeError, IssuePage};

impl Inner {
    /// Everything, if anything changed since the cursor; nothing, for one listing and one call of git, if not. The
    /// cursor holds a hash over all directory entries and branches, and the numbers known then: of these, those whose
    /// file is not there any more are gone.
    pub(super) fn changes(&self, repo: &Repo) -> Result<IssuePage, ForgeError> {
        let place = self.open(repo)?;
        let Place { git, dir } = &place;
        let branches = git.branches()?;
        let entries = dir.list()?;
        // The hash is taken before the files are read: what is saved in between makes the next hash differ.
        let hash = Dir::fingerprint(&entries, branches.iter());
        let (old_hash, old_numbers) = read_etag(repo.cursor.etag.as_deref());
        if old_hash == Some(hash.as_str()) {
            return Ok(IssuePage { cursor: Some(repo.cursor.clone()), ..IssuePage::default() });
        }
        let now = self.edges.clock.now();
        let mut page = IssuePage::default();
        let (mut numbers, mut pull_numbers) = (BTreeSet::new(), BTreeSet::new());
        let (mut nameless, mut settled, mut faults) = (false, false, Vec::new());
        // Pull requests first: a merge closes an issue, which is then read as closed.
        for entry in entries.iter().filter(|e| e.kind == Kind::Pull) {
            let seen = files::load(entry).and_then(|old| {
                let new = pulls::settle(dir, git, &branches, old, now, &*self.edges.hook)?;
                settled |= new.entry != *entry;
                new.pull()
            });
            match seen {
                Ok(pull) if pull_numbers.insert(pull.number) => page.pulls.push(pull),
                Ok(pull) => faults.push(twice(&entry.path, pull.number)),
                Err(e) => faults.push(e),
            }
        }
        let entries = if settled { dir.list()? } else { entries };
        for entry in entries.iter().filter(|e| e.kind == Kind::Issue) {
            match files::load(entry).and_then(|l| l.issue()) {
                Ok(issue) if numbers.insert(issue.number) && !pull_numbers.contains(&issue.number) => {
                    page.issues.push(issue);
                }
                Ok(issue) => faults.push(twice(&entry.path, issue.number)),
                Err(e) => {
                    match files::rough_number(entry) {
                        Some(number) => drop(numbers.insert(number)),
                        None => nameless = true,
                    }
                    faults.push(e);
                }
            }
        }
        self.complain(&faults);
        if page.issues.is_empty()
            && page.pulls.is_empty()
            && let Some(first) = faults.into_iter().next()
        {
            return Err(first);
        }
        if nameless {
            // One of the known issues may be the unreadable file: nothing is known to be gone.
            numbers.extend(&old_numbers);
        }
        page.gone = old_numbers.difference(&numbers).copied().collect();
        page.progress = Some((page.issues.len() as u64, page.issues.len() as u64));
        let since = page.issues.iter().map(|i| i.updated_at).max();
        // After our own writes the next look reads once more, and then finds nothing new.
        page.cursor =
            Some(SyncCursor { since, etag: Some(write_etag(&hash, &numbers)), ..repo.cursor.clone() });
        Ok(page)
    }

    fn complain(&self, faults: &[ForgeError]) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let texts: HashSet<String> = faults.iter().map(ToString::to_string).collect();
        for text in texts.iter().filter(|t| !warned.contains(*t)) {
            tracing::warn!("skipped until it is mended: {text}");
        }
        if warned.len() > 1_000 {
            warned.clear();
        }
        warned.extend(texts);
    }
}

fn twice(path: &Path, number: u64) -> ForgeError {
    ForgeError::Unreachable(format!(
        "{}: number {number} is used twice; issues and pull requests share their numbers, give this file another",
        path.display()
    ))
}

/// `v1:<hash>:1-6,9`.
fn write_etag(hash: &str, numbers: &BTreeSet<u64>) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &n in numbers {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == n => *end = n,
            _ => ranges.push((n, n)),
        }
    }
    let ranges = ranges.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") });
    format!("v1:{hash}:{}", ranges.collect::<Vec<_>>().join(","))
}

/// Hash and numbers; nothing of an etag that is not ours.
fn read_etag(etag: Option<&str>) -> (Option<&str>, BTreeSet<u64>) {
    let Some((hash, ranges)) = etag.and_then(|e| e.strip_prefix("v1:")).and_then(|e| e.split_once(':'))
    else {
        return (None, BTreeSet::new());
    };
    let mut numbers = BTreeSet::new();
    for range in ranges.split(',').filter(|r| !r.is_empty()) {
        let (a, b) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(a), Ok(b)) = (a.parse::<u64>(), b.parse::<u64>()) {
            numbers.extend(a..=b);
        }
    }
    (Some(hash), numbers)
}
