//! What the tools take. The comments are what the model reads; the names are those of the wire.

use dispatch_shared::protocol::IssueRef;
use rmcp::schemars;
use serde::{Deserialize, Serialize};

/// Names an issue, alone or among other arguments.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Issue {
    /// The issue's id, as a task or the queue gave it. Enough by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issue_id: Option<String>,
    /// owner/name; together with issueNumber instead of issueId.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repo_full_name: Option<String>,
    /// The issue's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issue_number: Option<u64>,
}

impl Issue {
    pub(super) fn reference(self) -> Result<IssueRef, String> {
        let id = self.issue_id.filter(|id| !id.is_empty());
        if id.is_none() && (self.repo_full_name.is_none() || self.issue_number.is_none()) {
            return Err("name the issue: issueId, or repoFullName and issueNumber".to_owned());
        }
        Ok(IssueRef { issue_id: id, repo_full_name: self.repo_full_name, issue_number: self.issue_number })
    }
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NextTask {
    /// Who asks (default: DISPATCH_AGENT_NAME).
    pub(super) agent_name: Option<String>,
    /// Only this lane.
    pub(super) lane: Option<String>,
    /// `groom` to be given an issue to sort instead of one to implement.
    #[schemars(extend("enum" = ["groom", null]))]
    pub(super) mode: Option<String>,
    /// Wait so long for work: `30s`, `2m`.
    pub(super) wait: Option<String>,
    /// Return your own live task again.
    #[serde(default)]
    pub(super) resume: bool,
    /// Only look: claim nothing.
    #[serde(default)]
    pub(super) peek: bool,
    /// The same key returns the same task if the answer was lost.
    pub(super) idempotency_key: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportTask {
    /// Who reports (default: DISPATCH_AGENT_NAME).
    pub(super) agent_name: Option<String>,
    /// The task's type.
    #[schemars(extend("enum" = ["implement", "followup-pr", "groom"]))]
    pub(super) task_type: String,
    /// What came of it. pr_opened and pr_updated are checked against the forge.
    #[schemars(extend("enum" = ["pr_opened", "pr_updated", "issue_updated", "issue_closed", "blocked", "failed",
        "no_changes_needed", "already_addressed"]))]
    pub(super) outcome: String,
    #[serde(flatten)]
    pub(super) issue: Issue,
    /// The claim meant (default: the newest that this session took).
    pub(super) claim_id: Option<String>,
    /// The pull request's number.
    pub(super) pull_request_number: Option<u64>,
    /// The pull request's address.
    pub(super) pull_request_url: Option<String>,
    /// One paragraph on what was done.
    pub(super) summary: Option<String>,
    /// blocked: the question for a person. failed: what went wrong.
    pub(super) error: Option<String>,
    /// no_changes_needed, already_addressed: why nothing had to change.
    pub(super) evidence: Option<String>,
    /// A follow-up's item, as the task named it.
    pub(super) pr_fix_item: Option<PrFixItem>,
    /// A repeat with the same key gets the same answer.
    pub(super) idempotency_key: Option<String>,
}

/// A PR-fix item as a task names it.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub(super) struct PrFixItem {
    /// The item.
    pub(super) id: String,
    /// Its generation.
    pub(super) generation: u64,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checkpoint {
    /// Who works (default: DISPATCH_AGENT_NAME).
    pub(super) agent_name: Option<String>,
    /// How far the work has come.
    #[schemars(extend("enum" = ["CLAIMED", "REPO_PREPARED", "BRANCH_CREATED", "CHANGES_MADE", "TESTS_RUNNING",
        "PR_OPENED", "DONE", "BLOCKED"]))]
    pub(super) checkpoint: String,
    /// One line.
    pub(super) summary: Option<String>,
    /// BLOCKED needs it: what a person has to answer.
    pub(super) blocker_reason: Option<String>,
    /// The claim meant (default: the newest that this session took).
    pub(super) claim_id: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Heartbeat {
    /// Who works (default: DISPATCH_AGENT_NAME).
    pub(super) agent_name: Option<String>,
    /// Renew only this claim (default: all of the agent's).
    pub(super) claim_id: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetQueue {
    /// Whose queue (default: DISPATCH_AGENT_NAME).
    pub(super) agent_name: Option<String>,
    /// Only this lane.
    pub(super) lane: Option<String>,
    /// Claimed and in-progress issues too.
    #[serde(default)]
    pub(super) include_claimed: bool,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClaimIssue {
    /// Who claims or gives back (default: DISPATCH_AGENT_NAME).
    pub(super) agent_name: Option<String>,
    #[serde(flatten)]
    pub(super) issue: Issue,
    /// release_issue: the claim meant (default: the one that this session took).
    pub(super) claim_id: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetStatus {
    /// Who says so (default: DISPATCH_AGENT_NAME).
    pub(super) agent_name: Option<String>,
    #[serde(flatten)]
    pub(super) issue: Issue,
    /// The new status. `done` on an open issue means "already resolved" and asks a person to look.
    #[schemars(extend("enum" = ["backlog", "ready", "in-progress", "in-review", "done", "blocked"]))]
    pub(super) status: String,
    /// blocked: why.
    pub(super) blocked_reason: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SyncRepo {
    /// owner/name (default: all tracked repositories).
    pub(super) repo_full_name: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MarkPrFix {
    /// Who says so (default: DISPATCH_AGENT_NAME).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agent_name: Option<String>,
    /// owner/name.
    pub(super) repo: String,
    /// The pull request's number.
    pub(super) pr: u64,
    /// What became of it. FIXED without a new commit puts it back into the queue.
    #[schemars(extend("enum" = ["FIXED", "BLOCKED", "STALE", "IGNORED"]))]
    pub(super) status: String,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    /// The generation that was worked on; a stale one is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) generation: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub(super) struct RequeuePrFix {
    /// owner/name.
    pub(super) repo: String,
    /// The pull request's number.
    pub(super) pr: u64,
    /// Why it is worth another attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListRuns {
    /// `live`, `ended`, or one state.
    pub(super) state: Option<String>,
    /// Only this agent's.
    pub(super) agent_name: Option<String>,
    /// At most so many, newest first (default 20).
    pub(super) limit: Option<usize>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunLog {
    /// The run: `r-7`.
    pub(super) run_id: String,
    /// So many bytes of the log's end (default 20000, at most 200000).
    pub(super) tail: Option<u64>,
    /// `events` for one JSON object a line instead of the raw log.
    #[schemars(extend("enum" = ["raw", "events", null]))]
    pub(super) stream: Option<String>,
}

/// `POST /api/dispatch` as it is.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub(super) struct AgenticDispatch {
    /// owner/name, or the name alone together with org.
    pub(super) repo: String,
    /// The owner, if repo is only a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) org: Option<String>,
    /// What is to be done, in words.
    pub(super) task: String,
    /// The program that runs, `program` or `program:model` (default: the configured one).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<String>,
    /// The prompt's template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) template: Option<String>,
    /// The plan's template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plan_template: Option<String>,
    /// The templates' variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) variables: Option<std::collections::BTreeMap<String, String>>,
    /// The persona that is put before the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) persona: Option<String>,
    /// Work on this issue. Exactly one of issue, pr, branch and tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issue: Option<u64>,
    /// Work on this pull request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pr: Option<u64>,
    /// Work on this branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) branch: Option<String>,
    /// Start from this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<String>,
    /// Prepare and return the prompt; start nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dry_run: Option<bool>,
}
