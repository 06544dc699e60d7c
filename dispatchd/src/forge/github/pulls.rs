//! Pull requests: read, found by branch, opened. Never merged.

use dispatch_shared::Timestamp;
use reqwest::Method;
use serde_json::json;

use super::call::Call;
use super::link::{escape, link};
use super::{GithubForge, wire};
use crate::core::record::Repo;
use crate::core::seen::SeenPull;
use crate::edges::{ForgeError, NewPull};

/// Without a cursor the newest of all are read up to here; of what lies further back only the open ones.
const FIRST_PAGES: usize = 10;

impl GithubForge {
    pub(super) async fn read_pull(&self, repo: &Repo, number: u64) -> Result<SeenPull, ForgeError> {
        let what = format!("reading pull request {}#{number}", repo.name);
        let url = self.client.url(&format!("/repos/{}/pulls/{number}", repo.name))?;
        Ok(self.client.read::<wire::Pull>(repo, url, &what).await?.seen())
    }

    pub(super) async fn search_pull(&self, repo: &Repo, head: &str) -> Result<Option<SeenPull>, ForgeError> {
        let what = format!("looking for a pull request from `{head}` in {}", repo.name);
        let url = self.client.url(&format!(
            "/repos/{}/pulls?state=open&head={}&sort=created&direction=desc&per_page=100",
            repo.name,
            escape(&format!("{}:{head}", repo.name.owner()))
        ))?;
        let found: Vec<wire::Pull> = self.client.read(repo, url, &what).await?;
        // A head that GitHub does not understand is ignored, not refused: look at what came.
        let ours = |pull: &SeenPull| pull.head_branch == head && !pull.from_fork;
        Ok(found.into_iter().map(wire::Pull::seen).filter(ours).max_by_key(|p| p.number))
    }

    pub(super) async fn post_pull(&self, repo: &Repo, pull: &NewPull) -> Result<SeenPull, ForgeError> {
        let what = format!("opening a pull request from `{}` in {}", pull.head, repo.name);
        self.hook("forge.open_pull", &what)?;
        let url = self.client.url(&format!("/repos/{}/pulls", repo.name))?;
        let body = json!({ "title": pull.title, "body": pull.body, "head": pull.head, "base": pull.base });
        let call = Call { body: Some(body), ..Call::write(Method::POST, url, &what).of(repo) };
        match self.client.call(call).await {
            Ok(answer) => Ok(answer.json::<wire::Pull>(&what)?.seen()),
            Err(ForgeError::Refused(said)) if said.to_ascii_lowercase().contains("already exists") => {
                self.search_pull(repo, &pull.head).await?.ok_or(ForgeError::Refused(said))
            }
            Err(other) => Err(other),
        }
    }

    /// Those updated at `since` or later, newest first, and the number of requests. This list knows no `since`: it is
    /// read until it comes to older ones.
    pub(super) async fn read_pulls(
        &self,
        repo: &Repo,
        since: Option<Timestamp>,
    ) -> Result<(Vec<SeenPull>, usize), ForgeError> {
        let (mut pulls, mut requests, whole) = self.list_pulls(repo, "all", since).await?;
        if !whole {
            let (open, more, _) = self.list_pulls(repo, "open", None).await?;
            requests += more;
            let older: Vec<_> =
                open.into_iter().filter(|p| pulls.iter().all(|q| q.number != p.number)).collect();
            pulls.extend(older);
        }
        Ok((pulls, requests))
    }

    async fn list_pulls(
        &self,
        repo: &Repo,
        state: &str,
        since: Option<Timestamp>,
    ) -> Result<(Vec<SeenPull>, usize, bool), ForgeError> {
        let what = format!("listing the pull requests of {}", repo.name);
        let query = format!("state={state}&sort=updated&direction=desc&per_page=100");
        let mut url = self.client.url(&format!("/repos/{}/pulls?{query}", repo.name))?;
        let (mut pulls, mut requests) = (Vec::new(), 0);
        loop {
            let answer = self.client.call(Call::get(url, &what).of(repo)).await?;
            requests += 1;
            for pull in answer.json::<Vec<wire::Pull>>(&what)? {
                if since.is_some_and(|since| pull.updated_at < since) {
                    return Ok((pulls, requests, true));
                }
                pulls.push(pull.seen());
            }
            let Some(next) = link(&answer.headers, "next") else { return Ok((pulls, requests, true)) };
            if since.is_none() && state == "all" && requests == FIRST_PAGES {
                return Ok((pulls, requests, false));
            }
            url = self.client.given(&next, &what)?;
        }
    }
}
