//! How long to wait before the next try: doubling, and never in step with others.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// `first` doubled for every failure after the first one, `most` at most.
pub(super) fn backoff(first: Duration, most: Duration, failures: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(most)
}

/// `span` up to a tenth longer or shorter, so that repositories that failed together do not come back together.
pub(super) fn jitter(span: Duration) -> Duration {
    // The standard library's hash keys are random enough to spread requests, and need no further crate.
    let roll = RandomState::new().build_hasher().finish() % 2_001;
    span.mul_f64(0.9 + roll as f64 / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit() {
        let at = |n| backoff(Duration::from_secs(5), Duration::from_secs(600), n).as_secs();
        assert_eq!([0, 1, 2, 3, 7, 8, 40].map(at), [5, 5, 10, 20, 320, 600, 600]);
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        for _ in 0..200 {
            let got = jitter(Duration::from_secs(100)).as_secs_f64();
            assert!((90.0..=110.1).contains(&got), "{got}");
        }
    }
}
