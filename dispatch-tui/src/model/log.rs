//! A window onto a long text: bounded in memory, amended at the end, loaded forwards and backwards by offset.
//!
//! Lines have numbers that never change while they are held, so that position and matches survive whatever is added
//! or dropped. Only whole lines are shown, but for the last one, which may still grow. How the operator moves about in
//! it is in `travel`.

mod kind;
#[cfg(test)]
mod tests;
mod travel;

use std::collections::VecDeque;

use dispatch_shared::id::RunId;

use super::logline::{self, Level, LogLine};
use super::{diff, text};
use crate::effect::{Effect, From};
pub(crate) use kind::{Kind, Shown};
pub(crate) use travel::Landmark;

/// The most bytes of text that are held.
pub(crate) const HELD: usize = 1 << 20;
/// How much is read at once.
pub(crate) const PAGE: u64 = 64 << 10;
/// A line is broken after so many bytes.
const LONGEST: usize = 8 << 10;
/// The number of the first line that came; older ones count down from here.
const ORIGIN: u64 = 1 << 40;

/// A log, its events, a diff or the phases of a run, being read.
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
    pub(crate) times: bool,
    pub(crate) shown: Shown,
    /// Columns scrolled to the side.
    pub(crate) left: usize,
    pub(crate) needle: String,
    matches: Vec<u64>,
    pub(crate) current: Option<u64>,
    /// The error, hunk or file that was gone to last.
    pub(crate) mark: Option<u64>,
    /// The window does not reach to the end: what comes is only counted.
    pub(crate) detached: bool,
    pub(crate) loading: bool,
    /// A jump is under way to this byte.
    jump: Option<u64>,
    /// The jump leads to a match.
    pub(crate) find_again: bool,
    /// The window's rows, as they were last.
    height: usize,
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
            follow: kind.streams(),
            unseen: 0,
            wrap: false,
            times: kind == Kind::Events,
            shown: Shown::All,
            left: 0,
            needle: String::new(),
            matches: Vec::new(),
            current: None,
            mark: None,
            detached: false,
            loading: kind != Kind::Phases,
            jump: None,
            find_again: false,
            height: 1,
            ended: None,
            broken: false,
        }
    }

    /// What has to be done so that something comes.
    pub(crate) fn load(&self) -> Option<Effect> {
        match self.kind {
            Kind::Log | Kind::Events => {
                Some(Effect::FollowLog { run: self.run, kind: self.kind, from: From::Tail(PAGE) })
            }
            Kind::Diff => Some(Effect::LoadDiff(self.run)),
            Kind::Phases => None,
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

    fn get(&self, id: u64) -> Option<&LogLine> {
        self.lines.get(usize::try_from(id.checked_sub(self.first)?).ok()?)
    }

    /// The line with the number `id`.
    pub(crate) fn line(&self, id: u64) -> Option<LogLine> {
        if let Some(line) = self.get(id) {
            return Some(line.clone());
        }
        (id + 1 == self.bound() && !self.partial.is_empty()).then(|| {
            let text = text::line(&String::from_utf8_lossy(&self.partial));
            LogLine { text, ..LogLine::plain(self.end) }
        })
    }

    /// Whether the line with the number `id` is to be shown.
    pub(crate) fn is_shown(&self, id: u64) -> bool {
        self.shown == Shown::All || self.shown.lets(self.get(id).map_or(Level::Plain, |l| l.level))
    }

    /// The lines that are held, for what is counted among them.
    pub(crate) fn held_lines(&self) -> impl Iterator<Item = (u64, &LogLine)> {
        (self.first..).zip(&self.lines)
    }

    /// Takes bytes that follow what is there; a gap starts anew, an overlap is skipped.
    pub(crate) fn append(&mut self, offset: u64, bytes: &[u8]) {
        self.known_end = self.known_end.max(offset + bytes.len() as u64);
        if self.detached || self.jump.is_some() {
            self.unseen += bytes.iter().filter(|b| **b == b'\n').count();
            return;
        }
        self.loading = false;
        if self.end == 0 && self.lines.is_empty() || offset > self.end {
            self.restart(offset);
        }
        let overlap = usize::try_from(self.end - offset).unwrap_or(usize::MAX);
        let before = self.lines.len();
        self.push(bytes.get(overlap..).unwrap_or_default());
        if !self.follow {
            self.unseen += self.lines.len() - before;
        }
        self.drop_front();
    }

    /// Starts anew at byte `offset`; a line that began before it is left out.
    fn restart(&mut self, offset: u64) {
        self.clear();
        (self.start, self.end) = (offset, offset);
        self.skipping = offset > 0;
    }

    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
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
                    self.held += line.size();
                    self.lines.push_back(line);
                    self.note_match(self.first + self.lines.len() as u64 - 1);
                }
            } else {
                self.partial.push(*byte);
            }
        }
    }

    /// Takes the bytes `from..` that were asked for: they end where the window starts, begin where it ends, or are where a
    /// jump leads. What fits nowhere is dropped: the window went elsewhere meanwhile.
    pub(crate) fn take(&mut self, from: u64, bytes: &[u8]) {
        self.loading = false;
        if let Some(to) = self.jump.take_if(|to| *to == from) {
            self.restart(to);
            self.detached = true;
            self.push(bytes);
            self.top = self.first;
        } else if from == self.end && self.detached {
            self.push(bytes);
            self.drop_front();
        } else if from + bytes.len() as u64 == self.start {
            self.prepend(from, bytes);
            return;
        }
        if self.end >= self.known_end {
            self.detached = false;
        }
    }

    /// The answer did not come.
    pub(crate) fn fail(&mut self) {
        self.loading = false;
        if self.jump.take().is_some() {
            self.detached = true;
        }
    }

    fn prepend(&mut self, from: u64, bytes: &[u8]) {
        // The first line is whole only at the very start; if there is no line end at all it must do.
        let cut = match bytes.iter().position(|b| *b == b'\n') {
            Some(at) if from > 0 && at + 1 < bytes.len() => at + 1,
            _ => 0,
        };
        let mut at = self.start;
        for raw in bytes[cut..].split_inclusive(|b| *b == b'\n').rev() {
            at -= raw.len() as u64;
            let whole = raw.strip_suffix(b"\n").unwrap_or(raw);
            // Broken as at the other end, so that one line cannot fill the memory.
            let mut piece_at = at + whole.len() as u64;
            for piece in whole.rchunks(LONGEST).chain(whole.is_empty().then_some(whole)) {
                piece_at -= piece.len() as u64;
                for line in self.read(piece_at, piece).into_iter().rev() {
                    self.held += line.size();
                    self.lines.push_front(line);
                    self.first -= 1;
                }
            }
        }
        self.start = from + cut as u64;
        while self.held > HELD && self.lines.len() > 1 {
            if let Some(line) = self.lines.pop_back() {
                self.held -= line.size();
                self.end = line.at;
                self.partial.clear();
                self.detached = true;
            }
        }
        self.top = self.top.min(self.bound());
        self.search_again();
    }

    /// Takes a whole diff.
    pub(crate) fn fill(&mut self, diff: &str) {
        self.clear();
        self.loading = false;
        let (lines, cut) = diff::lines(diff);
        self.lines = lines.into();
        self.end = diff.len() as u64;
        self.ended = Some(match (diff.is_empty(), cut) {
            (true, _) => "nothing was changed".to_owned(),
            (_, true) => "the diff is longer than what is shown".to_owned(),
            (_, false) => "end of the diff".to_owned(),
        });
        self.search_again();
    }

    fn read(&self, at: u64, raw: &[u8]) -> Vec<LogLine> {
        let raw = String::from_utf8_lossy(raw);
        match self.kind {
            Kind::Events => logline::event(at, &raw),
            _ => logline::read(at, &raw),
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
                self.held -= line.size();
                self.first += 1;
                self.start = self.lines.front().map_or(self.end, |l| l.at);
            }
        }
        let first = self.first;
        self.top = self.top.max(first);
        self.matches.retain(|id| *id >= first);
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        assert!(self.top >= self.first && self.top <= self.bound(), "top out of bounds");
        assert!(self.held <= HELD + LONGEST * 8, "{} bytes held", self.held);
        assert!(self.start <= self.end);
    }
}
