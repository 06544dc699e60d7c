//! tests
pub mod image;
