//! Before a program starts: mirror, workspace, prompt, home, and what the engine is told.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use dispatch_shared::run::{EndClass, RuntimeKind};
use tokio::sync::mpsc;

use super::agents::{Agent, SCRIPT_NAME};
use super::brief;
use super::checkout::Made;
use super::context::{Context, Seat};
use super::hooks::{self, When};
use super::log::Writer;
use super::mirror::{self, Say};
use super::prompt;
use super::publish::{Failure, forge_failure, remote_failure};
use super::resumed;
use super::sessions;
use super::settings::{Partial, Settings};
use super::stream::Before;
use super::tree;
use super::weight;
use super::workspace::{Workspace, Workspaces};
use crate::core::command::RunStep;
use crate::core::record::{Card, Repo, Run, Target};
use crate::core::repair;
use crate::edges::{Limits, RunSpec};

fn crashed(why: String) -> Failure {
    (EndClass::Crashed, why)
}

/// Whose the workspace is.
pub(super) fn owner(seat: &Seat) -> (u32, u32) {
    let settings = &seat.ctx.settings;
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    if !uid.is_root() {
        return (uid.as_raw(), gid.as_raw());
    }
    // A process of the host needs every directory on the way; a container is given its own by the engine.
    if seat.engine.kind() == RuntimeKind::Host && !seat.ctx.spaces.reachable() {
        return (uid.as_raw(), gid.as_raw());
    }
    (settings.uid, settings.gid)
}

/// Brings mirror and checkout up to date: all that a dry run prepares. Says what takes long, and returns what was done.
pub(super) async fn checkout(
    ctx: &Context,
    repo: &Repo,
    ws: &Workspace,
    busy: impl Fn() -> Option<String>,
    say: Say<'_>,
) -> Result<Made, Failure> {
    let forge = ctx.forges.for_repo(repo).map_err(|e| forge_failure("preparing", &e))?;
    let remote = forge.remote(repo).await.map_err(|e| forge_failure("asking for the remote", &e))?;
    ctx.edges.hook.before("runner.fetch").map_err(|e| crashed(format!("fetch: {e}")))?;
    let partial = match ctx.spaces.partial(ws, &repo.name.to_string()) {
        Some(partial) => partial,
        // Whoever does not know is asked the next time that a mirror is made.
        None => forge.size(repo).await.is_ok_and(|size| size.is_some_and(|bytes| bytes > Partial::LARGE)),
    };
    let cloning = ctx.edges.working.begin(format!("clone {}", repo.name));
    ctx.spaces.fetch(ws, &remote, partial, say).await.map_err(remote_failure)?;
    ctx.edges.hook.before("runner.workspace").map_err(|e| crashed(format!("workspace: {e}")))?;
    let mut made = match ctx.spaces.prepare(ws, &remote, &busy, say).await {
        Err(why) if mirror::is_broken(&why) => {
            tracing::warn!(mirror = %ws.mirror.display(), why, "a mirror is not whole; it is made anew");
            ctx.spaces.renew(ws, &remote, partial, say).await.map_err(remote_failure)?;
            ctx.spaces.prepare(ws, &remote, &busy, say).await.map_err(crashed)?
        }
        made => made.map_err(crashed)?,
    };
    drop(cloning);
    if made.fresh {
        let hook = hooks::run(&ctx.settings.hooks, When::AfterCreate, &ws.repo).await;
        made.notes.extend(hook.map_err(crashed)?);
    }
    Ok(made)
}

/// What the prompt for `run` says. What it has to do without is said.
pub(super) async fn prompt_of(
    ctx: &Context,
    repo: &Repo,
    card: Option<&Card>,
    run: &Run,
    ws: &Workspace,
    say: Say<'_>,
) -> Result<String, String> {
    let facts = brief::facts(ctx, repo, card, run, ws, say).await?;
    let default = match run.target {
        Target::Pull(_) => repair::TEMPLATE,
        _ => &ctx.settings.template,
    };
    prompt::render(&ctx.templates, default, run.hand.as_ref(), &facts)
}

