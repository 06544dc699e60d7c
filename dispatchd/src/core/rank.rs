//! Which card is next, and why or why not.
//!
//! A card is handed out if every rule of [`Rule`] holds. The *fixed* ones depend on the card and the configuration alone
//! and decide whether it stands in the world's index of ready cards; the others depend on the time, on other cards or on
//! who asks, and are looked at when somebody does.

mod words;

use dispatch_shared::Timestamp;
use dispatch_shared::id::{AgentName, RepoKey};
use dispatch_shared::issue::{IssueState, Status, read_labels};

use super::limits::{self, Use};
use super::record::{Card, CardKey, Run};
use super::world::World;

pub use words::{reason, why, why_for, why_not, withheld};

/// A condition for being handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The repository is tracked, and work can be done there.
    Tracked,
    /// The issue is open and there.
    Open,
    /// It stands in the column Ready.
    Ready,
    /// Nothing flags it: blocked, needs-human, needs-info.
    Unflagged,
    /// Its lane is configured and work is handed out from it.
    Lane,
    /// None of its labels is excluded.
    NotExcluded,
    /// It is not about updates of dependencies.
    NotRenovate,
    /// It is not split into children.
    NotDecomposed,
    /// At most one agent label.
    OneAgent,
    /// Nobody holds it.
    Unclaimed,
    /// No open issue blocks it.
    Unblocked,
    /// No run of it is still ending: two programs never share a checkout.
    Idle,
    /// Its open pull request does not wait for work or for a person.
    PullSettled,
    /// No pause after a failure is running.
    Rested,
    /// The repository is below its limit of cards in review.
    BelowWip,
    /// The queue is not frozen.
    Thawed,
    /// All work together is below its limit.
    TotalLimit,
    /// Its lane is below its limit.
    LaneLimit,
    /// Its repository is below its limit of slots.
    RepoLimit,
    /// The program and model that would work it are below their limit; binds the built-in runner alone.
    ModelLimit,
    /// The program that would work it may start: no pause, no pace, no budget in the way; binds the built-in runner alone.
    ProgramOpen,
}

/// Those that do not depend on time, other cards or the asker.
pub const FIXED: [Rule; 10] = [
    Rule::Tracked,
    Rule::Open,
    Rule::Unclaimed,
    Rule::Unflagged,
    Rule::Ready,
    Rule::Lane,
    Rule::OneAgent,
    Rule::NotExcluded,
    Rule::NotRenovate,
    Rule::NotDecomposed,
];

/// Those that a request may lift (`includeRenovate`, `exclude_decomposed=false`). They stand last in [`FIXED`], so that
/// a card that one of these withholds keeps all others.
pub const LIFTABLE: [Rule; 2] = [Rule::NotRenovate, Rule::NotDecomposed];

const LATE: [Rule; 9] = [
    Rule::Unblocked,
    Rule::Idle,
    Rule::PullSettled,
    Rule::Rested,
    Rule::BelowWip,
    Rule::Thawed,
    Rule::TotalLimit,
    Rule::LaneLimit,
    Rule::RepoLimit,
];

/// Whether `rule` holds for `card` at `now`.
#[must_use]
pub fn holds(world: &World, card: &Card, now: Timestamp, rule: Rule) -> bool {
    match rule {
        Rule::Tracked => world.takes_work(&card.key.repo),
        Rule::Open => card.state == IssueState::Open && !card.gone,
        Rule::Ready => card.status == Status::Ready,
        Rule::Unflagged => card.flags.is_empty(),
        Rule::Lane => {
            let lane = world.policy.lane(world.lane_of(card)).filter(|l| l.claimable);
            lane.is_some_and(|l| of_repo(world, &card.key.repo, &l.id))
        }
        Rule::NotExcluded => !excluded(world, card),
        Rule::NotRenovate => !is_renovate(world, card),
        Rule::NotDecomposed => card.grooming.split().is_none(),
        Rule::OneAgent => card.labels.iter().filter(|l| is_agent(l)).count() <= 1,
        Rule::Unclaimed => world.held(&card.key).is_none(),
        Rule::Unblocked => super::blockers::clear(world, card),
        Rule::Idle => live_run(world, card).is_none(),
        Rule::PullSettled => !super::fix::pick::unsettled(world, card),
        Rule::Rested => card.not_before.is_none_or(|t| t <= now),
        Rule::BelowWip => below_wip(world, &card.key.repo),
        Rule::Thawed => !world.meta.frozen,
        Rule::ProgramOpen => {
            let program = world.policy.program_for(world.lane_of(card));
            super::gate::closed(world, now, program).is_none()
        }
        Rule::TotalLimit | Rule::LaneLimit | Rule::RepoLimit | Rule::ModelLimit => {
            Use::of(world).fits(world, card, rule)
        }
    }
}

