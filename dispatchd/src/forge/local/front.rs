//! Markdown files with YAML front matter: reading them, and changing single keys without touching anything else.
//!
//! People and their editors own these files. So a change replaces the lines of one top-level key and keeps every other
//! byte: unknown keys, comments, order, line endings, the body. After a change the text is read again and compared with
//! what was meant; a front matter laid out in a way that this editing does not understand is refused, never mangled.

use serde::Deserialize;

/// The front matter's known keys, as written. Unknown keys are ignored here and kept in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Front {
    pub(super) number: Option<u64>,
    pub(super) title: Option<String>,
    pub(super) state: Option<String>,
    pub(super) labels: Option<Vec<String>>,
    pub(super) assignees: Option<Vec<String>>,
    pub(super) author: Option<String>,
    pub(super) created: Option<String>,
    pub(super) updated: Option<String>,
    pub(super) closed: Option<String>,
    pub(super) head: Option<String>,
    pub(super) base: Option<String>,
    pub(super) head_sha: Option<String>,
    pub(super) fixes: Option<Vec<u64>>,
    pub(super) url: Option<String>,
    pub(super) draft: Option<bool>,
    pub(super) merged: Option<String>,
}

/// What is wrong with a front matter; the line counts from 1 in the whole file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{cause}", self.line.map(|l| format!("line {l}: ")).unwrap_or_default(),
    self.key.as_ref().map(|k| format!("`{k}`: ")).unwrap_or_default())]
pub(super) struct FrontError {
    pub(super) line: Option<usize>,
    pub(super) key: Option<String>,
    pub(super) cause: String,
}

/// A file's text, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doc {
    /// Everything up to and with the first `---` line.
    head: String,
    /// The YAML lines.
    yaml: String,
    /// The closing `---` line and all that follows.
    tail: String,
    /// The known keys.
    pub(super) front: Front,
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}

impl Doc {
    /// Takes `text` apart and reads its front matter.
    pub(super) fn parse(text: &str) -> Result<Doc, FrontError> {
        let fault = |line, cause: &str| FrontError { line: Some(line), key: None, cause: cause.to_owned() };
        let mut lines = text.split_inclusive('\n');
        let first = lines.next().unwrap_or_default();
        if !is_fence(first.trim_start_matches('\u{feff}')) {
            return Err(fault(1, "the file must begin with a line `---` and YAML front matter after it"));
        }
        let mut end = first.len();
        let mut closed = false;
        for line in lines {
            if is_fence(line) {
                closed = true;
                break;
            }
            end += line.len();
        }
        if !closed {
            return Err(fault(text.lines().count(), "the front matter has no closing line `---`"));
        }
        let yaml = text[first.len()..end].to_owned();
        let front = read(&yaml)?;
        Ok(Doc { head: first.to_owned(), tail: text[end..].to_owned(), yaml, front })
    }

    /// A new document with `keys` in order and `body` below.
    pub(super) fn new(keys: &[(&str, String)], body: &str) -> Result<Doc, FrontError> {
        let yaml: String = keys.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        let gap = if body.is_empty() { "" } else { "\n" };
        let newline = if body.is_empty() || body.ends_with('\n') { "" } else { "\n" };
        Doc::parse(&format!("---\n{yaml}---\n{gap}{body}{newline}"))
    }

    /// The Markdown below the front matter, without the empty line that sets it off.
    pub(super) fn body(&self) -> &str {
        let after = self.tail.split_once('\n').map_or("", |(_, rest)| rest);
        after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n')).unwrap_or(after)
    }

    /// The whole file.
    pub(super) fn text(&self) -> String {
        format!("{}{}{}", self.head, self.yaml, self.tail)
    }

