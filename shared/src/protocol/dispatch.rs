//! `POST /api/dispatch`: one run by hand. The one route whose fields are snake_case.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::RunId;

/// `POST /api/dispatch`. Exactly one of `issue`, `pr`, `branch` and `tag` is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DispatchRequest {
    /// `owner/name`, or the name alone beside `org`.
    pub repo: String,
    /// The owner, if `repo` is only a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// What is to be done, in words.
    pub task: String,
    /// `program` or `program:model`; the configured one if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The prompt's template; the configured one (`coding`) if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The plan's template; no plan if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_template: Option<String>,
    /// What the templates' variables stand for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variables: Option<BTreeMap<String, String>>,
    /// The persona that is put before the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persona: Option<String>,
    /// Work on this issue: claims it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<u64>,
    /// Work on this pull request, and push to its branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pr: Option<u64>,
    /// Work on this branch, and push to it; made from the default branch if it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Work from this tag; nothing is pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Prepare the workspace and return the prompt; start nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// Answer of `POST /api/dispatch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DispatchAnswer {
    /// Always true.
    pub success: bool,
    /// The program that runs, with its model.
    pub agent: String,
    /// `owner/name`.
    pub repo: String,
    /// The workspace on the daemon's machine; the checkout is `repo` in it.
    pub workspace_dir: String,
    /// The prompt, of a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The process, where the program is one of the daemon's machine and runs by the time of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// What the program puts out, on the daemon's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_file: Option<String>,
    /// Whether the run waits; absent for a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<bool>,
    /// What it waits for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}
