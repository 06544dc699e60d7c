//! A person who does not look at the board is told of what needs them: once, over restarts too, and without secrets.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use axum::routing::post;
use color_eyre::eyre::{Result, ensure};
use dispatch_shared::protocol::issues::IssuesQuery;
use dispatch_shared::protocol::repos::AddRepoRequest;
use dispatch_tests::daemon::{Place, wait_until};
use dispatch_tests::repository::Repository;
use serde_json::Value;
use tokio::sync::mpsc;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn each_problem_is_told_once_to_address_and_command() -> Result<()> {
    let (said, mut heard) = mpsc::unbounded_channel::<Value>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = axum::Router::new().route(
        "/hook",
        post(move |axum::Json(body): axum::Json<Value>| async move {
            let _ = said.send(body);
            "ok"
        }),
    );
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let mut place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    place.env("GH_TOKEN", "ghp_notforanybody");
    let script = place.path().join("told.sh");
    let log = place.path().join("told");
    std::fs::write(&script, format!("#!/bin/sh\n{{ env; cat; echo; }} >> {}\n", log.display()))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700))?;
    place.configure(&format!(
        "[notify]\nwebhook = \"http://{address}/hook?key=secret\"\ncommand = [\"{}\"]\n",
        script.display()
    ));
    let daemon = place.start().await;
    let repository = Repository::new(place.path(), "sample");
    repository.ready_issue(1, "Ask somebody");
    let path = Some(repository.path().display().to_string());
    daemon
        .client
        .add_repo(&AddRepoRequest { forge: Some("local".into()), path, ..AddRepoRequest::default() })
        .await?;
    let card = wait_until("the issue on the board", SOON, async || {
        daemon.client.issues(&IssuesQuery::default()).await.ok()?.into_iter().next()
    })
    .await;
    let body = serde_json::json!({ "issueId": card.issue_id, "label": "needs-human" });
    let _: Value = daemon.client.call("POST", "/api/issues/label", &body).await?;

    let told = tokio::time::timeout(SOON, heard.recv()).await?.unwrap_or_default();
    ensure!(told["text"].as_str().is_some_and(|t| t.contains("#1")), "{told}");
    ensure!(told["problems"].as_array().is_some_and(|p| p.len() == 1), "{told}");
    let by_command = wait_until("the command to have run", SOON, async || {
        std::fs::read_to_string(&log).ok().filter(|t| t.contains("\"problems\""))
    })
    .await;
    ensure!(by_command.contains("DISPATCH_TITLE=") && !by_command.contains("ghp_"), "{by_command}");

    // The same problem is no news, neither to this daemon nor to the next one.
    daemon.kill();
    let daemon = place.start().await;
    repository.ready_issue(2, "Ask somebody else");
    daemon.client.sync(None).await?;
    let second = wait_until("the second issue on the board", SOON, async || {
        let all = daemon.client.issues(&IssuesQuery::default()).await.ok()?;
        all.into_iter().find(|i| i.number == 2)
    })
    .await;
    let body = serde_json::json!({ "issueId": second.issue_id, "label": "needs-human" });
    let _: Value = daemon.client.call("POST", "/api/issues/label", &body).await?;
    let told = tokio::time::timeout(SOON, heard.recv()).await?.unwrap_or_default();
    let problems = told["problems"].as_array().cloned().unwrap_or_default();
    ensure!(problems.len() == 1 && told["text"].as_str().is_some_and(|t| t.contains("#2")), "{told}");
    ensure!(!place.log().contains("key=secret"), "the address is in no log");
    server.abort();
    Ok(())
}
