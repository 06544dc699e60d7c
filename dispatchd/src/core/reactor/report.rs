//! What came of a task, as its worker says, checked against what the forge shows.

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::{AgentName, IssueId, RepoKey};
use dispatch_shared::issue::{Flag, Status};
use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::protocol::tasks::{self as wire, PrFixResolution, ReportAnswer};
use dispatch_shared::task::{Outcome, TaskType};

use super::followup;
use super::groom;
use super::settle::{self, AgentLabel, Relabel};
use super::sync;
use crate::core::command::{Evidence, Refusal, Reply, Report};
use crate::core::draft::Draft;
use crate::core::fix::reported;
use crate::core::record::{Card, CardKey, Claim, StoredReport, Unverified};
use crate::core::retry;
use crate::core::transition::{CardEvent, ClaimEvent};
use crate::core::work::{self, AgentRun};

pub(super) fn report(d: &mut Draft, report: &Report) -> Result<Reply, Refusal> {
    let payload = serde_json::to_string(&report.request).unwrap_or_default();
    let stored_key = report.request.idempotency_key.as_ref().map(|k| format!("{}/{k}", report.agent));
    if let Some(stored) = stored_key.as_ref().and_then(|k| d.world.reports.get(k)) {
        return if stored.payload == payload {
            Ok(Reply::Reported { answer: stored.answer.clone(), duplicate: true })
        } else {
            Err(Refusal::KeyReused(
                "this idempotency key was used with another report; choose a new one".into(),
            ))
        };
    }
    if report.request.task_type == TaskType::Idle {
        return Err(Refusal::Invalid("taskType must be implement, followup-pr or groom".into()));
    }
    if report.request.pr_fix_item.as_ref().is_some_and(|item| item.generation == Some(0)) {
        return Err(Refusal::Invalid("prFixItem.generation: 1 or more".into()));
    }
    if reported::is_followup(&d.world, &report.agent, report.card.as_ref(), &report.request) {
        return followup::report(d, report, payload, stored_key);
    }
    let key = subject(d, report)?;
    let claim = holder(d, report, &key)?;
    let card = settle::card(d, &key)?;
    let issue_changed = claim
        .as_ref()
        .is_some_and(|c| c.issue_seen < card.updated_at && card.wrote_at.is_none_or(|w| w < card.updated_at));
    let verdict = judge(report, claim.as_ref())?;
    if let Some(claim) = &claim {
        settle::end_claim(
            d,
            &std::sync::Arc::new(claim.clone()),
            ClaimEvent::Finish(report.request.outcome),
        )?;
    }
    let settled = apply(d, &key, report, &verdict)?;
    if matches!(verdict, Verdict::Later) && report.request.task_type == TaskType::Implement {
        let url = report.request.pull_request_url.as_deref();
        let named = url.and_then(|url| url.rsplit('/').next()?.parse().ok());
        let head = claim.as_ref().and_then(|c| c.head_seen.clone());
        let head = head.filter(|_| report.request.outcome == Outcome::PrUpdated);
        remember(d, &key, &report.agent, report.request.pull_request_number.or(named), head)?;
    }
    let done = Accepted {
        issue_id: Some(key.id()),
        pull: settled,
        status: run_status(report.request.outcome, &verdict),
        issue_changed,
        resolution: PrFixResolution {
            matched: false,
            action: "none".into(),
            item_id: None,
            reason: "no PR-fix item belongs to this report".into(),
        },
        unverified: match verdict {
            Verdict::Unverified(why) => Some(why),
            _ => None,
        },
        row: settle::row(d, report.agent.as_str(), "report_task", &key),
    };
    accept(d, report, done, payload, stored_key)
}

/// A report that was taken in, before its answer is made.
pub(super) struct Accepted {
    pub(super) issue_id: Option<IssueId>,
    pub(super) pull: Option<u64>,
    pub(super) status: &'static str,
    pub(super) issue_changed: bool,
    pub(super) resolution: PrFixResolution,
    pub(super) unverified: Option<String>,
    pub(super) row: AuditRow,
}

