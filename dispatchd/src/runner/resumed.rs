//! What a program is told when its conversation goes on: only what is new. It has been told the task and the rules.

use dispatch_shared::prompt;

use crate::core::record::{Because, Checked, Resume, Run};

/// Once more what matters most: a long conversation is cut at its beginning.
const RULES: &str = "The rules are as before: stay on your branch, commit your work with a clear message, never push, never open \
                     or merge a pull request. If you need a person, write the question to `BLOCKED.md` at the top of the \
                     checkout and stop.\n";

/// The prompt for a conversation that goes on; `None` where it needs a whole one, because there is another task.
pub(super) fn prompt(run: &Run, resume: &Resume) -> Option<String> {
    match resume.because {
        Because::Checks => {
            let checked = run.checks.last()?;
            Some(prompt::checks_failed(checked.failed.as_deref().unwrap_or("it failed"), &checked.output))
        }
        Because::Answer => {
            let answer = run.answer.as_deref().map(str::trim)?;
            Some(format!(
                "Your operator answers your question:\n\n{answer}\n\nGo on with the task.\n\n{RULES}"
            ))
        }
        Because::More => None,
    }
}

/// What the checks said, for a program that remembers nothing: it stands where the failure of an attempt does.
pub(super) fn failure(checked: &Checked) -> String {
    let why = checked.failed.as_deref().unwrap_or("the repository's checks failed");
    format!("{why}\n\n{}", checked.output.trim())
}
