//! Dispatch's client: the board for the terminal, the command line (`cli`), tools for agents (`mcp`), and the
//! self-contained demo (`demo`), which [`program`] puts together. `prompt` writes a task down for a program, `guard` checks
//! what the program says at the end; both are pure.
//!
//! The board is a loop of three parts, of which only the outermost waits for anything:
//!
//! - `model` is the whole state of the screen as plain data; `update(model, message)` changes it and returns effects;
//!   `view` draws it. None of the three reads a clock or does I/O.
//! - `keymap` is the one table of keys; it drives dispatching, footer, help and the actions menu. `theme` has the
//!   styles and glyphs.
//! - `settings` is what the operator wrote down (keys, colours), `keep` what the board remembers (filters, how it is shown).
//! - `logs` reads runs' logs, `notify` tells the operator who looks elsewhere, `first` leads from nothing to a board with cards.
//! - `runtime` waits for keys, the `link` (the event stream of the daemon, as a connection that may be lost), answers
//!   to effects and one timer, and draws through `terminal` when a frame is owed. `fetch` makes the calls behind the views
//!   beside the board: what the stream does not bring is asked for when a view is opened, and again when something happened.
//!
//! The board keeps nothing of its own: whatever it shows is the daemon's, and leaving it stops nothing.

mod background;
mod calls;
mod cli;
mod demo;
mod editor;
mod effect;
mod fetch;
mod first;
mod guard;
mod keep;
mod keymap;
mod link;
mod logs;
mod mcp;
mod model;
mod notify;
pub mod program;
mod prompt;
mod runtime;
mod settings;
mod terminal;
mod theme;
mod update;
mod view;

use std::io::Write;

use dispatch_shared::client::Client;

pub use notify::Notify;

/// How the board looks and behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardOptions {
    /// Use no colours.
    pub no_color: bool,
    /// Use only ASCII characters.
    pub ascii: bool,
    /// Take the mouse at the start; `M` changes it.
    pub mouse: bool,
    /// How the operator is told of what needs them while they look elsewhere.
    pub notify: Notify,
    /// Make links that the terminal opens (OSC 8).
    pub links: bool,
    /// Copy through the terminal (OSC 52).
    pub clipboard: bool,
}

impl Default for BoardOptions {
    fn default() -> Self {
        Self {
            no_color: false,
            ascii: false,
            mouse: true,
            notify: Notify::Auto,
            links: true,
            clipboard: true,
        }
    }
}

impl BoardOptions {
    /// What the environment asks for: `NO_COLOR` (any value that is not empty), a locale without UTF-8 or a terminal
    /// without glyphs, `DISPATCH_NOTIFY` (see [`Notify`]), and `off` in `DISPATCH_MOUSE`, `DISPATCH_LINKS` or
    /// `DISPATCH_CLIPBOARD`.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| get(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
        // No locale at all is common in containers, whose terminals show UTF-8 nevertheless.
        let on = |name: &str| set(name).is_none_or(|word| !matches!(word.as_str(), "off" | "no" | "0"));
        let plain = !locale.is_empty() && !locale.contains("utf-8") && !locale.contains("utf8");
        Self {
            no_color: set("NO_COLOR").is_some() || term == "dumb",
            ascii: term == "linux" || plain,
            mouse: on("DISPATCH_MOUSE"),
            notify: Notify::read(&set("DISPATCH_NOTIFY").unwrap_or_default()),
            // The console of Linux, and whatever calls itself dumb, prints what it does not know.
            links: on("DISPATCH_LINKS") && !matches!(term.as_str(), "linux" | "dumb"),
            clipboard: on("DISPATCH_CLIPBOARD"),
        }
    }
}

/// Shows the board until the operator leaves it. A daemon that is not there, or goes away, is shown and waited for.
///
/// # Errors
/// If standard input or output is no terminal, or the terminal fails.
pub async fn run_board(client: Client, options: BoardOptions) -> color_eyre::Result<()> {
    let running = Box::pin(runtime::run(client, options)).await?;
    if running > 0 {
        let runs = if running == 1 { "run goes" } else { "runs go" };
        writeln!(std::io::stdout(), "{running} {runs} on in the daemon.")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_on_colours_and_glyphs() {
        let with = |pairs: &'static [(&'static str, &'static str)]| {
            BoardOptions::from_env(|name| {
                pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(with(&[("NO_COLOR", "1")]).no_color);
        assert!(!with(&[("NO_COLOR", "")]).no_color, "an empty value asks for nothing");
        assert!(with(&[("LANG", "de_DE.ISO-8859-1")]).ascii);
        assert!(!with(&[("LANG", "de_DE.ISO-8859-1"), ("LC_ALL", "en_US.UTF-8")]).ascii);
        assert!(!with(&[]).ascii);
        assert!(with(&[("TERM", "linux")]).ascii);
        assert!(with(&[]).links && !with(&[("TERM", "linux")]).links);
        assert!(!with(&[("DISPATCH_LINKS", "off")]).links && !with(&[("DISPATCH_MOUSE", "off")]).mouse);
        assert_eq!(with(&[("DISPATCH_NOTIFY", "off")]).notify, Notify::Off);
    }
}
