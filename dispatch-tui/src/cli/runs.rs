//! Runs: listing, logs, diffs, and ending or repeating them.

use std::io::Write as _;

use dispatch_shared::client::Client;
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::runs::{KillRequest, LogQuery, Run, RunsQuery};

use super::out::{Colour, Out, dim, word};
use super::{Failure, tasks};

pub(super) async fn list(
    client: &Client,
    state: Option<String>,
    agent: Option<String>,
    limit: Option<usize>,
    out: &mut Out,
) -> Result<(), Failure> {
    let runs = client.runs(&RunsQuery { state, agent, limit }).await?;
    if out.json {
        return Ok(out.json(&runs)?);
    }
    let rows = runs.iter().map(|r| {
        let said = r.question.as_ref().or(r.reason.as_ref()).or(r.last_event.as_ref());
        vec![
            r.id.into(),
            word(&r.state),
            on(r).into(),
            (&r.program).into(),
            dim(out.age(r.created_at)),
            said.map_or("", String::as_str).lines().next().unwrap_or_default().into(),
        ]
    });
    let rows = rows.collect();
    Ok(out.table(&["RUN", "STATE", "WORKS ON", "PROGRAM", "AGE", "LAST"], rows, "no run")?)
}

/// What a run works on, with its repository.
fn on(run: &Run) -> String {
    let between = if run.subject.starts_with('#') { "" } else { " " };
    format!("{}{between}{}", run.repo_full_name, run.subject)
}

pub(super) async fn logs(
    client: &Client,
    run: RunId,
    follow: bool,
    tail: Option<u64>,
    q: Option<String>,
    out: &mut Out,
) -> Result<(), Failure> {
    let stream = out.json.then(|| "events".to_owned());
    let query = LogQuery { stream, tail, follow: follow.then_some(true), q, ..LogQuery::default() };
    let mut log = client.log(run, &query).await?;
    // A piece may end inside a character: the rest waits for the next one.
    let mut waiting = Vec::new();
    while let Some(bytes) = log.next().await? {
        if out.json || !out.tty {
            out.write_all(&bytes)?;
        } else {
            waiting.extend_from_slice(&bytes);
            let whole = whole_characters(&waiting);
            let text: Vec<u8> = waiting.drain(..whole).collect();
            out.foreign(&String::from_utf8_lossy(&text))?;
        }
        out.flush()?;
    }
    out.foreign(&String::from_utf8_lossy(&waiting))?;
    Ok(out.flush()?)
}

/// How many bytes can be shown without cutting a character that is still to come.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(e) if e.error_len().is_none() => e.valid_up_to().max(bytes.len().saturating_sub(3)),
        _ => bytes.len(),
    }
}

pub(super) async fn diff(client: &Client, run: RunId, out: &mut Out) -> Result<(), Failure> {
    let diff = client.diff(run).await?;
    if out.json {
        return Ok(out.json(&serde_json::json!({ "run": run, "diff": diff }))?);
    }
    if !out.tty {
        return Ok(out.write_all(diff.as_bytes())?);
    }
    for line in diff.lines() {
        let colour = match line.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Colour::Dim,
            [b'+', ..] => Colour::Green,
            [b'-', ..] => Colour::Red,
            [b'@', b'@', ..] => Colour::Cyan,
            [b'd', b'i', b'f', b'f', ..] => Colour::Yellow,
            _ => Colour::Plain,
        };
        out.tinted(line, colour)?;
    }
    Ok(())
}

pub(super) async fn retry(client: &Client, run: RunId, out: &mut Out) -> Result<(), Failure> {
    tasks::labels(&client.retry(run).await?, out)
}

pub(super) async fn answer(client: &Client, run: RunId, text: &str, out: &mut Out) -> Result<(), Failure> {
    tasks::labels(&client.answer(run, text).await?, out)
}

pub(super) async fn kill(client: &Client, run: RunId, now: bool, out: &mut Out) -> Result<(), Failure> {
    let run: Run = client.kill(run, &KillRequest { now, attempt: None }).await?;
    if out.json {
        return Ok(out.json(&run)?);
    }
    let state = if run.ended { run.state.as_str() } else { "is being stopped" };
    Ok(out.line(format!("{} {state}", run.id))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_never_cut() {
        let text = "aé日";
        for end in 0..=text.len() {
            let whole = whole_characters(&text.as_bytes()[..end]);
            assert!(text.is_char_boundary(whole), "{end}");
        }
        assert_eq!(whole_characters(&[b'a', 0xff, b'b']), 3, "what is no text is not held back");
    }
}
