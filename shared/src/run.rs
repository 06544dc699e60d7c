//! Runs of the built-in runner: phases and how they end.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a live run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Claimed, not started.
    Queued,
    /// Workspace and prompt are being made.
    Preparing,
    /// The program works.
    Running,
    /// The repository's checks run.
    Verifying,
    /// Push, pull request, read-back.
    Publishing,
}

impl Phase {
    /// The word on the wire and on the screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Phase::Queued => "queued",
            Phase::Preparing => "preparing",
            Phase::Running => "running",
            Phase::Verifying => "verifying",
            Phase::Publishing => "publishing",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How a run ended: one enum of classes everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndClass {
    /// Published.
    Succeeded,
    /// `BLOCKED.md` holds a question.
    Blocked,
    /// No commit came of it.
    NoChanges,
    /// The program failed.
    Failed,
    /// The repository's checks failed.
    VerifyFailed,
    /// The model refused the credential.
    Auth,
    /// The account's quota is used up.
    Quota,
    /// The model asked to slow down.
    RateLimited,
    /// The network failed.
    Network,
    /// The context grew too large.
    ContextOverflow,
    /// A cost or token budget ended it.
    Budget,
    /// The limit of turns ended it.
    Turns,
    /// The clock ended it.
    TimedOut,
    /// It was silent for too long.
    Stalled,
    /// An operator ended it.
    Killed,
    /// The program died of a signal or could not start.
    Crashed,
    /// Its claim was taken away.
    Revoked,
    /// Its container or process vanished without an exit code.
    Lost,
}

impl EndClass {
    /// The word on the wire and on the screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            EndClass::Succeeded => "succeeded",
            EndClass::Blocked => "blocked",
            EndClass::NoChanges => "no-changes",
            EndClass::Failed => "failed",
            EndClass::VerifyFailed => "verify-failed",
            EndClass::Auth => "auth",
            EndClass::Quota => "quota",
            EndClass::RateLimited => "rate-limited",
            EndClass::Network => "network",
            EndClass::ContextOverflow => "context-overflow",
            EndClass::Budget => "budget",
            EndClass::Turns => "turns",
            EndClass::TimedOut => "timed-out",
            EndClass::Stalled => "stalled",
            EndClass::Killed => "killed",
            EndClass::Crashed => "crashed",
            EndClass::Revoked => "revoked",
            EndClass::Lost => "lost",
        }
    }

    /// Whether the task itself is to blame, so that it counts towards giving up.
    #[must_use]
    pub fn counts_as_failure(self) -> bool {
        !matches!(
            self,
            EndClass::Succeeded
                | EndClass::Blocked
                | EndClass::RateLimited
                | EndClass::Quota
                | EndClass::Network
                | EndClass::Killed
                | EndClass::Revoked
        )
    }
}

impl fmt::Display for EndClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A live phase or an end: `state` on the wire is one word of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Not over.
    Live(Phase),
    /// Over.
    Ended(EndClass),
}

impl RunState {
    /// The one word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            RunState::Live(phase) => phase.word(),
            RunState::Ended(class) => class.word(),
        }
    }

    /// Whether anything may still happen.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, RunState::Live(_))
    }
}

/// How a run's program is contained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// The docker command line.
    Docker,
    /// The podman command line.
    Podman,
    /// Apple's `container` command line.
    Apple,
    /// No container: isolates nothing.
    Host,
    /// A Job in a Kubernetes cluster.
    Kubernetes,
}

impl RuntimeKind {
    /// The word in the configuration and on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            RuntimeKind::Docker => "docker",
            RuntimeKind::Podman => "podman",
            RuntimeKind::Apple => "apple",
            RuntimeKind::Host => "host",
            RuntimeKind::Kubernetes => "kubernetes",
        }
    }
}

impl fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Tokens and money that a run has used, as far as the program said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input_tokens: u64,
    /// Those of them that came from a cache.
    pub cached_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Tokens thought, where the program does not count them among the written ones.
    pub reasoning_tokens: u64,
    /// US dollars; null where neither the program tells nor a price is known.
    pub cost_usd: Option<f64>,
    /// The dollars, or a part of them, were reckoned from a table of prices: the program told none.
    pub estimated: bool,
}

impl Usage {
    /// All tokens together, which is what budgets count.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens).saturating_add(self.reasoning_tokens)
    }

    /// Both together. A cost that one side does not know counts as none.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cached_tokens: self.cached_tokens.saturating_add(other.cached_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(other.reasoning_tokens),
            cost_usd: match (self.cost_usd, other.cost_usd) {
                (None, None) => None,
                (one, two) => Some(one.unwrap_or(0.0) + two.unwrap_or(0.0)),
            },
            estimated: self.estimated || other.estimated,
        }
    }

    /// What came on top of `earlier`; never less than nothing.
    #[must_use]
    pub fn minus(self, earlier: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_sub(earlier.input_tokens),
            cached_tokens: self.cached_tokens.saturating_sub(earlier.cached_tokens),
            output_tokens: self.output_tokens.saturating_sub(earlier.output_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_sub(earlier.reasoning_tokens),
            cost_usd: self.cost_usd.map(|cost| (cost - earlier.cost_usd.unwrap_or(0.0)).max(0.0)),
            estimated: self.estimated,
        }
    }
}
