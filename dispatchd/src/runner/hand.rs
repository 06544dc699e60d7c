//! What is asked of a run by hand before it starts: whether its program and templates are there, where it will work, and for
//! a dry run the checkout and the prompt.

use std::path::PathBuf;
use std::sync::Arc;

use super::context::Context;
use super::disk;
use super::log::Stream;
use super::prepare;
use super::prompt;
use crate::core::record::{Hand, Repo, Run, Target};
use dispatch_shared::run::EndClass;

/// See the module.
#[derive(Clone)]
pub struct Hands {
    ctx: Arc<Context>,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hands")
    }
}

impl Hands {
    pub(super) fn new(ctx: Arc<Context>) -> Self {
        Self { ctx }
    }

    /// The template where none is named.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.ctx.settings.template
    }

    /// Whether all that is named is there.
    ///
    /// # Errors
    /// A sentence that lists what there is.
    pub fn check(&self, program: Option<&str>, target: &Target, hand: &Hand) -> Result<(), String> {
        if let Some(program) = program {
            self.ctx.agents.get(program)?;
        }
        prompt::check(&self.ctx.templates, target, hand)
    }

    /// Where `run` works, or would (the checkout is `repo` in it), and the file that its output goes to.
    #[must_use]
    pub fn places(&self, repo: &Repo, run: &Run) -> (PathBuf, PathBuf) {
        (self.ctx.spaces.of(repo, run).dir, self.ctx.logs.path(run.id, Stream::Raw))
    }

    /// Prepares the workspace of `run`, which is in no store, and returns the prompt that it would be given. Nothing is
    /// started and nobody's work is touched.
    ///
    /// # Errors
    /// The class and a sentence.
    pub async fn rehearse(&self, repo: &Repo, run: &Run) -> Result<String, (EndClass, String)> {
        let ctx = &self.ctx;
        let ws = ctx.spaces.of(repo, run);
        let busy = || {
            let world = ctx.ledger.snapshot();
            let there = world.live_runs().find(|r| r.card.repo == repo.key && r.place() == run.place());
            there.filter(|r| !r.waiting).map(|r| format!("{} works there now", r.id))
        };
        if let Some(why) = disk::cramped(ctx.spaces.root(), &ctx.settings) {
            return Err((EndClass::Crashed, why));
        }
        prepare::checkout(ctx, repo, &ws, busy, &|_| {}).await?;
        let card = ctx.ledger.snapshot().cards.get(&run.card).filter(|_| run.is_on_issue()).cloned();
        let prompt = prepare::prompt_of(ctx, repo, card.as_deref(), run, &ws, &|_| {}).await;
        prompt.map_err(|why| (EndClass::Crashed, why))
    }
}
