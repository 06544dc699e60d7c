//! The wiring: opens the store, binds the socket, starts every room, and takes them down in the opposite order.

use std::sync::Arc;

use color_eyre::eyre::{Result, WrapErr, eyre};
use dispatch_shared::id::RepoName;
use tokio::sync::watch as watch_channel;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::auth::{Doors, Entrance};
use crate::api::{App, ForgeDesk, GroomerDesk, follow, listen, routes, serve, tcp};
use crate::config::Config;
use crate::config::token::Identity;
use crate::core::command::{Command, Track};
use crate::core::record::{ForgeKind, Source};
use crate::credentials::github::GithubToken;
use crate::desk::{Automation, ByHand, Desk, Engines, Files, Grooming, Looks};
use crate::edges::{Edges, Forge, ForgeError};
use crate::forge::Forges;
use crate::forge::automation::AutomationReader;
use crate::forge::github::{App as GithubApp, Credential, GithubForge, Troubles, web_base};
use crate::forge::health::HealthWatch;
use crate::forge::hinted::Hinted;
use crate::forge::local::LocalForge;
use crate::forge::outbox::Outbox;
use crate::forge::sync::{SyncSettings, Syncer};
use crate::forge::waits::WaitsWatch;
use crate::groomer::Groomer;
use crate::ledger::{Door, Fault};
use crate::runner::Runner;
use crate::runner::log::RunLogs;
use crate::secret::Secret;
use crate::store::Store;
use crate::{clockwork, notify, setup, watch};

/// How long a repository that cannot be tracked at the first start waits for the next try.
const SEED_AGAIN: std::time::Duration = std::time::Duration::from_secs(60);

