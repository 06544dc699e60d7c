//! What of a job's log an agent gets to read: the lines around the first error and the last ones, of the failing step, if
//! that is known. A log may be hundreds of megabytes long; this takes it in pieces and keeps what it will show and no more.

use std::collections::VecDeque;

use dispatch_shared::Timestamp;

use crate::core::redact::{MASK, redact};

/// Bytes of an excerpt, at most, without its heading.
pub const MOST: usize = 8_000;
/// Of these: what came before the first error, what came from it on, and the end.
const BEFORE: usize = 1_500;
const AROUND: usize = 3_000;
const TAIL: usize = 3_400;
/// Bytes of a line; the rest of it is left out.
const LINE: usize = 600;
/// The forge's times of steps are in whole seconds.
const SECOND: i64 = 1_000;

/// The step that failed, as the forge tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What it is called.
    pub name: String,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// Takes a log in pieces and makes the excerpt. See the module.
#[derive(Debug)]
pub struct Excerpt<'a> {
    secrets: Vec<&'a str>,
    step: Option<Step>,
    line: Vec<u8>,
    /// Inside a private key, whose lines look like nothing.
    key: bool,
    of_step: Part,
    whole: Part,
    cut_off: bool,
}

impl<'a> Excerpt<'a> {
    /// Begins one. `secrets` are masked wherever they stand.
    #[must_use]
    pub fn new(step: Option<Step>, secrets: Vec<&'a str>) -> Self {
        Self {
            secrets,
            step,
            line: Vec::new(),
            key: false,
            of_step: Part::default(),
            whole: Part::default(),
            cut_off: false,
        }
    }

    /// Takes the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            // A secret that begins before the limit and ends behind it is still seen whole.
            let room = (LINE * 16).saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// Says that the log goes on beyond what was taken.
    pub fn cut_off(&mut self) {
        self.cut_off = true;
    }

    /// The excerpt; empty if the log holds nothing.
    #[must_use]
    pub fn finish(mut self) -> String {
        if !self.line.is_empty() {
            self.end_line();
        }
        // Times that fit nothing are no reason to show nothing.
        let part = if self.of_step.lines > 0 { self.of_step } else { self.whole };
        if part.lines == 0 {
            return String::new();
        }
        let heading = self.step.map_or_else(String::new, |s| format!("Failing step: {}\n", s.name));
        let cut = if self.cut_off { "\n… the log goes on and was not read further …" } else { "" };
        format!("{heading}{}{cut}", part.render())
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let (at, text) = stamped(text.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']));
        let text = plain(text);
        let begins = text.contains("-----BEGIN") && text.contains("PRIVATE KEY-----");
        let shown = if begins || self.key {
            self.key = !text.contains("-----END");
            MASK.to_owned()
        } else {
            redact(&text, &self.secrets)
        };
        let shown = bounded(&shown);
        let inside = self.step.as_ref().is_some_and(|s| holds(s, at));
        if inside {
            self.of_step.take(&shown);
        }
        self.whole.take(&shown);
    }
}

/// The excerpt of a whole log.
#[must_use]
pub fn of(log: &str, step: Option<Step>, secrets: &[&str]) -> String {
    let mut excerpt = Excerpt::new(step, secrets.to_vec());
    excerpt.take(log.as_bytes());
    excerpt.finish()
}

fn holds(step: &Step, at: Option<Timestamp>) -> bool {
    let (Some(start), Some(at)) = (step.started_at, at) else { return false };
    at >= start && step.completed_at.is_none_or(|end| at.0 < end.0 + SECOND)
}

/// The time that stands before each line of GitHub's logs, and the line.
fn stamped(line: &str) -> (Option<Timestamp>, &str) {
    let is_stamp = |word: &str| word.len() >= 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
    match line.split_once(' ') {
        Some((word, rest)) if word.is_ascii() && is_stamp(word) => (Timestamp::parse(word).ok(), rest),
        None if line.is_ascii() && is_stamp(line) => (Timestamp::parse(line).ok(), ""),
        _ => (None, line),
    }
}

/// Without colours, cursor moves and control characters; of a line that was overwritten, what stood there last.
fn plain(line: &str) -> String {
    let line = line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default();
    let mut kept = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            if c == '\t' || !c.is_control() {
                kept.push(c);
            }
            continue;
        }
        match chars.next() {
            // CSI: parameters, then one letter.
            Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
            // OSC and the like: up to BEL or ST.
            Some(']' | 'P' | '_' | '^') => {
                while let Some(c) = chars.next() {
                    if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                        break;
                    }
                }
            }
            Some('(' | ')') => drop(chars.next()),
            _ => {}
        }
    }
    kept.truncate(kept.trim_end().len());
    kept
}

