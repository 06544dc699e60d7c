//! Long work under way in the daemon: what is being done, how far it is, and how long it will take.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::protocol::events::Progress;

use super::text;

/// One piece of long work, as far as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Working {
    pub(crate) progress: Progress,
    /// When it was first heard of, and what was done by then.
    since: Timestamp,
    before: u64,
    /// When the newest word came.
    at: Timestamp,
}

impl Working {
    pub(crate) fn new(progress: Progress, now: Timestamp) -> Self {
        Self { since: now, before: progress.done, at: now, progress }
    }

    /// Takes a newer word of the same work.
    pub(crate) fn go_on(&mut self, progress: Progress, now: Timestamp) {
        if progress.done < self.progress.done {
            (self.since, self.before) = (now, progress.done); // it began anew
        }
        self.progress = progress;
        self.at = now;
    }

    /// How long it will take from the newest word on, at the pace so far; `None` if nobody can say.
    pub(crate) fn left(&self) -> Option<Duration> {
        let total = self.progress.total?;
        let (done, span) = (self.progress.done.checked_sub(self.before)?, self.at.since(self.since));
        if done == 0 || span < Duration::from_secs(1) {
            return None;
        }
        let rest = total.saturating_sub(self.progress.done);
        let left = span.as_millis().saturating_mul(u128::from(rest)) / u128::from(done);
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX)))
    }

    /// Since when it is known to be under way, if its words tell of that: then they change with time.
    pub(crate) fn ages(&self) -> Option<Timestamp> {
        self.progress.total.is_none().then_some(self.since)
    }

    /// `sync acme/api 120/400, 40s left`; without a total `clone acme/api, for 2m`.
    pub(crate) fn words(&self, now: Timestamp) -> String {
        let Progress { what, done, total, .. } = &self.progress;
        match (total, self.left()) {
            (Some(total), Some(left)) => format!("{what} {done}/{total}, {} left", text::span(left)),
            (Some(total), None) => format!("{what} {done}/{total}"),
            (None, _) => {
                let done = if *done > 0 { format!(" {done}") } else { String::new() };
                match now.since(self.since) {
                    age if age < Duration::from_secs(60) => format!("{what}{done}…"),
                    age => format!("{what}{done}, for {}", text::age(age)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(done: u64, total: Option<u64>) -> Progress {
        Progress { what: "sync acme/api".into(), done, total, finished: false }
    }

    #[test]
    fn the_pace_so_far_tells_how_long_it_will_take() {
        let start = Timestamp(1_000_000);
        let after = |secs| start + Duration::from_secs(secs);
        let mut work = Working::new(word(100, Some(400)), start);
        assert_eq!(work.words(start), "sync acme/api 100/400", "one word is no pace");
        work.go_on(word(200, Some(400)), after(20));
        assert_eq!(work.words(after(25)), "sync acme/api 200/400, 40s left");
        assert_eq!(work.ages(), None, "the text stands still until the next word");
        work.go_on(word(0, Some(400)), after(30));
        assert_eq!(work.left(), None, "it began anew");
    }

    #[test]
    fn without_a_total_it_says_since_when() {
        let start = Timestamp(1_000_000);
        let work = Working::new(word(0, None), start);
        assert_eq!(work.words(start), "sync acme/api…");
        assert_eq!(work.words(start + Duration::from_secs(130)), "sync acme/api, for 2m");
        assert_eq!(work.ages(), Some(start));
    }
}
