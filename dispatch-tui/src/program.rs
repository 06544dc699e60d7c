//! The program `dispatch`: without arguments the board, with a subcommand the command line, and the self-contained demo.
//!
//! Answers go to standard output, everything else is one sentence on standard error (with `--json` one object). Exit codes: 0 done, 1 not done,
//! 2 the command line makes no sense, 3 `next` found nothing to do.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use dispatch_shared::error::Code;

use crate::cli;

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let args = cli::Args::parse();
    let json = args.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return complain(&format!("the async runtime could not be started: {e}"), None, json),
    };
    match runtime.block_on(cli::run(args)) {
        Ok(code) => code,
        // `dispatch issues | head`: the reader has seen enough.
        Err(cli::Failure::Write(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => complain(&e.to_string(), e.code(), json),
    }
}

/// With `--json` the complaint is the daemon's own shape of an error.
fn complain(sentence: &str, code: Option<Code>, json: bool) -> ExitCode {
    let sentence = cli::out::clean(sentence);
    let said = match code {
        _ if !json => format!("dispatch: {sentence}"),
        Some(code) => serde_json::json!({ "error": sentence, "code": code }).to_string(),
        None => serde_json::json!({ "error": sentence }).to_string(),
    };
    // Nothing is left to tell it to if standard error is closed.
    let _ = writeln!(std::io::stderr(), "{said}");
    ExitCode::FAILURE
}
