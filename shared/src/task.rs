//! Tasks as they are handed out, and outcomes as they are reported.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of work a task asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskType {
    /// Nothing to do; stop before a model starts.
    Idle,
    /// Turn the issue into a pull request.
    Implement,
    /// Bring an existing pull request back into shape.
    FollowupPr,
    /// Sort one issue: labels, priority, lane. No code.
    Groom,
}

/// What a worker says came of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A new pull request is there.
    PrOpened,
    /// An existing pull request has new commits.
    PrUpdated,
    /// Labels or text of the issue were changed: what grooming comes to. An implement task that ends so gives the card back.
    IssueUpdated,
    /// The issue was closed on the forge.
    IssueClosed,
    /// A person has to answer something.
    Blocked,
    /// The work did not succeed.
    Failed,
    /// There was nothing to change.
    NoChangesNeeded,
    /// Somebody had done it already.
    AlreadyAddressed,
}

/// What a task forbids, as a code beside the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Forbid {
    /// Merging any pull request.
    MergePullRequest,
    /// Opening a new pull request.
    OpenPullRequest,
    /// Claiming a second issue.
    ClaimAnother,
    /// Changing labels or text of other issues.
    GroomOtherIssues,
    /// Writing code.
    WriteCode,
    /// Touching production configuration.
    ChangeProductionConfig,
}

impl Forbid {
    /// The sentence that a worker reads.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Forbid::MergePullRequest => "Do not merge any pull request.",
            Forbid::OpenPullRequest => "Do not open a new pull request; work on the one named here.",
            Forbid::ClaimAnother => "Do not claim another issue; do exactly this one and stop.",
            Forbid::GroomOtherIssues => "Do not groom, relabel or comment on other issues.",
            Forbid::WriteCode => "Do not write code and do not commit.",
            Forbid::ChangeProductionConfig => "Do not change production configuration.",
        }
    }
}

impl TaskType {
    /// What tasks of this kind forbid.
    #[must_use]
    pub fn forbids(self) -> &'static [Forbid] {
        match self {
            TaskType::Idle => &[],
            TaskType::Implement => {
                &[Forbid::MergePullRequest, Forbid::GroomOtherIssues, Forbid::ClaimAnother]
            }
            TaskType::FollowupPr => {
                &[Forbid::MergePullRequest, Forbid::OpenPullRequest, Forbid::ClaimAnother]
            }
            TaskType::Groom => &[Forbid::WriteCode, Forbid::OpenPullRequest, Forbid::ChangeProductionConfig],
        }
    }
}
