//! `GET /api/events`: server-sent events. The event's name is `snapshot`, `change`, `progress` or `reset`; its id is the sequence number;
//! its data is the JSON of [`Snapshot`], [`Change`] or [`Progress`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activity::AuditRow;
use super::control::{Control, Problem};
use super::issues::Issue;
use super::repos::Repo;
use super::runs::Run;
use crate::event::Seq;
use crate::id::{IssueId, RepoName};

/// Query of the stream.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EventsQuery {
    /// `board`, `runs` or `all`: send the state first.
    pub snapshot: Option<String>,
    /// The same as the header `Last-Event-ID`.
    pub after: Option<u64>,
}

/// The state at `seq`; what follows it comes as changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The last event that the state holds.
    pub seq: Seq,
    /// Open cards and those closed within 7 days; bodies are null.
    pub issues: Vec<Issue>,
    /// Live runs and the newest ended ones.
    pub runs: Vec<Run>,
    /// Tracked repositories.
    pub repos: Vec<Repo>,
    /// Slots, pools, budgets.
    pub control: Control,
    /// What wants a person.
    pub problems: Vec<Problem>,
    /// The lanes, in their configured order.
    pub lanes: Vec<Lane>,
}

/// One configured lane, as `GET /api/lanes` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lane {
    /// `local`.
    pub id: String,
    /// `Local`.
    pub title: String,
    /// Whether work is handed out from it.
    pub claimable: bool,
    /// `default`, `escalation`, or null.
    pub role: Option<String>,
    /// In words.
    pub description: Option<String>,
    /// A colour's name.
    pub color: Option<String>,
    /// The agent it is meant for.
    pub default_agent: Option<String>,
}

/// One commit's worth of change: everything that changed, in its new state. Applying it twice does no harm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Change {
    /// The last event in it.
    pub seq: Seq,
    /// Cards, new or changed; bodies are null.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<Issue>,
    /// Cards that left the board.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<IssueId>,
    /// Runs, new or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Run>,
    /// Repositories, new or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repos: Vec<Repo>,
    /// Repositories not tracked any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repos_gone: Vec<RepoName>,
    /// Audit rows written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audit: Vec<AuditRow>,
    /// Control, if it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// All problems, if any changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<Problem>>,
}

/// Long work under way; not kept, has no number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// `sync acme/api`, `clone acme/api`, `pull IMAGE`.
    pub what: String,
    /// How much is done.
    pub done: u64,
    /// Of how much, if known.
    pub total: Option<u64>,
    /// Whether it is over.
    pub finished: bool,
}
