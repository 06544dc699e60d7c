//! Where lines of a log began, kept beside the state, so that a daemon that comes back finds its byte again although the node
//! has thrown the log's beginning away. Losing these costs reading the log from its start.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use k8s_openapi::jiff::Timestamp;

/// One mark is kept for so many bytes.
const SPACING: u64 = 16 << 10;

/// A line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The byte it begins with.
    pub(super) offset: u64,
    /// When it was written.
    pub(super) stamp: Timestamp,
    /// How many lines before it have the same stamp.
    pub(super) nth: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Marks {
    path: PathBuf,
    all: Vec<Place>,
}

impl Marks {
    /// Those of the run called `name`. A line that a crash cut short is ignored.
    pub(super) fn of(dir: &Path, name: &str) -> Self {
        let path = file(dir, name);
        let text = fs::read_to_string(&path).unwrap_or_default();
        Self { path, all: text.split_inclusive('\n').filter_map(place).collect() }
    }

    /// The last one at or before `offset`.
    pub(super) fn before(&self, offset: u64) -> Option<Place> {
        self.all.iter().rev().find(|p| p.offset <= offset).copied()
    }

    /// Keeps `place`, if it lies far enough from the last.
    pub(super) fn note(&mut self, place: Place) {
        if self.all.last().is_some_and(|last| place.offset < last.offset + SPACING) {
            return;
        }
        self.all.push(place);
        let line = format!("{} {} {}\n", place.offset, place.stamp, place.nth);
        let dir = self.path.parent().map_or(Ok(()), fs::create_dir_all);
        let kept = dir
            .and_then(|()| fs::OpenOptions::new().create(true).append(true).open(&self.path))
            .and_then(|mut f| f.write_all(line.as_bytes()));
        if let Err(error) = kept {
            tracing::warn!(file = %self.path.display(), %error, "a place in a log was not noted");
        }
    }
}

/// Forgets those of `name`.
pub(super) fn forget(dir: &Path, name: &str) {
    let _ = fs::remove_file(file(dir, name));
}

fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.marks"))
}

fn place(line: &str) -> Option<Place> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    Some(Place {
        offset: words.next()?.parse().ok()?,
        stamp: words.next()?.parse().ok()?,
        nth: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_again_and_a_torn_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at =
            |offset: u64, second| Place { offset, stamp: Timestamp::from_second(second).unwrap(), nth: 2 };
        let mut marks = Marks::of(dir.path(), "x");
        assert_eq!(marks.before(5), None);
        marks.note(at(0, 1));
        marks.note(at(10, 2));
        marks.note(at(SPACING, 3));
        fs::OpenOptions::new()
            .append(true)
            .open(file(dir.path(), "x"))
            .unwrap()
            .write_all(b"99999 1970")
            .unwrap();
        let again = Marks::of(dir.path(), "x");
        assert_eq!(again.before(SPACING - 1), Some(at(0, 1)), "too close to the last is not kept");
        assert_eq!(again.before(u64::MAX), Some(at(SPACING, 3)));
        forget(dir.path(), "x");
        assert_eq!(Marks::of(dir.path(), "x").before(5), None);
    }
}
