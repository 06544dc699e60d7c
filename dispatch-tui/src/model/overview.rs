//! The numbers of the day and the week, told from what is known here.

use dispatch_shared::id::{IssueId, RunId};

use super::Model;

/// How many of the newest runs and audit rows are listed.
const RECENT: usize = 20;
const HOUR: u64 = 3_600_000;

/// What the cursor may stand on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// In progress, and nothing came of it for a day.
    Stale(IssueId),
    Run(RunId),
    Audit(u64),
}

/// The rows that can be chosen, in order.
pub(crate) fn keys(model: &Model) -> Vec<Key> {
    let stale = model.overview.iter().flat_map(|o| &o.stale_in_progress);
    let mut runs: Vec<_> = model.data.runs.values().collect();
    runs.sort_by_key(|r| std::cmp::Reverse((r.ended_at.unwrap_or(r.created_at), r.id)));
    let audit = model.activity.audit.values().rev().take(RECENT);
    stale
        .map(|i| Key::Stale(i.issue_id.clone()))
        .chain(runs.into_iter().take(RECENT).map(|r| Key::Run(r.id)))
        .chain(audit.map(|r| Key::Audit(r.id)))
        .collect()
}

/// Cards in each column, whatever is filtered.
pub(crate) fn columns(model: &Model) -> [u64; 5] {
    let mut counts = [0; 5];
    for issue in model.data.issues.values() {
        counts[model.column_of(&issue.issue_id).unwrap_or(issue.column) as usize] += 1;
    }
    counts
}

/// Runs that ended in each of the last `hours` hours, the oldest hour first; of all programs, or of one.
pub(crate) fn ended_by_hour(model: &Model, hours: usize, program: Option<&str>) -> Vec<u64> {
    let mut counts = vec![0; hours];
    for run in model.data.runs.values() {
        let is_its = program.is_none_or(|p| run.program == p || run.program.split(':').next() == Some(p));
        let Some(ended) = run.ended_at.filter(|_| is_its) else { continue };
        let age = u64::try_from(model.now.since(ended).as_millis()).unwrap_or(u64::MAX) / HOUR;
        if let Some(at) = usize::try_from(age).ok().and_then(|age| hours.checked_sub(age + 1)) {
            counts[at] += 1;
        }
    }
    counts
}

/// The days of the last week that the daemon tells of, the oldest first: runs, and US cents.
pub(crate) fn days(model: &Model) -> Vec<(String, u64, u64)> {
    let rows = model.data.control.iter().flat_map(|c| &c.usage).filter(|row| row.by == "day");
    let mut days: Vec<_> = rows
        .map(|row| (row.name.clone(), row.runs as u64, cents(row.usage.cost_usd.unwrap_or(0.0))))
        .collect();
    days.sort();
    days
}

/// US dollars as cents.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a sum of money that a day costs, and never less than nothing"
)]
pub(crate) fn cents(dollars: f64) -> u64 {
    (dollars.max(0.0) * 100.0).round() as u64
}
