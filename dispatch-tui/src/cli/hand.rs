//! A run started by hand.

use std::process::ExitCode;

use dispatch_shared::client::Client;
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::dispatch::DispatchRequest;

use super::out::{Colour, Out, dim};
use super::work_args::Run;
use super::{Failure, issue, runs};

pub(super) async fn run(client: &Client, run: Run, out: &mut Out) -> Result<ExitCode, Failure> {
    let variables = (!run.variables.is_empty()).then(|| run.variables.into_iter().collect());
    let repo = match run.repo.as_str() {
        "." => issue::only_repo(client).await?.to_string(),
        _ => run.repo,
    };
    let body = DispatchRequest {
        repo,
        org: None,
        task: run.task.join(" "),
        agent: run.agent,
        template: run.template,
        plan_template: run.plan_template,
        variables,
        persona: run.persona,
        issue: run.issue,
        pr: run.pr,
        branch: run.branch,
        tag: run.tag,
        dry_run: run.dry_run.then_some(true),
    };
    let answer = client.dispatch(&body).await?;
    if let Some(prompt) = &answer.prompt {
        if out.json {
            out.json(&answer)?;
        } else {
            out.foreign(prompt)?;
            std::io::Write::flush(out)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(id) = answer.run_id.filter(|_| run.follow) else {
        if out.json {
            out.json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut rows: Vec<(&str, String)> =
            answer.run_id.map(|id| ("run", id.to_string())).into_iter().collect();
        rows.push(("program", answer.agent));
        rows.push(("repository", answer.repo));
        rows.push(("workspace", answer.workspace_dir));
        rows.extend(answer.waits_for.map(|why| ("waits", why)));
        out.table(&["", ""], rows.into_iter().map(|(name, v)| vec![dim(name), v.into()]).collect(), "")?;
        return Ok(ExitCode::SUCCESS);
    };
    if !out.json {
        let waits = answer.waits_for.map(|why| format!(", waits: {why}")).unwrap_or_default();
        out.tinted(&format!("{id} with {}{waits}", answer.agent), Colour::Dim)?;
    }
    followed(client, id, out).await
}

/// Prints the log until the run is over; exit 0 only if it succeeded.
async fn followed(client: &Client, id: RunId, out: &mut Out) -> Result<ExitCode, Failure> {
    runs::logs(client, id, true, None, None, out).await?;
    let run = client.run(id).await?;
    if !run.ended {
        return Err(Failure::Said(format!(
            "the log broke off, and {id} is {}; go on with `dispatch logs {id} --follow`",
            run.state
        )));
    }
    if !out.json {
        let why = run.question.as_ref().or(run.reason.as_ref()).or(run.pull_request_url.as_ref());
        let why = why.map(|w| format!(": {}", w.lines().next().unwrap_or_default())).unwrap_or_default();
        out.tinted(&format!("{id} {}{why}", run.state), Colour::of(&run.state))?;
    }
    Ok(if run.state == "succeeded" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
