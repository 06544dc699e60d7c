//! Making issues, and rewriting the text of one.

use reqwest::Method;
use serde_json::json;

use super::call::Call;
use super::link::link;
use super::{GithubForge, wire};
use crate::core::record::Repo;
use crate::core::seen::SeenIssue;
use crate::edges::{ForgeError, NewIssue};

/// GitHub's clock and ours may differ by so much, in milliseconds.
const SKEW: i64 = 3_600_000;

impl GithubForge {
    /// The issue that carries the marker, if it was made before a break.
    async fn made_before(
        &self,
        repo: &Repo,
        issue: &NewIssue,
        what: &str,
    ) -> Result<Option<SeenIssue>, ForgeError> {
        let since = dispatch_shared::Timestamp(issue.since.0 - SKEW);
        let mut page = self.client.url(&format!("/repos/{}/issues", repo.name))?;
        page.query_pairs_mut()
            .append_pair("state", "all")
            .append_pair("sort", "created")
            .append_pair("direction", "desc")
            .append_pair("since", &since.to_string())
            .append_pair("per_page", "100");
        loop {
            let answer = self.client.call(Call::get(page, what).of(repo)).await?;
            let there: Vec<wire::Issue> = answer.json(what)?;
            let issues = there.into_iter().filter(|i| !i.is_pull()).map(wire::Issue::seen);
            if let Some(found) = issues.into_iter().find(|i| i.body.contains(&issue.marker)) {
                return Ok(Some(found));
            }
            match link(&answer.headers, "next") {
                Some(next) => page = self.client.given(&next, what)?,
                None => return Ok(None),
            }
        }
    }

    pub(super) async fn post_issue(&self, repo: &Repo, issue: &NewIssue) -> Result<SeenIssue, ForgeError> {
        let what = format!("making the issue `{}` in {}", issue.title, repo.name);
        if let Some(found) = self.made_before(repo, issue, &what).await? {
            return Ok(found);
        }
        self.hook("forge.create_issue", &what)?;
        let url = self.client.url(&format!("/repos/{}/issues", repo.name))?;
        let body = json!({ "title": issue.title, "body": issue.body, "labels": issue.labels });
        let call = Call { body: Some(body), ..Call::write(Method::POST, url, &what).of(repo) };
        Ok(self.client.call(call).await?.json::<wire::Issue>(&what)?.seen())
    }

    /// The text alone; state, title and labels are never sent.
    pub(super) async fn patch_body(&self, repo: &Repo, number: u64, body: &str) -> Result<(), ForgeError> {
        let what = format!("changing the text of {}#{number}", repo.name);
        self.hook("forge.set_body", &what)?;
        let url = self.client.url(&format!("/repos/{}/issues/{number}", repo.name))?;
        let call =
            Call { body: Some(json!({ "body": body })), ..Call::write(Method::PATCH, url, &what).of(repo) };
        self.client.call(call).await.map(drop)
    }
}
