//! What happened so far, told line by line; and what must have happened in the end.

use std::collections::BTreeMap;

use dispatch_shared::id::RunId;
use dispatch_shared::issue::{Flag, Status};
use dispatch_shared::protocol::issues::Issue;
use dispatch_shared::protocol::runs::Run;
use dispatch_shared::run::EndClass;

use crate::cli::out::Colour;

/// What is known of one card.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Card {
    column: Status,
    flags: Vec<Flag>,
    pull: Option<u64>,
}

/// What is known of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    issue: Option<u64>,
    state: String,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Story {
    cards: BTreeMap<u64, Card>,
    runs: BTreeMap<RunId, Told>,
}

type Line = (String, Colour);

impl Story {
    /// Takes in cards and runs in their new state; returns the lines that tell what is new.
    pub(super) fn read(&mut self, issues: &[Issue], runs: &[Run]) -> Vec<Line> {
        let mut lines = Vec::new();
        for run in runs {
            let told = Told { issue: run.issue_number, state: run.state.clone() };
            let old = self.runs.insert(run.id, told);
            if old.is_none_or(|old| old.state != run.state) {
                lines.push(run_line(run));
            }
        }
        for issue in issues {
            let pull = issue.linked_pr_number;
            let card = Card { column: issue.column, flags: issue.flags.clone(), pull };
            let n = issue.number;
            let old = self.cards.insert(n, card.clone());
            let colour = Colour::of(card.column.word());
            let Some(old) = old else {
                lines.push((format!("#{n} {}: {}", card.column, issue.title), colour));
                continue;
            };
            if old.column != card.column {
                lines.push((format!("#{n} {} -> {}", old.column, card.column), colour));
            }
            for flag in card.flags.iter().filter(|f| !old.flags.contains(f)) {
                let word = flag.label().trim_start_matches("status/");
                lines.push((format!("#{n} is flagged {word}"), Colour::of(word)));
            }
            if let Some(pull) = pull.filter(|_| old.pull.is_none()) {
                lines.push((format!("#{n} has pull request #{pull}"), colour));
            }
        }
        lines
    }

    /// What is not yet as it should be in the end, in words.
    pub(super) fn unmet(&self) -> Vec<String> {
        let mut unmet = Vec::new();
        for n in [1, 4] {
            let reviewed = |c: &Card| c.column == Status::InReview && c.pull.is_some();
            if !self.cards.get(&n).is_some_and(reviewed) {
                unmet.push(format!("#{n} should be in review with a pull request but {}", self.state_of(n)));
            }
        }
        for (n, class, what) in
            [(2, EndClass::Blocked, "ask a question"), (3, EndClass::Failed, "have failed")]
        {
            let ended = self.runs.values().any(|r| r.issue == Some(n) && r.state == class.word());
            let flagged = |c: &Card| c.flags.iter().any(|f| matches!(f, Flag::Blocked | Flag::NeedsHuman));
            if !(ended && self.cards.get(&n).is_some_and(flagged)) {
                unmet.push(format!("#{n} should {what} and want a person but {}", self.state_of(n)));
            }
        }
        for (n, column) in [(5, Status::Backlog), (6, Status::Done)] {
            if self.cards.get(&n).is_none_or(|c| c.column != column) {
                unmet.push(format!("#{n} should be in {column} but {}", self.state_of(n)));
            }
        }
        unmet
    }

    fn state_of(&self, n: u64) -> String {
        let Some(card) = self.cards.get(&n) else { return "was never seen".to_owned() };
        let run = self.runs.iter().rev().find(|(_, r)| r.issue == Some(n));
        let run = run.map_or_else(|| "without a run".to_owned(), |(id, r)| format!("with {id} {}", r.state));
        format!("is {} {run}", card.column)
    }
}

fn run_line(run: &Run) -> Line {
    let why = if run.ended { run.question.as_ref().or(run.reason.as_ref()) } else { None };
    let why = why.and_then(|w| w.lines().find(|l| !l.trim().is_empty()));
    let why = why.map(|w| format!(": {}", w.trim())).unwrap_or_default();
    (format!("run {} {} ({}){why}", run.id, run.state, run.subject), Colour::of(&run.state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn issue(number: u64, column: &str, flags: &[&str], pull: Option<u64>) -> Issue {
        let id = format!("lo1-{number}");
        serde_json::from_value(json!({
            "id": id, "issueId": id, "number": number, "title": "A title", "url": "", "state": "open", "labels": [],
            "assignees": [], "column": column, "flags": flags, "lane": "local", "currentLane": "local",
            "repository": {"owner": "local", "name": "hello", "fullName": "local/hello"},
            "repoFullName": "local/hello", "decomposed": false, "followUpUrls": [], "linkedPrNumber": pull,
            "failures": 0, "since": "2026-01-01T00:00:00Z", "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    fn run(id: u64, issue: u64, state: &str, question: Option<&str>) -> Run {
        serde_json::from_value(json!({
            "id": format!("r-{id}"), "state": state, "ended": question.is_some(), "issueId": format!("lo1-{issue}"),
            "repoFullName": "local/hello", "issueNumber": issue, "subject": format!("#{issue}"), "title": "",
            "agentName": "dispatch",
            "program": "demo", "claimId": "c-1", "attempt": 1, "phases": [], "createdAt": "2026-01-01T00:00:00Z",
            "question": question, "usage": {}, "stopping": false,
        }))
        .unwrap()
    }

    fn lines(story: &mut Story, issues: &[Issue], runs: &[Run]) -> Vec<String> {
        story.read(issues, runs).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn each_step_is_told_once() {
        let mut story = Story::default();
        assert_eq!(lines(&mut story, &[issue(1, "ready", &[], None)], &[]), ["#1 ready: A title"]);
        let moved = issue(1, "in-progress", &[], None);
        let live = run(1, 1, "running", None);
        assert_eq!(
            lines(&mut story, std::slice::from_ref(&moved), std::slice::from_ref(&live)),
            ["run r-1 running (#1)", "#1 ready -> in-progress"]
        );
        assert_eq!(lines(&mut story, &[moved], &[live]), [] as [&str; 0]);
        assert_eq!(
            lines(
                &mut story,
                &[issue(1, "in-progress", &["needs-human"], None)],
                &[run(1, 1, "blocked", Some("\nWhich?\nLong."))]
            ),
            ["run r-1 blocked (#1): Which?", "#1 is flagged needs-human"]
        );
    }

    #[test]
    fn the_end_is_reached_only_if_every_card_is_where_it_should_be() {
        let issues = [
            issue(1, "in-review", &[], Some(7)),
            issue(2, "in-progress", &["needs-human"], None),
            issue(3, "backlog", &["needs-human"], None),
            issue(4, "in-review", &[], Some(8)),
            issue(5, "backlog", &[], None),
            issue(6, "done", &[], None),
        ];
        let runs = [run(1, 2, "blocked", Some("?")), run(2, 3, "failed", None)];
        let mut story = Story::default();
        story.read(&issues, &runs);
        assert_eq!(story.unmet(), [] as [&str; 0]);
        story.read(&[issue(4, "ready", &[], None)], &[run(3, 4, "crashed", None)]);
        assert_eq!(
            story.unmet(),
            ["#4 should be in review with a pull request but is ready with r-3 crashed"]
        );
    }
}
