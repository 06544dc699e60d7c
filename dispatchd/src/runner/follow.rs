//! Following a program until it ends: its output into the log and the board, its limits kept, a kill heard.

use std::time::Duration;

use dispatch_shared::run::{EndClass, Usage};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::agents::Agent;
use super::context::{Halt, Seat};
use super::disk;
use super::log::{Stream, Writer};
use super::stream::Reader;
use super::supervise::{self, Stop};
use super::weight::{self, Weight};
use crate::core::budget;
use crate::core::command::{RunEnd, RunStep};
use crate::core::fix::excerpt::Excerpt;
use crate::core::record::Run;
use crate::edges::{Exit, Handle};

/// The board is told at most this often.
pub(super) const TELL: Duration = Duration::from_secs(2);
/// How long the last lines may take once the program has ended: an end of file is never waited for alone.
const DRAIN: Duration = Duration::from_secs(10);
/// So much of a log's beginning tells whether it is still the same log.
const BEGINNING: u64 = 4 << 10;

/// Where the bytes go.
struct Sink<'a, 'b> {
    seat: &'a Seat,
    writer: &'a mut Writer,
    reader: Option<&'a mut Reader>,
    excerpt: Option<&'a mut Excerpt<'b>>,
}

/// Why a program is ended that says too much.
fn flood(kept: u64) -> String {
    let most = weight::limit(kept);
    format!("it put out more than {} times runner.log_limit, {most} bytes", weight::FLOOD)
}

impl Sink<'_, '_> {
    fn take(&mut self, bytes: &[u8]) {
        let clean = self.writer.scrub(bytes);
        self.keep(&clean);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(excerpt) = self.excerpt.as_deref_mut() {
            excerpt.take(bytes);
        }
        let at = self.seat.ctx.edges.clock.now();
        let kept = self.writer.raw(bytes).and_then(|()| match self.reader.as_deref_mut() {
            Some(reader) => self.writer.events(at, reader.push(bytes)),
            None => Ok(()),
        });
        if let Err(error) = kept {
            tracing::error!(run = %self.seat.run, %error, "the run's log was not written");
        }
    }

    fn finish(&mut self) {
        let rest = self.writer.scrub_rest();
        self.keep(&rest);
        let at = self.seat.ctx.edges.clock.now();
        if let Some(reader) = self.reader.as_deref_mut() {
            let _ = self.writer.events(at, reader.finish());
        }
    }
}

/// Brings the reader to where the raw log is: what a daemon before this one had read of the round that begins at `from`. Returns
/// what the program that is there now weighs so far.
fn replay(seat: &Seat, from: u64, writer: &mut Writer, reader: &mut Reader) -> std::io::Result<Weight> {
    use std::io::Read;
    let (mut weight, mut before) = (Weight::default(), writer.began().saturating_sub(from));
    if writer.raw_len() <= from {
        return Ok(weight);
    }
    let mut file = seat.ctx.logs.open(seat.run, Stream::Raw, from)?.take(writer.raw_len() - from);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(weight);
        }
        writer.events(seat.ctx.edges.clock.now(), reader.push(&buffer[..n]))?;
        let others = usize::try_from(before).unwrap_or(usize::MAX).min(n);
        before -= others as u64;
        weight.add(&buffer[others..n]);
    }
}

/// Whether the engine's log still begins as it did when a daemon before this one read it. Engines let go of the beginning of a
/// log that outgrows its bound, and who goes on by counting bytes would go on somewhere else.
async fn same_log(seat: &Seat, handle: &Handle, writer: &Writer) -> bool {
    use std::io::Read;
    let length = writer.taken().min(BEGINNING);
    let mut kept = Vec::new();
    let file = seat.ctx.logs.open(seat.run, Stream::Raw, writer.began());
    let read = file.and_then(|file| file.take(length).read_to_end(&mut kept));
    let mut theirs = vec![0; kept.len()];
    if read.is_err() || kept.is_empty() {
        return true;
    }
    let mut logs = open(seat, handle, 0).await;
    let Some(logs) = &mut logs else { return true };
    match tokio::time::timeout(DRAIN, logs.read_exact(&mut theirs)).await {
        // Secrets are kept as stars.
        Ok(Ok(_)) => kept.iter().zip(&theirs).all(|(ours, theirs)| ours == theirs || *ours == b'*'),
        _ => true,
    }
}

