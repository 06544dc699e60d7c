//! The order and the rules in words, for whoever asks why a card is next or is not.

use std::collections::BTreeMap;

use dispatch_shared::Timestamp;
use dispatch_shared::id::AgentName;
use dispatch_shared::issue::read_labels;
use dispatch_shared::protocol::issues::WhyRule;
use dispatch_shared::protocol::tasks::Withheld;

use super::*;

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

/// The rules that depend on who asks: the agent label, the agent's own slots, and for the built-in runner the program
/// and model that would work the card.
#[must_use]
pub fn why_for(world: &World, card: &Card, now: Timestamp, agent: &AgentName) -> Vec<WhyRule> {
    let others: Vec<String> = read_labels(card.labels.iter().map(String::as_str))
        .agents
        .into_iter()
        .filter(|a| a != agent)
        .map(|a| a.to_string())
        .collect();
    let slots = world.policy.slots_of(agent.as_str());
    let (used, takes) = (limits::held_by(world, agent), limits::weight(world, card));
    let mut rules = vec![
        WhyRule {
            rule: "no other agent's label".to_owned(),
            holds: others.is_empty(),
            why: others.join(", "),
        },
        WhyRule {
            rule: format!("{agent} has a free slot"),
            holds: limits::agent_fits(world, agent, slots, card),
            why: format!("{used}/{slots} slots in use, this one takes {takes}"),
        },
    ];
    if agent.as_str() == world.policy.runner_agent {
        let (name, why) = words(world, card, Rule::ModelLimit);
        let holds = Use::of(world).fits(world, card, Rule::ModelLimit);
        rules.push(WhyRule { rule: name.to_owned(), holds, why });
        let program = world.policy.program_for(world.lane_of(card));
        let closed = crate::core::gate::closed(world, now, program);
        rules.push(WhyRule {
            rule: words(world, card, Rule::ProgramOpen).0.to_owned(),
            holds: closed.is_none(),
            why: closed.map_or_else(|| program.to_owned(), |closed| closed.why),
        });
    }
    rules
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

/// The first rule that withholds a card from `agent`, in words; `None` if no rule does.
#[must_use]
pub fn why_not(world: &World, card: &Card, now: Timestamp, agent: &AgentName) -> Option<String> {
    let broken = FIXED.into_iter().chain(LATE).find(|rule| !holds(world, card, now, *rule));
    let say = |name: &str, why: String| if why.is_empty() { format!("not: {name}") } else { why };
    match broken {
        Some(Rule::Thawed) => Some("the queue is frozen".to_owned()),
        Some(rule @ (Rule::BelowWip | Rule::TotalLimit | Rule::LaneLimit | Rule::RepoLimit)) => {
            let (name, why) = words(world, card, rule);
            Some(format!("not {name}: {why}"))
        }
        Some(rule) => {
            let (name, why) = words(world, card, rule);
            Some(say(name, why))
        }
        None => {
            let rule = why_for(world, card, now, agent).into_iter().find(|r| !r.holds)?;
            Some(format!("not: {}: {}", rule.rule, rule.why))
        }
    }
}

fn words(world: &World, card: &Card, rule: Rule) -> (&'static str, String) {
    let repo = world.repos.get(&card.key.repo);
    match rule {
        Rule::Tracked => {
            let say = match repo {
                None => "unknown repository".into(),
                Some(r) if !r.tracked || r.access.standing.takes_work() => r.name.to_string(),
                Some(r) => format!("{} {}", r.name, r.access.standing.words()),
            };
            ("tracked", say)
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
                Some(l) if l.claimable && !super::of_repo(world, &card.key.repo, &l.id) => {
                    format!("the repository hands nothing out from lane {id}")
                }
                Some(l) if l.claimable => format!("lane {id}"),
                Some(_) => format!("nothing is handed out from lane {id}"),
            };
            ("claimable lane", say)
        }
        Rule::NotExcluded => (
            "not excluded",
            if excluded(world, card) {
                "a label is excluded by the configuration".into()
            } else {
                String::new()
            },
        ),
        Rule::NotRenovate => (
            "no update of dependencies",
            if is_renovate(world, card) {
                "from Renovate, or a dependency dashboard".into()
            } else {
                String::new()
            },
        ),
        Rule::NotDecomposed => (
            "not split into children",
            card.grooming.split().map_or_else(String::new, |u| match u.urls.len() {
                0 => "split".to_owned(),
                n => format!("split into {n}: work on those"),
            }),
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
        Rule::Unblocked => ("not blocked", crate::core::blockers::words(world, card)),
        Rule::Idle => (
            "no run under way",
            live_run(world, card)
                .map_or_else(String::new, |run| format!("{} is {}", run.id, run.state.word())),
        ),
        Rule::PullSettled => (
            "no pull request to repair",
            card.linked_pull.map_or_else(String::new, |n| format!("pull request #{n} is linked")),
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
        Rule::TotalLimit => ("below the limit of all work", Use::of(world).words(world, card, rule)),
        Rule::LaneLimit => ("below the lane's limit", Use::of(world).words(world, card, rule)),
        Rule::RepoLimit => ("below the repository's limit", Use::of(world).words(world, card, rule)),
        Rule::ProgramOpen => {
            let program = world.policy.program_for(world.lane_of(card));
            ("no pause, pace or budget in the way (built-in runner)", program.to_owned())
        }
        Rule::ModelLimit => {
            ("below the model's limit (built-in runner)", Use::of(world).words(world, card, rule))
        }
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
        Rule::NotExcluded | Rule::NotRenovate => Some("excluded"),
        Rule::NotDecomposed => Some("split into children"),
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
