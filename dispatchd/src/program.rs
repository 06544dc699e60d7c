//! The program `dispatchd`: reads the configuration, serves until a signal, and says in a sentence what is wrong.

use std::process::ExitCode;

use clap::Parser;
use color_eyre::eyre::{Result, eyre};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::{Action, Cli, Image};
use crate::edges::Edges;
use crate::{check, config, daemon, image, telemetry};

/// Runs the program with the arguments of this process; `edges` are the real ones but in tests.
#[must_use]
pub fn main(edges: Edges) -> ExitCode {
    let cli = Cli::parse();
    let env = |name: &str| std::env::var(name).ok();
    telemetry::start(env("DISPATCH_LOG").as_deref());
    // One TLS provider for the whole process; a second installation is refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match cli.command.unwrap_or_default() {
        Action::Serve => config::load(env).map_err(Into::into).and_then(|config| serve(config, edges)),
        Action::Check { offline } => {
            config::load(env).map_err(Into::into).and_then(|config| run_check(config, offline))
        }
        Action::Image(Image::Build(build)) => {
            config::load(env).map_err(Into::into).and_then(|config| run_build(&config, &build))
        }
    };
    match done {
        Ok(code) => code,
        Err(report) => {
            let said: Vec<String> = report.chain().map(ToString::to_string).collect();
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("dispatchd: {}\n", said.join(": ")).as_bytes(),
            );
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

fn serve(config: config::Config, edges: Edges) -> Result<ExitCode> {
    runtime()?.block_on(async {
        let shutdown = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
            stop.cancel();
        });
        daemon::serve(config, edges, shutdown).await
    })?;
    Ok(ExitCode::SUCCESS)
}

fn run_build(config: &config::Config, build: &image::Build) -> Result<ExitCode> {
    runtime()?.block_on(image::build(config, build, &mut std::io::stdout())).map_err(|why| eyre!(why))?;
    Ok(ExitCode::SUCCESS)
}

fn run_check(config: config::Config, offline: bool) -> Result<ExitCode> {
    let fine = runtime()?.block_on(check::run(&config, offline, &mut std::io::stdout()))?;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
