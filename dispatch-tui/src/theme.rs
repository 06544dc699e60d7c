//! What things look like: a role has a style, a state has a glyph. Views name roles and never colours.
//!
//! Colours are the sixteen of the terminal, without black, white and the greys, which vanish on one background or
//! another. Without colour the same roles are told apart by reverse, bold and underline.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Asks the operator, or failed.
    Alarm,
    /// Works.
    Running,
    /// Waits or is blocked.
    Waiting,
    /// Is done.
    Done,
    /// Is in review.
    Review,
    /// Secondary.
    Dim,
    /// Heading.
    Strong,
    /// The cursor, and bars.
    Bar,
    /// A match of a search.
    Match,
    /// Everything else.
    Plain,
}

/// The terminal's abilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Theme {
    /// `NO_COLOR` is set, or the terminal has none.
    pub(crate) mono: bool,
    /// The terminal cannot show the glyphs.
    pub(crate) ascii: bool,
}

impl Theme {
    pub(crate) fn style(self, role: Role) -> Style {
        let plain = Style::new();
        let coloured = |color: Color, mono: Style| if self.mono { mono } else { plain.fg(color) };
        match role {
            Role::Alarm => {
                coloured(Color::Red, plain.add_modifier(Modifier::UNDERLINED)).add_modifier(Modifier::BOLD)
            }
            Role::Running => coloured(Color::Cyan, plain.add_modifier(Modifier::BOLD)),
            Role::Waiting => coloured(Color::Yellow, plain),
            Role::Done => coloured(Color::Green, plain),
            Role::Review => coloured(Color::Magenta, plain),
            Role::Dim => plain.add_modifier(Modifier::DIM),
            Role::Strong => plain.add_modifier(Modifier::BOLD),
            Role::Bar => plain.add_modifier(Modifier::REVERSED),
            Role::Match => plain.add_modifier(Modifier::REVERSED | Modifier::BOLD),
            Role::Plain => plain,
        }
    }
}

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
const ASCII: [(&str, &str); 24] = [
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
    fn no_role_has_a_colour_without_colour() {
        let theme = Theme { mono: true, ascii: false };
        for role in [Role::Alarm, Role::Running, Role::Waiting, Role::Done, Role::Review, Role::Match] {
            assert_eq!((theme.style(role).fg, theme.style(role).bg), (None, None), "{role:?}");
        }
    }
}
