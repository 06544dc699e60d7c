//! What keeps runs from starting or from being followed: an engine that is missing, hangs or went away, an image that cannot be
//! had. Looked at when it matters: at the start, before work is taken, while runs live, and again and again while something is
//! wrong; never while the runner has nothing to do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dispatch_shared::run::RuntimeKind;
use tokio::time::Instant;

use super::context::Context;
use super::runtime;
use super::settings::RuntimeChoice;
use crate::core::command::Command;
use crate::edges::{Runtime, RuntimeError};

/// While runs live, or before one starts, an engine that answered so long ago is asked again.
const BEAT: Duration = Duration::from_secs(20);
/// The first pause after which something wrong is looked at again, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// Images that could not be had, and what was said of each.
#[derive(Debug, Default)]
pub(super) struct Images(Mutex<BTreeMap<String, String>>);

impl Images {
    fn all(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what was said of an image that could not be had.
    pub(super) fn missing(&self, name: &str, said: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), said.to_owned());
    }

    fn there(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Whether this one could not be had.
    pub(super) fn lacks(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }
}

/// See the module.
pub(super) struct Health {
    /// The engine that was given instead of a choice.
    given: Option<Arc<dyn Runtime>>,
    /// The engine that new runs start on, while there is a good one.
    pub(super) engine: Option<Arc<dyn Runtime>>,
    ailing: BTreeMap<String, String>,
    told: Option<BTreeMap<String, String>>,
    /// Long ago: what is due since then is due now.
    born: Instant,
    looked: Option<Instant>,
    pause: Duration,
}

impl Health {
    pub(super) fn new(given: Option<Arc<dyn Runtime>>) -> Self {
        Self {
            given,
            engine: None,
            ailing: BTreeMap::new(),
            told: None,
            born: Instant::now(),
            looked: None,
            pause: AGAIN.0,
        }
    }

    /// When to look again, with or without runs that live; `None` if nothing calls for it.
    pub(super) fn due(&self, ctx: &Context, busy: bool) -> Option<Instant> {
        let news = self.ailing.is_empty() && !ctx.images.all().is_empty();
        let Some(looked) = self.looked.filter(|_| !news) else { return Some(self.born) };
        if self.engine.is_none() || !self.ailing.is_empty() {
            return Some(looked + self.pause);
        }
        busy.then(|| looked + BEAT)
    }

    /// Whether it was looked lately enough to start a run on it.
    pub(super) fn is_fresh(&self) -> bool {
        self.looked.is_some_and(|at| at.elapsed() < BEAT)
    }

    /// Looks at the engine for new runs, at those of live runs, and for the images that were missing; has the ledger know.
    /// Returns what there is to say of the engine for new runs.
    pub(super) async fn look(&mut self, ctx: &Context, state_dir: &Path) -> String {
        let mut ailing = BTreeMap::new();
        let note = match self.find(ctx, state_dir).await {
            Ok(engine) => {
                let note = engine.kind().to_string();
                self.engine = Some(engine);
                note
            }
            Err(error) => {
                self.engine = None;
                let subject = match ctx.settings.runtime {
                    RuntimeChoice::Named(kind) => kind.word(),
                    RuntimeChoice::Auto => "engine",
                };
                ailing.insert(subject.to_owned(), error.0.clone());
                error.0
            }
        };
        for kind in self.others(ctx) {
            if let Err(error) = runtime::of_kind(kind, state_dir).check().await {
                let said =
                    format!("{error}; runs that are on it go on, and are followed again when it answers");
                ailing.entry(kind.word().to_owned()).or_insert(said);
            }
        }
        for (image, said) in ctx.images.all() {
            match &self.engine {
                Some(engine) if matches!(engine.image(&image).await, Ok(true)) => ctx.images.there(&image),
                _ => drop(ailing.insert(format!("image {image}"), said)),
            }
        }
        self.pause =
            if ailing.keys().eq(self.ailing.keys()) { (self.pause * 2).min(AGAIN.1) } else { AGAIN.0 };
        self.ailing = ailing;
        self.looked = Some(Instant::now());
        self.tell(ctx).await;
        note
    }

    async fn find(&self, ctx: &Context, state_dir: &Path) -> Result<Arc<dyn Runtime>, RuntimeError> {
        let (choice, wants) = (ctx.settings.runtime, ctx.settings.wants());
        if let Some(given) = &self.given {
            return given.check().await.map(|()| given.clone());
        }
        if let Some(engine) = &self.engine
            && runtime::usable(engine, &wants).await.is_ok()
        {
            return Ok(engine.clone());
        }
        runtime::choose(choice, &wants, &ctx.settings, state_dir).await
    }

    /// The engines of live runs, but for the one that was just asked.
    fn others(&self, ctx: &Context) -> BTreeSet<RuntimeKind> {
        let asked = self.engine.as_ref().map(|e| e.kind());
        let world = ctx.ledger.snapshot();
        let kinds = world.live_runs().filter_map(|r| r.runtime);
        kinds.filter(|k| Some(*k) != asked && *k != RuntimeKind::Host).collect()
    }

    async fn tell(&mut self, ctx: &Context) {
        if self.told.as_ref() == Some(&self.ailing) {
            return;
        }
        for (who, said) in &self.ailing {
            tracing::warn!(who, said, "runs cannot start or be followed");
        }
        match ctx.ledger.submit(Command::Ailing(self.ailing.clone())).await {
            Ok(_) => self.told = Some(self.ailing.clone()),
            Err(fault) => tracing::warn!(%fault, "what is wrong with the engines was not kept"),
        }
    }
}