/// Whether the run has used up what it may use.
fn spent(seat: &Seat, agent: &Agent, turns: u64, used: &Usage) -> Option<Stop> {
    let limits = &agent.limits;
    let name = &agent.name;
    if let Some(most) = limits.turns.filter(|most| turns > *most && !agent.counts_turns()) {
        let why = format!("it asked its model more than {most} times, the limit of {name} (limits.turns)");
        return Some((EndClass::Turns, why).into());
    }
    if let Some(most) = limits.usd.filter(|most| used.cost_usd.is_some_and(|cost| cost >= *most)) {
        return Some(
            (EndClass::Budget, format!("it used up the ${most} of {name} for one run (limits.usd)")).into(),
        );
    }
    if let Some(most) = limits.tokens.filter(|most| used.tokens() >= *most) {
        let why = format!("it used up the {most} tokens of {name} for one run (limits.tokens)");
        return Some((EndClass::Budget, why).into());
    }
    let run = seat.record()?;
    let world = seat.ctx.ledger.snapshot();
    let state = budget::ends(&world, seat.ctx.edges.clock.now(), &run)?;
    let why = format!("the budget of the {} is used up: {}", state.scope.name(), state.words());
    Some(Stop::End(Box::new(RunEnd {
        retry_at: state.resets_at,
        ..supervise::end(EndClass::Budget, Some(why))
    })))
}

/// Follows `handle` from where the log stands until the program ends, and ends it if its time is up or a kill comes.
///
/// # Errors
/// What halts the run, or how it ended.
pub(super) async fn follow(
    seat: &Seat,
    run: &Run,
    agent: &Agent,
    handle: &Handle,
    writer: &mut Writer,
    reader: &mut Reader,
) -> Result<Exit, Stop> {
    let settings = &seat.ctx.settings;
    let timeout = agent.limits.timeout.unwrap_or(settings.timeout).0;
    let stall_timeout = agent.limits.stall_timeout.unwrap_or(settings.stall_timeout).0;
    // What this round of the run begins with: what came before in the log is not of this program.
    let began = run.round;
    let mut said = replay(seat, began.log.raw, writer, reader).unwrap_or_else(|error| {
        tracing::warn!(run = %seat.run, %error, "the log could not be read again");
        Weight::default()
    });
    if !same_log(seat, handle, writer).await {
        let most = weight::most(settings.log_limit.0);
        let why =
            format!("its engine's log outgrew {most} bytes while nobody read it, and lost its beginning");
        end(
            &mut Sink { seat, writer, reader: Some(reader), excerpt: None },
            &mut None,
            handle,
            settings.grace.0,
        )
        .await;
        return Err(Stop::from((EndClass::Failed, why)));
    }
    let mut logs = open(seat, handle, writer.taken()).await;
    let deadline = Instant::now() + timeout.saturating_sub(run.worked(seat.ctx.edges.clock.now()));
    let mut heard = Instant::now();
    let news_of = |reader: &Reader| {
        (reader.summary.last_event.clone(), began.usage.plus(seat.ctx.used(agent, &reader.summary)))
    };
    let mut told = (None, news_of(reader).1);
    let most = weight::limit(settings.log_limit.0);
    let mut tell_at = Instant::now();
    let mut buffer = vec![0; 64 << 10];
    let wait = seat.engine.wait(handle);
    tokio::pin!(wait);
    let halt = seat.halt();
    tokio::pin!(halt);
    let workspace = seat.subject().map(|(repo, _)| seat.ctx.spaces.of(&repo, run).dir);
    let outgrown = disk::outgrown(workspace.unwrap_or_default(), settings.workspace_limit);
    tokio::pin!(outgrown);
    let exit = loop {
        let news = news_of(reader) != told;
        tokio::select! {
            halt = &mut halt => {
                if let Halt::Kill(kill) = &halt {
                    tracing::info!(run = %seat.run, by = kill.by, now = kill.now, "the run is being killed");
                    let grace = if kill.now { Duration::ZERO } else { settings.grace.0 };
                    let mut sink = Sink { seat, writer, reader: Some(reader), excerpt: None };
                    end(&mut sink, &mut logs, handle, grace).await;
                }
                return Err(halt.into());
            }
            exit = &mut wait => break exit.map_err(|e| Stop::from((EndClass::Crashed, e.0))),
            n = read(&mut logs, &mut buffer) => {
                if n == 0 {
                    // The log is over before the program is known to be: only its end counts.
                    logs = None;
                } else {
                    heard = Instant::now();
                    Sink { seat, writer, reader: Some(reader), excerpt: None }.take(&buffer[..n]);
                    said.add(&buffer[..n]);
                    if said.total() > most {
                        break Err(Stop::from((EndClass::Failed, flood(settings.log_limit.0))));
                    }
                }
            }
            () = tokio::time::sleep_until(tell_at), if news => {
                told = news_of(reader);
                tell_at = Instant::now() + TELL;
                let last_event = told.0.clone().unwrap_or_default();
                seat.step(RunStep::Output { last_event, usage: told.1 }).await?;
                // What has said its last word only has to leave: what it did is not thrown away.
                if reader.summary.terminal.is_none()
                    && let Some(stop) = spent(seat, agent, began.turns + reader.summary.turns, &told.1)
                {
                    break Err(stop);
                }
            }
            why = &mut outgrown => break Err(Stop::from((EndClass::Failed, why))),
            () = tokio::time::sleep_until(deadline) => {
                let why = format!("it worked longer than its timeout, {} s", timeout.as_secs());
                break Err(Stop::from((EndClass::TimedOut, why)));
            }
            () = tokio::time::sleep_until(heard + stall_timeout) => {
                let why = format!("it was silent longer than its stall_timeout, {} s", stall_timeout.as_secs());
                break Err(Stop::from((EndClass::Stalled, why)));
            }
        }
    };
    let mut sink = Sink { seat, writer, reader: Some(reader), excerpt: None };
    if exit.is_err() {
        end(&mut sink, &mut logs, handle, settings.grace.0).await;
    } else {
        drain(&mut sink, &mut logs).await;
        sink.finish();
    }
    exit
}

