//! What the scenarios share: hands that drive the real parts, and stand-ins for the world around them.
//!
//! - [`ledger`]: commands by the handful, a clock that steps, a state's shape, for whoever drives the ledger directly.

pub mod ledger;
