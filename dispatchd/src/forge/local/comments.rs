//! What people said under an issue: files under `.dispatch/comments/<n>/`, numbered as Dispatch numbers its own.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use dispatch_shared::Timestamp;

use super::dir::Dir;
use super::front::Doc;
use crate::edges::{Comment, Comments, ForgeError};

/// More of a file is not read: no comment is that long.
const MAX_BYTES: u64 = 256 << 10;

/// The newest comments on `number`, by the numbers in the names of their files.
pub(super) fn read(dir: &Dir, number: u64) -> Result<Comments, ForgeError> {
    let folder = dir.comments(number);
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |e: io::Error| ForgeError::Unreachable(format!("{path} could not be read: {e}"))
    };
    let mut files = listed(&folder).map_err(failed(&folder))?;
    let mut found = Comments::default();
    while let Some((_, path)) = files.pop() {
        found.prepend(one(&path).map_err(failed(&path))?);
        if found.list.len() >= Comments::WANTED {
            found.older = !files.is_empty();
            break;
        }
    }
    Ok(found)
}

/// The files in their order. What is no file, a symbolic link for one, could lead anywhere on the machine.
fn listed(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    match fs::symlink_metadata(folder) {
        Ok(meta) if meta.is_dir() => {}
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => return Ok(Vec::new()),
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".md").filter(|n| !n.starts_with('.')) else { continue };
        if entry.file_type()?.is_file() {
            let digits: String = stem.chars().take_while(char::is_ascii_digit).collect();
            files.push((digits.parse().unwrap_or(0), entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

/// The comment in a file; none if it went in the meantime. Without front matter, all of it is the text.
fn one(path: &Path) -> io::Result<Option<Comment>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?.take(MAX_BYTES).read_to_end(&mut bytes)?,
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let Ok(doc) = Doc::parse(&text) else {
        return Ok(Some(Comment { author: String::new(), association: String::new(), at: None, text }));
    };
    Ok(Some(Comment {
        author: doc.front.author.clone().unwrap_or_default(),
        association: String::new(),
        at: doc.front.created.as_deref().and_then(|t| Timestamp::parse(t).ok()),
        text: doc.body().to_owned(),
    }))
}
