//! Requests and answers, one file per resource. Field names and casing are the wire contract: add freely, never
//! rename, never drop.

pub mod actions;
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
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::id::IssueId;

/// Names an issue: by its id, by repository and number, or by all three, which must agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IssueRef {
    /// The opaque id; empty counts as absent.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "issue_id")]
    pub issue_id: Option<String>,
    /// `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "repo_full_name")]
    pub repo_full_name: Option<String>,
    /// The issue's number.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "issue_number")]
    pub issue_number: Option<u64>,
}

// Where a struct is flattened into another, a reader forgets which field it was at: these say it themselves.

fn field<'de, T: Deserialize<'de>, D: Deserializer<'de>>(name: &str, d: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(d).map_err(|e| D::Error::custom(format!("{e}, as {name}")))
}

fn issue_id<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    field("issueId", d)
}

fn repo_full_name<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    field("repoFullName", d)
}

fn issue_number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    field("issueNumber", d)
}

/// Reads a switch of a query strictly: `true`, `1`, `yes`, `on` and their opposites.
fn flag<'de, D: Deserializer<'de>>(d: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Switch(bool),
        Text(String),
    }
    match Option::deserialize(d)? {
        None => Ok(None),
        Some(Said::Switch(on)) => Ok(Some(on)),
        Some(Said::Text(text)) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Some(true)),
            "false" | "0" | "no" | "off" => Ok(Some(false)),
            _ => Err(D::Error::custom(format!("`{text}` is neither true nor false"))),
        },
    }
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
