//! See [`dispatch_tui::program`].

use std::process::ExitCode;

fn main() -> ExitCode {
    dispatch_tui::program::main()
}
