//! One run's life, from its claim to its end, in whatever state a restart finds it.
//!
//! In order: prepare (mirror, workspace, prompt, home); start, or take up what still runs; follow it until it ends or is
//! ended; verify, and if that fails begin another round, as often as is allowed; publish; report the end, once; clean up. A crash between any two of them is mended by doing the step
//! that the ledger names again. A fault in one run ends that run.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::run::{EndClass, Phase, RunState, Usage};
use futures_util::FutureExt;

use super::agents::{Agent, Produces};
use super::context::{Context, Halt, Seat};
use super::follow;
use super::hooks::{self, When};
use super::lfs;
use super::log::Writer;
use super::prepare;
use super::publish::{self, Failure};
use super::pull::{self, Missed};
use super::sessions;
use super::settings::{OnShutdown, Pull};
use super::stream::Reader;
use super::workspace::Workspace;
use crate::core::command::{RunEnd, RunStep, Worked};
use crate::core::record::{Checked, Kill, Repo, Run};
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
        checked: None,
    }
}

pub(super) fn crashed(why: impl Into<String>) -> Stop {
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
    let mut life = Life {
        seat: seat.clone(),
        handle,
        unsure,
        usage: run.usage,
        session: None,
        again: None,
        worked: None,
        checked: None,
    };
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

pub(super) struct Life {
    pub(super) seat: Seat,
    pub(super) handle: Option<Handle>,
    /// Something may have been started although nobody has its handle.
    pub(super) unsure: bool,
    /// Over all rounds.
    usage: Usage,
    /// The program's own id of its conversation, and what that used in all.
    session: Option<(String, Option<Usage>)>,
    /// When the model said that it may be asked again.
    again: Option<Timestamp>,
    /// What its program did in this round, not yet told.
    worked: Option<Box<Worked>>,
    /// What the repository's checks said last, not yet told.
    pub(super) checked: Option<Checked>,
}

impl Life {
    /// Everything up to the end; the end itself is the return value.
    async fn live(&mut self, run: &Run) -> Stop {
        match Box::pin(self.stages(run)).await {
            Ok(end) => Stop::End(Box::new(end)),
            Err(stop) => stop,
        }
    }

    async fn stages(&mut self, run: &Run) -> Result<RunEnd, Stop> {
        if let Some(end) = Box::pin(self.round(run)).await? {
            return Ok(end);
        }
        loop {
            let run = self.seat.record().ok_or(Halt::Over)?;
            if let Some(end) = Box::pin(self.round(&run)).await? {
                return Ok(end);
            }
        }
    }

    /// From where `run` stands to its end; `None` if it goes back to its program.
    async fn round(&mut self, run: &Run) -> Result<Option<RunEnd>, Stop> {
        let ctx = self.seat.ctx.clone();
        let (repo, card) = self.seat.subject().map_err(crashed)?;
        let agent = ctx.agents.get(&run.program).map_err(crashed)?;
        let ws = ctx.spaces.of(&repo, run);
        let mut writer =
            ctx.logs.writer(run.id).map_err(|e| crashed(format!("its log cannot be written: {e}")))?;
        writer.hide(prepare::secrets(&agent, &ctx.settings));
        writer.goes_on_at(run.round.log);
        let mut reader = Reader::new(agent.format).resuming(prepare::before(run));
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
            let mut resumed = run.resume.is_some();
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
                // On the heap, as everything long that a run does: its future is large.
                let session = Box::pin(self.or_halt(ready)).await??;
                resumed = session.is_some();
                self.start(&repo, run, &agent, session, &ws, &mut writer).await?;
                let _ = std::fs::remove_file(ws.stopped());
            }
            let handle = self.handle.clone().ok_or_else(|| crashed("it has no container"))?;
            let step = RunStep::Started { runtime: self.seat.engine.kind(), container: handle.name.clone() };
            self.seat.step(step).await?;
            self.stopwatch(&repo, run, true).await;
            if adopted {
                let now = ctx.edges.clock.now();
                let _ = writer.note(now, "the daemon was restarted and goes on with this run");
            }
            let ended = follow::follow(&self.seat, run, &agent, &handle, &mut writer, &mut reader).await;
            let summary = &reader.summary;
            self.usage = run.round.usage.plus(ctx.used(&agent, summary));
            self.session = summary.session.clone().map(|session| (session, summary.total));
            self.again = summary.again.map(|again| again.at(ctx.edges.clock.now()));
            let exit = ended?;
            if let Exit::Code(code) = exit {
                exit_code = Some(code);
            }
            self.worked = Some(Box::new(Worked {
                usage: self.usage,
                turns: run.round.turns + summary.turns,
                session: self.session.clone(),
                model: summary.model.clone().or_else(|| agent.model.clone()),
                exit_code,
            }));
            if let Some(said) = self.after_run(&ws).await {
                let _ = writer.closing(ctx.edges.clock.now(), &said);
            }
            if let Some(question) = ws.question() {
                self.keep_session(&agent, &ws, &mut writer).await;
                return Ok(Some(RunEnd {
                    question: Some(question),
                    exit_code,
                    ..end(EndClass::Blocked, None)
                }));
            }
            if let Err((class, why)) = reader.judge(exit) {
                if resumed && reader.did_nothing() && class == EndClass::Failed {
                    self.anew(&why, &ws, &mut writer).await?;
                    return Ok(None);
                }
                return Ok(Some(RunEnd { exit_code, ..end(class, Some(why)) }));
            }
            // Nothing is published of a tag, so what the program says is all that comes of it.
            if agent.produces == Produces::Review || ws.tag.is_some() {
                let said = reader.summary.last_event.clone();
                return Ok(Some(RunEnd { exit_code, ..end(EndClass::Succeeded, said) }));
            }
        }
        let finish = self.finish(&repo, run, &agent, &ws, &mut writer);
        Ok(finish.await?.map(|end| RunEnd { exit_code, ..end }))
    }

    /// Tells a forge that has stopwatches. Whether it hears is no matter of the run's.
    async fn stopwatch(&self, repo: &Repo, run: &Run, runs: bool) {
        const PATIENCE: Duration = Duration::from_secs(10);
        if !run.is_on_issue() {
            return;
        }
        let Ok(forge) = self.seat.ctx.forges.for_repo(repo) else { return };
        let told = tokio::time::timeout(PATIENCE, forge.stopwatch(repo, run.card.number, runs)).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::warn!(run = %self.seat.run, ?told, "the forge's stopwatch was not told");
        }
    }

    /// The run with all that is known of it by now.
    fn told(&self, run: &Run) -> Run {
        let mut run = self.seat.record().map_or_else(|| run.clone(), |run| (*run).clone());
        run.checks.extend(self.checked.clone());
        run
    }

    /// The conversation could not be taken up: the run begins anew.
    async fn anew(&mut self, why: &str, ws: &Workspace, writer: &mut Writer) -> Result<(), Stop> {
        // A daemon that dies in between finds that it has to start the program again.
        let mark = ws.stopped();
        std::fs::write(&mark, "").map_err(|e| crashed(format!("{}: {e}", mark.display())))?;
        if let Some(handle) = &self.handle {
            self.seat.engine.remove(handle).await.map_err(|e| crashed(e.0))?;
            self.handle = None;
        }
        let said = format!("its earlier conversation could not be taken up ({why}); it begins anew");
        let _ = writer.closing(self.seat.ctx.edges.clock.now(), &said);
        self.session = None;
        Ok(self.seat.step(RunStep::Again { checked: None, log: writer.mark() }).await?)
    }

    /// Keeps what the program wrote down of its conversation. Without it a later one begins anew, no more.
    async fn keep_session(&self, agent: &Agent, ws: &Workspace, writer: &mut Writer) {
        let ctx = &self.seat.ctx;
        // Told before the daemon was restarted, if not now.
        let told = || self.seat.record().and_then(|run| run.session.clone());
        let Some(session) = self.session.as_ref().map(|(id, _)| id.clone()).or_else(told) else { return };
        let (agent, ws) = (agent.clone(), ws.clone());
        let secrets = prepare::secrets(&agent, &ctx.settings);
        let work = tokio::task::spawn_blocking(move || sessions::keep(&ws, &agent, &session, &secrets)).await;
        if let Err(why) = work.unwrap_or_else(|e| Err(e.to_string())) {
            let _ = writer.closing(ctx.edges.clock.now(), &why);
        }
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
    pub(super) async fn or_halt<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
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
        session: Option<String>,
        ws: &Workspace,
        writer: &mut Writer,
    ) -> Result<(), Stop> {
        let ctx = &self.seat.ctx;
        let used = run.round.usage.cost_usd.unwrap_or(0.0);
        let left = agent.clone().having_used(run.round.turns, used);
        let argv = left.argv(&ws.repo, &ws.home, &ws.base, session.as_deref());
        let spec = prepare::spec(&self.seat, run, agent, ws, argv);
        self.image(&spec.image, writer).await?;
        ctx.edges.hook.before("runner.start").map_err(|e| crashed(format!("start: {e}")))?;
        let how = if session.is_some() { "goes on with its conversation" } else { "starts" };
        let note = format!("{} on {} {how}, attempt {}", run.program, repo.name, run.attempt.ordinal());
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
    pub(super) async fn engine_failed(&self, error: RuntimeError) -> Stop {
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

    /// Commits, verifies, publishes; `None` if the checks failed and the run goes back to its program.
    async fn finish(
        &mut self,
        repo: &Repo,
        run: &Run,
        agent: &Agent,
        ws: &Workspace,
        writer: &mut Writer,
    ) -> Result<Option<RunEnd>, Stop> {
        let ctx = self.seat.ctx.clone();
        self.seat.step(RunStep::Verifying(self.worked.take())).await?;
        // The program is over; git is not called where something of it could still run.
        if let Some(handle) = &self.handle {
            self.seat.engine.remove(handle).await.map_err(|e| crashed(e.0))?;
            self.handle = None;
        }
        self.keep_session(agent, ws, writer).await;
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
        // On a branch with a pull request, what counts is what came on top of it.
        let world = ctx.ledger.snapshot();
        let stood = run.claim.and_then(|id| world.claims.get(&id)).and_then(|c| c.head_seen.as_ref());
        if work.commits == 0 || stood.is_some_and(|head| *head == work.head) {
            let why = "it ended without a commit".to_owned();
            return Ok(Some(end(EndClass::NoChanges, Some(why))));
        }
        if !self.verify(repo, run, agent, ws, writer).await? {
            return Ok(None);
        }
        self.seat.step(RunStep::Publishing).await?;
        let publish = async {
            let forge = ctx.forges.for_repo(repo);
            let forge = forge.map_err(|e| publish::forge_failure("publishing", &e))?;
            let (at, run) = ((forge.as_ref(), repo), self.told(run));
            let remote = forge.remote(repo).await;
            let remote = remote.map_err(|e| publish::forge_failure("asking for the remote", &e))?;
            publish::push(&ctx.spaces, &ctx.edges, at, &remote, ws, &work).await?;
            let (_, card) = self.seat.subject().map_err(|e| (EndClass::Failed, e))?;
            match card {
                Some(card) => {
                    publish::pull(forge.as_ref(), &ctx.edges, repo, &card, &run, ws, &work).await.map(Some)
                }
                None => publish::pushed_to(forge.as_ref(), repo, &run, ws, &work).await,
            }
        };
        let pull = self.or_halt(publish).await??;
        let said = match &pull {
            Some(pull) => format!("pull request #{}: {}", pull.number, pull.url),
            None => format!("pushed to {}", ws.branch),
        };
        let _ = writer.closing(ctx.edges.clock.now(), &said);
        let reason = pull.is_none().then_some(said);
        Ok(Some(RunEnd { pull: pull.map(Box::new), ..end(EndClass::Succeeded, reason) }))
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
            end.checked = self.checked.take();
            if matches!(end.class, EndClass::RateLimited | EndClass::Quota | EndClass::Network) {
                end.retry_at = end.retry_at.or(self.again);
            }
            let over = self.report(end).await;
            if over == Err(Halt::Down) {
                return;
            }
        }
        if let Ok((repo, _)) = self.seat.subject() {
            self.stopwatch(&repo, run, false).await;
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
