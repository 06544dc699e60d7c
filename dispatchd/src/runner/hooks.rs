//! The operator's own commands around a workspace's life, on the host, and what they said.

use std::path::Path;

use super::command;
use super::settings::Hooks;

/// The most of a hook's output that goes into the log, in characters: its end counts.
const SAID: usize = 4_000;

/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    AfterCreate,
    BeforeRun,
    AfterRun,
    BeforeRemove,
}

impl When {
    fn of(self, hooks: &Hooks) -> (&'static str, Option<&String>) {
        match self {
            When::AfterCreate => ("after_create", hooks.after_create.as_ref()),
            When::BeforeRun => ("before_run", hooks.before_run.as_ref()),
            When::AfterRun => ("after_run", hooks.after_run.as_ref()),
            When::BeforeRemove => ("before_remove", hooks.before_remove.as_ref()),
        }
    }
}

/// Runs the hook in `dir`, if there is one: for [`Hooks::timeout`] at the most, then all that it started is killed. Returns
/// what it said, for the log.
///
/// # Errors
/// A sentence that names the hook and its last words.
pub(super) async fn run(hooks: &Hooks, when: When, dir: &Path) -> Result<Option<String>, String> {
    let (name, Some(script)) = when.of(hooks) else { return Ok(None) };
    let mut shell = command::of("sh");
    shell.arg("-c").arg(script).current_dir(dir).env("DISPATCH_HOOK", name).env("DISPATCH_CHECKOUT", dir);
    command::mark(&mut shell);
    let output =
        command::run(shell, hooks.timeout.0).await.map_err(|e| format!("runner.hooks.{name}: {e}"))?;
    let said = format!("{}{}", output.stdout, output.stderr);
    let skip = said.trim().chars().count().saturating_sub(SAID);
    let said: String = said.trim().chars().skip(skip).collect();
    let (gap, cut) = (if said.is_empty() { "" } else { "\n" }, if skip > 0 { "…" } else { "" });
    if output.ok() {
        return Ok(Some(format!("runner.hooks.{name} ran{gap}{cut}{said}")));
    }
    let how = output.code.map_or_else(|| "a signal".to_owned(), |c| format!("exit code {c}"));
    Err(format!("runner.hooks.{name} failed with {how}{gap}{cut}{said}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::settings::Span;
    use std::time::Duration;

    fn hooks(script: &str, timeout: Duration) -> Hooks {
        Hooks { before_run: Some(script.into()), timeout: Span(timeout), ..Hooks::default() }
    }

    #[tokio::test]
    async fn what_a_hook_says_is_kept_and_its_failure_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let minute = Duration::from_secs(60);
        let said =
            run(&hooks("echo one; pwd >where; echo two >&2", minute), When::BeforeRun, dir.path()).await;
        assert_eq!(said.unwrap().unwrap(), "runner.hooks.before_run ran\none\ntwo");
        assert!(dir.path().join("where").exists());
        let said = run(&hooks("echo no; exit 3", minute), When::BeforeRun, dir.path()).await.unwrap_err();
        assert_eq!(said, "runner.hooks.before_run failed with exit code 3\nno");
        assert_eq!(run(&hooks("exit 3", minute), When::AfterRun, dir.path()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_hook_that_takes_too_long_ends_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let hooks = hooks("sh -c 'echo $$ >pid; exec sleep 600' & wait", Duration::from_secs(1));
        let said = run(&hooks, When::BeforeRun, dir.path()).await.unwrap_err();
        assert!(said.contains("longer than 1 s"), "{said}");
        let pid: i32 = std::fs::read_to_string(dir.path().join("pid")).unwrap().trim().parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let gone = async {
            // A zombie that nobody waits for counts as gone.
            let alive = || {
                std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
                    .is_ok_and(|s| !s.contains(") Z "))
            };
            while alive() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone).await.expect("what the hook started is killed");
    }
}
