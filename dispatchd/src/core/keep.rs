//! Which workspaces go: by age, by number, by what they take of the disk. One in use never does.

use std::time::Duration;

use dispatch_shared::Timestamp;

/// How long, how many, how much is kept. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Since the last run in it ended.
    pub age: Option<Duration>,
    /// In all.
    pub count: Option<usize>,
    /// In all, in bytes.
    pub bytes: Option<u64>,
}

/// A workspace, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// When the last run in it ended.
    pub used: Timestamp,
    /// What it takes, in bytes.
    pub bytes: u64,
    /// A run works in it, or waits to.
    pub in_use: bool,
    /// What it was made for is done: it goes before others.
    pub done: bool,
}

/// Why one goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nobody used it for so long.
    Age,
    /// There are too many.
    Count,
    /// They take too much.
    Bytes,
}

/// Those that go, by their place in `spaces`, in the order in which they go: first what is too old, then, until count and
/// bytes are kept, what is done before what is not, and the longest unused before the others.
#[must_use]
pub fn leaving(spaces: &[Space], keep: &Keep, now: Timestamp) -> Vec<(usize, Why)> {
    let mut free: Vec<usize> = (0..spaces.len()).filter(|i| !spaces[*i].in_use).collect();
    free.sort_by_key(|i| (!spaces[*i].done, spaces[*i].used, *i));
    let old = |i: &usize| keep.age.is_some_and(|age| now.since(spaces[*i].used) > age);
    let mut gone: Vec<(usize, Why)> = free.iter().filter(|i| old(i)).map(|i| (*i, Why::Age)).collect();
    free.retain(|i| !old(i));
    let mut count = spaces.len() - gone.len();
    let taken: u64 = spaces.iter().fold(0, |sum, s| sum.saturating_add(s.bytes));
    let mut bytes = gone.iter().fold(taken, |sum, (i, _)| sum.saturating_sub(spaces[*i].bytes));
    for i in free {
        let why = if keep.count.is_some_and(|most| count > most) {
            Why::Count
        } else if keep.bytes.is_some_and(|most| bytes > most) {
            Why::Bytes
        } else {
            break;
        };
        count -= 1;
        bytes = bytes.saturating_sub(spaces[i].bytes);
        gone.push((i, why));
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const NOW: Timestamp = Timestamp(100 * HOUR);

    fn space(hours: i64, bytes: u64) -> Space {
        Space { used: Timestamp(NOW.0 - hours * HOUR), bytes, in_use: false, done: false }
    }

    #[test]
    fn the_old_go_and_the_one_in_use_never() {
        let keep = Keep { age: Some(Duration::from_secs(10 * 3_600)), count: Some(0), bytes: Some(0) };
        let busy = Space { in_use: true, ..space(99, 1 << 40) };
        let spaces = [space(9, 1), busy, space(11, 1)];
        assert_eq!(leaving(&spaces, &keep, NOW), [(2, Why::Age), (0, Why::Count)]);
        assert!(leaving(&spaces, &Keep::default(), NOW).is_empty(), "no limit, nothing goes");
    }

    #[test]
    fn what_is_done_goes_first_then_the_longest_unused() {
        let done = Space { done: true, ..space(1, 10) };
        let spaces = [space(3, 10), space(5, 10), done, space(4, 10)];
        let count = Keep { count: Some(2), ..Keep::default() };
        assert_eq!(leaving(&spaces, &count, NOW), [(2, Why::Count), (1, Why::Count)]);
        let bytes = Keep { bytes: Some(25), ..Keep::default() };
        assert_eq!(leaving(&spaces, &bytes, NOW), [(2, Why::Bytes), (1, Why::Bytes)]);
        let both = Keep { bytes: Some(15), ..count };
        assert_eq!(leaving(&spaces, &both, NOW), [(2, Why::Count), (1, Why::Count), (3, Why::Bytes)]);
    }

    #[test]
    fn a_clock_that_went_back_makes_nothing_old() {
        let keep = Keep { age: Some(Duration::from_secs(1)), ..Keep::default() };
        assert!(leaving(&[space(-50, 1)], &keep, NOW).is_empty());
    }
}
