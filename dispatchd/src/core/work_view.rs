//! Work, agent runs and the overview as the wire shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::claim::Checkpoint;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::AgentName;
use dispatch_shared::issue::{IssueState, Status, read_labels};
use dispatch_shared::protocol::agent_runs as wire_runs;
use dispatch_shared::protocol::cards::ClaimedIssue;
use dispatch_shared::protocol::issues::Issue;
use dispatch_shared::protocol::work as wire;

use super::fix::pick;
use super::rank::{self, Ask};
use super::record::{Card, Claim, ClaimState};
use super::view;
use super::work::{self, AgentRun, Stage};
use super::world::World;

/// After so long without a renewal or a push, work in progress is stale.
const QUIET: Duration = Duration::from_secs(24 * 3_600);

/// A claim as a piece of work.
#[must_use]
pub fn work(world: &World, claim: &Claim) -> wire::Work {
    let repo = world.repos.get(&claim.card.repo);
    let card = world.cards.get(&claim.card);
    let checkpoint = claim.checkpoint.unwrap_or(Checkpoint::Claimed);
    wire::Work {
        id: claim.id,
        lease_id: claim.id,
        agent_name: claim.agent.clone(),
        state: work::state(claim),
        checkpoint,
        next_action: work::next_action(checkpoint).to_owned(),
        last_heartbeat_at: claim.notes.renewed_at.unwrap_or(claim.claimed_at),
        lease_expires_at: claim.expires_at,
        issue_id: claim.card.id(),
        repo_full_name: repo.map(|r| r.name.clone()),
        issue_number: claim.card.number,
        title: card.map(|c| c.title.clone()),
        issue_url: card.map(|c| c.url.clone()),
        lane: card.map(|c| world.lane_of(c).to_owned()),
        pr_url: card.and_then(|c| world.linked_pull(c)).map(|p| p.seen.url.clone()),
        branch: claim.notes.branch.clone(),
        run_id: claim.notes.run.clone().or_else(|| claim.run.map(|r| r.to_string())),
        summary: claim.notes.summary.clone(),
        blocker_reason: claim.notes.blocker.clone(),
        attempt: claim.attempt,
        started_at: claim.claimed_at,
        finished_at: claim.ended_at,
    }
}

/// What is held, and what ran out and was not taken again, newest first.
#[must_use]
pub fn list(world: &World, agent: Option<&str>, stale: bool) -> wire::WorkList {
    let fits = |claim: &Claim| agent.is_none_or(|a| a == claim.agent.as_str());
    let mut found = wire::WorkList::default();
    for claim in world.claims.values().rev().filter(|c| fits(c)) {
        if claim.is_held() {
            found.active_work.push(work(world, claim));
        } else if stale && claim.state == ClaimState::Expired {
            let open = world.cards.get(&claim.card).is_some_and(|c| c.state == IssueState::Open && !c.gone);
            if open && world.is_tracked(&claim.card.repo) {
                found.stale_leases.push(work(world, claim));
            }
        }
    }
    found
}

/// What `agent` needs in order to go on with its newest work; `feedback` says whether follow-up signals stand on a card.
#[must_use]
pub fn active(
    world: &World,
    agent: &AgentName,
    feedback: impl FnOnce(&World, &Card) -> bool,
) -> Option<wire::WorkContext> {
    let claim = world.held_by(agent).last()?;
    let card = world.cards.get(&claim.card)?;
    let repo = world.repos.get(&claim.card.repo)?;
    let reached = claim.notes.reached.or(claim.checkpoint.filter(|c| *c != Checkpoint::Blocked));
    let stage = Stage::of(reached, feedback(world, card));
    let facts = read_labels(card.labels.iter().map(String::as_str));
    Some(wire::WorkContext {
        issue_id: card.key.id(),
        repo_full_name: repo.name.clone(),
        issue_number: card.key.number,
        agent_name: agent.clone(),
        checkpoint: stage.word().to_owned(),
        branch: claim.notes.branch.clone(),
        pr_url: world.linked_pull(card).map(|p| p.seen.url.clone()),
        next_action: stage.next_action().to_owned(),
        lease_id: claim.id,
        lease_expires_at: claim.expires_at,
        lane: world.lane_of(card).to_owned(),
        status: facts.status.map(Status::label),
        labels: card.labels.clone(),
    })
}

fn labelled(card: &Card, agent: &AgentName) -> bool {
    card.labels.iter().any(|l| {
        l.split_at_checked(6)
            .is_some_and(|(head, name)| head.eq_ignore_ascii_case("agent/") && name == agent.as_str())
    })
}

fn shown(world: &World, card: &Card) -> bool {
    card.state == IssueState::Open && !card.gone && world.is_tracked(&card.key.repo)
}

/// Cards in progress that carry the agent's label and that nobody holds.
pub fn stranded<'a>(world: &'a World, agent: &'a AgentName) -> impl Iterator<Item = &'a Card> {
    world.cards.values().map(AsRef::as_ref).filter(move |card| {
        card.status == Status::InProgress
            && card.flags.is_empty()
            && shown(world, card)
            && labelled(card, agent)
            && world.held(&card.key).is_none()
    })
}