fn bounded(line: &str) -> String {
    if line.len() <= LINE {
        return line.to_owned();
    }
    let end = (0..=LINE).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &line[..end])
}

/// Whether a line tells what went wrong. The exit code that GitHub adds at the end tells nothing.
fn is_error(line: &str) -> bool {
    let text = line.trim_start();
    if text.starts_with("##[error]") {
        return !text.contains("Process completed with exit code");
    }
    let folded = text.to_ascii_lowercase();
    let starts = [
        "error:", "error[", "error ", "fatal:", "panic:", "fail ", "failed ", "--- fail", "not ok ", "e   ",
        "npm err!",
    ];
    let holds = [
        ": error",
        " error:",
        "error ts",
        "panicked at",
        "traceback (most recent call last)",
        "assertionerror",
        "... failed",
        "segmentation fault",
        "undefined reference",
        "command not found",
        "exception:",
        "build failed",
    ];
    starts.iter().any(|w| folded.starts_with(w)) || holds.iter().any(|w| folded.contains(w))
}

/// The lines kept of one part of a log.
#[derive(Debug, Default)]
struct Part {
    lines: usize,
    before: Ring,
    around: Vec<String>,
    around_bytes: usize,
    found: bool,
    full: bool,
    tail: Ring,
}

impl Part {
    fn take(&mut self, line: &str) {
        self.lines += 1;
        self.found = self.found || is_error(line);
        if !self.found {
            self.before.push(line, MOST);
        } else if !self.full && self.around_bytes + line.len() < AROUND {
            self.around_bytes += line.len() + 1;
            self.around.push(line.to_owned());
        } else {
            self.full = true;
            self.tail.push(line, TAIL);
        }
    }

    fn render(mut self) -> String {
        if self.found {
            self.before.shrink(BEFORE);
        }
        let gap = |lines: usize| match lines {
            0 => None,
            1 => Some("… 1 line left out …".to_owned()),
            n => Some(format!("… {n} lines left out …")),
        };
        let mut shown: Vec<String> = gap(self.before.dropped).into_iter().collect();
        shown.extend(self.before.lines);
        shown.extend(self.around);
        shown.extend(gap(self.tail.dropped));
        shown.extend(self.tail.lines);
        shown.join("\n")
    }
}

/// The newest lines, as many as fit.
#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: usize,
}

