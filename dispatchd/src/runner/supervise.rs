//! One run's life, from its claim to its end, in whatever state a restart finds it.
//!
//! In order: prepare (mirror, workspace, prompt, home); start, or take up what still runs; follow it until it ends or is
//! ended; verify; publish; report the end, once; clean up. A crash between any two of them is mended by doing the step
//! that the ledger names again. A fault in one run ends that run.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::run::{EndClass, Phase, RunState, Usage};
use futures_util::FutureExt;

use super::agents::{Agent, Produces};
use super::context::{Context, Halt, Seat};
use super::disk;
use super::follow;
use super::hooks::{self, When};
use super::lfs;
use super::log::Writer;
use super::prepare;
use super::publish::{self, Failure};
use super::pull::{self, Missed};
use super::settings::{OnShutdown, Pull};
use super::stream::Reader;
use super::verify;
use super::workspace::Workspace;
use crate::core::command::{RunEnd, RunStep};
use crate::core::record::{Kill, Repo, Run};
use crate::edges::{Exit, Found, Handle, Runtime, RuntimeError};

/// Why a run does not get to its good end.
pub(super) enum Stop {
    /// Somebody or something outside ended it.
    Halt(Halt),
    /// It ended so.
    End(Box<RunEnd>),
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        Stop::Halt(halt)
    }
}

impl From<Failure> for Stop {
    fn from((class, reason): Failure) -> Self {
        Stop::End(Box::new(end(class, Some(reason))))
    }
}

pub(super) fn end(class: EndClass, reason: Option<String>) -> RunEnd {
    RunEnd {
        class,
        reason,
        exit_code: None,
        question: None,
        usage: Usage::default(),
        retry_at: None,
        session: None,
        pull: None,
    }
}

fn crashed(why: impl Into<String>) -> Stop {
    Stop::End(Box::new(end(EndClass::Crashed, Some(why.into()))))
}

/// Sees a run through. `found` is its container, if the engine has one.
pub(super) async fn supervise(
    ctx: Arc<Context>,
    engine: Arc<dyn Runtime>,
    run: Arc<Run>,
    found: Option<Found>,
) {
    let seat = Seat { ctx, engine, run: run.id, attempt: run.attempt };
    seat.ctx.logs.announce(run.id);
    let handle = found.as_ref().map(|f| f.handle.clone());
    // A daemon before this one may have been about to start it.
    let unsure = handle.is_none() && matches!(run.state, RunState::Live(Phase::Preparing | Phase::Verifying));
    let mut life = Life { seat: seat.clone(), handle, unsure, usage: run.usage, session: None, again: None };
    let lived = AssertUnwindSafe(async {
        tokio::select! {
            stop = life.live(&run) => stop,
            never = seat.ctx.renew(&run) => match never {},
        }
    })
    .catch_unwind()
    .await;
    let outcome = match lived {
        Ok(stop) => stop,
        Err(_) => crashed("a fault of the runner ended it; the daemon's log has more"),
    };
    life.settle(&run, outcome).await;
    seat.ctx.logs.finish(seat.run);
    if seat.record().is_none() {
        let (logs, run) = (seat.ctx.logs.clone(), seat.run);
        let packed = tokio::task::spawn_blocking(move || logs.pack(run)).await;
        if let Ok(Err(error)) = packed {
            tracing::warn!(%run, %error, "its log was not compressed");
        }
    }
}

struct Life {
    seat: Seat,
    handle: Option<Handle>,
    /// Something may have been started although nobody has its handle.
    unsure: bool,
    usage: Usage,
    /// The program's own id of its conversation, and what that used in all.
    session: Option<(String, Option<Usage>)>,
    /// When the model said that it may be asked again.
    again: Option<Timestamp>,
}

impl Life {
    /// Everything up to the end; the end itself is the return value.
    async fn live(&mut self, run: &Run) -> Stop {
        match self.stages(run).await {
            Ok(end) => Stop::End(Box::new(end)),
            Err(stop) => stop,
        }
    }

