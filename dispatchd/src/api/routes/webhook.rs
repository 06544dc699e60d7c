//! Webhooks. A delivery is genuine or refused, seen before or new; what it says about our pull requests is kept, what it is
//! about is read again soon, and the answer waits for none of that: no forge is asked before it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request, State};
use dispatch_shared::error::Code;
use dispatch_shared::id::RepoKey;
use dispatch_shared::protocol::followup::HookAnswer;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::HeaderMap;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::followup::refresh;
use crate::api::App;
use crate::api::error::{Failure, Result, failure};
use crate::api::extract::Json;
use crate::api::hook::{self, Hint, Said};
use crate::api::openapi::{Operation, Takes, Words};
use crate::core::command::{Command, Reply};
use crate::core::fix::ask::{Enqueue, FixCommand};
use crate::core::fix::{FixKey, pick};
use crate::core::record::Repo;
use crate::core::world::World;

/// The largest body of a webhook.
const HOOK_LIMIT: usize = 25 * 1024 * 1024;
/// How long a webhook's body may take to arrive.
const HOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// Pull requests that are looked at behind the answers at the same time.
static LOOKS: Semaphore = Semaphore::const_new(4);

/// `POST` of a delivery.
pub(super) async fn receive(State(app): State<App>, Delivery(request): Delivery) -> Result<Json<HookAnswer>> {
    let found = app.webhook_secret.find().map_err(|e| failure(Code::Unavailable, e))?;
    let Some(secret) = found else {
        return Err(failure(
            Code::Unavailable,
            "no webhook secret is configured: set WEBHOOK_SECRET or github.webhook_secret_file and start dispatchd again, or \
             enter one in the client",
        ));
    };
    let headers = request.headers().clone();
    let body = read(request).await?;
    let signature = header(&headers, "x-hub-signature-256");
    if !hook::is_signed(&secret.secret, &body, signature) {
        return Err(failure(
            Code::Unauthorized,
            "X-Hub-Signature-256 is missing or wrong: give the webhook the secret that is configured here",
        ));
    }
    let delivery = match header(&headers, "x-github-delivery") {
        "" => Sha256::digest(&body).iter().take(16).map(|b| format!("{b:02x}")).collect(),
        id => id.chars().take(200).collect::<String>(),
    };
    let world = app.ledger.snapshot();
    if world.fixes.was_delivered(&delivery) {
        return Ok(ignored(true, "this delivery was seen before"));
    }
    let payload = hook::payload(&body).ok_or_else(|| failure(Code::BadRequest, "the body is no JSON"))?;
    drop(body);
    let event = header(&headers, "x-github-event");
    if hook::hint::ACCESS.contains(&event) {
        app.forges.look_at(&RepoKey::new(""), Hint::Access);
        return Ok(hinted("what may be done is looked at anew"));
    }
    if event == "ping" {
        return Ok(ignored(false, "a ping: the address and the secret are right"));
    }
    let Some(repo) = repository(&world, &payload) else {
        return Ok(ignored(false, "its repository is not tracked here"));
    };
    let Some(hints) = hook::hint::hints(&world, &repo, event, &payload) else {
        return Ok(ignored(false, "events of this kind say nothing of what is kept here"));
    };
    let said = hook::said(event, &repo.name.to_string(), &payload);
    let (now, later): (Vec<Said>, Vec<Said>) = said.into_iter().partition(|s| is_known(&world, &repo, s));
    let news: Vec<Enqueue> = now.into_iter().filter_map(|s| news(&world, &repo.key, s, false)).collect();
    let enqueued = !news.is_empty();
    let command = Command::Fix(Box::new(FixCommand::Deliver { id: delivery, news }));
    if let (Reply::Repeated, _) = app.ledger.submit(command).await? {
        return Ok(ignored(true, "this delivery was seen before"));
    }
    if hook::hint::AUTOMATION.contains(&event) {
        app.automation.hint(&repo.key);
    }
    let touched = hook::touches(event, &payload);
    touched.iter().for_each(|pull| app.forges.hint_pull(&repo.key, pull));
    hints.iter().for_each(|hint| app.forges.look_at(&repo.key, *hint));
    if !later.is_empty() {
        tokio::spawn(look(app.clone(), repo.clone(), later));
    } else if hints.is_empty() && touched.is_empty() && !enqueued {
        return Ok(ignored(false, "it is about nothing that is kept here"));
    }
    Ok(Json(HookAnswer {
        ok: true,
        duplicate: false,
        effect: if enqueued { "enqueued" } else { "hinted" }.into(),
        reason: None,
    }))
}

/// A webhook as it came: its signature is over the very bytes.
pub(super) struct Delivery(Request);

