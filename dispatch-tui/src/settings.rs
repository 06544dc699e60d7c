//! What the operator wrote down for the client: `client.toml` beside the daemon's configuration. Whatever is wrong in it is
//! said in a sentence, and the rest is used.

use std::path::{Path, PathBuf};

use dispatch_shared::endpoint::config_path;
use toml::{Table, Value};

use crate::keymap::Keymap;
use crate::theme::{Background, Depth, Look, Role, Theme, read_style};

/// The settings, as far as they make sense.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The look; none follows the terminal.
    pub(crate) look: Option<Look>,
    /// Styles of the operator's own.
    colors: Vec<(Role, ratatui::style::Style)>,
    pub(crate) keys: Keymap,
    /// Take the mouse at the start; none leaves it to the command line.
    pub(crate) mouse: Option<bool>,
    /// Only ASCII characters.
    pub(crate) ascii: Option<bool>,
    /// What is wrong, a sentence each.
    pub(crate) complaints: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let keys = Keymap::default();
        Self { look: None, colors: Vec::new(), keys, mouse: None, ascii: None, complaints: Vec::new() }
    }
}

/// Where they are: `client.toml` beside the daemon's configuration.
pub(crate) fn path(get: impl Fn(&str) -> Option<String>) -> PathBuf {
    config_path(get).with_file_name("client.toml")
}

