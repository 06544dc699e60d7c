//! Grooming: what Dispatch keeps of it beside a card, which card is groomed next, and what children an umbrella has.

use std::sync::Arc;

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoKey;
use dispatch_shared::issue::{IssueState, Status, read_labels};
use dispatch_shared::protocol::grooming::{GroomAction, GroomerRun};
use dispatch_shared::protocol::lanes::Confidence;
use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::rank;
use super::record::{Card, CardKey};
use super::world::World;

/// How often grooming one card may fail before it is left to people.
pub const TRIES: u32 = 3;
/// How many runs of the hosted groomer stay in memory.
const RUNS_KEPT: usize = 200;

/// How a lane came to be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneNote {
    /// How sure it is.
    pub confidence: Confidence,
    /// Why.
    pub reason: String,
    /// The model that decided; `None` is a person.
    pub model: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A card that is split into others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Umbrella {
    /// Whether it is split; false keeps the rest for history.
    pub decomposed: bool,
    /// Why.
    pub note: Option<String>,
    /// The addresses of the others.
    pub urls: Vec<String>,
    /// Those of them that Dispatch knows.
    pub children: Vec<CardKey>,
    /// Titles of children that the forge is being told of.
    pub pending: Vec<String>,
    /// When all children were closed.
    pub complete_at: Option<Timestamp>,
}

/// What is kept beside a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grooming {
    /// How [`Card::lane_override`] came to be.
    pub lane: Option<LaneNote>,
    /// When a groomer was done with it.
    pub groomed_at: Option<Timestamp>,
    /// When a groomer last commented.
    pub commented_at: Option<Timestamp>,
    /// Failed attempts.
    pub failures: u32,
    /// Not to be groomed before.
    pub not_before: Option<Timestamp>,
    /// Its children.
    pub umbrella: Option<Box<Umbrella>>,
}

impl Grooming {
    /// The umbrella, if the card is split now.
    #[must_use]
    pub fn split(&self) -> Option<&Umbrella> {
        self.umbrella.as_deref().filter(|u| u.decomposed)
    }
}

/// Orders what waits for grooming: urgent first, then old first.
type Turn = (u8, Timestamp, CardKey);

/// What the world keeps for grooming.
#[derive(Clone, Debug, Default)]
pub struct Index {
    waiting: OrdSet<Turn>,
    places: OrdMap<CardKey, Turn>,
    parents: OrdMap<CardKey, OrdSet<CardKey>>,
    /// Runs of the hosted groomer, the newest ones.
    pub runs: OrdMap<u64, Arc<GroomerRun>>,
}

impl Index {
    /// Keeps the order of what waits; `turn` is `None` for a card that does not.
    pub(super) fn place(&mut self, key: &CardKey, turn: Option<Turn>) {
        if let Some(old) = self.places.remove(key) {
            self.waiting.remove(&old);
        }
        if let Some(turn) = turn {
            self.waiting.insert(turn.clone());
            self.places.insert(key.clone(), turn);
        }
    }

    /// Keeps who is whose parent.
    pub(super) fn family(&mut self, old: Option<&Card>, new: &Card) {
        let children = |card: &Card| card.grooming.split().map(|u| u.children.clone()).unwrap_or_default();
        for child in old.map(children).unwrap_or_default() {
            if let Some(set) = self.parents.get_mut(&child) {
                set.remove(&new.key);
            }
        }
        for child in children(new) {
            self.parents.entry(child).or_default().insert(new.key.clone());
        }
    }

    /// Takes in a run.
    pub(super) fn put_run(&mut self, run: &GroomerRun) {
        self.runs.insert(run.id, Arc::new(run.clone()));
        while self.runs.len() > RUNS_KEPT {
            let Some(oldest) = self.runs.get_min().map(|(id, _)| *id) else { break };
            self.runs.remove(&oldest);
        }
    }

    /// The cards that are split into `child` among others.
    pub fn parents(&self, child: &CardKey) -> impl Iterator<Item = &CardKey> {
        self.parents.get(child).into_iter().flatten()
    }
}

/// Where a card stands among what waits for grooming: open, in backlog and without a status label, not flagged, not
/// held, not excluded, not split, and not groomed yet.
#[must_use]
pub fn turn(world: &World, card: &Card) -> Option<Turn> {
    let facts = read_labels(card.labels.iter().map(String::as_str));
    let waits = card.grooming.groomed_at.is_none()
        && card.grooming.failures < TRIES
        && card.state == IssueState::Open
        && !card.gone
        && card.status == Status::Backlog
        && facts.status.is_none()
        && card.flags.is_empty()
        && card.grooming.split().is_none()
        && world.takes_work(&card.key.repo)
        && world.held(&card.key).is_none()
        && rank::exclusion(world, card).is_none();
    waits.then(|| (facts.priority.map_or(4, |p| p.0), card.created_at, card.key.clone()))
}

/// The next card to groom, in `lane` and in `repos` if they are given.
#[must_use]
pub fn next(world: &World, now: Timestamp, lane: Option<&str>, repos: Option<&[RepoKey]>) -> Option<CardKey> {
    if world.meta.frozen {
        return None;
    }
    let fits = |(_, _, key): &&Turn| {
        repos.is_none_or(|r| r.contains(&key.repo))
            && world.cards.get(key).is_some_and(|card| {
                lane.is_none_or(|l| world.lane_of(card) == l)
                    && card.grooming.not_before.is_none_or(|t| t <= now)
            })
    };
    world.grooming.waiting.iter().find(fits).map(|(_, _, key)| key.clone())
}

/// How many cards wait for grooming.
#[must_use]
pub fn waiting(world: &World) -> usize {
    world.grooming.waiting.len()
}

/// Sets an issue's lane.
#[derive(Clone, Debug)]
pub struct SetLane {
    /// Which.
    pub card: CardKey,
    /// An id or an alias.
    pub lane: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// Why.
    pub reason: String,
    /// The model that decided; `None` is a person, who may also replace a lane that is not configured.
    pub model: Option<String>,
    /// Who.
    pub actor: String,
}

/// What a groomer decided about an issue.
#[derive(Clone, Debug)]
pub struct Groom {
    /// Which.
    pub card: CardKey,
    /// What.
    pub action: GroomAction,
    /// For people.
    pub summary: Option<String>,
    /// Why, or the question.
    pub reason: Option<String>,
    /// Labels to add.
    pub labels: Vec<String>,
    /// A lane, how sure that is, and the model that says so.
    pub lane: Option<(String, Confidence, String)>,
    /// The issue's `updated_at` when it was looked at; refused if it has changed since.
    pub seen: Option<Timestamp>,
    /// The run of the hosted groomer, kept in the same commit.
    pub run: Option<GroomerRun>,
    /// Who.
    pub actor: String,
}

/// Says that an issue is split into others, or is not.
#[derive(Clone, Debug)]
pub struct Decompose {
    /// Which.
    pub card: CardKey,
    /// Whether it is.
    pub decomposed: bool,
    /// The others' addresses; `None` leaves those known.
    pub urls: Option<Vec<String>>,
    /// Why.
    pub note: Option<String>,
    /// Who.
    pub actor: String,
}

/// A child that is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewChild {
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Its labels.
    pub labels: Vec<String>,
}

/// Has the forge make children of an issue.
#[derive(Clone, Debug)]
pub struct MakeChildren {
    /// The parent.
    pub card: CardKey,
    /// The children.
    pub items: Vec<NewChild>,
    /// Who.
    pub actor: String,
}
