//! The command line: what can be asked, and which file answers it.

pub(crate) mod args;
mod board;
mod ci;
mod connect;
mod control;
mod groom;
mod groom_args;
mod hand;
mod issue;
mod keys;
mod orphans;
pub(crate) mod out;
mod pages;
mod runs;
pub(crate) mod tasks;
mod usage;
mod work;
mod work_args;

use std::io::IsTerminal as _;
use std::process::ExitCode;

pub(crate) use args::Args;
pub(crate) use connect::{dispatchd, env, last_line, start, wait_until};
pub(crate) use control::to_add;

use args::Command;
use clap::CommandFactory as _;
use dispatch_shared::client;
use out::Out;

/// Why a command was not done; reads as one sentence.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The daemon was not reached, or said no.
    Daemon(client::Error),
    /// The answer could not be written.
    Write(std::io::Error),
    /// Anything else, in words.
    Said(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Daemon(e @ client::Error::Unreachable { .. }) => {
                write!(f, "{e}; start it with `dispatchd`, or point DISPATCH_URL or --url at it")
            }
            Failure::Daemon(e) => e.fmt(f),
            Failure::Write(e) => write!(f, "the answer could not be written: {e}"),
            Failure::Said(text) => f.write_str(text),
        }
    }
}

impl Failure {
    /// The daemon's code, if it was the daemon that said no.
    pub(crate) fn code(&self) -> Option<dispatch_shared::error::Code> {
        match self {
            Failure::Daemon(e) => e.code(),
            _ => None,
        }
    }
}

impl From<client::Error> for Failure {
    fn from(e: client::Error) -> Self {
        Failure::Daemon(e)
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Failure::Write(e)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Failure::Said(text)
    }
}

/// The exit code of `next` and `groom --run` if there is nothing to do.
const IDLE: u8 = 3;

/// Carries out one command line.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let mut out = Out::stdout(args.json);
    let command = match args.command {
        None => return show_board(&args.global).await,
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Args::command(), "dispatch", &mut out);
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Man { dir }) => {
            pages::man(dir.as_deref(), &mut out)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Demo(demo)) => return crate::demo::run(demo, &mut out).await,
        Some(Command::Keys { check }) => return keys::keys(check, &mut out),
        Some(Command::Prompt(prompt)) => return work::prompt(&prompt, &mut out),
        Some(Command::Guard(guard)) => return work::guard(guard, &args.global, &mut out).await,
        Some(Command::Mcp) => {
            let (client, tier) = connect::session(&args.global).await?;
            crate::mcp::serve(client, tier, env("DISPATCH_AGENT_NAME")).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(command) => command,
    };
    let client = connect::connect(&args.global).await?;
    let out = &mut out;
    match command {
        Command::Next(next) => {
            let found = tasks::next(&client, next, out).await?;
            return Ok(if found { ExitCode::SUCCESS } else { ExitCode::from(IDLE) });
        }
        Command::Checkpoint(checkpoint) => work::checkpoint(&client, checkpoint, out).await?,
        Command::Run(run) => return hand::run(&client, run, out).await,
        Command::Groom(asked) => return groom::groom(&client, asked, out).await,
        Command::Children(asked) => groom::children(&client, asked, out).await?,
        Command::Decompose(asked) => groom::decompose(&client, asked, out).await?,
        Command::Report(report) => tasks::report(&client, report, out).await?,
        Command::Release(claim) => tasks::release(&client, claim, out).await?,
        Command::Claim(claim) => tasks::claim(&client, claim, out).await?,
        Command::Heartbeat { agent, claim } => tasks::heartbeat(&client, &agent, claim, out).await?,
        Command::Queue { agent, lane, all } => tasks::queue(&client, &agent, lane, all, out).await?,
        Command::Issues(filter) => board::issues(&client, filter, out).await?,
        Command::Move { issue, status } => board::move_issue(&client, &issue, status, out).await?,
        Command::Why { issue } => board::why(&client, &issue, out).await?,
        Command::Runs { state, agent, limit } => runs::list(&client, state, agent, limit, out).await?,
        Command::Logs { run, follow, tail, grep } => {
            runs::logs(&client, run, follow, tail, grep, out).await?
        }
        Command::Diff { run } => runs::diff(&client, run, out).await?,
        Command::Retry { run } => runs::retry(&client, run, out).await?,
        Command::Kill { run, now } => runs::kill(&client, run, now, out).await?,
        Command::Answer { run, text } => runs::answer(&client, run, &text.join(" "), out).await?,
        Command::Repos { what } => control::repos(&client, what, out).await?,
        Command::Ci { what } => ci::ci(&client, what, out).await?,
        Command::Sync { repo } => control::sync(&client, repo, out).await?,
        Command::Audit(filter) => control::audit(&client, filter, out).await?,
        Command::Health => control::health(&client, out).await?,
        Command::Problems => control::problems(&client, out).await?,
        Command::Orphans { stop: false, .. } => orphans::list(&client, out).await?,
        Command::Orphans { stop: true, names } => orphans::stop(&client, names, out).await?,
        Command::Usage => usage::usage(&client, out).await?,
        Command::Freeze => control::freeze(&client, true, out).await?,
        Command::Thaw => control::freeze(&client, false, out).await?,
        // Answered above, without a daemon.
        Command::Demo(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Keys { .. }
        | Command::Mcp
        | Command::Prompt(_)
        | Command::Guard(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_board(global: &args::Global) -> Result<ExitCode, Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(Failure::Said(
            "the board needs a terminal; `dispatch --help` lists the commands for scripts".into(),
        ));
    }
    // A daemon that does not start is no reason to show nothing: the board says so, and offers to try again.
    let (client, _) = connect::session(global).await?;
    let options = crate::BoardOptions::from_env(|name| std::env::var(name).ok());
    crate::run_board(client, options).await.map_err(|e| Failure::Said(format!("{e:#}")))?;
    Ok(ExitCode::SUCCESS)
}