/// Open cards in `column` that an agent holds or is assigned to by its label; with none, any agent.
#[must_use]
pub fn claimed(world: &World, agent: Option<&AgentName>, column: Status) -> Vec<ClaimedIssue> {
    let of = |card: &Card| match agent {
        Some(agent) => {
            labelled(card, agent) || world.held(&card.key).is_some_and(|claim| claim.agent == *agent)
        }
        None => {
            world.held(&card.key).is_some()
                || !read_labels(card.labels.iter().map(String::as_str)).agents.is_empty()
        }
    };
    let cards = world.cards.values().filter(|c| c.status == column && shown(world, c) && of(c));
    cards
        .filter_map(|card| {
            Some(ClaimedIssue {
                issue_id: card.key.id(),
                number: card.key.number,
                repo_full_name: world.repos.get(&card.key.repo)?.name.clone(),
                current_lane: world.lane_of(card).to_owned(),
                labels: card.labels.clone(),
                has_open_pr: world.linked_pull(card).is_some_and(|p| p.seen.state == PullState::Open),
            })
        })
        .collect()
}

/// Counts by lane, of what the agent could take and of what it works on.
#[must_use]
pub fn summary(world: &World, agent: &AgentName, now: Timestamp) -> wire::WorkSummary {
    let mut issues: BTreeMap<String, wire::LaneCounts> =
        world.policy.lanes.iter().map(|l| (l.id.clone(), wire::LaneCounts::default())).collect();
    let mut unknown: BTreeMap<String, usize> = BTreeMap::new();
    let ask = Ask { agent, lane: None, repos: None };
    for ranked in rank::order(world, now, &ask) {
        let lane = world.cards.get(&ranked.key).map(|c| world.lane_of(c));
        if let Some(counts) = lane.and_then(|l| issues.get_mut(l)) {
            counts.queued += 1;
        }
    }
    for card in claimed(world, Some(agent), Status::InProgress) {
        if let Some(counts) = issues.get_mut(&card.current_lane) {
            counts.in_progress += 1;
        }
    }
    for card in world.cards.values().filter(|c| shown(world, c)) {
        let lane = world.lane_of(card);
        if !issues.contains_key(lane) {
            *unknown.entry(lane.to_owned()).or_default() += 1;
        }
    }
    wire::WorkSummary {
        agent_name: agent.clone(),
        issues,
        unknown_lanes: (!unknown.is_empty()).then_some(unknown),
        pr_fixes: pick::order(world, agent, None).count(),
    }
}

/// An agent run.
#[must_use]
pub fn agent_run(run: &AgentRun) -> wire_runs::AgentRun {
    wire_runs::AgentRun {
        id: run.id,
        agent_name: run.agent.clone(),
        run_type: run.kind.clone(),
        status: run.status.clone(),
        started_at: run.started_at,
        finished_at: run.finished_at,
        summary: run.summary.clone(),
        error_message: run.error.clone(),
        outcome: run.outcome.clone(),
        touched_issue_urls: run.urls.clone(),
        issue_id: run.issue.clone(),
        created_at: run.created_at,
    }
}

/// Cards in progress about which nothing was heard and nothing was pushed for a day.
#[must_use]
pub fn stale_in_progress(world: &World, now: Timestamp) -> Vec<Issue> {
    world
        .cards
        .values()
        .filter(|c| c.status == Status::InProgress && shown(world, c))
        .filter(|card| {
            let heard = world.newest_claim(&card.key).map(|c| c.notes.renewed_at.unwrap_or(c.claimed_at));
            let pushed = world.linked_pull(card).map(|p| p.seen.updated_at);
            let last = [heard, pushed, Some(card.since)].into_iter().flatten().max();
            last.is_some_and(|at| now.since(at) >= QUIET)
        })
        .filter_map(|card| view::issue(world, card, None))
        .collect()
}

/// How many cards stand in each column.
#[must_use]
pub fn by_status(world: &World, now: Timestamp) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> =
        Status::ALL.into_iter().map(|s| (s.word().to_owned(), 0)).collect();
    for card in world.cards.values().filter(|c| view::on_board(world, c, now)) {
        *counts.entry(card.status.word().to_owned()).or_default() += 1;
    }
    counts
}

/// What every agent is about: those with a label on an open card, a claim, or a recent run.
#[must_use]
pub fn agents(world: &World) -> Vec<wire_runs::AgentOverview> {
    let mut found: BTreeMap<AgentName, wire_runs::AgentOverview> = BTreeMap::new();
    for card in world.cards.values().filter(|c| shown(world, c)) {
        for agent in read_labels(card.labels.iter().map(String::as_str)).agents {
            let counts = &mut found.entry(agent).or_default().by_status;
            *counts.entry(card.status.word().to_owned()).or_default() += 1;
        }
    }
    for claim in world.leases() {
        let of = found.entry(claim.agent.clone()).or_default();
        of.held += 1;
        of.last_seen_at = of.last_seen_at.max(Some(claim.notes.renewed_at.unwrap_or(claim.claimed_at)));
    }
    for run in world.activity.newest() {
        if let Ok(agent) = AgentName::parse(&run.agent) {
            let of = found.entry(agent).or_default();
            of.last_seen_at = of.last_seen_at.max(Some(run.created_at));
        }
    }
    let whole = |(agent, of): (AgentName, wire_runs::AgentOverview)| wire_runs::AgentOverview {
        slots: world.policy.slots_of(agent.as_str()),
        agent_name: Some(agent),
        ..of
    };
    found.into_iter().map(whole).collect()
}
