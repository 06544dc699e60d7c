//! What a program's words weigh on the disk of its engine, which keeps all of them until the run is over.
//!
//! The weight is never less than what the engine's log takes, so a log that reached its own bound and lost its beginning
//! belongs to a run that is over its limit as well: it is ended for that, and nobody goes on from a place that is gone.

/// A program's log may weigh so many times what is kept of it.
pub(super) const FLOOD: u64 = 16;
/// What a line weighs besides its letters: docker writes a JSON object, podman a date.
const LINE: u64 = 80;
/// The engines break longer lines.
const LONGEST: u64 = 8 << 10;
/// Between the most that a program may say and the most that its engine keeps.
const ROOM: u64 = 1 << 20;

/// The most that a program may say.
pub(super) fn limit(kept: u64) -> u64 {
    kept.saturating_mul(FLOOD)
}

/// The most that its engine is told to keep in one file. The engines count with a sign.
pub(super) fn most(kept: u64) -> u64 {
    limit(kept).saturating_add(ROOM).min(i64::MAX as u64)
}

/// The weight of what was said so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    total: u64,
    line: u64,
}

impl Weight {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.line == 0 {
                self.total = self.total.saturating_add(LINE);
            }
            self.total = self.total.saturating_add(letter(byte));
            self.line = if byte == b'\n' || self.line + 1 == LONGEST { 0 } else { self.line + 1 };
        }
    }

    pub(super) fn total(self) -> u64 {
        self.total
    }
}

/// What one byte takes at most, in JSON as docker writes it.
fn letter(byte: u8) -> u64 {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        b'<' | b'>' | b'&' | 0..0x20 | 0x7f => 6,
        // What is no text comes back as three such bytes, and is written in six.
        0x80.. => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(pieces: &[&str]) -> u64 {
        let mut weight = Weight::default();
        pieces.iter().for_each(|p| weight.add(p.as_bytes()));
        weight.total()
    }

    /// As docker's log has it.
    fn written(text: &str) -> u64 {
        let lines = text.split_inclusive('\n').map(|line| {
            let json = serde_json::to_string(line).unwrap();
            let json = json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
            let json = json.replace('\u{fffd}', "\\ufffd").replace('\u{2028}', "\\u2028");
            format!("{{\"log\":{json},\"stream\":\"stdout\",\"time\":\"2026-11-20T16:43:23.123456789Z\"}}\n")
                .len()
        });
        lines.sum::<usize>() as u64
    }

    #[test]
    fn nothing_weighs_less_than_the_engine_writes() {
        let all: String = (0..128_u8).map(char::from).collect();
        for text in [
            "",
            "\n\n\n\n",
            "a line\nand another\n",
            "no end",
            "<a href=\"x\">&\\\t\r\u{1b}[31m\u{0}\u{7}",
            "naïve 日本語 \u{fffd}\u{fffd}\u{2028}\n",
            &all,
        ] {
            assert!(weight(&[text]) >= written(text), "{text:?}");
        }
    }

    #[test]
    fn how_it_is_cut_does_not_matter() {
        let text = "one\ntwo \"three\"\n".repeat(2_000) + &"x".repeat(20_000);
        let (a, b) = text.split_at(7_777);
        assert_eq!(weight(&[&text]), weight(&[a, b]));
        assert!(weight(&[&"x".repeat(1 << 20)]) < (1 << 20) + (1 << 14), "long lines cost little more");
    }

    #[test]
    fn the_engine_keeps_more_than_a_program_may_say() {
        assert!(most(64 << 20) > limit(64 << 20));
        assert_eq!(most(u64::MAX), i64::MAX as u64);
    }
}
