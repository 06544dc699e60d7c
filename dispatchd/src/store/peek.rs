//! A look at the tracked repositories while no daemon serves: nothing is made, repaired or changed.

use std::path::Path;

use redb::{ReadOnlyDatabase, ReadableDatabase as _, ReadableTable as _};

use super::codec::decode;
use super::open::{FILE, OpenError, unharmed};
use super::table;
use crate::core::record::Repo;

/// The tracked repositories of the store in `state`; none if there is no store.
///
/// # Errors
/// [`OpenError::Locked`] while a daemon serves; else if the store cannot be read as it is.
pub fn tracked(state: &Path) -> Result<Vec<Repo>, OpenError> {
    let path = state.join(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let read = || {
        let db = ReadOnlyDatabase::open(&path).map_err(redb::Error::from)?;
        let txn = db.begin_read().map_err(redb::Error::from)?;
        let repos = txn.open_table(table::REPOS).map_err(redb::Error::from)?;
        let mut found = Vec::new();
        for row in repos.iter().map_err(redb::Error::from)? {
            let (key, value) = row.map_err(redb::Error::from)?;
            found.push(decode::<Repo>(key.value(), value.value())?);
        }
        Ok(found.into_iter().filter(|r| r.tracked).collect())
    };
    unharmed(read).map_err(|e| e.at(&path))
}
