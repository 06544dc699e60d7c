//! What runs come to: which are under way, which fail, how often a workflow succeeds and how long it takes.
//!
//! A run comes to a *verdict* if it succeeded or failed (`failure`, `timed_out`, `startup_failure`). One that was
//! cancelled, skipped, left neutral, found stale or waits for somebody says nothing of the code and counts nowhere.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::protocol::actions::WorkflowRun;

use super::Facts;

/// How far back runs count, in days.
pub const WINDOW_DAYS: u32 = 30;

const WINDOW: Duration = Duration::from_secs(WINDOW_DAYS as u64 * 86_400);

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeded.
    Success,
    /// It failed.
    Failure,
}

/// What a run came to; `None` if it is not over, or says nothing.
#[must_use]
pub fn verdict(run: &WorkflowRun) -> Option<Verdict> {
    match run.conclusion.as_deref() {
        Some("success") => Some(Verdict::Success),
        Some("failure" | "timed_out" | "startup_failure") => Some(Verdict::Failure),
        _ => None,
    }
}

/// Whether it is not over.
#[must_use]
pub fn is_running(run: &WorkflowRun) -> bool {
    matches!(run.status.as_str(), "in_progress" | "queued" | "requested" | "waiting" | "pending")
}

/// Whether it speaks for the repository and not for somebody's proposal: on the default branch, or started by what happens
/// beside branches.
fn speaks(run: &WorkflowRun, default_branch: &str) -> bool {
    match run.event.as_str() {
        "pull_request" | "pull_request_target" | "pull_request_review" | "merge_group" => false,
        "schedule" | "release" | "workflow_dispatch" | "repository_dispatch" => true,
        _ => run.branch.as_deref() == Some(default_branch),
    }
}

/// The runs that are not over, newest first.
pub fn running(facts: &Facts) -> impl Iterator<Item = &WorkflowRun> {
    facts.runs.iter().filter(|r| is_running(r))
}

/// The newest verdict of each workflow, where that is a failure, newest first. A workflow that is disabled does not fail,
/// nor does one whose newest verdict is older than the window.
#[must_use]
pub fn failing<'a>(facts: &'a Facts, default_branch: &str, now: Timestamp) -> Vec<&'a WorkflowRun> {
    let mut judged: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for run in facts.runs.iter().filter(|r| speaks(r, default_branch) && recent(r, now)) {
        let Some(verdict) = verdict(run) else { continue };
        if judged.contains(&run.workflow_id.as_str()) {
            continue;
        }
        judged.push(&run.workflow_id);
        let disabled = facts.workflows.iter().any(|w| w.id == run.workflow_id && w.state != "active");
        if verdict == Verdict::Failure && !disabled {
            found.push(run);
        }
    }
    found
}

fn recent(run: &WorkflowRun, now: Timestamp) -> bool {
    run.updated_at.or(run.created_at).is_some_and(|at| now.since(at) <= WINDOW)
}

/// How a workflow fares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Successes among the verdicts, 0 to 1; `None` without a verdict.
    pub success: Option<f64>,
    /// Seconds from the beginning of an attempt to its end, over those that came to a verdict and tell; `None` without.
    pub mean_seconds: Option<f64>,
    /// How many verdicts there are.
    pub counted: usize,
}

/// How the workflow of these runs fares: every run within the window that came to a verdict counts once, as its newest
/// attempt ended, on every branch.
#[must_use]
pub fn rates<'a>(runs: impl IntoIterator<Item = &'a WorkflowRun>, now: Timestamp) -> Rates {
    let (mut counted, mut good) = (0_u32, 0_u32);
    let (mut seconds, mut timed) = (0_f64, 0_u32);
    for run in runs {
        let Some(verdict) = verdict(run).filter(|_| recent(run, now)) else { continue };
        counted += 1;
        good += u32::from(verdict == Verdict::Success);
        if let Some(took) = run.duration_seconds {
            seconds += took as f64;
            timed += 1;
        }
    }
    Rates {
        success: (counted > 0).then(|| f64::from(good) / f64::from(counted)),
        mean_seconds: (timed > 0).then(|| seconds / f64::from(timed)),
        counted: counted as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::automation::Workflow;
    use dispatch_shared::id::RepoKey;

    const NOW: Timestamp = Timestamp(10_000_000_000);

    fn run(conclusion: &str, days: u64, seconds: Option<u64>) -> WorkflowRun {
        let at = NOW - Duration::from_secs(days * 86_400);
        WorkflowRun {
            workflow_id: "7".into(),
            status: if conclusion.is_empty() { "in_progress" } else { "completed" }.into(),
            conclusion: (!conclusion.is_empty()).then(|| conclusion.to_owned()),
            branch: Some("main".into()),
            event: "push".into(),
            created_at: Some(at),
            updated_at: Some(at),
            duration_seconds: seconds,
            ..WorkflowRun::default()
        }
    }

    #[test]
    fn only_verdicts_within_the_window_count() {
        let cases: [(&str, Vec<WorkflowRun>, Rates); 5] = [
            ("nothing", vec![], Rates::default()),
            (
                "one of two",
                vec![run("success", 1, Some(60)), run("failure", 2, Some(120))],
                Rates { success: Some(0.5), mean_seconds: Some(90.0), counted: 2 },
            ),
            (
                "what says nothing",
                ["cancelled", "skipped", "neutral", "stale", "action_required", "new_word", ""]
                    .map(|c| run(c, 1, Some(1)))
                    .to_vec(),
                Rates::default(),
            ),
            (
                "other ways to fail",
                vec![run("timed_out", 0, None), run("startup_failure", 0, None), run("success", 0, Some(9))],
                Rates { success: Some(1.0 / 3.0), mean_seconds: Some(9.0), counted: 3 },
            ),
            (
                "too old",
                vec![run("failure", 31, Some(1)), run("success", 30, Some(5))],
                Rates { success: Some(1.0), mean_seconds: Some(5.0), counted: 1 },
            ),
        ];
        for (name, runs, expected) in cases {
            assert_eq!(rates(&runs, NOW), expected, "{name}");
        }
    }

    #[test]
    fn the_newest_verdict_of_a_workflow_says_whether_it_fails() {
        let on = |run: WorkflowRun, branch: &str, event: &str| WorkflowRun {
            branch: Some(branch.into()),
            event: event.into(),
            ..run
        };
        let cases = [
            ("fails", vec![run("failure", 1, None)], 1),
            ("failed and was mended", vec![run("success", 1, None), run("failure", 2, None)], 0),
            ("a cancelled one hides nothing", vec![run("cancelled", 0, None), run("failure", 1, None)], 1),
            ("nor does one under way", vec![run("", 0, None), run("failure", 1, None)], 1),
            ("of a pull request", vec![on(run("failure", 1, None), "main", "pull_request")], 0),
            ("on a branch", vec![on(run("failure", 1, None), "fix/it", "push")], 0),
            ("on a tag, released", vec![on(run("failure", 1, None), "v1.2.0", "release")], 1),
            ("at night", vec![on(run("failure", 1, None), "main", "schedule")], 1),
            ("long ago", vec![run("failure", 40, None)], 0),
        ];
        for (name, runs, expected) in cases {
            let mut facts = Facts::new(RepoKey::new("gh1"));
            facts.runs = runs;
            assert_eq!(failing(&facts, "main", NOW).len(), expected, "{name}");
            let off = Workflow { id: "7".into(), state: "disabled_manually".into(), ..Workflow::default() };
            facts.workflows.push(off);
            assert_eq!(failing(&facts, "main", NOW).len(), 0, "{name}, disabled");
        }
    }
}
