//! The calls of the API behind the views beside the board, and their answers.

use dispatch_shared::client::{self, Client};
use dispatch_shared::followup::FixType;
use dispatch_shared::protocol::activity::AuditQuery;
use dispatch_shared::protocol::automation::{AutomationEventsQuery, RunActionQuery, RunActionRequest};
use dispatch_shared::protocol::queue::{QueueEntry, QueueQuery};
use dispatch_shared::protocol::runs::RunsQuery;
use serde_json::Value;

use crate::effect::Effect;
use crate::model::activity::Ask;
use crate::model::queue::QueueRow;
use crate::model::text;
use crate::update::answers::Answer;
use crate::update::loaded::Loaded;

/// Carries out one effect of these views; `None` if it is none of theirs.
pub(crate) async fn ask(client: &Client, effect: Effect) -> Option<Answer> {
    let words = |e: client::Error| e.to_string();
    Some(Answer::Part(match effect {
        Effect::LoadQueue => Loaded::Queue(queue(client).await.map_err(words)),
        Effect::LoadWhy(issue) => {
            let result = client.why(&issue).await.map(|w| w.rules).map_err(words);
            Loaded::Why { issue, result }
        }
        Effect::LoadOverview => {
            Loaded::Overview(client.get("/api/overview", &()).await.map(Box::new).map_err(words))
        }
        Effect::LoadAudit(Ask { limit, actor, action, repo, issue }) => {
            let query = AuditQuery { limit: Some(limit), repo, issue, actor, action };
            Loaded::Audit(client.audit(&query).await.map_err(words))
        }
        Effect::LoadFeed(limit) => {
            let query = AutomationEventsQuery { limit: Some(limit), ..AutomationEventsQuery::default() };
            Loaded::Feed(client.automation_events(&query).await.map_err(words))
        }
        Effect::LoadRuns(limit) => {
            let query = RunsQuery { limit: Some(limit), ..RunsQuery::default() };
            Loaded::Runs(client.runs(&query).await.map_err(words))
        }
        Effect::LoadRepo(repo) => {
            let result = client.repo_detail(&repo).await.map(Box::new).map_err(words);
            Loaded::Repo { repo, result }
        }
        other => return change(client, other).await,
    }))
}

/// What changes something; whatever comes of it comes by the stream as well.
async fn change(client: &Client, effect: Effect) -> Option<Answer> {
    let (wanted, result) = match effect {
        Effect::Rerun { repo, run } => {
            let result = act(client, &repo.to_string(), &run, "rerun", &RunActionRequest::default()).await;
            (format!("re-run {run}"), result)
        }
        Effect::StartWorkflow { repo, workflow, git_ref, inputs } => {
            let inputs = inputs.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
            let body = RunActionRequest { git_ref, inputs };
            (format!("start {workflow}"), act(client, &repo.to_string(), &workflow, "dispatch", &body).await)
        }
        _ => return None,
    };
    Some(Answer::Said { wanted, result })
}

async fn act(
    client: &Client,
    repo: &str,
    id: &str,
    action: &str,
    body: &RunActionRequest,
) -> Result<String, String> {
    let query = RunActionQuery { action: Some(action.to_owned()), repo_full_name: Some(repo.to_owned()) };
    client.act_on_run(id, &query, body).await.map(|a| a.message).map_err(|e| e.to_string())
}

/// The queue as anybody would be offered it, with what is being worked on and what is withheld.
async fn queue(client: &Client) -> client::Result<Vec<QueueRow>> {
    let query =
        QueueQuery { include_claimed: Some(true), include_withheld: Some(true), ..QueueQuery::default() };
    let entries = client.queue("operator", &query).await?;
    Ok(entries.into_iter().map(row).collect())
}

fn row(entry: QueueEntry) -> QueueRow {
    match entry {
        QueueEntry::Fix(fix) => {
            let item = fix.item;
            let subject = text::line(&format!("{} PR {}", item.repo, item.pr));
            QueueRow {
                key: subject.clone(),
                issue: None,
                subject,
                title: text::line(item.title.as_deref().unwrap_or(&item.reason)),
                reason: text::line(&fix.ranking_reason),
                claimable: true,
                fix: true,
                withheld: None,
                wants: Some((wants(item.fix_type).to_owned(), item.generation)),
                queued_at: Some(item.queued_at),
            }
        }
        QueueEntry::Issue(issue) => QueueRow {
            key: issue.issue_id.to_string(),
            issue: Some(issue.issue_id),
            subject: format!("{}#{}", issue.repo_full_name, issue.number),
            title: text::line(&issue.title),
            reason: text::line(&issue.ranking_reason),
            claimable: issue.claimable,
            fix: false,
            withheld: issue.withheld.as_deref().map(text::line),
            wants: None,
            queued_at: None,
        },
    }
}

fn wants(kind: FixType) -> &'static str {
    match kind {
        FixType::MergeConflict => "merge conflict",
        FixType::CiFailure => "CI failed",
        FixType::ReviewFeedback => "review",
        FixType::Other => "other",
    }
}
