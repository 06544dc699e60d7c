//! The one table of keys: what each does, where it is valid, and the words that footer, help and actions menu show. The
//! rows are in `table`; an operator may give any of them other keys.

mod table;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::model::View;
pub(crate) use table::TABLE;

/// Where the keyboard goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// The board's columns.
    Board,
    /// A view that is one list.
    List,
    /// An opened repository.
    Repo,
    /// The card's details.
    Card,
    /// A log or a diff.
    Log,
    /// A menu: moving, actions, labels.
    Menu,
    /// A question that wants yes or no.
    Confirm,
    /// A line or text being typed.
    Input,
    /// The help.
    Help,
    /// Finding a command or a card.
    Palette,
    /// The filter's fields.
    Filter,
}

impl Context {
    pub(crate) const ALL: [Context; 11] = [
        Context::Board,
        Context::List,
        Context::Card,
        Context::Log,
        Context::Menu,
        Context::Confirm,
        Context::Input,
        Context::Help,
        Context::Palette,
        Context::Filter,
        Context::Repo,
    ];

    /// Whether letters are text here, so that no command may be bound to one.
    pub(crate) fn types(self) -> bool {
        matches!(self, Context::Input | Context::Palette | Context::Filter)
    }
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Answer,
    OpenLog,
    Events,
    Diff,
    Phases,
    Move,
    ShiftLeft,
    ShiftRight,
    Claim,
    Release,
    Retry,
    Kill,
    Priority,
    Labels,
    Comment,
    Start,
    Rerun,
    Browser,
    Copy,
    Sync,
    Hide,
    Show(View),
    LastView,
    NextProblem,
    PrevProblem,
    Goto,
    Filter,
    Options,
    Sort,
    Mark,
    Range,
    MarkAll,
    Up,
    Down,
    Left,
    Right,
    Top,
    Bottom,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    ScrollUp,
    ScrollDown,
    NextPane,
    PrevPane,
    Enter,
    Back,
    Close,
    Follow,
    Search,
    NextMatch,
    PrevMatch,
    Wrap,
    Times,
    Level,
    NextFile,
    PrevFile,
    NextRun,
    PrevRun,
    Palette,
    Actions,
    Help,
    Freeze,
    Undo,
    Mouse,
    Resync,
    Redraw,
    Suspend,
    Quit,
    Lane,
    Note,
    Block,
    ResetReady,
    Refresh,
    KillAll,
    Resume,
    Track,
    Untrack,
    Runner,
    WipLimit,
    Theme,
    Yes,
    No,
    Now,
    Send,
    Editor,
    ChoiceUp,
    ChoiceDown,
    NextField,
    PrevField,
    SaveFilter,
    ForgetFilter,
}

/// A key as it is written in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    code: KeyCode,
    ctrl: bool,
    alt: bool,
}

const fn ch(c: char) -> Key {
    key(KeyCode::Char(c))
}

const fn ctrl(c: char) -> Key {
    Key { code: KeyCode::Char(c), ctrl: true, alt: false }
}

const fn key(code: KeyCode) -> Key {
    Key { code, ctrl: false, alt: false }
}

/// Keys that are written as words.
const WORDS: [(&str, KeyCode); 15] = [
    ("Space", KeyCode::Char(' ')),
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("S-Tab", KeyCode::BackTab),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
];

impl Key {
    fn is(self, event: &KeyEvent) -> bool {
        self.code == event.code
            && self.ctrl == event.modifiers.contains(KeyModifiers::CONTROL)
            && self.alt == event.modifiers.contains(KeyModifiers::ALT)
    }

    /// Whether pressing it where text is typed would type something.
    pub(crate) fn types(self) -> bool {
        matches!(self.code, KeyCode::Char(_)) && !self.ctrl && !self.alt
    }

    /// As the help writes it.
    pub(crate) fn name(self) -> String {
        let name = match self.code {
            KeyCode::F(n) => format!("F{n}"),
            code => match (WORDS.iter().find(|(_, c)| *c == code), code) {
                (Some((word, _)), _) => (*word).to_owned(),
                (None, KeyCode::Char(c)) => c.to_string(),
                (None, other) => format!("{other:?}"),
            },
        };
        format!("{}{}{name}", if self.ctrl { "C-" } else { "" }, if self.alt { "A-" } else { "" })
    }

