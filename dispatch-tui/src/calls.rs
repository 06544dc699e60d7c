//! Changes by hand as calls of the API, each with the sentence that tells what came of it.

use dispatch_shared::client::{self, Client};
use dispatch_shared::id::{IssueId, RepoName};
use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::automation::{RunActionQuery, RunActionRequest, WorkflowsQuery};
use dispatch_shared::protocol::cards::{CommentRequest, LabelRequest, StatusRequest};
use dispatch_shared::protocol::dispatch::DispatchRequest;
use dispatch_shared::protocol::grooming::DecomposeRequest;
use dispatch_shared::protocol::lanes::{Classification, Confidence, LaneAnswer, LaneRequest};
use dispatch_shared::protocol::repos::PatchRepoRequest;

use crate::effect::Write;

/// Makes the change; an empty sentence says no more than that it was made.
///
/// # Errors
/// What the daemon said, in words.
pub(crate) async fn write(client: &Client, write: &Write) -> Result<String, String> {
    let said = match write {
        Write::Priority { issue, off, on } => {
            // The new one first: were the call between lost, the higher of two still counts and nothing is without.
            if let Some(on) = on {
                label(client, issue, on, true).await?;
            }
            for off in off {
                label(client, issue, off, false).await?;
            }
            String::new()
        }
        Write::Label { issue, label: name, there } => {
            label(client, issue, name, *there).await?;
            String::new()
        }
        Write::Lane { issue, to, .. } => {
            let found =
                Classification { lane: to.clone(), confidence: Confidence::High, reason: String::new() };
            let body = LaneRequest { model: None, classification: Some(found) };
            let path = format!("/api/issues/{issue}/lane");
            let answer: LaneAnswer = client.call("POST", &path, &body).await.map_err(words)?;
            match answer.current_lane == *to {
                true => String::new(),
                false => format!("lane {to} is set; it is still worked in {}", answer.current_lane),
            }
        }
        Write::Comment { issue, body } => {
            let body = CommentRequest { issue: IssueRef::id(issue), body: body.clone() };
            client.comment(&body).await.map_err(words)?;
            "the comment is on its way".to_owned()
        }
        Write::Note { issue, note } => {
            let body = DecomposeRequest {
                issue: IssueRef::id(issue),
                decomposed: Some(true),
                note: Some(note.clone()),
                ..DecomposeRequest::default()
            };
            client.decompose(&body).await.map_err(words)?;
            String::new()
        }
        Write::Block { issue, reason } => {
            let body = StatusRequest {
                issue: IssueRef::id(issue),
                status: "blocked".to_owned(),
                blocked_reason: Some(reason.clone()),
                ..StatusRequest::default()
            };
            client.set_status(&body).await.map_err(words)?;
            String::new()
        }
        Write::ResetReady(issue) => {
            let answer = client.reset_ready(&IssueRef::id(issue)).await.map_err(words)?;
            answer.status_note.unwrap_or_default()
        }
        Write::Refresh(issue) => {
            client.refresh(&IssueRef::id(issue)).await.map_err(words)?;
            String::new()
        }
        Write::Rerun { repo, sha, .. } => rerun(client, repo, sha).await?,
        Write::Start { repo, number, program, task, .. } => {
            let body = DispatchRequest {
                repo: repo.to_string(),
                task: task.clone(),
                agent: program.clone(),
                issue: Some(*number),
                ..DispatchRequest::default()
            };
            let answer = client.dispatch(&body).await.map_err(words)?;
            let run = answer.run_id.map(|r| r.to_string()).unwrap_or_else(|| "a run".to_owned());
            let waits = answer.waits_for.map(|why| format!(", waits: {why}")).unwrap_or_default();
            format!("{run} with {}{waits}", answer.agent)
        }
        Write::Freeze(frozen) => {
            client.freeze(*frozen).await.map_err(words)?;
            if *frozen { "frozen: nothing more is handed out".to_owned() } else { "thawed".to_owned() }
        }
        Write::Runner { repo, on } => {
            let body = PatchRepoRequest { runner_enabled: Some(*on), ..PatchRepoRequest::default() };
            client.patch_repo(repo, &body).await.map_err(words)?;
            String::new()
        }
        Write::WipLimit { repo, to, .. } => {
            let body = PatchRepoRequest { wip_limit: Some(*to), ..PatchRepoRequest::default() };
            client.patch_repo(repo, &body).await.map_err(words)?;
            String::new()
        }
        Write::Lanes { repo, to, .. } => {
            let body = PatchRepoRequest { lanes: Some(to.clone()), ..PatchRepoRequest::default() };
            client.patch_repo(repo, &body).await.map_err(words)?;
            String::new()
        }
        Write::Untrack(repo) => {
            client.remove_repo(repo).await.map_err(words)?;
            format!("{repo} is tracked no longer")
        }
    };
    Ok(said)
}

fn words(error: client::Error) -> String {
    error.to_string()
}

async fn label(client: &Client, issue: &IssueId, label: &str, there: bool) -> Result<(), String> {
    let body = LabelRequest { issue: IssueRef::id(issue), label: label.to_owned() };
    client.label(&body, there).await.map(drop).map_err(words)
}

/// Runs the failed workflows of a commit again.
async fn rerun(client: &Client, repo: &RepoName, sha: &str) -> Result<String, String> {
    let query = WorkflowsQuery { repo: Some(repo.to_string()), ..WorkflowsQuery::default() };
    let workflows = client.workflows(&query).await.map_err(words)?;
    let ended_badly = |c: &str| matches!(c, "failure" | "timed_out" | "cancelled" | "startup_failure");
    let mut done = Vec::new();
    for workflow in &workflows {
        // Only the newest run on this commit counts.
        let Some(run) = workflow.recent_runs.iter().find(|r| r.head_sha == sha) else { continue };
        if run.conclusion.as_deref().is_some_and(ended_badly) {
            let query =
                RunActionQuery { action: Some("rerun".to_owned()), repo_full_name: Some(repo.to_string()) };
            client.act_on_run(&run.id, &query, &RunActionRequest::default()).await.map_err(words)?;
            done.push(workflow.name.clone());
        }
    }
    match done.is_empty() {
        true => Err(format!(
            "no failed workflow is known for {}; what failed may be no workflow, or `S` has to read the forge first",
            sha.get(..8).unwrap_or(sha)
        )),
        false => Ok(format!("runs again: {}", done.join(", "))),
    }
}
