//! Pacing: how far apart the runs of a program start, so that an account's daily quota lasts for its day and what would be
//! lost at its reset is used before.

use std::time::Duration;

use dispatch_shared::Timestamp;

const DAY: i64 = 86_400_000;

/// `[pacing.NAME]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// When the account's day begins, in minutes after midnight UTC.
    pub reset: u16,
    /// Starts in one such day; 0 is no limit.
    pub daily_limit: u32,
    /// At least so long between two starts, always.
    pub min_delay: Duration,
    /// So long between two starts, but for the burst.
    pub sustained_delay: Duration,
    /// So long before the reset what is left may be used faster; zero is never.
    pub burst_window: Duration,
    /// So long between two starts then.
    pub burst_delay: Duration,
}

/// Why the next start waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The day's starts are used up.
    Daily,
    /// The last start is not long ago.
    Delay,
}

impl Pace {
    /// The last reset at or before `now`.
    #[must_use]
    pub fn last_reset(&self, now: Timestamp) -> Timestamp {
        let shift = i64::from(self.reset) * 60_000;
        Timestamp(now.0 - (now.0 - shift).rem_euclid(DAY))
    }

    /// When the next run may start, given when others did; `None` if at once.
    #[must_use]
    pub fn waits(&self, starts: &[Timestamp], now: Timestamp) -> Option<(Timestamp, Why)> {
        let begun = self.last_reset(now);
        let reset = Timestamp(begun.0 + DAY);
        let today = starts.iter().filter(|at| **at >= begun && **at <= now).count();
        if self.daily_limit > 0 && today >= self.daily_limit as usize {
            return Some((reset, Why::Daily));
        }
        let last = starts.iter().filter(|at| **at <= now).max()?;
        let usual = *last + self.sustained_delay.max(self.min_delay);
        let burst = (!self.burst_window.is_zero()).then(|| {
            let opens = Timestamp((reset - self.burst_window).0.max(begun.0));
            opens.max(*last + self.burst_delay.max(self.min_delay))
        });
        // What the burst allows counts only before the reset that it is for.
        let due = burst.filter(|at| *at < reset && *at < usual).unwrap_or(usual);
        let due = if now >= reset - self.burst_window && !self.burst_window.is_zero() {
            *last + self.burst_delay.max(self.min_delay)
        } else {
            due
        };
        (due > now).then_some((due, Why::Delay))
    }
}
