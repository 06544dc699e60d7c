//! The newest events in memory, for followers that keep up.

use std::collections::VecDeque;

use dispatch_shared::event::Seq;

use crate::core::record::Event;

/// See the module.
#[derive(Debug)]
pub(super) struct Ring {
    /// Every event after this one is here.
    base: Seq,
    events: VecDeque<Event>,
    room: usize,
}

impl Ring {
    /// An empty one that begins after `base`.
    pub(super) fn new(base: Seq, room: usize) -> Self {
        Self { base, events: VecDeque::new(), room: room.max(1) }
    }

    /// Takes the events of a commit, in their order.
    pub(super) fn push(&mut self, events: Vec<Event>) {
        self.events.extend(events);
        while self.events.len() > self.room {
            if let Some(out) = self.events.pop_front() {
                self.base = out.seq;
            }
        }
    }

    /// The events after `after`, oldest first; `None` if they are not here that far back.
    pub(super) fn after(&self, after: Seq) -> Option<Vec<Event>> {
        if after < self.base {
            return None;
        }
        let from = self.events.partition_point(|e| e.seq <= after);
        Some(self.events.range(from..).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dispatch_shared::Timestamp;
    use dispatch_shared::event::What;

    #[test]
    fn gives_what_follows_or_says_that_it_is_too_far_back() {
        let mut ring = Ring::new(Seq(10), 3);
        assert_eq!(ring.after(Seq(10)), Some(vec![]));
        assert_eq!(ring.after(Seq(9)), None);
        let event = |n| Event { seq: Seq(n), at: Timestamp(0), what: What::Control };
        ring.push((11..=15).map(event).collect());
        assert_eq!(ring.after(Seq(11)), None);
        assert_eq!(ring.after(Seq(12)), Some(vec![event(13), event(14), event(15)]));
        assert_eq!(ring.after(Seq(14)), Some(vec![event(15)]));
        assert_eq!(ring.after(Seq(15)), Some(vec![]));
    }
}
