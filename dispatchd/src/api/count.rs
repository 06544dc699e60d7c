//! How many requests each route has answered, and with what.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use hyper::{Method, StatusCode};

/// Counts since the daemon's start.
#[derive(Debug, Default)]
pub struct Requests {
    seen: Mutex<BTreeMap<(String, String, u16), u64>>,
}

impl Requests {
    /// Counts an answer; `path` is the route's pattern, none if there is no such route.
    pub fn count(&self, method: &Method, path: Option<&str>, status: StatusCode) {
        // What a client makes up must not become a row of its own: neither paths nor methods.
        let known = matches!(
            *method,
            Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE
        );
        let method = if known { method.as_str() } else { "other" };
        let key = (method.to_owned(), path.unwrap_or("none").to_owned(), status.as_u16());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.entry(key).or_default() += 1;
    }

    /// Method, route, status and how often, in order.
    #[must_use]
    pub fn all(&self) -> Vec<(String, String, u16, u64)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().map(|((m, p, s), n)| (m.clone(), p.clone(), *s, *n)).collect()
    }
}
