//! The state of a thing as a glyph, and what stands for a glyph where it cannot be shown.

use ratatui::buffer::Buffer;

use super::Role;

/// The state that a glyph shows, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    Asks,
    Refused,
    Failed,
    Pending,
    Fresh,
    Quiet,
    Silent,
    Waits,
    Review,
    Ready,
    Backlog,
    Done,
    NoChanges,
    Killed,
}

impl Mark {
    pub(crate) fn glyph(self) -> &'static str {
        match self {
            Mark::Asks => "?",
            Mark::Refused => "⊘",
            Mark::Failed => "✗",
            Mark::Pending => "~",
            Mark::Fresh => "▸",
            Mark::Quiet => "▹",
            Mark::Silent => "◌",
            Mark::Waits => "⧗",
            Mark::Review => "◉",
            Mark::Ready => "◦",
            Mark::Backlog => "∙",
            Mark::Done => "✓",
            Mark::NoChanges => "∅",
            Mark::Killed => "▪",
        }
    }

    pub(crate) fn role(self) -> Role {
        match self {
            Mark::Asks | Mark::Failed | Mark::Refused => Role::Alarm,
            Mark::Fresh | Mark::Quiet | Mark::Silent => Role::Running,
            Mark::Waits | Mark::Pending => Role::Waiting,
            Mark::Review => Role::Review,
            Mark::Done => Role::Done,
            Mark::NoChanges | Mark::Killed | Mark::Backlog => Role::Dim,
            Mark::Ready => Role::Plain,
        }
    }

    /// The word for the help and for those who cannot see the glyph.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Mark::Asks => "asks you",
            Mark::Refused => "write refused",
            Mark::Failed => "failed",
            Mark::Pending => "write pending",
            Mark::Fresh => "running",
            Mark::Quiet => "quiet for 2m",
            Mark::Silent => "silent for 5m",
            Mark::Waits => "waiting, blocked",
            Mark::Review => "PR open",
            Mark::Ready => "ready",
            Mark::Backlog => "backlog",
            Mark::Done => "done",
            Mark::NoChanges => "no changes",
            Mark::Killed => "killed",
        }
    }

    pub(crate) const ALL: [Mark; 14] = [
        Mark::Asks,
        Mark::Refused,
        Mark::Failed,
        Mark::Pending,
        Mark::Fresh,
        Mark::Quiet,
        Mark::Silent,
        Mark::Waits,
        Mark::Review,
        Mark::Ready,
        Mark::Backlog,
        Mark::Done,
        Mark::NoChanges,
        Mark::Killed,
    ];
}

/// Each glyph that views draw and what stands for it where it cannot be shown; both one column wide.
const ASCII: [(&str, &str); 29] = [
    ("⊘", "#"),
    ("✗", "x"),
    ("▸", ">"),
    ("▹", "-"),
    ("◌", "_"),
    ("⧗", "%"),
    ("◉", "@"),
    ("◦", "o"),
    ("∙", "."),
    ("✓", "+"),
    ("∅", "0"),
    ("▪", "k"),
    ("›", ">"),
    ("▰", "#"),
    ("▱", "."),
    ("▾", "v"),
    ("▴", "^"),
    ("…", "~"),
    ("⟳", "&"),
    ("␛", "^"),
    ("│", "|"),
    ("↑", "^"),
    ("↓", "v"),
    ("█", "_"),
    ("⣀", "_"),
    ("⣤", "-"),
    ("⣶", "="),
    ("⣿", "#"),
    ("»", "*"),
];

/// Replaces what the terminal cannot show. Runs over the finished frame, so that no view can forget it.
pub(crate) fn to_ascii(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if symbol.is_ascii() {
            continue;
        }
        let plain = ASCII.iter().find(|(glyph, _)| *glyph == symbol).map_or("?", |(_, plain)| plain);
        cell.set_symbol(plain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::text::width;

    #[test]
    fn every_glyph_is_one_column_and_has_a_plain_form() {
        for mark in Mark::ALL {
            let glyph = mark.glyph();
            assert_eq!(width(glyph), 1, "{glyph}");
            assert!(glyph.is_ascii() || ASCII.iter().any(|(g, _)| *g == glyph), "{glyph} has no plain form");
        }
        let mut plain: Vec<_> = Mark::ALL
            .iter()
            .map(|m| ASCII.iter().find(|(g, _)| *g == m.glyph()).map_or(m.glyph(), |(_, p)| p))
            .collect();
        plain.sort_unstable();
        plain.dedup();
        assert_eq!(plain.len(), Mark::ALL.len(), "two states would look alike");
    }

    #[test]
    fn no_two_states_share_a_glyph_so_that_colour_is_never_needed() {
        let mut glyphs = Mark::ALL.map(Mark::glyph).to_vec();
        glyphs.sort_unstable();
        glyphs.dedup();
        assert_eq!(glyphs.len(), Mark::ALL.len());
    }
}
