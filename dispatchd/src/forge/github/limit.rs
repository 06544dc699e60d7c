//! What GitHub says of its limits, and the pace of our writes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::protocol::control::RateLimit;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

/// The least wait for a secondary limit that names none.
const SECONDARY: Duration = Duration::from_secs(60);

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

fn http_date(value: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(value).ok().map(|t| Timestamp(t.timestamp().as_millisecond()))
}

/// An instant of the server's clock on ours. Only the span from the answer's `Date` counts, so that a clock that is off
/// by minutes neither hammers nor sleeps.
fn on_our_clock(server: Timestamp, headers: &HeaderMap, now: Timestamp) -> Timestamp {
    match text(headers, DATE.as_str()).and_then(http_date) {
        Some(sent) => now + server.since(sent),
        None => server,
    }
}

fn reset(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let seconds = i64::try_from(number(headers, "x-ratelimit-reset")?).ok()?;
    Some(on_our_clock(Timestamp(seconds.saturating_mul(1_000)), headers, now))
}

/// What is left of the REST budget, if the answer tells.
pub(super) fn left(headers: &HeaderMap, now: Timestamp) -> Option<RateLimit> {
    if text(headers, "x-ratelimit-resource").is_some_and(|r| r != "core") {
        return None;
    }
    Some(RateLimit {
        limit: number(headers, "x-ratelimit-limit")?,
        remaining: number(headers, "x-ratelimit-remaining")?,
        reset_at: reset(headers, now)?,
    })
}

/// Until when to be quiet, if this answer is a limit and no refusal. `strikes` counts the secondary limits met in a row.
pub(super) fn quiet_until(
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    now: Timestamp,
    strikes: u32,
) -> Option<Timestamp> {
    if status != StatusCode::FORBIDDEN && status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    if let Some(value) = text(headers, RETRY_AFTER.as_str()) {
        let asked = match value.trim().parse::<u64>() {
            Ok(seconds) => Some(now + Duration::from_secs(seconds)),
            Err(_) => http_date(value).map(|at| on_our_clock(at, headers, now)),
        };
        return Some(asked.unwrap_or(now + SECONDARY));
    }
    if number(headers, "x-ratelimit-remaining") == Some(0) {
        return Some(reset(headers, now).unwrap_or(now + SECONDARY));
    }
    let message = message.to_ascii_lowercase();
    let limited = status == StatusCode::TOO_MANY_REQUESTS
        || message.contains("rate limit")
        || message.contains("abuse detection");
    limited.then(|| now + SECONDARY.saturating_mul(1 << strikes.min(5)))
}

/// Lets some writes through at once and then one a second, as GitHub asks.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    next: Mutex<Option<Instant>>,
}

impl Pacer {
    const STEP: Duration = Duration::from_secs(1);
    const BURST: u32 = 20;

    /// Waits for its turn.
    pub(super) async fn turn(&self) {
        let wait = self.book(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Books the next write and tells how long it has to wait.
    fn book(&self, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = next.map_or(now, |n| n.max(now));
        *next = Some(slot + Self::STEP);
        (slot - now).saturating_sub(Self::STEP * Self::BURST)
    }
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
        let after = |h: &HeaderMap, m: &str, s| quiet_until(NO, h, m, NOW, s).map(|t| t.since(NOW).as_secs());
        assert_eq!(after(&headers(&[("retry-after", "7")]), "", 0), Some(7));
        let date = headers(&[
            ("date", "Fri, 20 Nov 2026 10:00:00 GMT"),
            ("retry-after", "Fri, 20 Nov 2026 10:01:30 GMT"),
        ]);
        assert_eq!(after(&date, "", 0), Some(90), "a date is measured on the server's clock");
        let primary = headers(&[
            ("date", "Thu, 01 Jan 1970 00:00:10 GMT"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "310"),
        ]);
        assert_eq!(after(&primary, "API rate limit exceeded", 0), Some(300));
        let secondary = "You have exceeded a secondary rate limit";
        assert_eq!(after(&headers(&[]), secondary, 0), Some(60));
        assert_eq!(after(&headers(&[]), secondary, 2), Some(240), "doubled for every further one");
    }

    #[test]
    fn a_refusal_is_no_limit() {
        let with_some_left = headers(&[("x-ratelimit-remaining", "4000"), ("x-ratelimit-reset", "9")]);
        assert_eq!(quiet_until(NO, &with_some_left, "Resource not accessible", NOW, 0), None);
        assert_eq!(quiet_until(StatusCode::NOT_FOUND, &headers(&[("retry-after", "7")]), "", NOW, 0), None);
    }

    #[test]
    fn only_the_rest_budget_is_shown() {
        let pairs =
            [("x-ratelimit-limit", "5000"), ("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "99")];
        assert_eq!(left(&headers(&pairs), NOW).map(|l| l.remaining), Some(12));
        let mut graphql = headers(&pairs);
        graphql.insert("x-ratelimit-resource", "graphql".parse().unwrap());
        assert_eq!(left(&graphql, NOW), None);
    }

    #[test]
    fn writes_come_in_a_burst_and_then_one_a_second() {
        let (pacer, now) = (Pacer::default(), Instant::now());
        for _ in 0..=Pacer::BURST {
            assert_eq!(pacer.book(now), Duration::ZERO);
        }
        assert_eq!(pacer.book(now).as_secs(), 1);
        assert_eq!(pacer.book(now).as_secs(), 2);
        assert_eq!(pacer.book(now + Duration::from_secs(60)), Duration::ZERO);
    }
}
