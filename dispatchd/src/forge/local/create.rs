//! Making issues, and rewriting the text of one.

use dispatch_shared::Timestamp;

use super::dir::{Dir, Kind};
use super::files::{self, scalar_time};
use super::front::{Doc, list, scalar};
use crate::core::contract::branch_name;
use crate::core::seen::SeenIssue;
use crate::edges::{ForgeError, NewIssue, StepHook};

/// Writes a new issue under the next free number, unless one holds its marker.
pub(super) fn issue(
    dir: &Dir,
    new: &NewIssue,
    now: Timestamp,
    hook: &dyn StepHook,
) -> Result<SeenIssue, ForgeError> {
    let _lock = dir.lock()?;
    let entries = dir.list()?;
    for entry in entries.iter().filter(|e| e.kind == Kind::Issue) {
        // A file that cannot be read was not written here.
        if let Ok(loaded) = files::load(entry)
            && loaded.doc.body().contains(&new.marker)
        {
            return loaded.issue();
        }
    }
    hook.before("forge.create_issue").map_err(|e| ForgeError::Unreachable(e.to_string()))?;
    let number = entries.iter().filter_map(files::rough_number).max().unwrap_or(0) + 1;
    let branch = branch_name(number, &new.title);
    let slug = branch.trim_start_matches("fix/issue-");
    let time = scalar_time(&now.to_string());
    let keys = [
        ("title", scalar(&new.title)),
        ("labels", list(new.labels.iter().map(String::as_str))),
        ("author", "dispatch".to_owned()),
        ("created", time.clone()),
        ("updated", time),
    ];
    let doc = Doc::new(&keys, &new.body)
        .map_err(|e| ForgeError::Refused(format!("the issue cannot be written down: {e}")))?;
    dir.replace(&dir.file(Kind::Issue, &format!("{slug}.md")), &doc.text(), None)?;
    files::find(dir, Kind::Issue, number)?.issue()
}

/// Replaces the text below the front matter, which stays as it is but for `updated`.
pub(super) fn set_body(dir: &Dir, number: u64, body: &str, now: Timestamp) -> Result<(), ForgeError> {
    files::edit(dir, Kind::Issue, number, |doc| {
        if doc.body().trim_end() == body.trim_end() {
            return Ok(None);
        }
        let time = now.to_string();
        let dated = doc.set(&[("updated", Some(scalar_time(&time)))], |front| {
            front.updated = Some(time.clone());
        })?;
        dated.with_body(body).map(Some)
    })
    .map(drop)
}
