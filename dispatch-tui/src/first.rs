//! What the first run does with the daemon: track a repository, take GitHub's token, look at the permissions and at the
//! labels that are missing.

use std::path::Path;

use dispatch_shared::client::Client;
use dispatch_shared::endpoint::Endpoint;
use dispatch_shared::id::RepoName;
use dispatch_shared::protocol::automation::EnsureLabelsRequest;
use dispatch_shared::protocol::repos::AddRepoRequest;
use dispatch_shared::protocol::setup::SetupRequest;

use crate::cli;
use crate::effect::Hidden;
use crate::update::answers::Tracked;

/// Starts the daemon that stands beside this program.
///
/// # Errors
/// A sentence: the daemon is elsewhere, or it did not start.
pub(crate) async fn start(client: &Client) -> Result<(), String> {
    let socket = match client.endpoint() {
        Endpoint::Local(socket) => socket.clone(),
        Endpoint::Url(url) => {
            return Err(format!("the daemon at {url} is not of this machine; start it there"));
        }
    };
    let (client, runtime) = (client.clone(), tokio::runtime::Handle::current());
    let started = tokio::task::spawn_blocking(move || runtime.block_on(cli::start(&socket, &client)));
    started.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}

/// Tracks `what`: a directory, or `owner/name`. Without a token GitHub is not asked at all.
///
/// # Errors
/// A sentence of the daemon, or that there is no such thing.
pub(crate) async fn track(client: &Client, what: &str, token: Option<Hidden>) -> Result<Tracked, String> {
    let said = |e: dispatch_shared::client::Error| e.to_string();
    if let Some(token) = token {
        let request = SetupRequest { github_token: Some(token.0), ..SetupRequest::default() };
        client.put_setup(&request).await.map_err(said)?;
    }
    // A directory is one of the daemon's machine; from another one it cannot be looked at.
    let request = match client.endpoint() {
        Endpoint::Url(_) if what.starts_with('/') => {
            AddRepoRequest { full_name: None, forge: Some("local".into()), path: Some(what.to_owned()) }
        }
        _ => cli::to_add(&home(what), None).map_err(|e| e.to_string())?,
    };
    let local = request.path.is_some();
    if !local {
        let setup = client.setup().await.map_err(said)?;
        if !setup.github_token.configured {
            return Ok(Tracked::NeedsToken { note: setup.github_token.note });
        }
    }
    let repo = client.add_repo(&request).await.map_err(said)?.full_name;
    // From here on it is tracked; what cannot be found out about it is no failure.
    let setup = client.check_setup().await;
    let missing = setup.map(|s| s.repositories).unwrap_or_default();
    let missing =
        missing.into_iter().find(|r| r.repo_full_name == repo).map(|r| r.missing).unwrap_or_default();
    let request = EnsureLabelsRequest { repo_full_name: repo.to_string(), dry_run: Some(true) };
    let labels = if local {
        Vec::new()
    } else {
        client.ensure_labels(&request).await.map(|a| a.missing).unwrap_or_default()
    };
    Ok(Tracked::Done { repo, missing, labels })
}

/// Makes the labels that are missing; how many that were.
///
/// # Errors
/// A sentence of the daemon.
pub(crate) async fn ensure_labels(client: &Client, repo: &RepoName) -> Result<String, String> {
    let request = EnsureLabelsRequest { repo_full_name: repo.to_string(), dry_run: Some(false) };
    let made = client.ensure_labels(&request).await.map_err(|e| e.to_string())?;
    Ok(format!("{} labels made in {repo}", made.created.len()))
}

/// `~/x` as the shell reads it.
fn home(what: &str) -> String {
    match (what.strip_prefix("~/"), cli::env("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest).display().to_string(),
        _ => what.to_owned(),
    }
}
