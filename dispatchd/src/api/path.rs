//! What stands in a path, read as what it is.

use axum::extract::{FromRequestParts, RawPathParams};
use dispatch_shared::error::Code;
use dispatch_shared::id::{AgentName, IssueId, RepoName, RunId};
use hyper::http::request::Parts;
use schemars::JsonSchema;

use super::error::{Failure, Result, failure};

/// A type that a path can hold.
pub trait Segment: Sized + JsonSchema {
    /// Reads the decoded text; a name of two segments comes with its slash.
    ///
    /// # Errors
    /// 400 for what cannot be one, 404 where that means that there is none.
    fn read(text: &str) -> Result<Self>;
}

impl Segment for AgentName {
    fn read(text: &str) -> Result<Self> {
        Self::parse(text).map_err(|e| failure(Code::BadRequest, e))
    }
}

impl Segment for RepoName {
    fn read(text: &str) -> Result<Self> {
        text.parse().map_err(|e: String| failure(Code::BadRequest, e))
    }
}

/// Opaque: what is no id is not there.
impl Segment for IssueId {
    fn read(text: &str) -> Result<Self> {
        Ok(Self::new(text))
    }
}

impl Segment for RunId {
    fn read(text: &str) -> Result<Self> {
        text.parse().map_err(|e: String| failure(Code::NotFound, e))
    }
}

impl Segment for u64 {
    fn read(text: &str) -> Result<Self> {
        text.parse()
            .map_err(|_| failure(Code::NotFound, format!("there is no `{text}` here: ids are numbers")))
    }
}

impl Segment for String {
    fn read(text: &str) -> Result<Self> {
        Ok(text.to_owned())
    }
}

/// All parameters of the path, as one thing.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: Segment, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params =
            params.map_err(|e| failure(Code::BadRequest, format!("the path cannot be read: {e}")))?;
        let texts: Vec<&str> = params.iter().map(|(_, text)| text).collect();
        T::read(&texts.join("/")).map(Self)
    }
}
