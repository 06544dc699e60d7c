//! GitHub and the local forge, the sync that reads them and the outbox that writes them.

pub mod github;
pub mod local;