impl<S: Send + Sync> FromRequest<S> for Delivery {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        Ok(Self(request))
    }
}

impl Takes for Delivery {
    fn tell(operation: &mut Operation, words: &mut Words) {
        let text = || json!({"type": "string"});
        operation.takes_header(
            "X-Hub-Signature-256",
            "`sha256=` and the body's HMAC in hexadecimal.",
            text(),
        );
        operation.takes_header("X-GitHub-Event", "What it tells of, like `pull_request`.", text());
        operation.takes_header(
            "X-GitHub-Delivery",
            "Its id; one that was seen before has no effect.",
            text(),
        );
        operation.takes_json::<serde_json::Value>(words);
        operation.fails(&[401]);
    }
}

fn ignored(duplicate: bool, why: &str) -> Json<HookAnswer> {
    Json(HookAnswer { ok: true, duplicate, effect: "ignored".into(), reason: Some(why.into()) })
}

fn hinted(why: &str) -> Json<HookAnswer> {
    Json(HookAnswer { ok: true, duplicate: false, effect: "hinted".into(), reason: Some(why.into()) })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

async fn read(request: Request) -> Result<bytes::Bytes> {
    let limited = Limited::new(request.into_body(), HOOK_LIMIT);
    let fault: Failure = match tokio::time::timeout(HOOK_TIMEOUT, limited.collect()).await {
        Ok(Ok(body)) => return Ok(body.to_bytes()),
        Err(_) => failure(Code::Timeout, "the body did not arrive within 30 seconds"),
        Ok(Err(e)) if e.is::<LengthLimitError>() => failure(Code::TooLarge, "the body is larger than 25 MiB"),
        Ok(Err(e)) => failure(Code::BadRequest, format!("the body broke off: {e}")),
    };
    Err(fault)
}

/// The tracked repository that a payload is about: by the forge's identity, so that a rename does not matter, else by name.
fn repository(world: &World, payload: &serde_json::Value) -> Option<Arc<Repo>> {
    let (name, id) = hook::repository(payload);
    let by_id = id.and_then(|id| world.repos.get(&RepoKey::new(format!("gh{id}")))).filter(|r| r.tracked);
    by_id.or_else(|| world.repo_named(&name?.parse().ok()?)).cloned()
}

/// Whether the cache can judge it: the pull request is there, and a check is about the head that is there.
fn is_known(world: &World, repo: &Repo, said: &Said) -> bool {
    let pull = pick::pull(world, &FixKey { repo: repo.key.clone(), pr: said.pr });
    pull.is_some_and(|p| said.news.head.as_ref().is_none_or(|head| *head == p.seen.head_sha))
}

/// Reads the pull requests first, behind the answer, and then takes in what was said.
async fn look(app: App, repo: Arc<Repo>, said: Vec<Said>) {
    for said in said {
        let Ok(_turn) = LOOKS.acquire().await else { return };
        let key = FixKey { repo: repo.key.clone(), pr: said.pr };
        // Another delivery may have had it read meanwhile.
        let known = is_known(&app.ledger.snapshot(), &repo, &said);
        let fresh = !known && !app.shutdown.is_cancelled() && refresh(&app, &key).await;
        let Some(news) = news(&app.ledger.snapshot(), &repo.key, said, fresh) else { continue };
        if let Err(fault) = app.ledger.submit(Command::Fix(Box::new(FixCommand::Enqueue(news)))).await {
            tracing::warn!(repo = %repo.name, pr = key.pr, %fault, "what a webhook said was not kept");
        }
    }
}

/// What was said, as news for an item; `None` if the pull request is none of ours, or it is our own talk.
fn news(world: &World, repo: &RepoKey, said: Said, fresh: bool) -> Option<Enqueue> {
    let key = FixKey { repo: repo.clone(), pr: said.pr };
    let seen = pick::pull(world, &key).map(|p| &p.seen);
    let author = seen.map(|s| s.author.clone()).or(said.author.clone()).unwrap_or_default();
    let branch = seen.map(|s| s.head_branch.clone()).or(said.branch.clone()).unwrap_or_default();
    let known = world.fixes.get(&key).is_some();
    if !(known || pick::ours(world, repo, &author, &branch))
        || said.is_own(&author, &world.policy.followup.bot_identities)
    {
        return None;
    }
    Some(Enqueue {
        key,
        news: said.news,
        lane: None,
        issue: None,
        branch: Some(branch).filter(|b| !b.is_empty()),
        url: None,
        title: None,
        author: Some(author).filter(|a| !a.is_empty()),
        actor: "webhook".into(),
        fresh,
        automatic: true,
    })
}
