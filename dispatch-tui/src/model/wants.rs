//! What views ask the daemon for beyond what the stream brings: when a view is opened that shows it, and again when
//! something happened; never twice at once, and never because time went by.

use std::collections::BTreeSet;

/// One thing to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What is handed out next, and what is withheld.
    Queue,
    /// Agents and stale cards.
    Overview,
    /// Who did what.
    Audit,
    /// What happened on the forges.
    Feed,
}

/// What is to be asked for, and what was asked for and has not come.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    wanted: BTreeSet<Part>,
    asked: BTreeSet<Part>,
}

impl Wants {
    /// Have it asked for as soon as its last answer is there.
    pub(crate) fn want(&mut self, parts: &[Part]) {
        self.wanted.extend(parts);
    }

    /// Whether an answer is awaited.
    pub(crate) fn awaits(&self, part: Part) -> bool {
        self.asked.contains(&part)
    }

    /// The parts among those `shown` that are to be asked for now; they count as asked for from here on.
    pub(crate) fn due(&mut self, shown: &[Part]) -> Vec<Part> {
        let due: Vec<Part> =
            shown.iter().copied().filter(|p| self.wanted.contains(p) && !self.asked.contains(p)).collect();
        for part in &due {
            self.wanted.remove(part);
            self.asked.insert(*part);
        }
        due
    }

    /// The answer is there, good or bad.
    pub(crate) fn came(&mut self, part: Part) {
        self.asked.remove(&part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_for_twice_at_once_and_what_happened_meanwhile_is_asked_for_after() {
        let mut wants = Wants::default();
        wants.want(&[Part::Queue, Part::Audit]);
        assert_eq!(wants.due(&[Part::Queue]), [Part::Queue], "only what is shown");
        wants.want(&[Part::Queue]);
        assert_eq!(wants.due(&[Part::Queue]), [], "one is under way");
        wants.came(Part::Queue);
        assert_eq!(wants.due(&[Part::Queue]), [Part::Queue]);
        wants.came(Part::Queue);
        assert_eq!(wants.due(&[Part::Queue]), [], "nothing happened since");
    }
}
