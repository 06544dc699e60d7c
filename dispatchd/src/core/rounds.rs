//! How often a run goes back to its program when the repository's checks failed, and which conversation of the program goes
//! on. What a run may use counts over all its rounds.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::run::{EndClass, RunState};

use super::record::{Because, Resume, Run};

/// What one run may use; what is `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Allowance {
    /// How often the checks may fail before the run does.
    pub retries: u32,
    /// The longest that its program may work.
    pub timeout: Option<Duration>,
    /// How often it may ask its model.
    pub turns: Option<u64>,
    /// US dollars.
    pub usd: Option<f64>,
    /// Tokens.
    pub tokens: Option<u64>,
}

/// Whether a run whose checks have just failed may go back to its program.
///
/// # Errors
/// Why not, as the end of a sentence; `None` where it was never to.
pub fn again(run: &Run, allowance: &Allowance, now: Timestamp) -> Result<(), Option<&'static str>> {
    let failed = run.checks.iter().filter(|c| c.failed.is_some()).count();
    if allowance.retries == 0 {
        return Err(None);
    }
    if failed >= usize::try_from(allowance.retries).unwrap_or(usize::MAX) {
        return Err(Some("it had been told before"));
    }
    if allowance.timeout.is_some_and(|most| run.worked(now) >= most) {
        return Err(Some("it has no time left to put that right"));
    }
    if allowance.turns.is_some_and(|most| run.turns >= most) {
        return Err(Some("it has no turns left to put that right"));
    }
    let used = run.usage;
    if allowance.usd.is_some_and(|most| used.cost_usd.is_some_and(|cost| cost >= most))
        || allowance.tokens.is_some_and(|most| used.tokens() >= most)
    {
        return Err(Some("it has used up what it may use"));
    }
    Ok(())
}

/// The conversation that goes on in the next round of `run`, whose checks failed.
#[must_use]
pub fn same(run: &Run) -> Option<Resume> {
    let session = run.session.clone()?;
    Some(Resume { session, total: run.session_total, because: Because::Checks })
}

/// The conversation that a new run of `program` goes on with where `last` worked: its question was answered, or there is more
/// to do. After a failure it begins anew, for what led there would lead there again.
#[must_use]
pub fn next(last: &Run, program: &str, answered: bool) -> Option<Resume> {
    let because = match last.state {
        RunState::Ended(EndClass::Blocked) if answered => Because::Answer,
        RunState::Ended(EndClass::Succeeded) => Because::More,
        _ => return None,
    };
    let session = last.session.clone().filter(|_| last.program == program)?;
    Some(Resume { session, total: last.session_total, because })
}
