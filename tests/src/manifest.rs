//! What lies in a directory, so that two looks can be compared: nothing beside a workspace may change by what is in it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Files, links and directories by path: what they are, whose, their mode and their content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest(BTreeMap<PathBuf, String>);

impl Manifest {
    /// Everything below `top` but what is below one of `but`.
    #[must_use]
    pub fn of(top: &Path, but: &[&Path]) -> Self {
        let mut all = BTreeMap::new();
        let mut dirs = vec![top.to_path_buf()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if but.iter().any(|b| path.starts_with(b)) {
                    continue;
                }
                let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
                let what = if meta.is_dir() {
                    dirs.push(path.clone());
                    "directory".to_owned()
                } else if meta.is_file() {
                    let digest = Sha256::digest(std::fs::read(&path).unwrap_or_default());
                    digest.iter().map(|b| format!("{b:02x}")).collect()
                } else {
                    format!("{:?}", std::fs::read_link(&path))
                };
                all.insert(path, format!("{}:{} {:o} {what}", meta.uid(), meta.gid(), meta.mode()));
            }
        }
        Self(all)
    }

    /// How `after` differs, a line for each path.
    #[must_use]
    pub fn changes(&self, after: &Self) -> Vec<String> {
        let paths: std::collections::BTreeSet<_> = self.0.keys().chain(after.0.keys()).collect();
        let one = |path: &&PathBuf| {
            let (was, is) = (self.0.get(*path), after.0.get(*path));
            (was != is).then(|| format!("{}: {was:?} became {is:?}", path.display()))
        };
        paths.iter().filter_map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_wherever_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("a")).expect("made");
        std::fs::write(dir.path().join("a/b"), "1").expect("written");
        let before = Manifest::of(dir.path(), &[]);
        assert!(before.changes(&Manifest::of(dir.path(), &[])).is_empty());
        std::fs::write(dir.path().join("a/b"), "2").expect("written");
        std::os::unix::fs::symlink("b", dir.path().join("a/c")).expect("linked");
        let after = Manifest::of(dir.path(), &[]);
        assert_eq!(before.changes(&after).len(), 2, "{:?}", before.changes(&after));
        assert!(before.changes(&Manifest::of(dir.path(), &[&dir.path().join("a")])).len() == 2);
    }
}
