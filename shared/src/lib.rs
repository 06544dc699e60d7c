//! What the daemon and its clients must both say.
//!
//! Three floors, each of which may use only those below it:
//!
//! - **vocabulary** (`id time issue task claim run followup event`): newtypes and enums with the words of the field,
//!   and how labels are read and written. No I/O, no wire shapes.
//! - **protocol** (`protocol/`, `error`): the requests and answers of every route, one file per resource, and the
//!   stable error codes.
//! - **client** (`endpoint`, `client/`, feature `client`): where the daemon is found, and a typed client for it.
//!
//! Beside the client, behind the feature `prompt`: [`prompt`], which writes a task down for a program.
//!
//! What is deliberately absent: policy. Which issue is next, who may claim it, and what a report does to a card is
//! decided by the daemon's core alone.

pub mod claim;
#[cfg(feature = "client")]
pub mod client;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod followup;
pub mod id;
pub mod issue;
#[cfg(feature = "prompt")]
pub mod prompt;
pub mod protocol;
pub mod run;
pub mod task;
pub mod time;

pub use time::Timestamp;
