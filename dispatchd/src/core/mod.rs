//! The pure core: all policy, no I/O, no clock, no async.
//!
//! - [`record`], [`seen`], [`change`], [`command`], [`policy`]: plain data.
//! - [`world`]: the state in memory, with its indexes; [`draft`]: a decision being made on a copy of it.
//! - [`reactor`]: one function a command, `(&World, now, Command) -> changes + reply`, or a refusal that changed nothing.
//! - [`transition`]: the state machines; [`rank`]: eligibility and order; [`retry`]: what a failure leads to;
//!   [`intent`]: whether a stored write is still wanted; [`reconcile`]: what contradicts;
//!   [`blockers`], [`waits`]: what has to be closed first, by its text and by the forge's word;
//!   [`lane`]: which lane suits; [`grooming`]: what is groomed next; [`limits`]: how much at once;
//!   [`link`]: which issues a pull request belongs to; [`redact`]: secrets taken out of what is kept;
//!   [`effort`]: how long was worked on an issue; [`repair`]: which pull request the runner mends next; [`rounds`]: how often a run goes back to its program, and with which conversation;
//!   [`dispatch`]: runs started by hand; [`keep`]: which workspaces go; [`submodule`]: what is fetched for them from where; [`gate`]: whether a program may start, by its [`pool`], [`pace`] and [`budget`];
//!   [`umbrella`]: check-lists and children; [`fix`]: pull requests that need work again;
//!   [`work`], [`clerk`]: resumable work, and what is done to one card by name; [`activity`]: what agents did;
//!   [`automation`]: workflows, their runs, and what happened on a forge;
//!   [`throttle`]: which request to GitHub goes when; [`cadence`], [`standing`]: how often a repository is looked at, and
//!   what becomes of one that the forge denies; [`contract`]: what a worker is told; [`problem`]: what wants a person; [`view`]: records to wire shapes.
//! - [`invariant`]: what must hold after every step.
//!
//! Imports the shared vocabulary and wire shapes only. Recovery applies stored rows with the same
//! [`World::apply`](world::World::apply) that every decision goes through.

pub mod activity;
pub mod automation;
pub mod blockers;
pub mod budget;
pub mod cadence;
pub mod change;
pub mod clerk;
pub mod command;
pub mod contract;
pub mod dispatch;
pub mod draft;
pub mod effort;
pub mod fix;
pub mod gate;
pub mod grooming;
pub mod hint;
pub mod intent;
pub mod invariant;
pub mod keep;
pub mod lane;
pub mod limits;
pub mod link;
pub mod notice;
pub mod pace;
pub mod policy;
pub mod pool;
pub mod problem;
pub mod rank;
pub mod reactor;
pub mod reconcile;
pub mod record;
pub mod redact;
pub mod repair;
pub mod retry;
pub mod rounds;
pub mod seen;
pub mod standing;
pub mod submodule;
pub mod throttle;
pub mod transition;
pub mod umbrella;
pub mod view;
pub mod waits;
pub mod work;
pub mod work_view;
pub mod world;

#[cfg(test)]
mod tests;
