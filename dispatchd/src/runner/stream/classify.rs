//! From an HTTP status and the words of an error to the class that decides about a retry.

use dispatch_shared::run::EndClass;

/// The class of an error that says `text`, with the HTTP status if it is known apart.
#[must_use]
pub fn classify(status: Option<u64>, text: &str) -> EndClass {
    let lower = text.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    if any(&["context window", "context length", "context_length", "prompt is too long", "maximum context"]) {
        return EndClass::ContextOverflow;
    }
    // Before the status: an exhausted account answers 429, 402 or 403 as the vendor likes.
    if any(&["insufficient_quota", "quota", "credit balance", "usage limit", "billing", "out of credits"]) {
        return EndClass::Quota;
    }
    match status.or_else(|| status_in(&lower)) {
        Some(401 | 403) => return EndClass::Auth,
        Some(402) => return EndClass::Quota,
        Some(429 | 529) => return EndClass::RateLimited,
        Some(408 | 500 | 502 | 503 | 504) => return EndClass::Network,
        Some(413) => return EndClass::ContextOverflow,
        _ => {}
    }
    if any(&[
        "rate limit",
        "rate_limit",
        "too many requests",
        "overloaded",
        "high demand",
        "resource_exhausted",
    ]) {
        EndClass::RateLimited
    } else if any(&[
        "unauthorized",
        "unauthenticated",
        "authentication_failed",
        "invalid api key",
        "not logged in",
        "please run /login",
    ]) {
        EndClass::Auth
    } else if any(&[
        "econnrefused",
        "econnreset",
        "enotfound",
        "etimedout",
        "eai_again",
        "fetch failed",
        "connection error",
        "connection refused",
        "connection reset",
        "stream disconnected",
        "error sending request",
        "server_error",
        "network error",
    ]) {
        EndClass::Network
    } else {
        EndClass::Failed
    }
}

/// The HTTP status that an error message names: a number of three digits that stands alone (`API Error: 401 …`,
/// `(429)`, `"code":503`), and is no port.
fn status_in(text: &str) -> Option<u64> {
    const KNOWN: [u64; 10] = [401, 402, 403, 408, 413, 429, 500, 502, 503, 529];
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = bytes[at..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| at + n);
        let before = at.checked_sub(1).map(|i| bytes[i]);
        let glued = before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'.')
            || bytes.get(end).is_some_and(|b| b.is_ascii_alphanumeric());
        let port = before == Some(b':') && at >= 2 && bytes[at - 2].is_ascii_alphanumeric();
        if end - at == 3
            && !glued
            && !port
            && let Some(n) = text[at..end].parse().ok().filter(|n| KNOWN.contains(n) || *n == 504)
        {
            return Some(n);
        }
        at = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_find_their_class() {
        for (text, class) in [
            ("Failed to authenticate. API Error: 401 no", EndClass::Auth),
            ("Request rejected (429)", EndClass::RateLimited),
            ("API Error: 529 overloaded", EndClass::RateLimited),
            ("{\"error\":{\"code\":503}}", EndClass::Network),
            ("429 You exceeded your current quota", EndClass::Quota),
            ("Your credit balance is too low", EndClass::Quota),
            ("prompt is too long: 210000 tokens > 200000", EndClass::ContextOverflow),
            ("connect ECONNREFUSED 127.0.0.1:429", EndClass::Network),
            ("see issue a401 at http://host:403/x", EndClass::Failed),
            ("something else", EndClass::Failed),
        ] {
            assert_eq!(classify(None, text), class, "{text}");
        }
        assert_eq!(classify(Some(403), "no"), EndClass::Auth);
    }
}
