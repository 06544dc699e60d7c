//! What a webhook gives reason to read again, and how many hints become few reads.

use std::collections::BTreeSet;

/// What to read again of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hint {
    /// One issue.
    Issue(u64),
    /// One pull request: its state, branch and head.
    Pull(u64),
    /// The repository itself: its name, whether it is archived or gone.
    Repository,
    /// Every card: labels were renamed or deleted, which changes no card's time.
    Everything,
    /// What may be done there.
    Access,
}

/// Read one by one up to here; beyond, one incremental sync is cheaper.
const FEW: usize = 4;

/// Hints that wait to be read, each thing once. Those about access are for others and left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    issues: BTreeSet<u64>,
    pulls: BTreeSet<u64>,
    repository: bool,
    everything: bool,
}

/// The reads that hints come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Read the repository itself.
    pub repository: bool,
    /// Read all cards, from the first page on.
    pub everything: bool,
    /// Sync: read whatever changed.
    pub sync: bool,
    /// Read these issues.
    pub issues: Vec<u64>,
    /// Read these pull requests.
    pub pulls: Vec<u64>,
}

impl Hints {
    /// Takes one in.
    pub fn add(&mut self, hint: Hint) {
        match hint {
            Hint::Issue(n) => drop(self.issues.insert(n)),
            Hint::Pull(n) => drop(self.pulls.insert(n)),
            Hint::Repository => self.repository = true,
            Hint::Everything => self.everything = true,
            Hint::Access => {}
        }
    }

    /// What they come to.
    #[must_use]
    pub fn reads(self) -> Reads {
        let many = self.issues.len() + self.pulls.len() > FEW;
        let each = |set: BTreeSet<u64>| match many || self.everything {
            true => Vec::new(),
            false => set.into_iter().collect(),
        };
        Reads {
            repository: self.repository,
            everything: self.everything,
            sync: many && !self.everything,
            issues: each(self.issues),
            pulls: each(self.pulls),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(hints: impl IntoIterator<Item = Hint>) -> Reads {
        let mut all = Hints::default();
        hints.into_iter().for_each(|h| all.add(h));
        all.reads()
    }

    #[test]
    fn few_are_read_one_by_one_and_many_become_a_sync() {
        let few = reads([Hint::Issue(3), Hint::Issue(3), Hint::Pull(4)]);
        assert_eq!((few.issues, few.pulls, few.sync), (vec![3], vec![4], false));
        let many = reads((0..200).map(Hint::Issue).chain([Hint::Repository]));
        assert_eq!((many.issues.len(), many.sync, many.repository), (0, true, true));
        let all = reads((0..200).map(Hint::Issue).chain([Hint::Everything]));
        assert!(all.everything && !all.sync && all.issues.is_empty(), "everything is more than what changed");
    }
}
