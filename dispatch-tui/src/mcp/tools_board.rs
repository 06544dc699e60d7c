//! What an operator's agent does beside a worker's tools: refresh, sync, requeue, and start a run by hand.

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::{tool, tool_router};

use super::answer::{Answer, Refusal, json, result};
use super::args;
use super::server::Server;

#[tool_router(router = board_tools, vis = "pub(super)")]
impl Server {
    /// Reads one issue from the forge now.
    #[tool(annotations(
        title = "Refresh an issue",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = true
    ))]
    async fn refresh_issue(&self, Parameters(a): Parameters<args::Issue>) -> CallToolResult {
        result(self.refresh(a).await)
    }

    /// Reads one tracked repository, or all, from the forge now.
    #[tool(annotations(
        title = "Sync",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = true
    ))]
    async fn sync_repo(&self, Parameters(a): Parameters<args::SyncRepo>) -> CallToolResult {
        result(self.sync(a).await)
    }

    /// Puts a pull request that was settled or blocked back into the queue of fixes, as a fresh attempt.
    #[tool(annotations(title = "Requeue a PR fix", read_only_hint = false, destructive_hint = false))]
    async fn requeue_pr_fix(&self, Parameters(a): Parameters<args::RequeuePrFix>) -> CallToolResult {
        result(self.post("/api/pr-fix-queue/requeue", &a).await)
    }

    /// Starts one run of a program by hand on an issue, pull request, branch or tag. With dry_run it returns the prompt and
    /// starts nothing.
    #[tool(annotations(title = "Dispatch a run", read_only_hint = false))]
    async fn agentic_dispatch(&self, Parameters(a): Parameters<args::AgenticDispatch>) -> CallToolResult {
        result(self.dispatch(a).await)
    }
}

impl Server {
    async fn refresh(&self, a: args::Issue) -> Answer {
        let issue = a.reference()?;
        self.post("/api/issues/refresh", &issue).await
    }

    async fn sync(&self, a: args::SyncRepo) -> Answer {
        let repo = match a.repo_full_name.filter(|r| !r.is_empty()) {
            Some(text) => {
                Some(text.parse().map_err(|e: String| Refusal::from(format!("repoFullName: {e}")))?)
            }
            None => None,
        };
        json(&self.client.sync(repo.as_ref()).await?)
    }

    async fn dispatch(&self, a: args::AgenticDispatch) -> Answer {
        let named = [a.issue.is_some(), a.pr.is_some(), a.branch.is_some(), a.tag.is_some()];
        if named.into_iter().filter(|n| *n).count() != 1 {
            return Err(Refusal::from("name exactly one of issue, pr, branch and tag".to_owned()));
        }
        self.post("/api/dispatch", &a).await
    }
}
