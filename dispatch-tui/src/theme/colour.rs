//! Colours: how an operator writes a style, how many colours a terminal has, and the nearest of those to one it has not.

use ratatui::style::{Color, Modifier, Style};

/// What the terminal draws on, as far as it told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Background {
    #[default]
    Unknown,
    Dark,
    Light,
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The sixteen, whatever they are.
    #[default]
    Sixteen,
    /// The 256 of xterm.
    Indexed,
    /// All.
    True,
}

impl Depth {
    /// What the environment says of the terminal.
    pub(crate) fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let term = get("TERM").unwrap_or_default();
        match get("COLORTERM").unwrap_or_default().to_lowercase().as_str() {
            "truecolor" | "24bit" => Depth::True,
            _ if term.contains("direct") => Depth::True,
            _ if term.contains("256") || term.contains("kitty") || term.contains("alacritty") => {
                Depth::Indexed
            }
            _ => Depth::Sixteen,
        }
    }

    /// The style with colours that the terminal has.
    pub(crate) fn reduce(self, mut style: Style) -> Style {
        style.fg = style.fg.map(|c| self.nearest(c));
        // Sixteen colours have no quiet background: without it the text stays readable.
        style.bg = match (self, style.bg) {
            (Depth::Sixteen, Some(Color::Rgb(..) | Color::Indexed(16..))) => None,
            (_, bg) => bg.map(|c| self.nearest(c)),
        };
        style
    }

    fn nearest(self, colour: Color) -> Color {
        match (self, colour) {
            (Depth::Indexed, Color::Rgb(r, g, b)) => Color::Indexed(indexed(r, g, b)),
            (Depth::Sixteen, Color::Rgb(r, g, b)) => sixteen(r, g, b),
            (Depth::Sixteen, Color::Indexed(n @ 16..)) => {
                let (r, g, b) = cube(n);
                sixteen(r, g, b)
            }
            (_, colour) => colour,
        }
    }
}

const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The nearest colour of the cube.
fn indexed(r: u8, g: u8, b: u8) -> u8 {
    let step = |v: u8| (0..6u8).min_by_key(|i| STEPS[usize::from(*i)].abs_diff(v)).unwrap_or(0);
    16 + 36 * step(r) + 6 * step(g) + step(b)
}

fn cube(n: u8) -> (u8, u8, u8) {
    if n >= 232 {
        let grey = 8 + 10 * (n - 232);
        return (grey, grey, grey);
    }
    let at = usize::from(n.saturating_sub(16));
    (STEPS[at / 36], STEPS[at / 6 % 6], STEPS[at % 6])
}

/// The nearest of the terminal's own colours by hue; black, white and the greys are left out, since they vanish on some
/// background.
fn sixteen(r: u8, g: u8, b: u8) -> Color {
    let [high, low] = [r.max(g).max(b), r.min(g).min(b)];
    if high - low < 24 {
        return Color::Reset;
    }
    // Which channels are in the upper half between the darkest and the brightest one.
    let on = |v: u8| u16::from(v) * 2 >= u16::from(high) + u16::from(low);
    match (on(r), on(g), on(b)) {
        (true, false, false) => Color::Red,
        (false, true, false) => Color::Green,
        (true, true, false) => Color::Yellow,
        (false, false, true) => Color::Blue,
        (true, false, true) => Color::Magenta,
        (false, true, true) => Color::Cyan,
        _ => Color::Reset,
    }
}

/// Reads a style as it is written in the settings: `bold red`, `#ffb000 on #202020`, `208`, `reverse`.
///
/// # Errors
/// A sentence that names the word that is none.
pub(crate) fn read_style(text: &str) -> Result<Style, String> {
    let mut style = Style::new();
    let mut ground = false;
    for word in text.split_whitespace() {
        let modifier = match word {
            "bold" => Some(Modifier::BOLD),
            "dim" => Some(Modifier::DIM),
            "italic" => Some(Modifier::ITALIC),
            "underline" => Some(Modifier::UNDERLINED),
            "reverse" => Some(Modifier::REVERSED),
            _ => None,
        };
        match (modifier, word) {
            (Some(modifier), _) => style = style.add_modifier(modifier),
            (None, "on") if !ground => ground = true,
            (None, "plain") => {}
            (None, word) => {
                let colour: Color = word.parse().map_err(|_| {
                    format!("`{word}` is no colour: write red, light-blue, 208 or #ffb000, with bold, dim, italic, underline, reverse, `on` a colour")
                })?;
                style = if ground { style.bg(colour) } else { style.fg(colour) };
                ground = false;
            }
        }
    }
    if ground { Err(format!("`{text}` ends before the colour that `on` asks for")) } else { Ok(style) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_is_read_as_it_is_said() {
        assert_eq!(read_style("bold red"), Ok(Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)));
        assert_eq!(
            read_style("#ffb000 on 17"),
            Ok(Style::new().fg(Color::Rgb(255, 176, 0)).bg(Color::Indexed(17)))
        );
        assert!(read_style("shiny").unwrap_err().contains("`shiny` is no colour"));
        assert!(read_style("red on").unwrap_err().contains("`on`"));
    }

    #[test]
    fn a_terminal_gets_only_colours_that_it_has() {
        let style = Style::new().fg(Color::Rgb(255, 90, 80)).bg(Color::Rgb(20, 60, 20));
        assert_eq!(Depth::True.reduce(style), style);
        assert_eq!(Depth::Indexed.reduce(style).fg, Some(Color::Indexed(203)));
        assert_eq!(Depth::Sixteen.reduce(style), Style::new().fg(Color::Red));
        for rgb in [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 190, 195)] {
            assert_eq!(sixteen(rgb.0, rgb.1, rgb.2), Color::Reset, "greys vanish somewhere");
        }
    }

    #[test]
    fn the_environment_tells_how_many_colours_there_are() {
        let env = |term: &'static str, colour: &'static str| {
            Depth::from_env(move |name| match name {
                "TERM" => Some(term.to_owned()),
                "COLORTERM" => Some(colour.to_owned()),
                _ => None,
            })
        };
        assert_eq!(env("xterm-256color", "truecolor"), Depth::True);
        assert_eq!(env("xterm-256color", ""), Depth::Indexed);
        assert_eq!(env("xterm", ""), Depth::Sixteen);
    }
}
