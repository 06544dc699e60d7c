//! The queue as it was answered, and why the chosen card is or is not next.

use std::collections::BTreeMap;

use dispatch_shared::Timestamp;
use dispatch_shared::id::IssueId;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::issues::WhyRule;

use super::{Model, find};

/// One entry of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueRow {
    /// Names the row: the issue's id, or `pr-<repo>-<n>`.
    pub(crate) key: String,
    pub(crate) issue: Option<IssueId>,
    pub(crate) subject: String,
    pub(crate) title: String,
    pub(crate) reason: String,
    pub(crate) claimable: bool,
    pub(crate) fix: bool,
    /// Why it is not handed out; `None` if it is, or is being worked on.
    pub(crate) withheld: Option<String>,
    /// What an item of a pull request wants: `MERGE_CONFLICT`, and in which generation.
    pub(crate) wants: Option<(String, u64)>,
    /// Since when an item of a pull request waits.
    pub(crate) queued_at: Option<Timestamp>,
}

/// The part of the queue that a row stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Handed out in this order.
    Next,
    /// Worked on now.
    InWork,
    /// Ready, and not handed out.
    Withheld,
}

impl QueueRow {
    pub(crate) fn group(&self) -> Group {
        match &self.withheld {
            Some(_) => Group::Withheld,
            None if self.claimable => Group::Next,
            None => Group::InWork,
        }
    }
}

/// The check-list of the chosen card.
#[derive(Debug, Default)]
pub(crate) struct WhyPane {
    /// The card that was asked about last, and whether its answer has not come.
    pub(crate) asked: Option<IssueId>,
    pub(crate) awaits: bool,
    /// Ask again: something happened since.
    pub(crate) old: bool,
    /// The card that `rules` are of.
    pub(crate) of: Option<IssueId>,
    pub(crate) rules: Vec<WhyRule>,
    pub(crate) failed: Option<String>,
}

impl WhyPane {
    /// The card to ask about, if the chosen one is another than the one asked about, or the answer is old.
    pub(crate) fn due(&mut self, chosen: Option<IssueId>) -> Option<IssueId> {
        let chosen = chosen?;
        if self.awaits || (self.asked.as_ref() == Some(&chosen) && !self.old) {
            return None;
        }
        (self.awaits, self.old) = (true, false);
        self.asked = Some(chosen.clone());
        Some(chosen)
    }

    /// Takes the answer.
    pub(crate) fn take(&mut self, issue: IssueId, answer: Result<Vec<WhyRule>, String>) {
        self.awaits = false;
        self.of = Some(issue);
        (self.rules, self.failed) = match answer {
            Ok(rules) => (rules, None),
            Err(why) => (Vec::new(), Some(why)),
        };
    }
}

/// From so many cards on that one reason withholds in one repository, they are one row until it is opened.
const FOLDED: usize = 4;

/// The rows that the filter keeps, group by group, in the order of the queue.
pub(crate) fn kept(model: &Model) -> Vec<&QueueRow> {
    let hay = |row: &QueueRow| {
        let why = row.withheld.as_deref().unwrap_or_default();
        format!("{} {} {} {why}", row.subject, row.title, row.reason)
    };
    let filter = model.filter.to_string();
    let mut rows: Vec<&QueueRow> =
        model.queue_rows.iter().filter(|r| find::keeps(&filter, || hay(r))).collect();
    rows.sort_by_key(|r| r.group());
    rows
}

/// Cards that one reason withholds in one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fold {
    pub(crate) repo: String,
    pub(crate) why: String,
    pub(crate) rows: Vec<String>,
}

impl Fold {
    /// Names the row of the fold; no issue is named so.
    fn key(repo: &str, why: &str) -> String {
        format!("{repo}: {why}")
    }
}

/// The folds among `rows`, by their keys.
pub(crate) fn folds(rows: &[&QueueRow]) -> BTreeMap<String, Fold> {
    let mut folds: BTreeMap<String, Fold> = BTreeMap::new();
    for row in rows {
        let Some(why) = &row.withheld else { continue };
        let repo = row.subject.split('#').next().unwrap_or_default();
        let new = || Fold { repo: repo.to_owned(), why: why.clone(), rows: Vec::new() };
        folds.entry(Fold::key(repo, why)).or_insert_with(new).rows.push(row.key.clone());
    }
    folds.retain(|_, fold| fold.rows.len() >= FOLDED);
    folds
}

/// The keys of the rows to show. A fold that is open is followed by its rows.
pub(crate) fn order(model: &Model) -> Vec<String> {
    let rows = kept(model);
    let mut folds = folds(&rows);
    let by_row: BTreeMap<String, String> =
        folds.iter().flat_map(|(key, fold)| fold.rows.iter().map(|row| (row.clone(), key.clone()))).collect();
    let mut out = Vec::new();
    for row in rows {
        match by_row.get(&row.key) {
            None => out.push(row.key.clone()),
            // At its first row; taken out, so that the others find nothing.
            Some(key) => {
                let Some(fold) = folds.remove(key) else { continue };
                out.push(key.clone());
                if model.unfolded.contains(key) {
                    out.extend(fold.rows);
                }
            }
        }
    }
    out
}

/// How full the reviews of each repository with a limit are: its name's last part, cards in review, the limit.
pub(crate) fn reviews(model: &Model) -> Vec<(String, usize, u32)> {
    let limited = model.data.repos.values().filter(|r| r.wip_limit > 0 && r.enabled);
    limited.map(|r| (r.name.clone(), r.columns[Status::InReview as usize], r.wip_limit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixture::board;

    fn row(number: u64, why: Option<&str>) -> QueueRow {
        QueueRow {
            key: number.to_string(),
            issue: None,
            subject: format!("acme/web#{number}"),
            title: String::new(),
            reason: String::new(),
            claimable: why.is_none(),
            fix: false,
            withheld: why.map(str::to_owned),
            wants: None,
            queued_at: None,
        }
    }

    #[test]
    fn what_one_reason_withholds_is_one_row_until_it_is_opened() {
        let mut model = board(80, 24);
        let full = Some("5/5 in review");
        model.queue_rows = vec![row(1, full), row(2, Some("blocked")), row(3, None)];
        assert_eq!(order(&model), ["3", "1", "2"], "few are told one by one");
        model.queue_rows.extend((4..8).map(|n| row(n, full)));
        let fold = "acme/web: 5/5 in review".to_owned();
        assert_eq!(order(&model), ["3", &fold, "2"]);
        model.unfolded.insert(fold.clone());
        assert_eq!(order(&model), ["3", &fold, "1", "4", "5", "6", "7", "2"]);
        model.filter = crate::model::filter::Filter::read("web#4");
        assert_eq!(order(&model), ["4"], "one that is sought is not folded away");
    }
}