impl Ring {
    fn push(&mut self, line: &str, most: usize) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line.to_owned());
        self.shrink(most);
    }

    fn shrink(&mut self, most: usize) {
        while self.bytes > most {
            let Some(line) = self.lines.pop_front() else { return };
            self.bytes -= line.len() + 1;
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(from: &str, to: &str) -> Option<Step> {
        let time = |t: &str| Timestamp::parse(&format!("2026-11-20T10:{t}Z")).ok();
        Some(Step { name: "cargo test".into(), started_at: time(from), completed_at: time(to) })
    }

    fn stamp(lines: &[(&str, &str)]) -> String {
        lines.iter().map(|(t, l)| format!("2026-11-20T10:{t}.1234567Z {l}\n")).collect()
    }

    #[test]
    fn lines_are_shown_bare() {
        for (line, shown) in [
            ("2026-11-20T10:00:01.1234567Z hello", "hello"),
            ("\u{feff}2026-11-20T10:00:01.1234567Z hello\r", "hello"),
            (
                "\u{1b}[31;1mred\u{1b}[0m and \u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\ \u{1b}(Bplain",
                "red and link plain",
            ),
            (" 10 %\r 50 %\r100 %", "100 %"),
            ("a\u{0}b\u{8}c\td", "abc\td"),
            ("Ünïcode ✗", "Ünïcode ✗"),
            ("token ghp_0123456789abcdefghijABCDEFGHIJ012345", "token ***"),
            ("the hook is hunter2hunter2", "the hook is ***"),
            ("", ""),
        ] {
            assert_eq!(of(line, None, &["hunter2hunter2"]), shown, "{line:?}");
        }
    }

    #[test]
    fn keys_are_left_out_whole() {
        let log = "a\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\nZXktdjE=\n-----END OPENSSH PRIVATE KEY-----\nb";
        assert_eq!(of(log, None, &[]), "a\n***\n***\n***\n***\nb");
    }

    #[test]
    fn the_failing_step_alone_is_shown() {
        let log = stamp(&[
            ("00:01", "error: of an earlier step that was fine"),
            ("00:05", "running 2 tests"),
            ("00:06", "test a ... FAILED"),
            ("00:07", "##[error]Process completed with exit code 101."),
            ("00:09", "Post job cleanup."),
        ]);
        let shown = of(&log, step("00:05", "00:07"), &[]);
        assert_eq!(
            shown,
            "Failing step: cargo test\nrunning 2 tests\ntest a ... FAILED\n##[error]Process completed with exit code 101."
        );
        let elsewhere = of(&log, step("30:00", "31:00"), &[]);
        assert!(elsewhere.contains("earlier step"), "times that fit nothing: {elsewhere}");
    }

    #[test]
    fn the_first_error_and_the_end_are_kept() {
        let filler = |n: usize, what: &str| (0..n).map(|i| format!("{what} line {i}\n")).collect::<String>();
        let log = format!(
            "{}error[E0382]: use of moved value\n{}last words",
            filler(5_000, "building"),
            filler(5_000, "noise")
        );
        let shown = of(&log, None, &[]);
        assert!(shown.len() <= MOST + 200, "{}", shown.len());
        assert!(
            shown.contains("building line 4999\nerror[E0382]: use of moved value\nnoise line 0\n"),
            "{shown}"
        );
        assert!(shown.ends_with("noise line 4999\nlast words"), "{shown}");
        assert_eq!(shown.matches("lines left out").count(), 2, "{shown}");
        let calm = of(&filler(5_000, "calm"), None, &[]);
        assert!(
            calm.len() <= MOST + 200 && calm.ends_with("calm line 4999"),
            "without an error the end alone"
        );
    }

    #[test]
    fn one_endless_line_fits() {
        let log = "x".repeat(10_000_000);
        assert!(of(&log, None, &[]).len() < LINE + 10);
        assert_eq!(of("", None, &[]), "");
        assert_eq!(of("\u{1f980}".repeat(LINE).as_str(), None, &[]).chars().last(), Some('…'));
    }

    #[test]
    fn pieces_make_the_same_as_the_whole() {
        let log = stamp(&[("00:05", "ünï"), ("00:06", "error: no"), ("00:07", "end")]);
        let whole = of(&log, step("00:05", "00:07"), &[]);
        for size in 1..9 {
            let mut excerpt = Excerpt::new(step("00:05", "00:07"), Vec::new());
            log.as_bytes().chunks(size).for_each(|c| excerpt.take(c));
            assert_eq!(excerpt.finish(), whole, "{size}");
        }
    }

    #[test]
    fn errors_are_told_from_talk() {
        for (line, error) in [
            ("error: could not compile `a`", true),
            ("src/a.c:3:5: error: expected ';'", true),
            ("src/a.ts(3,5): error TS2304: Cannot find name", true),
            ("thread 'main' panicked at src/main.rs:4", true),
            ("##[error]Unable to resolve action", true),
            ("##[error]Process completed with exit code 1.", false),
            ("FAIL src/a.test.js", true),
            ("--- FAIL: TestA (0.00s)", true),
            ("0 errors, 3 warnings", false),
            ("test error_is_told ... ok", false),
        ] {
            assert_eq!(is_error(line), error, "{line}");
        }
    }
}
