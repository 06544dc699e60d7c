//! Whether a stored label change is still wanted, now that the live labels have been read, and what of the labels read
//! back is a person's doing.
//!
//! A label is no lock: between the decision and the write, and between two requests of the write, a person may have moved
//! the card. Then the person wins.

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

/// A label change as it was decided.
#[derive(Clone, Copy, Debug)]
pub struct Decided<'a> {
    /// The labels as they were known then.
    pub seen: &'a [String],
    /// To be there.
    pub add: &'a [String],
    /// To be gone.
    pub remove: &'a [String],
    /// What earlier tries are known to have put there.
    pub wrote: &'a [String],
    /// What is known to have been taken away since.
    pub took: &'a [String],
}

fn has(labels: &[String], label: &str) -> bool {
    labels.iter().any(|l| l.eq_ignore_ascii_case(label))
}

/// The column that a label names. Only real ones: `status/blocked` is a flag, and bare words are other people's labels.
#[must_use]
pub fn column(label: &str) -> Option<Status> {
    label.to_ascii_lowercase().starts_with("status/").then(|| Status::read(label)).flatten()
}

/// The columns that labels name; none if they name none.
#[must_use]
pub fn named(labels: &[String]) -> BTreeSet<Status> {
    labels.iter().filter_map(|l| column(l)).collect()
}

/// The columns that labels stand for; none named is backlog.
fn columns(labels: &[String]) -> BTreeSet<Status> {
    let named = named(labels);
    if named.is_empty() { [Status::Backlog].into() } else { named }
}

/// Judges a change against the live issue.
///
/// A change without a status is always carried out, label by label. One with a status is, if the live status is still the
/// one seen, or ours already, wholly or half (a crash between two writes), and the issue has not been closed or reopened
/// against it. What an earlier try put there and is not there any more is not put there again, and what was taken away and
/// is there again stays.
#[must_use]
pub fn judge_labels(decided: Decided<'_>, live: &SeenIssue) -> Verdict {
    let Decided { seen, add, remove, wrote, took } = decided;
    let target = named(add);
    let moves = !target.is_empty() || remove.iter().any(|l| column(l).is_some());
    let (before, now) = (columns(seen), columns(&live.labels));
    let undone = |label: &String| has(wrote, label) && !has(&live.labels, label);
    let back = |label: &String| has(took, label) && has(&live.labels, label);
    if moves {
        let kept: Vec<String> = seen.iter().filter(|l| !has(remove, l)).chain(add).cloned().collect();
        let wanted = columns(&kept);
        // Labels are added before others are removed, so a write that broke off shows all that is wanted and some rest.
        let ours = wanted.is_subset(&now) && now.iter().all(|s| before.contains(s) || wanted.contains(s));
        let against = match live.state {
            IssueState::Closed => target.iter().any(|s| *s != Status::Done),
            IssueState::Open => target.contains(&Status::Done),
        };
        let undone = add.iter().any(|l| column(l).is_some() && undone(l))
            || remove.iter().any(|l| column(l).is_some() && back(l));
        // Also the label of the column that the card stood in without one.
        let theirs = named(&live.labels).iter().any(|s| !named(seen).contains(s) && !wanted.contains(s));
        if against || undone || theirs || !(now == before || ours) {
            return Verdict::Superseded;
        }
    }
    Verdict::CarryOut {
        add: add.iter().filter(|l| !has(&live.labels, l) && !undone(l)).cloned().collect(),
        remove: live.labels.iter().filter(|l| has(remove, l) && !back(l)).cloned().collect(),
    }
}

/// What of a change somebody else had done already when it was looked at.
#[must_use]
pub fn already(decided: Decided<'_>, live: &[String]) -> Vec<String> {
    let came = |l: &&String| has(live, l) && !has(decided.seen, l) && !has(decided.wrote, l);
    let went = |l: &&String| !has(live, l) && has(decided.seen, l);
    decided.add.iter().filter(came).chain(decided.remove.iter().filter(went)).cloned().collect()
}

/// The column that a person put an open card into, if the live labels say another one than `ours`. `removed` are labels
/// that were taken away for sure: one that is there again was put there by a person.
#[must_use]
pub fn moved_by_person(
    decided: Decided<'_>,
    removed: &[String],
    live: &[String],
    ours: Status,
) -> Option<Status> {
    let mut there = named(live);
    there.remove(&Status::Done);
    if there.is_empty() {
        return (ours != Status::Backlog).then_some(Status::Backlog);
    }
    let (seen, added, removed) = (named(decided.seen), named(decided.add), named(removed));
    let last =
        |wanted: &dyn Fn(&Status) -> bool| there.iter().rev().copied().find(|s| *s != ours && wanted(s));
    last(&|s| !seen.contains(s) && !added.contains(s))
        .or_else(|| last(&|s| removed.contains(s)))
        .or_else(|| last(&|_| !there.contains(&ours)))
}

/// The column that a person put an open card into while a change was refused, of which some may have been written.
#[must_use]
pub fn moved_beside(decided: Decided<'_>, live: &[String]) -> Option<Status> {
    let mut there = named(live);
    there.remove(&Status::Done);
    let (seen, added) = (named(decided.seen), named(decided.add));
    let foreign = there.iter().rev().copied().find(|s| !seen.contains(s) && !added.contains(s));
    let written = !added.is_empty() && added.is_subset(&there);
    foreign.or_else(|| {
        let gone = there != seen && !written;
        gone.then(|| there.last().copied().unwrap_or(Status::Backlog))
    })
}

/// The column that a person put an open card into, between labels as they were known `before` and as they are `now`: the
/// one whose label is new, whatever else is still there.
#[must_use]
pub fn moved_between(before: &[String], now: &[String], ours: Status) -> Option<Status> {
    let (before, mut now) = (named(before), named(now));
    if before == now {
        return None;
    }
    now.remove(&Status::Done);
    let added = now.difference(&before).max().copied();
    let left = || if now.contains(&ours) { Some(ours) } else { now.last().copied() };
    Some(added.or_else(left).unwrap_or(Status::Backlog))
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
            open_blockers: None,
        };
        let (seen, add, remove) = (list(seen), list(add), list(remove));
        judge_labels(Decided { seen: &seen, add: &add, remove: &remove, wrote: &[], took: &[] }, &live)
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
        assert_eq!(done(IssueState::Closed), carry(&["status/done"], &[]));
    }

    #[test]
    fn no_status_is_backlog() {
        let promote = |live: &[&str]| judge(&[], &["status/ready"], &[], live, IssueState::Open);
        assert_eq!(promote(&[]), carry(&["status/ready"], &[]));
        assert_eq!(promote(&["status/backlog"]), Verdict::Superseded, "somebody has said so since");
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
