//! The tables of the store and their keys.
//!
//! Keys are ordered so that a range is one question: cards, bodies and pull requests of one repository lie together in
//! the order of their numbers, audit rows and events in the order in which they happened. Every value is a record as
//! [`codec`](super::codec) writes it, but for the format number, which must be readable for ever.

use redb::{ReadTransaction, ReadableDatabase as _, TableDefinition, TableError, WriteTransaction};

/// Keyed by text.
pub(super) type ByText = TableDefinition<'static, &'static str, &'static [u8]>;
/// Keyed by repository and number.
pub(super) type ByCard = TableDefinition<'static, (&'static str, u64), &'static [u8]>;
/// Keyed by a number that grows.
pub(super) type ByNumber = TableDefinition<'static, u64, &'static [u8]>;

/// The facts about the daemon as a whole.
pub(super) const META: ByText = TableDefinition::new("meta");
/// Repositories by the forge's identity.
pub(super) const REPOS: ByText = TableDefinition::new("repos");
/// Cards.
pub(super) const CARDS: ByCard = TableDefinition::new("cards");
/// The bodies of cards.
pub(super) const BODIES: ByCard = TableDefinition::new("bodies");
/// Pull requests.
pub(super) const PULLS: ByCard = TableDefinition::new("pulls");
/// Claims by id.
pub(super) const CLAIMS: ByNumber = TableDefinition::new("claims");
/// Runs by id.
pub(super) const RUNS: ByNumber = TableDefinition::new("runs");
/// Intents by id.
pub(super) const INTENTS: ByNumber = TableDefinition::new("intents");
/// Accepted reports by `<agent>/<key>`.
pub(super) const REPORTS: ByText = TableDefinition::new("reports");
/// Runs of the hosted groomer by id.
pub(super) const GROOMER_RUNS: ByNumber = TableDefinition::new("groomer_runs");
/// PR-fix items by repository and pull request.
pub(super) const FIXES: ByCard = TableDefinition::new("fixes");
/// Webhook deliveries, written over in a ring.
pub(super) const DELIVERIES: ByNumber = TableDefinition::new("deliveries");
/// Audit rows by id.
pub(super) const AUDIT: ByNumber = TableDefinition::new("audit");
/// What agents did, by id.
pub(super) const AGENT_RUNS: ByNumber = TableDefinition::new("agent_runs");
/// What is known of repositories' automation, by the forge's identity.
pub(super) const FACTS_OF: ByText = TableDefinition::new("automation");
/// What happened, written over in a ring for each repository.
pub(super) const NEWS: ByCard = TableDefinition::new("news");
/// Reads of forges, written over in a ring for each repository.
pub(super) const SYNC_RUNS: ByCard = TableDefinition::new("sync_runs");
/// Events by sequence number.
pub(super) const EVENTS: ByNumber = TableDefinition::new("events");

/// The key of the one row of facts in [`META`].
pub(super) const FACTS: &str = "facts";
/// The key of the format number in [`META`]: four bytes, big endian, whatever else changes.
pub(super) const FORMAT: &str = "format";

/// Makes every table that is not there yet, so that a reader never meets a missing one.
pub(super) fn create_all(txn: &WriteTransaction) -> Result<(), TableError> {
    for table in [META, REPOS, REPORTS, FACTS_OF] {
        txn.open_table(table)?;
    }
    for table in [CARDS, BODIES, PULLS, FIXES, NEWS, SYNC_RUNS] {
        txn.open_table(table)?;
    }
    for table in [CLAIMS, RUNS, INTENTS, GROOMER_RUNS, AUDIT, AGENT_RUNS, EVENTS, DELIVERIES] {
        txn.open_table(table)?;
    }
    Ok(())
}

/// A read transaction, to be dropped before anything is awaited: one that stays open makes the file grow.
pub(super) fn reading(db: &redb::Database) -> Result<ReadTransaction, redb::Error> {
    Ok(db.begin_read()?)
}
