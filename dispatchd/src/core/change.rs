//! What a decision changes: rows put or replaced. The store writes them and the world applies them; both see the same
//! list, so that memory and disk cannot differ.

use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::protocol::grooming::GroomerRun;
use serde::{Deserialize, Serialize};

use super::automation::feed::Told;
use super::automation::{Facts, SyncRun};
use super::fix::{Delivery, Fix};
use super::record::{Card, CardKey, Claim, Event, Intent, Meta, Pull, Repo, Run, StoredReport};
use super::work::AgentRun;

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// Put a repository.
    Repo(Repo),
    /// Put a card.
    Card(Box<Card>),
    /// Put a card's body. Lies only in the store.
    Body(CardKey, String),
    /// Put a pull request.
    Pull(Pull),
    /// Put a claim.
    Claim(Claim),
    /// Put a run.
    Run(Box<Run>),
    /// Put an intent.
    Intent(Intent),
    /// Put an accepted report.
    Report(StoredReport),
    /// Put a PR-fix item.
    Fix(Fix),
    /// Remember a webhook delivery.
    Delivery(Delivery),
    /// Put what an agent did.
    AgentRun(AgentRun),
    /// Put the facts about the daemon as a whole.
    Meta(Meta),
    /// Put a run of the hosted groomer.
    GroomerRun(GroomerRun),
    /// Put what is known of a repository's automation.
    Facts(Box<Facts>),
    /// Put news, in their place in the repository's ring.
    News(Told),
    /// Put a sync run, in its place in the repository's ring.
    SyncRun(SyncRun),
    /// Append an audit row. Lies only in the store.
    Audit(AuditRow),
    /// Append an event. Lies only in the store (and in the ledger's short memory).
    Event(Event),
}
