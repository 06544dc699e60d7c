//! The newest agent runs in memory, for whoever lists them. The store keeps as many.

use std::sync::Arc;

use dispatch_shared::id::AgentRunId;
use imbl::OrdMap;

use super::work::AgentRun;

/// How many agent runs are kept.
pub const KEPT: usize = 5_000;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    runs: OrdMap<AgentRunId, Arc<AgentRun>>,
}

impl Activity {
    pub(super) fn put(&mut self, run: &AgentRun) {
        self.runs.insert(run.id, Arc::new(run.clone()));
        while self.runs.len() > KEPT {
            let Some(oldest) = self.runs.get_min().map(|(id, _)| *id) else { break };
            self.runs.remove(&oldest);
        }
    }

    /// Newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Arc<AgentRun>> {
        self.runs.values().rev()
    }

    /// The oldest that is kept, once as many are kept as ever will be.
    #[must_use]
    pub fn forget_before(&self) -> Option<AgentRunId> {
        (self.runs.len() >= KEPT).then(|| self.runs.get_min().map(|(id, _)| *id)).flatten()
    }
}
