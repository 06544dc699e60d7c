//! What is wrong with what contains runs: engines and images that are not there, containers that nobody knows.

use std::collections::BTreeMap;

use dispatch_shared::event::What;
use dispatch_shared::run::RuntimeKind;

use super::control;
use crate::core::command::Reply;
use crate::core::draft::Draft;
use crate::core::record::Stray;

/// Takes over what is wrong with engines and images.
pub(super) fn ailing(d: &mut Draft, ailing: &BTreeMap<String, String>) -> Reply {
    let old = d.world.meta.ailing.clone();
    if let Some(new) = control::lasting(d, &old, ailing, ["engine_trouble", "engine_well"]) {
        d.meta(|m| m.ailing = new);
    }
    Reply::Done
}

/// Takes over what the engines that were asked hold and nobody knows.
pub(super) fn strays(d: &mut Draft, asked: &[RuntimeKind], found: &[Stray]) -> Reply {
    let old = d.world.meta.strays.clone();
    let same = |a: &Stray, b: &Stray| (a.engine, &a.name) == (b.engine, &b.name);
    let others = old.iter().filter(|s| !asked.contains(&s.engine)).cloned();
    let seen = found.iter().filter(|s| !known(d, s)).map(|stray| {
        let since = old.iter().find(|o| same(o, stray)).map_or(d.now, |o| o.since);
        Stray { since, ..stray.clone() }
    });
    let mut new: Vec<Stray> = others.chain(seen).collect();
    new.sort_by(|a, b| (a.engine.word(), &a.name).cmp(&(b.engine.word(), &b.name)));
    if new == old {
        return Reply::Done;
    }
    for stray in new.iter().filter(|n| !old.iter().any(|o| same(o, n))) {
        control::noted(d, "orphan_found", &format!("{} {}", stray.engine, stray.name), "dispatch");
    }
    d.meta(|m| m.strays = new);
    d.tell(What::Control);
    Reply::Done
}

/// Whether the stray belongs to a run after all: one that began after its engine was asked.
fn known(d: &Draft, stray: &Stray) -> bool {
    d.world.runs.get(&stray.run).is_some_and(|r| r.attempt == stray.attempt)
}
