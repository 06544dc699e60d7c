//! Checks a worker's last words against its task's contract. Pure: a task and a text in, a verdict out.
//!
//! The last line says the outcome (`DONE: …`, `BLOCKED: …`; the prompts ask for it). It has to be one that this kind of task
//! can have, with the words that such an outcome needs, and about the pull request that the task names. What the text says
//! beside it must not tell of a deed that the task forbids (`deeds`). A guard reads words: it catches a worker that says what
//! it did wrong. What really happened is verified by the daemon.

mod deeds;

use dispatch_shared::protocol::tasks::Task;
use dispatch_shared::task::{Outcome, TaskType};
use serde::Serialize;
use serde_json::{Value, json};

/// One way in which the words break the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    /// Stable: `no_outcome`, `wrong_outcome`, `nothing_said`, `other_pull_request`, or the code of a forbidden action.
    pub(crate) code: &'static str,
    /// For a person.
    pub(crate) text: String,
}

/// What the words come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What the last line says, if it says anything.
    pub(crate) outcome: Option<Outcome>,
    /// What stands behind the outcome's word.
    pub(crate) words: String,
    /// The pull request named in the last line.
    pub(crate) pull: Option<u64>,
    /// Empty: the words keep to the contract.
    pub(crate) problems: Vec<Problem>,
}

/// The outcome's word on the wire.
pub(crate) fn wire(outcome: Outcome) -> String {
    serde_json::to_value(outcome).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Judges `said`.
pub(crate) fn check(task: &Task, said: &str) -> Verdict {
    let mut verdict = Verdict::default();
    let mut problem = |code, text: String| verdict.problems.push(Problem { code, text });
    if !task.should_run {
        problem("no_task", "there was no task, so there is nothing to say".to_owned());
        return verdict;
    }
    let last =
        said.lines().rev().map(str::trim).find(|l| l.chars().any(char::is_alphanumeric)).unwrap_or_default();
    let (outcome, words) = match read(task.kind, last) {
        Some(found) => found,
        None => {
            problem(
                "no_outcome",
                format!(
                    "the last line has to say the outcome, such as `DONE: …` or `BLOCKED: …`; it is `{}`",
                    cut(last)
                ),
            );
            (None, String::new())
        }
    };
    if let Some(outcome) = outcome {
        if !possible(task.kind).contains(&outcome) {
            problem("wrong_outcome", format!("{} is no outcome of such a task", wire(outcome)));
        }
        if let Some(needed) = needs(outcome)
            && words.chars().filter(|c| c.is_alphanumeric()).count() < 3
        {
            problem("nothing_said", format!("{} has to say {needed}", wire(outcome)));
        }
    }
    let pull = deeds::pull_named(&words);
    if let Some((repo, number)) = &pull {
        let own = task.issue.as_ref().map(|i| &i.repo_full_name);
        let own = own.or(task.pull_request.as_ref().map(|p| &p.repo_full_name)).map(|r| r.folded());
        if repo.is_some() && repo.as_ref().map(|r| r.to_lowercase()) != own {
            problem("other_pull_request", format!("pull request #{number} is in another repository"));
        }
        if let Some(asked) = &task.pull_request
            && asked.number != *number
        {
            problem(
                "other_pull_request",
                format!("the task is pull request #{}, not #{number}", asked.number),
            );
        }
    }
    for found in deeds::told(task, said) {
        problem(found.code, found.text);
    }
    verdict.outcome = outcome;
    verdict.words = words;
    verdict.pull = pull.map(|(_, number)| number);
    verdict
}

/// The body of the report that goes with a verdict; words that break the contract make a failed task.
pub(crate) fn report(task: &Task, verdict: &Verdict) -> Value {
    let broken = || {
        let all: Vec<_> = verdict.problems.iter().map(|p| p.text.as_str()).collect();
        format!("the worker's last words break its task's contract: {}", all.join("; "))
    };
    let kept = verdict.outcome.filter(|_| verdict.problems.is_empty());
    let outcome = kept.unwrap_or(Outcome::Failed);
    let words = if kept.is_some() { verdict.words.clone() } else { broken() };
    let field = match outcome {
        Outcome::Blocked | Outcome::Failed => "error",
        Outcome::NoChangesNeeded | Outcome::AlreadyAddressed => "evidence",
        _ => "summary",
    };
    let wire_task = serde_json::to_value(task).unwrap_or_default();
    let mut body = json!({
        "taskType": task.kind,
        "outcome": outcome,
        "issueId": task.issue.as_ref().map(|i| &i.id),
        "claimId": task.claim.as_ref().map(|c| c.id),
        "pullRequestNumber": verdict.pull.or(task.pull_request.as_ref().map(|p| p.number)),
        "prFixItem": wire_task.get("prFixItem"),
        "idempotencyKey": task.claim.as_ref().map(|c| format!("{}-{}", c.id, wire(outcome))),
    });
    body[field] = words.into();
    if let Value::Object(fields) = &mut body {
        fields.retain(|_, value| !value.is_null());
    }
    body
}

/// The outcome that a line says, and what stands behind it. `None`: it says none.
fn read(kind: TaskType, line: &str) -> Option<(Option<Outcome>, String)> {
    let line = line.trim_start_matches(['#', '*', '-', '>', '`', ' ', '_']);
    let (word, words) = line.split_once(':').unwrap_or((line, ""));
    let word: String = word.trim_matches(['*', '`', ' ', '_', '.']).to_lowercase().replace([' ', '-'], "_");
    let outcome = match word.as_str() {
        "done" => match kind {
            TaskType::Groom => Outcome::IssueUpdated,
            TaskType::FollowupPr => Outcome::PrUpdated,
            TaskType::Implement | TaskType::Idle => Outcome::PrOpened,
        },
        other => serde_json::from_value(other.into()).ok()?,
    };
    Some((Some(outcome), words.trim().trim_matches(['*', '`']).trim().to_owned()))
}

/// What a task of this kind can come to.
fn possible(kind: TaskType) -> &'static [Outcome] {
    use Outcome::{
        AlreadyAddressed, Blocked, Failed, IssueClosed, IssueUpdated, NoChangesNeeded, PrOpened, PrUpdated,
    };
    match kind {
        TaskType::Idle => &[],
        TaskType::Implement => {
            &[PrOpened, PrUpdated, IssueClosed, Blocked, Failed, NoChangesNeeded, AlreadyAddressed]
        }
        TaskType::FollowupPr => &[PrUpdated, Blocked, Failed, NoChangesNeeded, AlreadyAddressed],
        TaskType::Groom => &[IssueUpdated, IssueClosed, Blocked, Failed, NoChangesNeeded, AlreadyAddressed],
    }
}

