//! What things look like: a role has a style, a state has a glyph. Views name roles and never colours.
//!
//! Unless the operator chose otherwise the colours are the sixteen of the terminal, without black, white and the greys,
//! which vanish on one background or another. Without colour the same roles are told apart by reverse, bold and underline.

mod colour;
mod glyph;
mod look;

use ratatui::style::{Modifier, Style};

pub(crate) use colour::{Background, Depth, read_style};
pub(crate) use glyph::{Mark, to_ascii};
pub(crate) use look::Look;

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
    /// Marked for what comes next.
    Marked,
    /// A line that a diff adds.
    Added,
    /// A line that a diff takes away.
    Removed,
    /// Everything else.
    Plain,
}

impl Role {
    pub(crate) const ALL: [Role; 13] = [
        Role::Alarm,
        Role::Running,
        Role::Waiting,
        Role::Done,
        Role::Review,
        Role::Dim,
        Role::Strong,
        Role::Bar,
        Role::Match,
        Role::Marked,
        Role::Added,
        Role::Removed,
        Role::Plain,
    ];

    /// Its name in the settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Alarm => "alarm",
            Role::Running => "running",
            Role::Waiting => "waiting",
            Role::Done => "done",
            Role::Review => "review",
            Role::Dim => "dim",
            Role::Strong => "strong",
            Role::Bar => "bar",
            Role::Match => "match",
            Role::Marked => "marked",
            Role::Added => "added",
            Role::Removed => "removed",
            Role::Plain => "plain",
        }
    }
}

/// The style of each role, in the order of [`Role::ALL`].
pub(crate) type Styles = [Style; Role::ALL.len()];

/// What is drawn how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    /// `NO_COLOR` is set, or the terminal has none.
    pub(crate) mono: bool,
    /// The terminal cannot show the glyphs.
    pub(crate) ascii: bool,
    /// The styles where there is colour.
    pub(crate) styles: Styles,
}

impl Default for Theme {
    fn default() -> Self {
        Self { mono: false, ascii: false, styles: Look::Ansi.styles(Background::Unknown) }
    }
}

impl Theme {
    pub(crate) fn style(self, role: Role) -> Style {
        if self.mono { without_colour(role) } else { self.styles[role as usize] }
    }

    /// The theme in another look, on this background and with so many colours.
    pub(crate) fn dressed(self, look: Look, background: Background, depth: Depth) -> Theme {
        let mut styles = look.styles(background);
        styles.iter_mut().for_each(|style| *style = depth.reduce(*style));
        Theme { styles, ..self }
    }
}

fn without_colour(role: Role) -> Style {
    let plain = Style::new();
    match role {
        Role::Alarm => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
        Role::Running | Role::Strong | Role::Added => plain.add_modifier(Modifier::BOLD),
        Role::Dim => plain.add_modifier(Modifier::DIM),
        Role::Bar => plain.add_modifier(Modifier::REVERSED),
        Role::Match => plain.add_modifier(Modifier::REVERSED | Modifier::BOLD),
        Role::Marked => plain.add_modifier(Modifier::UNDERLINED),
        Role::Removed => plain.add_modifier(Modifier::CROSSED_OUT),
        Role::Waiting | Role::Done | Role::Review | Role::Plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_role_has_a_colour_without_colour() {
        let theme = Theme { mono: true, ..Theme::default() };
        for role in Role::ALL {
            assert_eq!((theme.style(role).fg, theme.style(role).bg), (None, None), "{role:?}");
        }
    }

    #[test]
    fn the_roles_are_in_the_order_of_their_numbers() {
        for (at, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(at, role as usize);
        }
    }
}
