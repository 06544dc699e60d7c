//! So many changes per actor in so much time: a loop that runs wild is slowed down before it fills the store.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// With so many actors remembered, those that have been silent for a window are forgotten.
const ACTORS: usize = 1_024;

/// Counts the changes of each actor within a window that slides.
#[derive(Debug)]
pub struct Limiter {
    most: usize,
    window: Duration,
    seen: Mutex<HashMap<String, VecDeque<Instant>>>,
}

impl Limiter {
    /// At most `most` changes within `window`; none at all is no limit.
    #[must_use]
    pub fn new(most: usize, window: Duration) -> Self {
        Self { most, window, seen: Mutex::default() }
    }

    /// Counts a change of `actor`.
    ///
    /// # Errors
    /// If that is one too many: how long to wait. It was not counted then.
    pub fn admit(&self, actor: &str, now: Instant) -> Result<(), Duration> {
        if self.most == 0 {
            return Ok(());
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let old = |at: &Instant| now.saturating_duration_since(*at) >= self.window;
        if seen.len() >= ACTORS {
            seen.retain(|_, times| times.back().is_some_and(|at| !old(at)));
        }
        let times = seen.entry(actor.to_owned()).or_default();
        while times.front().is_some_and(old) {
            times.pop_front();
        }
        match times.front() {
            Some(first) if times.len() >= self.most => {
                Err(self.window.saturating_sub(now.saturating_duration_since(*first)))
            }
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_in_ten_seconds_and_not_one_more() {
        let limiter = Limiter::new(30, Duration::from_secs(10));
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for n in 0..30 {
            assert_eq!(limiter.admit("kai", at(n * 100)), Ok(()));
        }
        assert_eq!(limiter.admit("kai", at(3_000)), Err(Duration::from_secs(7)), "until the first is old");
        assert_eq!(limiter.admit("ben", at(3_000)), Ok(()), "each has its own");
        assert_eq!(limiter.admit("kai", at(10_000)), Ok(()), "the window slides");
        assert!(limiter.admit("kai", at(10_050)).is_err());
    }

    #[test]
    fn silent_actors_are_forgotten() {
        let limiter = Limiter::new(1, Duration::from_secs(10));
        let start = Instant::now();
        for n in 0..ACTORS * 2 {
            let _ = limiter.admit(&n.to_string(), start + Duration::from_secs(n as u64));
        }
        assert!(limiter.seen.lock().expect("no panic").len() <= ACTORS);
    }

    #[test]
    fn none_is_no_limit() {
        let limiter = Limiter::new(0, Duration::from_secs(10));
        assert!((0..1_000).all(|_| limiter.admit("kai", Instant::now()).is_ok()));
    }
}
