//! A unified diff, read for a person: files, hunks, and within a changed line the words that changed.

use std::ops::Range;

use super::logline::{Level, LogLine};
use super::text;

/// A diff is shown up to so many bytes.
const MOST: usize = 8 << 20;
/// Lines with more words than this are not compared word by word.
const WORDS: usize = 200;

/// The lines, and whether there are more than are shown.
pub(crate) fn lines(diff: &str) -> (Vec<LogLine>, bool) {
    let cut = diff.len() > MOST;
    let shown = if cut { &diff[..diff.floor_char_boundary(MOST)] } else { diff };
    let (mut out, mut at) = (Vec::new(), 0);
    let mut left = [0_u64, 0];
    for raw in shown.split_inclusive('\n') {
        let level = level(raw, &mut left);
        out.push(LogLine { level, text: text::line(raw), ..LogLine::plain(at) });
        at += raw.len() as u64;
    }
    highlight(&mut out);
    (out, cut)
}

/// What a line is; within a hunk the counts of its heading decide, since a removed line may begin with `--`.
fn level(raw: &str, left: &mut [u64; 2]) -> Level {
    if *left != [0, 0] && !raw.starts_with("diff --git ") {
        let (level, old, new) = match raw.as_bytes().first() {
            Some(b'+') => (Level::Added, 0, 1),
            Some(b'-') => (Level::Removed, 1, 0),
            Some(b'\\') => (Level::Note, 0, 0),
            _ => (Level::Plain, 1, 1),
        };
        *left = [left[0].saturating_sub(old), left[1].saturating_sub(new)];
        return level;
    }
    if raw.starts_with("diff --git ") {
        // Within a hunk no line begins like this, whatever its heading says of its length.
        *left = [0, 0];
        return Level::File;
    }
    if let Some(counts) = hunk(raw) {
        *left = counts;
        return Level::Tool;
    }
    Level::Note
}

/// `@@ -1,4 +1,6 @@` has four old lines and six new ones.
fn hunk(raw: &str) -> Option<[u64; 2]> {
    let mut sides = raw.strip_prefix("@@ -")?.split(" @@").next()?.split(" +");
    let mut count = || {
        let side = sides.next()?;
        side.split_once(',').map_or(Some(1), |(_, n)| n.parse().ok())
    };
    Some([count()?, count()?])
}

/// The name in `diff --git a/x b/x`, as far as it can be told.
pub(crate) fn file_name(line: &str) -> &str {
    line.rsplit_once(" b/").map_or(line, |(_, name)| name)
}

/// Marks what changed between lines that were removed and those added in their place.
fn highlight(lines: &mut [LogLine]) {
    let mut at = 0;
    while at < lines.len() {
        let count = |from: usize, level: Level| lines[from..].iter().take_while(|l| l.level == level).count();
        let removed = count(at, Level::Removed);
        if removed == 0 {
            at += 1;
            continue;
        }
        let added = count(at + removed, Level::Added);
        for pair in 0..removed.min(added) {
            let (old, new) = (at + pair, at + removed + pair);
            let (a, b) = changed(&lines[old].text, &lines[new].text);
            (lines[old].marks, lines[new].marks) = (a, b);
        }
        at += removed + added;
    }
}

/// Words, and everything else one character at a time; each with its place. The sign before the line is none.
fn words(line: &str) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut in_word = false;
    for (at, c) in line.char_indices().skip(1) {
        let word = c.is_alphanumeric() || c == '_';
        match out.last_mut() {
            Some(last) if in_word && word => last.end = at + c.len_utf8(),
            _ => out.push(at..at + c.len_utf8()),
        }
        in_word = word;
    }
    out
}

/// The places in `old` and in `new` that the other one has not; nothing if they have little in common.
fn changed(old: &str, new: &str) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (a, b) = (words(old), words(new));
    if a.len() > WORDS || b.len() > WORDS {
        return Default::default();
    }
    let same = |i: usize, j: usize| old[a[i].clone()] == new[b[j].clone()];
    // The longest common subsequence of the words from (i, j) on.
    let mut longest = vec![vec![0_u16; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] =
                if same(i, j) { longest[i + 1][j + 1] + 1 } else { longest[i + 1][j].max(longest[i][j + 1]) };
        }
    }
    if usize::from(longest[0][0]) * 3 < a.len().max(b.len()) {
        return Default::default();
    }
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && same(i, j) {
            (i, j) = (i + 1, j + 1);
        } else if j >= b.len() || (i < a.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            join(&mut gone, a[i].clone());
            i += 1;
        } else {
            join(&mut come, b[j].clone());
            j += 1;
        }
    }
    (gone, come)
}

fn join(ranges: &mut Vec<Range<usize>>, next: Range<usize>) {
    match ranges.last_mut() {
        Some(last) if last.end == next.start => last.end = next.end,
        _ => ranges.push(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "diff --git a/src/x.rs b/src/x.rs\nindex 1..2 100644\n--- a/src/x.rs\n+++ b/src/x.rs\n@@ -1,3 +1,3 @@ fn main()\n fn a() {}\n-let total = round(sum);\n+let total = round_even(sum, 2);\n--- a comment of SQL\n\\ No newline at end of file\n";

    #[test]
    fn files_hunks_and_lines_are_told_apart() {
        let (lines, cut) = lines(DIFF);
        let levels: Vec<Level> = lines.iter().map(|l| l.level).collect();
        use Level::{Added, File, Note, Plain, Removed, Tool};
        assert_eq!(levels, [File, Note, Note, Note, Tool, Plain, Removed, Added, Removed, Note]);
        assert_eq!((cut, file_name(&lines[0].text)), (false, "src/x.rs"));
    }

    #[test]
    fn words_that_changed_are_marked() {
        let (lines, _) = lines(DIFF);
        let marked = |at: usize| -> Vec<&str> {
            let line: &LogLine = &lines[at];
            line.marks.iter().map(|m| &line.text[m.clone()]).collect()
        };
        assert_eq!(marked(6), ["round"]);
        assert_eq!(marked(7), ["round_even", ", 2"]);
        assert!(lines[8].marks.is_empty(), "nothing stands in its place");
    }

    #[test]
    fn lines_that_have_nothing_in_common_are_not_marked() {
        assert_eq!(changed("-alpha beta", "+completely (other) words, here"), Default::default());
        assert!(changed("-", "+").0.is_empty());
    }

    #[test]
    fn a_diff_is_shown_up_to_a_bound_and_hostile_ones_break_nothing() {
        let long = format!("{DIFF}{}", "+ü\n".repeat(MOST / 3));
        let (shown, cut) = lines(&long);
        assert!(cut && shown.len() < MOST);
        for odd in [
            "",
            "@@ -x +y @@\n",
            "@@ -1,99999999999999999999 +1 @@\n",
            "-\n+\n",
            "@@ -1 +1 @@\n-\u{1b}[2J\n+日本\n",
        ] {
            for line in lines(odd).0 {
                assert!(!line.text.contains('\u{1b}'));
                assert!(line.marks.iter().all(|m| line.text.get(m.clone()).is_some()));
            }
        }
    }
}
