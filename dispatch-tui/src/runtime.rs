//! The board's engine: waits for keys, the link, answers to effects and one timer; drains what there is, and draws
//! one frame if one is owed. Nothing ticks.

use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use color_eyre::eyre::{Result, WrapErr};
use crossterm::event::{Event, EventStream};
use dispatch_shared::Timestamp;
use dispatch_shared::client::{self, Client};
use dispatch_shared::error::Code;
use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::claims::ClaimRequest;
use dispatch_shared::protocol::issues::MoveRequest;
use dispatch_shared::protocol::runs::KillRequest;
use futures_util::StreamExt;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use crate::BoardOptions;
use crate::effect::Effect;
use crate::model::Model;
use crate::notify::Notify;
use crate::settings::{self, Settings};
use crate::terminal::{Abilities, Screen};
use crate::theme::{Background, Depth, Theme};
use crate::update::answers::Answer;
use crate::update::{Msg, News, What, refresh, update};
use crate::{background, calls, editor, fetch, first, keep, link, logs, notify, terminal};

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
    let can = Abilities { mouse: model.mouse, links: options.links, clipboard: options.clipboard };
    let mut screen = Screen::take(can).wrap_err("cannot take the terminal")?;
    let mut window = Window::new()?;
    model.size = screen.size()?;

    let (news_in, mut news) = mpsc::channel::<News>(64);
    let (answers_in, mut answers) = mpsc::channel::<Answer>(64);
    let (resync, resync_out) = mpsc::channel(1);
    let mut tasks = JoinSet::new();
    tasks.spawn(link::run(client.clone(), news_in, resync_out));
    // The terminal's answer to the question for its background must not be taken for keys: it is asked before they are read.
    screen.draw(&model)?;
    if let Some(page) = screen.take_page() {
        terminal::write(&page)?;
    }
    let background = if options.no_color { Background::Unknown } else { background::ask() };
    let (keys_in, mut keys) = mpsc::channel::<Option<Event>>(256);
    let reader = tokio::spawn(read_keys(keys_in.clone()));
    let wardrobe = Wardrobe { settings, theme, background, depth: Depth::from_env(env) };
    wardrobe.dress(&mut model);
    let notify = options.notify.settle(env);
    let mut hands = Hands {
        client,
        answers: answers_in,
        resync,
        tasks,
        log: None,
        notify,
        keys: (keys_in, reader),
        wardrobe,
        kept_at,
    };
    // The page that is on its way to the terminal. There is one at most: what changes meanwhile goes into the next one.
    let mut writing: Option<JoinHandle<io::Result<()>>> = None;

    let mut stop = Stop::new()?;
    loop {
        if writing.is_none() {
            if std::mem::take(&mut model.dirty) {
                refresh(&mut model);
                screen.draw(&model)?;
            }
            if let Some(page) = screen.take_page() {
                writing = Some(tokio::task::spawn_blocking(move || terminal::write(&page)));
            }
        }
        let mut next = tokio::select! {
            event = keys.recv() => match event.flatten() {
                Some(event) => event_what(event),
                // The terminal is gone, and nobody is there to ask.
                None => break,
            },
            Some(item) = news.recv() => Some(What::News(item)),
            Some(answer) = answers.recv() => Some(What::Done(answer)),
            () = wait(model.next_change()) => Some(What::Wake),
            written = written(&mut writing) => {
                written.wrap_err("the terminal is gone")?;
                None
            }
            () = window.changed() => {
                let (columns, rows) = screen.size()?;
                Some(What::Resize(columns, rows))
            }
            () = stop.asked() => break,
            Some(ended) = hands.tasks.join_next() => {
                // The hook has given the terminal back already, and said why.
                if let Err(panic) = ended && panic.is_panic() {
                    std::panic::resume_unwind(panic.into_panic());
                }
                None
            }
        };
        // Whatever else is there already goes into the same frame; bounded, so that a flood cannot stop drawing.
        let mut left = MOST;
        while let Some(what) = next.take() {
            for effect in update(&mut model, Msg { now: now(), what }) {
                if matches!(effect, Effect::Suspend | Effect::Edit(_)) && writing.is_some() {
                    written(&mut writing).await.wrap_err("the terminal is gone")?;
                }
                match effect {
                    Effect::Quit => return Ok(model.data.live_runs()),
                    Effect::Suspend => {
                        screen.suspend()?;
                        model.size = screen.size()?;
                        model.dirty = true;
                    }
                    Effect::Edit(text) => hands.edit(&text, &mut screen, &mut model).await?,
                    effect => hands.act(effect, &mut screen, &mut model)?,
                }
            }
            left -= 1;
            if left == 0 {
                break;
            }
            next = match keys.try_recv() {
                Ok(Some(event)) => event_what(event),
                Ok(None) => return Ok(model.data.live_runs()),
                Err(_) => {
                    news.try_recv().map(What::News).or_else(|_| answers.try_recv().map(What::Done)).ok()
                }
            };
        }
    }
    Ok(model.data.live_runs())
}

