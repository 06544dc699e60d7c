//! The words on a card: status, flags, priority; and how labels say them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::AgentName;

/// The five columns of the board. The label is `status/<word>`; no status label counts as backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Not yet wanted, or taken back.
    Backlog,
    /// May be handed out.
    Ready,
    /// Somebody holds a claim, or says so by label.
    InProgress,
    /// An open pull request is linked.
    InReview,
    /// Closed. Only closed means done.
    Done,
}

impl Status {
    /// All of them, in board order.
    pub const ALL: [Status; 5] =
        [Status::Backlog, Status::Ready, Status::InProgress, Status::InReview, Status::Done];

    /// `in-progress` and the like.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Status::Backlog => "backlog",
            Status::Ready => "ready",
            Status::InProgress => "in-progress",
            Status::InReview => "in-review",
            Status::Done => "done",
        }
    }

    /// The full label, `status/in-progress`.
    #[must_use]
    pub fn label(self) -> String {
        format!("status/{}", self.word())
    }

    /// Reads the bare word or the full label, in any case.
    #[must_use]
    pub fn read(text: &str) -> Option<Status> {
        let text = text.to_ascii_lowercase();
        let word = text.strip_prefix("status/").unwrap_or(&text);
        Status::ALL.into_iter().find(|s| s.word() == word)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What keeps a card from being handed out without moving it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Flag {
    /// Label `status/blocked`.
    Blocked,
    /// Label `needs-human` (or `status/needs-human`).
    NeedsHuman,
    /// Label `needs-info` (or `status/needs-info`).
    NeedsInfo,
}

impl Flag {
    /// The label that Dispatch writes.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Flag::Blocked => "status/blocked",
            Flag::NeedsHuman => "needs-human",
            Flag::NeedsInfo => "needs-info",
        }
    }

    /// Reads a label.
    #[must_use]
    pub fn read(label: &str) -> Option<Flag> {
        match label.to_ascii_lowercase().as_str() {
            "status/blocked" => Some(Flag::Blocked),
            "needs-human" | "status/needs-human" => Some(Flag::NeedsHuman),
            "needs-info" | "status/needs-info" => Some(Flag::NeedsInfo),
            _ => None,
        }
    }
}

/// `priority/p0` (most urgent) to `priority/p4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Priority(pub u8);

impl Priority {
    /// Reads `p1` or `priority/p1`.
    #[must_use]
    pub fn read(text: &str) -> Option<Priority> {
        let text = text.to_ascii_lowercase();
        let word = text.strip_prefix("priority/").unwrap_or(&text);
        let n: u8 = word.strip_prefix('p')?.parse().ok()?;
        (n <= 4).then_some(Priority(n))
    }

    /// The full label, `priority/p1`.
    #[must_use]
    pub fn label(self) -> String {
        format!("priority/p{}", self.0)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

/// Open or closed, as the forge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IssueState {
    /// Work may be wanted.
    Open,
    /// Done.
    Closed,
}

/// What the labels of one issue say, read once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelFacts {
    /// The status label; with two of them the furthest along counts, and `statuses` tells that there were more.
    pub status: Option<Status>,
    /// How many different status labels there are.
    pub statuses: usize,
    /// The flags, sorted.
    pub flags: Vec<Flag>,
    /// The highest priority.
    pub priority: Option<Priority>,
    /// Every `agent/<name>`.
    pub agents: Vec<AgentName>,
    /// `owner/<name>`.
    pub owner: Option<String>,
    /// `type/<word>`.
    pub kind: Option<String>,
    /// `lane/<id>`.
    pub lane: Option<String>,
}

/// The label that assigns an agent.
#[must_use]
pub fn agent_label(agent: &AgentName) -> String {
    format!("agent/{agent}")
}

/// Reads all labels of one issue.
pub fn read_labels<'a>(labels: impl IntoIterator<Item = &'a str>) -> LabelFacts {
    let mut facts = LabelFacts::default();
    for label in labels {
        let folded = label.to_ascii_lowercase();
        if let Some(flag) = Flag::read(label) {
            facts.flags.push(flag);
        } else if folded.starts_with("status/") {
            if let Some(status) = Status::read(label) {
                facts.statuses += 1;
                facts.status = facts.status.max(Some(status));
            }
        } else if folded.starts_with("priority/") {
            if let Some(p) = Priority::read(label) {
                facts.priority = Some(facts.priority.map_or(p, |old| old.min(p)));
            }
        } else if folded.starts_with("agent/") {
            if let Ok(name) = AgentName::parse(&label[6..]) {
                facts.agents.push(name);
            }
        } else if folded.starts_with("owner/") {
            facts.owner.get_or_insert_with(|| label[6..].to_owned());
        } else if folded.starts_with("type/") {
            facts.kind.get_or_insert_with(|| label[5..].to_owned());
        } else if folded.starts_with("lane/") {
            facts.lane.get_or_insert_with(|| label[5..].to_owned());
        }
    }
    facts.flags.sort_unstable();
    facts.flags.dedup();
    facts.agents.sort();
    facts.agents.dedup();
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_in_one_place() {
        let facts = read_labels([
            "Status/Ready",
            "priority/p3",
            "priority/p1",
            "agent/kai",
            "type/bug",
            "needs-human",
            "lane/cloud",
        ]);
        assert_eq!(facts.status, Some(Status::Ready));
        assert_eq!(facts.priority, Some(Priority(1)), "the higher of two priorities counts");
        assert_eq!(facts.agents, [AgentName::new("kai")]);
        assert_eq!(facts.flags, [Flag::NeedsHuman]);
        assert_eq!(facts.kind.as_deref(), Some("bug"));
        assert_eq!(facts.lane.as_deref(), Some("cloud"));
    }

    #[test]
    fn blocked_is_a_flag_and_never_a_column() {
        let facts = read_labels(["status/blocked", "status/in-progress"]);
        assert_eq!((facts.status, facts.statuses), (Some(Status::InProgress), 1));
        assert_eq!(facts.flags, [Flag::Blocked]);
        assert_eq!(Status::read("status/blocked"), None);
    }
}
