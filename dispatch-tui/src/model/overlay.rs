//! What lies above a view: one stack, the last one has the keys.

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::{ClaimId, IssueId, RunId};
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::issues::WhyRule;
use ratatui::text::Line;

use super::log::LogPane;
use crate::keymap::{Action, Context};

/// A layer.
#[derive(Clone, Debug)]
pub(crate) enum Overlay {
    Card(Box<CardPane>),
    Log(Box<LogPane>),
    Help { scroll: usize },
    Move(MoveMenu),
    Actions(ActionMenu),
    Confirm(Confirm),
    Input(Input),
}

impl Overlay {
    /// Whose keys are valid while it is on top.
    pub(crate) fn context(&self) -> Context {
        match self {
            Overlay::Card(_) => Context::Card,
            Overlay::Log(_) => Context::Log,
            Overlay::Help { .. } => Context::Help,
            Overlay::Move(_) | Overlay::Actions(_) => Context::Menu,
            Overlay::Confirm(_) => Context::Confirm,
            Overlay::Input(_) => Context::Input,
        }
    }
}

/// A card's details.
#[derive(Clone, Debug)]
pub(crate) struct CardPane {
    pub(crate) issue: IssueId,
    /// The body, rendered; `None` until it came.
    pub(crate) body: Option<Vec<Line<'static>>>,
    /// Why it could not be had.
    pub(crate) failed: Option<String>,
    /// Why it is or is not next; empty until it came.
    pub(crate) why: Vec<WhyRule>,
    pub(crate) scroll: usize,
}

/// Choosing a column.
#[derive(Clone, Debug)]
pub(crate) struct MoveMenu {
    pub(crate) issue: IssueId,
    pub(crate) choice: Status,
}

/// Choosing a verb.
#[derive(Clone, Debug)]
pub(crate) struct ActionMenu {
    pub(crate) choice: Action,
}

/// A question before something that cannot be taken back. It holds what it is about; when that changes it closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Confirm {
    Kill { run: RunId, attempt: Attempt },
    Release { issue: IssueId, claim: ClaimId, agent: String },
    ForceClaim { issue: IssueId, agent: String, why: String },
}

/// What a text is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Claim(IssueId),
    Answer(RunId),
    Filter,
    Goto,
    Search,
}

/// A text being typed.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) purpose: Purpose,
    pub(crate) text: String,
    /// The place of the caret, in characters.
    pub(crate) caret: usize,
}

impl Input {
    pub(crate) fn new(purpose: Purpose, text: String) -> Self {
        let caret = text.chars().count();
        Self { purpose, text, caret }
    }

    /// Whether Enter makes a new line.
    pub(crate) fn is_long(&self) -> bool {
        matches!(self.purpose, Purpose::Answer(_))
    }

    fn byte(&self, at: usize) -> usize {
        self.text.char_indices().nth(at).map_or(self.text.len(), |(b, _)| b)
    }

    /// Puts `text` in at the caret; line breaks only where they are wanted.
    pub(crate) fn insert(&mut self, text: &str) {
        let long = self.is_long();
        let text: String = text
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .chars()
            .filter(|c| !c.is_control() || (long && *c == '\n'))
            .collect();
        self.text.insert_str(self.byte(self.caret), &text);
        self.caret += text.chars().count();
    }

    /// Takes away the characters from `from` up to the caret, or after it.
    pub(crate) fn erase(&mut self, from: usize, to: usize) {
        let (a, b) = (self.byte(from), self.byte(to));
        self.text.replace_range(a..b, "");
        self.caret = from;
    }

    /// The start of the word before the caret.
    pub(crate) fn word_start(&self) -> usize {
        let chars: Vec<char> = self.text.chars().take(self.caret).collect();
        let end = chars.iter().rposition(|c| !c.is_whitespace()).map_or(0, |p| p + 1);
        chars[..end].iter().rposition(|c| c.is_whitespace()).map_or(0, |p| p + 1)
    }
}
