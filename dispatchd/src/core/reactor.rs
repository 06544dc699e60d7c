//! One function a command.

use dispatch_shared::Timestamp;

use super::command::{Command, Refusal};
use super::draft::Decision;
use super::world::World;

/// Decides one command.
///
/// # Errors
/// The refusal; nothing has changed then.
pub fn decide(_world: &World, _now: Timestamp, _command: &Command) -> Result<Decision, Refusal> {
    Err(Refusal::Invalid("not built yet".into()))
}
