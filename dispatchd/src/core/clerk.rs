//! What changes the labels or the text of one card besides moving and claiming it, asked by name.

use dispatch_shared::id::{AgentName, ClaimId};
use dispatch_shared::issue::Status;

use super::record::CardKey;

/// One change to one card. All answer [`Reply::Done`](super::command::Reply::Done).
#[derive(Clone, Debug)]
pub struct Paper {
    /// Which card.
    pub card: CardKey,
    /// What.
    pub deed: Deed,
    /// Who.
    pub actor: String,
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Deed {
    /// An agent, or an operator, says where the card stands.
    Status {
        /// Where.
        to: Standing,
        /// On whose behalf; an operator's without.
        agent: Option<AgentName>,
        /// The claim meant.
        claim: Option<ClaimId>,
        /// For a block: what it waits for.
        reason: Option<String>,
    },
    /// One more label.
    Label(String),
    /// One label less.
    Unlabel(String),
    /// A comment; the outbox carries it out once.
    Comment(String),
    /// A card in progress that nobody holds becomes ready again.
    ResetReady,
}

/// A column, or the flag that stands beside one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A column.
    In(Status),
    /// Flagged `status/blocked`, wherever it stands.
    Blocked,
}

impl Standing {
    /// Reads a column, full or bare, or `blocked`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "blocked" | "status/blocked" => Some(Standing::Blocked),
            other => Status::read(other).map(Standing::In),
        }
    }
}
