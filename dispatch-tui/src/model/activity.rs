//! Who did what, and what happened on the forges: both newest first, one page more whenever the cursor comes to the end.

use std::collections::BTreeMap;

use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::protocol::automation::AutomationEvent;

use super::find;
use super::list::List;
use super::wants::Part;

/// Rows asked for at first, and how many more each time.
pub(crate) const PAGE: usize = 200;
/// The most rows that the daemon answers with.
const MOST: usize = 10_000;

/// Which of the two is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tab {
    #[default]
    Audit,
    Feed,
}

impl Tab {
    pub(crate) const ALL: [Tab; 2] = [Tab::Audit, Tab::Feed];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Tab::Audit => "Audit",
            Tab::Feed => "Forges",
        }
    }

    pub(crate) fn part(self) -> Part {
        match self {
            Tab::Audit => Part::Audit,
            Tab::Feed => Part::Feed,
        }
    }
}

/// What the audit is asked for: what the filter names by field, so that it is found beyond the rows that are here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) limit: usize,
    pub(crate) actor: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) repo: Option<String>,
    pub(crate) issue: Option<String>,
}

impl Ask {
    fn of(filter: &str, limit: usize) -> Self {
        let field = |name| find::field(filter, name).map(str::to_owned);
        Self {
            limit,
            actor: field("actor"),
            action: field("action"),
            repo: field("repo"),
            issue: field("issue"),
        }
    }

    fn without_limit(&self) -> Self {
        Self { limit: 0, ..self.clone() }
    }
}

/// The state of the view.
#[derive(Debug)]
pub(crate) struct Activity {
    pub(crate) tab: Tab,
    pub(crate) audit: BTreeMap<u64, AuditRow>,
    pub(crate) feed: Vec<AutomationEvent>,
    pub(crate) rows: List<u64>,
    pub(crate) events: List<String>,
    /// Rows that came above while the cursor was further down.
    pub(crate) unseen: usize,
    limits: [usize; 2],
    /// The answer was shorter than what was asked for: there is no more.
    ended: [bool; 2],
    asked: Option<Ask>,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            tab: Tab::default(),
            audit: BTreeMap::new(),
            feed: Vec::new(),
            rows: List::default(),
            events: List::default(),
            unseen: 0,
            limits: [PAGE; 2],
            ended: [false; 2],
            asked: None,
        }
    }
}

impl Activity {
    /// What the audit is to be asked for now.
    pub(crate) fn ask(&mut self, filter: &str) -> Ask {
        let ask = Ask::of(filter, self.limits[0]);
        self.asked = Some(ask.clone());
        ask
    }

    /// How many events are to be asked for now.
    pub(crate) fn events_wanted(&self) -> usize {
        self.limits[1]
    }

    /// Whether the filter names other fields than those that were asked for.
    pub(crate) fn is_for_another(&self, filter: &str) -> bool {
        self.asked.as_ref().is_some_and(|ask| ask.without_limit() != Ask::of(filter, 0))
    }

    /// Another filter starts over with one page.
    pub(crate) fn start_over(&mut self) {
        self.limits[0] = PAGE;
        self.ended[0] = false;
    }

    /// Takes an answer of the audit.
    pub(crate) fn take_audit(&mut self, rows: Vec<AuditRow>) {
        self.ended[0] = self.asked.as_ref().is_some_and(|ask| rows.len() < ask.limit);
        self.take_news(rows);
    }

    /// Takes rows as they are written.
    pub(crate) fn take_news(&mut self, rows: Vec<AuditRow>) {
        self.audit.extend(rows.into_iter().map(|row| (row.id, row)));
    }

    /// Takes an answer of the feed.
    pub(crate) fn take_feed(&mut self, events: Vec<AutomationEvent>) {
        self.ended[1] = events.len() < self.limits[1];
        self.feed = events;
    }

    /// Puts the rows in order. A cursor on the newest stays on the newest; any other stays where it is, and what came
    /// above is counted.
    pub(crate) fn arrange(&mut self, filter: &str) {
        let rows: Vec<u64> =
            self.audit.values().rev().filter(|r| find::keeps(filter, || hay(r))).map(|r| r.id).collect();
        let events: Vec<String> = self
            .feed
            .iter()
            .filter(|e| find::keeps(filter, || hay_of_event(e)))
            .map(|e| e.id.clone())
            .collect();
        let before = follow(&mut self.rows, rows);
        let events_before = follow(&mut self.events, events);
        let came = if self.tab == Tab::Audit { before } else { events_before };
        self.unseen = if came == 0 && self.at_newest() { 0 } else { self.unseen + came };
    }

    /// Whether the cursor stands on the newest row, which is when new ones are followed.
    pub(crate) fn at_newest(&self) -> bool {
        let at = match self.tab {
            Tab::Audit => self.rows.index(),
            Tab::Feed => self.events.index(),
        };
        at.unwrap_or(0) == 0
    }

    /// The part to ask for when the cursor stands at the end of what is here and there is more.
    pub(crate) fn more(&mut self) -> Option<Part> {
        let (at, last, tab) = match self.tab {
            Tab::Audit => (self.rows.index()?, self.rows.rows.len(), 0),
            Tab::Feed => (self.events.index()?, self.events.rows.len(), 1),
        };
        if at + 1 < last || at == 0 || self.ended[tab] || self.limits[tab] >= MOST {
            return None;
        }
        self.limits[tab] = (self.limits[tab] * 2).min(MOST);
        Some(self.tab.part())
    }
}

