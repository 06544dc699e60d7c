//! One shape for what every program says.

use dispatch_shared::run::Usage;
use serde::{Deserialize, Serialize};

/// An event's text is cut to so many characters.
pub(super) const TEXT_MAX: usize = 4_000;

/// What sort of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A session began or was taken up again: its id, and the model where it is told.
    Session,
    /// The program speaks.
    Text,
    /// It uses a tool.
    Tool,
    /// What the tool gave back.
    ToolResult,
    /// What was used so far, with the cost where the program tells.
    Usage,
    /// The model could not be asked, and will be asked again.
    Retry,
    /// Something went wrong.
    Error,
    /// It is over, as the program says.
    Result,
    /// A line that is no event.
    Output,
    /// The runner speaks.
    Note,
}

/// One event of a run, as `events.jsonl` keeps it beside its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What sort.
    pub kind: Kind,
    /// For a person; may have several lines.
    pub text: String,
}

impl Event {
    pub(super) fn new(kind: Kind, text: impl AsRef<str>) -> Self {
        let text = text.as_ref().trim();
        let mut cut: String = text.chars().take(TEXT_MAX).collect();
        if cut.len() < text.len() {
            cut.push('…');
        }
        Self { kind, text: cut }
    }

    /// What was used, in words.
    pub(super) fn usage(usage: &Usage) -> Self {
        let cost = usage.cost_usd.map(|c| format!(", ${c:.4}")).unwrap_or_default();
        Self::new(
            Kind::Usage,
            format!(
                "{} tokens read ({} from a cache), {} written{cost}",
                usage.input_tokens,
                usage.cached_tokens,
                usage.output_tokens + usage.reasoning_tokens
            ),
        )
    }

    /// The first line, short enough for a board; empty for what says nothing there.
    #[must_use]
    pub fn line(&self) -> String {
        let first = self.text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default().trim();
        let clean: String = first.chars().filter(|c| !c.is_control()).take(160).collect();
        match self.kind {
            Kind::Tool => format!("› {clean}"),
            Kind::Session | Kind::Usage => String::new(),
            _ => clean,
        }
    }
}
