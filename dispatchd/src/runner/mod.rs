//! The built-in harness.
