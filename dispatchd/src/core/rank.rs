//! Which card is next, and why or why not.
//!
//! A card is handed out if every rule of [`Rule`] holds. The *fixed* ones depend on the card and the configuration alone
//! and decide whether it stands in the world's index of ready cards; the others depend on the time, on other cards or on
//! who asks, and are looked at when somebody does.

use std::collections::BTreeMap;

use dispatch_shared::Timestamp;
use dispatch_shared::id::{AgentName, RepoKey};
use dispatch_shared::issue::{IssueState, Status, read_labels};
use dispatch_shared::protocol::issues::WhyRule;
use dispatch_shared::protocol::tasks::Withheld;

use super::record::{Card, CardKey};
use super::world::World;

/// A condition for being handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The repository is tracked.
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
    /// At most one agent label.
    OneAgent,
    /// Nobody holds it.
    Unclaimed,
    /// No open issue blocks it.
    Unblocked,
    /// No pause after a failure is running.
    Rested,
    /// The repository is below its limit of cards in review.
    BelowWip,
    /// The queue is not frozen.
    Thawed,
}

/// Those that do not depend on time, other cards or the asker.
pub const FIXED: [Rule; 8] = [
    Rule::Tracked,
    Rule::Open,
    Rule::Unclaimed,
    Rule::Unflagged,
    Rule::Ready,
    Rule::Lane,
    Rule::NotExcluded,
    Rule::OneAgent,
];

const LATE: [Rule; 4] = [Rule::Unblocked, Rule::Rested, Rule::BelowWip, Rule::Thawed];

/// Whether `rule` holds for `card` at `now`.
#[must_use]
pub fn holds(world: &World, card: &Card, now: Timestamp, rule: Rule) -> bool {
    match rule {
        Rule::Tracked => world.is_tracked(&card.key.repo),
        Rule::Open => card.state == IssueState::Open && !card.gone,
        Rule::Ready => card.status == Status::Ready,
        Rule::Unflagged => card.flags.is_empty(),
        Rule::Lane => world.policy.lane(world.lane_of(card)).is_some_and(|l| l.claimable),
        Rule::NotExcluded => !excluded(world, card),
        Rule::OneAgent => card.labels.iter().filter(|l| is_agent(l)).count() <= 1,
        Rule::Unclaimed => world.held(&card.key).is_none(),
        Rule::Unblocked => open_blockers(world, card).next().is_none(),
        Rule::Rested => card.not_before.is_none_or(|t| t <= now),
        Rule::BelowWip => below_wip(world, &card.key.repo),
        Rule::Thawed => !world.meta.frozen,
    }
}

fn is_agent(label: &str) -> bool {
    label.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("agent/"))
}

fn excluded(world: &World, card: &Card) -> bool {
    let excluded = &world.policy.excluded_labels;
    card.labels.iter().any(|l| excluded.iter().any(|e| e.eq_ignore_ascii_case(l)))
        || card.author.eq_ignore_ascii_case("renovate[bot]")
        || card.title.eq_ignore_ascii_case("dependency dashboard")
}

fn open_blockers<'a>(world: &'a World, card: &'a Card) -> impl Iterator<Item = u64> + 'a {
    card.blocked_by.iter().copied().filter(|n| {
        *n != card.key.number
            && world
                .cards
                .get(&CardKey { repo: card.key.repo.clone(), number: *n })
                .is_some_and(|b| b.state == IssueState::Open && !b.gone)
    })
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
                let free = holds(world, card, now, Rule::Unblocked) && holds(world, card, now, Rule::Rested);
                let score = score(effective_priority(bucket.priority, *since, now), matches);
                free.then_some(Ranked { score, since: *since, key })
            })
        })
    })
}

/// The next card for `ask`; `None` if there is nothing, or the queue is frozen. Looks at the head of each bucket alone.
#[must_use]
pub fn next(world: &World, now: Timestamp, ask: &Ask<'_>) -> Option<CardKey> {
    if world.meta.frozen {
        return None;
    }
    candidates(world, now, ask).filter_map(|mut bucket| bucket.next()).min().map(|best| best.key)
}

/// All cards that `ask` may have, in order.
#[must_use]
pub fn order(world: &World, now: Timestamp, ask: &Ask<'_>) -> Vec<Ranked> {
    let mut all: Vec<Ranked> = candidates(world, now, ask).flatten().collect();
    all.sort();
    all
}

/// Whether only Renovate's hand withholds the card: its labels or its name, not another excluded label.
fn renovate(world: &World, card: &Card) -> bool {
    let of_it = |label: &str| ["renovate", "dependencies"].iter().any(|own| own.eq_ignore_ascii_case(label));
    let excluded = &world.policy.excluded_labels;
    let other = |l: &String| !of_it(l) && excluded.iter().any(|e| e.eq_ignore_ascii_case(l));
    (card.author.eq_ignore_ascii_case("renovate[bot]") || card.labels.iter().any(|l| of_it(l)))
        && !card.title.eq_ignore_ascii_case("dependency dashboard")
        && !card.labels.iter().any(other)
}

