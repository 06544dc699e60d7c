//! The looks there are. Each has a style for every role; what a role means never hangs on its colour alone.

use ratatui::style::{Color, Modifier, Style};

use super::colour::Background;
use super::{Role, Styles};

/// A named set of styles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Look {
    /// The terminal's own sixteen colours.
    #[default]
    Ansi,
    /// Bright colours for a dark background.
    Dark,
    /// Deep colours for a light background.
    Light,
    /// Nothing fainter than plain text.
    Contrast,
    /// Blue and orange in place of green and red.
    ColourBlind,
    /// No colour.
    Mono,
}

impl Look {
    pub(crate) const ALL: [Look; 6] =
        [Look::Ansi, Look::Dark, Look::Light, Look::Contrast, Look::ColourBlind, Look::Mono];

    /// Its name in the settings and in the menu.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Look::Ansi => "ansi",
            Look::Dark => "dark",
            Look::Light => "light",
            Look::Contrast => "high-contrast",
            Look::ColourBlind => "colour-blind",
            Look::Mono => "mono",
        }
    }

    /// A few words for the menu.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Look::Ansi => "the terminal's own sixteen colours",
            Look::Dark => "bright colours for a dark background",
            Look::Light => "deep colours for a light background",
            Look::Contrast => "nothing fainter than plain text",
            Look::ColourBlind => "blue and orange in place of green and red",
            Look::Mono => "no colour: bold, underline, reverse",
        }
    }

    pub(crate) fn read(text: &str) -> Option<Look> {
        let text = if text == "color-blind" { "colour-blind" } else { text };
        Look::ALL.into_iter().find(|look| look.name() == text)
    }

    /// The style of every role on this background.
    pub(crate) fn styles(self, background: Background) -> Styles {
        Role::ALL.map(|role| self.style(role, background))
    }

    fn style(self, role: Role, background: Background) -> Style {
        let plain = Style::new();
        let rgb = |hex: u32| plain.fg(colour(hex));
        let bold = |style: Style| style.add_modifier(Modifier::BOLD);
        let underlined = |style: Style| style.add_modifier(Modifier::UNDERLINED);
        match (self, role) {
            (Look::Mono, role) => super::without_colour(role),
            (_, Role::Plain) => plain,
            (_, Role::Strong) => bold(plain),
            (_, Role::Bar) => plain.add_modifier(Modifier::REVERSED),
            (_, Role::Match) => ground(plain.add_modifier(Modifier::BOLD), background, 0x4d_4000, 0xff_f0a0)
                .unwrap_or_else(|| plain.add_modifier(Modifier::REVERSED | Modifier::BOLD)),
            (Look::Contrast, Role::Dim) => plain,
            (_, Role::Dim) => plain.add_modifier(Modifier::DIM),

            (Look::Ansi, Role::Alarm) => bold(plain.fg(Color::Red)),
            (Look::Ansi, Role::Running) => plain.fg(Color::Cyan),
            (Look::Ansi, Role::Waiting) => plain.fg(Color::Yellow),
            (Look::Ansi, Role::Done) => plain.fg(Color::Green),
            (Look::Ansi, Role::Review) => plain.fg(Color::Magenta),
            (Look::Ansi, Role::Marked) => underlined(plain.fg(Color::Blue)),

            (Look::Dark, Role::Alarm) => bold(rgb(0xff_6b68)),
            (Look::Dark, Role::Running) => rgb(0x5f_d7ff),
            (Look::Dark, Role::Waiting) => rgb(0xff_d75f),
            (Look::Dark, Role::Done) => rgb(0x87_d787),
            (Look::Dark, Role::Review) => rgb(0xd7_a7ff),
            (Look::Dark, Role::Marked) => underlined(rgb(0x87_afff)),

            (Look::Light, Role::Alarm) => bold(rgb(0xb0_0020)),
            (Look::Light, Role::Running) => rgb(0x00_5f87),
            (Look::Light, Role::Waiting) => rgb(0x7a_5200),
            (Look::Light, Role::Done) => rgb(0x1d_6b1d),
            (Look::Light, Role::Review) => rgb(0x7a_1fa2),
            (Look::Light, Role::Marked) => underlined(rgb(0x1a_44b8)),

            (Look::Contrast, Role::Alarm) => underlined(bold(plain.fg(Color::LightRed))),
            (Look::Contrast, Role::Running) => bold(plain.fg(Color::LightCyan)),
            (Look::Contrast, Role::Waiting) => bold(plain.fg(Color::LightYellow)),
            (Look::Contrast, Role::Done) => bold(plain.fg(Color::LightGreen)),
            (Look::Contrast, Role::Review) => bold(plain.fg(Color::LightMagenta)),
            (Look::Contrast, Role::Marked) => underlined(bold(plain)),

            // Okabe and Ito's palette: told apart with any of the common deficiencies.
            (Look::ColourBlind, Role::Alarm) => underlined(bold(rgb(0xd5_5e00))),
            (Look::ColourBlind, Role::Running) => rgb(0x56_b4e9),
            (Look::ColourBlind, Role::Waiting) => rgb(0xe6_9f00),
            (Look::ColourBlind, Role::Done) => rgb(0x00_72b2),
            (Look::ColourBlind, Role::Review) => rgb(0xcc_79a7),
            (Look::ColourBlind, Role::Marked) => underlined(plain),

            (Look::ColourBlind, Role::Added) => ground(rgb(0x56_b4e9), background, 0x0a_2740, 0xd6_eaf8)
                .unwrap_or_else(|| plain.fg(Color::Blue)),
            (Look::ColourBlind, Role::Removed) => ground(rgb(0xe6_9f00), background, 0x40_2a00, 0xfd_ebd0)
                .unwrap_or_else(|| plain.fg(Color::Yellow)),
            (_, Role::Added) => {
                ground(plain, background, 0x12_3a1c, 0xdd_f5e0).unwrap_or_else(|| plain.fg(Color::Green))
            }
            (_, Role::Removed) => {
                ground(plain, background, 0x48_171c, 0xfb_e0e0).unwrap_or_else(|| plain.fg(Color::Red))
            }
        }
    }
}