/// Whether a repository hands out of this lane.
fn of_repo(world: &World, repo: &RepoKey, lane: &str) -> bool {
    world.repos.get(repo).is_none_or(|r| r.lanes.is_empty() || r.lanes.iter().any(|id| id == lane))
}

/// Whether a label assigns an agent.
pub(super) fn is_agent(label: &str) -> bool {
    label.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("agent/"))
}

fn excluded(world: &World, card: &Card) -> bool {
    let excluded = &world.policy.excluded_labels;
    let counts = |l: &&String| !is_renovate_label(l);
    card.labels.iter().filter(counts).any(|l| excluded.iter().any(|e| e.eq_ignore_ascii_case(l)))
}

fn is_renovate_label(label: &str) -> bool {
    ["renovate", "dependencies", "dependency-dashboard"].iter().any(|r| r.eq_ignore_ascii_case(label))
}

fn is_renovate(world: &World, card: &Card) -> bool {
    let excluded = &world.policy.excluded_labels;
    let by_label = card
        .labels
        .iter()
        .filter(|l| is_renovate_label(l))
        .any(|l| excluded.iter().any(|e| e.eq_ignore_ascii_case(l)));
    by_label
        || card.author.eq_ignore_ascii_case("renovate[bot]")
        || card.title.eq_ignore_ascii_case("dependency dashboard")
}

/// The exclusion that withholds a card, if one does.
#[must_use]
pub fn exclusion(world: &World, card: &Card) -> Option<Rule> {
    [Rule::NotExcluded, Rule::NotRenovate, Rule::NotDecomposed]
        .into_iter()
        .find(|rule| !holds(world, card, Timestamp(0), *rule))
}

fn live_run<'a>(world: &'a World, card: &Card) -> Option<&'a Run> {
    let run = world.runs.get(&card.last_run?)?;
    run.state.is_live().then_some(run)
}

fn below_wip(world: &World, repo: &RepoKey) -> bool {
    let limit = world.repos.get(repo).map_or(0, |r| r.wip_limit as usize);
    limit == 0 || world.open_reviews(repo) < limit
}

/// The first fixed rule that does not hold; `None` for a card that belongs into the index of ready cards.
#[must_use]
pub fn withheld_by(world: &World, card: &Card) -> Option<Rule> {
    FIXED.into_iter().find(|rule| !holds(world, card, Timestamp(0), *rule))
}

/// Who asks for work, and for what.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// Who.
    pub agent: &'a AgentName,
    /// Only this lane, as configured.
    pub lane: Option<&'a str>,
    /// Only these repositories.
    pub repos: Option<&'a [RepoKey]>,
}

/// The rules that a request lifts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifted {
    /// Also what is about updates of dependencies.
    pub renovate: bool,
    /// Also what is split into children.
    pub decomposed: bool,
}

impl Lifted {
    fn lifts(self, rule: Rule) -> bool {
        match rule {
            Rule::NotRenovate => self.renovate,
            Rule::NotDecomposed => self.decomposed,
            _ => false,
        }
    }
}

/// Priority after aging: one tier for each 7 days in the column, at most two, never above p1.
#[must_use]
pub fn effective_priority(priority: u8, since: Timestamp, now: Timestamp) -> u8 {
    let weeks = now.since(since).as_secs() / (7 * 86_400);
    let lift = u8::try_from(weeks.min(2)).unwrap_or(2);
    if priority <= 1 { priority } else { priority.saturating_sub(lift).max(1) }
}

/// One card with its place in the order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ranked {
    /// Lowest first: effective priority × 100 + agent mismatch × 10 + status.
    pub score: u32,
    /// Oldest first on ties.
    pub since: Timestamp,
    /// The card.
    pub key: CardKey,
}

fn score(priority: u8, matches: bool) -> u32 {
    const READY: u32 = 2;
    u32::from(priority) * 100 + if matches { 0 } else { 10 } + READY
}

/// The cards of every bucket that `ask` may have, oldest first within a bucket.
fn candidates<'a>(
    world: &'a World,
    now: Timestamp,
    ask: &'a Ask<'a>,
    room: &'a Room,
) -> impl Iterator<Item = impl Iterator<Item = Ranked> + 'a> + 'a {
    world.ready().filter_map(move |(bucket, cards)| {
        let fits = ask.lane.is_none_or(|l| l == bucket.lane)
            && ask.repos.is_none_or(|r| r.contains(&bucket.repo))
            && bucket.agent.as_ref().is_none_or(|a| a == ask.agent)
            && below_wip(world, &bucket.repo);
        let matches = bucket.agent.as_ref() == Some(ask.agent);
        fits.then(|| {
            cards.iter().filter_map(move |(since, number)| {
                let key = CardKey { repo: bucket.repo.clone(), number: *number };
                let card = world.cards.get(&key)?;
                let now_free = [Rule::Unblocked, Rule::Idle, Rule::PullSettled, Rule::Rested];
                let free =
                    now_free.iter().all(|r| holds(world, card, now, *r)) && room.fits(world, ask, card);
                let score = score(effective_priority(bucket.priority, *since, now), matches);
                free.then_some(Ranked { score, since: *since, key })
            })
        })
    })
}

