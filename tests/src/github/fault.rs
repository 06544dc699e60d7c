//! What can go wrong on request.

use std::time::Duration;

/// One way to fail.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status with GitHub's JSON for it; limits do not show. The request has no effect.
    Status(u16),
    /// 403 with nothing left of the hour, which begins anew after the time given.
    PrimaryLimit(Duration),
    /// 403 with the message of a secondary limit and no header.
    SecondaryLimit,
    /// 429 that says nothing more.
    TooMany,
    /// 429 with `Retry-After` in whole seconds.
    RetryAfter(Duration),
    /// 403 with `Retry-After` as an HTTP date so far ahead.
    RetryAfterDate(Duration),
    /// A gateway's page.
    Html502,
    /// 200 with a page, as a captive portal does.
    Html200,
    /// 200 with JSON of another shape.
    Nonsense,
    /// The true answer, in which every number, text and switch is null.
    Nulls,
    /// The repository named first is called as the second just before the answer.
    Renamed(String, String),
    /// 302 to this address.
    Away(String),
    /// The answer comes late by this; the request has its effect at once.
    Slow(Duration),
    /// The request has its effect; the answer's body ends half-way.
    CutOff,
    /// The connection ends without an answer; the request has no effect.
    Reset,
    /// The request has its effect; the connection ends without an answer.
    Lost,
}

/// A fault that waits for its requests.
pub(super) struct Planned {
    pub(super) method: Option<String>,
    pub(super) prefix: String,
    pub(super) fault: Fault,
    pub(super) times: usize,
    /// So many that fit go well before.
    pub(super) after: usize,
}

impl Planned {
    /// `matcher` is `GET /repos/a/b`, or a path alone for every method.
    pub(super) fn new(matcher: &str, fault: Fault, times: usize) -> Self {
        let (method, prefix) = match matcher.split_once(' ') {
            Some((method, prefix)) => (Some(method.to_owned()), prefix),
            None => (None, matcher),
        };
        Self { method, prefix: prefix.to_owned(), fault, times, after: 0 }
    }

    fn fits(&self, method: &str, path: &str) -> bool {
        self.times > 0 && self.method.as_deref().is_none_or(|m| m == method) && path.starts_with(&self.prefix)
    }
}

/// The fault planned for this request, used up by one.
pub(super) fn take(planned: &mut Vec<Planned>, method: &str, path: &str) -> Option<Fault> {
    let at = planned.iter().position(|p| p.fits(method, path))?;
    if planned[at].after > 0 {
        planned[at].after -= 1;
        return None;
    }
    planned[at].times -= 1;
    let fault = planned[at].fault.clone();
    if planned[at].times == 0 {
        planned.remove(at);
    }
    Some(fault)
}
