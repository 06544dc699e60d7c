//! How a record becomes bytes: one version byte, then MessagePack with named fields.
//!
//! Named fields let a field with `#[serde(default)]` be added without a new version. Where that is not enough, the
//! record's version is raised and [`Record::read`] learns the older ones. An older version is read; a newer one is
//! refused, because nobody knows what it means.

use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::protocol::grooming::GroomerRun;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::core::automation::feed::Told;
use crate::core::automation::{Facts, SyncRun};
use crate::core::fix::{Delivery, Fix};
use crate::core::record::{Card, Claim, Event, Intent, Meta, Pull, Repo, Run, StoredReport};
use crate::core::work::AgentRun;

/// A row cannot be written or read; names table, key and cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// It cannot be encoded.
    #[error("row `{key}` of table `{table}` cannot be written: {cause}")]
    Encode {
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
        /// What the encoder said.
        cause: String,
    },
    /// It cannot be decoded.
    #[error("row `{key}` of table `{table}` cannot be read: {cause}")]
    Decode {
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
        /// What the decoder said.
        cause: String,
    },
    /// A newer dispatchd wrote it.
    #[error(
        "row `{key}` of table `{table}` has version {found}, this dispatchd reads up to {known}: install the newer dispatchd that wrote it"
    )]
    Newer {
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
        /// The version that was found.
        found: u8,
        /// The newest version that can be read.
        known: u8,
    },
}

/// What lies in a table.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// The table's name, for errors.
    const TABLE: &'static str;
    /// The version that is written.
    const VERSION: u8 = 1;

    /// Reads the bytes after the version byte; `version` is [`Record::VERSION`] or older.
    fn read(_version: u8, bytes: &[u8]) -> Result<Self, rmp_serde::decode::Error> {
        rmp_serde::from_slice(bytes)
    }
}

macro_rules! records {
    ($($kind:ty => $table:literal),* $(,)?) => {
        $(impl Record for $kind { const TABLE: &'static str = $table; })*
    };
}

records! {
    Meta => "meta",
    Repo => "repos",
    Card => "cards",
    Pull => "pulls",
    Claim => "claims",
    Run => "runs",
    Intent => "intents",
    StoredReport => "reports",
    Fix => "fixes",
    Delivery => "deliveries",
    AuditRow => "audit",
    GroomerRun => "groomer_runs",
    AgentRun => "agent_runs",
    Facts => "automation",
    Told => "news",
    SyncRun => "sync_runs",
    Event => "events",
    String => "bodies",
}

/// The bytes of a record; `key` is only for the error.
pub(super) fn encode<T: Record>(key: impl std::fmt::Debug, record: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(T::VERSION);
    rmp_serde::encode::write_named(&mut bytes, record).map_err(|e| CodecError::Encode {
        table: T::TABLE,
        key: format!("{key:?}"),
        cause: e.to_string(),
    })?;
    Ok(bytes)
}

/// The record in `bytes`; `key` is only for the error.
pub(super) fn decode<T: Record>(key: impl std::fmt::Debug, bytes: &[u8]) -> Result<T, CodecError> {
    let fail = |cause: String| CodecError::Decode { table: T::TABLE, key: format!("{key:?}"), cause };
    let Some((&version, rest)) = bytes.split_first() else { return Err(fail("it is empty".into())) };
    match version {
        0 => Err(fail("it has version 0, which no dispatchd writes".into())),
        v if v > T::VERSION => {
            Err(CodecError::Newer { table: T::TABLE, key: format!("{key:?}"), found: v, known: T::VERSION })
        }
        v => T::read(v, rest).map_err(|e| fail(e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dispatch_shared::event::{Seq, What};
    use dispatch_shared::{Timestamp, id::IssueId};

    fn event() -> Event {
        Event { seq: Seq(7), at: Timestamp(12), what: What::Issue(IssueId::new("gh1-2")) }
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = encode(7, &event()).unwrap();
        assert_eq!(decode::<Event>(7, &bytes), Ok(event()));
    }

    #[test]
    fn fields_are_named_so_that_one_with_a_default_may_be_added() {
        #[derive(Serialize)]
        struct Older {
            epoch: u32,
            frozen: bool,
            next_claim: u64,
            next_run: u64,
            next_intent: u64,
            next_audit: u64,
            seq: u64,
            dropped_since: &'static str,
        }
        let older = Older {
            epoch: 3,
            frozen: true,
            next_claim: 4,
            next_run: 5,
            next_intent: 6,
            next_audit: 7,
            seq: 8,
            dropped_since: "a field that is not known any more",
        };
        let mut bytes = vec![1];
        rmp_serde::encode::write_named(&mut bytes, &older).unwrap();
        let meta: Meta = decode("facts", &bytes).unwrap();
        assert_eq!((meta.epoch, meta.frozen, meta.next_audit, meta.seq), (3, true, 7, Seq(8)));
        assert!(meta.pools.is_empty(), "the field that was added takes its default");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let mut bytes = encode(7, &event()).unwrap();
        bytes[0] = 9;
        let sentence = decode::<Event>(7, &bytes).unwrap_err().to_string();
        assert!(sentence.contains("`events`") && sentence.contains("version 9"), "{sentence}");
        bytes[0] = 1;
        bytes.truncate(4);
        let sentence = decode::<Event>(7, &bytes).unwrap_err().to_string();
        assert!(sentence.contains("row `7` of table `events` cannot be read"), "{sentence}");
        assert!(decode::<Event>(7, &[]).is_err());
    }
}
