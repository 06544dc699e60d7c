//! Who can work: programs and their pools, lanes, and agents by name; what each does now and what it did today.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::agent_runs::AgentOverview;
use dispatch_shared::protocol::control::{PausedPool, UsageRow, Wait};
use dispatch_shared::protocol::runs::Run;

use super::{Model, View, find, text};

/// What the cursor may stand on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A program, `claude`, or program and model, `claude:opus`.
    Pool(String),
    Lane(String),
    Agent(String),
}

impl Key {
    pub(crate) fn name(&self) -> &str {
        match self {
            Key::Pool(name) | Key::Lane(name) | Key::Agent(name) => name,
        }
    }
}

/// A program's pool.
#[derive(Debug)]
pub(crate) struct Pool<'a> {
    pub(crate) paused: Option<&'a PausedPool>,
    /// Why the built-in runner starts none of it now: a pause, a pace, a budget.
    pub(crate) wait: Option<&'a Wait>,
    pub(crate) live: usize,
    /// Ended runs that are known here: how many, and how many of them came to what was wanted.
    pub(crate) ended: (usize, usize),
}

fn is_of(run: &Run, program: &str) -> bool {
    run.program == program || run.program.split(':').next() == Some(program)
}

/// Today's row of what runs used, by `program`, `lane` or `agent`.
pub(crate) fn used<'a>(model: &'a Model, by: &str, name: &str) -> Option<&'a UsageRow> {
    model.data.control.as_ref()?.usage.iter().find(|row| row.by == by && row.name == name)
}

/// What there is to say of a pool.
pub(crate) fn pool<'a>(model: &'a Model, program: &str) -> Pool<'a> {
    let control = model.data.control.as_ref();
    let runs = || model.data.runs.values().filter(|r| is_of(r, program));
    let ended = runs().filter(|r| r.ended);
    let well = |r: &&Run| matches!(r.state.as_str(), "succeeded" | "no-changes" | "blocked");
    Pool {
        paused: control.and_then(|c| c.paused_pools.iter().find(|p| p.program == program)),
        wait: control.and_then(|c| c.waits.iter().find(|w| w.program == program)),
        live: runs().filter(|r| !r.ended).count(),
        ended: (ended.clone().count(), ended.filter(well).count()),
    }
}

/// The pause of a program, if it is paused.
pub(crate) fn pause<'a>(model: &'a Model, program: &str) -> Option<&'a PausedPool> {
    model.data.control.as_ref()?.paused_pools.iter().find(|p| p.program == program)
}

/// What a lane holds: ready cards, cards in progress, live runs.
pub(crate) fn lane(model: &Model, id: &str) -> (usize, usize, usize) {
    let cards = |column: Status| {
        let here = model.data.issues.values().filter(|i| i.lane == id);
        here.filter(|i| model.column_of(&i.issue_id).unwrap_or(i.column) == column).count()
    };
    let live = model.data.runs.values().filter(|r| !r.ended && r.lane.as_deref() == Some(id)).count();
    (cards(Status::Ready), cards(Status::InProgress), live)
}

/// What an agent is about: what the daemon said, with the claims as they are now.
pub(crate) fn agent(model: &Model, name: &str) -> (AgentOverview, usize) {
    let said = model.overview.iter().flat_map(|o| &o.agents);
    let mut said = said.filter(|a| a.agent_name.as_ref().is_some_and(|n| n.as_str() == name));
    let held = model.data.issues.values().filter_map(|i| i.claim.as_ref());
    let held = held.filter(|c| c.agent_name.as_str() == name).count();
    (said.next().cloned().unwrap_or_default(), held)
}

/// All rows: what is paused or waits first among the pools, then by name; lanes in their configured order.
pub(crate) fn keys(model: &Model) -> Vec<Key> {
    let mut pools: BTreeMap<String, bool> = BTreeMap::new();
    let base = |program: &str| program.split(':').next().unwrap_or(program).to_owned();
    if let Some(control) = &model.data.control {
        pools.extend(control.usage.iter().filter(|r| r.by == "program").map(|r| (r.name.clone(), false)));
        pools.extend(control.waits.iter().map(|w| (w.program.clone(), true)));
        pools.extend(control.paused_pools.iter().map(|p| (p.program.clone(), true)));
    }
    for run in model.data.runs.values() {
        pools.entry(base(&run.program)).or_default();
    }
    let mut pools: Vec<_> = pools.into_iter().map(|(name, stands)| (!stands, name)).collect();
    pools.sort();
    let mut agents: BTreeSet<String> = BTreeSet::new();
    if let Some(overview) = &model.overview {
        agents.extend(overview.agents.iter().filter_map(|a| Some(a.agent_name.as_ref()?.to_string())));
    }
    agents.extend(model.data.issues.values().filter_map(|i| Some(i.claim.as_ref()?.agent_name.to_string())));
    agents.extend(model.data.runs.values().filter(|r| !r.ended).map(|r| r.agent_name.to_string()));
    let lanes = model.data.lanes.iter().map(|l| Key::Lane(l.id.clone()));
    let filter = model.filter.to_string();
    let all = pools.into_iter().map(|(_, name)| Key::Pool(name)).chain(lanes);
    all.chain(agents.into_iter().map(Key::Agent))
        .filter(|key| find::keeps(&filter, || key.name().to_owned()))
        .collect()
}

/// Until each text about a time ahead reads differently: these count whole minutes.
pub(crate) fn ahead(model: &Model) -> Vec<Duration> {
    let Some(control) = model.data.control.as_ref().filter(|_| model.view == View::Agents) else {
        return Vec::new();
    };
    let pauses = control.paused_pools.iter().map(|p| p.until);
    let untils = pauses.chain(control.waits.iter().map(|w| w.until)).filter(|until| *until > model.now);
    untils.map(|until| text::minute_holds(until.since(model.now))).collect()
}

/// The instants that the view tells time from.
pub(crate) fn ages(model: &Model) -> Vec<Timestamp> {
    model.overview.iter().flat_map(|o| &o.agents).filter_map(|a| a.last_seen_at).collect()
}