    async fn stages(&mut self, run: &Run) -> Result<RunEnd, Stop> {
        let ctx = self.seat.ctx.clone();
        let (repo, card) = self.seat.subject().map_err(crashed)?;
        let agent = ctx.agents.get(&run.program).map_err(crashed)?;
        let ws = ctx.spaces.of(&repo, run);
        let mut writer =
            ctx.logs.writer(run.id).map_err(|e| crashed(format!("its log cannot be written: {e}")))?;
        writer.hide(prepare::secrets(&agent, &ctx.settings));
        let mut reader = Reader::new(agent.format);
        let phase = match run.state {
            RunState::Live(phase) => phase,
            RunState::Ended(_) => return Err(Halt::Over.into()),
        };
        let mut exit_code = run.exit_code;
        if matches!(phase, Phase::Queued | Phase::Preparing | Phase::Running) {
            // The program was ended because the daemon went down: it begins again.
            let again = phase == Phase::Running && ws.stopped().exists();
            if again {
                self.unsure = true;
                self.remove().await;
            }
            let adopted = self.handle.is_some();
            if !adopted {
                if phase == Phase::Running && !again {
                    let why = "its container vanished while the daemon was down".to_owned();
                    return Err((EndClass::Lost, why).into());
                }
                if phase != Phase::Running {
                    self.seat.step(RunStep::Preparing).await?;
                }
                let ready =
                    prepare::prepare(&self.seat, &repo, card.as_deref(), run, &agent, &ws, &mut writer);
                self.or_halt(ready).await??;
                self.start(&repo, run, &agent, &ws, &mut writer).await?;
                let _ = std::fs::remove_file(ws.stopped());
            }
            let handle = self.handle.clone().ok_or_else(|| crashed("it has no container"))?;
            let step = RunStep::Started { runtime: self.seat.engine.kind(), container: handle.name.clone() };
            self.seat.step(step).await?;
            if adopted {
                let now = ctx.edges.clock.now();
                let _ = writer.note(now, "the daemon was restarted and goes on with this run");
            }
            let ended = follow::follow(&self.seat, run, &agent, &handle, &mut writer, &mut reader).await;
            self.usage = ctx.used(&agent, &reader.summary);
            let summary = &reader.summary;
            self.session = summary.session.clone().map(|session| (session, summary.total));
            self.again = summary.again.map(|again| again.at(ctx.edges.clock.now()));
            let exit = ended?;
            if let Exit::Code(code) = exit {
                exit_code = Some(code);
            }
            if let Some(said) = self.after_run(&ws).await {
                let _ = writer.closing(ctx.edges.clock.now(), &said);
            }
            if let Some(question) = ws.question() {
                return Ok(RunEnd { question: Some(question), exit_code, ..end(EndClass::Blocked, None) });
            }
            if let Err((class, why)) = reader.judge(exit) {
                return Ok(RunEnd { exit_code, ..end(class, Some(why)) });
            }
            // Nothing is published of a tag, so what the program says is all that comes of it.
            if agent.produces == Produces::Review || ws.tag.is_some() {
                let said = reader.summary.last_event.clone();
                return Ok(RunEnd { exit_code, ..end(EndClass::Succeeded, said) });
            }
        }
        let finish = self.finish(&repo, run, &agent, &ws, &mut writer);
        let mut end = finish.await?;
        end.exit_code = exit_code;
        Ok(end)
    }

    /// Runs the operator's hook in what the program left, once that is safe to call git in. Returns what there is to say.
    async fn after_run(&self, ws: &Workspace) -> Option<String> {
        let hooks = &self.seat.ctx.settings.hooks;
        hooks.after_run.as_ref()?;
        if let Err(why) = self.seat.ctx.spaces.seal(ws) {
            return Some(format!("runner.hooks.after_run was not run: {why}"));
        }
        hooks::run(hooks, When::AfterRun, &ws.repo).await.unwrap_or_else(Some)
    }