/// So many messages go into one frame.
const MOST: usize = 256;

/// Waits until the page is written; forever if none is on its way.
async fn written(writing: &mut Option<JoinHandle<io::Result<()>>>) -> io::Result<()> {
    let Some(task) = writing else { return pending().await };
    let done = task.await;
    *writing = None;
    done.map_err(io::Error::other)?
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
        // Said by the signal itself, see [`Window`].
        #[cfg(unix)]
        Event::Resize(..) => None,
        #[cfg(not(unix))]
        Event::Resize(columns, rows) => Some(What::Resize(columns, rows)),
        Event::FocusGained => Some(What::Focus(true)),
        Event::FocusLost => Some(What::Focus(false)),
    }
}

/// Tells that the window has another size. Asked of the system and not of the stream of keys: that one can lose a change of
/// size that comes together with a key.
struct Window {
    #[cfg(unix)]
    changed: tokio::signal::unix::Signal,
}

impl Window {
    fn new() -> Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            changed: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change())?,
        })
    }

    async fn changed(&mut self) {
        #[cfg(unix)]
        if self.changed.recv().await.is_some() {
            return;
        }
        pending::<()>().await;
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
    notify: Notify,
    /// Who reads the terminal, and where to.
    keys: (mpsc::Sender<Option<Event>>, JoinHandle<()>),
    wardrobe: Wardrobe,
    /// The file of what is remembered.
    kept_at: PathBuf,
}

impl Hands {
    /// Lets the operator's editor have the text, and the terminal. No page may be under way.
    async fn edit(&mut self, text: &str, screen: &mut Screen, model: &mut Model) -> Result<()> {
        // The editor needs the terminal to itself: nobody else may read it meanwhile.
        self.keys.1.abort();
        let _ = (&mut self.keys.1).await;
        // A `C-c` in the editor goes to the whole group; caught, it does not end the board as well.
        #[cfg(unix)]
        drop(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?);
        let result = screen.lend(|| editor::edit(text, env))?;
        self.keys.1 = tokio::spawn(read_keys(self.keys.0.clone()));
        model.size = screen.size()?;
        model.dirty = true;
        let _ = self.answers.try_send(Answer::Edited(result));
        Ok(())
    }

    /// Carries out one effect.
    fn act(&mut self, effect: Effect, screen: &mut Screen, model: &mut Model) -> Result<()> {
        match effect {
            Effect::Redraw => {
                screen.clear()?;
                model.dirty = true;
            }
            Effect::Mouse(on) => screen.set_mouse(on)?,
            Effect::Copy(text) => screen.copy(&text)?,
            Effect::Dress => self.wardrobe.dress(model),
            Effect::Keep(kept) => {
                if let Err(why) = keep::change(&self.kept_at, kept) {
                    model.complain(why);
                }
            }
            Effect::Notify { title, body } => self.tell(screen, title, body)?,
            Effect::Resync => drop(self.resync.try_send(())),
            Effect::CloseLog => self.close_log(),
            Effect::FollowLog { run, kind, from } => {
                self.close_log();
                let task = logs::follow(self.client.clone(), self.answers.clone(), run, kind, from);
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
        Ok(())
    }

    /// Tells the operator, in the way that was chosen.
    fn tell(&mut self, screen: &mut Screen, title: String, body: String) -> io::Result<()> {
        match self.notify {
            Notify::Off | Notify::Auto => Ok(()),
            Notify::Bell => screen.bell(),
            Notify::Osc9 => screen.notify(false, &title, &body),
            Notify::Osc777 => screen.notify(true, &title, &body),
            Notify::Desktop => {
                self.tasks.spawn(async move {
                    if !notify::desktop(&title, &body).await {
                        tracing::debug!("the desktop was not told");
                    }
                });
                Ok(())
            }
        }
    }

    fn close_log(&mut self) {
        if let Some(log) = self.log.take() {
            log.abort();
        }
    }
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
        Effect::ReadLog { run, kind, from, to } => {
            let result = logs::read(client, run, kind, from, to).await.map_err(words);
            Answer::Read { run, kind, from, result }
        }
        Effect::FindLog { run, kind, needle, before } => {
            let result = logs::find(client, run, kind, &needle, before).await.map_err(words);
            Answer::Found { run, kind, needle, result }
        }
        Effect::StartDaemon => Answer::Started(first::start(client).await),
        Effect::Track { what, token } => {
            let result = first::track(client, &what, token).await;
            Answer::Tracked { what, result }
        }
        Effect::EnsureLabels(repo) => {
            let result = first::ensure_labels(client, &repo).await;
            Answer::Said { wanted: "labels".to_owned(), result }
        }
        Effect::LoadDiff(run) => Answer::Diff { run, result: client.diff(run).await.map_err(words) },
        // Those of the terminal are carried out before they come here.
        other => return fetch::ask(client, other).await,
    })
}
