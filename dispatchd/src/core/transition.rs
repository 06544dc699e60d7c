//! The state machines: one pure function each. An illegal pair is a value that names both, never a panic.

use std::fmt;

use dispatch_shared::issue::Status;
use dispatch_shared::run::{EndClass, Phase, RunState};
use dispatch_shared::task::Outcome;

use super::record::{ClaimState, IntentState};

/// An event that cannot happen in a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} is not possible for {what} that is {state}")]
pub struct Illegal {
    what: &'static str,
    state: String,
    event: String,
}

impl Illegal {
    fn new(what: &'static str, state: &impl fmt::Debug, event: &impl fmt::Debug) -> Self {
        Self { what, state: format!("{state:?}"), event: format!("{event:?}") }
    }
}

/// What can happen to a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardEvent {
    /// An implement task was handed out.
    Taken,
    /// The claim ended without a result.
    GivenBack {
        /// An open pull request is linked.
        open_pull: bool,
    },
    /// An open pull request is linked, or a report says so.
    PullOpen,
    /// The linked pull request was closed without a merge.
    PullClosed,
    /// An attempt failed.
    Failed {
        /// No further attempt.
        give_up: bool,
    },
    /// A person has to look before anything goes on.
    NeedsPerson,
    /// Somebody dragged it, or set the label.
    Moved(Status),
    /// The forge says closed.
    Closed,
    /// The forge says open again.
    Reopened,
}

/// The next column of a card. Only closed means done, closed means only done.
///
/// # Errors
/// [`Illegal`] for what needs the issue closed, or open, and it is not.
pub fn card(state: Status, event: CardEvent) -> Result<Status, Illegal> {
    use CardEvent as E;
    match (state, event) {
        (_, E::Closed) => Ok(Status::Done),
        (Status::Done, E::Reopened) => Ok(Status::Backlog),
        (Status::Done, _) | (_, E::Reopened | E::Moved(Status::Done)) => {
            Err(Illegal::new("a card", &state, &event))
        }
        (_, E::Taken) => Ok(Status::InProgress),
        (_, E::GivenBack { open_pull: true } | E::PullOpen) => Ok(Status::InReview),
        (_, E::GivenBack { open_pull: false } | E::Failed { give_up: false }) => Ok(Status::Ready),
        (_, E::PullClosed | E::Failed { give_up: true } | E::NeedsPerson) => Ok(Status::Backlog),
        (_, E::Moved(to)) => Ok(to),
    }
}

/// What can happen to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimEvent {
    /// A report came.
    Finish(Outcome),
    /// It was given back.
    Release(String),
    /// The lease ran out.
    Expire,
    /// It was taken away.
    Revoke(String),
}

/// The next state of a claim: a held one ends once, in one way.
///
/// # Errors
/// [`Illegal`] if it is not held.
pub fn claim(state: &ClaimState, event: ClaimEvent) -> Result<ClaimState, Illegal> {
    match (state, event) {
        (ClaimState::Held, ClaimEvent::Finish(outcome)) => Ok(ClaimState::Finished(outcome)),
        (ClaimState::Held, ClaimEvent::Release(by)) => Ok(ClaimState::Released(by)),
        (ClaimState::Held, ClaimEvent::Expire) => Ok(ClaimState::Expired),
        (ClaimState::Held, ClaimEvent::Revoke(why)) => Ok(ClaimState::Revoked(why)),
        (state, event) => Err(Illegal::new("a claim", state, &event)),
    }
}

/// What can happen to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEvent {
    /// It goes on to a phase. Repeating the present one is fine, and after a restart of the daemon an earlier one may be
    /// gone through again.
    Enter(Phase),
    /// It is over.
    End(EndClass),
}

/// The next state of a run: done is done.
///
/// # Errors
/// [`Illegal`] if it is over, or if it would become queued again.
pub fn run(state: RunState, event: RunEvent) -> Result<RunState, Illegal> {
    match (state, event) {
        (RunState::Live(_), RunEvent::End(class)) => Ok(RunState::Ended(class)),
        (RunState::Live(now), RunEvent::Enter(to)) if to != Phase::Queued || now == Phase::Queued => {
            Ok(RunState::Live(to))
        }
        (state, event) => Err(Illegal::new("a run", &state, &event)),
    }
}

/// The next state of an intent: it ends once.
///
/// # Errors
/// [`Illegal`] if it has ended.
pub fn intent(state: &IntentState, to: IntentState) -> Result<IntentState, Illegal> {
    match state {
        IntentState::Pending(_) => Ok(to),
        ended => Err(Illegal::new("an intent", ended, &to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closed_means_done() {
        let events = [
            CardEvent::Taken,
            CardEvent::GivenBack { open_pull: false },
            CardEvent::GivenBack { open_pull: true },
            CardEvent::PullOpen,
            CardEvent::PullClosed,
            CardEvent::Failed { give_up: false },
            CardEvent::Failed { give_up: true },
            CardEvent::NeedsPerson,
            CardEvent::Moved(Status::Backlog),
            CardEvent::Moved(Status::Ready),
            CardEvent::Moved(Status::InProgress),
            CardEvent::Moved(Status::InReview),
            CardEvent::Moved(Status::Done),
            CardEvent::Reopened,
        ];
        for state in Status::ALL {
            assert_eq!(card(state, CardEvent::Closed), Ok(Status::Done));
            for event in events {
                let next = card(state, event);
                assert_ne!(next, Ok(Status::Done), "{state:?} {event:?}");
                if state == Status::Done && event != CardEvent::Reopened {
                    assert!(next.is_err(), "done is left by reopening alone, not by {event:?}");
                }
            }
        }
        assert_eq!(card(Status::Done, CardEvent::Reopened), Ok(Status::Backlog));
    }

    #[test]
    fn an_ended_claim_run_or_intent_stays_ended() {
        assert!(claim(&ClaimState::Expired, ClaimEvent::Expire).is_err());
        assert!(claim(&ClaimState::Finished(Outcome::Failed), ClaimEvent::Release("x".into())).is_err());
        let over = RunState::Ended(EndClass::Killed);
        assert!(run(over, RunEvent::Enter(Phase::Running)).is_err());
        assert!(run(over, RunEvent::End(EndClass::Succeeded)).is_err());
        assert!(run(RunState::Live(Phase::Running), RunEvent::Enter(Phase::Queued)).is_err());
        assert!(intent(&IntentState::Done, IntentState::Superseded).is_err());
    }

    #[test]
    fn what_is_illegal_is_said_in_words() {
        let said = card(Status::Done, CardEvent::Taken).unwrap_err().to_string();
        assert_eq!(said, "Taken is not possible for a card that is Done");
    }
}
