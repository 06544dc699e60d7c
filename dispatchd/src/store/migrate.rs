//! The format of the store as a whole: one number, checked before anything else is read.
//!
//! Fields are added without a new format (see [`codec`](super::codec)). A new number is for what that cannot express:
//! a table keyed anew, a row split in two. A newer format is refused, an older one is brought up here, one step at a
//! time, all steps in one commit, so that a kill in between leaves the old store whole.

use redb::Database;

use super::open::OpenError;
use super::table;

/// The format that is written.
pub(super) const CURRENT: u32 = 1;

/// Makes the tables in a new store, or checks the format of an old one and brings it up.
pub(super) fn prepare(db: &Database) -> Result<(), OpenError> {
    match found(db)? {
        Some(CURRENT) => return complete(db),
        Some(newer) if newer > CURRENT => return Err(OpenError::Newer { found: newer, known: CURRENT }),
        // There is no older format yet; its steps to the next one come here.
        Some(older) => return Err(OpenError::Unreadable(format!("no dispatchd writes format {older}"))),
        None => {}
    }
    let txn = db.begin_write().map_err(redb::Error::from)?;
    table::create_all(&txn).map_err(redb::Error::from)?;
    {
        let mut meta = txn.open_table(table::META).map_err(redb::Error::from)?;
        meta.insert(table::FORMAT, CURRENT.to_be_bytes().as_slice()).map_err(redb::Error::from)?;
    }
    txn.commit().map_err(redb::Error::from)?;
    Ok(())
}

/// Makes the tables that came after the store was made; those that are there stay as they are.
fn complete(db: &Database) -> Result<(), OpenError> {
    let txn = db.begin_write().map_err(redb::Error::from)?;
    let count = || txn.list_tables().map(Iterator::count).map_err(redb::Error::from);
    let before = count()?;
    table::create_all(&txn).map_err(redb::Error::from)?;
    if count()? == before {
        txn.abort().map_err(redb::Error::from)?;
    } else {
        txn.commit().map_err(redb::Error::from)?;
    }
    Ok(())
}

fn found(db: &Database) -> Result<Option<u32>, OpenError> {
    let txn = table::reading(db)?;
    let meta = match txn.open_table(table::META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => {
            let names = txn.list_tables().map_err(redb::Error::from)?.count();
            return match names {
                0 => Ok(None),
                _ => Err(OpenError::Unreadable("it is a database, but not one of dispatchd's".into())),
            };
        }
        Err(e) => return Err(redb::Error::from(e).into()),
    };
    let Some(row) = meta.get(table::FORMAT).map_err(redb::Error::from)? else {
        return Err(OpenError::Unreadable("it carries no format number".into()));
    };
    let bytes = <[u8; 4]>::try_from(row.value())
        .map_err(|_| OpenError::Unreadable("its format number is not four bytes".into()))?;
    Ok(Some(u32::from_be_bytes(bytes)))
}
