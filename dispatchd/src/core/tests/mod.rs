//! The core by example and by property.

mod certain;
mod dispatch;
mod engines;
mod examples;
mod fixture;
mod followups;
mod lanes;
mod looks;
mod model;
mod reconcile;
mod regressions;
mod related;
mod repair;
mod rounds;
mod spending;
mod standing;
mod umbrella;
mod work;
