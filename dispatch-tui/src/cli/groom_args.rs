//! The words of grooming and splitting. The comments here are the help text.

use clap::Args as ClapArgs;
use dispatch_shared::id::{AgentName, RepoName};
use dispatch_shared::protocol::grooming::GroomAction;

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  \
    dispatch groom acme/api#12 ready --summary 'Clear, and small'\n  \
    dispatch groom 12 needs-info --reason 'Which version?'\n  \
    dispatch groom --run            what the hosted groomer would do with the next issue\n  \
    dispatch groom --run 12 --apply have it do so with this one")]
pub(crate) struct Groom {
    /// owner/repo#12, #12 if one repository is tracked, or an id (with --run: default the next one that waits)
    #[arg(required_unless_present = "run")]
    pub(crate) issue: Option<String>,
    /// ready: it can be worked on; escalate: to the lane for hard work; not-ready: to the backlog; needs-info: its author is
    /// asked; blocked: something comes first
    #[arg(value_parser = action, required_unless_present = "run", conflicts_with = "run")]
    pub(crate) action: Option<GroomAction>,
    /// What was found, for people; becomes a comment
    #[arg(long, conflicts_with = "run")]
    pub(crate) summary: Option<String>,
    /// not-ready, needs-info and blocked: why, or the question
    #[arg(long, conflicts_with = "run")]
    pub(crate) reason: Option<String>,
    /// Who grooms
    #[arg(long, short, env = "DISPATCH_AGENT_NAME", value_parser = AgentName::parse)]
    pub(crate) agent: Option<AgentName>,
    /// Have the hosted groomer decide; it only says what it would do, unless --apply
    #[arg(long)]
    pub(crate) run: bool,
    /// With --run: do it
    // Named as a conflict as well: what is required is let go where it would conflict with what is there.
    #[arg(long, requires = "run", conflicts_with = "action")]
    pub(crate) apply: bool,
    /// With --run: only this repository
    #[arg(long, value_name = "OWNER/REPO", requires = "run", conflicts_with = "issue")]
    pub(crate) repo: Option<RepoName>,
    /// With --run: also an issue that was groomed before
    #[arg(long, requires = "run", conflicts_with = "action")]
    pub(crate) force: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Children {
    /// owner/repo#12, #12 if one repository is tracked, or an id
    pub(crate) issue: String,
    /// Their titles (default: the open items of the issue's check-list)
    pub(crate) titles: Vec<String>,
    /// Make them; without this it only says which there would be
    #[arg(long)]
    pub(crate) apply: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Decompose {
    /// owner/repo#12, #12 if one repository is tracked, or an id
    pub(crate) issue: String,
    /// Addresses of the issues that it is split into
    #[arg(value_name = "URL")]
    pub(crate) urls: Vec<String>,
    /// Why
    #[arg(long)]
    pub(crate) note: Option<String>,
    /// It is not split any more: it may be handed out again
    #[arg(long, conflicts_with = "urls")]
    pub(crate) undo: bool,
    /// Who says so
    #[arg(long, short, env = "DISPATCH_AGENT_NAME", value_parser = AgentName::parse)]
    pub(crate) agent: Option<AgentName>,
}

fn action(text: &str) -> Result<GroomAction, String> {
    let word = text.trim().to_lowercase().replace('-', "_");
    let full = ["promote_to_", "mark_", ""].map(|head| format!("{head}{word}"));
    GroomAction::ALL.into_iter().find(|a| full.iter().any(|f| f == a.word())).ok_or_else(|| {
        format!("`{text}` is no decision: write ready, escalate, not-ready, needs-info or blocked")
    })
}

#[cfg(test)]
mod tests {
    use super::super::args::Args;
    use super::*;
    use clap::Parser as _;

    #[test]
    fn decisions_are_read_short_and_whole() {
        assert_eq!(action("ready"), Ok(GroomAction::PromoteToReady));
        assert_eq!(action("needs-info"), Ok(GroomAction::MarkNeedsInfo));
        assert_eq!(action("mark_blocked"), Ok(GroomAction::MarkBlocked));
        assert_eq!(action("escalate"), Ok(GroomAction::Escalate));
        assert!(action("maybe").unwrap_err().contains("not-ready"));
    }

    #[test]
    fn a_decision_or_the_hosted_groomer_not_both() {
        let reads = |line: &str| Args::try_parse_from(line.split(' ')).is_ok();
        assert!(reads("dispatch groom 12 ready"));
        assert!(reads("dispatch groom --run"));
        assert!(reads("dispatch groom --run 12 --apply"));
        assert!(!reads("dispatch groom 12"));
        assert!(!reads("dispatch groom"));
        assert!(!reads("dispatch groom --run 12 ready"));
        assert!(!reads("dispatch groom 12 ready --apply"));
        assert!(reads("dispatch children 12 one two --apply"));
        assert!(reads("dispatch decompose 12 https://x/1 --note why"));
        assert!(!reads("dispatch decompose 12 https://x/1 --undo"));
    }
}
