//! What each argument and each answer of a handler says of its route. Read from the types, so that it is as true as they are.

use axum::Extension;
use axum::extract::State;
use axum::handler::Handler;
use axum::http::Uri;
use dispatch_shared::error::ApiError;
use dispatch_shared::id::AGENT_NAME_MAX;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{Operation, Words};
use crate::api::App;
use crate::api::auth::Caller;
use crate::api::error::{Failure, Result};
use crate::api::extract::{Actor, Created, Json, Query};
use crate::api::path::{Path, Segment};

/// An argument of a handler.
pub(in crate::api) trait Takes {
    /// Adds what it takes, and how it refuses.
    fn tell(operation: &mut Operation, words: &mut Words);
}

/// An answer of a handler.
pub(in crate::api) trait Answers {
    /// Adds what it may be.
    fn tell(operation: &mut Operation, words: &mut Words);
}

/// A handler all of whose types say what they are: what the table of routes takes.
pub(in crate::api) trait Handles<T>: Handler<T, App> {
    /// Adds all of them.
    fn tell(operation: &mut Operation, words: &mut Words);
}

macro_rules! handles {
    ([$($arg:ident),*], $arguments:ty) => {
        impl<F, Fut, Res, M, $($arg),*> Handles<$arguments> for F
        where
            F: FnOnce($($arg),*) -> Fut + Handler<$arguments, App>,
            Fut: Future<Output = Res>,
            Res: Answers,
            $($arg: Takes,)*
        {
            fn tell(operation: &mut Operation, words: &mut Words) {
                $($arg::tell(operation, words);)*
                Res::tell(operation, words);
            }
        }
    };
}

handles!([A], (M, A));
handles!([A, B], (M, A, B));
handles!([A, B, C], (M, A, B, C));
handles!([A, B, C, D], (M, A, B, C, D));
handles!([A, B, C, D, E], (M, A, B, C, D, E));

impl<F, Fut, Res> Handles<((),)> for F
where
    F: FnOnce() -> Fut + Handler<((),), App>,
    Fut: Future<Output = Res>,
    Res: Answers,
{
    fn tell(operation: &mut Operation, words: &mut Words) {
        Res::tell(operation, words);
    }
}

/// What the daemon brings itself.
macro_rules! silent {
    ($($argument:ty),*) => { $(impl Takes for $argument { fn tell(_: &mut Operation, _: &mut Words) {} })* };
}

silent!(State<App>, Option<Extension<Caller>>, Uri);

impl<T: JsonSchema> Takes for Json<T> {
    fn tell(operation: &mut Operation, words: &mut Words) {
        operation.takes_json::<T>(words);
    }
}

impl<T: JsonSchema> Takes for Query<T> {
    fn tell(operation: &mut Operation, words: &mut Words) {
        operation.takes_query::<T>(words);
    }
}

impl<T: Segment> Takes for Path<T> {
    fn tell(operation: &mut Operation, words: &mut Words) {
        operation.takes_path::<T>(words);
        operation.fails(&[400, 404]);
    }
}

impl Takes for Actor {
    fn tell(operation: &mut Operation, _: &mut Words) {
        let schema = json!({"type": "string", "pattern": "^[A-Za-z0-9._-]*$", "maxLength": AGENT_NAME_MAX});
        operation.takes_header("x-agent-name", "Who acts, for the audit; empty counts as absent.", schema);
        operation.fails(&[400]);
    }
}

impl<T: JsonSchema + Serialize> Answers for Json<T> {
    fn tell(operation: &mut Operation, words: &mut Words) {
        operation.answers_json::<T>(words, 200);
    }
}

impl<T: JsonSchema + Serialize> Answers for Created<T> {
    fn tell(operation: &mut Operation, words: &mut Words) {
        operation.answers_json::<T>(words, 201);
    }
}

impl<T: Answers> Answers for Result<T> {
    fn tell(operation: &mut Operation, words: &mut Words) {
        T::tell(operation, words);
        Failure::tell(operation, words);
    }
}

/// Whatever may fail may fail with the store.
impl Answers for Failure {
    fn tell(operation: &mut Operation, words: &mut Words) {
        words.answered.subschema_for::<ApiError>();
        operation.fails(&[500, 503]);
    }
}
