//! The core by example and by property.

mod examples;
mod fixture;
mod followups;
mod model;
