//! A window onto a long text: bounded in memory, amended at the end, loaded backwards by offset.
//!
//! Lines have numbers that never change while they are held, so that position and matches survive whatever is added
//! or dropped. Only whole lines are shown, but for the last one, which may still grow.

use std::collections::VecDeque;

use dispatch_shared::id::RunId;

use super::logline::{self, Level, LogLine};
use super::text;
use crate::effect::{Effect, From};

/// The most bytes of text that are held.
pub(crate) const HELD: usize = 1 << 20;
/// How much is read at once.
pub(crate) const PAGE: u64 = 64 << 10;
/// A line is broken after so many bytes.
const LONGEST: usize = 8 << 10;
/// The number of the first line that came; older ones count down from here.
const ORIGIN: u64 = 1 << 40;

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Log,
    Diff,
}

/// A log, or a diff, being read.
#[derive(Clone, Debug)]
pub(crate) struct LogPane {
    pub(crate) kind: Kind,
    pub(crate) run: RunId,
    lines: VecDeque<LogLine>,
    /// The number of `lines[0]`.
    first: u64,
    /// The byte at which the window starts.
    pub(crate) start: u64,
    /// The byte after the last one that came into the window.
    pub(crate) end: u64,
    /// The byte after the last one that there is, as far as is known.
    pub(crate) known_end: u64,
    partial: Vec<u8>,
    skipping: bool,
    held: usize,
    /// The number of the first line shown.
    pub(crate) top: u64,
    pub(crate) follow: bool,
    /// Lines that came while not following.
    pub(crate) unseen: usize,
    pub(crate) wrap: bool,
    /// Columns scrolled to the side.
    pub(crate) left: usize,
    pub(crate) needle: String,
    matches: Vec<u64>,
    pub(crate) current: Option<u64>,
    /// The error or hunk that was gone to last.
    pub(crate) mark: Option<u64>,
    /// The end was dropped to make room for older lines: what comes is only counted.
    detached: bool,
    pub(crate) loading: bool,
    /// Why nothing more comes, once nothing does.
    pub(crate) ended: Option<String>,
    /// It ended because the connection did, so that it is worth going on.
    pub(crate) broken: bool,
}

impl LogPane {
    pub(crate) fn new(kind: Kind, run: RunId) -> Self {
        Self {
            kind,
            run,
            lines: VecDeque::new(),
            first: ORIGIN,
            start: 0,
            end: 0,
            known_end: 0,
            partial: Vec::new(),
            skipping: false,
            held: 0,
            top: ORIGIN,
            follow: kind == Kind::Log,
            unseen: 0,
            wrap: false,
            left: 0,
            needle: String::new(),
            matches: Vec::new(),
            current: None,
            mark: None,
            detached: false,
            loading: kind == Kind::Log,
            ended: None,
            broken: false,
        }
    }

    /// How many lines are held, the unfinished one included.
    pub(crate) fn len(&self) -> usize {
        self.lines.len() + usize::from(!self.partial.is_empty())
    }

    fn bound(&self) -> u64 {
        self.first + self.len() as u64
    }

    /// The place of the first shown line among those held, from 1.
    pub(crate) fn place(&self) -> usize {
        usize::try_from(self.top.saturating_sub(self.first)).unwrap_or(0) + 1
    }

    /// The line with the number `id`.
    pub(crate) fn line(&self, id: u64) -> Option<LogLine> {
        let at = usize::try_from(id.checked_sub(self.first)?).ok()?;
        match self.lines.get(at) {
            Some(line) => Some(line.clone()),
            None if at == self.lines.len() && !self.partial.is_empty() => {
                let text = text::line(&String::from_utf8_lossy(&self.partial));
                Some(LogLine { at: self.end, level: Level::Plain, text })
            }
            None => None,
        }
    }

