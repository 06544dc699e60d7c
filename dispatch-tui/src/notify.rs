//! Tells the operator, who looks elsewhere, that something needs them: through the terminal, which knows its window, or
//! through the desktop. No library speaks to the desktop: those that do bring a whole message bus with them, for what
//! `notify-send` and `osascript` do as programs.

use std::process::Stdio;

/// How the operator is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notify {
    /// As the surroundings allow: the desktop where there is one, else the terminal.
    #[default]
    Auto,
    /// Not at all.
    Off,
    /// OSC 9: iTerm2, WezTerm, Windows Terminal, kitty, Ghostty.
    Osc9,
    /// OSC 777: foot, VTE's terminals, urxvt, Ghostty.
    Osc777,
    /// `notify-send`, or `osascript` on macOS.
    Desktop,
    /// Only the bell.
    Bell,
}

impl Notify {
    /// Reads `DISPATCH_NOTIFY`; what is not known is `Auto`.
    pub(crate) fn read(word: &str) -> Self {
        match word {
            "off" | "no" | "0" => Notify::Off,
            "osc9" => Notify::Osc9,
            "osc777" => Notify::Osc777,
            "desktop" => Notify::Desktop,
            "bell" => Notify::Bell,
            _ => Notify::Auto,
        }
    }

    /// What `Auto` comes to here.
    pub(crate) fn settle(self, get: impl Fn(&str) -> Option<String>) -> Self {
        if self != Notify::Auto {
            return self;
        }
        let set = |name: &str| get(name).is_some_and(|value| !value.is_empty());
        let here = !set("SSH_CONNECTION") && !set("SSH_TTY");
        let shown = set("WAYLAND_DISPLAY") || set("DISPLAY") || cfg!(target_os = "macos");
        if here && shown && command("", "").is_some_and(|(program, _)| on_path(program, &get)) {
            return Notify::Desktop;
        }
        let program = get("TERM_PROGRAM").unwrap_or_default();
        let term = get("TERM").unwrap_or_default();
        match (program.as_str(), term.as_str()) {
            ("iTerm.app" | "WezTerm" | "ghostty", _) | (_, "xterm-kitty") => Notify::Osc9,
            (_, "foot" | "foot-extra" | "rxvt-unicode-256color") => Notify::Osc777,
            _ if set("VTE_VERSION") => Notify::Osc777,
            // A terminal that is not known might print what it does not understand.
            _ => Notify::Bell,
        }
    }
}

fn on_path(program: &str, get: impl Fn(&str) -> Option<String>) -> bool {
    let path = get("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// The program that tells the desktop, and its arguments.
fn command(title: &str, body: &str) -> Option<(&'static str, Vec<String>)> {
    if cfg!(target_os = "macos") {
        // The text is an argument of the script, never a part of it.
        let script =
            "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run";
        return Some(("osascript", vec!["-e".into(), script.into(), title.into(), body.into()]));
    }
    if cfg!(unix) {
        let words = ["--app-name=dispatch", "--", title, body].map(str::to_owned);
        return Some(("notify-send", words.to_vec()));
    }
    None
}

/// Tells the desktop; whether that was possible.
pub(crate) async fn desktop(title: &str, body: &str) -> bool {
    // `<` and `&` would be markup to some desktops.
    let plain = body.replace('&', "&amp;").replace('<', "&lt;");
    let body = if cfg!(target_os = "macos") { body } else { plain.as_str() };
    let Some((program, args)) = command(title, body) else { return false };
    let mut command = tokio::process::Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let told = tokio::time::timeout(std::time::Duration::from_secs(10), command.status()).await;
    told.is_ok_and(|status| status.is_ok_and(|s| s.success()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &'static [(&'static str, &'static str)]) -> Notify {
        let get = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Notify::Auto.settle(get)
    }

    #[test]
    fn the_surroundings_decide_and_a_word_overrules_them() {
        assert_eq!(with(&[("TERM_PROGRAM", "WezTerm")]), Notify::Osc9);
        assert_eq!(with(&[("TERM", "foot")]), Notify::Osc777);
        assert_eq!(with(&[("VTE_VERSION", "7600"), ("TERM", "xterm-256color")]), Notify::Osc777);
        assert_eq!(with(&[("DISPLAY", ":0"), ("PATH", "/nowhere")]), Notify::Bell, "no program for it");
        assert_eq!(with(&[]), Notify::Bell);
        assert_eq!(Notify::read("off").settle(|_| Some("x".into())), Notify::Off);
        assert_eq!(Notify::read("anything"), Notify::Auto);
    }

    #[test]
    fn what_is_told_is_an_argument_and_no_option() {
        let (_, args) = command("--help", "$(reboot)").unwrap();
        assert!(args.iter().any(|a| a == "--") || cfg!(target_os = "macos"));
        assert!(args.contains(&"$(reboot)".to_owned()));
    }
}
