//! What a worker does: take, renew, checkpoint, report, and look.

use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::claims::{ClaimRequest, HeartbeatRequest};
use dispatch_shared::protocol::runs::{LogQuery, RunsQuery};
use dispatch_shared::protocol::tasks::{NextTaskQuery, TakeRequest};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::{tool, tool_router};
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, json, result};
use super::args;
use super::server::Server;
use crate::cli::tasks;

/// The most of a log that one answer carries, in bytes.
const LOG_MAX: u64 = 200_000;

#[tool_router(router = work_tools, vis = "pub(super)")]
impl Server {
    /// Takes the next task: selects and claims it in one step. Call it once; if shouldRun is false, stop. With peek it only
    /// looks.
    #[tool(annotations(title = "Next task", read_only_hint = false, destructive_hint = false))]
    async fn next_task(&self, Parameters(a): Parameters<args::NextTask>) -> CallToolResult {
        result(self.take(a).await)
    }

    /// Reports what came of a task and ends its claim. Call it once, then stop.
    #[tool(annotations(title = "Report a task", read_only_hint = false, idempotent_hint = true))]
    async fn report_task(&self, Parameters(a): Parameters<args::ReportTask>) -> CallToolResult {
        result(self.report(a).await)
    }

    /// Says how far the work on your task has come, and renews its lease.
    #[tool(annotations(title = "Checkpoint", read_only_hint = false, destructive_hint = false))]
    async fn checkpoint(&self, Parameters(a): Parameters<args::Checkpoint>) -> CallToolResult {
        result(self.mark(a).await)
    }

    /// Renews the leases of an agent's tasks. Call it every renewEverySeconds while you work.
    #[tool(annotations(
        title = "Heartbeat",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = true
    ))]
    async fn heartbeat(&self, Parameters(a): Parameters<args::Heartbeat>) -> CallToolResult {
        result(self.renew(a).await)
    }

    /// What an agent would be handed, in order, each with the reason why it stands there.
    #[tool(annotations(title = "Queue", read_only_hint = true))]
    async fn get_queue(&self, Parameters(a): Parameters<args::GetQueue>) -> CallToolResult {
        result(self.queue(a).await)
    }

    /// Finds an issue by repository and number, or by id: its id, state and labels.
    #[tool(annotations(title = "Resolve an issue", read_only_hint = true))]
    async fn resolve_issue(&self, Parameters(a): Parameters<args::Issue>) -> CallToolResult {
        result(self.resolve(a).await)
    }

    /// Claims one issue by name. next_task is the usual way; use this only if you were told to work on exactly this issue.
    #[tool(annotations(
        title = "Claim an issue",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = true
    ))]
    async fn claim_issue(&self, Parameters(a): Parameters<args::ClaimIssue>) -> CallToolResult {
        result(self.claim_one(a).await)
    }

    /// Gives a claimed issue back without an outcome.
    #[tool(annotations(title = "Release an issue", read_only_hint = false))]
    async fn release_issue(&self, Parameters(a): Parameters<args::ClaimIssue>) -> CallToolResult {
        result(self.release(a).await)
    }

    /// Sets the status of an issue that you hold. Any status but in-progress and blocked ends your claim.
    #[tool(annotations(title = "Set an issue's status", read_only_hint = false, idempotent_hint = true))]
    async fn set_issue_status(&self, Parameters(a): Parameters<args::SetStatus>) -> CallToolResult {
        result(self.status(a).await)
    }

    /// Says what became of a pull request that was to be brought back into shape.
    #[tool(annotations(title = "Mark a PR fix", read_only_hint = false, idempotent_hint = true))]
    async fn mark_pr_fix(&self, Parameters(a): Parameters<args::MarkPrFix>) -> CallToolResult {
        result(self.mark_fix(a).await)
    }

    /// Runs of the built-in runner, newest first.
    #[tool(annotations(title = "Runs", read_only_hint = true))]
    async fn list_runs(&self, Parameters(a): Parameters<args::ListRuns>) -> CallToolResult {
        result(self.runs(a).await)
    }

    /// The end of a run's log.
    #[tool(annotations(title = "A run's log", read_only_hint = true))]
    async fn run_log(&self, Parameters(a): Parameters<args::RunLog>) -> CallToolResult {
        result(self.log(a).await)
    }
}

impl Server {
    async fn take(&self, a: args::NextTask) -> Answer {
        let agent = self.agent(a.agent_name.as_deref())?;
        let query = NextTaskQuery {
            lane: a.lane,
            mode: a.mode,
            wait: a.wait.filter(|_| !a.peek),
            resume: (a.resume && !a.peek).then_some(true),
            ..NextTaskQuery::default()
        };
        if a.peek {
            return json(&self.client.peek(agent.as_str(), &query).await?);
        }
        let body = TakeRequest { idempotency_key: a.idempotency_key };
        let task = self.client.take(agent.as_str(), &query, &body).await?;
        if let Some(claim) = &task.claim {
            let issue = task.issue.as_ref().map(|i| i.id.as_str());
            self.held.took(agent.as_str(), issue, claim.id);
        }
        json(&task)
    }

