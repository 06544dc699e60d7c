//! Cards: listing them, moving one, and why one is or is not next.

use dispatch_shared::client::Client;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::issues::{Issue, IssuesQuery, MoveRequest, WriteState};

use super::out::{Cell, Colour, Out, dim, span, word};
use super::{Failure, args, issue, tasks};

pub(super) async fn issues(client: &Client, filter: args::Issues, out: &mut Out) -> Result<(), Failure> {
    let query = IssuesQuery {
        repo: filter.repo,
        agent: filter.agent,
        priority: filter.priority,
        status: filter.status,
        lane: filter.lane,
        q: (!filter.words.is_empty()).then(|| filter.words.join(" ")),
        include_closed: filter.closed.then_some(true),
        limit: filter.limit,
        ..IssuesQuery::default()
    };
    let issues = client.issues(&query).await?;
    if out.json {
        return Ok(out.json(&issues)?);
    }
    let rows = issues.iter().map(|i| row(i, out)).collect();
    Ok(out.table(
        &["ISSUE", "COLUMN", "PRI", "LANE", "AGE", "SPENT", "NOTE", "TITLE"],
        rows,
        "no such card",
    )?)
}

fn row(issue: &Issue, out: &Out) -> Vec<Cell> {
    let priority = issue.priority.as_deref().unwrap_or("-").trim_start_matches("priority/");
    vec![
        format!("{}#{}", issue.repo_full_name, issue.number).into(),
        word(issue.column),
        priority.into(),
        (&issue.lane).into(),
        dim(out.age(issue.since)),
        dim(spent(issue)),
        word(note(issue)),
        (&issue.title).into(),
    ]
}

/// How long was worked on it, by agents of any kind.
fn spent(issue: &Issue) -> String {
    match issue.time_spent_seconds {
        0 => "-".to_owned(),
        s => span(std::time::Duration::from_secs(s)),
    }
}

/// The one thing about a card that matters most beside its column.
fn note(issue: &Issue) -> String {
    if let Some(flag) = issue.flags.first() {
        let label = flag.label();
        return label.trim_start_matches("status/").to_owned();
    }
    if let Some(WriteState::Refused { .. }) = issue.write {
        return "write refused".to_owned();
    }
    if let Some(claim) = &issue.claim {
        return claim.agent_name.to_string();
    }
    issue.linked_pr_number.map_or_else(|| "-".to_owned(), |n| format!("pr #{n}"))
}

pub(super) async fn move_issue(
    client: &Client,
    text: &str,
    status: Status,
    out: &mut Out,
) -> Result<(), Failure> {
    let request = MoveRequest {
        issue: issue::reference(client, text).await?,
        status: Some(status.word().to_owned()),
        ..MoveRequest::default()
    };
    let answer = client.move_issue(&request).await?;
    tasks::labels(&answer, out)
}

pub(super) async fn why(client: &Client, text: &str, out: &mut Out) -> Result<(), Failure> {
    let why = client.why(&issue::id(client, text).await?).await?;
    if out.json {
        return Ok(out.json(&why)?);
    }
    let rows = why.rules.iter();
    let rows =
        rows.map(|r| vec![word(if r.holds { "yes" } else { "no" }), (&r.rule).into(), dim(&r.why)]).collect();
    out.table(&["HOLDS", "RULE", "WHY"], rows, "no rule was checked")?;
    let (verdict, colour) = if why.eligible {
        ("may be handed out now", Colour::Green)
    } else {
        ("is not handed out now", Colour::Red)
    };
    Ok(out.tinted(&format!("{text} {verdict}"), colour)?)
}