/// Gives a list its new rows; how many came above a cursor that stays where it is.
fn follow<K: Clone + PartialEq>(list: &mut List<K>, rows: Vec<K>) -> usize {
    let at = list.index().unwrap_or(0);
    list.set(rows);
    if at == 0 {
        list.cursor = list.rows.first().cloned();
        return 0;
    }
    list.index().unwrap_or(0).saturating_sub(at)
}

/// All that the filter may look for, with the fields written out.
fn hay(row: &AuditRow) -> String {
    let mut hay = format!("actor:{} action:{}", row.actor, row.action);
    if let Some(repo) = &row.repo_full_name {
        hay.push_str(&format!(" repo:{repo}"));
    }
    if let Some(number) = row.issue_number {
        hay.push_str(&format!(" issue:{number} #{number}"));
    }
    let labels = [&row.before_labels, &row.after_labels].into_iter().flatten().flatten();
    for text in labels.chain(&row.error_message).chain(&row.notes) {
        hay.push(' ');
        hay.push_str(text);
    }
    hay.push_str(if row.success { " ok" } else { " refused" });
    hay
}

fn hay_of_event(event: &AutomationEvent) -> String {
    let mut hay = format!("actor:{} action:{} type:{}", event.actor, event.kind, event.kind);
    if let Some(repo) = &event.repo_full_name {
        hay.push_str(&format!(" repo:{repo}"));
    }
    if let Some(number) = event.issue_number {
        hay.push_str(&format!(" issue:{number} #{number}"));
    }
    if let Some(message) = &event.message {
        hay.push(' ');
        hay.push_str(message);
    }
    hay
}

/// What a row did to the labels, in a few words: `ready to in-progress, +agent/kai`.
pub(crate) fn labels_changed(row: &AuditRow) -> String {
    let (Some(before), Some(after)) = (&row.before_labels, &row.after_labels) else { return String::new() };
    let gone: Vec<&str> = before.iter().filter(|l| !after.contains(l)).map(String::as_str).collect();
    let came: Vec<&str> = after.iter().filter(|l| !before.contains(l)).map(String::as_str).collect();
    let status = |labels: &[&str]| labels.iter().find_map(|l| l.strip_prefix("status/").map(str::to_owned));
    let mut words = Vec::new();
    let both = (status(&gone), status(&came));
    if let (Some(from), Some(to)) = &both {
        words.push(format!("{from} to {to}"));
    }
    let told = both.0.is_some() && both.1.is_some();
    let rest = |l: &&&str| !(told && l.starts_with("status/"));
    words.extend(gone.iter().filter(rest).map(|l| format!("-{l}")));
    words.extend(came.iter().filter(rest).map(|l| format!("+{l}")));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use dispatch_shared::Timestamp;

    use super::*;

    fn row(id: u64) -> AuditRow {
        AuditRow {
            id,
            actor: "kai".into(),
            action: "claim_issue".into(),
            repo_full_name: None,
            issue_number: Some(7),
            issue_id: None,
            before_labels: Some(vec!["status/ready".into(), "type/bug".into()]),
            after_labels: Some(vec!["status/in-progress".into(), "type/bug".into(), "agent/kai".into()]),
            success: true,
            error_message: None,
            notes: None,
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn the_newest_row_is_followed_until_the_cursor_leaves_it() {
        let mut activity = Activity::default();
        activity.take_news(vec![row(1), row(2)]);
        activity.arrange("");
        assert_eq!(activity.rows.cursor, Some(2));
        activity.take_news(vec![row(3)]);
        activity.arrange("");
        assert_eq!((activity.rows.cursor, activity.unseen), (Some(3), 0), "followed");
        activity.rows.cursor = Some(2);
        activity.take_news(vec![row(4), row(5)]);
        activity.arrange("");
        assert_eq!((activity.rows.cursor, activity.unseen), (Some(2), 2), "counted, not scrolled");
        activity.rows.cursor = Some(5);
        activity.arrange("");
        assert_eq!(activity.unseen, 0);
    }

    #[test]
    fn a_page_more_is_asked_for_at_the_end_until_there_is_no_more() {
        let mut activity = Activity::default();
        assert_eq!(activity.ask("actor:kai").actor.as_deref(), Some("kai"));
        activity.take_audit((1..=PAGE as u64).map(row).collect());
        activity.arrange("");
        assert_eq!(activity.more(), None, "the cursor stands at the top");
        activity.rows.cursor = Some(1);
        assert_eq!(activity.more(), Some(Part::Audit));
        assert_eq!(activity.ask("").limit, 2 * PAGE);
        activity.take_audit((1..=250).map(row).collect());
        activity.arrange("");
        activity.rows.cursor = Some(1);
        assert_eq!(activity.more(), None, "the answer was short");
    }

    #[test]
    fn labels_are_told_as_what_changed() {
        assert_eq!(labels_changed(&row(1)), "ready to in-progress, +agent/kai");
        let untouched = AuditRow { before_labels: None, ..row(1) };
        assert_eq!(labels_changed(&untouched), "");
    }

    #[test]
    fn filters_know_fields_and_words() {
        let mut activity = Activity::default();
        activity.take_news(vec![row(1), AuditRow { actor: "operator".into(), success: false, ..row(2) }]);
        for (filter, ids) in
            [("actor:kai", vec![1]), ("refused", vec![2]), ("#7", vec![2, 1]), ("move", vec![])]
        {
            activity.arrange(filter);
            assert_eq!(activity.rows.rows, ids, "{filter}");
        }
    }
}
