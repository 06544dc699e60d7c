//! Lets time pass: has leases expire and rests end when they are due, and notices when the machine slept or its clock
//! jumped, so that nobody loses a lease for it.

use std::time::Duration;

use dispatch_shared::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::core::command::Command;
use crate::edges::Edges;
use crate::ledger::Door;

/// Wall clock and monotonic clock may drift apart by this much without it being a suspend or a jump.
const JUMP: Duration = Duration::from_secs(60);
/// The longest sleep, so that a jump is noticed within that time even when nothing is due.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Submits a tick at the start (with grace: while the daemon was away nobody could renew), and then whenever something is
/// due, until `shutdown`.
pub async fn run(ledger: Door, edges: Edges, shutdown: CancellationToken) {
    let mut commits = ledger.commits();
    let mut wall = edges.clock.now();
    let mut steady = Instant::now();
    let mut grace = true;
    loop {
        let now = edges.clock.now();
        let lease = ledger.snapshot().policy.lease;
        let due = ledger.snapshot().next_due();
        if grace || due.is_some_and(|due| due <= now) {
            let tick = Command::Tick { grace_until: grace.then(|| now + lease) };
            if let Err(fault) = ledger.submit(tick).await {
                tracing::warn!(%fault, "time did not pass");
            }
        }
        let sleep = ledger.snapshot().next_due().map_or(LONGEST, |due| due.since(now)).min(LONGEST);
        commits.mark_unchanged();
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(sleep.max(Duration::from_millis(10))) => {}
            changed = commits.changed() => if changed.is_err() { return },
        }
        grace = jumped(wall, edges.clock.now(), steady.elapsed());
        if grace {
            tracing::info!("the machine slept or its clock jumped: leases get grace");
        }
        wall = edges.clock.now();
        steady = Instant::now();
    }
}

/// Whether wall clock and monotonic clock disagree about how much time has passed.
fn jumped(before: Timestamp, after: Timestamp, elapsed: Duration) -> bool {
    let forward = after.since(before);
    let backward = before.since(after);
    forward > elapsed + JUMP || backward > JUMP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspend_is_told_from_a_long_wait() {
        let (a, hour) = (Timestamp(1_000_000), Duration::from_secs(3_600));
        assert!(!jumped(a, a + hour, hour), "an hour of waiting is no jump");
        assert!(jumped(a, a + hour, Duration::from_secs(5)), "the machine slept");
        assert!(jumped(a + hour, a, Duration::from_secs(5)), "the clock was set back");
    }
}
