//! The client, for tests that type at it.

use std::process::ExitCode;

fn main() -> ExitCode {
    dispatch_tui::program::main()
}
