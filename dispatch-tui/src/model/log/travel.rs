//! Moving about in a log: scrolling, following, searching, jumping to what stands out.

use super::{LogPane, PAGE};
use crate::effect::{Effect, From};
use crate::model::logline::Level;
use crate::model::text;

/// What `[` `]` and `{` `}` go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landmark {
    /// An error; in a diff, a hunk.
    Spot,
    /// A file of a diff.
    File,
}

impl LogPane {
    /// Rows that a line takes; none if it is not shown.
    fn rows(&self, id: u64, columns: usize) -> usize {
        match (self.is_shown(id), self.wrap) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => self.line(id).map_or(1, |l| text::width(&l.text).div_ceil(columns.max(1)).max(1)),
        }
    }

    /// The first line to show so that the last one stands at the bottom.
    fn lowest_top(&self, height: usize, columns: usize) -> u64 {
        let (mut id, mut used) = (self.bound(), 0);
        let mut lowest = id;
        while id > self.first {
            let rows = self.rows(id - 1, columns);
            used += rows;
            if used > height.max(1) {
                break;
            }
            id -= 1;
            if rows > 0 {
                lowest = id;
            }
        }
        lowest.min(self.bound().saturating_sub(1).max(self.first))
    }

    /// Brings the position into bounds for a window of `height` × `columns`.
    pub(crate) fn settle(&mut self, height: usize, columns: usize) {
        self.height = height;
        let lowest = self.lowest_top(height, columns);
        if self.follow {
            self.top = lowest;
            self.unseen = 0;
        }
        self.top = self.top.clamp(self.first, lowest.max(self.first));
        if self.top == lowest && !self.detached {
            self.unseen = 0;
        }
    }

    /// Moves by so many shown lines. Upwards stops following, and either way may want more lines.
    pub(crate) fn scroll(&mut self, by: i64) -> Option<Effect> {
        self.mark = None;
        if by < 0 {
            self.follow = false;
        }
        if by == i64::MIN && self.start > 0 && self.kind.streams() {
            return self.jump_to(0);
        }
        let mut left = by.unsigned_abs();
        let mut at = self.top;
        while left > 0 {
            at = match by < 0 {
                true if at > self.first => at - 1,
                false if at + 1 < self.bound() => at + 1,
                _ => break,
            };
            if self.is_shown(at) {
                self.top = at;
                left -= 1;
            }
        }
        if by < 0 {
            return (left > 0).then(|| self.older()).flatten();
        }
        let below = self.bound().saturating_sub(self.top);
        (self.detached && below <= self.height as u64 + 1).then(|| self.newer()).flatten()
    }

    /// Shows what is at byte `at`, wherever that is.
    pub(crate) fn jump_to(&mut self, at: u64) -> Option<Effect> {
        if self.loading {
            return None;
        }
        (self.jump, self.loading, self.follow) = (Some(at), true, false);
        Some(Effect::ReadLog { run: self.run, kind: self.kind, from: at, to: at + PAGE })
    }

    fn older(&mut self) -> Option<Effect> {
        if self.start == 0 || self.loading || !self.kind.streams() {
            return None;
        }
        self.loading = true;
        let from = self.start.saturating_sub(PAGE);
        Some(Effect::ReadLog { run: self.run, kind: self.kind, from, to: self.start })
    }

    fn newer(&mut self) -> Option<Effect> {
        if self.loading || !self.kind.streams() {
            return None;
        }
        self.loading = true;
        Some(Effect::ReadLog { run: self.run, kind: self.kind, from: self.end, to: self.end + PAGE })
    }

    /// Goes to the end and stays there.
    pub(crate) fn follow(&mut self) -> Option<Effect> {
        self.follow = self.kind.streams();
        self.top = self.bound();
        self.jump = None;
        if !std::mem::take(&mut self.detached) {
            return None;
        }
        self.clear();
        (self.start, self.end, self.unseen, self.loading) = (0, 0, 0, true);
        Some(Effect::FollowLog { run: self.run, kind: self.kind, from: From::Tail(PAGE) })
    }

    /// Where to go on reading after the connection was lost.
    pub(crate) fn resume(&self) -> Effect {
        let from = if self.end == 0 { From::Tail(PAGE) } else { From::Byte(self.known_end) };
        Effect::FollowLog { run: self.run, kind: self.kind, from }
    }

    fn hit(&self, text: &str) -> bool {
        let exact = self.needle.chars().any(char::is_uppercase);
        if exact { text.contains(&self.needle) } else { text.to_lowercase().contains(&self.needle) }
    }

    pub(super) fn note_match(&mut self, id: u64) {
        if !self.needle.is_empty() && self.get(id).is_some_and(|l| self.hit(&l.text)) {
            self.matches.push(id);
        }
    }

    pub(super) fn search_again(&mut self) {
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

    /// Looks for the needle in what was put out before the window; `None` if there is nothing before it.
    pub(crate) fn search_before(&mut self) -> Option<Effect> {
        if self.start == 0 || self.needle.is_empty() || !self.kind.streams() {
            return None;
        }
        let needle = self.needle.clone();
        Some(Effect::FindLog { run: self.run, kind: self.kind, needle, before: self.start })
    }

    /// Goes to the next match, or the one before; round the ends. Only what is shown is gone to.
    pub(crate) fn go(&mut self, forward: bool) -> bool {
        let shown: Vec<u64> = self.matches.iter().copied().filter(|m| self.is_shown(*m)).collect();
        let next = match (self.current, forward) {
            (Some(at), true) => shown.iter().find(|m| **m > at).or(shown.first()),
            (Some(at), false) => shown.iter().rfind(|m| **m < at).or(shown.last()),
            (None, true) => shown.iter().find(|m| **m >= self.top).or(shown.first()),
            (None, false) => shown.iter().rfind(|m| **m <= self.top).or(shown.last()),
        };
        self.current = next.copied();
        if let Some(id) = self.current {
            self.show(id);
        }
        self.current.is_some()
    }

    /// Brings a line near the top of the window.
    fn show(&mut self, id: u64) {
        self.follow = false;
        self.top = id.saturating_sub(3).max(self.first);
    }

    /// Goes to the next landmark below or above the first shown line.
    pub(crate) fn go_landmark(&mut self, landmark: Landmark, forward: bool) -> bool {
        let wanted = match (landmark, self.kind) {
            (Landmark::File, _) => Level::File,
            (Landmark::Spot, super::Kind::Diff) => Level::Tool,
            (Landmark::Spot, _) => Level::Error,
        };
        let is = |id: &u64| self.get(*id).is_some_and(|l| l.level == wanted);
        let from = self.mark.unwrap_or(self.top);
        // A file whose heading is the first line is where one is already.
        let here = self.mark.is_some() || (landmark == Landmark::File && is(&from));
        let found = if forward {
            (from + u64::from(here)..self.bound()).find(is)
        } else {
            (self.first..from.max(self.first)).rev().find(is)
        };
        if let Some(id) = found {
            self.mark = Some(id);
            self.show(id);
            if landmark == Landmark::File {
                self.top = id;
            }
        }
        found.is_some()
    }

    /// `2 of 7`: which match this is.
    pub(crate) fn tally(&self) -> (usize, usize) {
        let at = self.current.and_then(|id| self.matches.iter().position(|m| *m == id));
        (at.map_or(0, |a| a + 1), self.matches.len())
    }
}
