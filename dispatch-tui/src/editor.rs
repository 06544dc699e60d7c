//! The operator's own editor for a text: `$VISUAL`, else `$EDITOR`, else `vi`, on a file that only the operator can read.

use std::io::{Read, Seek, SeekFrom, Write};
use std::process::Command;

/// The most that is read back.
const MOST: u64 = 1 << 20;

/// Lets the operator edit `text` and returns what was left. Waits for the editor, which needs the terminal to itself.
///
/// # Errors
/// A sentence: no editor, one that failed, or a text that is none.
pub(crate) fn edit(text: &str, get: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let set = |name| get(name).filter(|value| !value.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let file = tempfile::Builder::new().prefix("dispatch-").suffix(".md").tempfile();
    let mut file = file.map_err(|e| format!("no file for the text: {e}"))?;
    file.write_all(text.as_bytes()).map_err(|e| format!("the text could not be written: {e}"))?;
    file.flush().map_err(|e| format!("the text could not be written: {e}"))?;
    // An editor is often a command with arguments (`code --wait`): the shell knows how those are written.
    let status = Command::new("sh")
        .args(["-c", &format!("exec {editor} \"$1\""), "sh"])
        .arg(file.path())
        .status()
        .map_err(|e| format!("`{editor}` could not be started: {e}"))?;
    if !status.success() {
        return Err(format!("`{editor}` ended with {status}; the text is as it was"));
    }
    // Many editors put a new file in the old one's place: read what is there by name now.
    let mut now = std::fs::File::open(file.path()).map_err(|e| format!("the text is gone: {e}"))?;
    let mut left = String::new();
    now.seek(SeekFrom::Start(0))
        .and_then(|_| now.take(MOST).read_to_string(&mut left))
        .map_err(|e| format!("the text cannot be read back: {e}"))?;
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(editor: &'static str) -> impl Fn(&str) -> Option<String> {
        move |name| (name == "EDITOR").then(|| editor.to_owned())
    }

    #[test]
    fn what_the_editor_leaves_is_the_text() {
        assert_eq!(edit("one\n", with("sed -i s/one/two/")), Ok("two\n".to_owned()));
        assert_eq!(edit("as it was", with("true")), Ok("as it was".to_owned()));
    }

    #[test]
    fn an_editor_that_fails_is_named() {
        let why = edit("text", with("false")).unwrap_err();
        assert!(why.contains("`false`") && why.contains("as it was"), "{why}");
        assert!(edit("text", with("no-such-editor-here")).is_err());
    }
}
