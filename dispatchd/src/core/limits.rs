//! How much may be under way at once: in all, in a lane, in a repository, of a program and model, by an agent. A task may
//! weigh more than one slot.
//!
//! What is in use is added up from the live claims whenever somebody asks; there are few of them. A task that weighs more
//! than its limit is handed out when nothing else is in use there, or it would wait for ever.

use std::collections::BTreeMap;

use dispatch_shared::id::AgentName;
use dispatch_shared::task::TaskType;

use super::rank::Rule;
use super::record::{Card, Claim};
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

fn weight_of(world: &World, claim: &Claim) -> u32 {
    if claim.kind == TaskType::Groom {
        return 1;
    }
    world.cards.get(&claim.card).map_or(1, |card| weight(world, card))
}

/// The slots that an agent's live claims take.
#[must_use]
pub fn held_by(world: &World, agent: &AgentName) -> usize {
    world.held_by(agent).map(|claim| weight_of(world, claim) as usize).sum()
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
    /// Adds up the live claims; nothing is looked at if there are no limits.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let mut used = Self::default();
        let limits = &world.policy.limits;
        let none = limits.lanes.is_empty() && limits.repositories.is_empty() && limits.models.is_empty();
        if limits.total == 0 && none {
            return used;
        }
        for claim in world.leases() {
            let weight = weight_of(world, claim);
            used.total += weight;
            if claim.kind == TaskType::Groom {
                continue;
            }
            let Some(card) = world.cards.get(&claim.card) else { continue };
            *used.lanes.entry(world.lane_of(card).to_owned()).or_default() += weight;
            if let Some(repo) = world.repos.get(&card.key.repo) {
                *used.repositories.entry(repo.name.folded()).or_default() += weight;
            }
            if let Some(run) = claim.run.and_then(|id| world.runs.get(&id)) {
                *used.models.entry(run.program.clone()).or_default() += weight;
                if let Some((program, _)) = run.program.split_once(':') {
                    *used.models.entry(program.to_owned()).or_default() += weight;
                }
            }
        }
        used
    }

    fn room(&self, world: &World, card: &Card, rule: Rule) -> Option<(u32, u32, String)> {
        let limits = &world.policy.limits;
        let of = |limits: &BTreeMap<String, u32>, used: &BTreeMap<String, u32>, name: String| {
            let limit = limits.get(&name).copied().filter(|l| *l > 0)?;
            Some((used.get(&name).copied().unwrap_or(0), limit, name))
        };
        match rule {
            Rule::TotalLimit => {
                (limits.total > 0).then(|| (self.total, limits.total, "all work together".to_owned()))
            }
            Rule::LaneLimit => of(&limits.lanes, &self.lanes, world.lane_of(card).to_owned()),
            Rule::RepoLimit => {
                let name = world.repos.get(&card.key.repo)?.name.folded();
                of(&limits.repositories, &self.repositories, name)
            }
            Rule::ModelLimit => {
                let program = world.policy.program_for(world.lane_of(card)).to_owned();
                let base = program.split(':').next().unwrap_or_default().to_owned();
                let whole = of(&limits.models, &self.models, program.clone());
                let part = (base != program).then(|| of(&limits.models, &self.models, base)).flatten();
                // Of the two the one with less room.
                [whole, part].into_iter().flatten().min_by_key(|(used, limit, _)| limit.saturating_sub(*used))
            }
            _ => None,
        }
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

/// Whether `agent` has room for `card` among its own slots.
#[must_use]
pub fn agent_fits(world: &World, agent: &AgentName, slots: usize, card: &Card) -> bool {
    let used = held_by(world, agent);
    used == 0 && slots > 0 || used + weight(world, card) as usize <= slots
}
