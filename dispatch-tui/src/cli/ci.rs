//! The forge's automation: workflows, their runs, what happened; a run again, a workflow by hand.

use clap::Subcommand;
use dispatch_shared::client::Client;
use dispatch_shared::id::RepoName;
use dispatch_shared::protocol::actions::{Workflow, WorkflowRun};
use dispatch_shared::protocol::automation::{
    AutomationEventsQuery, RunActionAnswer, RunActionQuery, RunActionRequest, WorkflowsQuery,
};

use super::Failure;
use super::out::{Cell, Out, dim, word};

#[derive(Debug, Subcommand)]
pub(crate) enum Ci {
    /// List workflows and how they fare (default)
    List {
        /// Only this repository
        #[arg(long, short, value_name = "OWNER/REPO")]
        repo: Option<RepoName>,
        /// Only those that fail
        #[arg(long)]
        failing: bool,
    },
    /// List runs of workflows, newest first
    Runs {
        /// Only this repository
        #[arg(long, short, value_name = "OWNER/REPO")]
        repo: Option<RepoName>,
        /// Only on this branch or tag
        #[arg(long, short)]
        branch: Option<String>,
        /// At most so many of each workflow
        #[arg(long, short = 'n', default_value_t = 10)]
        limit: usize,
    },
    /// What happened: pushes, releases, runs, pull requests, issues, syncs; newest first
    Events {
        /// Only this repository
        #[arg(long, short, value_name = "OWNER/REPO")]
        repo: Option<RepoName>,
        /// Only these: push, release, run, run_failed, pr, issue, sync…; several with commas
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// At most so many
        #[arg(long, short = 'n')]
        limit: Option<usize>,
    },
    /// Run the failed jobs of a run again, or all of them if none failed
    Rerun {
        #[arg(value_name = "RUN")]
        run: String,
        /// Its repository, for a run that has not been read
        #[arg(long, short, value_name = "OWNER/REPO")]
        repo: Option<RepoName>,
    },
    /// Start a workflow by hand
    Run {
        /// Its file (ci.yml), its id, or one of its runs
        #[arg(value_name = "WORKFLOW")]
        workflow: String,
        #[arg(long, short, value_name = "OWNER/REPO")]
        repo: Option<RepoName>,
        /// The branch or tag (default: the run's, else the default branch)
        #[arg(long = "ref", value_name = "REF")]
        git_ref: Option<String>,
        /// An input of the workflow
        #[arg(long = "input", short, value_name = "NAME=VALUE", value_parser = input)]
        inputs: Vec<(String, String)>,
    },
}

fn input(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is no input: write NAME=VALUE")),
    }
}

pub(super) async fn ci(client: &Client, what: Option<Ci>, out: &mut Out) -> Result<(), Failure> {
    match what.unwrap_or(Ci::List { repo: None, failing: false }) {
        Ci::List { repo, failing } => list(client, repo, failing, out).await,
        Ci::Runs { repo, branch, limit } => runs(client, repo, branch, limit, out).await,
        Ci::Events { repo, kind, limit } => events(client, repo, kind, limit, out).await,
        Ci::Rerun { run, repo } => {
            let answer = act(client, &run, "rerun", repo, &RunActionRequest::default()).await?;
            done(&answer, out)
        }
        Ci::Run { workflow, repo, git_ref, inputs } => {
            let inputs = inputs.into_iter().map(|(name, value)| (name, value.into())).collect();
            let answer =
                act(client, &workflow, "dispatch", repo, &RunActionRequest { git_ref, inputs }).await?;
            done(&answer, out)
        }
    }
}

async fn act(
    client: &Client,
    id: &str,
    action: &str,
    repo: Option<RepoName>,
    body: &RunActionRequest,
) -> Result<RunActionAnswer, Failure> {
    // It becomes part of a path.
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || !id.chars().all(fine) {
        return Err(Failure::Said(format!(
            "`{id}` is no run and no workflow: give a number, or a file like ci.yml"
        )));
    }
    let query =
        RunActionQuery { action: Some(action.to_owned()), repo_full_name: repo.map(|r| r.to_string()) };
    Ok(client.act_on_run(id, &query, body).await?)
}

fn done(answer: &RunActionAnswer, out: &mut Out) -> Result<(), Failure> {
    if out.json { Ok(out.json(answer)?) } else { Ok(out.line(&answer.message)?) }
}

/// What a run is in one word.
fn state(run: &WorkflowRun) -> &str {
    run.conclusion.as_deref().unwrap_or(&run.status)
}

fn state_cell(run: Option<&WorkflowRun>) -> Cell {
    match run.map(state) {
        Some("success") => word("ok"),
        Some("failure" | "timed_out" | "startup_failure") => word("failed"),
        Some("in_progress") => word("running"),
        Some(other) => word(other.replace('_', "-")),
        None => dim("-"),
    }
}