    /// The same front matter above another text.
    pub(super) fn with_body(&self, body: &str) -> Result<Doc, FrontError> {
        let fence = self.tail.split_inclusive('\n').next().unwrap_or("---\n").trim_end();
        let newline = if body.is_empty() || body.ends_with('\n') { "" } else { "\n" };
        let gap = if body.is_empty() { "" } else { "\n" };
        Doc::parse(&format!("{}{}{fence}\n{gap}{body}{newline}", self.head, self.yaml))
    }

    /// Where `key` stands, in lines of the whole file.
    pub(super) fn line_of(&self, key: &str) -> Option<usize> {
        self.yaml.lines().position(|l| key_of(l) == Some(key)).map(|i| i + 2)
    }

    /// An error about `key`.
    pub(super) fn fault(&self, key: &str, cause: impl Into<String>) -> FrontError {
        FrontError { line: self.line_of(key), key: Some(key.to_owned()), cause: cause.into() }
    }

    /// Sets keys to YAML values (`None` takes the key out); `meant` is applied to the known keys to say what the result
    /// must read as.
    pub(super) fn set(
        &self,
        keys: &[(&str, Option<String>)],
        meant: impl FnOnce(&mut Front),
    ) -> Result<Doc, FrontError> {
        let mut yaml = self.yaml.clone();
        for (key, value) in keys {
            yaml = replace_key(&yaml, key, value.as_deref());
        }
        let mut wanted = self.front.clone();
        meant(&mut wanted);
        let named = || keys.first().map_or("", |(key, _)| *key);
        match read(&yaml) {
            Ok(front) if front == wanted => Ok(Doc { yaml, front, ..self.clone() }),
            _ => Err(self.fault(
                named(),
                "cannot be changed in this layout; write the front matter as plain `key: value` lines",
            )),
        }
    }
}

fn read(yaml: &str) -> Result<Front, FrontError> {
    if yaml.trim().is_empty() {
        return Ok(Front::default());
    }
    serde_saphyr::from_str(yaml).map_err(|e| {
        let row = e.location().and_then(|l| usize::try_from(l.line()).ok()).filter(|l| *l > 0);
        let key = row.and_then(|row| yaml.lines().take(row).filter_map(key_of).last().map(str::to_owned));
        let cause = e.without_snippet().to_string();
        // The location is said once, in lines of the file rather than of the YAML within it.
        let cause = cause.split(" at line ").next().unwrap_or(&cause).trim_end_matches([',', ':']).to_owned();
        FrontError {
            line: row.map(|r| r + 1),
            key,
            cause: format!("{cause} (quote text that holds `:` or `#`)"),
        }
    })
}

/// The top-level key that a line begins.
fn key_of(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let plain = key.trim_end().trim_matches(['"', '\'']);
    let fine = !plain.is_empty() && plain.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    (fine
        && !line.starts_with([' ', '\t', '-', '#'])
        && (rest.is_empty() || rest.starts_with(char::is_whitespace)))
    .then_some(plain)
}

/// Replaces the lines of the top-level `key`, appends them if it is not there, or takes them out.
fn replace_key(yaml: &str, key: &str, value: Option<&str>) -> String {
    let newline = if yaml.contains("\r\n") { "\r\n" } else { "\n" };
    let lines: Vec<&str> = yaml.split_inclusive('\n').collect();
    let mut out = String::with_capacity(yaml.len() + 64);
    let fresh = value.map(|v| format!("{key}: {v}{newline}"));
    let Some(start) = lines.iter().position(|l| key_of(l.trim_end()) == Some(key)) else {
        out.push_str(yaml);
        if !out.is_empty() && !out.ends_with('\n') {
            out.push_str(newline);
        }
        out.push_str(&fresh.unwrap_or_default());
        return out;
    };
    // Its value goes on over indented lines and over list items at the margin; blank lines and comments belong to
    // it only if more of the value follows.
    let goes_on = |l: &str| {
        l.starts_with([' ', '\t']) && !l.trim().is_empty() || l.starts_with("- ") || l.trim() == "-"
    };
    let mut end = start + 1;
    for (i, line) in lines.iter().enumerate().skip(start + 1) {
        if goes_on(line) {
            end = i + 1;
        } else if !(line.trim().is_empty() || line.starts_with('#')) {
            break;
        }
    }
    out.extend(lines[..start].iter().copied());
    out.push_str(&fresh.unwrap_or_default());
    out.extend(lines[end..].iter().copied());
    out
}

