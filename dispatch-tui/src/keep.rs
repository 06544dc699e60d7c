//! What a board remembers for the next one: filters under a name, and how it was shown. One small file beside the daemon's
//! state; two boards at once change only what each of them meant to.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use dispatch_shared::endpoint::state_dir;
use serde::{Deserialize, Serialize};

use crate::effect::Keep;
use crate::model::options::Options;

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    pub(crate) filters: BTreeMap<String, String>,
    pub(crate) options: Options,
}

/// Where it is.
pub(crate) fn path(get: impl Fn(&str) -> Option<String>) -> PathBuf {
    state_dir(get).join("board.json")
}

/// What is kept; nothing if there is no file.
///
/// # Errors
/// A sentence if the file is there and cannot be read.
pub(crate) fn load(path: &Path) -> Result<Kept, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            serde_json::from_str(&text).map_err(|e| format!("{} makes no sense: {e}", path.display()))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(e) => Err(format!("{} cannot be read: {e}", path.display())),
    }
}

/// Makes one change in the file: read anew, changed, and put in the old one's place whole.
///
/// # Errors
/// A sentence; the file is as it was then. One that makes no sense is never written over.
pub(crate) fn change(path: &Path, keep: Keep) -> Result<(), String> {
    let mut kept = load(path)?;
    match keep {
        Keep::Filter { name, filter: Some(filter) } => drop(kept.filters.insert(name, filter)),
        Keep::Filter { name, filter: None } => drop(kept.filters.remove(&name)),
        Keep::Options(options) => kept.options = options,
    }
    let failed = |e: std::io::Error| format!("{} cannot be written: {e}", path.display());
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    let text = serde_json::to_vec_pretty(&kept).map_err(|e| failed(e.into()))?;
    file.write_all(&text).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map(drop).map_err(|e| failed(e.error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::options::Group;

    fn filter(name: &str, filter: Option<&str>) -> Keep {
        Keep::Filter { name: name.into(), filter: filter.map(Into::into) }
    }

    #[test]
    fn what_is_kept_is_there_again_and_each_change_changes_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/board.json");
        assert_eq!(load(&path), Ok(Kept::default()));
        change(&path, filter("mine", Some("agent:kai"))).unwrap();
        let options = Options { group: Group::Lane, compact: true, look: None };
        change(&path, Keep::Options(options.clone())).unwrap();
        change(&path, filter("bugs", Some("label:bug"))).unwrap();
        change(&path, filter("mine", None)).unwrap();
        let kept = load(&path).unwrap();
        assert_eq!((kept.filters.len(), kept.filters["bugs"].as_str()), (1, "label:bug"));
        assert_eq!(kept.options, options);
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing half written is left behind");
    }

    #[test]
    fn a_file_that_makes_no_sense_is_named_and_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("board.json");
        std::fs::write(&path, "{").unwrap();
        assert!(change(&path, filter("a", Some("b"))).unwrap_err().contains("makes no sense"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{");
    }
}