    async fn report(&self, a: args::ReportTask) -> Answer {
        let agent = self.agent(a.agent_name.as_deref())?;
        let claim = self.claim(a.claim_id.as_deref(), &agent, a.issue.issue_id.as_deref())?;
        let mut body = json!({
            "taskType": tasks::kind(&a.task_type)?,
            "outcome": tasks::outcome(&a.outcome)?,
            "claimId": claim,
            "pullRequestNumber": a.pull_request_number,
            "pullRequestUrl": a.pull_request_url,
            "summary": a.summary,
            "error": a.error,
            "evidence": a.evidence,
            "prFixItem": a.pr_fix_item,
            "idempotencyKey": a.idempotency_key,
        });
        merge(&mut body, json(&a.issue)?);
        let answer = self.post(&format!("/api/agents/{agent}/tasks/report"), &body).await?;
        if let Some(claim) = claim {
            self.held.ended(claim);
        }
        Ok(answer)
    }

    async fn mark(&self, a: args::Checkpoint) -> Answer {
        let agent = self.agent(a.agent_name.as_deref())?;
        if a.checkpoint == "BLOCKED" && a.blocker_reason.as_deref().is_none_or(|r| r.trim().is_empty()) {
            return Err(Refusal::from("BLOCKED needs blockerReason: what a person has to answer".to_owned()));
        }
        let mut body = json!({
            "agentName": agent,
            "checkpoint": a.checkpoint,
            "summary": a.summary,
            "blockerReason": a.blocker_reason,
            "claimId": self.claim(a.claim_id.as_deref(), &agent, None)?,
        });
        merge(&mut body, Value::Null);
        self.post("/api/agent-work/checkpoint", &body).await
    }

    async fn mark_fix(&self, mut a: args::MarkPrFix) -> Answer {
        a.agent_name = Some(self.agent(a.agent_name.as_deref())?.to_string());
        self.post("/api/pr-fix-queue/mark", &a).await
    }

    async fn renew(&self, a: args::Heartbeat) -> Answer {
        let agent = self.agent(a.agent_name.as_deref())?;
        // Only a claim that was named is meant alone: a heartbeat is for all that the agent holds.
        let claim = match a.claim_id.as_deref() {
            Some(named) => self.claim(Some(named), &agent, None)?,
            None => None,
        };
        json(&self.client.heartbeat(agent.as_str(), &HeartbeatRequest { claim_id: claim }).await?)
    }

    async fn queue(&self, a: args::GetQueue) -> Answer {
        let agent = self.agent(a.agent_name.as_deref())?;
        let query = json!({ "lane": a.lane, "includeClaimed": a.include_claimed.then_some(true) });
        // Read as it is: entries of two kinds, of which this program need not know all fields.
        Ok(self.client.get(&format!("/api/agents/{agent}/queue"), &query).await?)
    }

    async fn resolve(&self, a: args::Issue) -> Answer {
        let issue = a.reference()?;
        match (&issue.issue_id, &issue.repo_full_name, issue.issue_number) {
            (_, Some(repo), Some(number)) => {
                Ok(self.client.get("/api/issues/state", &json!({ "repo": repo, "number": number })).await?)
            }
            (id, ..) => {
                let id = dispatch_shared::id::IssueId::new(id.as_deref().unwrap_or_default());
                if id.as_str().chars().any(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
                    return Err(Refusal::from(format!("`{id}` is no issueId")));
                }
                json(&self.client.issue(&id).await?)
            }
        }
    }

    async fn claim_one(&self, a: args::ClaimIssue) -> Answer {
        let agent = self.agent(a.agent_name.as_deref())?;
        let issue = a.issue.reference()?;
        let id = issue.issue_id.clone();
        let request = ClaimRequest { issue, agent_name: agent.to_string(), ..ClaimRequest::default() };
        let answer = self.client.claim(&request).await?;
        self.held.took(agent.as_str(), id.as_deref(), answer.claim.id);
        json(&answer)
    }

    async fn release(&self, a: args::ClaimIssue) -> Answer {
        let agent = self.agent(a.agent_name.as_deref())?;
        let issue = a.issue.reference()?;
        let claim_id = match (a.claim_id.as_deref(), &issue.issue_id) {
            (None, None) => None,
            (named, id) => self.claim(named, &agent, id.as_deref())?,
        };
        let request = ClaimRequest { issue, agent_name: agent.to_string(), force: None, claim_id };
        let answer = self.client.unclaim(&request).await?;
        if let Some(claim) = claim_id {
            self.held.ended(claim);
        }
        json(&answer)
    }

    async fn status(&self, a: args::SetStatus) -> Answer {
        let agent = self.agent(a.agent_name.as_deref())?;
        let issue: IssueRef = a.issue.reference()?;
        let mut body = json!({ "agentName": agent, "status": a.status, "blockedReason": a.blocked_reason });
        merge(&mut body, json(&issue)?);
        self.post("/api/issues/status", &body).await
    }

    async fn runs(&self, a: args::ListRuns) -> Answer {
        let query = RunsQuery { state: a.state, agent: a.agent_name, limit: Some(a.limit.unwrap_or(20)) };
        json(&self.client.runs(&query).await?)
    }

    async fn log(&self, a: args::RunLog) -> Answer {
        let run = a.run_id.parse().map_err(|e: String| Refusal::from(format!("runId: {e}")))?;
        let tail = a.tail.unwrap_or(20_000).min(LOG_MAX);
        let query = LogQuery { stream: a.stream, tail: Some(tail), ..LogQuery::default() };
        let mut log = self.client.log(run, &query).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = log.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Puts the fields of `more` into `body`, and leaves out what is null: an absent field says the same and older daemons know it.
fn merge(body: &mut Value, more: Value) {
    if let Value::Object(fields) = body {
        if let Value::Object(more) = more {
            fields.extend(more);
        }
        fields.retain(|_, value| !value.is_null());
    }
}
