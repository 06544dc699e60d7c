//! The words of the command line. The comments here are the help text.

use clap::{Args as ClapArgs, Parser, Subcommand};
use dispatch_shared::id::{AgentName, ClaimId, RepoName, RunId};
use dispatch_shared::issue::Status;

use super::ci::Ci;
use super::groom_args::{Children, Decompose, Groom};
use super::work_args::{Checkpoint, Guard, Prompt, Run};

/// Hands GitHub issues to coding agents. Without a command: the board.
#[derive(Debug, Parser)]
#[command(
    name = "dispatch",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done; 1 not done, with one sentence on standard error; 2 the command line makes no sense; 3 `next` \
                  or `groom --run` found nothing to do."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    /// Print the daemon's JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Global {
    /// The daemon: unix:///path, http://… or https://… (default: DISPATCH_URL, DISPATCH_SOCKET, or the user's own socket)
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Fail if no daemon answers, instead of starting one
    #[arg(long, global = true)]
    pub(crate) no_spawn: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take the next task for an agent; exit 0 with a task, 3 if there is none
    Next(Next),
    /// Say how far the work on a task has come; renews its lease
    Checkpoint(Checkpoint),
    /// Report what came of a task
    Report(Report),
    /// Give a claimed issue back
    Release(Claim),
    /// Claim one issue by name
    Claim(Claim),
    /// Renew an agent's leases
    Heartbeat {
        #[arg(long, short, env = "DISPATCH_AGENT_NAME", value_parser = AgentName::parse)]
        agent: AgentName,
        /// Only this claim
        #[arg(long, value_name = "c-N")]
        claim: Option<ClaimId>,
    },
    /// What an agent would be handed, in order, and why
    Queue {
        #[arg(long, short, env = "DISPATCH_AGENT_NAME", value_parser = AgentName::parse)]
        agent: AgentName,
        /// Only this lane
        #[arg(long, short)]
        lane: Option<String>,
        /// Claimed and in-progress ones too
        #[arg(long)]
        all: bool,
    },
    /// List the cards on the board
    Issues(Issues),
    /// Move a card to another column
    Move {
        /// owner/repo#12, #12 if one repository is tracked, or an id
        issue: String,
        /// backlog, ready, in-progress or in-review
        #[arg(value_parser = status)]
        status: Status,
    },
    /// Say rule by rule whether an issue may be handed out
    Why {
        /// owner/repo#12, #12 if one repository is tracked, or an id
        issue: String,
    },
    /// Decide about an issue that waits for grooming, or have the hosted groomer decide
    Groom(Groom),
    /// Show which children an issue would be split into, or make them
    Children(Children),
    /// Say that an issue is split into others, or is not any more
    Decompose(Decompose),
    /// List runs, newest first
    Runs {
        /// live, ended, or one state
        #[arg(long)]
        state: Option<String>,
        #[arg(long, short)]
        agent: Option<String>,
        /// At most so many
        #[arg(long, short = 'n')]
        limit: Option<usize>,
    },
    /// Print a run's log (with --json its events)
    Logs {
        #[arg(value_name = "RUN")]
        run: RunId,
        /// Go on until the run is over
        #[arg(long, short)]
        follow: bool,
        /// Only the last so many bytes
        #[arg(long, value_name = "BYTES")]
        tail: Option<u64>,
        /// Only the lines that hold this text, in upper or lower case
        #[arg(long, short, value_name = "TEXT")]
        grep: Option<String>,
    },
    /// Print what a run changed
    Diff {
        #[arg(value_name = "RUN")]
        run: RunId,
    },
    /// Make a run's issue ready again; start a run by hand once more
    Retry {
        #[arg(value_name = "RUN")]
        run: RunId,
    },
    /// Start one run of a program by hand, on an issue, a pull request, a branch or a tag
    Run(Run),
    /// End a run
    Kill {
        #[arg(value_name = "RUN")]
        run: RunId,
        /// Without grace
        #[arg(long)]
        now: bool,
    },
    /// Answer a blocked run's question; its issue is ready again, a run by hand goes on
    Answer {
        #[arg(value_name = "RUN")]
        run: RunId,
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Tracked repositories
    Repos {
        #[command(subcommand)]
        what: Option<Repos>,
    },
    /// Workflows of the forge: how they fare, their runs, a run again, one by hand
    Ci {
        #[command(subcommand)]
        what: Option<Ci>,
    },
    /// Read the forge now
    Sync {
        /// Only this one
        #[arg(value_name = "OWNER/REPO")]
        repo: Option<RepoName>,
    },
    /// Who did what
    Audit(Audit),
    /// Whether the daemon is well
    Health,
    /// What wants a person
    Problems,
    /// Containers under the daemon's label that it knows no run for
    Orphans {
        /// End and remove them
        #[arg(long)]
        stop: bool,
        /// Only these
        #[arg(value_name = "NAME", requires = "stop")]
        names: Vec<String>,
    },
    /// What was used and what it cost, what is left of the budgets, and which programs wait
    Usage,
    /// Hand out nothing until thawed; what runs goes on
    Freeze,
    /// Hand out work again
    Thaw,
    /// Write a saved task down as a prompt
    Prompt(Prompt),
    /// Check a worker's last words, on standard input, against its task; exit 1 if they break it
    Guard(Guard),
    /// Serve tools to an agent over standard input and output (Model Context Protocol)
    Mcp,
    /// The whole loop with sample issues, a private daemon and no network
    Demo(Demo),
    /// The board's keys, and what is wrong with client.toml
    Keys {
        /// Say only what is wrong; exit 1 if anything is
        #[arg(long)]
        check: bool,
    },
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page, or write those of all commands into a directory
    Man {
        /// Write dispatch.1, dispatch-next.1 and so on here
        #[arg(long, value_name = "DIR")]
        dir: Option<std::path::PathBuf>,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Next {
    #[arg(long, short, env = "DISPATCH_AGENT_NAME", value_parser = AgentName::parse)]
    pub(crate) agent: AgentName,
    /// Only this lane
    #[arg(long, short)]
    pub(crate) lane: Option<String>,
    /// `groom` for groomers
    #[arg(long)]
    pub(crate) mode: Option<String>,
    /// Wait so long for work: 30s, 2m
    #[arg(long, value_name = "TIME")]
    pub(crate) wait: Option<String>,
    /// Look only; claim nothing
    #[arg(long, conflicts_with_all = ["wait", "resume", "key"])]
    pub(crate) peek: bool,
    /// Return the agent's own live work
    #[arg(long)]
    pub(crate) resume: bool,
    /// Idempotency key: the same key gets the same task again
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Print a prompt ready to pipe into a harness; nothing if there is no task
    #[arg(long)]
    pub(crate) prompt: bool,
    /// With --prompt: coding, conventions, security, review, reading, followup-pr, groom or a file (default: by the task's
    /// kind)
    #[arg(long, value_name = "NAME or FILE", requires = "prompt")]
    pub(crate) template: Option<String>,
    /// Keep the task as JSON here, for `guard`
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<std::path::PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Report {
    #[arg(long, short, env = "DISPATCH_AGENT_NAME", value_parser = AgentName::parse)]
    pub(crate) agent: AgentName,
    /// pr_opened, pr_updated, issue_updated, issue_closed, blocked, failed, no_changes_needed or already_addressed
    #[arg(value_parser = super::tasks::outcome)]
    pub(crate) outcome: dispatch_shared::task::Outcome,
    /// implement, followup-pr or groom
    #[arg(long = "type", default_value = "implement", value_parser = super::tasks::kind)]
    pub(crate) kind: dispatch_shared::task::TaskType,
    /// owner/repo#12, #12 if one repository is tracked, or an id
    #[arg(long, short)]
    pub(crate) issue: Option<String>,
    /// The claim meant
    #[arg(long, value_name = "c-N")]
    pub(crate) claim: Option<ClaimId>,
    /// The pull request's number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) pr: Option<u64>,
    /// The pull request's address
    #[arg(long, value_name = "URL")]
    pub(crate) pr_url: Option<String>,
    /// One paragraph
    #[arg(long)]
    pub(crate) summary: Option<String>,
    /// What went wrong, or the question
    #[arg(long)]
    pub(crate) error: Option<String>,
    /// Why nothing was needed
    #[arg(long)]
    pub(crate) evidence: Option<String>,
    /// Idempotency key: a repeat gets the same answer
    #[arg(long)]
    pub(crate) key: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Claim {
    /// owner/repo#12, #12 if one repository is tracked, or an id
    pub(crate) issue: String,
    #[arg(long, short, env = "DISPATCH_AGENT_NAME", value_parser = AgentName::parse)]
    pub(crate) agent: AgentName,
    /// The claim meant
    #[arg(long, value_name = "c-N")]
    pub(crate) claim: Option<ClaimId>,
    /// Take it from whoever holds it
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Issues {
    /// owner/repo
    #[arg(long, short)]
    pub(crate) repo: Option<String>,
    #[arg(long, short)]
    pub(crate) status: Option<String>,
    #[arg(long, short)]
    pub(crate) lane: Option<String>,
    #[arg(long, short)]
    pub(crate) agent: Option<String>,
    #[arg(long, short)]
    pub(crate) priority: Option<String>,
    /// Closed ones of any age too
    #[arg(long)]
    pub(crate) closed: bool,
    /// At most so many
    #[arg(long, short = 'n')]
    pub(crate) limit: Option<usize>,
    /// Words that must be in the title or number
    pub(crate) words: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Repos {
    /// List them (default)
    List,
    /// Track a repository: owner/name on GitHub, or a directory with a git repository
    Add {
        #[arg(value_name = "OWNER/NAME or DIRECTORY")]
        repo: String,
        /// For a directory: the name to show it under
        #[arg(long, value_name = "OWNER/NAME")]
        name: Option<RepoName>,
    },
    /// Track it no longer; its history stays
    Remove {
        #[arg(value_name = "OWNER/NAME")]
        repo: RepoName,
    },
    /// Let the built-in runner work on a repository, or not
    Runner {
        state: OnOff,
        #[arg(value_name = "OWNER/NAME")]
        repo: Option<RepoName>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnOff {
    On,
    Off,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Audit {
    /// owner/repo
    #[arg(long, short)]
    pub(crate) repo: Option<String>,
    /// An id or number
    #[arg(long, short)]
    pub(crate) issue: Option<String>,
    #[arg(long)]
    pub(crate) actor: Option<String>,
    #[arg(long)]
    pub(crate) action: Option<String>,
    /// At most so many, newest first
    #[arg(long, short = 'n')]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Demo {
    /// No board: say each step on a line, exit 0 if all went as it should
    #[arg(long)]
    pub(crate) headless: bool,
    /// Keep repository and state in this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<std::path::PathBuf>,
    /// auto takes a container engine that has an image, else the host
    #[arg(long, default_value = "auto", value_parser = ["auto", "host", "docker", "podman"])]
    pub(crate) runtime: String,
}

fn status(text: &str) -> Result<Status, String> {
    Status::read(text).ok_or_else(|| {
        format!("there is no column `{text}`: name one of {}", Status::ALL.map(Status::word).join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn words_are_checked_before_a_daemon_is_asked() {
        let fails = |line: &str| Args::try_parse_from(line.split(' ')).unwrap_err().to_string();
        assert!(fails("dispatch move #1 somewhere").contains("no column `somewhere`"));
        assert!(fails("dispatch next --agent a/b").contains("no agent name"));
        assert!(fails("dispatch logs x-1").contains("r-7"));
        assert!(fails("dispatch report --agent a nonsense").contains("pr_opened"));
    }
}
