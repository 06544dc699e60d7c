//! The demo.
use std::process::ExitCode;

use crate::cli::{Failure, args::Demo, out::Out};

pub(crate) async fn run(_demo: Demo, _out: &mut Out) -> Result<ExitCode, Failure> {
    Err(Failure::Said("not yet".into()))
}
