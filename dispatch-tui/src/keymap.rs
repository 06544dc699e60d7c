//! The one table of keys: what each does, where it is valid, and the words that footer, help and actions menu show.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::model::View;

/// Where the keyboard goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// The board's columns.
    Board,
    /// A view that is one list.
    List,
    /// The card's details.
    Card,
    /// A log or a diff.
    Log,
    /// A menu: moving, actions.
    Menu,
    /// A question that wants yes or no.
    Confirm,
    /// A line or text being typed.
    Input,
    /// The help.
    Help,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Show(View),
    LastView,
    Back,
    Close,
    Quit,
    Help,
    Actions,
    Goto,
    Filter,
    Freeze,
    Undo,
    Mouse,
    Resync,
    Redraw,
    Suspend,
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
    NextProblem,
    PrevProblem,
    Enter,
    Answer,
    Browser,
    Claim,
    Diff,
    Move,
    ShiftLeft,
    ShiftRight,
    OpenLog,
    Retry,
    Sync,
    Release,
    Kill,
    Copy,
    Hide,
    Follow,
    Wrap,
    Search,
    NextMatch,
    PrevMatch,
    Yes,
    No,
    Now,
    Send,
}

/// A key as it is written in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    code: KeyCode,
    ctrl: bool,
}

const fn ch(c: char) -> Key {
    Key { code: KeyCode::Char(c), ctrl: false }
}

const fn ctrl(c: char) -> Key {
    Key { code: KeyCode::Char(c), ctrl: true }
}

const fn key(code: KeyCode) -> Key {
    Key { code, ctrl: false }
}

impl Key {
    fn is(self, event: &KeyEvent) -> bool {
        self.code == event.code
            && self.ctrl == event.modifiers.contains(KeyModifiers::CONTROL)
            && !event.modifiers.contains(KeyModifiers::ALT)
    }

    /// As the help writes it.
    pub(crate) fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::F(n) => format!("F{n}"),
            other => format!("{other:?}"),
        };
        if self.ctrl { format!("C-{name}") } else { name }
    }
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) action: Action,
    pub(crate) keys: &'static [Key],
    pub(crate) at: &'static [Context],
    /// The word in the footer.
    pub(crate) label: &'static str,
    /// The sentence in the help.
    pub(crate) help: &'static str,
    /// Under which heading the help puts it.
    pub(crate) group: &'static str,
}

use Context::{Board, Card, Confirm, Help, Input, List, Log, Menu};

const EVERYWHERE: &[Context] = &[Board, List, Card, Log, Help];
const SCROLLS: &[Context] = &[Board, List, Card, Log, Menu, Help];
const SUBJECT: &[Context] = &[Board, List, Card, Log];
const CARDS: &[Context] = &[Board, List, Card];
const LISTS: &[Context] = &[Board, List];

macro_rules! table {
    ($($group:literal: { $($action:expr, [$($key:expr),+], $at:expr, $label:literal, $help:literal;)+ })+) => {
        &[$($(Binding { action: $action, keys: &[$($key),+], at: $at, label: $label, help: $help, group: $group }),+),+]
    };
}

