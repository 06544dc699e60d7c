//! Records as the wire shows them.

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::issue::{IssueState, Status, read_labels};
use dispatch_shared::protocol::control::{
    Budget, Control, Freshness, PausedPool, RateLimit, Spending, UsageRow, Wait,
};
use dispatch_shared::protocol::issues::{CheckCounts, Issue, LinkedPull, RepositoryRef, WriteState};
use dispatch_shared::protocol::queue::QueueIssue;
use dispatch_shared::protocol::runs::PhaseTime;
use dispatch_shared::protocol::{claims as wire_claims, repos as wire_repos, runs as wire_runs};

use super::automation::{self, rates};
use super::rank;
use super::record::{Card, Checked, Claim, ForgeKind, Pull, Repo, Run, Write};
use super::world::World;
use super::{budget, effort, gate};
use dispatch_shared::id::AgentName;

/// A live claim.
#[must_use]
pub fn claim(claim: &Claim) -> wire_claims::Claim {
    wire_claims::Claim {
        id: claim.id,
        agent_name: claim.agent.clone(),
        attempt: claim.attempt,
        claimed_at: claim.claimed_at,
        lease_expires_at: claim.expires_at,
        renew_every_seconds: (claim.lease.as_secs() / 3).max(1),
        checkpoint: claim.checkpoint,
        runner: claim.run.is_some(),
    }
}

/// A pull request of a card, and its health as it was seen last. On the local forge every sync reads all that there is: its
/// state; nobody checks or reviews there.
#[must_use]
pub fn linked_pull(world: &World, pull: &Pull) -> LinkedPull {
    let local = world.repos.get(&pull.repo).filter(|repo| repo.forge == ForgeKind::Local);
    let unseen = || match local {
        Some(_) => vec!["statusCheckRollup".to_owned(), "reviews".to_owned(), "reviewThreads".to_owned()],
        None => Vec::new(),
    };
    let seen = &pull.seen;
    let health = pull.health.as_ref();
    // Checks are those of a commit; what a review says stays said.
    let of_head = health.filter(|h| h.head == seen.head_sha);
    let open = health.filter(|_| seen.state == PullState::Open);
    LinkedPull {
        number: seen.number,
        url: seen.url.clone(),
        state: seen.state,
        is_draft: seen.draft,
        head_sha: seen.head_sha.clone(),
        review_decision: health.and_then(|h| h.review_decision.clone()),
        merge_state: of_head.and_then(|h| h.merge_state.clone()),
        checks: of_head.map_or_else(CheckCounts::default, |h| CheckCounts {
            passed: h.passed,
            failed: h.failed,
            pending: h.pending,
        }),
        unresolved_threads: health.map_or(0, |h| h.unresolved),
        needs_followup: open.is_some_and(|h| !h.reasons.is_empty()),
        followup_reasons: open.map_or_else(Vec::new, |h| h.reasons.clone()),
        checked_at: health.map(|h| h.since).or(local.and_then(|repo| repo.last_synced_at)),
        not_seen: health.map_or_else(unseen, |h| h.blind.clone()),
    }
}

/// The pull requests of a card besides the linked one, newest first.
fn other_pulls(world: &World, card: &Card) -> Vec<LinkedPull> {
    let mut others: Vec<_> =
        world.pulls_for(&card.key).filter(|p| card.linked_pull != Some(p.seen.number)).collect();
    others.sort_by_key(|p| std::cmp::Reverse((p.seen.created_at, p.seen.number)));
    others.into_iter().map(|p| linked_pull(world, p)).collect()
}

/// Whether a card belongs on the board: tracked, there, and open or closed not long ago.
#[must_use]
pub fn on_board(world: &World, card: &Card, now: Timestamp) -> bool {
    let kept = card.state == IssueState::Open
        || card.closed_at.unwrap_or(card.updated_at) + world.policy.done_retention >= now;
    !card.gone && kept && world.is_tracked(&card.key.repo)
}

