//! What a failure leads to: another attempt after a pause, or a person.

use std::time::Duration;

use dispatch_shared::run::EndClass;

/// What becomes of the card when a run ends without a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Counts as a failed attempt: ready after a pause, or a person after too many.
    FailedAttempt,
    /// Not the task's fault: ready after a pause, without counting.
    TryLater,
    /// A person has to answer.
    Ask,
    /// A person has to look.
    NeedsPerson,
    /// An operator ended it: it waits in the backlog until somebody wants it again.
    PutAway,
    /// The claim was taken away: the card is where a person put it.
    Nothing,
}

/// The rule of each class.
#[must_use]
pub fn consequence(class: EndClass) -> Consequence {
    match class {
        EndClass::Blocked => Consequence::Ask,
        EndClass::Succeeded | EndClass::NoChanges => Consequence::NeedsPerson,
        EndClass::RateLimited | EndClass::Quota | EndClass::Network => Consequence::TryLater,
        EndClass::Killed => Consequence::PutAway,
        EndClass::Revoked => Consequence::Nothing,
        EndClass::Failed
        | EndClass::VerifyFailed
        | EndClass::Auth
        | EndClass::ContextOverflow
        | EndClass::Budget
        | EndClass::Turns
        | EndClass::TimedOut
        | EndClass::Stalled
        | EndClass::Crashed
        | EndClass::Lost => Consequence::FailedAttempt,
    }
}

/// The pause before attempt `failures` + 1: one minute, doubling, at most an hour.
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(6);
    Duration::from_secs((60 << doublings).min(3_600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let minutes: Vec<u64> = (1..=8).map(|n| backoff(n).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff(0), backoff(1));
        assert_eq!(backoff(u32::MAX).as_secs(), 3_600);
    }

    #[test]
    fn what_is_not_the_tasks_fault_is_not_counted() {
        for class in
            [EndClass::RateLimited, EndClass::Quota, EndClass::Network, EndClass::Killed, EndClass::Revoked]
        {
            assert!(!class.counts_as_failure());
            assert_ne!(consequence(class), Consequence::FailedAttempt);
        }
    }
}
