//! Whether a stored label change is still wanted, now that the live labels have been read.
//!
//! A label is no lock: between the decision and the write a person may have moved the card. Then the person wins.

use std::collections::BTreeSet;

use dispatch_shared::issue::{IssueState, Status};

use super::seen::SeenIssue;

/// What to do with a label change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Write what is missing; both lists may be empty.
    CarryOut {
        /// Labels that are not there yet.
        add: Vec<String>,
        /// Labels that are still there, as the forge spells them.
        remove: Vec<String>,
    },
    /// A person changed the status since; write nothing.
    Superseded,
}

fn has(labels: &[String], label: &str) -> bool {
    labels.iter().any(|l| l.eq_ignore_ascii_case(label))
}

/// Only real columns: `status/blocked` is a flag, and bare words are other people's labels.
fn column(label: &str) -> Option<Status> {
    label.to_ascii_lowercase().starts_with("status/").then(|| Status::read(label)).flatten()
}

/// The columns that labels name; none is backlog.
fn columns(labels: &[String]) -> BTreeSet<Status> {
    let named: BTreeSet<Status> = labels.iter().filter_map(|l| column(l)).collect();
    if named.is_empty() { [Status::Backlog].into() } else { named }
}

/// Judges `add` and `remove`, decided when the labels were `seen`, against the live issue.
///
/// A change without a status is always carried out, label by label. One with a status is, if the live status is still the
/// one seen, or ours already, wholly or half (a crash between two writes), and the issue has not been closed or reopened
/// against it.
#[must_use]
pub fn judge_labels(seen: &[String], add: &[String], remove: &[String], live: &SeenIssue) -> Verdict {
    let target: BTreeSet<Status> = add.iter().filter_map(|l| column(l)).collect();
    let moves = !target.is_empty() || remove.iter().any(|l| column(l).is_some());
    let (before, now) = (columns(seen), columns(&live.labels));
    if moves {
        let kept: Vec<String> = seen.iter().filter(|l| !has(remove, l)).chain(add).cloned().collect();
        let wanted = columns(&kept);
        // Labels are added before others are removed, so a write that broke off shows all that is wanted and some rest.
        let ours = wanted.is_subset(&now) && now.iter().all(|s| before.contains(s) || wanted.contains(s));
        let against = match live.state {
            IssueState::Closed => target.iter().any(|s| *s != Status::Done),
            IssueState::Open => target.contains(&Status::Done),
        };
        if against || !(now == before || ours) {
            return Verdict::Superseded;
        }
    }
    // A status label that stands for the column seen goes with it, also where the column had no label then.
    let stale = |label: &str| {
        !target.is_empty() && column(label).is_some_and(|s| before.contains(&s) && !target.contains(&s))
    };
    Verdict::CarryOut {
        add: add.iter().filter(|l| !has(&live.labels, l)).cloned().collect(),
        remove: live.labels.iter().filter(|l| has(remove, l) || stale(l)).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use dispatch_shared::Timestamp;

    use super::*;

    fn list(labels: &[&str]) -> Vec<String> {
        labels.iter().map(|l| (*l).to_owned()).collect()
    }

    fn judge(seen: &[&str], add: &[&str], remove: &[&str], live: &[&str], state: IssueState) -> Verdict {
        let live = SeenIssue {
            number: 4,
            title: String::new(),
            body: String::new(),
            url: String::new(),
            state,
            labels: list(live),
            assignees: Vec::new(),
            author: String::new(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            closed_at: None,
        };
        judge_labels(&list(seen), &list(add), &list(remove), &live)
    }

    /// The usual wish: kai takes a ready card.
    fn take(live: &[&str], state: IssueState) -> Verdict {
        let add = ["status/in-progress", "agent/kai"];
        judge(&["bug", "status/ready"], &add, &["status/ready"], live, state)
    }

    fn carry(add: &[&str], remove: &[&str]) -> Verdict {
        Verdict::CarryOut { add: list(add), remove: list(remove) }
    }

    #[test]
    fn an_unchanged_status_is_carried_out() {
        let all = ["status/in-progress", "agent/kai"];
        let live = ["bug", "Status/Ready", "new-label"];
        assert_eq!(take(&live, IssueState::Open), carry(&all, &["Status/Ready"]));
    }

    #[test]
    fn what_is_half_done_is_finished() {
        let live = ["status/in-progress", "agent/kai", "status/ready"];
        assert_eq!(take(&live, IssueState::Open), carry(&[], &["status/ready"]));
        assert_eq!(take(&["status/in-progress", "AGENT/kai"], IssueState::Open), carry(&[], &[]));
    }

    #[test]
    fn a_person_wins() {
        for live in [&["status/backlog"][..], &[], &["status/in-review"], &["status/ready", "status/done"]] {
            assert_eq!(take(live, IssueState::Open), Verdict::Superseded, "{live:?}");
        }
    }

    #[test]
    fn closing_and_reopening_win() {
        assert_eq!(take(&["status/ready"], IssueState::Closed), Verdict::Superseded);
        let done = |state| judge(&["status/in-review"], &["status/done"], &[], &["status/in-review"], state);
        assert_eq!(done(IssueState::Open), Verdict::Superseded);
        assert_eq!(done(IssueState::Closed), carry(&["status/done"], &["status/in-review"]));
    }

    #[test]
    fn no_status_is_backlog() {
        let promote = |live: &[&str]| judge(&[], &["status/ready"], &[], live, IssueState::Open);
        assert_eq!(promote(&["status/backlog"]), carry(&["status/ready"], &["status/backlog"]));
        assert_eq!(promote(&[]), carry(&["status/ready"], &[]));
    }

    #[test]
    fn without_a_status_every_label_stands_alone() {
        let got =
            judge(&["status/ready"], &["needs-human"], &["agent/kai"], &["status/done"], IssueState::Closed);
        assert_eq!(got, carry(&["needs-human"], &[]));
        let got = judge(&["ready"], &["status/blocked"], &[], &["status/ready"], IssueState::Open);
        assert_eq!(got, carry(&["status/blocked"], &[]), "blocked is a flag");
    }
}