/// What is in use, added up once for all candidates.
struct Room {
    used: Use,
    slots: usize,
    runner: bool,
    /// Programs that may not start.
    closed: Vec<String>,
}

impl Room {
    fn of(world: &World, now: Timestamp, ask: &Ask<'_>) -> Self {
        let agent = ask.agent.as_str();
        let slots = world.policy.slots_of(agent);
        let runner = agent == world.policy.runner_agent;
        let closed = if runner { super::gate::all(world, now) } else { Vec::new() };
        let closed = closed.into_iter().map(|(program, _)| program).collect();
        Self { used: Use::of(world), slots, runner, closed }
    }

    /// Whether the limits leave room for `card`. The agent's own slots bind only once it holds something.
    fn fits(&self, world: &World, ask: &Ask<'_>, card: &Card) -> bool {
        let shared = [Rule::TotalLimit, Rule::LaneLimit, Rule::RepoLimit];
        let model = self.runner.then_some(Rule::ModelLimit);
        let open = self.closed.is_empty()
            || !self.closed.iter().any(|p| p == world.policy.program_for(world.lane_of(card)));
        open && shared.into_iter().chain(model).all(|rule| self.used.fits(world, card, rule))
            && (world.policy.limits.weights.is_empty()
                || limits::agent_fits(world, ask.agent, self.slots, card))
    }
}

/// The next card for `ask`; `None` if there is nothing, or the queue is frozen. Looks at the head of each bucket alone.
#[must_use]
pub fn next(world: &World, now: Timestamp, ask: &Ask<'_>) -> Option<CardKey> {
    next_with(world, now, ask, Lifted::default())
}

/// The same with rules lifted.
#[must_use]
pub fn next_with(world: &World, now: Timestamp, ask: &Ask<'_>, lifted: Lifted) -> Option<CardKey> {
    if world.meta.frozen {
        return None;
    }
    let room = Room::of(world, now, ask);
    let best = candidates(world, now, ask, &room).filter_map(|mut bucket| bucket.next()).min();
    let aside = aside(world, now, ask, &room, lifted).into_iter().min();
    [best, aside].into_iter().flatten().min().map(|best| best.key)
}

/// All cards that `ask` may have, in order.
#[must_use]
pub fn order(world: &World, now: Timestamp, ask: &Ask<'_>) -> Vec<Ranked> {
    order_with(world, now, ask, Lifted::default())
}

/// The same with rules lifted.
#[must_use]
pub fn order_with(world: &World, now: Timestamp, ask: &Ask<'_>, lifted: Lifted) -> Vec<Ranked> {
    let room = Room::of(world, now, ask);
    let mut all: Vec<Ranked> = candidates(world, now, ask, &room).flatten().collect();
    all.extend(aside(world, now, ask, &room, lifted));
    all.sort();
    all
}

/// The cards that only a lifted rule would withhold.
fn aside(world: &World, now: Timestamp, ask: &Ask<'_>, room: &Room, lifted: Lifted) -> Vec<Ranked> {
    if lifted == Lifted::default() {
        return Vec::new();
    }
    let late = [Rule::Unblocked, Rule::Rested, Rule::BelowWip];
    let fits = |card: &&std::sync::Arc<Card>| {
        let facts = read_labels(card.labels.iter().map(String::as_str));
        ask.lane.is_none_or(|l| l == world.lane_of(card))
            && ask.repos.is_none_or(|r| r.contains(&card.key.repo))
            && facts.agents.iter().all(|a| a == ask.agent)
            && LIFTABLE.into_iter().all(|rule| lifted.lifts(rule) || holds(world, card, now, rule))
            && late.into_iter().all(|rule| holds(world, card, now, rule))
            && room.fits(world, ask, card)
    };
    let ranked = |card: &std::sync::Arc<Card>| {
        let facts = read_labels(card.labels.iter().map(String::as_str));
        let priority = effective_priority(facts.priority.map_or(4, |p| p.0), card.since, now);
        let score = score(priority, facts.agents.contains(ask.agent));
        Ranked { score, since: card.since, key: card.key.clone() }
    };
    world.aside().filter(fits).map(ranked).collect()
}