type Log = Option<Box<dyn AsyncRead + Send + Unpin>>;

async fn open(seat: &Seat, handle: &Handle, offset: u64) -> Log {
    match seat.engine.logs(handle, offset).await {
        Ok(logs) => Some(logs),
        Err(error) => {
            tracing::warn!(run = %seat.run, %error, "the log cannot be followed");
            None
        }
    }
}

/// Reads some bytes; 0 at the end, never if there is no log.
async fn read(logs: &mut Log, buffer: &mut [u8]) -> usize {
    match logs {
        Some(logs) => logs.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

async fn drain(sink: &mut Sink<'_, '_>, logs: &mut Log) {
    let mut buffer = vec![0; 64 << 10];
    let deadline = Instant::now() + DRAIN;
    while logs.is_some() {
        match tokio::time::timeout_at(deadline, read(logs, &mut buffer)).await {
            Ok(n @ 1..) => sink.take(&buffer[..n]),
            _ => return,
        }
    }
}

/// Ends the program and keeps what it says until it is over.
async fn end(sink: &mut Sink<'_, '_>, logs: &mut Log, handle: &Handle, grace: Duration) {
    let seat = sink.seat;
    let mut buffer = vec![0; 64 << 10];
    let over = seat.end_program(handle, grace);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => break,
            n = read(logs, &mut buffer) => match n {
                0 => *logs = None,
                n => sink.take(&buffer[..n]),
            },
        }
    }
    drain(sink, logs).await;
    sink.finish();
}

/// Copies the whole log of `handle` into the raw log, and what of it is worth telling into `excerpt`, and waits for its end.
///
/// # Errors
/// A sentence, if the engine failed.
pub(super) async fn copy(
    seat: &Seat,
    handle: &Handle,
    writer: &mut Writer,
    excerpt: &mut Excerpt<'_>,
) -> Result<Exit, String> {
    let mut logs = open(seat, handle, 0).await;
    let mut buffer = vec![0; 64 << 10];
    let mut sink = Sink { seat, writer, reader: None, excerpt: Some(excerpt) };
    let kept = seat.ctx.settings.log_limit.0;
    let mut said = Weight::default();
    let wait = seat.engine.wait(handle);
    tokio::pin!(wait);
    let exit = loop {
        tokio::select! {
            exit = &mut wait => break exit,
            n = read(&mut logs, &mut buffer) => match n {
                0 => logs = None,
                n => {
                    sink.take(&buffer[..n]);
                    said.add(&buffer[..n]);
                    if said.total() > weight::limit(kept) {
                        // The caller takes the container away.
                        sink.finish();
                        return Err(format!("the repository's checks: {}", flood(kept)));
                    }
                }
            },
        }
    };
    drain(&mut sink, &mut logs).await;
    sink.finish();
    exit.map_err(|e| e.0)
}
