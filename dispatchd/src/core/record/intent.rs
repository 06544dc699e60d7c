//! Intents: what must reach the forge.

use dispatch_shared::Timestamp;
use dispatch_shared::id::IntentId;
use serde::{Deserialize, Serialize};

use super::CardKey;

/// What an intent wants to change on the forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// Labels, one by one.
    Labels {
        /// To be there.
        add: Vec<String>,
        /// To be gone.
        remove: Vec<String>,
    },
    /// A comment.
    Comment {
        /// Markdown. The outbox appends an idempotency marker with the intent's id.
        body: String,
    },
    /// A child issue, linked with this one.
    Child(crate::core::grooming::NewChild),
}

/// Where an intent stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IntentState {
    /// To be carried out, not before the time given.
    Pending(Timestamp),
    /// Done.
    Done,
    /// A person changed the status since; the person wins.
    Superseded,
    /// The forge said no, and what it said.
    Refused(String),
}

/// A change that must reach the forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Grows; intents of one card are carried out in this order.
    pub id: IntentId,
    /// The card.
    pub card: CardKey,
    /// What to do.
    pub wish: Wish,
    /// The forge's labels as they were known when this was decided: if the live status differs from theirs, a person
    /// changed it.
    pub seen_labels: Vec<String>,
    /// On whose behalf.
    pub actor: String,
    /// Where it stands.
    pub state: IntentState,
    /// How often it was tried.
    pub tries: u32,
    /// The last failure.
    pub last_error: Option<String>,
    /// When it was decided.
    pub created_at: Timestamp,
    /// Labels that earlier tries are known to have put there: one that is missing now was taken away by somebody.
    #[serde(default)]
    pub wrote: Vec<String>,
    /// Whether an earlier try may have written anything.
    #[serde(default)]
    pub touched: bool,
    /// What somebody else had done already when it was tried first.
    #[serde(default)]
    pub same: Vec<String>,
}
