//! What a harness does: take, report, release, renew, and look at the queue.

use dispatch_shared::client::Client;
use dispatch_shared::id::{AgentName, ClaimId};
use dispatch_shared::protocol::claims::{ClaimRequest, HeartbeatRequest};
use dispatch_shared::protocol::queue::{QueueEntry, QueueQuery};
use dispatch_shared::protocol::tasks::{NextTaskQuery, ReportRequest, TakeRequest, Task};
use dispatch_shared::task::{Outcome, TaskType};

use super::out::{Colour, Out, dim, word};
use super::{Failure, args, issue};

/// Reads an outcome by its word on the wire.
pub(crate) fn outcome(text: &str) -> Result<Outcome, String> {
    serde_json::from_value(text.into()).map_err(|_| {
        format!(
            "`{text}` is no outcome: write pr_opened, pr_updated, issue_updated, issue_closed, blocked, failed, \
             no_changes_needed or already_addressed"
        )
    })
}

/// Reads a task's kind by its word on the wire.
pub(crate) fn kind(text: &str) -> Result<TaskType, String> {
    match serde_json::from_value(text.into()) {
        Ok(TaskType::Idle) | Err(_) => {
            Err(format!("`{text}` is no kind of task: write implement, followup-pr or groom"))
        }
        Ok(kind) => Ok(kind),
    }
}

/// Whether there was a task.
pub(super) async fn next(client: &Client, next: args::Next, out: &mut Out) -> Result<bool, Failure> {
    let query = NextTaskQuery {
        lane: next.lane,
        mode: next.mode,
        wait: next.wait,
        resume: next.resume.then_some(true),
        ..NextTaskQuery::default()
    };
    let agent = next.agent.as_str();
    let task = if next.peek {
        client.peek(agent, &query).await?
    } else {
        client.take(agent, &query, &TakeRequest { idempotency_key: next.key }).await?
    };
    if let Some(path) = &next.save {
        super::work::save(&task, path)?;
    }
    if next.prompt {
        super::work::show_prompt(&task, next.template.as_deref(), out)?;
    } else if out.json {
        out.json(&task)?;
    } else {
        show(&task, out)?;
    }
    Ok(task.should_run)
}

fn show(task: &Task, out: &mut Out) -> Result<(), Failure> {
    if !task.should_run {
        out.tinted(&format!("idle: {}", task.reason.as_deref().unwrap_or("nothing to do")), Colour::Dim)?;
        return Ok(());
    }
    let kind = serde_json::to_value(task.kind).unwrap_or_default();
    let mut rows = vec![("task", kind.as_str().unwrap_or_default().to_owned())];
    if let Some(issue) = &task.issue {
        rows.push(("issue", format!("{}#{}", issue.repo_full_name, issue.number)));
        rows.push(("title", issue.title.clone()));
        rows.push(("url", issue.url.clone()));
    }
    if let Some(pull) = &task.pull_request {
        rows.push(("pull request", format!("{}#{}", pull.repo_full_name, pull.number)));
    }
    let mut also = |name, value: &Option<String>| rows.extend(value.iter().map(|v| (name, v.clone())));
    also("lane", &task.lane);
    also("branch", &task.branch);
    also("from", &task.base_branch);
    also("why this", &task.ranking_reason);
    if let Some(claim) = &task.claim {
        rows.push(("claim", format!("{}, attempt {}", claim.id, claim.attempt.ordinal())));
        rows.push(("lease until", claim.lease_expires_at.to_string()));
    }
    rows.extend(task.acceptance_criteria.iter().map(|c| ("accept when", c.clone())));
    rows.extend(task.forbidden_actions.iter().map(|f| ("forbidden", f.clone())));
    let cells = rows.into_iter().map(|(name, value)| vec![dim(name), value.into()]).collect();
    out.table(&["", ""], cells, "")?;
    for text in [&task.instructions, &task.stop_after] {
        if !text.is_empty() {
            out.line("")?;
            out.foreign(text)?;
            out.line("")?;
        }
    }
    if let Some(issue) = task.issue.as_ref().filter(|i| !i.body.trim().is_empty()) {
        out.line("")?;
        out.foreign(issue.body.trim_end())?;
        out.line("")?;
    }
    Ok(())
}