/// The conversation that the program may go on with, and what that had used.
pub(super) fn before(run: &Run) -> Option<Before> {
    let resume = run.resume.as_ref()?;
    Some(Before { session: resume.session.clone(), total: resume.total.unwrap_or_default() })
}

/// What the program is told: what is new, if its conversation goes on, else all.
async fn told(
    ctx: &Context,
    repo: &Repo,
    card: Option<&Card>,
    run: &Run,
    ws: &Workspace,
    goes_on: bool,
    say: Say<'_>,
) -> Result<String, String> {
    let short = run.resume.as_ref().filter(|_| goes_on).and_then(|resume| resumed::prompt(run, resume));
    if let Some(short) = short {
        return Ok(short);
    }
    let failed = run.checks.last().filter(|c| c.failed.is_some());
    let previous = failed.map(resumed::failure).or(run.previous.clone());
    prompt_of(ctx, repo, card, &Run { previous, ..run.clone() }, ws, say).await
}

/// Makes all that the run needs. Returns the conversation that goes on.
pub(super) async fn prepare(
    seat: &Seat,
    repo: &Repo,
    card: Option<&Card>,
    run: &Run,
    agent: &Agent,
    ws: &Workspace,
    writer: &mut Writer,
) -> Result<Option<String>, Failure> {
    let ctx = &seat.ctx;
    let (tell, mut heard) = mpsc::unbounded_channel();
    let say = |what: String| {
        let _ = tell.send(what);
    };
    let work = checkout(ctx, repo, ws, || None, &say);
    tokio::pin!(work);
    let made = loop {
        tokio::select! {
            biased;
            Some(what) = heard.recv() => {
                let _ = writer.note(ctx.edges.clock.now(), &what);
                // For the board; the log has it already.
                let _ = seat.step(RunStep::Output { last_event: what, usage: run.usage }).await;
            }
            made = &mut work => break made?,
        }
    };
    for note in made.notes {
        let _ = writer.note(ctx.edges.clock.now(), &note);
    }
    fs::create_dir_all(&ws.meta).map_err(|e| crashed(format!("{}: {e}", ws.meta.display())))?;
    let owner = owner(seat);
    home(ws, Some(agent), &ctx.spaces, owner).map_err(crashed)?;
    let session = run.resume.as_ref().map(|r| r.session.clone()).filter(|_| agent.resumes());
    let there = match &session {
        Some(session) => sessions::restore(ws, agent, session).map_err(crashed)?,
        None => false,
    };
    if run.resume.is_some() && !there {
        let said = "nothing is there any more of its earlier conversation; it begins anew";
        let _ = writer.note(ctx.edges.clock.now(), said);
    }
    let prompt = told(ctx, repo, card, run, ws, there, &say).await.map_err(crashed)?;
    while let Ok(what) = heard.try_recv() {
        let _ = writer.note(ctx.edges.clock.now(), &what);
    }
    write_prompt(ws, &prompt).map_err(crashed)?;
    if seat.engine.kind() == RuntimeKind::Host {
        let as_root = if owner.0 == 0 { ", with the rights of root" } else { "" };
        let _ = writer.note(
            ctx.edges.clock.now(),
            &format!("this run is not contained: it works on this machine itself{as_root}"),
        );
    }
    if let Some(said) = hooks::run(&ctx.settings.hooks, When::BeforeRun, &ws.repo).await.map_err(crashed)? {
        let _ = writer.note(ctx.edges.clock.now(), &said);
    }
    ctx.spaces.give(ws, owner).map_err(crashed)?;
    Ok(session.filter(|_| there))
}

fn write_prompt(ws: &Workspace, text: &str) -> Result<(), String> {
    let said = |e: std::io::Error| format!("{}: {e}", ws.prompt.display());
    tree::remove(&ws.prompt).map_err(said)?;
    fs::write(&ws.prompt, text).map_err(said)
}

