//! What a worker is told: the task with its limits, its branch, its acceptance criteria, and where to report.

mod groom;
mod related;

pub use groom::groom;
pub use related::related;

use dispatch_shared::Timestamp;
use dispatch_shared::id::AgentName;
use dispatch_shared::protocol::tasks::{ReportTo, Task, TaskIssue};
use dispatch_shared::task::TaskType;

use super::gate;
use super::record::{Card, Claim, Repo};
use super::{rank, view};
use crate::core::world::World;

/// The branch for an issue: `fix/issue-<n>-<slug>`, safe for git and file systems.
#[must_use]
pub fn branch_name(number: u64, title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars() {
        if slug.len() >= 40 {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let slug = slug.trim_matches('-');
    if slug.is_empty() { format!("fix/issue-{number}") } else { format!("fix/issue-{number}-{slug}") }
}

/// Check-list items of the whole body, and the list items of a section whose heading says "acceptance".
#[must_use]
pub fn acceptance_criteria(body: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_section = false;
    let mut fenced = false;
    for line in body.lines() {
        let text = line.trim();
        if text.starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        if text.starts_with('#') {
            in_section = text.to_ascii_lowercase().contains("acceptance");
            continue;
        }
        let Some(item) = text.strip_prefix("- ").or_else(|| text.strip_prefix("* ")) else { continue };
        let checked = ["[ ] ", "[x] ", "[X] "].into_iter().find_map(|mark| item.strip_prefix(mark));
        if let Some(item) = checked.or(in_section.then_some(item)) {
            found.push(item.trim().to_owned());
        }
    }
    found
}

/// Word that there is nothing to do, with what is withheld and why.
#[must_use]
pub fn idle(world: &World, now: Timestamp, agent: &AgentName, kind: TaskType) -> Task {
    let withheld = rank::withheld(world);
    let held = world.held_by(agent).count();
    let gates = if agent.as_str() == world.policy.runner_agent { gate::all(world, now) } else { Vec::new() };
    let mut reason = if world.meta.frozen {
        "the queue is frozen".to_owned()
    } else if kind == TaskType::Groom {
        "no issue waits for grooming".to_owned()
    } else if held > 0 && held >= world.policy.slots_of(agent.as_str()) {
        format!("{agent} holds {held} already; report it, or ask with resume=true")
    } else if !gates.is_empty() {
        gates.into_iter().map(|(_, closed)| closed.why).collect::<Vec<_>>().join("; ")
    } else {
        "nothing is ready".to_owned()
    };
    if !withheld.is_empty() {
        let counts: Vec<String> = withheld.iter().map(|w| format!("{} {}", w.count, w.why)).collect();
        reason = format!("{reason}; withheld: {}", counts.join(", "));
    }
    Task { reason: Some(reason), withheld, ..bare(TaskType::Idle, agent) }
}

pub(super) fn bare(kind: TaskType, agent: &AgentName) -> Task {
    Task {
        kind,
        should_run: kind != TaskType::Idle,
        reason: None,
        withheld: Vec::new(),
        agent_name: agent.clone(),
        lane: None,
        issue: None,
        pull_request: None,
        instructions: String::new(),
        stop_after: String::new(),
        forbidden_actions: kind.forbids().iter().map(|f| f.sentence().to_owned()).collect(),
        forbids: kind.forbids().to_vec(),
        allowed_actions: Vec::new(),
        acceptance_criteria: Vec::new(),
        task_id: None,
        report_to: None,
        branch: None,
        base_branch: None,
        claim: None,
        ranking_reason: None,
        pr_fix_item: None,
        reasons: Vec::new(),
        feedback_items: Vec::new(),
        head_sha: None,
        related: Vec::new(),
        answer: None,
    }
}

/// The task for `card`; with its claim after a take, without after a look.
#[must_use]
pub fn implement(
    world: &World,
    now: Timestamp,
    agent: &AgentName,
    card: &Card,
    body: &str,
    claim: Option<&Claim>,
) -> Task {
    let repo = world.repos.get(&card.key.repo);
    let name = repo.map_or_else(|| card.key.repo.to_string(), |r| r.name.to_string());
    let number = card.key.number;
    let branch = world
        .linked_pull(card)
        .filter(|p| !p.seen.from_fork && p.seen.state == dispatch_shared::followup::PullState::Open)
        .map_or_else(|| branch_name(number, &card.title), |p| p.seen.head_branch.clone());
    let base = repo.map_or_else(|| "main".to_owned(), |r| r.default_branch.clone());
    let mut instructions = format!(
        "Implement issue #{number} of {name}: {}. Work on the branch {branch}, from {base}. When it is done, open one \
         pull request whose body starts with `Fixes #{number}`, and report the outcome.",
        card.title
    );
    if let Some(answer) = &card.answer {
        instructions.push_str(&format!(" An operator answered the question asked before: {answer}"));
    }
    Task {
        instructions,
        allowed_actions: vec![
            format!("read and change files of {name} on the branch {branch}"),
            "run the repository's own checks".to_owned(),
            format!("push {branch} and open or update one pull request"),
            "report blocked with a question if a person has to decide".to_owned(),
        ],
        acceptance_criteria: acceptance_criteria(body),
        branch: Some(branch),
        base_branch: Some(base),
        ranking_reason: Some(
            claim.and_then(|c| c.ranking.clone()).unwrap_or_else(|| rank::reason(card, now, agent)),
        ),
        ..about(TaskType::Implement, world, agent, card, body, claim)
    }
}

/// What every task about an issue says: which, in which lane, under which claim, and where to report.
fn about(
    kind: TaskType,
    world: &World,
    agent: &AgentName,
    card: &Card,
    body: &str,
    claim: Option<&Claim>,
) -> Task {
    Task {
        lane: Some(world.lane_of(card).to_owned()),
        issue: world.repos.get(&card.key.repo).map(|r| issue(r, card, body)),
        stop_after: "Stop after reporting one outcome for this issue. Do not look for more work.".to_owned(),
        related: related(world, &card.key, body, None),
        answer: card.answer.clone(),
        task_id: claim.map(|c| c.id.to_string()),
        report_to: Some(report_to(agent)),
        claim: claim.map(view::claim),
        ..bare(kind, agent)
    }
}

/// An issue as its worker reads it.
pub(super) fn issue(repo: &Repo, card: &Card, body: &str) -> TaskIssue {
    TaskIssue {
        id: card.key.id(),
        repo_full_name: repo.name.clone(),
        number: card.key.number,
        title: card.title.clone(),
        url: card.url.clone(),
        body: body.to_owned(),
        labels: card.labels.clone(),
    }
}

/// Where `agent` reports.
pub(super) fn report_to(agent: &AgentName) -> ReportTo {
    ReportTo { method: "POST".into(), path: format!("/api/agents/{agent}/tasks/report") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_names_are_safe() {
        assert_eq!(
            branch_name(7, "Fix: the  Parser's \"edge\" case!"),
            "fix/issue-7-fix-the-parser-s-edge-case"
        );
        assert_eq!(branch_name(7, "…"), "fix/issue-7");
        assert_eq!(branch_name(7, "../../etc/passwd"), "fix/issue-7-etc-passwd");
        assert!(branch_name(1, &"long ".repeat(50)).len() < 60);
    }

    #[test]
    fn criteria_are_check_lists_and_the_acceptance_section() {
        let body = "- [ ] one\n- plain\n```\n- [ ] code\n```\n## Acceptance criteria\n- two\n* [x] three\n## Notes\n- four";
        assert_eq!(acceptance_criteria(body), ["one", "two", "three"]);
    }
}
