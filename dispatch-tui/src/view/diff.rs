//! Where in a diff one is.

use crate::model::diff::file_name;
use crate::model::log::LogPane;
use crate::model::logline::Level;

/// `src/x.rs, file 2 of 5, hunk 3 of 9, +40 -12`.
pub(super) fn place(pane: &LogPane) -> String {
    let (mut file, mut at, mut files) = ("", 0, 0);
    let (mut hunk, mut hunks, mut added, mut removed) = (0, 0, 0_usize, 0_usize);
    for (id, line) in pane.held_lines() {
        // The place that was gone to may stand a few rows below the top.
        let before = id <= pane.mark.unwrap_or(pane.top).max(pane.top);
        match line.level {
            Level::File => {
                files += 1;
                if before {
                    (at, file) = (files, file_name(&line.text));
                }
            }
            Level::Tool => {
                hunks += 1;
                hunk += usize::from(before);
            }
            Level::Added => added += 1,
            Level::Removed => removed += 1,
            _ => {}
        }
    }
    if files == 0 {
        return String::new();
    }
    format!("{file}, file {at} of {files}, hunk {hunk} of {hunks}, +{added} -{removed}")
}
