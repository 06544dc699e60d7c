//! How much may be under way at once: in all, in a lane, in a repository, of a program and model, by an agent. A task may
//! weigh more than one slot.
//!
//! What is in use is added up from the live claims and runs whenever somebody asks; there are few of them. A task that weighs more
//! than its limit is handed out when nothing else is in use there, or it would wait for ever.

use std::collections::BTreeMap;

use dispatch_shared::id::{AgentName, RepoKey};
use dispatch_shared::task::TaskType;

use super::rank::Rule;
use super::record::{Card, Run};
use super::world::World;

/// `[limits]`: slots at once; 0 or absent is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub total: u32,
    /// By lane id.
    pub lanes: BTreeMap<String, u32>,
    /// By repository, `owner/name`, lower case.
    pub repositories: BTreeMap<String, u32>,
    /// By program, or program and model: `claude`, `claude:opus`. Runs of the built-in runner.
    pub models: BTreeMap<String, u32>,
    /// What a task weighs, by label or lane id, lower case; the heaviest counts, 1 without any.
    pub weights: BTreeMap<String, u32>,
}

/// The slots that a card takes.
#[must_use]
pub fn weight(world: &World, card: &Card) -> u32 {
    let weights = &world.policy.limits.weights;
    if weights.is_empty() {
        return 1;
    }
    let by_label = card.labels.iter().filter_map(|l| weights.get(&l.to_lowercase()));
    by_label.chain(weights.get(&world.lane_of(card).to_lowercase())).copied().max().unwrap_or(1).max(1)
}

/// The slots that a run takes.
#[must_use]
pub fn weight_of_run(world: &World, run: &Run) -> u32 {
    world.cards.get(&run.card).map_or(1, |card| weight(world, card))
}

/// Work that takes slots: a live claim, or a run that needs none. A run that waits takes nothing yet.
struct Work<'a> {
    agent: &'a AgentName,
    card: Option<&'a Card>,
    repo: &'a RepoKey,
    program: Option<&'a str>,
    grooming: bool,
}

impl Work<'_> {
    fn weight(&self, world: &World) -> u32 {
        if self.grooming { 1 } else { self.card.map_or(1, |card| weight(world, card)) }
    }
}

fn work(world: &World) -> impl Iterator<Item = Work<'_>> {
    let claimed = world.leases().filter_map(|claim| {
        let run = claim.run.and_then(|id| world.runs.get(&id));
        let card = world.cards.get(&claim.card).map(AsRef::as_ref);
        (!run.is_some_and(|r| r.waiting)).then(|| Work {
            agent: &claim.agent,
            card,
            repo: &claim.card.repo,
            program: run.map(|r| r.program.as_str()),
            grooming: claim.kind == TaskType::Groom,
        })
    });
    let unclaimed = world.live_runs().filter(|r| r.claim.is_none() && !r.waiting).map(|run| Work {
        agent: &run.agent,
        card: None,
        repo: &run.card.repo,
        program: Some(&run.program),
        grooming: false,
    });
    claimed.chain(unclaimed)
}

/// The slots that an agent's work takes.
#[must_use]
pub fn held_by(world: &World, agent: &AgentName) -> usize {
    work(world).filter(|w| w.agent == agent).map(|w| w.weight(world) as usize).sum()
}

/// The slots in use.
#[derive(Clone, Debug, Default)]
pub struct Use {
    total: u32,
    lanes: BTreeMap<String, u32>,
    repositories: BTreeMap<String, u32>,
    models: BTreeMap<String, u32>,
}

