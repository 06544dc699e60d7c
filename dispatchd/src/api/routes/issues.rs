//! `/api/issues…`: cards.

use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use dispatch_shared::error::Code;
use dispatch_shared::id::IssueId;
use dispatch_shared::issue::{IssueState, Priority, Status};
use dispatch_shared::protocol::issues::{
    Issue, IssueStateAnswer, IssuesQuery, LabelsAnswer, MoveRequest, Why,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::api::App;
use crate::api::error::{Failure, Result, blocking, failure};
use crate::api::extract::{self, Actor, Json, Query};
use crate::api::openapi::{Answers, Operation, Words};
use crate::api::path::Path;
use crate::core::command::Command;
use crate::core::record::{Card, CardKey};
use crate::core::world::World;
use crate::core::{rank, view};
use crate::ledger::ReadFault;

/// Reads a column, full or bare.
fn column(text: &str) -> Result<Status> {
    Status::read(text).ok_or_else(|| {
        let words: Vec<&str> = Status::ALL.iter().map(|s| s.word()).collect();
        failure(Code::BadRequest, format!("`{text}` is no status; there are {}", words.join(", ")))
    })
}

fn fits(issue: &Issue, query: &IssuesQuery, status: Option<Status>, priority: Option<&str>) -> bool {
    let same = |wanted: &Option<String>, have: Option<&str>| {
        wanted.as_deref().is_none_or(|w| have.is_some_and(|h| h.eq_ignore_ascii_case(w)))
    };
    let words = query.q.as_deref().unwrap_or("").to_lowercase();
    let text = format!("#{} {} {}", issue.number, issue.repo_full_name, issue.title).to_lowercase();
    same(&query.repo, Some(issue.repository.full_name.as_str()))
        && same(&query.agent, issue.agent.as_deref())
        && same(&query.owner, issue.owner.as_deref())
        && same(&query.kind, issue.kind.as_deref())
        && query.project.as_deref().is_none_or(|p| in_project(issue, p))
        && query.decomposed.is_none_or(|d| d == issue.decomposed)
        && priority.is_none_or(|p| issue.priority.as_deref() == Some(p))
        && status.is_none_or(|s| issue.column == s)
        && words.split_whitespace().all(|w| text.contains(w))
}

/// A project is a repository, whole or by its last part, or what a label `project/…` names.
fn in_project(issue: &Issue, project: &str) -> bool {
    let label = format!("project/{project}");
    issue.repository.full_name.eq_ignore_ascii_case(project)
        || issue.repository.name.eq_ignore_ascii_case(project)
        || issue.labels.iter().any(|l| l.eq_ignore_ascii_case(&label))
}

pub(super) async fn list(State(app): State<App>, uri: Uri, Query(query): Query<IssuesQuery>) -> Result<Page> {
    let world = app.ledger.snapshot();
    let now = app.edges.clock.now();
    let status = query.status.as_deref().map(column).transpose()?;
    let priority = match query.priority.as_deref() {
        None => None,
        Some(text) => Some(
            Priority::read(text)
                .ok_or_else(|| failure(Code::BadRequest, format!("`{text}` is no priority; write p0 to p4")))?
                .label(),
        ),
    };
    let lane = query.lane.as_deref().map(|text| world.policy.lane(text).map_or(text, |l| l.id.as_str()));
    let closed = query.include_closed.unwrap_or(false);
    let mut found: Vec<(std::sync::Arc<Card>, Issue)> = world
        .cards
        .values()
        .filter(|c| closed && !c.gone && world.is_tracked(&c.key.repo) || view::on_board(&world, c, now))
        .filter_map(|card| Some((card.clone(), view::issue(&world, card, None)?)))
        .filter(|(_, issue)| lane.is_none_or(|l| issue.lane == l))
        .filter(|(_, issue)| fits(issue, &query, status, priority.as_deref()))
        .collect();
    found.sort_by(|(_, a), (_, b)| (b.updated_at, &b.id).cmp(&(a.updated_at, &a.id)));
    let from: usize = match query.cursor.as_deref() {
        None => 0,
        Some(text) => {
            text.parse().map_err(|_| failure(Code::BadRequest, "cursor: use the one of the Link header"))?
        }
    };
    let limit = query.limit.unwrap_or(usize::MAX).max(1);
    let total = found.len();
    let ledger = app.ledger.clone();
    let page = blocking(move || {
        let with_body = |(card, mut issue): (std::sync::Arc<Card>, Issue)| {
            issue.body = Some(ledger.body(&card.key)?);
            Ok(issue)
        };
        found
            .into_iter()
            .skip(from)
            .take(limit)
            .map(with_body)
            .collect::<std::result::Result<Vec<_>, ReadFault>>()
    })
    .await??;
    let next = from.saturating_add(limit);
    Ok(Page { issues: page, next: (next < total).then(|| page_link(&uri, next)) })
}

/// Some of the cards, and where there are more.
pub(super) struct Page {
    issues: Vec<Issue>,
    next: Option<String>,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut answer = Json(self.issues).into_response();
        if let Some(link) = self.next.and_then(|next| format!("<{next}>; rel=\"next\"").parse().ok()) {
            answer.headers_mut().insert(hyper::header::LINK, link);
        }
        answer
    }
}

