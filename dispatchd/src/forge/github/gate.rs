//! The one gate through which every request to the host goes. Which one goes when is decided in
//! [`crate::core::throttle`]; here it waits for its turn, or is told at once that the wait would be too long.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatch_shared::Timestamp;
use tokio::sync::Notify;

use crate::core::throttle::{Ask, Left, Priority, Resource, Throttle, Ticket, Wait};
use crate::edges::{Edges, ForgeError};

/// The longest sleep, so that a clock that jumps is noticed.
const LONGEST: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Gate {
    throttle: Mutex<Throttle>,
    changed: Notify,
    edges: Edges,
}

/// A request that may go, or waits for it. Dropped when it is over, however that comes.
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    ticket: Ticket,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.gate.throttle().over(self.ticket);
        self.gate.changed.notify_waiters();
    }
}

/// How long a request waits rather than fail: then its caller knows until when to do something else.
fn patience(priority: Priority) -> Duration {
    Duration::from_secs(match priority {
        Priority::Interactive => 10,
        Priority::Write => 30,
        Priority::Hinted | Priority::Scheduled | Priority::Health => 60,
    })
}

impl Gate {
    pub(super) fn new(edges: Edges) -> Self {
        Self { throttle: Mutex::default(), changed: Notify::new(), edges }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn. `what` completes the sentence "… waits for GitHub".
    pub(super) async fn enter(&self, ask: Ask, what: &str) -> Result<Pass<'_>, ForgeError> {
        let pass = Pass { gate: self, ticket: self.throttle().ask(ask) };
        loop {
            // Before the look: what changes after it wakes this one.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = self.edges.clock.now();
            let wait = match self.throttle().poll(pass.ticket, now) {
                Ok(()) => break,
                Err(wait) => wait,
            };
            let left = wait.until.map(|until| until.since(now));
            if let (Some(until), Some(left)) = (wait.until, left)
                && left > patience(ask.priority)
            {
                let what = format!("{what} waits for GitHub: {}", wait.why);
                return Err(ForgeError::RateLimited { until, what });
            }
            let sleep = left.unwrap_or(LONGEST).clamp(Duration::from_millis(1), LONGEST);
            // A time-out only means another look.
            let _ = tokio::time::timeout(sleep, changed).await;
        }
        // Who waited for this one to go first may go now as well.
        self.changed.notify_waiters();
        Ok(pass)
    }

    pub(super) fn learn(&self, resource: Resource, left: Left) {
        self.throttle().learn(resource, left);
    }

    pub(super) fn went_well(&self) {
        self.throttle().went_well(self.edges.clock.now());
    }

    /// Nothing more of this resource until then. Returns until when.
    pub(super) fn exhausted(&self, resource: Resource, until: Timestamp) -> Timestamp {
        let now = self.edges.clock.now();
        let until = self.throttle().exhausted(resource, until, now);
        self.changed.notify_waiters();
        until
    }

    /// Nothing more at all until then. Returns until when.
    pub(super) fn silence(&self, until: Option<Timestamp>) -> Timestamp {
        let now = self.edges.clock.now();
        let until = self.throttle().silence(until, now);
        self.changed.notify_waiters();
        until
    }

    /// What is left of each resource, and why reads in the background are slowed.
    pub(super) fn budget(&self) -> (Vec<(Resource, Left)>, Option<Wait>) {
        let now = self.edges.clock.now();
        let throttle = self.throttle();
        (throttle.left(now).collect(), throttle.slowed(now))
    }
}