/// A card; `None` if its repository is not known. `body` is null where it would only cost.
#[must_use]
pub fn issue(world: &World, card: &Card, body: Option<String>) -> Option<Issue> {
    let repo = world.repos.get(&card.key.repo)?;
    let facts = read_labels(card.labels.iter().map(String::as_str));
    let pull = world.linked_pull(card);
    let lane = world.lane_of(card).to_owned();
    Some(Issue {
        id: card.key.id(),
        issue_id: card.key.id(),
        number: card.key.number,
        title: card.title.clone(),
        url: card.url.clone(),
        state: card.state,
        body,
        labels: card.labels.clone(),
        assignees: card.assignees.clone(),
        status: facts.status.map(Status::label),
        column: card.status,
        flags: card.flags.clone(),
        priority: facts.priority.map(|p| p.label()),
        kind: facts.kind,
        lane: lane.clone(),
        current_lane: lane,
        agent: facts.agents.first().map(ToString::to_string),
        owner: facts.owner,
        repository: RepositoryRef {
            owner: repo.name.owner().to_owned(),
            name: repo.name.name().to_owned(),
            full_name: repo.name.to_string(),
        },
        repo_full_name: repo.name.clone(),
        decomposed: card.grooming.split().is_some(),
        decomposed_note: card.grooming.split().and_then(|u| match u.complete_at {
            Some(_) => Some(format!("all {} children are closed", u.children.len())),
            None => u.note.clone(),
        }),
        follow_up_urls: card.grooming.split().map(|u| u.urls.clone()).unwrap_or_default(),
        groomed_at: card.grooming.groomed_at,
        linked_pr_number: pull.map(|p| p.seen.number),
        linked_pr_url: pull.map(|p| p.seen.url.clone()),
        linked_pr: pull.map(|p| linked_pull(world, p)),
        other_prs: other_pulls(world, card),
        claim: world.held(&card.key).map(|c| claim(c)),
        failures: card.failures,
        write: card.write.as_ref().map(|w| match w {
            Write::Pending => WriteState::Pending,
            Write::Refused(reason) => WriteState::Refused { reason: reason.clone() },
        }),
        last_run: card.last_run,
        time_spent_seconds: effort::on(world, &card.key).as_secs(),
        since: card.since,
        created_at: card.created_at,
        updated_at: card.updated_at,
        closed_at: card.closed_at,
    })
}

fn check(checked: &Checked) -> wire_runs::Check {
    wire_runs::Check {
        at: checked.at,
        passed: checked.failed.is_none(),
        reason: checked.failed.clone(),
        output: checked.output.clone(),
    }
}

/// A run; `None` if its repository is not known.
#[must_use]
pub fn run(world: &World, run: &Run) -> Option<wire_runs::Run> {
    let repo = world.repos.get(&run.card.repo)?;
    let card = world.cards.get(&run.card);
    Some(wire_runs::Run {
        id: run.id,
        state: run.state.word().to_owned(),
        ended: !run.state.is_live(),
        issue_id: card.map(|c| c.key.id()),
        repo_full_name: repo.name.clone(),
        issue_number: card.map(|c| c.key.number),
        subject: run.subject(),
        workspace: format!("{}/{}", repo.name, run.place()),
        by_hand: run.hand.as_ref().map(|h| h.by.clone()),
        waiting: run.waiting,
        title: run.title.clone(),
        agent_name: run.agent.clone(),
        program: run.program.clone(),
        claim_id: run.claim,
        attempt: run.attempt,
        runtime: run.runtime,
        container: run.container.clone(),
        phases: run.phases.iter().map(|(phase, at)| PhaseTime { phase: *phase, at: *at }).collect(),
        created_at: run.created_at,
        ended_at: run.ended_at,
        exit_code: run.exit_code,
        reason: run.reason.clone(),
        question: run.question.clone(),
        usage: run.usage,
        lane: run.lane.clone(),
        session: run.session.clone(),
        resumed: run.resume.as_ref().map(|r| r.session.clone()),
        model: run.model.clone(),
        checks: run.checks.iter().map(check).collect(),
        retry_at: run.retry_at,
        branch: Some(run.branch.clone()),
        pull_request_number: run.pull,
        pull_request_url: run.pull_url.clone(),
        last_event: run.last_event.clone(),
        last_output_at: run.last_output_at,
        stopping: run.kill.is_some(),
    })
}

/// A repository with its columns counted.
#[must_use]
pub fn repo(world: &World, repo: &Repo, now: Timestamp) -> wire_repos::Repo {
    let mut columns = [0; 5];
    for card in world.cards_of(&repo.key).iter().filter(|c| on_board(world, c, now)) {
        columns[card.status as usize] += 1;
    }
    let facts = world.automation.facts(&repo.key);
    wire_repos::Repo {
        full_name: repo.name.clone(),
        name: repo.name.name().to_owned(),
        owner: repo.name.owner().to_owned(),
        forge: repo.forge.word().to_owned(),
        path: repo.path.as_ref().map(|p| p.display().to_string()),
        default_branch: repo.default_branch.clone(),
        source: match repo.source {
            super::record::Source::Env => "env".to_owned(),
            super::record::Source::User => "user".to_owned(),
        },
        enabled: repo.tracked,
        runner_enabled: repo.runner_enabled,
        wip_limit: repo.wip_limit,
        lanes: repo.lanes.clone(),
        open_pr_count: world.pulls_of(&repo.key).filter(|p| p.seen.state == PullState::Open).count(),
        latest_commit_sha: facts.and_then(|f| Some(f.commit.as_ref()?.sha.clone())),
        failing_count: facts.map_or(0, |f| rates::failing(f, &repo.default_branch, now).len()),
        running_count: facts.map_or(0, |f| rates::running(f).count()),
        latest_release: facts.and_then(|f| Some(automation::view::latest_release(f)?.tag.clone())),
        columns,
        last_synced_at: repo.last_synced_at,
        sync_error: repo.sync_error.clone(),
        sync_failures: repo.sync_failures,
        standing: repo.access.standing.word().to_owned(),
    }
}

