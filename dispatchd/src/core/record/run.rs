//! Runs of the built-in runner.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::claim::Attempt;
use dispatch_shared::id::{AgentName, ClaimId, RunId};
use dispatch_shared::run::{Phase, RunState, RuntimeKind, Usage};
use serde::{Deserialize, Serialize};

use super::CardKey;

/// What a run works on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The issue that its card is.
    #[default]
    Issue,
    /// A pull request's branch.
    Pull(u64),
    /// A branch, which is made from the default branch if it is not there.
    Branch(String),
    /// A tag: nothing of it is ever published.
    Tag(String),
}

/// What somebody wanted who started a run by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hand {
    /// What is to be done, in words.
    pub task: String,
    /// The prompt's template.
    pub template: String,
    /// The plan's template.
    #[serde(default)]
    pub plan: Option<String>,
    /// The persona that is put before the prompt.
    #[serde(default)]
    pub persona: Option<String>,
    /// What the templates' variables stand for.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Who.
    pub by: String,
}

/// What the repository's checks said of what a program had done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// When they were over.
    pub at: Timestamp,
    /// How they failed, in a sentence; `None` if they passed.
    pub failed: Option<String>,
    /// What of their output tells why; without secrets.
    pub output: String,
}

/// How far a run's logs had come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Bytes of the raw log.
    pub raw: u64,
    /// Events of the program.
    pub events: u64,
}

/// Where the present round of a run began. A run whose checks fail goes back to its program: each time is a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// What the rounds before it used together.
    pub usage: Usage,
    /// How often they asked their model.
    pub turns: u64,
    /// Where its part of the logs begins.
    pub log: Mark,
}

/// Why a conversation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Because {
    /// The repository's checks failed.
    Checks,
    /// Its question was answered.
    Answer,
    /// There is more to do where it had worked.
    More,
}

/// A conversation of the program that is to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resume {
    /// The program's own id of it.
    pub session: String,
    /// What it had used in all, where the program counts so.
    pub total: Option<Usage>,
    /// Why.
    pub because: Because,
}

/// A run of the built-in runner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The card, or the pull request where no card is linked to it; number 0 for a branch or a tag.
    pub card: CardKey,
    /// What it works on.
    #[serde(default)]
    pub target: Target,
    /// Set if somebody started it by hand.
    #[serde(default)]
    pub hand: Option<Hand>,
    /// It waits for a free slot: nobody prepares it yet.
    #[serde(default)]
    pub waiting: bool,
    /// The issue's title when it began, or the first line of what was asked by hand.
    pub title: String,
    /// The claim; none on a branch or a tag.
    pub claim: Option<ClaimId>,
    /// The fence.
    pub attempt: Attempt,
    /// Whose name it works under.
    pub agent: AgentName,
    /// `claude:opus`.
    pub program: String,
    /// Where it stands.
    pub state: RunState,
    /// Phases in order.
    pub phases: Vec<(Phase, Timestamp)>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it is contained.
    pub runtime: Option<RuntimeKind>,
    /// The container's name, or `pid N`.
    pub container: Option<String>,
    /// The branch.
    pub branch: String,
    /// The branch it starts from.
    pub base_branch: String,
    /// What the previous attempt left to tell the next prompt: its failure.
    pub previous: Option<String>,
    /// What an operator answered; goes into the prompt.
    pub answer: Option<String>,
    /// The program's exit code.
    pub exit_code: Option<i32>,
    /// Why it ended, in words.
    pub reason: Option<String>,
    /// The question, if it is blocked.
    pub question: Option<String>,
    /// What it used.
    pub usage: Usage,
    /// The same by day, as the calendar of the budgets counts them.
    #[serde(default)]
    pub spent: Vec<(i32, Usage)>,
    /// When it went ahead; unset while it waits.
    #[serde(default)]
    pub began_at: Option<Timestamp>,
    /// The lane of its card when it began.
    #[serde(default)]
    pub lane: Option<String>,
    /// The program's own id of its conversation.
    #[serde(default)]
    pub session: Option<String>,
    /// What that conversation used in all, where the program counts so.
    #[serde(default)]
    pub session_total: Option<Usage>,
    /// The conversation that its program is to go on with, if what is kept of it is still there.
    #[serde(default)]
    pub resume: Option<Resume>,
    /// The model, as far as the program told it.
    #[serde(default)]
    pub model: Option<String>,
    /// How often it has asked its model.
    #[serde(default)]
    pub turns: u64,
    /// Where its present round began.
    #[serde(default)]
    pub round: Round,
    /// What the repository's checks said, each time that they ran to their end.
    #[serde(default)]
    pub checks: Vec<Checked>,
    /// Not to be tried again before: the model's own word, or the day's end.
    #[serde(default)]
    pub retry_at: Option<Timestamp>,
    /// The pull request it opened or updated.
    pub pull: Option<u64>,
    /// Its address.
    pub pull_url: Option<String>,
    /// The last thing the program said or did, one line.
    pub last_event: Option<String>,
    /// When it last put anything out.
    pub last_output_at: Option<Timestamp>,
    /// A kill is under way; `true` inside means without grace.
    pub kill: Option<Kill>,
}

/// A kill that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// Who asked.
    pub by: String,
    /// Without grace.
    pub now: bool,
    /// Whether the claim was taken away, rather than the run killed by an operator.
    pub revoked: bool,
}

impl Run {
    /// Whether it counts for the card: only a run on an issue moves one.
    #[must_use]
    pub fn is_on_issue(&self) -> bool {
        self.target == Target::Issue
    }

    /// How long its program has worked by `now`, over all rounds.
    #[must_use]
    pub fn worked(&self, now: Timestamp) -> Duration {
        let until = |i: usize| self.phases.get(i + 1).map_or(self.ended_at.unwrap_or(now), |(_, at)| *at);
        let ran = self.phases.iter().enumerate().filter(|(_, (phase, _))| *phase == Phase::Running);
        ran.map(|(i, (_, from))| until(i).since(*from)).sum()
    }
}
