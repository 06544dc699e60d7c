//! The items in the world: by name, those that wait in the order of urgency, and the webhook deliveries seen.

use std::sync::Arc;

use dispatch_shared::Timestamp;
use dispatch_shared::followup::{FixStatus, FixType};
use dispatch_shared::id::RepoKey;
use imbl::{OrdMap, OrdSet};

use super::{DELIVERIES_KEPT, Delivery, Fix, FixKey};

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Fixes {
    all: OrdMap<FixKey, Arc<Fix>>,
    queued: OrdSet<(FixType, Timestamp, FixKey)>,
    blocked: OrdSet<FixKey>,
    deliveries: OrdMap<u64, String>,
    delivered: OrdMap<String, u64>,
}

impl Fixes {
    /// Puts an item.
    pub fn put(&mut self, fix: &Fix) {
        if let Some(old) = self.all.insert(fix.key.clone(), Arc::new(fix.clone())) {
            self.queued.remove(&(old.fix_type, old.queued_at, old.key.clone()));
            self.blocked.remove(&old.key);
        }
        match fix.status {
            FixStatus::Queued => drop(self.queued.insert((fix.fix_type, fix.queued_at, fix.key.clone()))),
            FixStatus::Blocked => drop(self.blocked.insert(fix.key.clone())),
            _ => {}
        }
    }

    /// Remembers a delivery, and forgets the oldest.
    pub fn deliver(&mut self, delivery: &Delivery) {
        self.deliveries.insert(delivery.n, delivery.id.clone());
        self.delivered.insert(delivery.id.clone(), delivery.n);
        while let Some((n, id)) = self.deliveries.get_min().cloned()
            && n + DELIVERIES_KEPT <= delivery.n
        {
            self.deliveries.remove(&n);
            self.delivered.remove(&id);
        }
    }

    /// Whether a delivery was taken in before.
    #[must_use]
    pub fn was_delivered(&self, id: &str) -> bool {
        self.delivered.contains_key(id)
    }

    /// The number of the next delivery.
    #[must_use]
    pub fn next_delivery(&self) -> u64 {
        self.deliveries.get_max().map_or(1, |(n, _)| n + 1)
    }

    /// One item.
    #[must_use]
    pub fn get(&self, key: &FixKey) -> Option<&Arc<Fix>> {
        self.all.get(key)
    }

    /// All items.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Fix>> {
        self.all.values()
    }

    /// All items of a repository.
    pub fn of<'a>(&'a self, repo: &RepoKey) -> impl Iterator<Item = &'a Arc<Fix>> + use<'a> {
        let from = FixKey { repo: repo.clone(), pr: 0 };
        let to = FixKey { repo: repo.clone(), pr: u64::MAX };
        self.all.range(from..=to).map(|(_, fix)| fix)
    }

    /// Those that wait or are being worked on: most urgent first, then oldest.
    pub fn queued(&self) -> impl Iterator<Item = &Arc<Fix>> {
        self.queued.iter().filter_map(|(_, _, key)| self.all.get(key))
    }

    /// Those that wait for a person.
    pub fn blocked(&self) -> impl Iterator<Item = &Arc<Fix>> {
        self.blocked.iter().filter_map(|key| self.all.get(key))
    }
}
