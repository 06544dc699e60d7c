//! The operator's own commands around a workspace's life, on the host.

use std::path::Path;
use std::time::Duration;

use super::command;

const LIMIT: Duration = Duration::from_secs(300);

/// Runs `hook` in `dir`, if there is one.
///
/// # Errors
/// A sentence that names the hook and its last words.
pub(super) async fn run(hook: &Option<String>, dir: &Path, name: &str) -> Result<(), String> {
    let Some(script) = hook else { return Ok(()) };
    let mut shell = command::of("sh");
    shell.arg("-c").arg(script).current_dir(dir);
    command::mark(&mut shell);
    let output = command::run(shell, LIMIT).await.map_err(|e| format!("runner.hooks.{name}: {e}"))?;
    if output.ok() {
        return Ok(());
    }
    Err(format!("runner.hooks.{name} failed: {}", output.complaint()))
}
