//! What a forge itself says that an issue waits for, beside what the issue's text says: how many open ones it counts, and,
//! where that is not none, which. The count comes with every read of the issue, the list takes a request of its own. Until it
//! is there, and for what it does not show, the count stands: what is unknown counts as open.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoName;
use dispatch_shared::issue::IssueState;
use serde::{Deserialize, Serialize};

use super::record::Card;

/// How long a list is believed: neither a blocker that closes elsewhere nor one that is taken off need touch the issue.
pub const AGAIN: Duration = Duration::from_secs(600);
/// How long after a list could not be had at all.
const DENIED: Duration = Duration::from_secs(3_600);
/// How long after the first of several failures; doubled for each.
const FAILED: Duration = Duration::from_secs(30);

/// A blocker as the forge lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenBlocker {
    /// Where it lives.
    pub repo: RepoName,
    /// Its number.
    pub number: u64,
    /// Whether it was open then.
    pub open: bool,
}

/// Whether the list of blockers is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listed {
    /// Not read since the count last changed.
    #[default]
    Unread,
    /// As of the last read.
    Read,
    /// The forge counts but does not list them: what it said.
    Denied(String),
}

/// What the forge says that a card waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// Open blockers by the forge's count; 0 where it counts none.
    pub open: u64,
    /// Those that it listed, open or closed.
    #[serde(default)]
    pub known: Vec<SeenBlocker>,
    /// Open ones that were counted and not listed: they lie where the credential does not see.
    #[serde(default)]
    pub hidden: u64,
    /// Whether `known` and `hidden` are of this count.
    #[serde(default)]
    pub listed: Listed,
}

impl Waits {
    /// Takes in the count of a read of the issue. `None`, of a forge that keeps none, is no blocker.
    pub fn count(&mut self, open: Option<u64>) {
        match open.unwrap_or(0) {
            0 => *self = Waits::default(),
            open if open != self.open => {
                self.open = open;
                self.listed = Listed::Unread;
            }
            _ => {}
        }
    }

    /// Takes in the list, or why there is none.
    pub fn list(&mut self, seen: &Result<Vec<SeenBlocker>, String>) {
        if self.open == 0 {
            return;
        }
        match seen {
            Ok(known) => {
                self.known.clone_from(known);
                self.hidden = self.open.saturating_sub(listed_open(known));
                self.listed = Listed::Read;
            }
            Err(why) => {
                self.known.clear();
                self.hidden = 0;
                self.listed = Listed::Denied(why.clone());
            }
        }
    }

    /// What is open by the count alone, in words; `None` if the list tells of everything.
    #[must_use]
    pub fn unlisted(&self) -> Option<String> {
        let some = |n: u64| if n == 1 { "1 open issue".to_owned() } else { format!("{n} open issues") };
        match &self.listed {
            _ if self.open == 0 => None,
            Listed::Unread => {
                Some(format!("the forge counts {} as blockers; which is not read yet", some(self.open)))
            }
            Listed::Denied(why) => Some(format!(
                "the forge counts {} as blockers and does not say which ({why}), so they count as open",
                some(self.open)
            )),
            Listed::Read if self.hidden > 0 => Some(format!(
                "the forge counts {} more as blockers, where the credential does not see, so they count as open",
                some(self.hidden)
            )),
            Listed::Read => None,
        }
    }
}

/// How many of a list are open.
#[must_use]
pub fn listed_open(known: &[SeenBlocker]) -> u64 {
    known.iter().filter(|b| b.open).count() as u64
}

/// Whether the blockers of a card are worth a request.
#[must_use]
pub fn wanted(card: &Card) -> bool {
    card.waits.open > 0 && card.state == IssueState::Open && !card.gone
}

/// The last read of a card's blockers.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// When it began.
    pub at: Timestamp,
    /// When the issue had last changed.
    pub updated_at: Timestamp,
    /// Reads that failed since one that did not.
    pub failures: u32,
}

/// When the blockers of a card, which are [`wanted`], are read next.
#[must_use]
pub fn next(card: &Card, last: Option<&Memory>, now: Timestamp) -> Timestamp {
    let Some(last) = last else { return now };
    if last.failures > 0 {
        let wait = FAILED.saturating_mul(1 << (last.failures - 1).min(10)).min(AGAIN);
        return last.at + wait;
    }
    match card.waits.listed {
        _ if card.updated_at != last.updated_at => now,
        Listed::Unread => now,
        Listed::Read => last.at + AGAIN,
        Listed::Denied(_) => last.at + DENIED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocker(number: u64, open: bool) -> SeenBlocker {
        SeenBlocker { repo: "acme/api".parse().unwrap(), number, open }
    }

    #[test]
    fn what_is_counted_and_not_listed_stays() {
        let mut waits = Waits::default();
        waits.list(&Ok(vec![blocker(1, true)]));
        assert_eq!(waits, Waits::default(), "nothing is counted");
        waits.count(Some(2));
        assert!(waits.unlisted().unwrap().contains("not read yet"));
        waits.list(&Ok(vec![blocker(1, true), blocker(2, false)]));
        assert!(waits.unlisted().unwrap().contains("1 open issue more"), "{waits:?}");
        waits.list(&Ok(vec![blocker(1, true), blocker(2, true)]));
        assert_eq!(waits.unlisted(), None);
        waits.count(Some(2));
        assert_eq!(waits.unlisted(), None, "the same count asks for nothing");
        waits.list(&Err("403".into()));
        assert!(waits.unlisted().unwrap().contains("(403)"));
        waits.count(None);
        assert_eq!(waits, Waits::default());
    }
}
