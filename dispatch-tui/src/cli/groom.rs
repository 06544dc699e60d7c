//! Grooming by hand and by the hosted groomer, and splitting an issue into others.

use std::process::ExitCode;

use dispatch_shared::client::Client;
use dispatch_shared::protocol::grooming::{
    ChildItem, ChildrenRequest, DecomposeRequest, GroomAction, GroomRequest, GroomerRun, GroomerRunRequest,
    GroomerStatus,
};

use super::groom_args::{Children, Decompose, Groom};
use super::out::{Colour, Out, dim, word};
use super::{Failure, IDLE, issue};

pub(super) async fn groom(client: &Client, asked: Groom, out: &mut Out) -> Result<ExitCode, Failure> {
    if asked.run {
        return hosted(client, asked, out).await;
    }
    let (Some(text), Some(action)) = (&asked.issue, asked.action) else {
        return Err(Failure::Said("name the issue and the decision, or --run".to_owned()));
    };
    let of = |wanted: GroomAction| asked.reason.clone().filter(|_| action == wanted);
    let request = GroomRequest {
        issue: issue::reference(client, text).await?,
        action,
        grooming_summary: asked.summary.clone(),
        not_ready_reason: of(GroomAction::MarkNotReady),
        needs_info_reason: of(GroomAction::MarkNeedsInfo),
        blocked_reason: of(GroomAction::MarkBlocked),
        agent_name: asked.agent.as_ref().map(ToString::to_string),
    };
    let answer = client.groom(&request).await?;
    if out.json {
        out.json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let status = answer.status.as_deref().unwrap_or("no status").trim_start_matches("status/");
    let said = if answer.commented { ", a comment says so" } else { "" };
    out.tinted(&format!("{status}, lane {}{said}", answer.lane), Colour::of(status))?;
    Ok(ExitCode::SUCCESS)
}

async fn hosted(client: &Client, asked: Groom, out: &mut Out) -> Result<ExitCode, Failure> {
    let mut request = GroomerRunRequest {
        dry_run: Some(!asked.apply),
        repo_full_name: asked.repo.as_ref().map(ToString::to_string),
        issue_number: None,
        force: asked.force.then_some(true),
    };
    if let Some(text) = &asked.issue {
        let found = client.issue(&issue::id(client, text).await?).await?;
        request.repo_full_name = Some(found.repo_full_name.to_string());
        request.issue_number = Some(found.number);
    }
    let run = client.run_groomer(&request).await?;
    if out.json {
        out.json(&run)?;
    } else {
        tell(&run, out)?;
    }
    Ok(match run.status {
        GroomerStatus::Completed | GroomerStatus::DryRunCompleted => ExitCode::SUCCESS,
        GroomerStatus::Idle => ExitCode::from(IDLE),
        GroomerStatus::Failed => ExitCode::FAILURE,
    })
}

fn tell(run: &GroomerRun, out: &mut Out) -> Result<(), Failure> {
    let state = match run.status {
        GroomerStatus::Completed => "done",
        GroomerStatus::DryRunCompleted => "nothing was changed; --apply does it",
        GroomerStatus::Failed => "failed",
        GroomerStatus::Idle => "no issue waits for grooming",
    };
    let mut rows = vec![("", state.to_owned())];
    if let (Some(repo), Some(number)) = (&run.repo_full_name, run.issue_number) {
        rows.push(("issue", format!("{repo}#{number}")));
    }
    if let Some(output) = &run.output {
        rows.push(("decision", output.action.word().replace('_', "-")));
        rows.extend(output.lane.clone().map(|lane| ("lane", lane)));
        rows.extend((!output.labels.is_empty()).then(|| ("labels", output.labels.join(", "))));
        rows.push(("summary", output.summary.clone()));
        rows.extend(output.reason.clone().map(|reason| ("reason", reason)));
    }
    rows.extend(run.error.clone().map(|why| ("why", why)));
    let rows = rows.into_iter().map(|(name, value)| vec![dim(name), value.into()]).collect();
    Ok(out.table(&["", ""], rows, "")?)
}

pub(super) async fn children(client: &Client, asked: Children, out: &mut Out) -> Result<(), Failure> {
    let id = issue::id(client, &asked.issue).await?;
    let items = asked.titles.into_iter().map(ChildItem::Title).collect();
    let answer = client.children(&id, &ChildrenRequest { items, dry_run: Some(!asked.apply) }).await?;
    if out.json {
        return Ok(out.json(&answer)?);
    }
    let rows = answer.children.iter().map(|child| {
        let number = child.number.map_or_else(|| "-".to_owned(), |n| format!("#{n}"));
        vec![word(&child.state), number.into(), (&child.title).into(), dim(child.labels.join(", "))]
    });
    out.table(&["STATE", "ISSUE", "TITLE", "LABELS"], rows.collect(), "no child is left to be made")?;
    if answer.dry_run && !answer.children.is_empty() && out.tty {
        out.tinted("nothing was made; --apply makes them", Colour::Dim)?;
    }
    Ok(())
}

pub(super) async fn decompose(client: &Client, asked: Decompose, out: &mut Out) -> Result<(), Failure> {
    let request = DecomposeRequest {
        repo: None,
        issue: issue::reference(client, &asked.issue).await?,
        decomposed: Some(!asked.undo),
        follow_up_urls: (!asked.urls.is_empty()).then_some(asked.urls),
        note: asked.note,
        agent_name: asked.agent.map(|a| a.to_string()),
        actor: None,
    };
    let answer = client.decompose(&request).await?;
    if out.json {
        return Ok(out.json(&answer)?);
    }
    let said = match (answer.decomposed, answer.follow_up_urls.len()) {
        (false, _) => "not split; it may be handed out".to_owned(),
        (true, 0) => "split; it is handed out no more".to_owned(),
        (true, n) => format!("split into {n}; work on those is handed out instead"),
    };
    Ok(out.line(said)?)
}
