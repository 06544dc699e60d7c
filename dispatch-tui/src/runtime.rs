//! The board's engine: waits for keys, the link, answers to effects and one timer; drains what there is, and draws
//! one frame if one is owed. Nothing ticks.

use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use color_eyre::eyre::{Result, WrapErr};
use crossterm::event::{Event, EventStream};
use dispatch_shared::Timestamp;
use dispatch_shared::client::{self, Client};
use dispatch_shared::error::Code;
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::claims::ClaimRequest;
use dispatch_shared::protocol::issues::MoveRequest;
use dispatch_shared::protocol::queue::QueueQuery;
use dispatch_shared::protocol::runs::{KillRequest, LogQuery};
use futures_util::StreamExt;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use crate::BoardOptions;
use crate::effect::{Effect, From};
use crate::model::{Model, QueueRow, text};
use crate::settings::{self, Settings};
use crate::terminal::Screen;
use crate::theme::{Background, Depth, Theme};
use crate::update::answers::Answer;
use crate::update::{Msg, News, What, update};
use crate::{background, calls, editor, keep, link};

/// The one place where the client reads the clock.
fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the client's own clock; everything else gets the time passed in"
    )]
    let now = jiff::Timestamp::now();
    Timestamp(now.as_millisecond())
}

/// Runs the board until it is quit; returns how many runs go on without it.
pub(crate) async fn run(client: Client, options: BoardOptions) -> Result<usize> {
    let settings = Settings::load(&settings::path(env));
    let ascii = settings.ascii.unwrap_or(options.ascii);
    let theme = Theme { mono: options.no_color, ascii, ..Theme::default() };
    let mut model = Model::new(client.endpoint().to_string(), theme, TimeZone::system(), now());
    model.mouse = options.mouse && settings.mouse != Some(false);
    model.keys = settings.keys.clone();
    let kept_at = keep::path(env);
    match keep::load(&kept_at) {
        Ok(kept) => (model.saved, model.options) = (kept.filters, kept.options),
        Err(why) => model.complain(why),
    }
    if let Some(why) = settings.complaint() {
        model.complain(why);
    }
    let mut screen = Screen::take(model.mouse).wrap_err("cannot take the terminal")?;
    model.size = screen.size()?;

    let (news_in, mut news) = mpsc::channel::<News>(64);
    let (answers_in, mut answers) = mpsc::channel::<Answer>(64);
    let (resync, resync_out) = mpsc::channel(1);
    let mut tasks = JoinSet::new();
    tasks.spawn(link::run(client.clone(), news_in, resync_out));
    // The terminal's answer to the question for its background must not be taken for keys: it is asked before they are read.
    screen.draw(&model)?;
    let background = if options.no_color { Background::Unknown } else { background::ask() };
    let (keys_in, mut keys) = mpsc::channel::<Option<Event>>(256);
    let reader = tokio::spawn(read_keys(keys_in.clone()));
    let wardrobe = Wardrobe { settings, theme, background, depth: Depth::from_env(env) };
    wardrobe.dress(&mut model);
    let mut hands = Hands {
        client,
        answers: answers_in,
        resync,
        tasks,
        log: None,
        keys: (keys_in, reader),
        wardrobe,
        kept_at,
    };

    let mut stop = Stop::new()?;
    loop {
        if std::mem::take(&mut model.dirty) {
            screen.draw(&model)?;
        }
        let first = tokio::select! {
            event = keys.recv() => match event.flatten() {
                Some(event) => event_what(event),
                // The terminal is gone, and nobody is there to ask.
                None => break,
            },
            Some(item) = news.recv() => Some(What::News(item)),
            Some(answer) = answers.recv() => Some(What::Done(answer)),
            () = wait(model.next_change()) => Some(What::Wake),
            () = stop.asked() => break,
            Some(_) = hands.tasks.join_next() => None,
        };
        // Whatever else is there already goes into the same frame; bounded, so that a flood cannot stop drawing.
        let mut next = first;
        for _ in 0..256 {
            if let Some(what) = next.take() {
                let effects = update(&mut model, Msg { now: now(), what });
                for effect in effects {
                    if !hands.act(effect, &mut screen, &mut model).await? {
                        return Ok(model.data.live_runs());
                    }
                }
            }
            next = match keys.try_recv() {
                Ok(Some(event)) => event_what(event),
                Ok(None) => return Ok(model.data.live_runs()),
                Err(_) => {
                    news.try_recv().map(What::News).or_else(|_| answers.try_recv().map(What::Done)).ok()
                }
            };
            if next.is_none() {
                break;
            }
        }
        if let Some(what) = next {
            for effect in update(&mut model, Msg { now: now(), what }) {
                if !hands.act(effect, &mut screen, &mut model).await? {
                    return Ok(model.data.live_runs());
                }
            }
        }
    }
    Ok(model.data.live_runs())
}

