//! Requests and answers, one file per resource. Field names and casing are the wire contract: add freely, never
//! rename, never drop.

pub mod activity;
pub mod agent_runs;
pub mod automation;
pub mod cards;
pub mod claims;
pub mod control;
pub mod dispatch;
pub mod events;
pub mod followup;
pub mod grooming;
pub mod issues;
pub mod lanes;
pub mod queue;
pub mod repos;
pub mod runs;
pub mod setup;
pub mod tasks;
pub mod work;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::IssueId;

/// Names an issue: by its id, by repository and number, or by all three, which must agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IssueRef {
    /// The opaque id; empty counts as absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue_id: Option<String>,
    /// `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_full_name: Option<String>,
    /// The issue's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue_number: Option<u64>,
}

/// Reads a switch of a query: `true`, `1`, `yes` and a bare name are on; anything else is off.
#[must_use]
pub fn switch(text: Option<&str>) -> Option<bool> {
    text.map(|t| matches!(t.to_ascii_lowercase().as_str(), "" | "1" | "true" | "yes" | "on"))
}

impl IssueRef {
    /// Whether it names anything.
    #[must_use]
    pub fn is_named(&self) -> bool {
        let there = |text: &Option<String>| text.as_deref().is_some_and(|t| !t.is_empty());
        there(&self.issue_id) || there(&self.repo_full_name) || self.issue_number.is_some()
    }

    /// By id alone.
    #[must_use]
    pub fn id(id: &IssueId) -> Self {
        Self { issue_id: Some(id.as_str().to_owned()), ..Self::default() }
    }
}

/// `{"ok": true}`: the answer of a mutation that has nothing else to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ok {
    /// Always true.
    pub ok: bool,
}

impl Ok {
    /// The one value.
    pub const OK: Ok = Ok { ok: true };
}

/// `GET /api/health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether the daemon serves.
    pub ok: bool,
    /// `ok`, or what is wrong with the store.
    pub database: String,
    /// The daemon's version.
    pub version: String,
    /// `socket` (peer uid), `token`, or `off`.
    pub auth_mode: String,
    /// The daemon's process id.
    pub pid: u32,
}
