//! Templates of prompts and plans, and personas: those that come with Dispatch, and the operator's own in a directory,
//! which go first. Which there are is looked up whenever one is asked for, so that a file may be added at any time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dispatch_shared::prompt::{PERSONAS, PLANS, TEMPLATES};

/// The longest file that is read.
const LONGEST: u64 = 256 << 10;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Prompt,
    Plan,
    Persona,
}

impl Kind {
    fn built_in(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Kind::Prompt => TEMPLATES,
            Kind::Plan => PLANS,
            Kind::Persona => PERSONAS,
        }
    }

    /// The word in requests and sentences.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Prompt => "template",
            Kind::Plan => "plan_template",
            Kind::Persona => "persona",
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Templates {
    dir: Option<PathBuf>,
}

impl Templates {
    /// Those that come with Dispatch, and those in `dir`: `NAME.md`, `plans/NAME.md`, `personas/NAME.md`.
    pub(super) fn new(dir: Option<PathBuf>) -> Self {
        Self { dir }
    }

    fn folder(&self, kind: Kind) -> Option<PathBuf> {
        let dir = self.dir.as_ref()?;
        Some(match kind {
            Kind::Prompt => dir.clone(),
            Kind::Plan => dir.join("plans"),
            Kind::Persona => dir.join("personas"),
        })
    }

    /// The names that there are.
    pub(super) fn names(&self, kind: Kind) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = kind.built_in().iter().map(|(n, _)| (*n).to_owned()).collect();
        let entries = self.folder(kind).and_then(|dir| std::fs::read_dir(dir).ok());
        for entry in entries.into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.file_stem().and_then(|s| s.to_str()).filter(|n| is_name(n));
            if path.extension().is_some_and(|e| e == "md") {
                names.extend(name.map(ToOwned::to_owned));
            }
        }
        names
    }

    /// The text of one.
    ///
    /// # Errors
    /// A sentence that lists what there is, or says why the file cannot be read.
    pub(super) fn get(&self, kind: Kind, name: &str) -> Result<String, String> {
        if is_name(name) {
            if let Some(path) = self.folder(kind).map(|dir| dir.join(format!("{name}.md")))
                && path.is_file()
            {
                return read(&path);
            }
            if let Some((_, text)) = kind.built_in().iter().find(|(n, _)| *n == name) {
                return Ok((*text).to_owned());
            }
        }
        let known: Vec<String> = self.names(kind).into_iter().collect();
        let shown: String = name.chars().take(60).collect();
        Err(format!("there is no {} `{shown}`; there are {}", kind.word(), known.join(", ")))
    }
}

fn is_name(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !name.is_empty() && name.len() <= 60 && name.chars().all(fine)
}

fn read(path: &Path) -> Result<String, String> {
    let said = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let size = std::fs::metadata(path).map_err(|e| said(&e))?.len();
    if size > LONGEST {
        return Err(said(&format!("it has {size} bytes, {LONGEST} are allowed")));
    }
    std::fs::read_to_string(path).map_err(|e| said(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_go_first_and_no_name_leaves_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("coding.md"), "mine").unwrap();
        std::fs::create_dir(dir.path().join("personas")).unwrap();
        std::fs::write(dir.path().join("personas/poet.md"), "rhyme").unwrap();
        let templates = Templates::new(Some(dir.path().to_path_buf()));
        assert_eq!(templates.get(Kind::Prompt, "coding").unwrap(), "mine");
        assert_eq!(templates.get(Kind::Persona, "poet").unwrap(), "rhyme");
        assert!(templates.get(Kind::Prompt, "reading").unwrap().contains("change nothing"));
        let said = templates.get(Kind::Persona, "nobody").unwrap_err();
        assert!(said.contains("engineer") && said.contains("poet"), "{said}");
        for bad in ["../coding", "", "a/b", ".", "personas/poet"] {
            assert!(templates.get(Kind::Prompt, bad).is_err(), "{bad}");
        }
    }
}
