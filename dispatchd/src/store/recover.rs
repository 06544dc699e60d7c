//! From rows to the world: every row goes through the same [`World::apply`] that every decision goes through, so that
//! memory after a restart is what it was before.
//!
//! Bodies, audit and events stay on disk.

use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableTable as _, TableDefinition};

use super::codec::{Record, decode};
use super::open::OpenError;
use super::table;
use crate::core::change::Change;
use crate::core::policy::Policy;
use crate::core::record::Meta;
use crate::core::world::World;

/// Reads the whole state.
pub(super) fn load(db: &Database, policy: Arc<Policy>) -> Result<World, OpenError> {
    let txn = table::reading(db)?;
    let mut world = World::default();
    let meta = txn.open_table(table::META).map_err(redb::Error::from)?;
    if let Some(row) = meta.get(table::FACTS).map_err(redb::Error::from)? {
        world.apply(&Change::Meta(decode::<Meta>(table::FACTS, row.value())?));
    }
    each(&txn, table::REPOS, |row| world.apply(&Change::Repo(row)))?;
    each(&txn, table::CARDS, |row| world.apply(&Change::Card(Box::new(row))))?;
    each(&txn, table::PULLS, |row| world.apply(&Change::Pull(row)))?;
    // In the order of their ids: the newest of a card is the one that stays.
    each(&txn, table::CLAIMS, |row| world.apply(&Change::Claim(row)))?;
    each(&txn, table::RUNS, |row| world.apply(&Change::Run(Box::new(row))))?;
    each(&txn, table::INTENTS, |row| world.apply(&Change::Intent(row)))?;
    each(&txn, table::REPORTS, |row| world.apply(&Change::Report(row)))?;
    each(&txn, table::GROOMER_RUNS, |row| world.apply(&Change::GroomerRun(row)))?;
    each(&txn, table::FIXES, |row| world.apply(&Change::Fix(row)))?;
    each(&txn, table::DELIVERIES, |row| world.apply(&Change::Delivery(row)))?;
    each(&txn, table::AGENT_RUNS, |row| world.apply(&Change::AgentRun(row)))?;
    each(&txn, table::FACTS_OF, |row| world.apply(&Change::Facts(Box::new(row))))?;
    each(&txn, table::NEWS, |row| world.apply(&Change::News(row)))?;
    each(&txn, table::SYNC_RUNS, |row| world.apply(&Change::SyncRun(row)))?;
    world.set_policy(policy);
    Ok(world)
}

fn each<K: redb::Key + 'static, T: Record>(
    txn: &ReadTransaction,
    definition: TableDefinition<'static, K, &'static [u8]>,
    mut take: impl FnMut(T),
) -> Result<(), OpenError> {
    let table = txn.open_table(definition).map_err(redb::Error::from)?;
    for row in table.iter().map_err(redb::Error::from)? {
        let (key, value) = row.map_err(redb::Error::from)?;
        take(decode(key.value(), value.value())?);
    }
    Ok(())
}