    /// Takes bytes that follow what is there; a gap starts anew, an overlap is skipped.
    pub(crate) fn append(&mut self, offset: u64, bytes: &[u8]) {
        self.loading = false;
        self.known_end = self.known_end.max(offset + bytes.len() as u64);
        if self.detached {
            self.unseen += bytes.iter().filter(|b| **b == b'\n').count();
            return;
        }
        if self.end == 0 && self.lines.is_empty() || offset > self.end {
            self.clear();
            self.start = offset;
            self.end = offset;
            self.skipping = offset > 0;
        }
        let overlap = usize::try_from(self.end - offset).unwrap_or(usize::MAX);
        let before = self.lines.len();
        for byte in bytes.get(overlap..).unwrap_or_default() {
            self.end += 1;
            if self.skipping {
                if *byte == b'\n' {
                    self.skipping = false;
                    self.start = self.end;
                }
            } else if *byte == b'\n' || self.partial.len() >= LONGEST {
                if *byte != b'\n' {
                    self.partial.push(*byte);
                }
                let raw = std::mem::take(&mut self.partial);
                let at = self.end - raw.len() as u64 - u64::from(*byte == b'\n');
                for line in self.read(at, &raw) {
                    self.held += line.text.len();
                    self.lines.push_back(line);
                    self.note_match(self.first + self.lines.len() as u64 - 1);
                }
            } else {
                self.partial.push(*byte);
            }
        }
        if !self.follow {
            self.unseen += self.lines.len() - before;
        }
        self.drop_front();
    }

    /// Takes the bytes `from..` that end where the window starts.
    pub(crate) fn prepend(&mut self, from: u64, bytes: &[u8]) {
        self.loading = false;
        if from + bytes.len() as u64 != self.start {
            return; // the window went elsewhere meanwhile
        }
        // The first line is whole only at the very start; if there is no line end at all it must do.
        let cut = match bytes.iter().position(|b| *b == b'\n') {
            Some(at) if from > 0 && at + 1 < bytes.len() => at + 1,
            _ => 0,
        };
        let mut at = self.start;
        for raw in bytes[cut..].split_inclusive(|b| *b == b'\n').rev() {
            at -= raw.len() as u64;
            for line in self.read(at, raw.strip_suffix(b"\n").unwrap_or(raw)).into_iter().rev() {
                self.held += line.text.len();
                self.lines.push_front(line);
                self.first -= 1;
            }
        }
        self.start = from + cut as u64;
        while self.held > HELD && self.lines.len() > 1 {
            if let Some(line) = self.lines.pop_back() {
                self.held -= line.text.len();
                self.end = line.at;
                self.partial.clear();
                self.detached = true;
            }
        }
        self.top = self.top.min(self.bound());
        self.search_again();
    }

    fn read(&self, at: u64, raw: &[u8]) -> Vec<LogLine> {
        let raw = String::from_utf8_lossy(raw);
        match self.kind {
            Kind::Log => logline::read(at, &raw),
            Kind::Diff => vec![logline::diff(at, &raw)],
        }
    }

    fn clear(&mut self) {
        self.first = self.bound();
        self.top = self.first;
        self.lines.clear();
        self.partial.clear();
        self.held = 0;
        self.matches.clear();
        self.current = None;
        self.mark = None;
    }

    fn drop_front(&mut self) {
        while self.held > HELD && self.lines.len() > 1 {
            if let Some(line) = self.lines.pop_front() {
                self.held -= line.text.len();
                self.first += 1;
                self.start = self.lines.front().map_or(self.end, |l| l.at);
            }
        }
        let first = self.first;
        self.top = self.top.max(first);
        self.matches.retain(|id| *id >= first);
    }

    /// Rows that a line takes.
    fn rows(&self, id: u64, columns: usize) -> usize {
        if !self.wrap {
            return 1;
        }
        self.line(id).map_or(1, |l| text::width(&l.text).div_ceil(columns.max(1)).max(1))
    }

    /// The first line to show so that the last one stands at the bottom.
    fn lowest_top(&self, height: usize, columns: usize) -> u64 {
        let (mut id, mut used) = (self.bound(), 0);
        while id > self.first {
            used += self.rows(id - 1, columns);
            if used > height.max(1) {
                break;
            }
            id -= 1;
        }
        id.min(self.bound().saturating_sub(1).max(self.first))
    }

