//! The readers' side: the ledger's methods. What lies only on disk is read in transactions that end before the method
//! returns.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use dispatch_shared::event::Seq;
use dispatch_shared::protocol::activity::AuditRow;
use redb::{Database, ReadableTable as _};
use tokio::sync::watch;

use super::codec::decode;
use super::writer::Work;
use super::{Store, table};
use crate::core::command::{Command, Reply};
use crate::core::record::{CardKey, Event};
use crate::core::world::World;
use crate::ledger::{AuditFilter, Fault, Ledger, ReadFault};

#[async_trait]
impl Ledger for Store {
    async fn submit(&self, command: Command) -> Result<(Reply, Arc<World>), Fault> {
        self.ask(Work::Command(Box::new(command))).await
    }

    fn snapshot(&self) -> Arc<World> {
        self.shared.world.load_full()
    }

    fn commits(&self) -> watch::Receiver<Seq> {
        self.shared.seq.subscribe()
    }

    fn committed(&self) -> u64 {
        self.shared.committed.load(Ordering::Relaxed)
    }

    fn events_after(&self, after: Seq) -> Option<Vec<Event>> {
        let newest = self.snapshot().meta.seq;
        if after > newest {
            // From another store, or from before a backup was restored.
            return None;
        }
        let near = self.shared.ring().after(after);
        near.or_else(|| self.read(|db| events(db, after, newest)).ok().flatten())
    }

    fn body(&self, card: &CardKey) -> Result<String, ReadFault> {
        self.read(|db| {
            let bodies = table::reading(db)?.open_table(table::BODIES)?;
            let row = bodies.get((card.repo.as_str(), card.number))?;
            Ok(row.map(|row| decode(card, row.value())).transpose()?.unwrap_or_default())
        })
    }

    fn audit(&self, filter: &AuditFilter, limit: usize) -> Result<Vec<AuditRow>, ReadFault> {
        self.read(|db| {
            let audit = table::reading(db)?.open_table(table::AUDIT)?;
            let mut found = Vec::new();
            for row in audit.iter()?.rev() {
                if found.len() >= limit {
                    break;
                }
                let (key, value) = row?;
                let row: AuditRow = decode(key.value(), value.value())?;
                if fits(filter, &row) {
                    found.push(row);
                }
            }
            Ok(found)
        })
    }

    fn audit_row(&self, id: u64) -> Result<Option<AuditRow>, ReadFault> {
        self.read(|db| {
            let audit = table::reading(db)?.open_table(table::AUDIT)?;
            let row = audit.get(id)?;
            Ok(row.map(|row| decode(id, row.value())).transpose()?)
        })
    }
}

impl Store {
    fn read<T>(&self, read: impl FnOnce(&Database) -> Result<T, ReadError>) -> Result<T, ReadFault> {
        let db = self.shared.db().clone();
        let db = db.ok_or_else(|| ReadFault("it is closed".into()))?;
        read(&db).map_err(|e| ReadFault(e.0))
    }
}

struct ReadError(String);

impl<E: std::error::Error> From<E> for ReadError {
    fn from(e: E) -> Self {
        Self(e.to_string())
    }
}

/// The events after `after` up to `newest`; `None` if the first of them is forgotten.
fn events(db: &Database, after: Seq, newest: Seq) -> Result<Option<Vec<Event>>, ReadError> {
    let table = table::reading(db)?.open_table(table::EVENTS)?;
    let mut found: Vec<Event> = Vec::new();
    // Beyond `newest` lie events that are durable, but whose state is not published yet.
    for row in table.range(after.0 + 1..=newest.0)? {
        let (key, value) = row?;
        found.push(decode(key.value(), value.value())?);
    }
    Ok(found.first().is_some_and(|first| first.seq.0 == after.0 + 1).then_some(found))
}

fn fits(filter: &AuditFilter, row: &AuditRow) -> bool {
    let is = |wanted: &Option<String>, holds: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(holds);
    is(&filter.repo, &|repo| {
        row.repo_full_name.as_ref().is_some_and(|name| name.folded() == repo.to_lowercase())
    }) && is(&filter.issue, &|issue| {
        row.issue_id.as_ref().is_some_and(|id| id.as_str() == issue)
            || row.issue_number.is_some_and(|number| number.to_string() == issue)
    }) && is(&filter.actor, &|actor| row.actor == actor)
        && is(&filter.action, &|action| row.action == action)
}