/// The table.
pub(crate) const TABLE: &[Binding] = table! {
    "Verbs": {
        Action::Answer, [ch('a')], SUBJECT, "answer", "Answer the agent's question; the answer is in its next prompt";
        Action::OpenLog, [ch('o')], CARDS, "log", "Show what the run puts out";
        Action::Diff, [ch('d')], SUBJECT, "diff", "Show what the run changed";
        Action::Move, [ch('m')], SUBJECT, "move", "Move the card to another column";
        Action::ShiftLeft, [ch('H')], SUBJECT, "shift left", "Move the card one column to the left";
        Action::ShiftRight, [ch('L')], SUBJECT, "shift right", "Move the card one column to the right";
        Action::Claim, [ch('c')], SUBJECT, "claim for", "Claim the card for an agent by name";
        Action::Release, [ch('u')], SUBJECT, "release", "End the claim on the card";
        Action::Retry, [ch('r')], SUBJECT, "retry", "Try the ended run again";
        Action::Kill, [ch('x')], SUBJECT, "kill", "End the run: TERM, a grace, KILL";
        Action::Browser, [ch('b')], SUBJECT, "URL", "Show the address of the pull request or issue, and copy it";
        Action::Copy, [ch('y')], SUBJECT, "copy", "Copy the card's name, or the run's id";
        Action::Sync, [ch('S')], SUBJECT, "sync", "Ask the forge for news of the repository now";
        Action::Hide, [key(KeyCode::Backspace)], &[List], "hide", "Hide the problem until the board is started anew";
    }
    "Views": {
        Action::Show(View::Board), [ch('1')], EVERYWHERE, "Board", "Cards by column";
        Action::Show(View::Problems), [ch('2')], EVERYWHERE, "Problems", "What wants a person, most urgent first";
        Action::Show(View::Runs), [ch('3')], EVERYWHERE, "Runs", "Live runs, then ended ones";
        Action::Show(View::Queue), [ch('4')], EVERYWHERE, "Queue", "What is handed out next, and what is withheld";
        Action::Show(View::Agents), [ch('5')], EVERYWHERE, "Agents", "Who works";
        Action::Show(View::Repos), [ch('6')], EVERYWHERE, "Repos", "Tracked repositories and their syncs";
        Action::Show(View::Activity), [ch('7')], EVERYWHERE, "Activity", "Who did what";
        Action::Show(View::Overview), [ch('8')], EVERYWHERE, "Overview", "Numbers";
        Action::LastView, [ch('-')], EVERYWHERE, "last view", "Back to the view before this one";
        Action::NextProblem, [ch(']')], EVERYWHERE, "next problem", "Go to the next problem";
        Action::PrevProblem, [ch('[')], EVERYWHERE, "previous problem", "Go to the problem before";
        Action::Goto, [ch('#')], EVERYWHERE, "go to", "Go to a card by its number";
        Action::Filter, [ch('/')], LISTS, "filter", "Show only cards with all of the words";
    }
    "Moving about": {
        Action::Up, [ch('k'), key(KeyCode::Up)], SCROLLS, "up", "Up";
        Action::Down, [ch('j'), key(KeyCode::Down)], SCROLLS, "down", "Down";
        Action::Left, [ch('h'), key(KeyCode::Left)], SCROLLS, "left", "Left: the column before, or sideways in a log";
        Action::Right, [ch('l'), key(KeyCode::Right)], SCROLLS, "right", "Right: the next column, or sideways in a log";
        Action::Top, [ch('g'), key(KeyCode::Home)], SCROLLS, "top", "To the first";
        Action::Bottom, [ch('G'), key(KeyCode::End)], SCROLLS, "bottom", "To the last";
        Action::PageUp, [key(KeyCode::PageUp)], SCROLLS, "page up", "One page up";
        Action::PageDown, [key(KeyCode::PageDown)], SCROLLS, "page down", "One page down";
        Action::HalfUp, [ctrl('u')], SCROLLS, "half up", "Half a page up";
        Action::HalfDown, [ctrl('d')], SCROLLS, "half down", "Half a page down";
        Action::ScrollUp, [ch('K')], CARDS, "scroll up", "Scroll the details up";
        Action::ScrollDown, [ch('J')], CARDS, "scroll down", "Scroll the details down";
        Action::Enter, [key(KeyCode::Enter)], &[Board, List, Card, Log, Menu, Help, Input], "open", "Open; choose; in a text, a new line";
        Action::Back, [key(KeyCode::Esc)], &[Board, List, Card, Log, Menu, Help, Input], "back", "Undo one layer: input, filter, overlay; then nothing";
        Action::Close, [ch('q')], &[Board, List, Card, Log, Menu, Help], "close", "Close the overlay; without one, quit";
    }
    "Log": {
        Action::Follow, [ch('f')], &[Log], "follow", "Go to the end and stay there";
        Action::Search, [ch('/')], &[Log], "search", "Find text";
        Action::NextMatch, [ch('n')], &[Log], "next match", "The next match";
        Action::PrevMatch, [ch('N')], &[Log], "previous match", "The match before";
        Action::Wrap, [ch('w')], &[Log], "wrap", "Wrap long lines, or not";
    }
    "Global": {
        Action::Actions, [ch('.')], SUBJECT, "all", "Every verb, and why some are not possible now";
        Action::Help, [ch('?'), key(KeyCode::F(1))], EVERYWHERE, "help", "This help";
        Action::Freeze, [ch('F')], EVERYWHERE, "freeze", "Hand out nothing more, or go on";
        Action::Undo, [ch('z')], SUBJECT, "undo", "Undo the last move";
        Action::Mouse, [ch('M')], EVERYWHERE, "mouse", "Take the mouse, or leave it to the terminal";
        Action::Resync, [ctrl('r')], EVERYWHERE, "reload", "Ask the daemon for everything again";
        Action::Redraw, [ctrl('l')], EVERYWHERE, "redraw", "Draw the screen anew";
        Action::Suspend, [ctrl('z')], &[Board, List, Card, Log, Menu, Confirm, Input, Help], "suspend", "Back to the shell; fg returns";
        Action::Quit, [ctrl('c')], &[Board, List, Card, Log, Menu, Confirm, Input, Help], "quit", "Quit; runs go on in the daemon";
    }
    "Questions": {
        Action::Yes, [ch('y'), ch('Y')], &[Confirm], "yes", "Do it";
        Action::No, [ch('n'), ch('N'), ch('q'), key(KeyCode::Esc), key(KeyCode::Enter)], &[Confirm], "no", "Leave it";
        Action::Now, [ch('x')], &[Confirm], "now", "Kill without a grace";
        Action::Send, [ctrl('s')], &[Input], "send", "Send the text";
    }
};