fn took(seconds: f64) -> String {
    let whole = seconds.round().max(0.0);
    if whole < 60.0 {
        format!("{whole}s")
    } else {
        format!("{}m{:02}s", (whole / 60.0).floor(), whole % 60.0)
    }
}

async fn list(client: &Client, repo: Option<RepoName>, failing: bool, out: &mut Out) -> Result<(), Failure> {
    let query = WorkflowsQuery { repo: repo.map(|r| r.to_string()), ..WorkflowsQuery::default() };
    let mut workflows = client.workflows(&query).await?;
    workflows.retain(|w| w.failing || !failing);
    if out.json {
        return Ok(out.json(&workflows)?);
    }
    let row = |w: &Workflow| {
        let latest = w.latest_run.as_ref();
        let rate = w.success_rate.map_or_else(|| "-".to_owned(), |r| format!("{:.0}%", r * 100.0));
        let mean = w.mean_duration_seconds.map_or_else(|| "-".to_owned(), took);
        let at = latest.and_then(|r| r.updated_at).map_or_else(|| "-".to_owned(), |at| out.age(at));
        vec![
            w.repo_full_name.as_ref().map_or_else(String::new, ToString::to_string).into(),
            (&w.name).into(),
            state_cell(latest),
            if w.failing { word("failed") } else { dim("-") },
            rate.into(),
            mean.into(),
            dim(at),
            latest.map_or("-", |r| r.id.as_str()).into(),
            dim(w.path.rsplit('/').next().unwrap_or_default()),
        ]
    };
    let rows = workflows.iter().map(row).collect();
    let heads = ["REPOSITORY", "WORKFLOW", "LATEST", "FAILS", "SUCCESS", "TAKES", "AGE", "RUN", "FILE"];
    Ok(out.table(&heads, rows, "no workflow is known; `dispatch sync` reads the forge")?)
}

async fn runs(
    client: &Client,
    repo: Option<RepoName>,
    branch: Option<String>,
    limit: usize,
    out: &mut Out,
) -> Result<(), Failure> {
    let query = WorkflowsQuery { repo: repo.map(|r| r.to_string()), branch, runs: Some(limit) };
    let workflows = client.workflows(&query).await?;
    let name = |w: &Workflow| w.repo_full_name.as_ref().map_or_else(String::new, ToString::to_string);
    let mut runs: Vec<(String, &WorkflowRun)> =
        workflows.iter().flat_map(|w| w.recent_runs.iter().map(move |r| (name(w), r))).collect();
    runs.sort_by_key(|(_, run)| std::cmp::Reverse(run.created_at));
    if out.json {
        let runs: Vec<&WorkflowRun> = runs.into_iter().map(|(_, run)| run).collect();
        return Ok(out.json(&runs)?);
    }
    let row = |(repo, run): &(String, &WorkflowRun)| {
        vec![
            (&run.id).into(),
            state_cell(Some(run)),
            repo.into(),
            format!("{} #{}", run.name, run.run_number).into(),
            run.branch.as_deref().unwrap_or("-").into(),
            dim(&run.event),
            dim(run.updated_at.map_or_else(|| "-".to_owned(), |at| out.age(at))),
            (&run.title).into(),
        ]
    };
    let rows = runs.iter().map(row).collect();
    let heads = ["RUN", "STATE", "REPOSITORY", "WORKFLOW", "BRANCH", "EVENT", "AGE", "TITLE"];
    Ok(out.table(&heads, rows, "no run is known")?)
}

async fn events(
    client: &Client,
    repo: Option<RepoName>,
    kind: Option<String>,
    limit: Option<usize>,
    out: &mut Out,
) -> Result<(), Failure> {
    let query = AutomationEventsQuery { kind, repo: repo.map(|r| r.to_string()), limit };
    let events = client.automation_events(&query).await?;
    if out.json {
        return Ok(out.json(&events)?);
    }
    let rows = events.iter().map(|e| {
        vec![
            dim(out.age(e.created_at)),
            e.repo_full_name.as_ref().map_or_else(String::new, ToString::to_string).into(),
            (&e.kind).into(),
            (&e.actor).into(),
            e.message.as_deref().unwrap_or_default().into(),
        ]
    });
    Ok(out.table(&["AGE", "REPOSITORY", "WHAT", "WHO", ""], rows.collect(), "nothing happened yet")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_names_and_values() {
        assert_eq!(input("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(input("a="), Ok(("a".into(), String::new())));
        assert!(input("a").is_err() && input("=b").is_err());
    }

    #[test]
    fn spans_are_short() {
        assert_eq!([0.4, 59.4, 60.0, 125.0].map(took), ["0s", "59s", "1m00s", "2m05s"]);
    }
}