fn colour(hex: u32) -> Color {
    let [_, r, g, b] = hex.to_be_bytes();
    Color::Rgb(r, g, b)
}

/// The style on a quiet background that suits the terminal's; none if that is not known.
fn ground(style: Style, background: Background, dark: u32, light: u32) -> Option<Style> {
    match background {
        Background::Unknown => None,
        Background::Dark => Some(style.bg(colour(dark))),
        Background::Light => Some(style.bg(colour(light))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Depth, Mark, Theme};
    use super::*;

    #[test]
    fn a_look_is_found_by_its_name() {
        for look in Look::ALL {
            assert_eq!(Look::read(look.name()), Some(look));
        }
        assert_eq!(Look::read("color-blind"), Some(Look::ColourBlind));
        assert_eq!(Look::read("solarized"), None);
    }

    #[test]
    fn every_look_tells_what_asks_from_what_runs_even_with_sixteen_colours() {
        let depths = [Depth::Sixteen, Depth::Indexed, Depth::True];
        for (look, depth) in Look::ALL.into_iter().flat_map(|look| depths.map(|depth| (look, depth))) {
            let theme = Theme::default().dressed(look, Background::Dark, depth);
            let alarm = theme.style(Mark::Asks.role());
            assert_ne!(alarm, theme.style(Mark::Fresh.role()), "{look:?} {depth:?}");
            assert_ne!(alarm, theme.style(Role::Plain), "{look:?} {depth:?}");
            assert!(alarm.add_modifier.contains(Modifier::BOLD), "{look:?}: not by colour alone");
            assert!(theme.style(Role::Bar).add_modifier.contains(Modifier::REVERSED), "{look:?}");
        }
    }

    /// How far apart two colours are in brightness, as the guidelines for accessible pages reckon it.
    fn contrast(a: Color, b: (u8, u8, u8)) -> f64 {
        let Color::Rgb(r, g, blue) = a else { return f64::MAX };
        let light = |(r, g, b): (u8, u8, u8)| {
            let part = |v: u8| {
                let v = f64::from(v) / 255.0;
                if v <= 0.03928 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
        };
        let (a, b) = (light((r, g, blue)), light(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn the_looks_for_one_background_are_readable_on_it() {
        for (look, ground) in [(Look::Dark, (0x1c, 0x1c, 0x1c)), (Look::Light, (0xf5, 0xf5, 0xf5))] {
            for (role, style) in Role::ALL.into_iter().zip(look.styles(Background::Unknown)) {
                let reached = style.fg.map_or(f64::MAX, |fg| contrast(fg, ground));
                assert!(reached >= 4.5, "{look:?} {role:?}: {reached:.1} to 1");
            }
        }
    }
}
