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
pub(crate) struct Run {
    /// owner/repo
    #[arg(value_name = "REPO")]
    pub(crate) repo: String,
    /// What is to be done, in words
    #[arg(required = true)]
    pub(crate) task: Vec<String>,
    /// The program that runs, `program` or `program:model` (default: the configured one)
    #[arg(long, short)]
    pub(crate) agent: Option<String>,
    /// Work on this issue
    #[arg(long, short, value_name = "NUMBER")]
    pub(crate) issue: Option<u64>,
    /// Work on this pull request
    #[arg(long, value_name = "NUMBER")]
    pub(crate) pr: Option<u64>,
    /// Work on this branch
    #[arg(long, value_name = "NAME")]
    pub(crate) branch: Option<String>,
    /// Start from this tag
    #[arg(long, value_name = "NAME")]
    pub(crate) tag: Option<String>,
    /// The prompt's template
    #[arg(long)]
    pub(crate) template: Option<String>,
    /// The plan's template
    #[arg(long)]
    pub(crate) plan_template: Option<String>,
    /// The persona put before the prompt
    #[arg(long)]
    pub(crate) persona: Option<String>,
    /// A variable of the template; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) variables: Vec<(String, String)>,
    /// Show the prompt; start nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Prompt {
    /// The task, as `next --save` kept it; `-` reads standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) task: PathBuf,
    /// worker, groomer, reviewer or a file (default: by the task's kind)
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
