//! Which token a route asks for: one table of method and path. A route that is not in it belongs to maintainers alone, and a
//! test fails over it.

use std::fmt;

/// How much a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Anybody: no token is asked for.
    Open,
    /// A harness that works on tasks.
    Worker,
    /// An operator.
    Maintainer,
}

impl Tier {
    /// The word in sentences and in answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Tier::Open => "open",
            Tier::Worker => "worker",
            Tier::Maintainer => "maintainer",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What proves itself by a signature, or tells nothing that is worth a token.
const OPEN: &[&str] = &["GET /api/health", "POST /api/issues/webhook", "POST /api/pr-followup/webhook"];

const WORKER: &[&str] = &[
    "GET /api/agents/{agent}/active-work",
    "GET /api/agents/{agent}/in-progress",
    "GET /api/agents/{agent}/next-task",
    "GET /api/agents/{agent}/queue",
    "GET /api/agents/{agent}/work-summary",
    "POST /api/agents/{agent}/heartbeat",
    "POST /api/agents/{agent}/next-task",
    "POST /api/agents/{agent}/tasks/report",
    "GET /api/agent-work",
    "POST /api/agent-work/checkpoint",
    "POST /api/agent-work/finish",
    "POST /api/agent-work/start",
    "GET /api/issues",
    "GET /api/issues/claimed",
    "GET /api/issues/state",
    "GET /api/issues/{id}",
    "POST /api/issues/claim",
    "POST /api/issues/status",
    "POST /api/issues/unclaim",
    "GET /api/lanes",
    "GET /api/openapi.json",
    "GET /api/pr-fix-queue/history",
    "GET /api/pr-fix-queue/queued",
    "POST /api/pr-fix-queue/ack",
    "POST /api/pr-fix-queue/mark",
    "GET /api/runs",
    "GET /api/runs/{id}",
    "GET /api/runs/{id}/log",
    "GET /api/schema/task.json",
];

const MAINTAINER: &[&str] = &[
    "GET /metrics",
    "POST /api/agent-work",
    "POST /api/agent-work/sweep",
    "GET /api/agent-runs",
    "POST /api/agent-runs",
    "GET /api/audit",
    "GET /api/automation/events",
    "GET /api/automation/repos",
    "POST /api/automation/repos",
    "GET /api/automation/repos/tracked",
    "GET /api/automation/repos/{repo}",
    "PATCH /api/automation/repos/{repo}",
    "DELETE /api/automation/repos/{repo}",
    "GET /api/automation/repos/{owner}/{repo}",
    "PATCH /api/automation/repos/{owner}/{repo}",
    "DELETE /api/automation/repos/{owner}/{repo}",
    "POST /api/automation/runs/{run}",
    "POST /api/automation/sync",
    "GET /api/automation/workflows",
    "GET /api/automation/workflows/{id}",
    "GET /api/control",
    "POST /api/control/freeze",
    "POST /api/control/pools/{program}/resume",
    "POST /api/control/thaw",
    "POST /api/dispatch",
    "GET /api/events",
    "POST /api/groomer/run",
    "GET /api/groomer/runs",
    "GET /api/groomer/runs/{id}",
    "POST /api/issues/actions/decompose",
    "POST /api/issues/comment",
    "POST /api/issues/groom",
    "POST /api/issues/label",
    "POST /api/issues/move",
    "POST /api/issues/reconcile",
    "POST /api/issues/refresh",
    "POST /api/issues/reset-ready",
    "POST /api/issues/unlabel",
    "POST /api/issues/{id}/children",
    "GET /api/issues/{id}/lane",
    "POST /api/issues/{id}/lane",
    "GET /api/issues/{id}/why",
    "POST /api/labels/ensure",
    "GET /api/orphans",
    "POST /api/orphans/stop",
    "GET /api/overview",
    "POST /api/pr-fix-queue/enqueue",
    "POST /api/pr-fix-queue/requeue",
    "POST /api/pr-followup/sync",
    "GET /api/problems",
    "GET /api/repos",
    "POST /api/repos",
    "GET /api/runs/{id}/diff",
    "POST /api/runs/{id}/answer",
    "POST /api/runs/{id}/kill",
    "POST /api/runs/{id}/retry",
    "GET /api/setup",
    "PUT /api/setup",
    "POST /api/sync",
    "POST /api/sync/scheduled",
];

/// The tier of a route, whatever its parameters are called; `None` if the table does not know it.
#[must_use]
pub fn of(method: &str, path: &str) -> Option<Tier> {
    [(Tier::Open, OPEN), (Tier::Worker, WORKER), (Tier::Maintainer, MAINTAINER)]
        .into_iter()
        .find(|(_, rows)| {
            rows.iter().any(|row| row.split_once(' ').is_some_and(|(m, p)| m == method && same(p, path)))
        })
        .map(|(tier, _)| tier)
}

fn same(one: &str, other: &str) -> bool {
    let parameter = |s: &str| s.starts_with('{') && s.ends_with('}');
    let (mut a, mut b) = (one.split('/'), other.split('/'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(x), Some(y)) if x == y || (parameter(x) && parameter(y)) => {}
            _ => return false,
        }
    }
}

/// Whether a method changes something.
#[must_use]
pub fn mutates(method: &str) -> bool {
    !matches!(method, "GET" | "HEAD" | "OPTIONS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_route_has_two_tiers() {
        let mut rows: Vec<&str> = [OPEN, WORKER, MAINTAINER].concat();
        let all = rows.len();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), all);
    }

    #[test]
    fn parameters_may_have_any_name_and_nothing_else_may() {
        assert_eq!(of("GET", "/api/agents/{who}/queue"), Some(Tier::Worker));
        assert_eq!(of("POST", "/api/issues/move"), Some(Tier::Maintainer));
        assert_eq!(of("GET", "/api/health"), Some(Tier::Open));
        assert_eq!(of("POST", "/api/health"), None);
        assert_eq!(of("GET", "/api/agents/{who}/queue/more"), None);
        assert_eq!(of("GET", "/api/issues/why"), None, "a fixed word is no parameter");
    }

    #[test]
    fn tiers_are_ordered() {
        assert!(Tier::Open < Tier::Worker && Tier::Worker < Tier::Maintainer);
    }
}
