//! Whether the terminal is dark or light: it is asked once, at the start, and has a short while to answer.

use std::time::Duration;

use terminal_colorsaurus::{QueryOptions, ThemeMode, theme_mode};

use crate::theme::Background;

/// A terminal answers within a few milliseconds, over a slow line within some dozens.
const PATIENCE: Duration = Duration::from_millis(100);

/// Asks the terminal for its background (OSC 11). Must not run while anybody else reads the terminal.
pub(crate) fn ask() -> Background {
    let mut options = QueryOptions::default();
    options.timeout = PATIENCE;
    match theme_mode(options) {
        Ok(ThemeMode::Dark) => Background::Dark,
        Ok(ThemeMode::Light) => Background::Light,
        // Many do not know the question; the sixteen colours suit any background.
        Err(_) => Background::Unknown,
    }
}
