//! The order of the runs and what the filter finds them by.

use std::cmp::Reverse;

use dispatch_shared::id::RunId;
use dispatch_shared::protocol::runs::Run;

use super::{Model, find};

/// How runs are sorted; live ones stand before ended ones whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RunSort {
    /// Live ones by age, the oldest first; ended ones by their end, the newest first.
    #[default]
    Time,
    /// The longest silence first.
    Silence,
    Cost,
    Tokens,
    Program,
    Repository,
}

impl RunSort {
    const ALL: [RunSort; 6] = [
        RunSort::Time,
        RunSort::Silence,
        RunSort::Cost,
        RunSort::Tokens,
        RunSort::Program,
        RunSort::Repository,
    ];

    pub(crate) fn next(self) -> Self {
        let at = Self::ALL.iter().position(|s| *s == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// The words in the heading.
    pub(crate) fn words(self) -> &'static str {
        match self {
            RunSort::Time => "by time",
            RunSort::Silence => "longest silent first",
            RunSort::Cost => "dearest first",
            RunSort::Tokens => "most tokens first",
            RunSort::Program => "by program",
            RunSort::Repository => "by repository",
        }
    }
}

fn hay(run: &Run) -> String {
    let live = if run.ended { "ended" } else { "live" };
    let lane = run.lane.as_deref().unwrap_or_default();
    format!(
        "{} {} {} repo:{} {} agent:{} {} lane:{lane} {live}",
        run.id, run.subject, run.title, run.repo_full_name, run.program, run.agent_name, run.state
    )
}

/// The runs that the filter keeps, in order.
pub(crate) fn order(model: &Model) -> Vec<RunId> {
    let filter = model.filter.to_string();
    let mut runs: Vec<&Run> = model.data.runs.values().filter(|r| find::keeps(&filter, || hay(r))).collect();
    runs.sort_by_key(|r| {
        let time = if r.ended { Reverse(r.ended_at.map_or(0, |t| t.0)) } else { Reverse(-r.created_at.0) };
        (r.ended, time, Reverse(r.id))
    });
    // Stable, so that what is equal stays in the order of time.
    match model.run_sort {
        RunSort::Time => {}
        RunSort::Silence => runs.sort_by_key(|r| (r.ended, r.last_output_at.unwrap_or(r.created_at))),
        RunSort::Cost => runs.sort_by_key(|r| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a tenth of a cent is enough to tell runs apart"
            )]
            let mills = (r.usage.cost_usd.unwrap_or(0.0) * 1000.0) as i64;
            (r.ended, Reverse(mills))
        }),
        RunSort::Tokens => runs.sort_by_key(|r| (r.ended, Reverse(r.usage.tokens()))),
        RunSort::Program => runs.sort_by(|a, b| (a.ended, &a.program).cmp(&(b.ended, &b.program))),
        RunSort::Repository => {
            runs.sort_by_cached_key(|r| (r.ended, r.repo_full_name.to_string()));
        }
    }
    runs.into_iter().map(|r| r.id).collect()
}

/// How many runs to ask for when the cursor stands on the last one that is here: the stream brings only the newest.
pub(crate) fn more(model: &mut Model) -> Option<usize> {
    let known = model.data.runs.len();
    let last = model.runs.index()? + 1 == model.runs.rows.len();
    if !last || model.runs.rows.len() < 2 || model.runs_paged >= known {
        return None;
    }
    model.runs_paged = known;
    Some(known + 200)
}