fn budget_state(state: &budget::State) -> Spending {
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 millionths of a dollar")]
    let dollars = |micros: u64| micros as f64 / 1e6;
    Spending {
        name: state.scope.name(),
        used: state.spent.usage,
        limit_usd: state.limit.micros.map(dollars),
        left_usd: state.limit.micros.map(|l| dollars(l.saturating_sub(state.spent.micros()))),
        limit_tokens: state.limit.tokens,
        left_tokens: state.limit.tokens.map(|l| l.saturating_sub(state.spent.usage.tokens())),
        percent: state.percent(),
        unpriced_runs: state.spent.unpriced,
        resets_at: state.resets_at,
    }
}

/// Slots, pools, what was spent.
#[must_use]
pub fn control(world: &World, now: Timestamp, forge: Budget, runtime: String) -> Control {
    let today = budget::spent(world, now, |_| true);
    Control {
        frozen: world.meta.frozen,
        running: world.live_runs().count(),
        slots: world.policy.runner_slots,
        ready: world.ready().map(|(_, cards)| cards.len()).sum(),
        writes_pending: world.intents.len(),
        paused_pools: world
            .meta
            .pools
            .iter()
            .filter_map(|pool| Some((pool, pool.paused.as_ref().filter(|p| p.until > now)?)))
            .map(|(pool, pause)| PausedPool {
                program: pool.program.clone(),
                until: pause.until,
                reason: pause.why.clone(),
            })
            .collect(),
        budgets: budget::states(world, now).iter().map(budget_state).collect(),
        waits: gate::all(world, now)
            .into_iter()
            .map(|(program, closed)| Wait { program, until: closed.until, reason: closed.why })
            .collect(),
        usage: budget::usage(world, now)
            .into_iter()
            .map(|(by, name, runs, usage)| UsageRow { by: by.to_owned(), name, runs, usage })
            .collect(),
        today: today.usage,
        cost_today_usd: today.usage.cost_usd.unwrap_or(0.0),
        rate_limit: forge.resources.iter().find(|r| r.resource == "core").map(|r| RateLimit {
            limit: r.limit,
            remaining: r.remaining,
            reset_at: r.reset_at,
        }),
        budget: forge,
        sync: freshness(world),
        runtime,
    }
}

/// How fresh the tracked repositories are.
fn freshness(world: &World) -> Freshness {
    let oldest = world.tracked().filter_map(|r| Some((r.last_synced_at?, &r.name))).min();
    Freshness {
        repos: world.tracked().count(),
        failing: world.tracked().filter(|r| r.sync_error.is_some()).count(),
        unread: world.tracked().filter(|r| r.last_synced_at.is_none()).count(),
        oldest_synced_at: oldest.map(|(at, _)| at),
        oldest: oldest.map(|(_, name)| name.clone()),
    }
}

/// An entry of an agent's queue.
#[must_use]
pub fn queue_issue(
    world: &World,
    card: &Card,
    agent: &AgentName,
    now: Timestamp,
    claimable: bool,
) -> Option<QueueIssue> {
    let issue = issue(world, card, None)?;
    Some(QueueIssue {
        kind: "issue".to_owned(),
        issue_id: issue.issue_id,
        repo_full_name: issue.repo_full_name,
        number: issue.number,
        title: issue.title,
        url: issue.url,
        agent_match: issue.agent.as_deref() == Some(agent.as_str()),
        labels: issue.labels,
        priority: issue.priority,
        status: issue.status,
        lane: issue.lane,
        claimable,
        ranking_reason: world
            .held(&card.key)
            .filter(|c| c.agent == *agent)
            .and_then(|c| c.ranking.clone())
            .unwrap_or_else(|| rank::reason(card, now, agent)),
        withheld: None,
        decomposed: issue.decomposed,
        linked_pr_health: issue.linked_pr,
    })
}
