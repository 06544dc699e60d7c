//! The client, for tests that type at it.

use std::io::Read as _;
use std::process::ExitCode;

/// A thread that panics as soon as whoever listens at `path` hangs up, as any part of the program might.
fn panic_when(path: std::path::PathBuf) {
    std::thread::spawn(move || {
        let asked = std::os::unix::net::UnixStream::connect(path).and_then(|mut s| s.read(&mut [0]));
        panic!("a panic that a test asked for: {asked:?}");
    });
}

fn main() -> ExitCode {
    if let Some(path) = std::env::var_os("TEST_PANIC_WHEN") {
        panic_when(path.into());
    }
    dispatch_tui::program::main()
}
