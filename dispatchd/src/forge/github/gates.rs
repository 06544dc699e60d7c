//! A gate for each identity: GitHub counts every installation of an App apart, and a person's tokens together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::gate::Gate;
use crate::core::throttle::{Left, Resource, Wait};
use crate::edges::Edges;

/// See the module.
pub(super) struct Gates {
    edges: Edges,
    all: Mutex<BTreeMap<Arc<str>, Arc<Gate>>>,
}

impl Gates {
    pub(super) fn new(edges: Edges) -> Self {
        Self { edges, all: Mutex::default() }
    }

    /// The gate of `who`.
    pub(super) fn of(&self, who: &Arc<str>) -> Arc<Gate> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(who.clone()).or_insert_with(|| Arc::new(Gate::new(self.edges.clone()))).clone()
    }

    /// What is left of each resource where least is left, and why reads in the background are slowed anywhere.
    pub(super) fn budget(&self) -> (Vec<(Resource, Left)>, Option<Wait>) {
        let all: Vec<Arc<Gate>> =
            self.all.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let (mut least, mut slowed): (Vec<(Resource, Left)>, _) = (Vec::new(), None);
        for (left, wait) in all.iter().map(|gate| gate.budget()) {
            slowed = slowed.or(wait);
            for (resource, left) in left {
                match least.iter_mut().find(|(r, _)| *r == resource) {
                    None => least.push((resource, left)),
                    Some((_, there)) if left.remaining < there.remaining => *there = left,
                    Some(_) => {}
                }
            }
        }
        (least, slowed)
    }
}
