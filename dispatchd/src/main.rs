//! See [`dispatchd::program`].

use std::process::ExitCode;

use dispatchd::edges::Edges;

fn main() -> ExitCode {
    dispatchd::program::main(Edges::default())
}
