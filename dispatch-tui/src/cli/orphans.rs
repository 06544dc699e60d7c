//! Containers under the daemon's label that it knows no run for.

use dispatch_shared::client::Client;
use dispatch_shared::protocol::control::Orphan;

use super::Failure;
use super::out::{Cell, Out, dim, word};

fn row(orphan: &Orphan, out: &Out) -> Vec<Cell> {
    vec![
        (&orphan.name).into(),
        orphan.runtime.to_string().into(),
        orphan.run_id.to_string().into(),
        word(if orphan.running { "running" } else { "ended" }),
        dim(out.age(orphan.since)),
    ]
}

const HEADS: [&str; 5] = ["NAME", "ENGINE", "RUN", "", "SEEN"];

pub(super) async fn list(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let orphans = client.orphans().await?;
    if out.json {
        return Ok(out.json(&orphans)?);
    }
    let rows = orphans.iter().map(|o| row(o, out)).collect();
    out.table(&HEADS, rows, "every container is known")?;
    if !orphans.is_empty() {
        out.line("`dispatch orphans --stop` ends and removes them, `--stop NAME` one of them")?;
    }
    Ok(())
}

pub(super) async fn stop(client: &Client, names: Vec<String>, out: &mut Out) -> Result<(), Failure> {
    let answer = client.stop_orphans(names).await?;
    if out.json {
        out.json(&answer)?;
    } else {
        let rows = answer.stopped.iter().map(|o| row(o, out)).collect();
        out.table(&HEADS, rows, "nothing was ended")?;
    }
    match answer.errors.is_empty() {
        true => Ok(()),
        false => Err(Failure::Said(answer.errors.join("; "))),
    }
}