/// Reads the terminal until it is gone. The stream is polled by this task alone: it wakes whoever polled it last, so a
/// look in passing from elsewhere would take the wake-up away from the one who waits.
async fn read_keys(keys: mpsc::Sender<Option<Event>>) {
    let mut stream = EventStream::new();
    while let Some(Ok(event)) = stream.next().await {
        if keys.send(Some(event)).await.is_err() {
            return;
        }
    }
    let _ = keys.send(None).await;
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What the board's theme is made of.
struct Wardrobe {
    settings: Settings,
    theme: Theme,
    background: Background,
    depth: Depth,
}

impl Wardrobe {
    fn dress(&self, model: &mut Model) {
        let chosen = model.options.look.as_deref();
        model.theme = self.settings.dress(self.theme, chosen, self.background, self.depth);
        model.dirty = true;
    }
}

async fn wait(span: Option<Duration>) {
    match span {
        Some(span) => tokio::time::sleep(span).await,
        None => pending().await,
    }
}

fn event_what(event: Event) -> Option<What> {
    match event {
        Event::Key(key) => Some(What::Key(key)),
        Event::Mouse(mouse) => Some(What::Mouse(mouse)),
        Event::Paste(text) => Some(What::Paste(text)),
        Event::Resize(columns, rows) => Some(What::Resize(columns, rows)),
        Event::FocusGained | Event::FocusLost => None,
    }
}

/// Signals that end the board as `C-c` does, so that the terminal is given back.
struct Stop {
    #[cfg(unix)]
    term: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> Result<Self> {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            #[cfg(unix)]
            term: signal(SignalKind::terminate())?,
            #[cfg(unix)]
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn asked(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.hangup.recv() => {}
        }
        #[cfg(not(unix))]
        pending::<()>().await;
    }
}

/// What carries out effects.
struct Hands {
    client: Client,
    answers: mpsc::Sender<Answer>,
    resync: mpsc::Sender<()>,
    tasks: JoinSet<()>,
    /// The log that is being followed.
    log: Option<AbortHandle>,
    /// Who reads the terminal, and where to.
    keys: (mpsc::Sender<Option<Event>>, JoinHandle<()>),
    wardrobe: Wardrobe,
    /// The file of what is remembered.
    kept_at: PathBuf,
}

impl Hands {
    /// Carries out one effect; false if it is to leave.
    async fn act(&mut self, effect: Effect, screen: &mut Screen, model: &mut Model) -> Result<bool> {
        match effect {
            Effect::Quit => return Ok(false),
            Effect::Suspend => {
                screen.suspend()?;
                model.size = screen.size()?;
                model.dirty = true;
            }
            Effect::Redraw => {
                screen.clear()?;
                model.dirty = true;
            }
            Effect::Mouse(on) => screen.set_mouse(on)?,
            Effect::Copy(text) => screen.copy(&text)?,
            Effect::Edit(text) => {
                // The editor needs the terminal to itself: nobody else may read it meanwhile.
                self.keys.1.abort();
                let _ = (&mut self.keys.1).await;
                // A `C-c` in the editor goes to the whole group; caught, it does not end the board as well.
                #[cfg(unix)]
                drop(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?);
                let result = screen.lend(|| editor::edit(&text, env))?;
                self.keys.1 = tokio::spawn(read_keys(self.keys.0.clone()));
                model.size = screen.size()?;
                model.dirty = true;
                let _ = self.answers.try_send(Answer::Edited(result));
            }
            Effect::Dress => self.wardrobe.dress(model),
            Effect::Keep(kept) => {
                if let Err(why) = keep::change(&self.kept_at, kept) {
                    model.complain(why);
                }
            }
            Effect::Resync => drop(self.resync.try_send(())),
            Effect::CloseLog => self.close_log(),
            Effect::FollowLog { run, from } => {
                self.close_log();
                let task = follow_log(self.client.clone(), self.answers.clone(), run, from);
                self.log = Some(self.tasks.spawn(task));
            }
            call => {
                let (client, answers) = (self.client.clone(), self.answers.clone());
                self.tasks.spawn(async move {
                    if let Some(answer) = ask(&client, call).await {
                        let _ = answers.send(answer).await;
                    }
                });
            }
        }
        Ok(true)
    }

    fn close_log(&mut self) {
        if let Some(log) = self.log.take() {
            log.abort();
        }
    }
}

async fn follow_log(client: Client, answers: mpsc::Sender<Answer>, run: RunId, from: From) {
    let (offset, tail) = match from {
        From::Tail(bytes) => (None, Some(bytes)),
        From::Byte(at) => (Some(at), None),
    };
    let query = LogQuery { stream: None, offset, tail, follow: Some(true), q: None };
    let cause = match client.log(run, &query).await {
        Err(error) => Some(error.to_string()),
        Ok(mut log) => {
            let mut at = log.offset;
            loop {
                match log.next().await {
                    Ok(Some(bytes)) => {
                        let answer = Answer::Log { run, offset: at, bytes: bytes.to_vec() };
                        at += bytes.len() as u64;
                        if answers.send(answer).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error.to_string()),
                }
            }
        }
    };
    let _ = answers.send(Answer::LogEnd { run, cause }).await;
}

/// One call of the API and its answer.
async fn ask(client: &Client, effect: Effect) -> Option<Answer> {
    let words = |e: client::Error| e.to_string();
    Some(match effect {
        Effect::LoadCard(issue) => {
            let (card, why) = tokio::join!(client.issue(&issue), client.why(&issue));
            // The reasons are an extra: without them the card is shown all the same.
            let why = why.map(|w| w.rules).unwrap_or_default();
            Answer::Card { issue, result: card.map(|c| (Box::new(c), why)).map_err(words) }
        }
        Effect::LoadQueue => Answer::Queue(queue(client).await.map_err(words)),
        Effect::Move { issue, to, claim } => {
            let request = MoveRequest {
                issue: IssueRef::id(&issue),
                status: Some(to.word().to_owned()),
                claim_id: claim,
                ..MoveRequest::default()
            };
            let result = client.move_issue(&request).await.map(|a| a.status_note).map_err(words);
            Answer::Moved { issue, result }
        }
        Effect::Claim { issue, agent, force } => {
            let request = ClaimRequest {
                issue: IssueRef::id(&issue),
                agent_name: agent.clone(),
                force: force.then_some(true),
                claim_id: None,
            };
            let result = client.claim(&request).await;
            let result =
                result.map(|_| ()).map_err(|e| (!force && e.code() == Some(Code::Held), e.to_string()));
            Answer::Claimed { issue, agent, result }
        }
        Effect::Release { issue, agent, claim, lapsed } => {
            let request = ClaimRequest {
                issue: IssueRef::id(&issue),
                agent_name: agent.clone(),
                force: None,
                claim_id: Some(claim),
            };
            let result = client.unclaim(&request).await;
            let said = |a: dispatch_shared::protocol::issues::LabelsAnswer| {
                let note = a.status_note.map(|n| format!(" ({n})")).unwrap_or_default();
                format!("taken away from {agent}{note}")
            };
            let result = result.map(said).map_err(words);
            Answer::Released { issue, agent, lapsed, result }
        }
        Effect::Retry(run) => {
            let result = client.retry(run).await.map(|_| format!("{run} will be tried again")).map_err(words);
            Answer::Said { wanted: format!("retry {run}"), result }
        }
        Effect::Kill { run, attempt, now } => {
            let result = client.kill(run, &KillRequest { now, attempt: Some(attempt) }).await;
            let said = |r: dispatch_shared::protocol::runs::Run| {
                if r.ended {
                    format!("{run} is over: {}", r.state)
                } else {
                    format!("{run} is being stopped")
                }
            };
            Answer::Said { wanted: format!("kill {run}"), result: result.map(said).map_err(words) }
        }
        Effect::Answer { run, text } => {
            let result =
                client.answer(run, &text).await.map(|_| "answered; the card is ready again".to_owned());
            Answer::Said { wanted: format!("answer {run}"), result: result.map_err(words) }
        }
        Effect::Write { write, undoes } => {
            let result = calls::write(client, &write).await;
            Answer::Wrote { write, undoes, result }
        }
        Effect::Resume(program) => {
            let path = format!("/api/control/pools/{program}/resume");
            let result = client.call::<serde_json::Value>("POST", &path, &serde_json::json!({})).await;
            let result = result.map(|_| format!("{program} goes on")).map_err(words);
            Answer::Said { wanted: format!("resume {program}"), result }
        }
        Effect::Sync(repo) => {
            let result = client.sync(repo.as_ref()).await.map_err(words).and_then(|a| {
                match a.results.iter().find_map(|r| r.error.as_ref().map(|e| format!("{}: {e}", r.repo))) {
                    Some(error) => Err(error),
                    None => Ok(format!("synced, {} issues seen", a.synced_count)),
                }
            });
            Answer::Said { wanted: "sync".to_owned(), result }
        }
        Effect::OlderLog { run, from, to } => {
            Answer::Older { run, from, result: older(client, run, from, to).await.map_err(words) }
        }
        Effect::LoadDiff(run) => Answer::Diff { run, result: client.diff(run).await.map_err(words) },
        Effect::Quit
        | Effect::Suspend
        | Effect::Redraw
        | Effect::Mouse(_)
        | Effect::Copy(_)
        | Effect::Edit(_)
        | Effect::Dress
        | Effect::Keep(_)
        | Effect::Resync
        | Effect::CloseLog
        | Effect::FollowLog { .. } => return None,
    })
}

async fn older(client: &Client, run: RunId, from: u64, to: u64) -> client::Result<Vec<u8>> {
    let query = LogQuery { stream: None, offset: Some(from), tail: None, follow: None, q: None };
    let mut log = client.log(run, &query).await?;
    let want = usize::try_from(to - from).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    while bytes.len() < want {
        let Some(more) = log.next().await? else { break };
        bytes.extend_from_slice(&more);
    }
    bytes.truncate(want);
    Ok(bytes)
}

/// The queue as anybody would be offered it. Entries of two kinds come mixed, so they are read by hand.
async fn queue(client: &Client) -> client::Result<Vec<QueueRow>> {
    let query = QueueQuery { include_claimed: Some(true), ..QueueQuery::default() };
    let rows: Vec<serde_json::Value> = client.get("/api/agents/operator/queue", &query).await?;
    let line = |row: &serde_json::Value, field: &str| row[field].as_str().map(text::line).unwrap_or_default();
    let read = |row: &serde_json::Value| {
        let fix = row["type"] == "pr-review-fix";
        let issue = (!fix).then(|| dispatch_shared::id::IssueId::new(line(row, "issueId")));
        let subject = if fix {
            format!("{} PR {}", line(row, "repo"), row["pr"])
        } else {
            format!("{}#{}", line(row, "repoFullName"), row["number"])
        };
        QueueRow {
            key: issue.as_ref().map_or_else(|| subject.clone(), ToString::to_string),
            issue,
            subject,
            title: line(row, "title"),
            reason: line(row, "rankingReason"),
            claimable: fix || row["claimable"] == true,
            fix,
        }
    };
    Ok(rows.iter().map(read).collect())
}