impl Answers for Page {
    fn tell(operation: &mut Operation, words: &mut Words) {
        Json::<Vec<Issue>>::tell(operation, words);
        operation.answers_header("Link", "The next page, if there is one.");
    }
}

/// The request's own address with another cursor: every filter stays.
fn page_link(uri: &Uri, cursor: usize) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    let given = url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
    pairs.extend_pairs(given.filter(|(name, _)| name != "cursor"));
    pairs.append_pair("cursor", &cursor.to_string());
    format!("{}?{}", uri.path(), pairs.finish())
}

pub(super) async fn one(State(app): State<App>, Path(id): Path<IssueId>) -> Result<Json<Issue>> {
    let world = app.ledger.snapshot();
    let key = extract::known(&world, &id)?;
    let body = app.ledger.body(&key)?;
    issue(&world, &key, Some(body)).map(Json)
}

pub(super) fn issue(world: &World, key: &CardKey, body: Option<String>) -> Result<Issue> {
    world
        .cards
        .get(key)
        .and_then(|card| view::issue(world, card, body))
        .ok_or_else(|| failure(Code::NotFound, format!("there is no issue {}", key.id())))
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct StateQuery {
    /// `owner/name`.
    repo: Option<String>,
    /// The issue's number.
    number: Option<u64>,
}

pub(super) async fn state(
    State(app): State<App>,
    Query(query): Query<StateQuery>,
) -> Result<Json<IssueStateAnswer>> {
    let world = app.ledger.snapshot();
    let named = dispatch_shared::protocol::IssueRef {
        issue_id: None,
        repo_full_name: query.repo,
        issue_number: query.number,
    };
    let key = extract::card(&world, &named)?;
    let issue = issue(&world, &key, None)?;
    Ok(Json(IssueStateAnswer {
        issue_id: issue.issue_id,
        repo_full_name: issue.repo_full_name,
        number: issue.number,
        state: issue.state,
        closed_at: issue.closed_at,
        labels: issue.labels,
    }))
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct WhyQuery {
    /// Also what holds for this agent.
    agent: Option<String>,
}

pub(super) async fn why(
    State(app): State<App>,
    Path(id): Path<IssueId>,
    Query(query): Query<WhyQuery>,
) -> Result<Json<Why>> {
    let world = app.ledger.snapshot();
    let key = extract::known(&world, &id)?;
    let card =
        world.cards.get(&key).ok_or_else(|| failure(Code::NotFound, format!("there is no issue {id}")))?;
    let now = app.edges.clock.now();
    let mut rules = rank::why(&world, card, now);
    if let Some(name) = query.agent.as_deref() {
        rules.extend(rank::why_for(&world, card, now, &extract::agent(name)?));
    }
    Ok(Json(Why { issue_id: key.id(), eligible: rules.iter().all(|r| r.holds), rules }))
}

pub(super) async fn move_card(
    State(app): State<App>,
    Actor(actor): Actor,
    Json(request): Json<MoveRequest>,
) -> Result<Json<LabelsAnswer>> {
    let card = extract::card(&app.ledger.snapshot(), &request.issue)?;
    let to = match (&request.status, &request.new_labels) {
        (Some(text), _) => column(text)?,
        (None, Some(labels)) => labels
            .iter()
            .filter(|l| l.to_ascii_lowercase().starts_with("status/"))
            .find_map(|l| Status::read(l))
            .ok_or_else(|| {
                failure(Code::BadRequest, "newLabels holds no status label; add one, like status/ready")
            })?,
        (None, None) => {
            return Err(failure(Code::BadRequest, "say where to: status, or newLabels with a status label"));
        }
    };
    let command = Command::Move { card: card.clone(), to, claim: request.claim_id, actor };
    let (_, world) = app.ledger.submit(command).await?;
    labels(&world, &card).map(Json)
}

/// The answer of every route that changes labels.
pub(super) fn labels(world: &World, key: &CardKey) -> std::result::Result<LabelsAnswer, Failure> {
    let issue = issue(world, key, None)?;
    let note = (issue.state == IssueState::Open && issue.write.is_some())
        .then(|| "the forge is told in the background".to_owned());
    Ok(LabelsAnswer { success: true, labels: issue.labels, status: issue.status, status_note: note })
}