fn needs(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Blocked => Some("the question that a person has to answer"),
        Outcome::Failed => Some("what went wrong"),
        Outcome::NoChangesNeeded | Outcome::AlreadyAddressed => Some("the evidence"),
        _ => None,
    }
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::tests::task;

    fn codes(kind: &str, said: &str) -> Vec<&'static str> {
        let pull = if kind == "followup-pr" {
            json!({"pullRequest": {"repoFullName": "acme/api", "number": 9},
                "forbids": ["merge_pull_request", "open_pull_request", "claim_another"]})
        } else {
            json!({})
        };
        check(&task(kind, pull), said).problems.iter().map(|p| p.code).collect()
    }

    #[test]
    fn the_last_line_says_the_outcome() {
        let verdict =
            check(&task("implement", json!({})), "I looked.\n\n**DONE:** empty input is handled\n```\n");
        assert_eq!(
            (verdict.outcome, verdict.words.as_str()),
            (Some(Outcome::PrOpened), "empty input is handled")
        );
        assert_eq!(verdict.problems, []);
        assert_eq!(codes("groom", "DONE: sorted"), [] as [&str; 0]);
        assert_eq!(check(&task("groom", json!({})), "done: x y z").outcome, Some(Outcome::IssueUpdated));
        assert_eq!(codes("implement", "DONE: this\nAnything else?"), ["no_outcome"]);
        assert_eq!(codes("implement", ""), ["no_outcome"]);
    }

    #[test]
    fn an_outcome_has_to_fit_the_task_and_say_what_it_needs() {
        assert_eq!(codes("groom", "PR_OPENED: https://github.com/acme/api/pull/3"), ["wrong_outcome"]);
        assert_eq!(codes("followup-pr", "pr opened: #9"), ["wrong_outcome"]);
        assert_eq!(codes("implement", "BLOCKED:"), ["nothing_said"]);
        assert_eq!(codes("implement", "BLOCKED: which colour?"), [] as [&str; 0]);
        assert_eq!(codes("implement", "NO_CHANGES_NEEDED: -"), ["nothing_said"]);
    }

    #[test]
    fn a_pull_request_has_to_be_the_tasks_own() {
        assert_eq!(codes("implement", "PR_OPENED: https://github.com/Acme/API/pull/3"), [] as [&str; 0]);
        assert_eq!(
            codes("implement", "PR_OPENED: https://github.com/eve/api/pull/3"),
            ["other_pull_request"]
        );
        assert_eq!(codes("followup-pr", "PR_UPDATED: #9"), [] as [&str; 0]);
        assert_eq!(codes("followup-pr", "PR_UPDATED: #8"), ["other_pull_request"]);
    }

    #[test]
    fn words_that_break_the_contract_make_a_failed_report() {
        let task = task("implement", json!({}));
        let fine = report(&task, &check(&task, "PR_OPENED: #12 handles empty input"));
        assert_eq!((&fine["outcome"], &fine["pullRequestNumber"]), (&"pr_opened".into(), &12.into()));
        assert_eq!(fine["summary"], "#12 handles empty input");
        let broken = report(&task, &check(&task, "I merged the pull request.\nDONE: all of it"));
        assert_eq!(broken["outcome"], "failed");
        assert!(broken["error"].as_str().is_some_and(|e| e.contains("merge")), "{broken}");
    }

    #[test]
    fn an_idle_answer_is_no_task() {
        let idle =
            serde_json::from_value(json!({"type": "idle", "shouldRun": false, "agentName": "ada"})).unwrap();
        assert_eq!(check(&idle, "DONE: something").problems[0].code, "no_task");
    }
}
