//! How the board is shown: what its columns are grouped by, and how much of a card they show.

use dispatch_shared::protocol::issues::Issue;
use serde::{Deserialize, Serialize};

/// What cards of a column stand together by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Group {
    #[default]
    None,
    Repository,
    Lane,
    Agent,
}

impl Group {
    pub(crate) const ALL: [Group; 4] = [Group::None, Group::Repository, Group::Lane, Group::Agent];

    /// For the menu and the line above the board.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Group::None => "by status",
            Group::Repository => "by repository",
            Group::Lane => "by lane",
            Group::Agent => "by agent",
        }
    }

    /// The group of a card; empty if there are none.
    pub(crate) fn of(self, issue: &Issue) -> String {
        match self {
            Group::None => String::new(),
            Group::Repository => issue.repo_full_name.to_string(),
            Group::Lane => issue.lane.clone(),
            Group::Agent => {
                let label = issue.agent.as_deref().map(|a| a.strip_prefix("agent/").unwrap_or(a).to_owned());
                let held = issue.claim.as_ref().map(|c| c.agent_name.to_string());
                held.or(label).unwrap_or_else(|| "nobody".to_owned())
            }
        }
    }
}

/// What the operator chose with `V`; kept from one board to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Options {
    pub(crate) group: Group,
    /// One row a card.
    pub(crate) compact: bool,
    /// The look's name; absent as the settings say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) look: Option<String>,
}