/// Makes the answer, writes the audit row, and keeps the answer for a repeat.
pub(super) fn accept(
    d: &mut Draft,
    report: &Report,
    done: Accepted,
    payload: String,
    stored_key: Option<String>,
) -> Result<Reply, Refusal> {
    let agent_run_id = recorded(d, report, done.issue_id.as_ref(), done.status);
    let answer = ReportAnswer {
        ok: true,
        agent_name: report.agent.clone(),
        report: wire::Report {
            task_type: report.request.task_type,
            outcome: report.request.outcome,
            issue_id: done.issue_id,
            pull_request_number: done.pull,
            summary: report.request.summary.clone(),
            status: done.status.to_owned(),
            at: d.now,
            issue_changed: done.issue_changed,
        },
        agent_run_id,
        pr_fix_resolution: done.resolution,
        duplicate: None,
    };
    let notes = [
        report.request.summary.as_deref(),
        report.request.error.as_deref(),
        report.request.evidence.as_deref(),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join("; ");
    let notes = match &done.unverified {
        Some(why) => format!("unverified: {why}; {notes}"),
        None => notes,
    };
    let outcome =
        serde_json::to_value(report.request.outcome).ok().and_then(|v| v.as_str().map(ToOwned::to_owned));
    d.audit(AuditRow { notes: Some(format!("{}: {notes}", outcome.unwrap_or_default())), ..done.row });
    let answer = serde_json::to_string(&answer)
        .map_err(|e| Refusal::Invalid(format!("the answer cannot be written: {e}")))?;
    if let Some(key) = stored_key {
        d.report(StoredReport { key, payload, answer: answer.clone(), at: d.now });
    }
    Ok(Reply::Reported { answer, duplicate: false })
}

/// Remembers the report among the agent runs; returns the id there.
fn recorded(d: &mut Draft, report: &Report, issue: Option<&IssueId>, status: &str) -> String {
    let (request, word) = (&report.request, |value: serde_json::Value| value.as_str().map(ToOwned::to_owned));
    let kind = serde_json::to_value(request.task_type).ok().and_then(word).unwrap_or_default();
    let run = AgentRun {
        started_at: work::started_at(request.started_at.as_deref(), d.now),
        finished_at: Some(d.now),
        summary: request.summary.clone(),
        error: request.error.clone(),
        outcome: serde_json::to_value(request.outcome).ok().and_then(word),
        urls: issue.and_then(|id| d.world.card_by_id(id)).map(|c| c.url.clone()).into_iter().collect(),
        issue: issue.cloned(),
        ..AgentRun::new(report.agent.as_str(), &kind, status, d.now)
    };
    d.agent_run(run).to_string()
}

/// The card that the report is about: named, or by its claim, or the reporter's newest work.
fn subject(d: &Draft, report: &Report) -> Result<CardKey, Refusal> {
    if let Some(card) = &report.card {
        return Ok(card.clone());
    }
    let by_claim = report.request.claim_id.and_then(|id| d.world.claims.get(&id));
    by_claim.or_else(|| d.world.held_by(&report.agent).last()).map(|claim| claim.card.clone()).ok_or_else(
        || {
            Refusal::Invalid(
                "the report names no issue, and its agent holds none; add repoFullName and issueNumber"
                    .into(),
            )
        },
    )
}

/// The live claim that the report ends, if there is one.
fn holder(d: &Draft, report: &Report, key: &CardKey) -> Result<Option<Claim>, Refusal> {
    let Some(claim) = settle::fence(d, key, report.request.claim_id)? else {
        settle::not_revoked(d, key, &report.agent)?;
        return Ok(None);
    };
    let subject = settle::name(d, key);
    if claim.agent != report.agent {
        return Err(settle::held_by_another(d, &claim, &report.agent));
    }
    if let Some(run) = claim.run {
        return Err(Refusal::Held(format!(
            "{subject} is worked on by {run}, which reports for itself; kill it instead"
        )));
    }
    if claim.kind != report.request.task_type {
        return Err(Refusal::Invalid(format!(
            "taskType is not that of {}, the claim on {subject}; report the type of the task that was handed out",
            claim.id
        )));
    }
    Ok(Some((*claim).clone()))
}

/// What the report is worth.
enum Verdict {
    /// As it says.
    Taken,
    /// A pull request that is really there.
    Pull(dispatch_shared::followup::PullState),
    /// Said, but not there, and nothing was named: counts as a failed attempt.
    Unverified(String),
    /// To be verified when the forge can be reached.
    Later,
}

fn judge(report: &Report, claim: Option<&Claim>) -> Result<Verdict, Refusal> {
    let names_pull =
        report.request.pull_request_number.is_some() || report.request.pull_request_url.is_some();
    if !matches!(report.request.outcome, Outcome::PrOpened | Outcome::PrUpdated) {
        return Ok(Verdict::Taken);
    }
    match &report.evidence {
        Evidence::Pull(pull) => {
            let unmoved = report.request.outcome == Outcome::PrUpdated
                && claim.and_then(|c| c.head_seen.as_ref()).is_some_and(|head| *head == pull.head_sha);
            if unmoved {
                return Err(Refusal::NotVerified(format!(
                    "pull request #{} still stands at {}, as when the task was taken; push first",
                    pull.number, pull.head_sha
                )));
            }
            Ok(Verdict::Pull(pull.state))
        }
        Evidence::Absent(seen) if names_pull => Err(Refusal::NotVerified(seen.clone())),
        Evidence::Absent(seen) => Ok(Verdict::Unverified(seen.clone())),
        Evidence::Unreachable(_) | Evidence::NotNeeded => Ok(Verdict::Later),
    }
}

fn run_status(outcome: Outcome, verdict: &Verdict) -> &'static str {
    match (outcome, verdict) {
        (Outcome::Failed, _) | (_, Verdict::Unverified(_)) => "failed",
        (Outcome::Blocked, _) => "blocked",
        _ => "completed",
    }
}

