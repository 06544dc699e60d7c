//! `GET|POST /api/issues/{id}/lane`: in which lane an issue is worked, how sure that is, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How sure a classification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Somebody said so.
    High,
    /// Several things speak for it.
    Medium,
    /// Hardly anything does.
    Low,
}

impl Confidence {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Confidence::High => "high",
            Confidence::Medium => "medium",
            Confidence::Low => "low",
        }
    }
}

/// A lane for an issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Classification {
    /// The lane: an id, in requests also an alias.
    pub lane: String,
    /// How sure it is.
    #[serde(default = "high")]
    pub confidence: Confidence,
    /// Why, in words.
    #[serde(default)]
    pub reason: String,
}

fn high() -> Confidence {
    Confidence::High
}

/// `POST /api/issues/{id}/lane`. Without a classification the heuristics decide.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LaneRequest {
    /// The model that decided; absent is a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<Classification>,
}

/// Answer of both methods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaneAnswer {
    /// Always true.
    pub success: bool,
    /// The lane: what was set or labelled, else what the heuristics suggest. May be one that is not configured.
    pub lane: String,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why, in words.
    pub reason: String,
    /// The model that decided; `heuristics` for those; null for a person or a label.
    pub model: Option<String>,
    /// The lane in which the queue has the issue now.
    pub current_lane: String,
    /// Whether that lane is configured; one that is not is shown and never rewritten.
    pub configured: bool,
}
