//! Which PR-fix item the built-in runner takes next: like any other harness, but only on repositories that it is switched on
//! for, on pull requests that were read, and not before a model that said "later" may be asked again.

use std::sync::Arc;

use dispatch_shared::Timestamp;
use dispatch_shared::id::{AgentName, RepoKey};
use dispatch_shared::run::RunState;

use super::fix::{Fix, FixKey, pick};
use super::record::{Run, Target};
use super::retry::{self, Consequence};
use super::world::World;

/// The template of its prompts.
pub const TEMPLATE: &str = "followup-pr";

/// An item that the runner may have, now or later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub key: FixKey,
    /// Not before then.
    pub not_before: Option<Timestamp>,
}

/// The items of these repositories that `agent`, the runner, may have, most urgent first.
#[must_use]
pub fn candidates(world: &World, agent: &AgentName, lane: Option<&str>, repos: &[RepoKey]) -> Vec<Candidate> {
    let fits = |fix: &&Arc<Fix>| {
        let branch = pick::pull(world, &fix.key).map(|p| p.seen.head_branch.as_str());
        repos.contains(&fix.key.repo)
            && branch.is_some_and(|branch| {
                world.live_runs().all(|run| run.card.repo != fix.key.repo || run.branch != branch)
            })
    };
    let items = pick::order(world, agent, lane).filter(fits);
    items.map(|fix| Candidate { key: fix.key.clone(), not_before: not_before(world, &fix.key) }).collect()
}

/// The runs on a pull request, the newest first.
pub fn runs<'a>(world: &'a World, key: &'a FixKey) -> impl Iterator<Item = &'a Arc<Run>> {
    let on = |run: &&Arc<Run>| run.card.repo == key.repo && run.target == Target::Pull(key.pr);
    world.runs.values().rev().filter(on)
}

/// After runs that ended through no fault of the task the next one waits, the longer the more of them there were in a row.
fn not_before(world: &World, key: &FixKey) -> Option<Timestamp> {
    let class = |run: &Run| match run.state {
        RunState::Ended(class) if later(run) => Some(class),
        _ => None,
    };
    let mut deferred = runs(world, key).map_while(|run| Some((run, class(run)?)));
    let (newest, class) = deferred.next()?;
    let times = 1 + u32::try_from(deferred.count()).unwrap_or(u32::MAX);
    Some(retry::again(class, times, newest.ended_at?, newest.retry_at))
}

/// Whether a run ended so that the same is to be tried once more later, by whoever tried it.
#[must_use]
pub fn later(run: &Run) -> bool {
    match run.state {
        // What others spent is not the task's fault.
        RunState::Ended(dispatch_shared::run::EndClass::Budget) => run.retry_at.is_some(),
        RunState::Ended(class) => retry::consequence(class) == Consequence::TryLater,
        RunState::Live(_) => false,
    }
}