/// Changes the card as the report demands; returns the pull request it settled on.
fn apply(d: &mut Draft, key: &CardKey, report: &Report, verdict: &Verdict) -> Result<Option<u64>, Refusal> {
    let request = &report.request;
    let actor = report.agent.as_str();
    let settled = match &report.evidence {
        Evidence::Pull(pull) => {
            link(d, key, pull)?;
            Some(pull.number)
        }
        _ => request.pull_request_number,
    };
    if settle::card(d, key)?.status == Status::Done {
        return Ok(settled);
    }
    if request.task_type == TaskType::Groom {
        groom::reported(d, key, request.outcome)?;
    }
    if let Verdict::Unverified(why) = verdict {
        failed(d, key, actor, why)?;
        return Ok(settled);
    }
    match (request.task_type, request.outcome) {
        (_, Outcome::Blocked) => {
            let question =
                request.error.as_deref().or(request.summary.as_deref()).unwrap_or("no question was given");
            ask(d, key, actor, question)?;
        }
        (TaskType::Implement, Outcome::PrOpened | Outcome::PrUpdated) => match verdict {
            Verdict::Pull(PullState::Open) | Verdict::Later => in_review(d, key, actor)?,
            _ => needs_person(d, key, actor, "the pull request that was reported is not open")?,
        },
        (TaskType::Implement, Outcome::Failed) => {
            let why =
                request.error.as_deref().or(request.summary.as_deref()).unwrap_or("no reason was given");
            failed(d, key, actor, why)?;
        }
        (TaskType::Implement, Outcome::NoChangesNeeded | Outcome::AlreadyAddressed) => {
            let why =
                request.evidence.as_deref().or(request.summary.as_deref()).unwrap_or("no evidence was given");
            needs_person(d, key, actor, &format!("nothing to change, says {actor}: {why}"))?;
        }
        (TaskType::Implement, Outcome::IssueUpdated) => updated(d, key, actor, request.summary.as_deref())?,
        // The forge says when it is closed; a groomer's card goes where its labels say; a follow-up stays in review.
        _ => {}
    }
    Ok(settled)
}

/// Keeps what could not be seen, to be looked at after the next whole sync.
pub(super) fn remember(
    d: &mut Draft,
    key: &CardKey,
    agent: &AgentName,
    pull: Option<u64>,
    head_seen: Option<String>,
) -> Result<(), Refusal> {
    let card = settle::card(d, key)?;
    let unverified = Unverified { since: d.now, agent: agent.clone(), pull, head_seen };
    d.card(Card { unverified: Some(unverified), ..card });
    Ok(())
}

/// After a whole sync: what was reported while the forge could not be asked is checked against what it shows now, and the
/// card becomes what it would have become at once.
pub(super) fn check_later(d: &mut Draft, repo: &RepoKey, read_at: Option<Timestamp>) -> Result<(), Refusal> {
    let read =
        |card: &Card| card.unverified.as_ref().is_some_and(|u| read_at.is_some_and(|read| u.since < read));
    let open: Vec<CardKey> =
        d.world.attention().filter(|c| c.key.repo == *repo && read(c)).map(|c| c.key.clone()).collect();
    for key in open {
        let card = settle::card(d, &key)?;
        let Some(said) = card.unverified.clone() else { continue };
        d.card(Card { unverified: None, ..card.clone() });
        // Somebody moved it, or works on it again: what was said before is past.
        if card.status != Status::InReview || d.world.held(&key).is_some() {
            continue;
        }
        let found = match said.pull {
            Some(number) => d.world.pulls.get(&(key.repo.clone(), number)).map(|p| p.seen.clone()),
            None => d.world.linked_pull(&card).map(|p| p.seen.clone()),
        };
        let why = match (&found, said.pull) {
            (None, Some(number)) => {
                format!("{} reported pull request #{number}, and it is not there", said.agent)
            }
            (None, None) => format!("{} reported a pull request, and none is there", said.agent),
            (Some(seen), _) if said.head_seen.as_ref() == Some(&seen.head_sha) => {
                format!(
                    "{} reported a push to pull request #{}, and its head has not moved",
                    said.agent, seen.number
                )
            }
            (Some(seen), _) => {
                link(d, &key, seen)?;
                d.audit(AuditRow {
                    notes: Some(format!("pull request #{} of {} is there", seen.number, said.agent)),
                    ..settle::row(d, "dispatch", "verify_report", &key)
                });
                if seen.state != PullState::Open {
                    needs_person(d, &key, "dispatch", "the pull request that was reported is not open")?;
                }
                continue;
            }
        };
        d.audit(AuditRow {
            notes: Some(why.clone()),
            success: false,
            ..settle::row(d, "dispatch", "verify_report", &key)
        });
        failed(d, &key, "dispatch", &why)?;
    }
    Ok(())
}