    /// Brings the position into bounds for a window of `height` × `columns`.
    pub(crate) fn settle(&mut self, height: usize, columns: usize) {
        let lowest = self.lowest_top(height, columns);
        if self.follow {
            self.top = lowest;
            self.unseen = 0;
        }
        self.top = self.top.clamp(self.first, lowest);
        if self.top == lowest && !self.detached {
            self.unseen = 0;
        }
    }

    /// Moves by so many lines. Upwards stops following, and may want older lines.
    pub(crate) fn scroll(&mut self, by: i64) -> Option<Effect> {
        self.mark = None;
        if by < 0 {
            self.follow = false;
        }
        let wanted = self.top.saturating_add_signed(by);
        self.top = wanted.max(self.first);
        (wanted <= self.first).then(|| self.older()).flatten()
    }

    fn older(&mut self) -> Option<Effect> {
        if self.start == 0 || self.loading || self.kind == Kind::Diff {
            return None;
        }
        self.loading = true;
        Some(Effect::OlderLog { run: self.run, from: self.start.saturating_sub(PAGE), to: self.start })
    }

    /// Goes to the end and stays there.
    pub(crate) fn follow(&mut self) -> Option<Effect> {
        self.follow = self.kind == Kind::Log;
        self.top = self.bound();
        if !std::mem::take(&mut self.detached) {
            return None;
        }
        self.clear();
        (self.start, self.end, self.unseen, self.loading) = (0, 0, 0, true);
        Some(Effect::FollowLog { run: self.run, from: From::Tail(PAGE) })
    }

    /// Where to go on reading after the connection was lost.
    pub(crate) fn resume(&self) -> Effect {
        let from = if self.end == 0 { From::Tail(PAGE) } else { From::Byte(self.known_end) };
        Effect::FollowLog { run: self.run, from }
    }

    fn hit(&self, text: &str) -> bool {
        let exact = self.needle.chars().any(char::is_uppercase);
        if exact { text.contains(&self.needle) } else { text.to_lowercase().contains(&self.needle) }
    }

    fn note_match(&mut self, id: u64) {
        if !self.needle.is_empty() && self.line(id).is_some_and(|l| self.hit(&l.text)) {
            self.matches.push(id);
        }
    }

    fn search_again(&mut self) {
        self.matches.clear();
        for id in self.first..self.first + self.lines.len() as u64 {
            self.note_match(id);
        }
    }

    /// Searches for `needle` and goes to the first match at or below the top; says whether there is one.
    pub(crate) fn search(&mut self, needle: String) -> bool {
        self.needle = needle;
        self.current = None;
        self.search_again();
        self.needle.is_empty() || self.go(true)
    }

    /// Goes to the next match, or the one before; round the ends.
    pub(crate) fn go(&mut self, forward: bool) -> bool {
        let next = match (self.current, forward) {
            (Some(at), true) => self.matches.iter().find(|m| **m > at).or(self.matches.first()),
            (Some(at), false) => self.matches.iter().rfind(|m| **m < at).or(self.matches.last()),
            (None, true) => self.matches.iter().find(|m| **m >= self.top).or(self.matches.first()),
            (None, false) => self.matches.iter().rfind(|m| **m <= self.top).or(self.matches.last()),
        };
        self.current = next.copied();
        if let Some(id) = self.current {
            self.follow = false;
            self.top = id.saturating_sub(3).max(self.first);
        }
        self.current.is_some()
    }

    /// Goes to the next error, or hunk of a diff, below or above the first shown line.
    pub(crate) fn go_landmark(&mut self, forward: bool) -> bool {
        let wanted = if self.kind == Kind::Diff { Level::Tool } else { Level::Error };
        let is = |id: &u64| self.line(*id).is_some_and(|l| l.level == wanted);
        let from = self.mark.unwrap_or(self.top);
        let found = if forward {
            (from + u64::from(self.mark.is_some())..self.bound()).find(is)
        } else {
            (self.first..from.max(self.first)).rev().find(is)
        };
        if let Some(id) = found {
            self.follow = false;
            self.mark = Some(id);
            self.top = id.saturating_sub(3).max(self.first);
        }
        found.is_some()
    }

