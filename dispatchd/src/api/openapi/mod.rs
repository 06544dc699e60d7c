//! The API described for machines: an OpenAPI document and the JSON Schema of a task, both made from the routes themselves.
//!
//! - `operation`: one route under description, and the words (schemas) that all of them share.
//! - `says`: what each argument and each answer of a handler adds; a handler of other types is no route.
//! - `errors`: the answers that say no, one for each status. `document`: puts it together.
//!
//! What they come to is kept under `assets/`; a test fails when the two differ.

mod document;
mod errors;
mod operation;
mod says;
#[cfg(test)]
mod tests;

pub(super) use document::{document, task_schema};
pub(super) use operation::{Operation, Words};
pub(super) use says::{Answers, Handles, Takes};