/// What `event` does in `context`.
pub(crate) fn lookup(context: Context, event: &KeyEvent) -> Option<Action> {
    TABLE.iter().find(|b| b.at.contains(&context) && b.keys.iter().any(|k| k.is(event))).map(|b| b.action)
}

/// The row of `action`.
pub(crate) fn binding(action: Action) -> &'static Binding {
    TABLE.iter().find(|b| b.action == action).expect("invariant: a test holds that every action has a row")
}

/// The first key of `action`, as the footer writes it.
pub(crate) fn key_of(action: Action) -> String {
    binding(action).keys.first().map(|k| k.name()).unwrap_or_default()
}

/// The verbs in the order in which footer and actions menu offer them.
pub(crate) fn verbs() -> impl Iterator<Item = &'static Binding> {
    TABLE.iter().filter(|b| b.group == "Verbs")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXTS: [Context; 8] = [Board, List, Card, Log, Menu, Confirm, Input, Help];

    #[test]
    fn no_key_is_bound_twice_in_one_context() {
        for context in CONTEXTS {
            let mut seen: Vec<(Key, Action)> = Vec::new();
            for binding in TABLE.iter().filter(|b| b.at.contains(&context)) {
                for key in binding.keys {
                    if let Some((_, other)) = seen.iter().find(|(k, _)| k == key) {
                        panic!("{} does {other:?} and {:?} in {context:?}", key.name(), binding.action);
                    }
                    seen.push((*key, binding.action));
                }
            }
        }
    }

    #[test]
    fn every_action_has_one_row_and_every_row_has_words() {
        for (at, binding) in TABLE.iter().enumerate() {
            assert!(TABLE[..at].iter().all(|b| b.action != binding.action), "{:?} twice", binding.action);
            assert!(!binding.label.is_empty() && !binding.help.is_empty());
        }
    }

    #[test]
    fn every_context_can_be_left() {
        for context in CONTEXTS {
            let esc = KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE);
            assert!(matches!(lookup(context, &esc), Some(Action::Back | Action::No)), "{context:?}");
        }
    }

    #[test]
    fn shifted_letters_are_their_own_keys() {
        let shifted = KeyEvent::new(KeyCode::Char('L'), KeyModifiers::SHIFT);
        assert_eq!(lookup(Board, &shifted), Some(Action::ShiftRight));
        let ctrl_l = KeyEvent::new(KeyCode::Char('l'), KeyModifiers::CONTROL);
        assert_eq!(lookup(Board, &ctrl_l), Some(Action::Redraw));
    }
}
