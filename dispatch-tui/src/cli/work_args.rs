//! The words of the commands that harnesses use beside the plain loop. The comments here are the help text.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use dispatch_shared::claim::Checkpoint as State;
use dispatch_shared::id::{AgentName, ClaimId};

#[derive(Debug, ClapArgs)]
pub(crate) struct Checkpoint {
    #[arg(long, short, env = "DISPATCH_AGENT_NAME", value_parser = AgentName::parse)]
    pub(crate) agent: AgentName,
    /// claimed, repo-prepared, branch-created, changes-made, tests-running, pr-opened, done or blocked
    #[arg(value_parser = state)]
    pub(crate) checkpoint: State,
    /// One line
    #[arg(long)]
    pub(crate) summary: Option<String>,
    /// blocked: what a person has to answer
    #[arg(long, required_if_eq_any = [("checkpoint", "blocked"), ("checkpoint", "BLOCKED")])]
    pub(crate) reason: Option<String>,
    /// The claim meant
    #[arg(long, value_name = "c-N")]
    pub(crate) claim: Option<ClaimId>,
}

#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("subject").args(["issue", "pr", "branch", "tag"]).required(true))]
#[command(
    after_help = "By hand is explicit: it works whether or not the built-in runner is on for the repository, and whatever column \
                  and flags an issue has. Claims, limits and a freeze hold nevertheless: an issue that somebody holds is \
                  refused, and without a free slot the run waits its turn.\n\nExamples:\n  \
                  dispatch run acme/api 'Fix the flaky test' --issue 12 --follow\n  \
                  dispatch run acme/api 'Bring it up to date with main' --pr 34\n  \
                  dispatch run acme/api 'Port the parser' --branch port --plan-template port --var from=libfoo\n  \
                  dispatch run acme/api 'What changed since 1.2?' --tag v1.3 --template reading --dry-run"
)]
pub(crate) struct Run {
    /// owner/repo, or `.` if one repository is tracked
    #[arg(value_name = "REPO")]
    pub(crate) repo: String,
    /// What is to be done, in words
    #[arg(required = true)]
    pub(crate) task: Vec<String>,
    /// The program that runs, `program` or `program:model` (default: the configured one)
    #[arg(long, short)]
    pub(crate) agent: Option<String>,
    /// Work on this issue: claims it, and opens a pull request
    #[arg(long, short, value_name = "NUMBER")]
    pub(crate) issue: Option<u64>,
    /// Work on this pull request, and push to its branch
    #[arg(long, value_name = "NUMBER")]
    pub(crate) pr: Option<u64>,
    /// Work on this branch, and push to it; it is made from the default branch if it is new
    #[arg(long, value_name = "NAME")]
    pub(crate) branch: Option<String>,
    /// Work from this tag; nothing is pushed
    #[arg(long, value_name = "NAME")]
    pub(crate) tag: Option<String>,
    /// The prompt's template: coding, conventions, security, review, reading, followup-pr, groom, or one of your own (default: the configured
    /// one)
    #[arg(long)]
    pub(crate) template: Option<String>,
    /// Put a plan into the prompt: bug-fix, new-feature, refactor, port, or one of your own
    #[arg(long)]
    pub(crate) plan_template: Option<String>,
    /// The persona put before the prompt: engineer, reviewer, security, tester, writer, or one of your own
    #[arg(long)]
    pub(crate) persona: Option<String>,
    /// A variable of the template; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) variables: Vec<(String, String)>,
    /// Prepare the workspace and show the prompt; start nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the log until the run is over; exit 0 only if it succeeded
    #[arg(long, short, conflicts_with = "dry_run")]
    pub(crate) follow: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Prompt {
    /// The task, as `next --save` kept it; `-` reads standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) task: PathBuf,
    /// coding, conventions, security, review, reading, followup-pr, groom or a file (default: by the task's kind)
    #[arg(long, value_name = "NAME or FILE")]
    pub(crate) template: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Guard {
    /// The task, as `next --save` kept it
    #[arg(long, value_name = "FILE")]
    pub(crate) task: PathBuf,
    /// What the worker said at the end (default: standard input)
    pub(crate) said: Vec<String>,
    /// Report the outcome to the daemon; words that break the contract are reported as a failed task
    #[arg(long)]
    pub(crate) report: bool,
}

fn state(text: &str) -> Result<State, String> {
    let word = text.trim().to_uppercase().replace('-', "_");
    serde_json::from_value(word.into()).map_err(|_| {
        format!(
            "`{text}` is no checkpoint: write claimed, repo-prepared, branch-created, changes-made, tests-running, \
             pr-opened, done or blocked"
        )
    })
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` sets nothing: write NAME=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::Args;
    use clap::Parser as _;

    #[test]
    fn a_checkpoint_is_read_in_either_spelling_and_blocked_needs_a_reason() {
        let reads = |line: &str| Args::try_parse_from(line.split(' ')).is_ok();
        assert!(reads("dispatch checkpoint --agent a changes-made"));
        assert!(reads("dispatch checkpoint --agent a CHANGES_MADE"));
        assert!(!reads("dispatch checkpoint --agent a somewhere"));
        assert!(!reads("dispatch checkpoint --agent a blocked"));
        assert!(reads("dispatch checkpoint --agent a blocked --reason why"));
    }

    #[test]
    fn a_run_names_exactly_one_subject() {
        let reads = |line: &str| Args::try_parse_from(line.split(' ')).is_ok();
        assert!(reads("dispatch run a/b do it --issue 4"));
        assert!(!reads("dispatch run a/b do it"));
        assert!(!reads("dispatch run a/b do it --issue 4 --branch x"));
        assert!(!reads("dispatch run a/b do it --issue 4 --var x"));
    }
}