    /// Reads what [`Key::name`] writes.
    ///
    /// # Errors
    /// A sentence that says how keys are written.
    pub(crate) fn read(text: &str) -> Result<Key, String> {
        let (rest, ctrl) = text.strip_prefix("C-").map_or((text, false), |rest| (rest, true));
        let (rest, alt) = rest.strip_prefix("A-").map_or((rest, false), |rest| (rest, true));
        let word = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(rest)).map(|(_, code)| *code);
        let function =
            || rest.strip_prefix('F')?.parse().ok().filter(|n| (1..=24).contains(n)).map(KeyCode::F);
        let mut chars = rest.chars();
        let single = match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_control() => Some(KeyCode::Char(c)),
            _ => None,
        };
        match single.or(word).or_else(function) {
            Some(code) => Ok(Key { code, ctrl, alt }),
            None => Err(format!(
                "`{text}` is no key: write one character, C-x, A-x, F5, or one of {}",
                WORDS.map(|(word, _)| word).join(", ")
            )),
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) action: Action,
    /// The keys that it has unless the operator chose others.
    pub(crate) keys: &'static [Key],
    pub(crate) at: &'static [Context],
    /// The word in the footer; with hyphens for spaces its name in the settings.
    pub(crate) label: &'static str,
    /// The sentence in the help.
    pub(crate) help: &'static str,
    /// Under which heading the help puts it.
    pub(crate) group: &'static str,
}

impl Binding {
    /// Its name in the settings: `re-run-ci`.
    pub(crate) fn name(&self) -> String {
        self.label.to_lowercase().replace(' ', "-")
    }
}

/// The row of `action`.
pub(crate) fn binding(action: Action) -> &'static Binding {
    TABLE.iter().find(|b| b.action == action).expect("invariant: a test holds that every action has a row")
}

/// The verbs in the order in which footer and actions menu offer them.
pub(crate) fn verbs() -> impl Iterator<Item = &'static Binding> {
    TABLE.iter().filter(|b| b.group == "Verbs")
}

/// The table with the keys that are in force: those of the rows, or the operator's own.
#[derive(Clone, Debug)]
pub(crate) struct Keymap {
    /// In the order of the rows.
    keys: Vec<Vec<Key>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self { keys: TABLE.iter().map(|b| b.keys.to_vec()).collect() }
    }
}

impl Keymap {
    fn rows(&self) -> impl Iterator<Item = (&'static Binding, &[Key])> {
        TABLE.iter().zip(self.keys.iter().map(Vec::as_slice))
    }

    /// What `event` does in `context`.
    pub(crate) fn lookup(&self, context: Context, event: &KeyEvent) -> Option<Action> {
        self.rows()
            .find(|(b, keys)| b.at.contains(&context) && keys.iter().any(|k| k.is(event)))
            .map(|(b, _)| b.action)
    }

    /// The keys of `action`.
    pub(crate) fn keys(&self, action: Action) -> &[Key] {
        self.rows().find(|(b, _)| b.action == action).map_or(&[], |(_, keys)| keys)
    }

    /// The first key of `action`, as the footer writes it; empty if it has none.
    pub(crate) fn name(&self, action: Action) -> String {
        self.keys(action).first().map(|k| k.name()).unwrap_or_default()
    }

    /// All keys of `action`, as the help writes them.
    pub(crate) fn names(&self, action: Action) -> String {
        self.keys(action).iter().map(|k| k.name()).collect::<Vec<_>>().join(" ")
    }

    /// The first keys of two actions that belong together: `n N`.
    pub(crate) fn pair(&self, a: Action, b: Action) -> String {
        format!("{} {}", self.name(a), self.name(b)).trim().to_owned()
    }

    /// Gives the row with this name other keys; none takes its keys away.
    ///
    /// # Errors
    /// A sentence if there is no such row, or a key cannot be read, or would swallow what is typed into a text.
    pub(crate) fn bind(&mut self, name: &str, keys: &[String]) -> Result<(), String> {
        let at = TABLE.iter().position(|b| b.name() == name).ok_or_else(|| {
            let near =
                TABLE.iter().map(Binding::name).find(|n| n.starts_with(name) || name.starts_with(n.as_str()));
            let near = near.map(|n| format!("; is `{n}` meant?")).unwrap_or_default();
            format!("there is no command `{name}`{near} `dispatch keys` lists them")
        })?;
        let keys: Vec<Key> = keys
            .iter()
            .map(|k| Key::read(k))
            .collect::<Result<_, _>>()
            .map_err(|e| format!("{name}: {e}"))?;
        if let Some(key) = keys.iter().find(|k| k.types() && TABLE[at].at.iter().any(|c| c.types())) {
            return Err(format!(
                "{name}: `{}` is typed into texts and cannot be a command there",
                key.name()
            ));
        }
        self.keys[at] = keys;
        Ok(())
    }

