//! What a card shows, told from the card, its run and the problems: its mark, its age, its place in the column.

use std::cmp::Reverse;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::IssueId;
use dispatch_shared::issue::{Flag, Priority, Status};
use dispatch_shared::protocol::control::ProblemKind;
use dispatch_shared::protocol::issues::{Issue, WriteState};
use dispatch_shared::protocol::runs::Run;

use super::data::asks;
use super::{Model, View};
use crate::theme::{Mark, Role};
use crate::view::areas;

/// A run without output for so long is quiet.
pub(crate) const QUIET: Duration = Duration::from_secs(2 * 60);
/// A run without output for so long is silent.
pub(crate) const SILENT: Duration = Duration::from_secs(5 * 60);

const HOUR: u64 = 3600;

/// The heading of a column.
pub(crate) fn column_title(status: Status) -> &'static str {
    match status {
        Status::Backlog => "Backlog",
        Status::Ready => "Ready",
        Status::InProgress => "In progress",
        Status::InReview => "Review",
        Status::Done => "Done",
    }
}

/// How a live run breathes: fresh, quiet, silent.
pub(crate) fn breath(run: &Run, now: Timestamp) -> Mark {
    match now.since(run.last_output_at.unwrap_or(run.created_at)) {
        d if d >= SILENT => Mark::Silent,
        d if d >= QUIET => Mark::Quiet,
        _ => Mark::Fresh,
    }
}

/// The mark of a run.
pub(crate) fn run_mark(run: &Run, now: Timestamp) -> Mark {
    if !run.ended {
        return breath(run, now);
    }
    match run.state.as_str() {
        "succeeded" => Mark::Done,
        "blocked" => Mark::Asks,
        "no-changes" => Mark::NoChanges,
        "killed" | "revoked" => Mark::Killed,
        "rate-limited" | "quota" | "network" => Mark::Waits,
        _ => Mark::Failed,
    }
}

/// The mark of a card: the most urgent thing there is to say of it.
pub(crate) fn mark(model: &Model, issue: &Issue) -> Mark {
    let id = &issue.issue_id;
    let open_column = issue.column != Status::Done;
    if asks(issue) && open_column {
        return Mark::Asks;
    }
    if model.refused.contains_key(id) || matches!(issue.write, Some(WriteState::Refused { .. })) {
        return Mark::Refused;
    }
    if model.moves.contains_key(id) || issue.write == Some(WriteState::Pending) {
        return Mark::Pending;
    }
    let run = model.data.run_of(issue);
    if let Some(run) = run.filter(|r| !r.ended) {
        return breath(run, model.now);
    }
    let last = run.map(|r| run_mark(r, model.now));
    if open_column
        && (last == Some(Mark::Failed) && issue.claim.is_none() && issue.column != Status::InReview)
    {
        return Mark::Failed;
    }
    if issue.claim.is_some() {
        return Mark::Fresh;
    }
    if issue.flags.contains(&Flag::Blocked) && open_column {
        return Mark::Waits;
    }
    match issue.column {
        Status::Backlog => Mark::Backlog,
        Status::Ready => Mark::Ready,
        Status::InProgress => Mark::Waits,
        Status::InReview => Mark::Review,
        Status::Done => match last {
            Some(m @ (Mark::NoChanges | Mark::Killed)) => m,
            _ => Mark::Done,
        },
    }
}

/// Since when the state that the card shows holds.
pub(crate) fn since(model: &Model, issue: &Issue) -> Timestamp {
    let asked = asks(issue).then(|| model.data.problem_of(&issue.issue_id, ProblemKind::Question)).flatten();
    asked.map_or(issue.since, |p| p.since)
}

/// How long it has been so, and how badly: `""`, `"!"`, `"!!"`.
pub(crate) fn age(model: &Model, issue: &Issue) -> (String, &'static str) {
    let age = model.now.since(since(model, issue));
    let limit = if asks(issue) {
        30 * 60
    } else {
        match issue.column {
            Status::Ready => 7 * 24 * HOUR,
            Status::InProgress => 2 * HOUR,
            Status::InReview => 24 * HOUR,
            Status::Backlog | Status::Done => u64::MAX / 2,
        }
    };
    let alarm = match age.as_secs() {
        s if s >= 2 * limit => "!!",
        s if s >= limit => "!",
        _ => "",
    };
    (super::text::age(age), alarm)
}