/// `text` as a YAML scalar: plain where nobody could read it as anything else, else in double quotes.
pub(super) fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '.' | '/' | '-'))
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    // A JSON string is a YAML string in double quotes.
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// A YAML list on one line.
pub(super) fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", items.into_iter().map(scalar).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = "---\n# mine\ntitle: \"Fix: it\"\nlabels:\n- status/ready\n- priority/p1\n\n# kept\nweight: {a: 1}\nstate: open\n---\n\nBody  \nlabels: not a key here\n";

    fn with_labels(doc: &Doc, labels: &[&str]) -> Doc {
        doc.set(&[("labels", Some(list(labels.iter().copied())))], |f| {
            f.labels = Some(labels.iter().map(|l| (*l).to_owned()).collect());
        })
        .unwrap()
    }

    #[test]
    fn one_key_changes_and_every_other_byte_stays() {
        let doc = Doc::parse(ODD).unwrap();
        assert_eq!(doc.text(), ODD);
        let changed = with_labels(&doc, &["status/in-progress", "a, b: c"]);
        let expected = ODD.replace(
            "labels:\n- status/ready\n- priority/p1\n",
            "labels: [status/in-progress, \"a, b: c\"]\n",
        );
        assert_eq!(changed.text(), expected);
        assert_eq!(changed.body(), "Body  \nlabels: not a key here\n");
    }

    #[test]
    fn line_endings_and_a_missing_key_are_handled() {
        let doc = Doc::parse("---\r\ntitle: x\r\n---\r\nbody\r\n").unwrap();
        assert_eq!(with_labels(&doc, &["one"]).text(), "---\r\ntitle: x\r\nlabels: [one]\r\n---\r\nbody\r\n");
        assert_eq!(doc.body(), "body\r\n");
    }

    #[test]
    fn a_layout_that_cannot_be_edited_is_refused() {
        let doc = Doc::parse("---\n{title: x, labels: [a]}\n---\n").unwrap();
        let error =
            doc.set(&[("labels", Some(list(["b"])))], |f| f.labels = Some(vec!["b".into()])).unwrap_err();
        assert_eq!(error.key.as_deref(), Some("labels"));
    }

    #[test]
    fn errors_name_line_and_key() {
        let error = Doc::parse("---\ntitle: x\nlabels: {a: b}\n---\n").unwrap_err();
        assert_eq!((error.line, error.key.as_deref()), (Some(3), Some("labels")), "{error}");
        let error = Doc::parse("---\nnumber: 1\ntitle: Fix: this\n---\n").unwrap_err();
        assert_eq!((error.line, error.key.as_deref()), (Some(3), Some("title")), "{error}");
        assert_eq!(Doc::parse("# Heading\n").unwrap_err().line, Some(1));
        assert!(Doc::parse("---\ntitle: x\n").unwrap_err().to_string().contains("closing"));
    }

    #[test]
    fn scalars_survive_reading() {
        for text in [
            "plain words",
            "true",
            "1234",
            "1e9",
            "a: b",
            "# x",
            "é",
            "say \"hi\"\n",
            "",
            " lead",
            "a,b",
            "-",
        ] {
            let yaml = format!("title: {}\nlabels: {}\n", scalar(text), list([text, "x"]));
            let front = read(&yaml).unwrap();
            assert_eq!(front.title.as_deref(), Some(text), "{yaml}");
            assert_eq!(front.labels.unwrap(), [text, "x"], "{yaml}");
        }
    }
}
