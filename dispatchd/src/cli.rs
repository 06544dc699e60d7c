//! The daemon's command line.

use clap::{Parser, Subcommand};

use crate::image::Build;

/// Hands GitHub issues to coding agents, and keeps every run, lease and log.
#[derive(Debug, Parser)]
#[command(name = "dispatchd", version, after_help = AFTER)]
pub struct Cli {
    /// What to do; serves if absent.
    #[command(subcommand)]
    pub command: Option<Action>,
}

/// What the daemon's program can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Serve until told to stop (the default).
    #[default]
    Serve,
    /// Read the configuration, look at the engine and the credentials, and say what is wrong; starts nothing.
    Check {
        /// Leave GitHub alone: look only at what is on this machine.
        #[arg(long)]
        offline: bool,
    },
    /// Make the images that runs start from.
    #[command(subcommand)]
    Image(Image),
}

/// What can be done with images.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Image {
    /// Build one, with the engine that will run it.
    Build(Build),
}

const AFTER: &str = "\
Environment:
  DISPATCH_CONFIG      the configuration file      (~/.config/dispatch/config.toml)
  DISPATCH_STATE_DIR   the state directory         (~/.local/state/dispatch)
  DISPATCH_SOCKET      the local socket            ($XDG_RUNTIME_DIR/dispatch/v1.sock)
  DISPATCH_LISTEN      host:port to listen on for TCP as well; beyond 127.0.0.1 only with a token
  DISPATCH_AGENT_TOKEN the token of operators on TCP (or DISPATCH_MAINTAINER_TOKEN)
  DISPATCH_WORKER_TOKEN  the token of workers on TCP
  GH_TOKEN             GitHub's token, or GITHUB_TOKEN. Without them: github.app or github.token_file of the configuration,
                       the systemd credential github-token, what was entered in the client, `gh auth token`
  GITHUB_APP_ID, GITHUB_APP_INSTALLATION_ID, GITHUB_APP_PRIVATE_KEY_FILE
                       a GitHub App to act as, instead of a token
  WEBHOOK_SECRET       what webhooks are signed with
  GITHUB_REPOSITORIES  repositories to track at the first start, owner/name with commas between
  GITHUB_API_URL       GitHub Enterprise: https://HOST/api/v3
  DISPATCH_RUNTIME     auto, docker, podman, kubernetes or host
  DISPATCH_LOG         what to log: info, debug, dispatchd::runner=trace

Every key of the configuration file: assets/config.example.toml";
