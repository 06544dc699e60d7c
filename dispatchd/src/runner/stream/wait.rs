//! When the model may be asked again, out of the words of an error: vendors put what belongs into `Retry-After` into their
//! messages, each in its own way.

use std::time::Duration;

use dispatch_shared::Timestamp;

/// Longer than any quota's window: what asks for more is a mistake.
const LONGEST: Duration = Duration::from_secs(8 * 86_400);

/// When to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// After so long, counted from when it was said.
    After(Duration),
    /// At this instant.
    At(Timestamp),
}

impl Again {
    /// The instant, for what was said at `now`.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Again::After(span) => now + span,
            Again::At(at) => at.min(now + LONGEST),
        }
    }
}

const PHRASES: [&str; 10] = [
    "retry-after",
    "retry_after",
    "retryafter",
    "retrydelay",
    "retry_delay",
    "try again in",
    "retry in",
    "retry after",
    "resets in",
    "resets_in_seconds",
];

/// What `text` says of it: `Retry-After: 30`, `"retryDelay":"34s"`, `try again in 3 hours 5 minutes`, `limit reached|1767225600`,
/// `"resets_at":1767225600`.
#[must_use]
pub fn again(text: &str) -> Option<Again> {
    let lower = text.to_lowercase();
    for phrase in PHRASES {
        for (at, _) in lower.match_indices(phrase) {
            let rest = lower[at + phrase.len()..].trim_start_matches([' ', ':', '=', '"', '\'', '\\']);
            let rest = rest.strip_prefix("about ").unwrap_or(rest);
            if let Some(span) = span(rest) {
                return Some(Again::After(span.min(LONGEST)));
            }
        }
    }
    for phrase in ["limit reached|", "resets_at\":", "resets_at=", "try again at "] {
        let Some((_, rest)) = lower.split_once(phrase) else { continue };
        let word: String = rest
            .trim_start()
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "-:.+".contains(*c))
            .collect();
        if word.len() == 10
            && let Ok(seconds) = word.parse::<i64>()
        {
            return Some(Again::At(Timestamp(seconds * 1_000)));
        }
        if let Ok(at) = Timestamp::parse(&word.trim_end_matches('.').to_uppercase()) {
            return Some(Again::At(at));
        }
    }
    None
}

/// A length of time in words: `5.2s`, `20ms`, `1m30s`, `3 days 2 hours`; a bare number is seconds.
fn span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0_f64;
    let mut found = false;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..digits].trim_end_matches('.').parse::<f64>() else { break };
        let after = rest[digits..].trim_start_matches([' ', '-']);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = match &after[..letters] {
            "ms" | "msec" | "millisecond" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
            "d" | "day" | "days" => 86_400.0,
            _ if !found => return Duration::try_from_secs_f64(number).ok(),
            _ => break,
        };
        total += number * unit;
        found = true;
        rest = after[letters..].trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
    found.then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vendors_write_is_read() {
        let after = |s: f64| Some(Again::After(Duration::from_secs_f64(s)));
        for (text, wanted) in [
            ("Retry-After: 30", after(30.0)),
            (r#"{"retry-after":"1"}"#, after(1.0)),
            (r#"{"@type":"RetryInfo","retryDelay":"34s"}"#, after(34.0)),
            ("Rate limit reached. Please try again in 5.2s. Visit", after(5.2)),
            ("try again in 20ms", after(0.02)),
            ("You've hit your usage limit. Try again in 3 days 2 hours 5 minutes.", after(266_700.0)),
            ("Please retry in 1m30s", after(90.0)),
            ("Claude AI usage limit reached|1767225600", Some(Again::At(Timestamp(1_767_225_600_000)))),
            (r#"{"resets_at":1767225600}"#, Some(Again::At(Timestamp(1_767_225_600_000)))),
            ("try again at 2026-01-01T00:00:00Z.", Some(Again::At(Timestamp(1_767_225_600_000)))),
            ("try again at 2026-01-01T00:00:00Z", Some(Again::At(Timestamp(1_767_225_600_000)))),
            ("try again later", None),
            ("exceeded retry limit, last status: 429 Too Many Requests", None),
            ("retried 5 times (total retry wait time: 5.22 seconds)", None),
            ("try again in a moment", None),
            ("", None),
        ] {
            assert_eq!(again(text), wanted, "{text}");
        }
        assert_eq!(again("retry in 900 days"), Some(Again::After(LONGEST)), "nothing waits for years");
        assert_eq!(Again::After(Duration::from_secs(2)).at(Timestamp(5)), Timestamp(2_005));
    }
}