/// [`order`] with Renovate's issues among the others.
#[must_use]
pub fn order_with_renovate(world: &World, now: Timestamp, ask: &Ask<'_>) -> Vec<Ranked> {
    let mut all = order(world, now, ask);
    for card in world.cards.values().filter(|c| renovate(world, c)) {
        let facts = read_labels(card.labels.iter().map(String::as_str));
        let rules = FIXED.into_iter().chain(LATE).filter(|rule| *rule != Rule::NotExcluded);
        let fits = ask.lane.is_none_or(|l| l == world.lane_of(card))
            && ask.repos.is_none_or(|r| r.contains(&card.key.repo))
            && facts.agents.first().is_none_or(|a| a == ask.agent);
        if fits && excluded(world, card) && rules.into_iter().all(|rule| holds(world, card, now, rule)) {
            let priority = effective_priority(facts.priority.map_or(4, |p| p.0), card.since, now);
            let score = score(priority, facts.agents.first() == Some(ask.agent));
            all.push(Ranked { score, since: card.since, key: card.key.clone() });
        }
    }
    all.sort();
    all
}

/// Why a card stands where it stands, in words.
#[must_use]
pub fn reason(card: &Card, now: Timestamp, agent: &AgentName) -> String {
    let facts = read_labels(card.labels.iter().map(String::as_str));
    let base = facts.priority.map_or(4, |p| p.0);
    let aged = effective_priority(base, card.since, now);
    let mut words = match facts.priority {
        None => "no priority".to_owned(),
        Some(p) => p.to_string(),
    };
    if aged < base {
        let days = now.since(card.since).as_secs() / 86_400;
        words.push_str(&format!(", aged to p{aged} after {days} days"));
    }
    if facts.agents.contains(agent) {
        words.push_str(", assigned to you");
    }
    words.push_str(", oldest first");
    words
}

/// The check-list for one card: every rule, whether it holds, and in words why.
#[must_use]
pub fn why(world: &World, card: &Card, now: Timestamp) -> Vec<WhyRule> {
    FIXED
        .into_iter()
        .chain(LATE)
        .map(|rule| {
            let (name, why) = words(world, card, rule);
            WhyRule { rule: name.to_owned(), holds: holds(world, card, now, rule), why }
        })
        .collect()
}

fn words(world: &World, card: &Card, rule: Rule) -> (&'static str, String) {
    let repo = world.repos.get(&card.key.repo);
    match rule {
        Rule::Tracked => {
            ("tracked", repo.map_or_else(|| "unknown repository".into(), |r| r.name.to_string()))
        }
        Rule::Open => (
            "open",
            if card.gone { "gone from the forge".into() } else { format!("{:?}", card.state).to_lowercase() },
        ),
        Rule::Ready => ("status/ready", format!("stands in {}", card.status)),
        Rule::Unflagged => {
            ("not flagged", card.flags.iter().map(|f| f.label()).collect::<Vec<_>>().join(", "))
        }
        Rule::Lane => {
            let id = world.lane_of(card);
            let say = match world.policy.lane(id) {
                None => format!("lane {id} is not configured"),
                Some(l) if l.claimable => format!("lane {id}"),
                Some(_) => format!("nothing is handed out from lane {id}"),
            };
            ("claimable lane", say)
        }
        Rule::NotExcluded => (
            "not excluded",
            if excluded(world, card) { "label, author or title is excluded".into() } else { String::new() },
        ),
        Rule::OneAgent => (
            "one agent label at most",
            card.labels.iter().filter(|l| is_agent(l)).cloned().collect::<Vec<_>>().join(", "),
        ),
        Rule::Unclaimed => (
            "unclaimed",
            world
                .held(&card.key)
                .map_or_else(String::new, |c| format!("held by {} until {}", c.agent, c.expires_at)),
        ),
        Rule::Unblocked => (
            "not blocked",
            open_blockers(world, card).map(|n| format!("#{n} is open")).collect::<Vec<_>>().join(", "),
        ),
        Rule::Rested => (
            "rested",
            card.not_before
                .map_or_else(String::new, |t| format!("after {} failures not before {t}", card.failures)),
        ),
        Rule::BelowWip => (
            "below the WIP limit",
            repo.map_or_else(String::new, |r| match r.wip_limit {
                0 => "no limit".to_owned(),
                n => format!("{}/{n} in review", world.open_reviews(&r.key)),
            }),
        ),
        Rule::Thawed => ("queue not frozen", String::new()),
    }
}

/// What is withheld from `ask` and why, for the reason of an idle answer: counts kept by the index, so that asking costs
/// nothing.
#[must_use]
pub fn withheld(world: &World) -> Vec<Withheld> {
    let say = |rule: Rule| match rule {
        Rule::Tracked => None,
        Rule::Open => None,
        Rule::Ready => None,
        Rule::Unflagged => Some("flagged"),
        Rule::Lane => Some("in a lane that is not claimable"),
        Rule::NotExcluded => Some("excluded"),
        Rule::OneAgent => Some("labelled for several agents"),
        Rule::Unclaimed => Some("claimed"),
        _ => Some("waiting"),
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (rule, count) in world.withheld_counts() {
        if let Some(why) = say(rule) {
            *counts.entry(why).or_default() += count;
        }
    }
    let ready: usize = world.ready().map(|(_, set)| set.len()).sum();
    if ready > 0 {
        counts.insert(
            "ready, but not for this request (lane, agent label, blocker, pause, WIP limit or freeze)",
            ready,
        );
    }
    counts.into_iter().map(|(why, count)| Withheld { why: why.to_owned(), count }).collect()
}
