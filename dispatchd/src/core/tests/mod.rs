//! The core by example and by property.

mod examples;
mod fixture;
mod model;
mod work;