/// Two letters for who works on it, and the lane's first letter: `l cl`.
pub(crate) fn badges(issue: &Issue, run: Option<&Run>) -> String {
    let mut out =
        issue.priority.as_deref().and_then(Priority::read).map(|p| format!("{p} ")).unwrap_or_default();
    out.extend(issue.lane.chars().next());
    let agent = issue.agent.as_deref().map(|a| a.strip_prefix("agent/").unwrap_or(a));
    let by_run = |r: &&Run| !r.ended || asks(issue) || agent == Some(r.agent_name.as_str());
    if let Some(run) = run.filter(by_run) {
        out.push(' ');
        out.push_str(program_code(&run.program));
    } else if let Some(claim) = &issue.claim {
        out.push(' ');
        out.push_str(claim.agent_name.as_str());
    } else if let Some(agent) = agent {
        out.push(' ');
        out.push_str(agent);
    }
    out
}

/// A program's two letters.
pub(crate) fn program_code(program: &str) -> &str {
    let name = program.split(':').next().unwrap_or(program);
    match name {
        "claude" => "cl",
        "codex" => "cx",
        "gemini" => "gm",
        "opencode" => "oc",
        "coderabbit" => "cr",
        other => other.get(..2).unwrap_or(other),
    }
}

/// How far a run is: prepare, run, verify, publish.
pub(crate) fn phase_bar(run: &Run) -> &'static str {
    match run.state.as_str() {
        "queued" => "▱▱▱▱",
        "preparing" => "▰▱▱▱",
        "running" => "▰▰▱▱",
        "verifying" => "▰▰▰▱",
        _ => "▰▰▰▰",
    }
}

/// The third line of a card: what there is to say beyond its title.
pub(crate) fn note(model: &Model, issue: &Issue) -> (String, Role) {
    let run = model.data.run_of(issue);
    if let Some(reason) = model.refused.get(&issue.issue_id) {
        return (format!("move refused: {reason}"), Role::Alarm);
    }
    if let Some(WriteState::Refused { reason }) = &issue.write {
        return (format!("label refused: {reason}"), Role::Alarm);
    }
    if let Some(question) = model.data.question_of(issue).and_then(|r| r.question.as_deref()) {
        return (question.lines().next().unwrap_or_default().to_owned(), Role::Plain);
    }
    if let Some(moved) = model.moves.get(&issue.issue_id) {
        return (format!("from {}, pending", column_title(moved.from)), Role::Waiting);
    }
    if let Some(run) = run.filter(|r| !r.ended) {
        let what = if run.stopping { "stopping" } else { run.last_event.as_deref().unwrap_or(&run.state) };
        return (format!("{} {what}", phase_bar(run)), Role::Plain);
    }
    if let Some(claim) = &issue.claim {
        return (format!("lease to {}", super::text::clock(claim.lease_expires_at, &model.zone)), Role::Dim);
    }
    if asks(issue) {
        let why = run.and_then(|r| r.reason.clone()).unwrap_or_else(|| "needs a person".to_owned());
        return (why, Role::Plain);
    }
    if let Some(pull) = &issue.linked_pr {
        let draft = if pull.is_draft { " draft" } else { "" };
        let state = match pull.state {
            dispatch_shared::followup::PullState::Open => "review",
            dispatch_shared::followup::PullState::Closed => "closed",
            dispatch_shared::followup::PullState::Merged => "merged",
        };
        return (format!("PR {}{draft} {state}", pull.number), Role::Dim);
    }
    if issue.write == Some(WriteState::Pending) {
        return ("label write pending".to_owned(), Role::Dim);
    }
    match run.filter(|r| r.ended && r.state != "succeeded") {
        Some(run) => {
            let attempt = run.attempt.ordinal();
            (format!("{}, attempt {attempt}", run.reason.as_deref().unwrap_or(&run.state)), Role::Dim)
        }
        None => (String::new(), Role::Dim),
    }
}

