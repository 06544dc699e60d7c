//! `/api/runs…`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::claim::Attempt;
use crate::id::{AgentName, ClaimId, IssueId, RepoName, RunId};
use crate::run::{Phase, RuntimeKind, Usage};

/// One phase and when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhaseTime {
    /// Which.
    pub phase: Phase,
    /// Since when.
    pub at: Timestamp,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// `r-12`.
    pub id: RunId,
    /// One word: a phase while it lives, the class when it is over.
    pub state: String,
    /// Whether it is over.
    pub ended: bool,
    /// The card; null for a branch, a tag, and a pull request that no issue is known for.
    pub issue_id: Option<IssueId>,
    /// `owner/name`.
    pub repo_full_name: RepoName,
    /// The issue's number; null where there is no card.
    pub issue_number: Option<u64>,
    /// What it works on, for people: `#7`, `pull request #7`, `branch x`, `tag v1`.
    #[serde(default)]
    pub subject: String,
    /// Its workspace below the daemon's directory of workspaces: `owner/name/issue-7`.
    #[serde(default)]
    pub workspace: String,
    /// Who started it by hand; null for a run that the queue started.
    #[serde(default)]
    pub by_hand: Option<String>,
    /// It waits for a free slot, a thaw, or the end of a program's pause.
    #[serde(default)]
    pub waiting: bool,
    /// The issue's title when the run began; by hand, the first line of what is to be done where there is no issue.
    pub title: String,
    /// Who holds the claim.
    pub agent_name: AgentName,
    /// `claude:opus`.
    pub program: String,
    /// The claim; null for a branch or a tag, which nobody can claim.
    pub claim_id: Option<ClaimId>,
    /// The fence.
    pub attempt: Attempt,
    /// Docker, podman, host…; null until it is prepared.
    pub runtime: Option<RuntimeKind>,
    /// The container's name or the process.
    pub container: Option<String>,
    /// Phases in order.
    pub phases: Vec<PhaseTime>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The program's exit code.
    pub exit_code: Option<i32>,
    /// Why it ended, in words.
    pub reason: Option<String>,
    /// The question, if it is blocked.
    pub question: Option<String>,
    /// What it used.
    pub usage: Usage,
    /// The lane that its issue was in when it began.
    #[serde(default)]
    pub lane: Option<String>,
    /// The program's own id of its conversation, as far as it told one.
    #[serde(default)]
    pub session: Option<String>,
    /// The conversation that it went on with, of an earlier run or after failed checks, as long as what was kept of it was
    /// still there.
    #[serde(default)]
    pub resumed: Option<String>,
    /// The model, as far as the program told it.
    #[serde(default)]
    pub model: Option<String>,
    /// What the repository's checks said, each time that they ran; after a failure the program goes on, as often as is
    /// configured.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Not to be tried again before: the model said so, or a budget begins anew then.
    #[serde(default)]
    pub retry_at: Option<Timestamp>,
    /// The branch it works on.
    pub branch: Option<String>,
    /// The pull request it opened or updated.
    pub pull_request_number: Option<u64>,
    /// Its address.
    pub pull_request_url: Option<String>,
    /// The last thing the program said or did, one line.
    pub last_event: Option<String>,
    /// When it last put anything out.
    pub last_output_at: Option<Timestamp>,
    /// A kill was asked for and is under way.
    pub stopping: bool,
}

/// The repository's own checks of what a run had done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// When they were over.
    pub at: Timestamp,
    /// Whether all of them passed.
    pub passed: bool,
    /// How they failed, in a sentence.
    pub reason: Option<String>,
    /// What of their output tells why: the lines around the first error and the last ones; the run's log has all.
    pub output: String,
}

/// Query of `GET /api/runs`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunsQuery {
    /// `live`, `ended`, or one state's word.
    pub state: Option<String>,
    /// The agent name.
    pub agent: Option<String>,
    /// At most so many, newest first; 50 if absent.
    pub limit: Option<usize>,
}

/// Query of `GET /api/runs/{id}/log`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LogQuery {
    /// `raw` (default) or `events`.
    pub stream: Option<String>,
    /// Start at this byte. The answer's header `x-log-offset` says where it starts, `x-log-length` where it ends.
    pub offset: Option<u64>,
    /// Start so many bytes before the end.
    pub tail: Option<u64>,
    /// Go on until the run is over.
    #[serde(deserialize_with = "super::flag")]
    pub follow: Option<bool>,
    /// Only the lines that hold this text, in upper or lower case.
    pub q: Option<String>,
}

/// `POST /api/runs/{id}/kill`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KillRequest {
    /// Skip the grace.
    pub now: bool,
    /// The attempt meant; 409 if it is not the live one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
}

/// `POST /api/runs/{id}/answer`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AnswerRequest {
    /// What the agent is told in its next prompt.
    pub text: String,
}