/// Serves until `shutdown`, or until the store fails.
///
/// # Errors
/// A report whose sentences name what cannot be had and the next step; also if the store failed while serving.
pub async fn serve(config: Config, edges: Edges, shutdown: CancellationToken) -> Result<()> {
    let store = open(&config, &edges)?;
    let listener = listen::bind(&config.socket).await?;
    let tcp = bind_tcp(&config).await?;
    store
        .announce(&config.socket, edges.clock.now())
        .wrap_err_with(|| format!("cannot write into {}", config.state_dir.display()))?;
    let ledger: Door = store.clone();
    let (forges, github) = forges(&config, &edges)?;
    let every = SyncSettings { every: config.file.sync.every.0, ..SyncSettings::default() };
    let syncer = Arc::new(Syncer::new(ledger.clone(), forges.clone(), edges.clone(), every));
    let health = HealthWatch::new(ledger.clone(), forges.clone(), edges.clone());
    let logs = RunLogs::new(&config.state_dir, config.file.runner.log_limit.0);
    let runner = Runner::new(
        ledger.clone(),
        forges.clone(),
        edges.clone(),
        config.file.runner.clone(),
        &config.state_dir,
        logs.clone(),
    )
    .map_err(|e| eyre!("{}: {e}", config.path.display()))?;
    let hinted = Hinted::new(ledger.clone(), forges.clone(), edges.clone(), syncer.clone());
    let hinted = Arc::new(hinted);
    let troubles = github.troubles();
    let desk = Arc::new(Desk {
        ledger: ledger.clone(),
        forges: forges.clone(),
        looks: Looks::new(github.clone(), edges.clone()),
        github,
        hinted: hinted.clone(),
        syncer: syncer.clone(),
        health: health.clone(),
    });
    let reader = AutomationReader::new(ledger.clone(), forges.clone(), edges.clone());
    let files = Files { logs, diffs: runner.diffs(), engine: runner.engine_note() };
    let app = App {
        ledger: ledger.clone(),
        edges: edges.clone(),
        forges: desk.clone(),
        automation: Arc::new(Automation { forges: forges.clone(), reader: reader.clone() }),
        groomer: groomer(&config, &ledger, &edges)?,
        files: Arc::new(files),
        hands: Arc::new(ByHand(runner.hands())),
        engines: Arc::new(Engines(runner.strays())),
        webhook_secret: config.webhook_secret.clone(),
        hub: Arc::new(follow::Hub::default()),
        doors: Arc::new(doors(&config)),
        setup: Arc::new(setup::Desk::new(&config, |name| std::env::var(name).ok())),
        store_failed: store.failed(),
        shutdown: shutdown.clone(),
    };
    tracing::info!(socket = %config.socket.display(), state = %config.state_dir.display(), "dispatchd serves");

    let tasks = TaskTracker::new();
    let stop = shutdown.clone();
    {
        let (app, stop) = (app.clone(), stop.clone());
        tasks.spawn(async move { app.hub.clone().run(&app, stop).await });
    }
    {
        let (syncer, stop) = (syncer.clone(), stop.clone());
        tasks.spawn(async move { syncer.run(stop).await });
    }
    {
        let stop = stop.clone();
        tasks.spawn(async move { health.run(stop).await });
    }
    {
        let waits = WaitsWatch::new(ledger.clone(), forges.clone(), edges.clone());
        let stop = stop.clone();
        tasks.spawn(async move { waits.run(stop).await });
    }
    {
        let (outbox, stop) = (Outbox::new(ledger.clone(), forges, edges.clone()), stop.clone());
        tasks.spawn(async move { outbox.run(stop).await });
    }
    if config.file.sync.automation {
        let stop = stop.clone();
        tasks.spawn(async move { reader.run(stop).await });
    }
    tasks.spawn(hinted.run(stop.clone()));
    tasks.spawn(credentials(ledger.clone(), troubles, stop.clone()));
    tasks.spawn(runner.run(stop.clone()));
    tasks.spawn(clockwork::run(ledger.clone(), edges.clone(), stop.clone()));
    tasks.spawn(watch::run(ledger.clone(), syncer, stop.clone()));
    let notices = config.file.notify.clone();
    tasks.spawn(notify::run(ledger.clone(), edges.clone(), notices, config.state_dir.clone(), stop.clone()));
    tasks.spawn(seed(ledger, desk, config.seed.clone(), stop.clone()));

    let drain = config.file.runner.drain();
    let mut failed = store.failed();
    let local = serve::door(listener, routes::router(app.clone(), Entrance::Local), stop.clone());
    let remote = async {
        match tcp {
            Some(tcp) => serve::door(tcp, routes::router(app, Entrance::Tcp), stop.clone()).await,
            None => stop.cancelled().await,
        }
    };
    let api = async { tokio::join!(local, remote) };
    let cause = tokio::select! {
        ((), ()) = api => None,
        Ok(cause) = async { failed.wait_for(Option::is_some).await.map(|c| c.clone()) } => cause,
    };
    shutdown.cancel();
    tasks.close();
    if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
        tracing::warn!(
            open = tasks.len(),
            "some work did not end within {} seconds and is cut off",
            drain.as_secs()
        );
    }
    drop(store.close().await);
    match cause {
        None => {
            tracing::info!("dispatchd has stopped; runs that were under way go on");
            Ok(())
        }
        Some(cause) => Err(eyre!(
            "the store failed: {cause}\nWhat was in flight may or may not be kept. Check the disk of {} and start dispatchd \
             again: it recovers from what is there.",
            config.state_dir.display()
        )),
    }
}

/// The TCP listener, if one is configured.
async fn bind_tcp(config: &Config) -> Result<Option<tcp::Tcp>> {
    let Some(text) = &config.doors.listen else { return Ok(None) };
    let tcp = tcp::bind(text, !config.doors.keys.is_empty(), config.doors.off).await?;
    tracing::info!(address = %tcp.address()?, "dispatchd serves on TCP");
    Ok(Some(tcp))
}

fn doors(config: &Config) -> Doors {
    let (doors, api) = (&config.doors, &config.file.api);
    Doors::new(&doors.keys, doors.off, doors.listen.is_some(), api.rate_limit, api.rate_window.0)
}

fn open(config: &Config, edges: &Edges) -> Result<Arc<Store>> {
    let policy = Arc::new(config.policy.clone());
    Ok(Arc::new(Store::open(&config.state_dir, edges.clone(), policy)?))
}

fn groomer(config: &Config, ledger: &Door, edges: &Edges) -> Result<Option<Arc<dyn GroomerDesk>>> {
    let Some(settings) = config.groomer.clone() else { return Ok(None) };
    let groomer = Groomer::new(ledger.clone(), edges.clone(), settings)
        .map_err(|e| eyre!("the hosted groomer: {e}"))?;
    Ok(Some(Arc::new(Grooming(groomer))))
}

