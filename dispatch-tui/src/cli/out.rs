//! What goes to standard output: JSON as the daemon sent it, or text for a person in aligned columns.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use dispatch_shared::Timestamp;
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

/// A colour of the terminal's own sixteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Red,
    Green,
    Yellow,
    Magenta,
    Cyan,
    Dim,
    Plain,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Colour::Red => "31",
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Magenta => "35",
            Colour::Cyan => "36",
            Colour::Dim => "2",
            Colour::Plain => "0",
        }
    }

    /// The colour of a card's column, flag, run state or problem.
    pub(crate) fn of(word: &str) -> Colour {
        match word.trim_start_matches("status/") {
            "ready" | "queued" | "preparing" => Colour::Yellow,
            "in-progress" | "running" | "verifying" | "publishing" => Colour::Cyan,
            "in-review" => Colour::Magenta,
            "done" | "succeeded" | "ok" | "yes" => Colour::Green,
            "blocked" | "failed" | "needs-human" | "needs-info" | "verify-failed" | "auth" | "crashed"
            | "lost" | "timed-out" | "stalled" | "no" => Colour::Red,
            "backlog" => Colour::Dim,
            _ => Colour::Plain,
        }
    }
}

/// One cell of a table.
pub(crate) struct Cell {
    text: String,
    colour: Colour,
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: clean(&text.to_string()), colour: Colour::Plain }
    }
}

/// A cell whose word decides its colour.
pub(crate) fn word(text: impl ToString) -> Cell {
    let text = clean(&text.to_string());
    Cell { colour: Colour::of(&text), text }
}

/// A cell of less weight.
pub(crate) fn dim(text: impl ToString) -> Cell {
    Cell { text: clean(&text.to_string()), colour: Colour::Dim }
}

/// Where answers go.
pub(crate) struct Out {
    to: Box<dyn Write + Send>,
    /// Print JSON.
    pub(crate) json: bool,
    /// A person looks at it.
    pub(crate) tty: bool,
    colour: bool,
    now: Timestamp,
}

impl Out {
    /// Standard output; coloured only on a terminal and without NO_COLOR.
    pub(crate) fn stdout(json: bool) -> Out {
        let tty = io::stdout().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        Out { to: Box::new(io::stdout()), json, tty, colour: tty && !refused && !dumb, now: now() }
    }

    /// One JSON value.
    pub(crate) fn json(&mut self, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.to, value)?;
        self.line("")
    }

    /// One line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.to, "{}", text.as_ref())?;
        self.to.flush()
    }

    /// Text from elsewhere: on a terminal it may not command it.
    pub(crate) fn foreign(&mut self, text: &str) -> io::Result<()> {
        if self.tty { write!(self.to, "{}", clean_block(text)) } else { write!(self.to, "{text}") }
    }

    /// One line in a colour.
    pub(crate) fn tinted(&mut self, text: &str, colour: Colour) -> io::Result<()> {
        let line = self.paint(&clean(text), colour);
        self.line(line)
    }

    /// Text in a colour, if colours are on.
    pub(crate) fn paint(&self, text: &str, colour: Colour) -> String {
        if self.colour && colour != Colour::Plain && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", colour.code())
        } else {
            text.to_owned()
        }
    }

    /// Rows in aligned columns under `heads`; on a terminal only, so that scripts see rows alone. `nothing` is said if
    /// there are none.
    pub(crate) fn table(&mut self, heads: &[&str], rows: Vec<Vec<Cell>>, nothing: &str) -> io::Result<()> {
        if rows.is_empty() {
            return if self.tty { self.line(nothing) } else { Ok(()) };
        }
        let mut all = rows;
        if self.tty {
            all.insert(0, heads.iter().map(dim).collect());
        }
        let width = |column: usize| all.iter().filter_map(|r| r.get(column)).map(|c| c.text.width()).max();
        let widths: Vec<usize> = (0..heads.len()).map(|c| width(c).unwrap_or(0)).collect();
        for row in &all {
            let mut line = String::new();
            for (i, cell) in row.iter().enumerate() {
                line.push_str(&self.paint(&cell.text, cell.colour));
                if i + 1 < row.len() {
                    line.push_str(&" ".repeat(widths[i].saturating_sub(cell.text.width()) + 2));
                }
            }
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// How long ago, coarsely: `18m`.
    pub(crate) fn age(&self, at: Timestamp) -> String {
        span(self.now.since(at))
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A length of time, coarsely: `18m`.
pub(crate) fn span(span: Duration) -> String {
    match span.as_secs() {
        s if s < 60 => format!("{s}s"),
        s if s < 3_600 => format!("{}m", s / 60),
        s if s < 2 * 86_400 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

/// Now, to say how long ago things were.
#[expect(clippy::disallowed_methods, reason = "ages are shown, nothing is decided by them")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Text from elsewhere, on one line and without control characters: a title must not command the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.trim_end().chars().map(|c| if c.is_control() { visible(c) } else { c }).collect()
}

/// The same for many lines.
fn clean_block(text: &str) -> String {
    text.chars()
        .filter(|c| *c != '\r')
        .map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { visible(c) } else { c })
        .collect()
}

fn visible(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' => ' ',
        '\x1b' | '\u{9b}' => '␛',
        _ => '\u{fffd}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn out(tty: bool, colour: bool) -> (Out, impl Fn() -> String) {
        let to = Shared::default();
        let seen = to.clone();
        let out = Out { to: Box::new(to), json: false, tty, colour, now: Timestamp(7_200_000) };
        (out, move || String::from_utf8(seen.0.lock().unwrap().clone()).unwrap())
    }

    #[test]
    fn columns_are_aligned_by_what_the_eye_sees() {
        let (mut out, text) = out(true, false);
        let rows = vec![
            vec!["日本".into(), word("ready"), "x".into()],
            vec!["a".into(), word("in-progress"), "".into()],
        ];
        out.table(&["NAME", "STATE", "TITLE"], rows, "none").unwrap();
        assert_eq!(text(), "NAME  STATE        TITLE\n日本  ready        x\na     in-progress\n");
    }

    #[test]
    fn colours_and_heads_are_for_terminals_only() {
        let (mut plain, text) = out(false, false);
        plain.table(&["STATE"], vec![vec![word("failed")]], "none").unwrap();
        plain.table(&["STATE"], vec![], "none").unwrap();
        assert_eq!(text(), "failed\n");
        let (mut coloured, text) = out(true, true);
        coloured.table(&["STATE"], vec![vec![word("failed")]], "none").unwrap();
        assert_eq!(text(), "\x1b[2mSTATE\x1b[0m\n\x1b[31mfailed\x1b[0m\n");
    }

    #[test]
    fn foreign_text_does_not_command_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\nc"), "a␛[2Jb c");
        let (mut out, text) = out(true, true);
        out.foreign("x\x1b]0;t\x07\r\n\ty\n").unwrap();
        assert_eq!(text(), "x␛]0;t\u{fffd}\n\ty\n");
    }

    #[test]
    fn ages_are_coarse() {
        let (out, _) = out(false, false);
        assert_eq!(out.age(Timestamp(7_199_000)), "1s");
        assert_eq!(out.age(Timestamp(0)), "2h");
    }
}