    /// `2 of 7`: which match this is.
    pub(crate) fn tally(&self) -> (usize, usize) {
        let at = self.current.and_then(|id| self.matches.iter().position(|m| *m == id));
        (at.map_or(0, |a| a + 1), self.matches.len())
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        assert!(self.top >= self.first && self.top <= self.bound(), "top out of bounds");
        assert!(self.held <= HELD + LONGEST * 4, "{} bytes held", self.held);
        assert!(self.start <= self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(range: std::ops::Range<usize>) -> Vec<u8> {
        range.map(|n| format!("line {n:06}\n")).collect::<String>().into_bytes()
    }

    fn shown(pane: &LogPane) -> String {
        pane.line(pane.top).map(|l| l.text).unwrap_or_default()
    }

    #[test]
    fn reading_upwards_stops_following_and_new_lines_are_counted() {
        let mut pane = LogPane::new(Kind::Log, RunId(1));
        pane.append(0, &numbered(0..100));
        pane.settle(10, 80);
        assert_eq!(shown(&pane), "line 000090");
        pane.scroll(-1);
        pane.append(1200, &numbered(100..103));
        pane.settle(10, 80);
        assert_eq!((shown(&pane).as_str(), pane.unseen), ("line 000089", 3));
        assert_eq!(pane.follow(), None);
        pane.settle(10, 80);
        assert_eq!((shown(&pane).as_str(), pane.unseen), ("line 000093", 0));
    }

    #[test]
    fn a_tail_starts_at_a_whole_line_and_older_ones_join_it() {
        let all = numbered(0..1000);
        let mut pane = LogPane::new(Kind::Log, RunId(1));
        pane.append(6005, &all[6005..]);
        pane.settle(10, 80);
        assert_eq!(pane.start, 6012, "the cut line is left out");
        for _ in 0..600 {
            pane.scroll(-1);
        }
        let want = pane.scroll(-1);
        assert_eq!(want, None, "asked for already");
        pane.prepend(0, &all[..6012]);
        assert_eq!((pane.start, pane.len(), shown(&pane).as_str()), (0, 1000, "line 000501"));
        pane.check();
    }

    #[test]
    fn memory_is_bounded_at_both_ends() {
        let mut pane = LogPane::new(Kind::Log, RunId(1));
        let all = numbered(0..200_000);
        for (at, chunk) in all.chunks(1000).enumerate() {
            pane.append(at as u64 * 1000, chunk);
            pane.check();
        }
        pane.settle(10, 80);
        assert_eq!(shown(&pane), "line 199990");
        let start = usize::try_from(pane.start).unwrap();
        pane.scroll(i64::MIN);
        pane.prepend(0, &all[..start]);
        pane.check();
        assert_eq!(pane.start, 0);
        let effect = pane.follow();
        assert_eq!(effect, Some(Effect::FollowLog { run: RunId(1), from: From::Tail(PAGE) }));
    }

    #[test]
    fn an_overlap_is_skipped_and_halves_of_a_character_join() {
        let mut pane = LogPane::new(Kind::Log, RunId(1));
        let bytes = "grün\n".as_bytes();
        pane.append(0, &bytes[..3]);
        pane.append(1, &bytes[1..]);
        assert_eq!((pane.len(), shown(&pane).as_str()), (1, "grün"));
    }

    #[test]
    fn matches_are_found_round_the_ends() {
        let mut pane = LogPane::new(Kind::Log, RunId(1));
        pane.append(0, b"one\nTwo\nthree\ntwo\n");
        pane.settle(2, 80);
        assert!(pane.search("two".into()));
        assert_eq!((pane.current.map(|c| c - ORIGIN), pane.tally()), (Some(3), (2, 2)));
        pane.go(true);
        assert_eq!(pane.tally(), (1, 2));
        assert!(!pane.search("absent".into()));
        pane.search("Two".into());
        assert_eq!(pane.tally().1, 1, "a capital makes it exact");
    }
}
