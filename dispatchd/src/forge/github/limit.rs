//! What GitHub says of its limits: in headers, and in the words of a refusal.

use std::time::Duration;

use dispatch_shared::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::core::throttle::{Left, Resource};

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

fn http_date(value: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(value).ok().map(|t| Timestamp(t.timestamp().as_millisecond()))
}

/// When the answer was sent, by the server's clock.
pub(super) fn sent(headers: &HeaderMap) -> Option<Timestamp> {
    text(headers, DATE.as_str()).and_then(http_date)
}

/// An instant of the server's clock on ours. Only the span from the answer's `Date` counts, so that a clock that is off
/// by minutes neither hammers nor sleeps.
fn on_our_clock(server: Timestamp, headers: &HeaderMap, now: Timestamp) -> Timestamp {
    match sent(headers) {
        Some(sent) => now + server.since(sent),
        None => server,
    }
}

fn reset(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let seconds = i64::try_from(number(headers, "x-ratelimit-reset")?).ok()?;
    Some(on_our_clock(Timestamp(seconds.saturating_mul(1_000)), headers, now))
}

/// What is left of a resource's points, if the answer tells.
pub(super) fn left(headers: &HeaderMap, now: Timestamp) -> Option<(Resource, Left)> {
    let resource = match text(headers, "x-ratelimit-resource") {
        None => Resource::Core,
        Some(word) => Resource::ALL.into_iter().find(|r| r.word() == word)?,
    };
    let left = Left {
        limit: number(headers, "x-ratelimit-limit")?,
        remaining: number(headers, "x-ratelimit-remaining")?,
        reset_at: reset(headers, now)?,
    };
    Some((resource, left))
}

/// A limit that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// The points of the hour are spent; when there are new ones, if the answer tells.
    Primary(Option<Timestamp>),
    /// Too much at once: silence until then, or for as long as is usual.
    Secondary(Option<Timestamp>),
}

/// The limit that this answer is, if it is one and no refusal.
pub(super) fn met(status: StatusCode, headers: &HeaderMap, message: &str, now: Timestamp) -> Option<Limit> {
    let busy = status == StatusCode::SERVICE_UNAVAILABLE;
    if !busy && status != StatusCode::FORBIDDEN && status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    if let Some(value) = text(headers, RETRY_AFTER.as_str()) {
        let asked = match value.trim().parse::<u64>() {
            Ok(seconds) => Some(now + Duration::from_secs(seconds)),
            Err(_) => http_date(value).map(|at| on_our_clock(at, headers, now)),
        };
        return Some(Limit::Secondary(asked));
    }
    if busy {
        return None;
    }
    if number(headers, "x-ratelimit-remaining") == Some(0) {
        return Some(Limit::Primary(reset(headers, now)));
    }
    let message = message.to_ascii_lowercase();
    let limited = status == StatusCode::TOO_MANY_REQUESTS
        || message.contains("rate limit")
        || message.contains("abuse detection");
    limited.then_some(Limit::Secondary(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect()
    }

    const NOW: Timestamp = Timestamp(1_000_000);
    const NO: StatusCode = StatusCode::FORBIDDEN;

    #[test]
    fn waits_as_long_as_the_answer_says() {
        let after = |h: &HeaderMap, m: &str| match met(NO, h, m, NOW) {
            Some(Limit::Primary(until)) => ("primary", until.map(|t| t.since(NOW).as_secs())),
            Some(Limit::Secondary(until)) => ("secondary", until.map(|t| t.since(NOW).as_secs())),
            None => ("none", None),
        };
        assert_eq!(after(&headers(&[("retry-after", "7")]), ""), ("secondary", Some(7)));
        let date = headers(&[
            ("date", "Fri, 20 Nov 2026 10:00:00 GMT"),
            ("retry-after", "Fri, 20 Nov 2026 10:01:30 GMT"),
        ]);
        assert_eq!(after(&date, ""), ("secondary", Some(90)), "a date is measured on the server's clock");
        assert_eq!(after(&headers(&[("retry-after", "soon")]), ""), ("secondary", None));
        let primary = headers(&[
            ("date", "Thu, 01 Jan 1970 00:00:10 GMT"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "310"),
        ]);
        assert_eq!(after(&primary, "API rate limit exceeded"), ("primary", Some(300)));
        assert_eq!(after(&headers(&[]), "You have exceeded a secondary rate limit"), ("secondary", None));
    }

    #[test]
    fn a_refusal_is_no_limit() {
        let with_some_left = headers(&[("x-ratelimit-remaining", "4000"), ("x-ratelimit-reset", "9")]);
        assert_eq!(met(NO, &with_some_left, "Resource not accessible", NOW), None);
        assert_eq!(met(StatusCode::NOT_FOUND, &headers(&[("retry-after", "7")]), "", NOW), None);
        let (down, seven) = (StatusCode::SERVICE_UNAVAILABLE, headers(&[("retry-after", "7")]));
        assert_eq!(met(down, &headers(&[]), "", NOW), None, "down without saying for how long");
        assert_eq!(met(down, &seven, "", NOW), Some(Limit::Secondary(Some(NOW + Duration::from_secs(7)))));
    }

    #[test]
    fn each_resource_is_counted_apart() {
        let pairs =
            [("x-ratelimit-limit", "5000"), ("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "99")];
        let of = |headers: &HeaderMap| left(headers, NOW).map(|(r, l)| (r, l.remaining));
        assert_eq!(of(&headers(&pairs)), Some((Resource::Core, 12)));
        let mut other = headers(&pairs);
        other.insert("x-ratelimit-resource", "graphql".parse().unwrap());
        assert_eq!(of(&other), Some((Resource::Graphql, 12)));
        other.insert("x-ratelimit-resource", "search".parse().unwrap());
        assert_eq!(of(&other), None);
    }
}