    /// Lets `work` go on until it is done or the run is halted.
    async fn or_halt<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            biased;
            halt = self.seat.halt() => Err(halt),
            done = work => Ok(done),
        }
    }

    async fn start(
        &mut self,
        repo: &Repo,
        run: &Run,
        agent: &Agent,
        ws: &Workspace,
        writer: &mut Writer,
    ) -> Result<(), Stop> {
        let ctx = &self.seat.ctx;
        let argv = agent.argv(&ws.repo, &ws.home, &ws.base, None);
        let spec = prepare::spec(&self.seat, run, agent, ws, argv);
        self.image(&spec.image, writer).await?;
        ctx.edges.hook.before("runner.start").map_err(|e| crashed(format!("start: {e}")))?;
        let note = format!("{} on {} starts, attempt {}", run.program, repo.name, run.attempt.ordinal());
        let _ = writer.note(ctx.edges.clock.now(), &note);
        writer.begin().map_err(|e| crashed(format!("its log cannot be written: {e}")))?;
        // Not raced with a kill: a start that is dropped half-way would leave a container that nobody knows.
        self.unsure = true;
        let handle = match self.seat.engine.start(&spec).await {
            Ok(handle) => handle,
            Err(error) => return Err(self.engine_failed(error).await),
        };
        self.handle = Some(handle);
        ctx.edges.hook.before("runner.started").map_err(|e| crashed(format!("started: {e}")))?;
        Ok(())
    }

    /// How a run ends whose engine failed: the task is to blame only if the engine is well.
    async fn engine_failed(&self, error: RuntimeError) -> Stop {
        match self.seat.engine.check().await {
            Ok(()) => crashed(error.0),
            Err(_) => (EndClass::Network, error.0).into(),
        }
    }

    /// Sees to it that the image is there.
    async fn image(&self, name: &str, writer: &mut Writer) -> Result<(), Stop> {
        let ctx = self.seat.ctx.clone();
        let pull = ctx.settings.pull;
        if pull != Pull::Always {
            match self.seat.engine.image(name).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => return Err(self.engine_failed(error).await),
            }
        }
        if pull == Pull::Never {
            let said = format!(
                "the image `{name}` is not there, and runner.pull = \"never\": build it with `dispatchd image build`"
            );
            return Err(self.no_image(name, said));
        }
        let doing = format!("pulling the image {name}");
        let _ = writer.note(ctx.edges.clock.now(), &doing);
        self.seat.step(RunStep::Output { last_event: doing, usage: self.usage }).await?;
        let pulled = pull::pull(&self.seat, name, self.usage);
        match self.or_halt(pulled).await? {
            Ok(()) => Ok(()),
            // What is there is better than nothing.
            Err(Missed::Engine(error)) if matches!(self.seat.engine.image(name).await, Ok(true)) => {
                let _ = writer.note(ctx.edges.clock.now(), &format!("{error}; the one that is here is used"));
                Ok(())
            }
            Err(Missed::Engine(error)) => Err(self.no_image(name, error.0)),
            Err(Missed::Halt(halt)) => Err(halt.into()),
        }
    }

    /// How a run ends whose image cannot be had. While the runner's own is missing it takes no task; so the next comes at once
    /// when it is there.
    fn no_image(&self, name: &str, said: String) -> Stop {
        let ctx = &self.seat.ctx;
        ctx.images.missing(name, &said);
        let soon = (name == ctx.settings.image).then(|| ctx.edges.clock.now() + Duration::from_secs(2));
        Stop::End(Box::new(RunEnd { retry_at: soon, ..end(EndClass::Network, Some(said)) }))
    }

    /// Commits, verifies, publishes.
    async fn finish(
        &mut self,
        repo: &Repo,
        run: &Run,
        agent: &Agent,
        ws: &Workspace,
        writer: &mut Writer,
    ) -> Result<RunEnd, Stop> {
        let ctx = self.seat.ctx.clone();
        self.seat.step(RunStep::Verifying).await?;
        // The program is over; git is not called where something of it could still run.
        if let Some(handle) = &self.handle {
            self.seat.engine.remove(handle).await.map_err(|e| crashed(e.0))?;
            self.handle = None;
        }
        let left = publish::commit_leftovers(&ctx.spaces, ws, run);
        let left = self.or_halt(left).await??;
        if left > 0 {
            let said = format!("{left} files were left uncommitted; they were committed for the program");
            let _ = writer.closing(ctx.edges.clock.now(), &said);
        }
        let lost = lfs::changed(ws);
        if let Some(first) = lost.first() {
            let said = format!(
                "{} files that are kept in Git LFS were changed ({first}); that is not published",
                lost.len()
            );
            let _ = writer.closing(ctx.edges.clock.now(), &said);
        }
        let work = self.or_halt(publish::collect(&ctx.spaces, ws, run)).await??;
        if work.commits == 0 {
            let why = "it ended without a commit".to_owned();
            return Ok(end(EndClass::NoChanges, Some(why)));
        }
        let checks = verify::commands(&ctx.settings.verify, &ws.repo);
        if !checks.is_empty() {
            self.verify(run, agent, ws, &checks, writer).await?;
        }
        self.seat.step(RunStep::Publishing).await?;
        let publish = async {
            let forge = ctx.forges.for_repo(repo);
            let forge = forge.map_err(|e| publish::forge_failure("publishing", &e))?;
            let remote = forge.remote(repo).await;
            let remote = remote.map_err(|e| publish::forge_failure("asking for the remote", &e))?;
            publish::push(&ctx.spaces, &ctx.edges, &remote, ws, &work).await?;
            let (_, card) = self.seat.subject().map_err(|e| (EndClass::Failed, e))?;
            match card {
                Some(card) => {
                    publish::pull(forge.as_ref(), &ctx.edges, repo, &card, run, ws, &work).await.map(Some)
                }
                None => publish::pushed_to(forge.as_ref(), repo, run, ws).await,
            }
        };
        let pull = self.or_halt(publish).await??;
        let said = match &pull {
            Some(pull) => format!("pull request #{}: {}", pull.number, pull.url),
            None => format!("pushed to {}", ws.branch),
        };
        let _ = writer.closing(ctx.edges.clock.now(), &said);
        let reason = pull.is_none().then_some(said);
        Ok(RunEnd { pull: pull.map(Box::new), ..end(EndClass::Succeeded, reason) })
    }

    async fn verify(
        &mut self,
        run: &Run,
        agent: &Agent,
        ws: &Workspace,
        checks: &[String],
        writer: &mut Writer,
    ) -> Result<(), Stop> {
        let ctx = self.seat.ctx.clone();
        let _ = writer.closing(ctx.edges.clock.now(), &format!("verifying: {}", checks.join(", ")));
        prepare::home(ws, agent, &ctx.spaces, prepare::owner(&self.seat)).map_err(crashed)?;
        let mut spec = prepare::spec(&self.seat, run, agent, ws, verify::argv(checks));
        // The checks run the agent's code and need no model.
        spec.env_names.clone_from(&ctx.settings.env);
        spec.timeout = ctx.settings.verify_timeout.0;
        ctx.edges.hook.before("runner.verify").map_err(|e| crashed(format!("verify: {e}")))?;
        self.unsure = true;
        let handle = match self.seat.engine.start(&spec).await {
            Ok(handle) => handle,
            Err(error) => return Err(self.engine_failed(error).await),
        };
        self.handle = Some(handle.clone());
        let limit = ctx.settings.verify_timeout.0;
        let watched = async {
            tokio::select! {
                exit = follow::copy(&self.seat, &handle, writer) => exit,
                why = disk::outgrown(ws.dir.clone(), ctx.settings.workspace_limit) => Err(why),
            }
        };
        let exit = self.or_halt(tokio::time::timeout(limit, watched)).await?;
        let failed = match exit {
            Ok(Ok(Exit::Code(0))) => None,
            Ok(Ok(Exit::Code(code))) => Some(format!("the repository's checks failed with exit code {code}")),
            Ok(Ok(_)) => Some("the repository's checks were ended from outside".into()),
            Ok(Err(why)) => Some(why),
            Err(_) => Some(format!("the repository's checks took longer than {} s", limit.as_secs())),
        };
        self.remove().await;
        ws.forget_home();
        match failed {
            None => Ok(()),
            Some(why) => Err((EndClass::VerifyFailed, why).into()),
        }
    }

    async fn stop(&self, grace: Duration) {
        if let Some(handle) = &self.handle {
            self.seat.end_program(handle, grace).await;
        }
    }

    async fn remove(&mut self) {
        let named = || self.seat.engine.handle(self.seat.run, self.seat.attempt);
        let Some(handle) = self.handle.take().or_else(|| self.unsure.then(named)) else { return };
        self.unsure = false;
        if let Err(error) = self.seat.engine.remove(&handle).await {
            tracing::warn!(run = %self.seat.run, %error, "the container was not removed");
        }
    }

    /// Ends what still runs, reports the end once, cleans up.
    async fn settle(&mut self, run: &Run, outcome: Stop) {
        let end = match outcome {
            // Containers go on; the next daemon takes them up.
            Stop::Halt(Halt::Down) => return self.let_go(run).await,
            Stop::Halt(Halt::Over) => {
                self.stop(self.seat.ctx.settings.grace.0).await;
                None
            }
            Stop::Halt(Halt::Kill(kill)) => {
                let grace = if kill.now { Duration::ZERO } else { self.seat.ctx.settings.grace.0 };
                self.stop(grace).await;
                Some(killed(&kill))
            }
            Stop::End(end) => Some(*end),
        };
        if let Some(mut end) = end {
            end.usage = self.usage;
            end.session = self.session.take();
            if matches!(end.class, EndClass::RateLimited | EndClass::Quota | EndClass::Network) {
                end.retry_at = end.retry_at.or(self.again);
            }
            let over = self.report(end).await;
            if over == Err(Halt::Down) {
                return;
            }
        }
        if let Err(e) = self.seat.ctx.edges.hook.before("runner.clean") {
            tracing::error!(run = %self.seat.run, error = %e, "what it leaves behind stays");
            return;
        }
        self.remove().await;
        if let Ok((repo, _)) = self.seat.subject() {
            self.seat.ctx.spaces.of(&repo, run).forget_home();
        }
    }

    /// The daemon goes down: the program goes on without it, or is ended so that the next one begins it again.
    async fn let_go(&self, run: &Run) {
        let ctx = &self.seat.ctx;
        let running = |r: &Run| r.state == RunState::Live(Phase::Running);
        if ctx.settings.on_shutdown == OnShutdown::Leave
            || self.handle.is_none()
            || !self.seat.record().is_some_and(|r| running(&r))
        {
            return;
        }
        let Ok((repo, _)) = self.seat.subject() else { return };
        let mark = ctx.spaces.of(&repo, run).stopped();
        if let Err(error) = std::fs::write(&mark, "") {
            tracing::error!(run = %self.seat.run, %error, "it goes on: {} cannot be written", mark.display());
            return;
        }
        tracing::info!(run = %self.seat.run, "the program is ended, the next start begins it again");
        self.stop(ctx.settings.grace.0).await;
    }

    async fn report(&self, end: RunEnd) -> Result<(), Halt> {
        let ctx = &self.seat.ctx;
        if let Err(e) = ctx.edges.hook.before("runner.end") {
            tracing::error!(run = %self.seat.run, error = %e, "the end is not reported");
            return Err(Halt::Down);
        }
        tracing::info!(run = %self.seat.run, class = %end.class, reason = end.reason, "the run is over");
        if let Ok(mut writer) = ctx.logs.writer(self.seat.run) {
            let why = end.reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
            let _ = writer.closing(ctx.edges.clock.now(), &format!("{}{why}", end.class));
        }
        self.seat.step(RunStep::Ended(Box::new(end))).await
    }
}

fn killed(kill: &Kill) -> RunEnd {
    let class = if kill.revoked { EndClass::Revoked } else { EndClass::Killed };
    let what = if kill.revoked { "its claim was taken away" } else { "it was killed" };
    end(class, Some(format!("{what} by {}", kill.by)))
}