/// GitHub as the configuration says that it is seen.
///
/// # Errors
/// If no connection can be made here, or the address is none.
pub fn github(config: &Config, edges: &Edges) -> Result<Arc<GithubForge>, ForgeError> {
    let credential = match &config.identity {
        Identity::App { id, installation, key } => {
            Credential::App(GithubApp { id: id.clone(), installation: *installation, key: key.clone() })
        }
        Identity::Token(places) => {
            let web = web_base(&config.api_url);
            let host = web.split("://").nth(1).unwrap_or(&web).to_owned();
            Credential::Token(Arc::new(GithubToken::new(places.clone(), host)))
        }
    };
    let forge = GithubForge::new(config.api_url.clone(), credential, edges.clone())?;
    Ok(Arc::new(forge.masking(secrets(config))))
}

fn forges(config: &Config, edges: &Edges) -> Result<(Arc<Forges>, Arc<GithubForge>)> {
    let github = github(config, edges).map_err(|e| eyre!("GitHub: {e}"))?;
    let local: Arc<dyn Forge> = Arc::new(LocalForge::new(edges.clone()));
    let forges = Forges { github: Some(github.clone() as Arc<dyn Forge>), local };
    Ok((Arc::new(forges), github))
}

/// What must not stand in an excerpt of somebody else's log.
fn secrets(config: &Config) -> Vec<Secret> {
    let keys = config.doors.keys.iter().map(|k| k.token.clone());
    let model = config.groomer.iter().filter_map(|g| g.api_key.clone());
    let hooks = config.webhook_secret.find().ok().flatten().map(|t| t.secret);
    keys.chain(hooks).chain(model).collect()
}

/// Has the ledger know what is wrong with the credentials, so that it is a problem on the board.
async fn credentials(ledger: Door, mut troubles: watch_channel::Receiver<Troubles>, stop: CancellationToken) {
    loop {
        let now = troubles.borrow_and_update().clone();
        if let Err(fault) = ledger.submit(Command::Troubled(now)).await {
            tracing::warn!(%fault, "a trouble with credentials was not kept");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            more = troubles.changed() => if more.is_err() { return },
        }
    }
}

/// Tracks the repositories of the configuration, once, while none is tracked.
async fn seed(ledger: Door, desk: Arc<Desk>, wanted: Vec<RepoName>, shutdown: CancellationToken) {
    if ledger.snapshot().tracked().next().is_some() {
        return;
    }
    let mut left = wanted;
    while !left.is_empty() {
        let mut again = Vec::new();
        for name in left {
            match track(&ledger, &desk, &name).await {
                Ok(()) => {}
                Err(Seed::Never(error)) => {
                    tracing::warn!(repo = %name, %error, "cannot be tracked; it is left out")
                }
                Err(Seed::Later(error)) => {
                    tracing::warn!(repo = %name, %error, "cannot be tracked yet");
                    again.push(name);
                }
            }
        }
        left = again;
        if left.is_empty() {
            return;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(SEED_AGAIN) => {}
        }
    }
}

/// Why a repository of the configuration is not tracked.
enum Seed {
    /// Trying again may help.
    Later(String),
    /// It is not there, may not be seen, or is tracked already.
    Never(String),
}

async fn track(ledger: &Door, desk: &Desk, name: &RepoName) -> std::result::Result<(), Seed> {
    let looked = desk.look(ForgeKind::Github, Some(name), None).await;
    let (seen, path) = looked.map_err(|error| match error {
        ForgeError::NotFound(said) | ForgeError::Refused(said) => Seed::Never(said),
        other => Seed::Later(other.to_string()),
    })?;
    let track = Track {
        seen,
        forge: ForgeKind::Github,
        path,
        source: Source::Env,
        runner_enabled: false,
        actor: "dispatch".into(),
    };
    ledger.submit(Command::Track(track)).await.map_err(|fault| match fault {
        Fault::Refused(refusal) => Seed::Never(refusal.to_string()),
        other => Seed::Later(other.to_string()),
    })?;
    Ok(())
}