impl Use {
    /// Adds up what is under way; nothing is looked at if there are no limits.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let mut used = Self::default();
        let limits = &world.policy.limits;
        let none = limits.lanes.is_empty() && limits.repositories.is_empty() && limits.models.is_empty();
        if limits.total == 0 && none {
            return used;
        }
        for work in work(world) {
            let weight = work.weight(world);
            used.total += weight;
            if work.grooming {
                continue;
            }
            if let Some(card) = work.card {
                *used.lanes.entry(world.lane_of(card).to_owned()).or_default() += weight;
            }
            if let Some(repo) = world.repos.get(work.repo) {
                *used.repositories.entry(repo.name.folded()).or_default() += weight;
            }
            if let Some(program) = work.program {
                *used.models.entry(program.to_owned()).or_default() += weight;
                if let Some((program, _)) = program.split_once(':') {
                    *used.models.entry(program.to_owned()).or_default() += weight;
                }
            }
        }
        used
    }

    fn room(&self, world: &World, card: &Card, rule: Rule) -> Option<(u32, u32, String)> {
        let limits = &world.policy.limits;
        match rule {
            Rule::TotalLimit => self.in_all(limits),
            Rule::LaneLimit => room(&limits.lanes, &self.lanes, world.lane_of(card).to_owned()),
            Rule::RepoLimit => self.in_repo(world, &card.key.repo),
            Rule::ModelLimit => self.of_program(limits, world.policy.program_for(world.lane_of(card))),
            _ => None,
        }
    }

    fn in_all(&self, limits: &Limits) -> Option<(u32, u32, String)> {
        (limits.total > 0).then(|| (self.total, limits.total, "all work together".to_owned()))
    }

    fn in_repo(&self, world: &World, repo: &RepoKey) -> Option<(u32, u32, String)> {
        let name = world.repos.get(repo)?.name.folded();
        room(&world.policy.limits.repositories, &self.repositories, name)
    }

    fn of_program(&self, limits: &Limits, program: &str) -> Option<(u32, u32, String)> {
        let base = program.split(':').next().unwrap_or_default().to_owned();
        let whole = room(&limits.models, &self.models, program.to_owned());
        let part = (base != program).then(|| room(&limits.models, &self.models, base)).flatten();
        // Of the two the one with less room.
        [whole, part].into_iter().flatten().min_by_key(|(used, limit, _)| limit.saturating_sub(*used))
    }

    /// The limit that leaves no room for a run, in words; `None` if all leave some.
    #[must_use]
    pub fn full_for(&self, world: &World, run: &Run) -> Option<String> {
        let limits = &world.policy.limits;
        let takes = weight_of_run(world, run);
        let lane = world.cards.get(&run.card).map(|card| world.lane_of(card).to_owned());
        let rooms = [
            self.in_all(limits),
            lane.and_then(|lane| room(&limits.lanes, &self.lanes, lane)),
            self.in_repo(world, &run.card.repo),
            self.of_program(limits, &run.program),
        ];
        let full = |(used, limit, _): &(u32, u32, String)| *used > 0 && used + takes > *limit;
        rooms
            .into_iter()
            .flatten()
            .find(full)
            .map(|(used, limit, name)| format!("{name}: {used}/{limit} slots in use, this one takes {takes}"))
    }

    /// Whether `card` fits under the limit that `rule` speaks of.
    #[must_use]
    pub fn fits(&self, world: &World, card: &Card, rule: Rule) -> bool {
        self.room(world, card, rule)
            .is_none_or(|(used, limit, _)| used == 0 || used + weight(world, card) <= limit)
    }

    /// The state of that limit, in words.
    #[must_use]
    pub fn words(&self, world: &World, card: &Card, rule: Rule) -> String {
        match self.room(world, card, rule) {
            None => "no limit".to_owned(),
            Some((used, limit, name)) => {
                format!("{name}: {used}/{limit} slots in use, this one takes {}", weight(world, card))
            }
        }
    }
}

fn room(
    limits: &BTreeMap<String, u32>,
    used: &BTreeMap<String, u32>,
    name: String,
) -> Option<(u32, u32, String)> {
    let limit = limits.get(&name).copied().filter(|l| *l > 0)?;
    Some((used.get(&name).copied().unwrap_or(0), limit, name))
}

/// Whether `agent` has room for `card` among its own slots.
#[must_use]
pub fn agent_fits(world: &World, agent: &AgentName, slots: usize, card: &Card) -> bool {
    let used = held_by(world, agent);
    used == 0 && slots > 0 || used + weight(world, card) as usize <= slots
}
