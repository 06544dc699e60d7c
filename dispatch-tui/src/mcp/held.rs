//! The claims that this session took, newest last.

use std::sync::Mutex;

use dispatch_shared::id::ClaimId;

#[derive(Clone, Debug)]
struct Claim {
    agent: String,
    issue: Option<String>,
    id: ClaimId,
}

/// Remembers claims by agent and issue.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<Vec<Claim>>);

impl Held {
    /// A claim was taken.
    pub(super) fn took(&self, agent: &str, issue: Option<&str>, id: ClaimId) {
        let mut held = self.lock();
        held.retain(|c| c.id != id);
        held.push(Claim { agent: agent.to_owned(), issue: issue.map(str::to_owned), id });
    }

    /// The newest claim of `agent`, on `issue` if one is named.
    pub(super) fn newest(&self, agent: &str, issue: Option<&str>) -> Option<ClaimId> {
        let held = self.lock();
        let fits = |c: &&Claim| {
            c.agent == agent && (issue.is_none() || c.issue.is_none() || c.issue.as_deref() == issue)
        };
        held.iter().rev().find(fits).map(|c| c.id)
    }

    /// A claim is over.
    pub(super) fn ended(&self, id: ClaimId) {
        self.lock().retain(|c| c.id != id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Claim>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_claim_on_the_issue_named_is_meant() {
        let held = Held::default();
        held.took("ada", Some("r-1"), ClaimId(1));
        held.took("ada", Some("r-2"), ClaimId(2));
        held.took("bob", Some("r-3"), ClaimId(3));
        assert_eq!(held.newest("ada", None), Some(ClaimId(2)));
        assert_eq!(held.newest("ada", Some("r-1")), Some(ClaimId(1)));
        assert_eq!(held.newest("ada", Some("r-3")), None);
        held.ended(ClaimId(2));
        assert_eq!(held.newest("ada", None), Some(ClaimId(1)));
    }
}
