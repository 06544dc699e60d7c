//! What the scenarios share: hands that drive the real parts, and stand-ins for the world around them.
//!
//! - [`ledger`]: commands by the handful, a clock that steps, a state's shape, for whoever drives the ledger directly.
//! - [`github`]: a GitHub that behaves like GitHub and fails when told to. [`image`]: a container image from busybox.

pub mod github;
pub mod image;
pub mod ledger;