/// Puts the pull request that a worker made beside its card, whatever its text says, and keeps it there.
pub(super) fn link(d: &mut Draft, key: &CardKey, pull: &crate::core::seen::SeenPull) -> Result<(), Refusal> {
    sync::pull(d, &key.repo, pull)?;
    sync::belongs(d, key, pull.number)?;
    let card = settle::card(d, key)?;
    if card.linked_pull != Some(pull.number) && pull.state == PullState::Open {
        d.card(Card { linked_pull: Some(pull.number), ..card });
    }
    Ok(())
}

/// The work is done as far as an agent can: a person reviews.
pub(super) fn in_review(d: &mut Draft, key: &CardKey, actor: &str) -> Result<(), Refusal> {
    let mut card = settle::card(d, key)?;
    card.failures = 0;
    card.not_before = None;
    card.question = None;
    card.answer = None;
    let change = Relabel { event: Some(CardEvent::PullOpen), ..Relabel::new(actor, "move_issue") };
    settle::relabel(d, &mut card, &change)
}

/// The worker asks something: the card stays where it is and waits for a person.
pub(super) fn ask(d: &mut Draft, key: &CardKey, actor: &str, question: &str) -> Result<(), Refusal> {
    let mut card = settle::card(d, key)?;
    card.question = Some(question.to_owned());
    card.answer = None;
    let change =
        Relabel { raise: &[Flag::NeedsHuman], notes: Some(question), ..Relabel::new(actor, "move_issue") };
    settle::relabel(d, &mut card, &change)
}

/// A failed attempt: ready again after a pause, or after too many a person.
pub(super) fn failed(d: &mut Draft, key: &CardKey, actor: &str, why: &str) -> Result<(), Refusal> {
    let mut card = settle::card(d, key)?;
    card.failures = card.failures.saturating_add(1);
    let give_up = card.failures >= d.world.policy.max_failures;
    let notes = format!("attempt failed ({} of {}): {why}", card.failures, d.world.policy.max_failures);
    card.not_before = (!give_up).then(|| d.now + retry::backoff(card.failures));
    card.question = give_up.then(|| notes.clone());
    let open_pull = settle::has_open_pull(d, &card);
    let change = Relabel {
        event: Some(if open_pull { CardEvent::PullOpen } else { CardEvent::Failed { give_up } }),
        agent: if open_pull { AgentLabel::Keep } else { AgentLabel::Clear },
        raise: if give_up { &[Flag::NeedsHuman] } else { &[] },
        notes: Some(&notes),
        ..Relabel::new(actor, "move_issue")
    };
    settle::relabel(d, &mut card, &change)
}

/// The issue was changed and no pull request made: the card goes back as if released, unless somebody has moved it. It rests
/// first, and after as many times as an attempt may fail a person looks: an issue that is only ever talked about would be
/// handed out for ever.
fn updated(d: &mut Draft, key: &CardKey, actor: &str, summary: Option<&str>) -> Result<(), Refusal> {
    let mut card = settle::card(d, key)?;
    if card.status != Status::InProgress {
        return Ok(());
    }
    let why = format!("the issue was updated, says {actor}: {}", summary.unwrap_or("no summary was given"));
    card.failures = card.failures.saturating_add(1);
    if card.failures >= d.world.policy.max_failures && !settle::has_open_pull(d, &card) {
        d.card(card);
        return needs_person(d, key, actor, &why);
    }
    card.not_before = Some(d.now + retry::backoff(card.failures));
    d.card(card);
    settle::give_back(d, key, actor, "move_issue", Some(&why))
}

/// Nothing goes on before a person has looked.
pub(super) fn needs_person(d: &mut Draft, key: &CardKey, actor: &str, why: &str) -> Result<(), Refusal> {
    let mut card = settle::card(d, key)?;
    card.question = Some(why.to_owned());
    let change = Relabel {
        event: Some(CardEvent::NeedsPerson),
        agent: AgentLabel::Clear,
        raise: &[Flag::NeedsHuman],
        notes: Some(why),
        ..Relabel::new(actor, "move_issue")
    };
    settle::relabel(d, &mut card, &change)
}