    /// Where one key does two things, in words; and a context that could not be left any more.
    pub(crate) fn conflicts(&self) -> Vec<String> {
        let mut found = Vec::new();
        for context in Context::ALL {
            let mut seen: Vec<(Key, &Binding)> = Vec::new();
            for (binding, keys) in self.rows().filter(|(b, _)| b.at.contains(&context)) {
                for key in keys {
                    match seen.iter().find(|(k, _)| k == key) {
                        Some((_, other)) => found.push(format!(
                            "{} does both `{}` and `{}`",
                            key.name(),
                            other.name(),
                            binding.name()
                        )),
                        None => seen.push((*key, binding)),
                    }
                }
            }
            if !seen.iter().any(|(_, b)| matches!(b.action, Action::Back | Action::No)) {
                found.push(format!("`back` or `no` has no key, so that there is no way out of {context:?}"));
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Context::Board;
    use super::*;

    #[test]
    fn no_key_is_bound_twice_in_one_context_and_every_context_can_be_left() {
        assert_eq!(Keymap::default().conflicts(), Vec::<String>::new());
        for context in Context::ALL {
            let esc = KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE);
            let action = Keymap::default().lookup(context, &esc);
            assert!(matches!(action, Some(Action::Back | Action::No)), "{context:?}");
        }
    }

    #[test]
    fn no_letter_means_two_things_but_in_questions() {
        let rows: Vec<_> = TABLE.iter().filter(|b| b.group != "Questions and texts").collect();
        for (at, binding) in rows.iter().enumerate() {
            for key in binding.keys.iter().filter(|k| k.types()) {
                let other = rows[..at].iter().find(|b| b.keys.contains(key));
                // Finding is `/` everywhere: cards on a board, text in a log.
                assert!(
                    other.is_none() || key.name() == "/",
                    "{} is {:?} and {:?}",
                    key.name(),
                    other,
                    binding.action
                );
            }
        }
    }

    #[test]
    fn where_text_is_typed_no_command_is_a_letter() {
        for binding in TABLE.iter().filter(|b| b.at.iter().any(|c| c.types())) {
            assert!(!binding.keys.iter().any(|k| k.types()), "{:?}", binding.action);
        }
    }

    #[test]
    fn every_action_has_one_row_and_every_row_a_name_of_its_own_and_words() {
        for (at, binding) in TABLE.iter().enumerate() {
            assert!(TABLE[..at].iter().all(|b| b.action != binding.action), "{:?} twice", binding.action);
            assert!(TABLE[..at].iter().all(|b| b.name() != binding.name()), "`{}` twice", binding.name());
            assert!(!binding.label.is_empty() && !binding.help.is_empty());
        }
    }

    #[test]
    fn shifted_letters_are_their_own_keys() {
        let keys = Keymap::default();
        let shifted = KeyEvent::new(KeyCode::Char('L'), KeyModifiers::SHIFT);
        assert_eq!(keys.lookup(Board, &shifted), Some(Action::ShiftRight));
        let ctrl_l = KeyEvent::new(KeyCode::Char('l'), KeyModifiers::CONTROL);
        assert_eq!(keys.lookup(Board, &ctrl_l), Some(Action::Redraw));
    }

    #[test]
    fn every_key_of_the_table_is_read_as_it_is_written() {
        for key in TABLE.iter().flat_map(|b| b.keys) {
            assert_eq!(Key::read(&key.name()), Ok(*key), "{}", key.name());
        }
        assert!(Key::read("C-").is_err());
        assert!(Key::read("Hyper-x").unwrap_err().contains("is no key"));
    }

    #[test]
    fn an_operators_keys_replace_the_rows_and_conflicts_are_named() {
        let mut keys = Keymap::default();
        keys.bind("kill", &["C-k".to_owned()]).unwrap();
        assert_eq!((keys.name(Action::Kill).as_str(), keys.conflicts().len()), ("C-k", 0));
        keys.bind("retry", &["C-k".to_owned()]).unwrap();
        assert_eq!(keys.conflicts(), ["C-k does both `retry` and `kill`"]);
        assert!(keys.bind("kil", &[]).unwrap_err().contains("is `kill` meant?"));
        assert!(keys.bind("send", &["s".to_owned()]).unwrap_err().contains("typed into texts"));
        keys.bind("back", &[]).unwrap();
        assert!(keys.conflicts().iter().any(|c| c.contains("no way out")));
    }
}
