//! redb behind the ledger.
