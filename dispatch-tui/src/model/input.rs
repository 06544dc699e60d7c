//! A text being typed, and what it is for.

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::{IssueId, RepoName, RunId};

/// What a text is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Claim(Vec<IssueId>),
    Answer(RunId),
    Comment(IssueId),
    /// Why a card is split into others.
    Note(IssueId),
    /// What a card waits for.
    Block(IssueId),
    /// A label that no card has yet.
    Label(Vec<IssueId>),
    /// The program for a run by hand.
    Program(IssueId),
    /// What a run by hand is to do.
    Start {
        issue: IssueId,
        program: Option<String>,
    },
    /// How many runs there are to be killed, as proof that they were looked at.
    KillAll(Vec<(RunId, Attempt)>),
    /// What to track.
    Track,
    /// GitHub's token, for tracking this.
    Token(String),
    WipLimit(RepoName),
    /// The lanes that a repository hands out from.
    Lanes(RepoName),
    /// Branch and inputs of a workflow's start.
    Workflow {
        repo: RepoName,
        workflow: String,
    },
    SaveFilter,
    Goto,
    Search,
    /// The words of a filter or of the palette.
    Words,
}

impl Purpose {
    /// Under what an unsent text is kept; none if it is not worth keeping.
    pub(crate) fn draft(&self) -> Option<String> {
        match self {
            Purpose::Answer(run) => Some(format!("answer {run}")),
            Purpose::Comment(issue) => Some(format!("comment {issue}")),
            Purpose::Note(issue) => Some(format!("note {issue}")),
            Purpose::Block(issue) => Some(format!("block {issue}")),
            _ => None,
        }
    }
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

    /// Whether what is typed is not to be seen.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self.purpose, Purpose::Token(_))
    }

    /// Whether Enter makes a new line.
    pub(crate) fn is_long(&self) -> bool {
        matches!(self.purpose, Purpose::Answer(_) | Purpose::Comment(_))
    }

    fn byte(&self, at: usize) -> usize {
        self.text.char_indices().nth(at).map_or(self.text.len(), |(b, _)| b)
    }

    /// Takes another text in place of what was typed; the caret goes to its end.
    pub(crate) fn replace(&mut self, text: &str) {
        (self.text, self.caret) = (String::new(), 0);
        self.insert(text);
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
