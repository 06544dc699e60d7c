//! The one door to state. Every shell (API, forge sync, outbox, runner) meets the others here and nowhere else.
//!
//! In crash terms: when [`Ledger::submit`] has returned `Ok`, the change is on disk and survives `kill -9`. When it
//! returned [`Fault::Refused`], nothing changed. When it returned [`Fault::OutcomeUnknown`], the store failed and the
//! change may or may not be there after the restart; the daemon stops. A snapshot never shows what is not durable.

use std::sync::Arc;

use async_trait::async_trait;
use dispatch_shared::event::Seq;
use dispatch_shared::protocol::activity::AuditRow;
use tokio::sync::watch;

use crate::core::command::{Command, Refusal, Reply};
use crate::core::record::{CardKey, Event};
use crate::core::world::World;

/// Why a command has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Refused; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed while the command was in flight.
    #[error("the store failed, whether the change was kept is unknown: {0}")]
    OutcomeUnknown(String),
    /// A fault of dispatchd itself; nothing changed.
    #[error("a fault of dispatchd itself, nothing was changed: {0}")]
    Internal(String),
    /// The daemon is going down and takes nothing more.
    #[error("the daemon is stopping")]
    Stopping,
}

/// Reading the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be read: {0}")]
pub struct ReadFault(pub String);

/// Which audit rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only this repository, case-folded `owner/name`.
    pub repo: Option<String>,
    /// Only this issue: its opaque id or its number.
    pub issue: Option<String>,
    /// Only this actor.
    pub actor: Option<String>,
    /// Only this action.
    pub action: Option<String>,
}

/// See the module.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Has the core decide and waits until it is durable. The world returned is the first that shows the change.
    async fn submit(&self, command: Command) -> Result<(Reply, Arc<World>), Fault>;

    /// The newest durable state.
    fn snapshot(&self) -> Arc<World>;

    /// Changes with every commit that had events: the number of the last one.
    fn commits(&self) -> watch::Receiver<Seq>;

    /// How many durable commits there were since the start.
    fn committed(&self) -> u64;

    /// The events after `after`, oldest first; `None` if they are not kept that far back.
    fn events_after(&self, after: Seq) -> Option<Vec<Event>>;

    /// A card's body; empty if there is none.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn body(&self, card: &CardKey) -> Result<String, ReadFault>;

    /// At most `limit` audit rows that fit `filter`, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn audit(&self, filter: &AuditFilter, limit: usize) -> Result<Vec<AuditRow>, ReadFault>;

    /// One audit row.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn audit_row(&self, id: u64) -> Result<Option<AuditRow>, ReadFault>;
}

/// How the door is handed around.
pub type Door = Arc<dyn Ledger>;