/// The cards of each column in order: what asks first, then by priority, then the oldest; Done the newest first.
pub(crate) fn columns(model: &Model) -> [Vec<IssueId>; 5] {
    let mut rows: [Vec<(_, IssueId)>; 5] = Default::default();
    let (filter, all) = (model.filter.matcher(), model.filter.is_empty());
    let group = model.options.group;
    for issue in model.data.issues.values().filter(|i| all || filter.fits(i)) {
        let column = model.column_of(&issue.issue_id).unwrap_or(issue.column);
        let mark = mark(model, issue);
        let urgent = match mark {
            Mark::Asks | Mark::Refused | Mark::Failed => mark as u8,
            _ => u8::MAX,
        };
        let priority = issue.priority.as_deref().and_then(Priority::read).map_or(4, |p| p.0);
        let key = if column == Status::Done {
            (0, 0, Reverse(issue.closed_at.unwrap_or(issue.since)), Timestamp(0), issue.number)
        } else {
            (urgent, priority, Reverse(Timestamp(0)), issue.since, issue.number)
        };
        rows[column as usize].push(((group.of(issue), key), issue.issue_id.clone()));
    }
    rows.map(|mut column| {
        column.sort();
        column.into_iter().map(|(_, id)| id).collect()
    })
}

/// The instants whose ages stand on the screen.
pub(crate) fn visible_ages(model: &Model) -> Vec<Timestamp> {
    match model.view {
        View::Board => {
            let boxes = areas::board(model);
            let shown = boxes.iter().enumerate().filter(|(_, b)| b.cards > 0);
            shown
                .flat_map(|(at, b)| model.columns[at].rows.iter().skip(model.columns[at].top).take(b.cards))
                .filter_map(|id| model.data.issues.get(id))
                .map(|i| since(model, i))
                .collect()
        }
        View::Problems => model.data.problems.iter().take(100).map(|p| p.since).collect(),
        View::Runs => model
            .runs
            .rows
            .iter()
            .skip(model.runs.top)
            .take(usize::from(model.size.1))
            .filter_map(|id| model.data.runs.get(id))
            .map(|r| r.ended_at.unwrap_or(r.created_at))
            .collect(),
        View::Repos => model.data.repos.values().filter_map(|r| r.last_synced_at).collect(),
        View::Queue => {
            let shown = model.queue.rows.iter().skip(model.queue.top).take(usize::from(model.size.1));
            let rows = shown.filter_map(|key| model.queue_rows.iter().find(|r| r.key == *key));
            rows.filter_map(|r| queue_since(model, r)).collect()
        }
        View::Agents => super::agents::ages(model),
        View::Activity => activity_ages(model),
        View::Overview => {
            let stale = model.overview.iter().flat_map(|o| &o.stale_in_progress).map(|i| i.since);
            let runs = model.data.runs.values().map(|r| r.ended_at.unwrap_or(r.created_at));
            let audit = model.activity.audit.values().rev().take(20).map(|r| r.created_at);
            stale.chain(runs).chain(audit).chain(super::agents::ages(model)).collect()
        }
    }
}

/// Since when an entry of the queue waits.
pub(crate) fn queue_since(model: &Model, row: &super::queue::QueueRow) -> Option<Timestamp> {
    row.queued_at.or_else(|| Some(since(model, model.data.issues.get(row.issue.as_ref()?)?)))
}

fn activity_ages(model: &Model) -> Vec<Timestamp> {
    let (activity, height) = (&model.activity, usize::from(model.size.1));
    let rows = activity.rows.rows.iter().skip(activity.rows.top).take(height);
    let rows = rows.filter_map(|id| activity.audit.get(id)).map(|r| r.created_at);
    let events = activity.events.rows.iter().skip(activity.events.top).take(height);
    let events = events.filter_map(|id| activity.feed.iter().find(|e| e.id == *id)).map(|e| e.created_at);
    match activity.tab {
        super::activity::Tab::Audit => rows.collect(),
        super::activity::Tab::Feed => events.collect(),
    }
}
