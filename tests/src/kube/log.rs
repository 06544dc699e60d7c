//! A container's log as a node keeps it: stamped lines, long ones in pieces, the oldest thrown away.

/// A piece as long as this is kept although its line goes on.
const PIECE: usize = 16 << 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Thrown away so far.
    gone: usize,
    kept: Vec<(i64, Vec<u8>)>,
    partial: Vec<u8>,
    over: bool,
}

impl Log {
    pub(super) fn push(&mut self, bytes: &[u8], millis: i64) {
        for byte in bytes {
            self.partial.push(*byte);
            if *byte == b'\n' || self.partial.len() >= PIECE {
                self.kept.push((millis, std::mem::take(&mut self.partial)));
            }
        }
    }

    pub(super) fn end(&mut self) {
        if !self.partial.is_empty() {
            let millis = self.kept.last().map_or(0, |(millis, _)| *millis);
            self.kept.push((millis, std::mem::take(&mut self.partial)));
        }
        self.over = true;
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn keep(&mut self, newest: usize) {
        let drop = self.kept.len().saturating_sub(newest);
        self.kept.drain(..drop);
        self.gone += drop;
    }

    pub(super) fn text(&self) -> Vec<u8> {
        self.kept.iter().flat_map(|(_, text)| text.clone()).collect()
    }

    /// What comes from piece `at` on, and where to go on; `fresh` is whether a line begins there.
    pub(super) fn from(&self, at: &mut usize, fresh: &mut bool, since: i64, stamps: bool) -> Vec<u8> {
        let mut out = Vec::new();
        for (millis, text) in self.kept.iter().skip(at.saturating_sub(self.gone)) {
            if *millis >= since {
                if *fresh && stamps {
                    out.extend_from_slice(format!("{} ", super::stamp(*millis)).as_bytes());
                }
                out.extend_from_slice(text);
            }
            *fresh = text.last() == Some(&b'\n');
        }
        *at = self.gone + self.kept.len();
        out
    }
}
