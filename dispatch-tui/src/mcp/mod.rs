//! `dispatch mcp`: the daemon's API as tools for an agent, over standard input and output.
//!
//! A session is one process for one agent. It keeps nothing but the claims that it took itself (`held`), so that a report
//! or checkpoint that names no claim means the one this session holds and not whatever the name held elsewhere. Who may
//! do what is the daemon's to decide; a session with a worker's token alone is shown the worker's tools alone (`server`),
//! for a model should not be offered what it would be refused. `notify` tells the client of runs as they start and end.

mod answer;
mod args;
mod held;
mod name;
mod notify;
mod server;
mod tools_board;
mod tools_work;

use dispatch_shared::client::Client;
use rmcp::ServiceExt as _;

use crate::cli::Failure;
use server::Server;
pub(crate) use server::Tier;

/// Serves one session until the client goes.
pub(crate) async fn serve(client: Client, tier: Tier, agent: Option<String>) -> Result<(), Failure> {
    let said = |e: &dyn std::fmt::Display| Failure::Said(format!("the MCP session failed: {e}"));
    let events = match tier {
        Tier::Maintainer => notify::open(&client).await,
        Tier::Worker => notify::Opened::Refused,
    };
    let server = Server::new(client.clone(), tier, agent);
    let running = match server.serve(rmcp::transport::stdio()).await {
        Ok(running) => running,
        // A client that looked and went again is no failure.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(e) => return Err(said(&e)),
    };
    let mut watching = tokio::task::JoinSet::new();
    watching.spawn(notify::watch(client, running.peer().clone(), events));
    running.waiting().await.map_err(|e| said(&e))?;
    Ok(())
}