pub(super) async fn report(client: &Client, report: args::Report, out: &mut Out) -> Result<(), Failure> {
    let subject = match &report.issue {
        Some(text) => issue::reference(client, text).await?,
        None => Default::default(),
    };
    let body = ReportRequest {
        repo_full_name: subject.repo_full_name,
        issue_number: subject.issue_number,
        issue_id: subject.issue_id,
        pull_request_number: report.pr,
        pull_request_url: report.pr_url,
        summary: report.summary,
        error: report.error,
        evidence: report.evidence,
        idempotency_key: report.key,
        claim_id: report.claim,
        ..ReportRequest::new(report.kind, report.outcome)
    };
    let answer = client.report(report.agent.as_str(), &body).await?;
    if out.json {
        return Ok(out.json(&answer)?);
    }
    let again = if answer.duplicate == Some(true) { " (reported before)" } else { "" };
    let pull = answer.report.pull_request_number.map(|n| format!(", pull request #{n}")).unwrap_or_default();
    let changed = if answer.report.issue_changed { ", the issue changed meanwhile" } else { "" };
    Ok(out.line(format!("{}{pull}{changed}{again}", answer.report.status))?)
}

pub(super) async fn claim(client: &Client, claim: args::Claim, out: &mut Out) -> Result<(), Failure> {
    let request = ClaimRequest {
        issue: issue::reference(client, &claim.issue).await?,
        agent_name: claim.agent.to_string(),
        force: claim.force.then_some(true),
        claim_id: claim.claim,
    };
    let answer = client.claim(&request).await?;
    if out.json {
        return Ok(out.json(&answer)?);
    }
    let claim = &answer.claim;
    Ok(out.line(format!("{} for {} until {}", claim.id, claim.agent_name, claim.lease_expires_at))?)
}

pub(super) async fn release(client: &Client, claim: args::Claim, out: &mut Out) -> Result<(), Failure> {
    let request = ClaimRequest {
        issue: issue::reference(client, &claim.issue).await?,
        agent_name: claim.agent.to_string(),
        force: claim.force.then_some(true),
        claim_id: claim.claim,
    };
    let answer = client.unclaim(&request).await?;
    labels(&answer, out)
}

/// The answer of everything that changes labels.
pub(super) fn labels(
    answer: &dispatch_shared::protocol::issues::LabelsAnswer,
    out: &mut Out,
) -> Result<(), Failure> {
    if out.json {
        return Ok(out.json(answer)?);
    }
    let status = answer.status.as_deref().unwrap_or("no status").trim_start_matches("status/");
    let note = answer.status_note.as_ref().map(|n| format!(": {n}")).unwrap_or_default();
    Ok(out.tinted(&format!("{status}{note}"), Colour::of(status))?)
}

pub(super) async fn heartbeat(
    client: &Client,
    agent: &AgentName,
    claim: Option<ClaimId>,
    out: &mut Out,
) -> Result<(), Failure> {
    let answer = client.heartbeat(agent.as_str(), &HeartbeatRequest { claim_id: claim }).await?;
    if out.json {
        return Ok(out.json(&answer)?);
    }
    out.line(super::out::clean(&answer.summary))?;
    for (colour, lines) in [(Colour::Yellow, &answer.warnings), (Colour::Red, &answer.errors)] {
        for line in lines {
            out.tinted(line, colour)?;
        }
    }
    Ok(())
}

pub(super) async fn queue(
    client: &Client,
    agent: &AgentName,
    lane: Option<String>,
    all: bool,
    out: &mut Out,
) -> Result<(), Failure> {
    let query = QueueQuery { lane, include_claimed: all.then_some(true), ..QueueQuery::default() };
    let queue = client.queue(agent.as_str(), &query).await?;
    if out.json {
        return Ok(out.json(&queue)?);
    }
    let rows = queue.iter().map(|entry| {
        let i = match entry {
            QueueEntry::Issue(issue) => issue,
            QueueEntry::Fix(fix) => {
                return vec![
                    format!("{}#{}", fix.item.repo, fix.item.pr).into(),
                    "fix".into(),
                    (&fix.item.lane_id).into(),
                    word("yes"),
                    fix.item.title.as_deref().unwrap_or(&fix.item.reason).into(),
                    dim(&fix.ranking_reason),
                ];
            }
        };
        let priority = i.priority.as_deref().unwrap_or("-").trim_start_matches("priority/");
        vec![
            format!("{}#{}", i.repo_full_name, i.number).into(),
            priority.into(),
            (&i.lane).into(),
            word(if i.claimable { "yes" } else { "no" }),
            (&i.title).into(),
            dim(&i.ranking_reason),
        ]
    });
    let nothing = format!("nothing to hand to {agent}; `dispatch why ISSUE` says what withholds one");
    Ok(out.table(&["ISSUE", "PRI", "LANE", "FREE", "TITLE", "WHY HERE"], rows.collect(), &nothing)?)
}
