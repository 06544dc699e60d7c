//! `dispatchd`: the daemon behind Dispatch.
//!
//! A map of the house, lowest floor first; a room may use the floors below it and no other room on its own floor:
//!
//! - [`core`]: all policy, pure. `(World, now, Command) -> changes`.
//! - [`edges`]: traits for the clock, the forges, the container engines, and the step hook of the fault tests.
//! - [`ledger`]: the one door to state: submit a command and get its outcome once it is durable, read a snapshot, follow events.
//! - [`store`]: redb behind the ledger: one writer thread, group commit, recovery. The only room that names redb.
//! - [`forge`]: GitHub and the local forge, the sync that reads them and the outbox that writes them.
//! - [`runner`]: the built-in harness: takes tasks like any other, runs programs in containers, publishes.
//! - [`groomer`]: asks a model about issues that nobody has sorted yet.
//! - [`api`]: HTTP over the local socket.
//! - [`secret`]: text that cannot be printed; [`credentials`]: the places where secrets are looked for, in their order.
//! - [`config`], [`daemon`]: what the operator chose, and the wiring of all rooms; [`desk`] answers the API from them,
//!   [`setup`] shows what is configured, [`clockwork`] lets time pass, [`watch`] sees files change, [`notify`] tells a person, [`check`] looks before a start; [`program`] is `main`.
//!
//! Deliberately absent: any path that merges a pull request or closes an issue, and any door to state beside the ledger.

pub mod api;
pub mod check;
pub mod cli;
pub mod clockwork;
pub mod config;
pub mod core;
pub mod credentials;
pub mod daemon;
pub mod desk;
pub mod edges;
pub mod forge;
pub mod groomer;
pub mod image;
pub mod ledger;
pub mod notify;
pub mod program;
pub mod runner;
pub mod secret;
pub mod setup;
pub mod store;
pub mod telemetry;
pub mod watch;
