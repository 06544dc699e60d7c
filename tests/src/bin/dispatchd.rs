//! The daemon, for tests that start and kill it. With `DISPATCH_TEST_KILL_AT=<step>:<n>` it ends itself as `kill -9` would,
//! the nth time that it is about to take the durable step of that name.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dispatchd::edges::{Edges, StepHook};

struct KillAt {
    step: String,
    nth: u64,
    seen: AtomicU64,
}

impl StepHook for KillAt {
    fn before(&self, name: &'static str) -> io::Result<()> {
        if name == self.step && self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.nth {
            let me = rustix::process::getpid();
            rustix::process::kill_process(me, rustix::process::Signal::KILL)?;
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let mut edges = Edges::default();
    if let Ok(at) = std::env::var("DISPATCH_TEST_KILL_AT")
        && let Some((step, nth)) = at.rsplit_once(':')
        && let Ok(nth) = nth.parse()
    {
        edges.hook = Arc::new(KillAt { step: step.to_owned(), nth, seen: AtomicU64::new(0) });
    }
    dispatchd::program::main(edges)
}