/// A fresh home, for a program with copies of its credential files.
pub(super) fn home(
    ws: &Workspace,
    agent: Option<&Agent>,
    spaces: &Workspaces,
    owner: (u32, u32),
) -> Result<(), String> {
    let said = |e: std::io::Error| format!("{}: {e}", ws.home.display());
    tree::remove(&ws.home).map_err(said)?;
    fs::DirBuilder::new().mode(0o700).create(&ws.home).map_err(said)?;
    if let Some(script) = agent.and_then(|a| a.script) {
        fs::write(ws.home.join(SCRIPT_NAME), script).map_err(said)?;
    }
    if let Some(from) = std::env::var_os("HOME").map(PathBuf::from) {
        for file in agent.iter().flat_map(|a| &a.credentials) {
            copy_private(&from.join(file), &ws.home.join(file))
                .map_err(|e| format!("the credential file ~/{file}: {e}"))?;
        }
    }
    spaces.give(ws, owner)
}

/// Copies a file, readable for its owner alone. Fine if it is not there.
fn copy_private(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut source = match fs::File::open(from) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        source => source?,
    };
    if let Some(dir) = to.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut target = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    std::io::copy(&mut source, &mut target).map(|_| ())
}

/// What a run is given and must not say: the values of the names that are passed to it, and what looks like a key in the
/// credential files that are copied.
pub(super) fn secrets(agent: &Agent, settings: &Settings) -> Vec<String> {
    let names = agent.env.iter().chain(&settings.env);
    let values = names.filter_map(|name| std::env::var(name).ok());
    // An address without a password is no secret, and stands in many an honest message.
    let mut found: Vec<String> = values.filter(|v| !v.contains("://") || v.contains('@')).collect();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    for file in home.iter().flat_map(|home| agent.credentials.iter().map(|f| home.join(f))) {
        let text = fs::read_to_string(file).unwrap_or_default();
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | '=');
        let key = |w: &&str| {
            w.len() >= 20
                && w.bytes().any(|b| b.is_ascii_digit())
                && w.bytes().any(|b| b.is_ascii_alphabetic())
                && !w.starts_with('/')
        };
        found.extend(text.split(|c| !fine(c)).filter(key).map(str::to_owned));
    }
    found
}

/// What the engine is told.
pub(super) fn spec(seat: &Seat, run: &Run, agent: &Agent, ws: &Workspace, argv: Vec<String>) -> RunSpec {
    let settings = &seat.ctx.settings;
    let mut env: Vec<(String, String)> = agent.set.clone();
    for role in ["AUTHOR", "COMMITTER"] {
        env.push((format!("GIT_{role}_NAME"), settings.author_name.clone()));
        env.push((format!("GIT_{role}_EMAIL"), settings.author_email.clone()));
    }
    let mut env_names = agent.env.clone();
    env_names.extend(settings.env.iter().filter(|n| !agent.env.contains(n)).cloned());
    RunSpec {
        run: run.id,
        attempt: run.attempt,
        image: agent.image.clone().unwrap_or_else(|| settings.image.clone()),
        argv,
        env,
        env_names,
        repo_dir: ws.repo.clone(),
        meta_dir: ws.meta.clone(),
        prompt: ws.prompt.clone(),
        home: ws.home.clone(),
        read_only: vec![ws.objects()],
        uid_gid: owner(seat),
        limits: Limits {
            memory: settings.memory.map(|m| m.0).filter(|_| settings.limits),
            milli_cpus: settings.cpus.map(milli).filter(|_| settings.limits),
            pids: settings.pids.filter(|_| settings.limits),
            nofile: settings.nofile.filter(|_| settings.limits),
            network: settings.network.clone(),
        },
        read_only_root: settings.read_only,
        gpus: settings.gpus,
        host_gateway: settings.host_gateway,
        timeout: agent.limits.timeout.unwrap_or(settings.timeout).0,
        selinux: settings.selinux,
        log_max: weight::most(settings.log_limit.0),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits before")]
fn milli(cpus: f64) -> u64 {
    (cpus.clamp(0.01, 10_000.0) * 1_000.0).round() as u64
}

/// Whether others than their owner may pass through all of these directories.
pub(super) fn passable(path: &Path) -> bool {
    path.ancestors().all(|dir| fs::metadata(dir).is_ok_and(|m| m.permissions().mode() & 0o001 != 0))
}
