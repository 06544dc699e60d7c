//! What a failure leads to: another attempt after a pause, or a person.

use std::time::Duration;

use dispatch_shared::Timestamp;
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
        // A second attempt would spend the same once more.
        EndClass::Succeeded | EndClass::NoChanges | EndClass::Budget => Consequence::NeedsPerson,
        EndClass::RateLimited | EndClass::Quota | EndClass::Network => Consequence::TryLater,
        EndClass::Killed => Consequence::PutAway,
        EndClass::Revoked => Consequence::Nothing,
        EndClass::Failed
        | EndClass::VerifyFailed
        | EndClass::Auth
        | EndClass::ContextOverflow
        | EndClass::Turns
        | EndClass::TimedOut
        | EndClass::Stalled
        | EndClass::Crashed
        | EndClass::Lost => Consequence::FailedAttempt,
    }
}

/// When a card is handed out again whose run ended through no fault of the task, for the `deferred`th time in a row: not
/// before what the model itself said, else after a pause that grows with each.
#[must_use]
pub fn again(class: EndClass, deferred: u32, now: Timestamp, said: Option<Timestamp>) -> Timestamp {
    let minutes = |n: u64| n * 60;
    // The first pause and the longest, in seconds.
    let (first, most) = match class {
        EndClass::Quota => (minutes(30), minutes(360)),
        EndClass::RateLimited => (minutes(4), minutes(60)),
        EndClass::Network => (minutes(1), minutes(30)),
        _ => (minutes(4), minutes(60)),
    };
    let doublings = deferred.saturating_sub(1).min(16);
    let pause = Duration::from_secs((first << doublings).min(most));
    said.filter(|at| *at > now).unwrap_or(now + pause)
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

    /// The rule of every class, one row each.
    #[test]
    fn each_class_has_its_rule() {
        use Consequence::{Ask, FailedAttempt, NeedsPerson, Nothing, PutAway, TryLater};
        use EndClass as C;
        let table = [
            (C::Succeeded, NeedsPerson, false),
            (C::Blocked, Ask, false),
            (C::NoChanges, NeedsPerson, true),
            (C::Failed, FailedAttempt, true),
            (C::VerifyFailed, FailedAttempt, true),
            (C::Auth, FailedAttempt, true),
            (C::Quota, TryLater, false),
            (C::RateLimited, TryLater, false),
            (C::Network, TryLater, false),
            (C::ContextOverflow, FailedAttempt, true),
            (C::Budget, NeedsPerson, true),
            (C::Turns, FailedAttempt, true),
            (C::TimedOut, FailedAttempt, true),
            (C::Stalled, FailedAttempt, true),
            (C::Killed, PutAway, false),
            (C::Crashed, FailedAttempt, true),
            (C::Revoked, Nothing, false),
            (C::Lost, FailedAttempt, true),
        ];
        for (class, wanted, counts) in table {
            assert_eq!(consequence(class), wanted, "{class}");
            assert_eq!(class.counts_as_failure(), counts, "{class}");
        }
    }

    #[test]
    fn what_is_deferred_waits_as_its_class_says_or_as_the_model_does() {
        let now = Timestamp(1_000_000);
        let minutes = |class, n| again(class, n, now, None).since(now).as_secs() / 60;
        let all = |class| [1, 2, 3, 4, 9, 99].map(|n| minutes(class, n));
        assert_eq!(all(EndClass::Quota), [30, 60, 120, 240, 360, 360]);
        assert_eq!(all(EndClass::RateLimited), [4, 8, 16, 32, 60, 60]);
        assert_eq!(all(EndClass::Network), [1, 2, 4, 8, 30, 30]);
        let said = now + Duration::from_secs(7);
        assert_eq!(again(EndClass::Quota, 5, now, Some(said)), said);
        assert_eq!(minutes(EndClass::Network, 1), 1);
        assert_eq!(
            again(EndClass::Network, 1, now, Some(Timestamp(5))),
            now + Duration::from_secs(60),
            "long over"
        );
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