impl Settings {
    /// Reads the file; without one everything is as it comes.
    pub(crate) fn load(path: &Path) -> Settings {
        match std::fs::read_to_string(path) {
            Ok(text) => Settings::read(&text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Settings::default(),
            Err(e) => Settings { complaints: vec![format!("cannot be read: {e}")], ..Settings::default() },
        }
    }

    /// Reads the text of the file.
    pub(crate) fn read(text: &str) -> Settings {
        let mut settings = Settings::default();
        let table: Table = match text.parse() {
            Ok(table) => table,
            Err(e) => {
                let e: toml::de::Error = e;
                let line = e.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
                settings.complaints.push(format!("line {line}: {}", e.message()));
                return settings;
            }
        };
        for (name, value) in &table {
            if let Err(why) = settings.take(name, value) {
                settings.complaints.push(why);
            }
        }
        settings
    }

    fn take(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match (name, value) {
            ("theme", Value::String(text)) if text == "auto" => self.look = None,
            ("theme", Value::String(text)) => {
                self.look = Some(Look::read(text).ok_or_else(|| {
                    let known = Look::ALL.map(Look::name).join(", ");
                    format!("theme: there is no `{text}`: write auto, {known}")
                })?);
            }
            ("mouse", Value::Boolean(on)) => self.mouse = Some(*on),
            ("ascii", Value::Boolean(on)) => self.ascii = Some(*on),
            ("colors" | "colours", Value::Table(table)) => self.colours(table),
            ("keys", Value::Table(table)) => self.keys(table),
            ("theme" | "mouse" | "ascii" | "colors" | "colours" | "keys", other) => {
                let want = match name {
                    "theme" => "a name in quotes",
                    "mouse" | "ascii" => "true or false",
                    _ => "a table",
                };
                return Err(format!("{name}: is {} and has to be {want}", kind(other)));
            }
            _ => return Err(format!("there is no setting `{name}`: theme, mouse, ascii, [colors], [keys]")),
        }
        Ok(())
    }

    fn colours(&mut self, table: &Table) {
        for (name, value) in table {
            let role = Role::ALL.into_iter().find(|r| r.name() == name);
            match (role, value) {
                (Some(role), Value::String(text)) => match read_style(text) {
                    Ok(style) => self.colors.push((role, style)),
                    Err(why) => self.complaints.push(format!("colors.{name}: {why}")),
                },
                (Some(_), other) => {
                    self.complaints
                        .push(format!("colors.{name}: is {} and has to be words in quotes", kind(other)));
                }
                (None, _) => {
                    let known = Role::ALL.map(Role::name).join(", ");
                    self.complaints.push(format!("colors: there is no `{name}`: {known}"));
                }
            }
        }
    }

    /// Takes the operator's keys all together: two may change places, but a conflict gives all of them up, since nobody could
    /// tell which of two meanings a key would have.
    fn keys(&mut self, table: &Table) {
        let mut keys = Keymap::default();
        for (name, value) in table {
            let wanted = match value {
                Value::String(one) => vec![one.clone()],
                Value::Array(all) if all.iter().all(Value::is_str) => {
                    all.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
                }
                other => {
                    self.complaints.push(format!(
                        "keys.{name}: is {} and has to be a key, or a list of keys",
                        kind(other)
                    ));
                    continue;
                }
            };
            if let Err(why) = keys.bind(name, &wanted) {
                self.complaints.push(format!("keys: {why}"));
            }
        }
        let conflicts = keys.conflicts();
        if conflicts.is_empty() {
            self.keys = keys;
        } else {
            let all = conflicts.into_iter().map(|c| format!("keys: {c}; the keys stay as they come"));
            self.complaints.extend(all);
        }
    }

    /// The theme dressed for this terminal: in the look `chosen` on the board, else the settings', else the terminal's own
    /// colours, with the operator's styles on top.
    pub(crate) fn dress(
        &self,
        theme: Theme,
        chosen: Option<&str>,
        background: Background,
        depth: Depth,
    ) -> Theme {
        let look = chosen.and_then(Look::read).or(self.look).unwrap_or_default();
        let mut theme = theme.dressed(look, background, depth);
        for (role, style) in &self.colors {
            theme.styles[*role as usize] = depth.reduce(*style);
        }
        theme
    }

    /// What is wrong, in one sentence for the board.
    pub(crate) fn complaint(&self) -> Option<String> {
        let first = self.complaints.first()?;
        let more = match self.complaints.len() {
            1 => String::new(),
            n => format!(", and {} more", n - 1),
        };
        Some(format!("client.toml: {first}{more} (`dispatch keys --check` says all)"))
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use ratatui::style::{Color, Modifier};

    use super::*;
    use crate::keymap::Action;

    #[test]
    fn keys_colours_and_look_are_taken() {
        let settings = Settings::read(
            "theme = \"dark\"\nmouse = false\n[colors]\nalarm = \"bold #ff0000\"\n[keys]\nkill = \"C-k\"\nmove = [\"m\", \"F5\"]\n",
        );
        assert_eq!(settings.complaints, Vec::<String>::new());
        assert_eq!((settings.look, settings.mouse), (Some(Look::Dark), Some(false)));
        assert_eq!(settings.keys.names(Action::Move), "m F5");
        let theme = settings.dress(Theme::default(), None, Background::Dark, Depth::True);
        let alarm = theme.style(Role::Alarm);
        assert_eq!((alarm.fg, alarm.add_modifier), (Some(Color::Rgb(255, 0, 0)), Modifier::BOLD));
        assert_eq!(
            settings.dress(Theme::default(), None, Background::Dark, Depth::Sixteen).style(Role::Alarm).fg,
            Some(Color::Red)
        );
        assert_eq!(
            settings
                .dress(Theme::default(), Some("mono"), Background::Dark, Depth::True)
                .style(Role::Done)
                .fg,
            None,
            "what is chosen on the board counts for more"
        );
    }

    #[test]
    fn what_is_wrong_is_said_and_the_rest_is_used() {
        let settings = Settings::read(
            "theme = \"solarized\"\nmouse = 3\nfoo = 1\n[colors]\nalarm = \"shiny\"\nlamp = \"red\"\nwaiting = \"bold\"\n[keys]\nkil = \"k\"\nretry = 4\nmove = \"Hyper-x\"\n",
        );
        let all = settings.complaints.join("\n");
        for part in [
            "`solarized`",
            "mouse: is a number",
            "`foo`",
            "`shiny`",
            "`lamp`",
            "is `kill` meant?",
            "keys.retry",
            "`Hyper-x`",
        ] {
            assert!(all.contains(part), "{part} is not in:\n{all}");
        }
        assert_eq!(settings.complaints.len(), 8, "{all}");
        assert_eq!(settings.colors.len(), 1);
    }

    #[test]
    fn two_keys_may_change_places_and_a_conflict_changes_none() {
        let swapped = Settings::read("[keys]\nkill = \"r\"\nretry = \"x\"\n");
        assert_eq!((swapped.complaints.len(), swapped.keys.name(Action::Kill).as_str()), (0, "r"));
        let clash = Settings::read("[keys]\nkill = \"r\"\n");
        assert_eq!(clash.complaints, ["keys: r does both `retry` and `kill`; the keys stay as they come"]);
        assert_eq!(clash.keys.name(Action::Kill), "x");
    }

    #[test]
    fn a_file_that_is_no_toml_is_named_by_its_line() {
        let settings = Settings::read("theme = \"dark\"\n[keys\n");
        assert!(
            settings.complaint().unwrap().starts_with("client.toml: line 2: "),
            "{:?}",
            settings.complaint()
        );
    }

    #[test]
    fn the_example_is_true() {
        let example = include_str!("../../assets/client.example.toml");
        assert_eq!(Settings::read(example).complaints, Vec::<String>::new());
        let is_setting = |line: &&str| {
            line.starts_with("# [") || line.strip_prefix("# ").is_some_and(|l| l.contains(" = "))
        };
        let in_force: String =
            example.lines().filter(is_setting).map(|l| format!("{}\n", l.trim_start_matches("# "))).collect();
        let settings = Settings::read(&in_force);
        assert_eq!(settings.complaints, Vec::<String>::new(), "{in_force}");
        assert_eq!(settings.colors.len(), Role::ALL.len(), "every role is shown");
        assert_eq!(settings.keys.names(Action::KillAll), "C-x");
    }
}
