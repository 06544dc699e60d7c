//! The board, the command line, and the demo.
fn main() {}
