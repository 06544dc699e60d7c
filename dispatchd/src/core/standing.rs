//! Whether work can be done in a repository, as its forge says, and how often it must say no before it is believed.
//!
//! Losing access is not being deleted, and one wrong answer is neither: a token that expired, an outage and a gateway all
//! look like "not there" for a while. So only a forge that denies the repository again and again, while it answers the
//! same credential in all else, is believed; and even then nothing is thrown away, only no new work is begun.

use std::time::Duration;

use dispatch_shared::Timestamp;
use serde::{Deserialize, Serialize};

/// Denials before a repository counts as lost.
const DENIALS: u32 = 3;
/// The time between the first of them and the last.
const DENIED_FOR: Duration = Duration::from_secs(10 * 60);
/// The time between two denials of one issue before it counts as gone.
const CONFIRMED_AFTER: Duration = Duration::from_secs(60);

/// What can be done in a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Everything.
    #[default]
    Active,
    /// It is read only.
    Archived,
    /// The forge has switched it off.
    Disabled,
    /// It is not there any more, or the credential may not see it any more.
    Lost,
}

impl Standing {
    /// Whether work may begin.
    #[must_use]
    pub fn takes_work(self) -> bool {
        self == Self::Active
    }

    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Archived => "archived",
            Self::Disabled => "disabled",
            Self::Lost => "lost",
        }
    }

    /// Completes the sentence "the repository …".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Active => "is there",
            Self::Archived => "is archived",
            Self::Disabled => "is disabled",
            Self::Lost => "is not there any more, or cannot be seen with this token",
        }
    }
}

/// Why a sync failed, as far as it matters for what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It will pass: the forge is away, broken, or wants a pause.
    Passing,
    /// It stays until somebody does something: the credential is refused.
    Lasting,
    /// The forge answers this credential, and says that the repository is not there.
    Denied,
}

/// What is known of a repository's standing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// What is believed.
    #[serde(default)]
    pub standing: Standing,
    /// How often it was denied since it was last seen.
    #[serde(default)]
    pub denials: u32,
    /// When first.
    #[serde(default)]
    pub denied_since: Option<Timestamp>,
    /// Whether the last failure stays until somebody does something.
    #[serde(default)]
    pub lasting: bool,
}

impl Access {
    /// After a failed sync.
    #[must_use]
    pub fn after(&self, trouble: Trouble, now: Timestamp) -> Self {
        let lasting = trouble != Trouble::Passing;
        if trouble != Trouble::Denied {
            return Self { lasting, ..self.clone() };
        }
        let (denials, since) = (self.denials.saturating_add(1), self.denied_since.unwrap_or(now));
        let lost = denials >= DENIALS && now.since(since) >= DENIED_FOR;
        let standing = if lost { Standing::Lost } else { self.standing };
        Self { standing, denials, denied_since: Some(since), lasting }
    }

    /// After the forge told of the repository itself.
    #[must_use]
    pub fn seen(standing: Standing) -> Self {
        Self { standing, ..Self::default() }
    }
}

/// Whether an issue is gone that was denied at `first` and again at `now`.
#[must_use]
pub fn gone(first: Timestamp, now: Timestamp) -> bool {
    now.since(first) >= CONFIRMED_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn minutes(n: u64) -> Timestamp {
        NOW + Duration::from_secs(n * 60)
    }

    #[test]
    fn only_repeated_denials_over_time_are_believed() {
        let mut access = Access::default();
        for n in 0..5 {
            access = access.after(Trouble::Denied, minutes(n));
            assert!(access.standing.takes_work(), "{n} minutes are an outage");
        }
        access = access.after(Trouble::Passing, minutes(20));
        assert!(access.standing.takes_work(), "being away says nothing");
        assert_eq!(access.after(Trouble::Denied, minutes(21)).standing, Standing::Lost);
        let seen = Access::seen(Standing::Active).after(Trouble::Denied, minutes(21));
        assert_eq!((seen.standing, seen.denials), (Standing::Active, 1), "seeing it begins anew");
    }

    #[test]
    fn a_refused_token_loses_nothing() {
        let mut access = Access::default();
        for n in 0..1_000 {
            access = access.after(Trouble::Lasting, minutes(n));
        }
        assert_eq!((access.standing, access.denials, access.lasting), (Standing::Active, 0, true));
    }
}
